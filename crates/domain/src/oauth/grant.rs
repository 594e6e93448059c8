//! Grants: what an authorization server lets us do.

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use super::Issuer;
use crate::Secret;

/// What an authorization server lets an activation do, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which server.
    pub issuer: Issuer,
    /// What opens the connected system.
    pub access_token: Secret<String>,
    /// What gets the next access token.
    pub refresh_token: Option<Secret<String>>,
    /// When the access token ends. None: the server did not say.
    pub expires_at: Option<OffsetDateTime>,
    /// What was granted, which may be less than was asked for.
    pub scopes: BTreeSet<String>,
    /// The resource that it is for (RFC 8707).
    pub resource: Option<String>,
}

impl Grant {
    /// So long before it ends, an access token is exchanged.
    pub const BUFFER: Duration = Duration::minutes(5);

    /// Whether the access token is good for a while yet.
    pub fn is_fresh(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_none_or(|end| now + Self::BUFFER < end)
    }
}
