//! Who comes in, what they may do, and which workspaces they see.

mod attempts;
mod credential;
mod sessions;

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use linkspan_domain::{
    Act, Action, ApiKey, ApiKeyId, AuditEventId, Call, Caller, Code, InvalidText, KeyHash,
    OrganizationId, Problem, Revision, Role, Secret, Visible, Within, Workspace, WorkspaceId,
    ports::{AccessStore, Change, Store, StoreError, TokenError, TokenVerifier, World},
};
use uuid::Uuid;

pub use sessions::Sessions;

use self::attempts::Attempts;
use crate::records::store_code;

/// Lets callers in.
///
/// What a key or a token may do is what both it and its owner may do, in the workspaces of both. One that is limited to
/// workspaces never has `org:admin`: what admins do concerns the whole organization.
pub struct Access {
    store: Arc<dyn AccessStore>,
    keys: Arc<dyn Store<ApiKey>>,
    tokens: Arc<dyn TokenVerifier>,
    sessions: Arc<Sessions>,
    attempts: Arc<Attempts>,
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
    /// The key or token is missing, unknown, expired or revoked, or its owner left. Which of them is not told.
    #[error("the API key or token is missing or does not work; ask an admin for a new one")]
    Unauthenticated,
    /// Too many that do not work came from the same address, or begin like this one.
    #[error("too many keys or tokens that do not work came from there; try again in {seconds} s")]
    TooManyAttempts {
        /// How long to wait.
        seconds: u64,
    },
    /// There is no such workspace, or the caller has no part in it.
    #[error("there is no such workspace")]
    WorkspaceNotFound,
    /// None of the workspaces that the key or the token is made for exists any more, or its owner has a part in none of them.
    #[error("this key or token works in no workspace; ask an admin to give it, or its owner, one")]
    NoWorkspace,
    /// The admin key could be guessed.
    #[error("the admin key needs at least 8 characters, without blanks")]
    WeakAdminKey,
    /// The store failed.
    #[error("could not look up who calls")]
    Store(#[source] StoreError),
    /// The token cannot be checked now.
    #[error("could not check the token")]
    Token(#[source] TokenError),
}

impl Problem for AccessError {
    fn code(&self) -> Code {
        match self {
            Self::Unauthenticated => Code::Unauthenticated,
            Self::WorkspaceNotFound => Code::NotFound,
            Self::NoWorkspace => Code::PermissionDenied,
            Self::WeakAdminKey => Code::Invalid,
            Self::TooManyAttempts { .. } => Code::TooManyAttempts,
            Self::Store(source) => store_code(source),
            Self::Token(_) => Code::Unavailable,
        }
    }
}

impl Access {
    /// Lets in whom `store` knows, with a key or with a token that `tokens` takes. `sessions` are shared with the services that
    /// change who may do what.
    pub fn new(
        store: Arc<dyn AccessStore>,
        keys: Arc<dyn Store<ApiKey>>,
        tokens: Arc<dyn TokenVerifier>,
        sessions: Arc<Sessions>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { store, keys, tokens, sessions, attempts: Arc::default(), world }
    }

    /// Whom `bearer` stands for, in the workspace that `workspace` names by identifier or slug, else in the first one. `from` is
    /// the address that it came from, as far as it is known.
    pub async fn authenticate(
        &self,
        bearer: &Secret<String>,
        workspace: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<Caller, AccessError> {
        let session = self.session(bearer, from).await?;
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

    /// Passes if `key` can be the key of the platform's operator: it is not to be guessed.
    pub fn accept_admin_key(key: &Secret<String>) -> Result<(), AccessError> {
        let text = key.expose();
        let is_odd = |it: char| it.is_whitespace() || it.is_control();
        if text.chars().count() < 8 || text.chars().any(is_odd) {
            return Err(AccessError::WeakAdminKey);
        }
        Ok(())
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
        Self::accept_admin_key(key)?;
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
        let call = Call::of_system(organization, workspace.id, self.world.uuid().to_string());
        let act = Act::new(match outcome {
            AdminKey::Made => Action::Created,
            AdminKey::Kept | AdminKey::Replaced | AdminKey::Revoked => Action::Updated,
        });
        let receipt = call.receipt(act, &kept, AuditEventId::from_uuid(self.world.uuid()), now);
        self.keys.write(&[change], &receipt).await.map_err(AccessError::Store)?;
        self.sessions.clear();
        Ok(outcome)
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
