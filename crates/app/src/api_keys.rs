//! API keys.

use std::{collections::BTreeSet, sync::Arc};

use linkspan_domain::{
    Actor, ApiKey, ApiKeyId, Call, Code, KeyHash, Name, Permission, Person, PersonId, Problem,
    ResourceType, Revision, Secret, Workspace, WorkspaceId,
    ports::{Store, VaultError, World},
};
use time::OffsetDateTime;

use crate::{
    RecordError, Records, Sessions, Writable, people::require_workspaces, records::require_live,
};

/// Makes a token that nobody can guess: the prefix that it is given, then at least 256 random bits.
pub type Mint = fn(&str) -> Result<Secret<String>, VaultError>;

/// The API keys of an organization. Admins read and write them; the keys themselves are shown once.
pub struct ApiKeys {
    records: Records<ApiKey>,
    people: Records<Person>,
    workspaces: Records<Workspace>,
    sessions: Arc<Sessions>,
    mint: Mint,
    world: Arc<dyn World>,
}

/// What a new key is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApiKey {
    /// What people call it.
    pub name: Name,
    /// Whose rights bound it. None: a service key, bounded by its permissions alone.
    pub person_id: Option<PersonId>,
    /// What it may do: no more than the caller.
    pub permissions: BTreeSet<Permission>,
    /// Where it works. Empty: in every workspace of the organization.
    pub workspaces: BTreeSet<WorkspaceId>,
    /// When it stops working.
    pub expires_at: Option<OffsetDateTime>,
}

/// Why a key was not made.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeysError {
    /// As with every kept thing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// There was no randomness to make it from.
    #[error("could not make a key")]
    Mint(#[source] VaultError),
}

impl Problem for ApiKeysError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Mint(_) => Code::Internal,
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::Record(error) => error.pointer(),
            Self::Mint(_) => None,
        }
    }
}

impl ApiKeys {
    /// The keys that `store` keeps; `mint` makes new ones.
    pub fn new(
        store: Arc<dyn Store<ApiKey>>,
        people: Arc<dyn Store<Person>>,
        workspaces: Arc<dyn Store<Workspace>>,
        sessions: Arc<Sessions>,
        mint: Mint,
        world: Arc<dyn World>,
    ) -> Self {
        Self {
            records: Records::new(store, Arc::clone(&world)),
            people: Records::new(people, Arc::clone(&world)),
            workspaces: Records::new(workspaces, Arc::clone(&world)),
            sessions,
            mint,
            world,
        }
    }

    /// The keys, for reading: all about them but the keys themselves.
    pub const fn records(&self) -> &Records<ApiKey> {
        &self.records
    }

