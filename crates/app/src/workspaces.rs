//! Workspaces: the tree that tenancy follows.

use std::sync::Arc;

use linkspan_domain::{
    Call, ListQuery, Name, PageRequest, Resource, Revision, Slug, Visible, Workspace,
    WorkspaceConnector, WorkspaceId,
    ports::{AccessStore, FileStore, Store, World},
};

use crate::{Patch, RecordError, Records, Sessions, Writable, records::require_live};

/// The workspaces of an organization. Callers read those they see; admins read and write all.
pub struct Workspaces {
    records: Records<Workspace>,
    access: Arc<dyn AccessStore>,
    activations: Arc<dyn Store<WorkspaceConnector>>,
    files: Arc<dyn FileStore>,
    sessions: Arc<Sessions>,
    world: Arc<dyn World>,
}

/// What a new workspace is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NewWorkspace {
    pub name: Name,
    pub slug: Slug,
    pub parent_id: Option<WorkspaceId>,
    pub external_workspace_id: Option<String>,
}

/// What changes about a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct WorkspacePatch {
    pub name: Option<Name>,
    pub slug: Option<Slug>,
    pub parent_id: Patch<WorkspaceId>,
    pub external_workspace_id: Patch<String>,
}

impl Workspaces {
    /// The workspaces that `store` keeps.
    pub fn new(
        store: Arc<dyn Store<Workspace>>,
        access: Arc<dyn AccessStore>,
        activations: Arc<dyn Store<WorkspaceConnector>>,
        files: Arc<dyn FileStore>,
        sessions: Arc<Sessions>,
        world: Arc<dyn World>,
    ) -> Self {
        let records = Records::new(store, Arc::clone(&world));
        Self { records, access, activations, files, sessions, world }
    }

    /// The workspaces, for reading.
    pub const fn records(&self) -> &Records<Workspace> {
        &self.records
    }

    /// Adds a workspace.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn create(&self, call: &Call, new: NewWorkspace) -> Result<Workspace, RecordError> {
        call.caller.require(Workspace::WRITE)?;
        let NewWorkspace { name, slug, parent_id, external_workspace_id } = new;
        if let Some(parent) = parent_id {
            require_live(&self.records, &call.caller, parent, "parent").await?;
        }
        let now = self.world.now();
        let workspace = Workspace {
            id: WorkspaceId::from_uuid(self.world.uuid()),
            revision: Revision::FIRST,
            organization_id: call.caller.organization,
            parent_id,
            name,
            slug,
            external_workspace_id,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        self.forgetting(self.records.insert(call, workspace).await)
    }

