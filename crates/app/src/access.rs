//! Who comes in, what they may do, and which workspaces they see.

mod sessions;

use std::{collections::BTreeSet, sync::Arc};

use linkspan_domain::{
    Act, Actor, ApiKey, ApiKeyId, AuditEventId, Call, Caller, Code, InvalidText, KeyHash,
    OrganizationId, Permission, Problem, Revision, Role, Secret, Visible, Within, Workspace,
    WorkspaceId,
    ports::{AccessStore, Change, Store, StoreError, World},
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub use sessions::Sessions;

use self::sessions::Session;
use crate::records::store_code;

/// Lets callers in.
///
/// What a key may do is what both the key and its owner may do, in the workspaces of both. A key that is limited to
/// workspaces never has `org:admin`: what admins do concerns the whole organization.
pub struct Access {
    store: Arc<dyn AccessStore>,
    keys: Arc<dyn Store<ApiKey>>,
    sessions: Arc<Sessions>,
    world: Arc<dyn World>,
}

/// What [`Access::ensure_admin_key`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminKey {
    /// There was none: the key is new.
    Made,
    /// The key worked already.
    Kept,
    /// The key took the place of another, which works no longer.
    Replaced,
    /// The key was revoked, and stays so. Another one would work.
    Revoked,
}

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The key is missing, unknown, expired or revoked, or its owner left. Which of them is not told.
    #[error("the API key is missing or does not work; ask an admin for a new one")]
    Unauthenticated,
    /// There is no such workspace, or the caller has no part in it.
    #[error("there is no such workspace")]
    WorkspaceNotFound,
    /// None of the workspaces that the key is made for exists any more.
    #[error("this key works in no workspace; ask an admin to give it one")]
    NoWorkspace,
    /// The admin key could be guessed.
    #[error("the admin key needs at least 8 characters, without blanks")]
    WeakAdminKey,
    /// The store failed.
    #[error("could not look up who calls")]
    Store(#[source] StoreError),
}

impl Problem for AccessError {
    fn code(&self) -> Code {
        match self {
            Self::Unauthenticated => Code::Unauthenticated,
            Self::WorkspaceNotFound => Code::NotFound,
            Self::NoWorkspace => Code::PermissionDenied,
            Self::WeakAdminKey => Code::Invalid,
            Self::Store(source) => store_code(source),
        }
    }
}

impl Access {
    /// Lets in whom `store` knows. `sessions` are shared with the services that change who may do what.
    pub fn new(
        store: Arc<dyn AccessStore>,
        keys: Arc<dyn Store<ApiKey>>,
        sessions: Arc<Sessions>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { store, keys, sessions, world }
    }

    /// Whom `bearer` stands for, in the workspace that `workspace` names by identifier or slug, else in the first one.
    pub async fn authenticate(
        &self,
        bearer: &Secret<String>,
        workspace: Option<&str>,
    ) -> Result<Caller, AccessError> {
        let session = self.session(&KeyHash::of(bearer)).await?;
        let visible = choose(&session.workspaces, &session.allowed, workspace)?;
        Ok(Caller {
            actor: session.actor,
            organization: session.organization,
            permissions: session.permissions.clone(),
            visible,
        })
    }

    /// The platform itself, in the workspace that `workspace` names by identifier or slug, else in the first one.
    pub async fn system(
        &self,
        organization: OrganizationId,
        workspace: Option<&str>,
    ) -> Result<Caller, AccessError> {
        let all = self.store.workspaces(organization).await.map_err(AccessError::Store)?;
        let allowed: Vec<_> = all.iter().map(|it| it.id).collect();
        Ok(Caller::system(organization, choose(&all, &allowed, workspace)?))
    }

