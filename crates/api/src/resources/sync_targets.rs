//! `/v1/workspace-connector-sync-targets`: who receives what activations bring in.

use linkspan_app::{NewSyncTarget, Records};
use linkspan_domain::{
    Attribute, Resource, Revision, SyncTarget, SyncTargetId, WorkspaceConnectorId, WorkspaceId,
};
use poem_openapi::OpenApi;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Tag;
use crate::{
    App,
    answer::{Collection, Document, Gone},
    body::{Link, New, Written},
    include::Found,
    problem::Failure,
    request::{Acting, Creating, Deleting, Listing, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
};

/// The operations.
#[derive(Default)]
pub(crate) struct SyncTargets;

#[OpenApi(prefix_path = "/v1/workspace-connector-sync-targets", tag = "Tag::Activations")]
impl SyncTargets {
    /// List sync targets
    ///
    /// The workspaces that receive what activations bring in. Each activation begins with its own.
    #[oai(path = "/", method = "get", operation_id = "list_workspace_connector_sync_targets")]
    async fn list(&self, request: Listing<SyncTarget>) -> Result<Collection<SyncTarget>, Failure> {
        request.answer().await
    }

    /// Get a sync target
    #[oai(path = "/:id", method = "get", operation_id = "get_workspace_connector_sync_target")]
    async fn get(&self, request: Reading<SyncTarget>) -> Result<Document<SyncTarget>, Failure> {
        request.answer().await
    }

    /// Create a sync target
    ///
    /// The workspace receives what the activation brings in, and with the next run what it brought in before. It has to be one
    /// that the caller sees.
    #[oai(path = "/", method = "post", operation_id = "create_workspace_connector_sync_target")]
    async fn create(
        &self,
        request: Creating<New<NewSyncTargetBody>, Document<SyncTarget, 201>>,
    ) -> Result<Document<SyncTarget, 201>, Failure> {
        let Creating { call, context, body: New(new), view, .. } = request;
        let made = context.app.sync_targets.create(&call, new.into()).await?;
        Document::of(&context, &call.caller, &view, &made).await
    }

    /// Delete a sync target
    ///
    /// The entities that the workspace received are withdrawn: soon after, they are deleted there.
    #[oai(
        path = "/:id",
        method = "delete",
        operation_id = "delete_workspace_connector_sync_target"
    )]
    async fn delete(&self, request: Deleting<SyncTarget>) -> Result<Gone, Failure> {
        let Deleting { call, context, id, expected } = request;
        context.app.sync_targets.delete(&call, id, expected).await?;
        Ok(Gone)
    }

    /// Restore a sync target
    ///
    /// Brings it back after it was deleted.
    #[oai(
        path = "/:id/restore",
        method = "post",
        operation_id = "restore_workspace_connector_sync_target"
    )]
    async fn restore(
        &self,
        request: Acting<SyncTarget, Document<SyncTarget>>,
    ) -> Result<Document<SyncTarget>, Failure> {
        let Acting { call, context, id, expected, view, .. } = request;
        let restored = context.app.sync_targets.restore(&call, id, expected).await?;
        Document::of(&context, &call.caller, &view, &restored).await
    }

    /// Purge a sync target
    ///
    /// Removes it for good after it was deleted.
    #[oai(
        path = "/:id/purge",
        method = "post",
        operation_id = "purge_workspace_connector_sync_target"
    )]
    async fn purge(&self, request: Acting<SyncTarget, Gone>) -> Result<Gone, Failure> {
        let Acting { call, context, id, expected, .. } = request;
        context.app.sync_targets.purge(&call, id, expected).await?;
        Ok(Gone)
    }
}

attributes! { SyncTarget, |it| {
    /// The same as `id`.
    workspace_connector_sync_target_id: SyncTargetId = it.id;
    /// Of which activation.
    workspace_connector_id: WorkspaceConnectorId = it.workspace_connector_id;
    /// The workspace of the activation.
    workspace_id: WorkspaceId = it.workspace_id;
    /// The workspace that receives.
    target_workspace_id: WorkspaceId = it.target_workspace_id;
    /// When it was made.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
    /// When it was deleted.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.deleted_at);
} }

impl Shown for SyncTarget {
    const TYPE: &'static str = "workspace_connector_sync_target";
    const NAME: &'static str = "SyncTarget";
    const PATH: Option<&'static str> = Some("/v1/workspace-connector-sync-targets");
    const RELATIONSHIPS: &'static [Relationship] = &[
        Relationship::one("workspace_connector", "workspace_connector"),
        Relationship::one("target_workspace", "workspace"),
        Relationship::one("workspace", "workspace"),
    ];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, name: &str, _: &Found) -> Related {
        match name {
            "workspace_connector" => Related::one(self.workspace_connector_id),
            "target_workspace" => Related::one(self.target_workspace_id),
            _ => Related::one(self.workspace_id),
        }
    }
}

impl Kept for SyncTarget {
    fn records(app: &App) -> &Records<Self> {
        app.sync_targets.records()
    }
}

/// What a new target is made of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSyncTargetBody {
    workspace_connector_id: WorkspaceConnectorId,
    target_workspace_id: WorkspaceId,
}

impl Written for NewSyncTargetBody {
    type Of = SyncTarget;
    const NAME: &'static str = "NewSyncTarget";
    const LINKS: &'static [Link] = &[
        Link {
            name: "workspace_connector",
            target: "workspace_connector",
            attribute: "workspace_connector_id",
        },
        Link { name: "target_workspace", target: "workspace", attribute: "target_workspace_id" },
    ];

    fn example() -> Option<Value> {
        Some(json!({ "data": { "type": "workspace_connector_sync_target", "attributes": {
            "workspace_connector_id": "0199a6f2-c41d-7f1b-8d5e-3c2b1a009f8e",
            "target_workspace_id": "0199a6f2-c41d-7f1b-8d5e-3c2b1a009f90",
        } } }))
    }
}

impl From<NewSyncTargetBody> for NewSyncTarget {
    fn from(body: NewSyncTargetBody) -> Self {
        let NewSyncTargetBody { workspace_connector_id, target_workspace_id } = body;
        Self { workspace_connector_id, target_workspace_id }
    }
}
