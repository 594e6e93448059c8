//! Grants: what an authorization server lets us do, and all it takes to go on doing it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{AuthorizationServer, Issuer, OauthClient};
use crate::{
    Secret,
    ports::{AuthorizationServers, TokenAsk, TokenReply, TokenRight},
};

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

/// A grant with all it takes to refresh it, as it was when it was given. It is sealed as one.
///
/// A refresh token is bound to the client that it was given to (RFC 6749 §10.4), so the client goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldGrant {
    /// The grant.
    pub grant: Grant,
    /// The server that gave it.
    pub server: AuthorizationServer,
    /// What we were there.
    pub client: OauthClient,
    /// By whose right it was given.
    pub holder: GrantHolder,
}

/// By whose right a grant was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantHolder {
    /// A person agreed.
    Person,
    /// Ours alone (RFC 6749 §4.4).
    Client,
}

/// What the token endpoint said, with what it was asked: enough to go on from there, whoever comes to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournaledReply {
    /// What was asked with.
    pub asked: HeldGrant,
    /// What it said.
    pub reply: TokenReply,
    /// When. Lifetimes count from here.
    pub received_at: OffsetDateTime,
}

impl Grant {
    /// So long before it ends, an access token is exchanged.
    pub const BUFFER: Duration = Duration::minutes(5);

    /// So long after it was given, a grant is refreshed though nobody uses it: servers forget idle refresh tokens.
    pub const KEEP_ALIVE: Duration = Duration::days(7);

    /// From when on the access token, given at `given`, is to be exchanged: [`BUFFER`](Self::BUFFER) before it ends, or
    /// half its life where that is shorter. None: it does not say when it ends.
    pub fn exchanged_from(&self, given: OffsetDateTime) -> Option<OffsetDateTime> {
        let life = |end: OffsetDateTime| (end - given).max(Duration::ZERO);
        self.expires_at.map(|end| end - Self::BUFFER.min(life(end) / 2))
    }

    /// Whether the access token, given at `given`, is good for a while yet.
    pub fn is_fresh(&self, given: OffsetDateTime, now: OffsetDateTime) -> bool {
        self.exchanged_from(given).is_none_or(|from| now < from)
    }

    /// Whether the access token still works at `now`, as far as the server said.
    pub fn works(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl HeldGrant {
    /// When a grant that was given at `given` is to be refreshed, also where nobody uses it. None: never. What is ours alone
    /// is asked for when it is used.
    pub fn due_at(&self, given: OffsetDateTime) -> Option<OffsetDateTime> {
        if self.holder == GrantHolder::Client || self.grant.refresh_token.is_none() {
            return None;
        }
        let idle = given + Grant::KEEP_ALIVE;
        Some(self.grant.exchanged_from(given).map_or(idle, |from| from.min(idle)))
    }

    /// What the token endpoint is asked for the next access token. None: there is nothing to ask with.
    pub fn ask(&self) -> Option<TokenAsk<'_>> {
        let by = match self.holder {
            GrantHolder::Person => TokenRight::Refresh(self.grant.refresh_token.as_ref()?),
            GrantHolder::Client => TokenRight::ClientCredentials,
        };
        Some(TokenAsk {
            server: &self.server,
            client: &self.client,
            by,
            resource: self.grant.resource.as_deref(),
            scopes: &self.grant.scopes,
        })
    }
}

impl JournaledReply {
    /// What the server granted, if it did.
    pub fn granted(self, servers: &dyn AuthorizationServers) -> Option<HeldGrant> {
        let Self { asked, reply, received_at } = self;
        let grant = servers.read(&asked.ask()?, &reply, received_at).ok()?;
        Some(HeldGrant { grant, ..asked })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const GIVEN: OffsetDateTime = datetime!(2026-05-01 12:00 UTC);

    fn grant(life: Option<Duration>) -> Grant {
        Grant {
            issuer: Issuer::new("https://issuer.example".to_owned()),
            access_token: Secret::new("access".to_owned()),
            refresh_token: Some(Secret::new("refresh".to_owned())),
            expires_at: life.map(|it| GIVEN + it),
            scopes: BTreeSet::new(),
            resource: None,
        }
    }

    #[test]
    fn a_token_is_exchanged_five_minutes_before_it_ends_or_after_half_its_life() {
        let from = |life| grant(Some(life)).exchanged_from(GIVEN).unwrap() - GIVEN;
        assert_eq!(from(Duration::hours(1)), Duration::minutes(55));
        assert_eq!(from(Duration::minutes(10)), Duration::minutes(5));
        assert_eq!(from(Duration::minutes(2)), Duration::minutes(1), "not over and over again");
        assert_eq!(from(Duration::minutes(-1)), Duration::minutes(-1), "it had ended already");
        assert!(grant(None).is_fresh(GIVEN, GIVEN + Duration::days(999)));
        let hour = grant(Some(Duration::HOUR));
        assert!(hour.is_fresh(GIVEN, GIVEN + Duration::seconds(3_299)));
        assert!(!hour.is_fresh(GIVEN, GIVEN + Duration::minutes(55)));
        assert!(hour.works(GIVEN + Duration::minutes(59)) && !hour.works(GIVEN + Duration::HOUR));
    }
}
