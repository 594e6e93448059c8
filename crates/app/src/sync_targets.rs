//! Sync targets: who receives what activations bring in.

use std::sync::Arc;

use linkspan_domain::{
    Call, Revision, SyncTarget, SyncTargetId, Workspace, WorkspaceConnector, WorkspaceConnectorId,
    WorkspaceId,
    ports::{Store, World},
};

use crate::{RecordError, Records, Writable, records::require_live};

/// The workspaces that receive what activations bring in.
///
/// Managers write those of the activations of the workspace they act in. A workspace receives only what those send who see it: the
/// one of the activation, those below it, and to admins all of the organization.
pub struct SyncTargets {
    records: Records<SyncTarget>,
    activations: Records<WorkspaceConnector>,
    workspaces: Records<Workspace>,
    world: Arc<dyn World>,
}

/// What a new target is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the target says what they are")]
pub struct NewSyncTarget {
    pub workspace_connector_id: WorkspaceConnectorId,
    pub target_workspace_id: WorkspaceId,
}

impl SyncTargets {
    /// The targets that `store` keeps.
    pub fn new(
        store: Arc<dyn Store<SyncTarget>>,
        activations: Arc<dyn Store<WorkspaceConnector>>,
        workspaces: Arc<dyn Store<Workspace>>,
        world: Arc<dyn World>,
    ) -> Self {
        Self {
            records: Records::new(store, Arc::clone(&world)),
            activations: Records::new(activations, Arc::clone(&world)),
            workspaces: Records::new(workspaces, Arc::clone(&world)),
            world,
        }
    }

    /// The targets, for reading.
    pub const fn records(&self) -> &Records<SyncTarget> {
        &self.records
    }

    /// Adds a target. What was mapped before is written to it with the next run.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn create(&self, call: &Call, new: NewSyncTarget) -> Result<SyncTarget, RecordError> {
        call.caller.require(SyncTarget::WRITE)?;
        let NewSyncTarget { workspace_connector_id, target_workspace_id } = new;
        let (caller, activation) = (&call.caller, workspace_connector_id);
        let activation =
            require_live(&self.activations, caller, activation, "workspace_connector").await?;
        let now = self.world.now();
        let target = SyncTarget {
            id: SyncTargetId::from_uuid(self.world.uuid()),
            revision: Revision::FIRST,
            workspace_connector_id,
            workspace_id: activation.workspace_id,
            target_workspace_id,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        target.guard(caller)?;
        self.require_target(call, target_workspace_id).await?;
        self.records.insert(call, target).await
    }

    /// Soft-deletes a target. The entities that it received are withdrawn soon after.
    pub async fn delete(
        &self,
        call: &Call,
        id: SyncTargetId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.records.delete(call, id, expected).await
    }

    /// Brings a deleted target back, to be written to with the next run.
    pub async fn restore(
        &self,
        call: &Call,
        id: SyncTargetId,
        expected: Option<Revision>,
    ) -> Result<SyncTarget, RecordError> {
        let target = self.records.deleted(call, id, expected).await?;
        self.require_target(call, target.target_workspace_id).await?;
        self.records.restore(call, id, expected).await
    }

    /// Removes a deleted target for good.
    pub async fn purge(
        &self,
        call: &Call,
        id: SyncTargetId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.records.purge(call, id, expected).await
    }

    async fn require_target(&self, call: &Call, id: WorkspaceId) -> Result<(), RecordError> {
        require_live(&self.workspaces, &call.caller, id, "target_workspace").await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{OrganizationId, Role, ports::Change};

    use super::*;
    use crate::fixtures::{
        NOW, activation, call, code, id, keep, lower_workspace, organization, own_workspace, world,
    };

    fn workspace(workspace: WorkspaceId, organization_id: OrganizationId) -> Workspace {
        Workspace {
            id: workspace,
            revision: Revision::FIRST,
            organization_id,
            parent_id: None,
            name: "It".to_owned().try_into().unwrap(),
            slug: "it".to_owned().try_into().unwrap(),
            external_workspace_id: None,
            created_at: NOW,
            updated_at: NOW,
            deleted_at: None,
        }
    }

    #[tokio::test]
    async fn a_workspace_receives_only_from_those_who_see_it() {
        for (target, role, expected) in [
            (own_workspace(), Role::Designer, "ok"),
            (lower_workspace(), Role::Designer, "ok"),
            (id(3), Role::Designer, "resource.dangling"),
            (id(3), Role::Admin, "ok"),
            (own_workspace(), Role::Analyst, "permission.denied"),
        ] {
            let kept = keep(Vec::<SyncTarget>::new());
            let targets = SyncTargets::new(
                kept.store.clone(),
                keep(vec![activation(|_| {})]).store,
                keep(vec![workspace(target, organization())]).store,
                world(),
            );
            let new = NewSyncTarget { workspace_connector_id: id(30), target_workspace_id: target };
            let made = targets.create(&call(role), new).await;
            assert_eq!(code(made), expected, "{role} {target}");
            if expected == "ok" {
                let Change::Insert(made) = kept.change() else { panic!("it is not added") };
                assert_eq!(
                    (made.workspace_id, made.target_workspace_id),
                    (own_workspace(), target)
                );
            }
        }
    }
}
