//! Tokens that stand for people.

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, AuditEventId, Call, Code, Denied, Email, Permission, Person, Problem, Secret,
    ports::{AccessStore, Store, StoreError, TokenError, TokenGrant, TokenSigner, World},
};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::records::store_code;

/// Issues tokens. They are kept nowhere: the audit trail tells who got one, and until when it holds.
pub struct Tokens {
    access: Arc<dyn AccessStore>,
    people: Arc<dyn Store<Person>>,
    signer: Arc<dyn TokenSigner>,
    world: Arc<dyn World>,
}

/// A token that was just issued.
#[derive(Debug)]
pub struct IssuedToken {
    /// The token itself.
    pub token: Secret<String>,
    /// Whom it stands for.
    pub person: Person,
    /// When it stops working.
    pub expires_at: OffsetDateTime,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The caller may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Nobody has that mail address.
    #[error("there is nobody with the mail address {0}; an admin can add people")]
    Nobody(Email),
    /// No token is good for as long.
    #[error("a token is good for at least a second and at most a day")]
    Lifetime,
    /// It cannot be signed.
    #[error("no token can be signed")]
    Sign(#[source] TokenError),
    /// The store failed.
    #[error("could not look up whom the token is for, or note that it was issued")]
    Store(#[source] StoreError),
}

impl Problem for TokensError {
    fn code(&self) -> Code {
        match self {
            Self::Denied(_) => Code::PermissionDenied,
            Self::Nobody(_) => Code::NotFound,
            Self::Lifetime => Code::Invalid,
            Self::Sign(_) => Code::Internal,
            Self::Store(source) => store_code(source),
        }
    }
}

impl Tokens {
    /// Tokens that `signer` signs, for the people of `access`; `people` notes them.
    pub fn new(
        access: Arc<dyn AccessStore>,
        people: Arc<dyn Store<Person>>,
        signer: Arc<dyn TokenSigner>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { access, people, signer, world }
    }

    /// Issues a token for the person with that mail address. It may be used for all that they may do.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn issue(
        &self,
        call: &Call,
        email: &Email,
        lasts: Duration,
    ) -> Result<IssuedToken, TokensError> {
        call.caller.require(Permission::OrgAdmin)?;
        if lasts < Duration::SECOND || lasts > TokenGrant::LONGEST {
            return Err(TokensError::Lifetime);
        }
        let organization = call.caller.organization;
        let found = self.access.person_by_email(organization, email).await;
        let person = found.map_err(TokensError::Store)?;
        let person = person.ok_or_else(|| TokensError::Nobody(email.clone()))?;
        let now = self.world.now();
        let grant = TokenGrant {
            id: self.world.uuid(),
            person: person.id,
            issued_at: now,
            expires_at: now + lasts,
        };
        let token = self.signer.sign(&grant).map_err(TokensError::Sign)?;
        let details = json!({ "token_id": grant.id, "lasts_secs": lasts.whole_seconds() });
        let act = Act { action: Action::TokenIssued, details };
        let receipt = call.receipt(act, &person, AuditEventId::from_uuid(self.world.uuid()), now);
        self.people.write(&[], &receipt).await.map_err(TokensError::Store)?;
        Ok(IssuedToken { token, person, expires_at: grant.expires_at })
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{
        Role,
        ports::{MockAccessStore, MockStore},
    };

    use super::*;
    use crate::fixtures::{NOW, call, code, key, person, world};

    struct Told;

    impl TokenSigner for Told {
        fn sign(&self, grant: &TokenGrant) -> Result<Secret<String>, TokenError> {
            Ok(key(&format!("{} until {}", grant.person, grant.expires_at.unix_timestamp())))
        }
    }

    #[tokio::test]
    async fn a_token_is_for_somebody_who_is_there_and_is_noted_without_itself() {
        let mut access = MockAccessStore::new();
        access.expect_person_by_email().returning(|_, email| {
            let ada = person(50, Role::Designer, &[]);
            Ok((email.as_str() == "ada@example.com").then_some(ada))
        });
        let mut people = MockStore::<Person>::new();
        people.expect_write().times(1).returning(|changes, receipt| {
            assert!(changes.is_empty());
            assert_eq!(receipt.audit.action, "token.issued");
            assert!(!format!("{receipt:?}").contains("until"), "{receipt:?}");
            Ok(())
        });
        let tokens = Tokens::new(Arc::new(access), Arc::new(people), Arc::new(Told), world());
        let issue = async |role, email: &str, lasts| {
            tokens.issue(&call(role), &email.parse().unwrap(), lasts).await
        };
        let hour = Duration::HOUR;
        assert_eq!(code(issue(Role::Designer, "ada@example.com", hour).await), "permission.denied");
        assert_eq!(code(issue(Role::Admin, "eve@example.com", hour).await), "resource.not_found");
        for bad in [Duration::ZERO, Duration::DAY + Duration::SECOND] {
            assert_eq!(code(issue(Role::Admin, "ada@example.com", bad).await), "resource.invalid");
        }
        let issued = issue(Role::Admin, "ada@example.com", hour).await.unwrap();
        assert_eq!(issued.expires_at, NOW + hour);
        assert!(issued.token.expose().starts_with(&issued.person.id.to_string()));
    }
}