    /// Makes a key. This is the only time that it is shown.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn create(
        &self,
        call: &Call,
        new: NewApiKey,
    ) -> Result<(ApiKey, Secret<String>), ApiKeysError> {
        self.accept(call, &new).await?;
        let NewApiKey { name, person_id, permissions, workspaces, expires_at } = new;
        let key = (self.mint)(ApiKey::PREFIX).map_err(ApiKeysError::Mint)?;
        let now = self.world.now();
        let kept = ApiKey {
            id: ApiKeyId::from_uuid(self.world.uuid()),
            revision: Revision::FIRST,
            organization_id: call.caller.organization,
            person_id,
            name,
            prefix: ApiKey::visible_prefix(&key),
            hash: KeyHash::of(&key),
            permissions,
            workspaces,
            expires_at,
            last_used_at: None,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        Ok((self.records.insert(call, kept).await?, key))
    }

    /// Revokes a key, for good. A service key cannot revoke itself: nobody locks themself out by a slip.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn revoke(
        &self,
        call: &Call,
        id: ApiKeyId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.records.live(call, id, expected).await?;
        if call.caller.actor == Actor::ApiKey(id) {
            let reason = "this call is made with it; revoke it with another key";
            return Err(RecordError::InUse {
                resource: ResourceType::ApiKey,
                id: id.to_string(),
                reason,
            });
        }
        let revoked = self.records.delete(call, id, expected).await;
        self.sessions.clear();
        revoked
    }

    async fn accept(&self, call: &Call, new: &NewApiKey) -> Result<(), RecordError> {
        call.caller.require(ApiKey::WRITE)?;
        for permission in &new.permissions {
            call.caller.require(*permission)?;
        }
        let invalid =
            |attribute, reason: &str| RecordError::Invalid { attribute, reason: reason.to_owned() };
        if new.permissions.is_empty() {
            return Err(invalid("permissions", "must name at least one permission"));
        }
        // What an admin may do concerns the whole organization, so it would not stay within workspaces.
        if new.permissions.contains(&Permission::OrgAdmin) && !new.workspaces.is_empty() {
            let reason = "must not hold org:admin for a key that is limited to workspaces";
            return Err(invalid("permissions", reason));
        }
        if new.expires_at.is_some_and(|it| it <= self.world.now()) {
            return Err(invalid("expires_at", "must be in the future"));
        }
        if let Some(person) = new.person_id {
            require_live(&self.people, &call.caller, person, "person").await?;
        }
        require_workspaces(&self.workspaces, call, &new.workspaces).await
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{Role, ports::Change};
    use serde_json::json;
    use time::Duration;

    use super::*;
    use crate::fixtures::{Kept, NOW, PLANTED, call, code, empty, id, keep, key, workspace, world};

    fn new(change: impl FnOnce(&mut NewApiKey)) -> NewApiKey {
        let mut new = NewApiKey {
            name: "Deploy".parse().unwrap(),
            person_id: None,
            permissions: [Permission::ConnectorRead].into(),
            workspaces: BTreeSet::new(),
            expires_at: None,
        };
        change(&mut new);
        new
    }

    fn keys(kept: &Kept<ApiKey>) -> ApiKeys {
        let mint = |prefix: &str| Ok(key(&format!("{prefix}{PLANTED}")));
        let workspaces = keep(vec![workspace(1, None)]).store;
        let store = Arc::clone(&kept.store) as _;
        ApiKeys::new(store, empty(), workspaces, Arc::default(), mint, world())
    }

    #[tokio::test]
    async fn a_key_is_shown_once_and_kept_as_its_hash() {
        let kept = keep(Vec::new());
        let (made, secret) = keys(&kept).create(&call(Role::Admin), new(|_| {})).await.unwrap();
        assert_eq!(made.prefix, "lsk_h");
        assert_eq!(made.hash, KeyHash::of(&secret));
        let Change::Insert(stored) = kept.change() else { panic!() };
        assert_eq!(stored, made);
        let (action, details) = kept.act();
        assert_eq!(action, "api_key.created");
        assert_eq!(details["permissions"], json!(["connector:read"]));
        let everything = format!("{:?} {secret:?}", kept.written.lock().unwrap());
        assert!(!everything.contains(PLANTED), "{everything}");
    }

    #[tokio::test]
    async fn a_key_does_no_more_than_its_maker_and_only_what_makes_sense() {
        let mut limited = call(Role::Admin);
        limited.caller.permissions.remove(&Permission::ConnectorManage);
        let create = async |change: fn(&mut NewApiKey)| {
            code(keys(&keep(Vec::new())).create(&limited, new(change)).await)
        };
        assert_eq!(create(|_| {}).await, "ok");
        let manage = |it: &mut NewApiKey| it.permissions = [Permission::ConnectorManage].into();
        assert_eq!(create(manage).await, "permission.denied");
        assert_eq!(create(|it| it.permissions.clear()).await, "resource.invalid");
        assert_eq!(create(|it| it.expires_at = Some(NOW)).await, "resource.invalid");
        assert_eq!(create(|it| it.expires_at = Some(NOW + Duration::DAY)).await, "ok");
        assert_eq!(create(|it| it.workspaces = [id(1)].into()).await, "ok");
        assert_eq!(create(|it| it.workspaces = [id(2)].into()).await, "resource.dangling");
        assert_eq!(create(|it| it.person_id = Some(id(77))).await, "resource.dangling");
        let local_admin = |it: &mut NewApiKey| {
            it.permissions = [Permission::OrgAdmin].into();
            it.workspaces = [id(1)].into();
        };
        assert_eq!(create(local_admin).await, "resource.invalid");
    }

    #[tokio::test]
    async fn no_randomness_makes_no_key() {
        let kept = keep(Vec::new());
        let mut keys = keys(&kept);
        keys.mint = |_| Err(VaultError::NoRandomness);
        assert_eq!(code(keys.create(&call(Role::Admin), new(|_| {})).await), "platform.internal");
        assert!(kept.is_untouched());
    }
}
