//! What a key or a token stands for.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use linkspan_domain::{
    Action, Actor, ApiKey, AuditEvent, AuditEventId, KeyHash, OrganizationId, Permission, Person,
    Receipt, Resource, Role, Secret, WorkspaceId,
    ports::{TokenClaims, TokenError, TokenSubject},
};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{Access, AccessError, attempts::Tally, sessions::Session};

/// A key or a token that works, and whose it is.
struct Credential {
    actor: Actor,
    organization: OrganizationId,
    /// None: all that its owner has.
    permissions: Option<BTreeSet<Permission>>,
    /// None: all that its owner works in.
    workspaces: Option<BTreeSet<WorkspaceId>>,
    /// Who bounds it. None: nobody.
    owner: Option<Person>,
    expires_at: Option<OffsetDateTime>,
}

/// How long refusals are gathered before the audit trail tells them.
const GATHER: std::time::Duration = std::time::Duration::from_mins(1);

impl Access {
    pub(super) async fn session(
        &self,
        bearer: &Secret<String>,
        from: Option<IpAddr>,
    ) -> Result<Arc<Session>, AccessError> {
        let (hash, now) = (KeyHash::of(bearer), self.world.now());
        let era = match self.sessions.get(&hash, now) {
            Ok(session) => return Ok(session),
            Err(era) => era,
        };
        let (found, key) = if is_token(bearer.expose()) {
            (self.token(bearer, now).await, None)
        } else {
            self.admit(bearer, &hash, from, now)?;
            match self.key(&hash, now).await {
                Ok((credential, key)) => (Ok(credential), Some(key)),
                Err(error) => (Err(error), None),
            }
        };
        let credential = match found {
            Err(AccessError::Unauthenticated) => {
                // Tokens are checked whatever came from there: nobody guesses a signature.
                self.admit(bearer, &hash, from, now)?;
                self.attempts.failed(from, &ApiKey::visible_prefix(bearer), now);
                self.note_refusal(from);
                return Err(AccessError::Unauthenticated);
            }
            other => other?,
        };
        let session = Arc::new(self.open(credential).await?);
        if self.sessions.put(hash.clone(), Arc::clone(&session), era, now)
            && let Some(key) = key
        {
            self.attempts.worked(&hash, now);
            self.touch(key, now);
        }
        Ok(session)
    }

    /// Passes unless too many that do not work came from there.
    fn admit(
        &self,
        bearer: &Secret<String>,
        hash: &KeyHash,
        from: Option<IpAddr>,
        now: OffsetDateTime,
    ) -> Result<(), AccessError> {
        let admitted = self.attempts.admit(from, &ApiKey::visible_prefix(bearer), hash, now);
        admitted.map_err(|wait| {
            self.note_refusal(from);
            let whole = u64::try_from(wait.whole_seconds()).unwrap_or_default();
            AccessError::TooManyAttempts { seconds: whole + 1 }
        })
    }

    async fn key(
        &self,
        hash: &KeyHash,
        now: OffsetDateTime,
    ) -> Result<(Credential, ApiKey), AccessError> {
        let key = self.store.key(hash).await.map_err(AccessError::Store)?;
        let key = key.filter(|it| it.is_valid(now)).ok_or(AccessError::Unauthenticated)?;
        let organization = key.organization_id;
        let owner = match key.person_id {
            None => None,
            Some(id) => {
                let owner =
                    self.store.person(organization, id).await.map_err(AccessError::Store)?;
                Some(owner.ok_or(AccessError::Unauthenticated)?)
            }
        };
        let credential = Credential {
            actor: owner.as_ref().map_or(Actor::ApiKey(key.id), |it| Actor::Person(it.id)),
            organization,
            permissions: Some(key.permissions.clone()),
            workspaces: Some(key.workspaces.clone()).filter(|it| !it.is_empty()),
            owner,
            expires_at: key.expires_at,
        };
        Ok((credential, key))
    }