    /// Changes a workspace.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn update(
        &self,
        call: &Call,
        id: WorkspaceId,
        expected: Option<Revision>,
        patch: WorkspacePatch,
    ) -> Result<Workspace, RecordError> {
        call.caller.require(Workspace::WRITE)?;
        let WorkspacePatch { name, slug, parent_id, external_workspace_id } = patch;
        if let Some(parent) = parent_id.set() {
            require_live(&self.records, &call.caller, *parent, "parent").await?;
            if self.below(call, id).await?.contains(parent) {
                let reason = "must not be the workspace itself or one below it".to_owned();
                return Err(RecordError::Invalid { attribute: "parent_id", reason });
            }
        }
        let updated = self.records.update(call, id, expected, |it, changes| {
            changes.set("name", &mut it.name, name);
            changes.set("slug", &mut it.slug, slug);
            changes.patch("parent_id", &mut it.parent_id, parent_id);
            let external = &mut it.external_workspace_id;
            changes.patch("external_workspace_id", external, external_workspace_id);
            Ok(())
        });
        self.forgetting(updated.await)
    }

    /// Soft-deletes a workspace that is empty: nothing below it, nothing connected in it.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn delete(
        &self,
        call: &Call,
        id: WorkspaceId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        // Asked first, so that the reasons below tell nothing to those who may not know.
        self.records.live(call, id, expected).await?;
        let in_use =
            |reason| RecordError::InUse { resource: Workspace::TYPE, id: id.to_string(), reason };
        if call.caller.visible.workspace == id {
            return Err(in_use("this call acts in it; act in another workspace to delete it"));
        }
        if self.below(call, id).await?.len() > 1 {
            return Err(in_use("there are workspaces below it; move or delete them first"));
        }
        let one = ListQuery { page: PageRequest::default(), ..ListQuery::default() };
        let connected = self.activations.list(&Visible::only(id), &one).await;
        let connected = connected.map_err(RecordError::reading(WorkspaceConnector::TYPE))?;
        if connected.total > 0 {
            return Err(in_use("there are activations in it; delete them first"));
        }
        self.forgetting(self.records.delete(call, id, expected).await)
    }

    /// Brings a deleted workspace back, if the one above it is there.
    pub async fn restore(
        &self,
        call: &Call,
        id: WorkspaceId,
        expected: Option<Revision>,
    ) -> Result<Workspace, RecordError> {
        let workspace = self.records.deleted(call, id, expected).await?;
        if let Some(parent) = workspace.parent_id {
            require_live(&self.records, &call.caller, parent, "parent").await?;
        }
        self.forgetting(self.records.restore(call, id, expected).await)
    }

    /// Removes a deleted workspace for good, and the bytes of its files with it.
    pub async fn purge(
        &self,
        call: &Call,
        id: WorkspaceId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.forgetting(self.records.purge(call, id, expected).await)?;
        if let Err(error) = self.files.remove_all(id).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                %id,
                "the bytes of files are still there, though their workspace is not"
            );
        }
        Ok(())
    }

    /// `root` and the workspaces below it.
    async fn below(&self, call: &Call, root: WorkspaceId) -> Result<Vec<WorkspaceId>, RecordError> {
        let all = self.access.workspaces(call.caller.organization).await;
        let all = all.map_err(RecordError::reading(Workspace::TYPE))?;
        Ok(Workspace::descendants(&all, root))
    }

    /// Who sees what depends on the tree.
    fn forgetting<T>(&self, done: Result<T, RecordError>) -> Result<T, RecordError> {
        self.sessions.clear();
        done
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{Role, ports::MockAccessStore};

    use super::*;
    use crate::fixtures::{NOW, Shelf, activation, call, code, id, keep, workspace, world};

    /// 1 above 2 above 3; 4 on its own, 5 deleted below 6, which is not there.
    fn workspaces(connected: Vec<WorkspaceConnector>) -> Workspaces {
        let live = vec![
            workspace(1, None),
            workspace(2, Some(1)),
            workspace(3, Some(2)),
            workspace(4, None),
        ];
        let mut kept = live.clone();
        kept.push(Workspace { deleted_at: Some(NOW), ..workspace(5, Some(6)) });
        let mut access = MockAccessStore::new();
        access.expect_workspaces().returning(move |_| Ok(live.clone()));
        let connected = keep(connected).store;
        let files = Arc::new(Shelf::default());
        Workspaces::new(
            keep(kept).store,
            Arc::new(access),
            connected,
            files,
            Arc::default(),
            world(),
        )
    }

    async fn move_to(number: u128, parent: u128) -> String {
        let patch =
            WorkspacePatch { parent_id: Patch::Set(id(parent)), ..WorkspacePatch::default() };
        code(workspaces(Vec::new()).update(&call(Role::Admin), id(number), None, patch).await)
    }

    #[tokio::test]
    async fn the_tree_has_no_loops_and_no_loose_ends() {
        assert_eq!(move_to(2, 4).await, "ok");
        assert_eq!(move_to(1, 1).await, "resource.invalid");
        assert_eq!(move_to(1, 3).await, "resource.invalid");
        assert_eq!(move_to(4, 9).await, "resource.dangling");
        assert_eq!(move_to(4, 5).await, "resource.dangling");
    }

    #[tokio::test]
    async fn only_what_is_empty_and_not_in_use_is_deleted() {
        let delete = async |number: u128, connected| {
            code(workspaces(connected).delete(&call(Role::Admin), id(number), None).await)
        };
        assert_eq!(delete(4, Vec::new()).await, "ok");
        assert_eq!(delete(4, vec![activation(|_| {})]).await, "resource.dangling");
        assert_eq!(delete(2, Vec::new()).await, "resource.dangling", "3 is below it");
        assert_eq!(delete(1, Vec::new()).await, "resource.dangling", "the call acts in it");
        assert_eq!(delete(9, Vec::new()).await, "resource.not_found");
    }

    #[tokio::test]
    async fn a_new_workspace_belongs_to_the_callers_organization() {
        let new = |parent_id| NewWorkspace {
            name: "New".parse().unwrap(),
            slug: "new".parse().unwrap(),
            parent_id,
            external_workspace_id: None,
        };
        let (it, call) = (workspaces(Vec::new()), call(Role::Admin));
        let made = it.create(&call, new(Some(id(3)))).await.unwrap();
        assert_eq!((made.organization_id, made.parent_id), (call.caller.organization, Some(id(3))));
        assert_eq!(code(it.create(&call, new(Some(id(9)))).await), "resource.dangling");
    }

    #[tokio::test]
    async fn what_hung_below_a_deleted_workspace_stays_deleted() {
        let restored = workspaces(Vec::new()).restore(&call(Role::Admin), id(5), None).await;
        assert_eq!(code(restored), "resource.dangling");
    }
}
