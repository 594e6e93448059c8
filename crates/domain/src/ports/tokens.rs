//! Bearer tokens that are no API keys: JSON Web Tokens (RFC 7519).

use std::collections::BTreeSet;

use async_trait::async_trait;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::Cause;
use crate::{Email, Permission, PersonId, Secret, WorkspaceId};

/// Says whom a token stands for.
///
/// # Contract
///
/// - Nothing of a token counts before its signature was checked, with an algorithm that its key is for.
/// - Issuer, audience and times are checked, the latter with a leeway of a minute.
/// - No error repeats any part of a token.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait TokenVerifier: Send + Sync {
    /// What `token` says, if it holds at `now`.
    async fn verify(
        &self,
        token: &Secret<String>,
        now: OffsetDateTime,
    ) -> Result<TokenClaims, TokenError>;
}

/// Makes tokens that the platform's own [`TokenVerifier`] takes.
pub trait TokenSigner: Send + Sync {
    /// The token for `grant`.
    fn sign(&self, grant: &TokenGrant) -> Result<Secret<String>, TokenError>;
}

/// What a token says, once it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenClaims {
    /// Whom it stands for.
    pub subject: TokenSubject,
    /// When it stops working, leeway included.
    pub expires_at: OffsetDateTime,
    /// All that it may be used for. None: whatever the person may do.
    pub permissions: Option<BTreeSet<Permission>>,
    /// The only workspace that it works in. None: wherever the person works.
    pub workspace: Option<WorkspaceId>,
}

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSubject {
    /// A person, by our own name for them.
    Person(PersonId),
    /// Whoever has this mail address, as an identity provider has verified.
    Email(Email),
}

/// What a token is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenGrant {
    /// Names the token.
    pub id: Uuid,
    /// Whom it stands for.
    pub person: PersonId,
    /// From when on.
    pub issued_at: OffsetDateTime,
    /// Until when.
    pub expires_at: OffsetDateTime,
}

impl TokenGrant {
    /// No token of ours is good for longer.
    pub const LONGEST: Duration = Duration::DAY;
}

/// Why a token says nothing.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It does not hold. Why is for the log.
    #[error("the token does not hold: {0}")]
    Invalid(&'static str),
    /// There is no key to sign or to check tokens of that kind with.
    #[error("there is no key for tokens; set LINKSPAN_JWT_SECRET")]
    NoKey,
    /// The keys of the identity provider cannot be fetched. The same token may hold later.
    #[error("the keys of the identity provider cannot be fetched")]
    Unavailable(#[source] Cause),
}