    /// Sees to it that `key` is the key of the platform's operator: one that may do everything and belongs to nobody.
    ///
    /// There is one such key at a time. A revoked one does not come back.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn ensure_admin_key(
        &self,
        workspace: &Workspace,
        key: &Secret<String>,
    ) -> Result<AdminKey, AccessError> {
        let text = key.expose();
        if text.chars().count() < 8 || text.chars().any(|it| it.is_whitespace() || it.is_control())
        {
            return Err(AccessError::WeakAdminKey);
        }
        let organization = workspace.organization_id;
        let id = ApiKeyId::from_uuid(Uuid::new_v5(&organization.uuid(), b"admin key"));
        let found = self.keys.find(&Within(organization), id).await.map_err(AccessError::Store)?;
        let (hash, prefix) = (KeyHash::of(key), ApiKey::visible_prefix(key));
        let now = self.world.now();
        let (change, kept, outcome) = match found {
            Some(kept) if kept.hash == hash && kept.deleted_at.is_some() => {
                return Ok(AdminKey::Revoked);
            }
            Some(kept) if kept.hash == hash => return Ok(AdminKey::Kept),
            Some(old) => {
                let kept = ApiKey { hash, prefix, updated_at: now, deleted_at: None, ..old };
                (Change::Update(kept.clone()), kept, AdminKey::Replaced)
            }
            None => {
                let kept = ApiKey {
                    id,
                    revision: Revision::FIRST,
                    organization_id: organization,
                    person_id: None,
                    name: "Platform admin".parse().map_err(unnamed)?,
                    prefix,
                    hash,
                    permissions: Role::Admin.permissions(),
                    workspaces: BTreeSet::new(),
                    expires_at: None,
                    last_used_at: None,
                    created_at: now,
                    updated_at: now,
                    deleted_at: None,
                };
                (Change::Insert(kept.clone()), kept, AdminKey::Made)
            }
        };
        let call = Call {
            caller: Caller::system(organization, Visible::only(workspace.id)),
            ip_address: None,
            trace_id: self.world.uuid().to_string(),
            claim: None,
        };
        let act = Act::new(match outcome {
            AdminKey::Made => "api_key.created",
            AdminKey::Kept | AdminKey::Replaced | AdminKey::Revoked => "api_key.updated",
        });
        let receipt = call.receipt(act, &kept, AuditEventId::from_uuid(self.world.uuid()), now);
        self.keys.write(&[change], &receipt).await.map_err(AccessError::Store)?;
        self.sessions.clear();
        Ok(outcome)
    }

    async fn session(&self, hash: &KeyHash) -> Result<Arc<Session>, AccessError> {
        let now = self.world.now();
        let era = match self.sessions.get(hash, now) {
            Ok(session) => return Ok(session),
            Err(era) => era,
        };
        let key = self.store.key(hash).await.map_err(AccessError::Store)?;
        let key = key.filter(|it| it.is_valid(now)).ok_or(AccessError::Unauthenticated)?;
        let session = Arc::new(self.open(&key).await?);
        if self.sessions.put(hash.clone(), Arc::clone(&session), era, now) {
            self.touch(key, now);
        }
        Ok(session)
    }

    /// What `key` stands for.
    async fn open(&self, key: &ApiKey) -> Result<Session, AccessError> {
        let organization = key.organization_id;
        let workspaces = self.store.workspaces(organization).await.map_err(AccessError::Store)?;
        let mut permissions = key.permissions.clone();
        let mut allowed: Vec<WorkspaceId> = workspaces.iter().map(|it| it.id).collect();
        if !key.workspaces.is_empty() {
            permissions.remove(&Permission::OrgAdmin);
            allowed.retain(|it| key.workspaces.contains(it));
        }
        let mut actor = Actor::ApiKey(key.id);
        if let Some(id) = key.person_id {
            let owner = self.store.person(organization, id).await.map_err(AccessError::Store)?;
            let owner = owner.ok_or(AccessError::Unauthenticated)?;
            permissions = &permissions & &owner.role.permissions();
            if owner.role != Role::Admin {
                allowed.retain(|it| owner.workspaces.contains(it));
            }
            actor = Actor::Person(id);
        }
        let expires_at = key.expires_at;
        Ok(Session { actor, organization, permissions, workspaces, allowed, expires_at })
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
}

/// The name is part of this program, so that this does not happen.
fn unnamed(error: InvalidText) -> AccessError {
    AccessError::Store(StoreError::Corrupt(error.into()))
}

/// Where a caller acts who may act in `allowed`, and what they see from there: all below it too.
fn choose(
    all: &[Workspace],
    allowed: &[WorkspaceId],
    chosen: Option<&str>,
) -> Result<Visible, AccessError> {
    let mut allowed = all.iter().filter(|it| allowed.contains(&it.id));
    let workspace = match chosen {
        None => allowed.next().ok_or(AccessError::NoWorkspace)?,
        Some(name) => {
            let id = name.parse().ok();
            let named = allowed.find(|it| Some(it.id) == id || it.slug.as_str() == name);
            named.ok_or(AccessError::WorkspaceNotFound)?
        }
    };
    let workspaces = Workspace::descendants(all, workspace.id);
    Ok(Visible { workspace: workspace.id, workspaces })
}

#[cfg(test)]
mod tests;