    async fn token(
        &self,
        token: &Secret<String>,
        now: OffsetDateTime,
    ) -> Result<Credential, AccessError> {
        let claims = self.tokens.verify(token, now).await.map_err(|error| match error {
            TokenError::Unavailable(_) => AccessError::Token(error),
            TokenError::Invalid(_) | TokenError::NoKey => {
                tracing::debug!(%error, "refused a token");
                AccessError::Unauthenticated
            }
        })?;
        let TokenClaims { subject, expires_at, permissions, workspace } = claims;
        let organization = self.store.organization().await.map_err(AccessError::Store)?;
        let organization = organization.ok_or(AccessError::Unauthenticated)?;
        let owner = match &subject {
            TokenSubject::Person(id) => self.store.person(organization, *id).await,
            TokenSubject::Email(email) => self.store.person_by_email(organization, email).await,
        };
        let owner = owner.map_err(AccessError::Store)?.ok_or(AccessError::Unauthenticated)?;
        Ok(Credential {
            actor: Actor::Person(owner.id),
            organization,
            permissions,
            workspaces: workspace.map(|it| BTreeSet::from([it])),
            owner: Some(owner),
            expires_at: Some(expires_at),
        })
    }

    /// What `credential` stands for.
    async fn open(&self, credential: Credential) -> Result<Session, AccessError> {
        let Credential { actor, organization, permissions, workspaces, owner, expires_at } =
            credential;
        let all = self.store.workspaces(organization).await.map_err(AccessError::Store)?;
        let mut allowed: Vec<WorkspaceId> = all.iter().map(|it| it.id).collect();
        let mut may = permissions.unwrap_or_else(|| Role::Admin.permissions());
        if let Some(limits) = workspaces {
            may.remove(&Permission::OrgAdmin);
            allowed.retain(|it| limits.contains(it));
        }
        if let Some(owner) = owner {
            may = &may & &owner.role.permissions();
            if owner.role != Role::Admin {
                allowed.retain(|it| owner.workspaces.contains(it));
            }
        }
        Ok(Session { actor, organization, permissions: may, workspaces: all, allowed, expires_at })
    }

    /// Notes that a key was used, once a minute. Nobody waits for it: writers may be busy.
    fn touch(&self, mut key: ApiKey, now: OffsetDateTime) {
        if key.last_used_at.is_some_and(|it| now - it < Duration::MINUTE) {
            return;
        }
        key.last_used_at = Some(now);
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            if let Err(error) = store.touch(&key).await {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, key = %key.id, "could not note that a key was used");
            }
        });
    }

    /// Has the audit trail tell of refusals: once a minute, whatever the number.
    fn note_refusal(&self, from: Option<IpAddr>) {
        if !self.attempts.note(from) {
            return;
        }
        let attempts = Arc::clone(&self.attempts);
        let (store, keys) = (Arc::clone(&self.store), Arc::clone(&self.keys));
        let world = Arc::clone(&self.world);
        tokio::spawn(async move {
            tokio::time::sleep(GATHER).await;
            let tally = attempts.tally();
            let Ok(Some(organization)) = store.organization().await else { return };
            let id = AuditEventId::from_uuid(world.uuid());
            let trace_id = world.uuid().simple().to_string();
            let receipt = refusals(organization, tally, id, trace_id, world.now());
            if let Err(error) = keys.write(&[], &receipt).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the audit trail lacks refused callers");
            }
        });
    }
}

/// What the audit trail says of refusals: the platform does, since nobody else is known.
fn refusals(
    organization_id: OrganizationId,
    tally: Tally,
    id: AuditEventId,
    trace_id: String,
    now: OffsetDateTime,
) -> Receipt {
    let Tally { count, addresses } = tally;
    let audit = AuditEvent {
        id,
        organization_id,
        workspace_id: None,
        actor_type: Actor::System.actor_type(),
        actor_id: None,
        action: Action::AuthenticationRefused.of(ApiKey::TYPE),
        resource_type: ApiKey::TYPE,
        resource_id: None,
        details: json!({ "count": count, "addresses": addresses }),
        ip_address: None,
        trace_id,
        created_at: now,
        link: None,
    };
    Receipt { audit, reply: None }
}

/// Whether a credential looks like a token: three parts, the first of which begins as a JSON object does in base64.
fn is_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|it| *it == b'.').count() == 2
}
