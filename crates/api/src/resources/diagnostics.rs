//! `/v1/connector-sync-diagnostics`: what runs noticed.

use linkspan_app::Records;
use linkspan_domain::{
    Attribute, Diagnostic, DiagnosticClass, DiagnosticId, DiagnosticReason, Resource, Revision,
    StreamName, SyncLogId, TargetModel, WorkspaceConnectorId, WorkspaceId,
};
use poem_openapi::OpenApi;
use time::OffsetDateTime;

use super::Tag;
use crate::{
    App,
    answer::{Collection, Document},
    include::Found,
    problem::Failure,
    request::{Listing, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant},
};

/// The operations.
#[derive(Default)]
pub(crate) struct Diagnostics;

#[OpenApi(prefix_path = "/v1/connector-sync-diagnostics", tag = "Tag::Activations")]
impl Diagnostics {
    /// List sync diagnostics
    ///
    /// What runs noticed about activations, apart from whether they succeeded. Kept for 30 days.
    #[oai(path = "/", method = "get", operation_id = "list_connector_sync_diagnostics")]
    async fn list(&self, request: Listing<Diagnostic>) -> Result<Collection<Diagnostic>, Failure> {
        request.answer().await
    }

    /// Get a sync diagnostic
    #[oai(path = "/:id", method = "get", operation_id = "get_connector_sync_diagnostic")]
    async fn get(&self, request: Reading<Diagnostic>) -> Result<Document<Diagnostic>, Failure> {
        request.answer().await
    }
}

attributes! { Diagnostic, |it| {
    /// The same as `id`.
    connector_sync_diagnostic_id: DiagnosticId = it.id;
    /// About which activation.
    workspace_connector_id: WorkspaceConnectorId = it.workspace_connector_id;
    /// In which workspace.
    workspace_id: WorkspaceId = it.workspace_id;
    /// By which run, if by one.
    workspace_connector_sync_log_id: Option<SyncLogId> = it.sync_log_id;
    /// About which stream, if about one.
    stream: Option<StreamName> = &it.stream;
    /// About which target model, if about one.
    target_model: Option<TargetModel> = it.target_model;
    /// What was noticed.
    reason: DiagnosticReason = it.reason;
    /// Whether something that the source has is not here.
    class: DiagnosticClass = it.reason.class();
    /// The same in words, with names and numbers.
    detail: String = &it.detail;
    /// When.
    created_at: OffsetDateTime = instant(it.created_at);
} }

impl Shown for Diagnostic {
    const TYPE: &'static str = "connector_sync_diagnostic";
    const NAME: &'static str = "Diagnostic";
    const PATH: Option<&'static str> = Some("/v1/connector-sync-diagnostics");
    const RELATIONSHIPS: &'static [Relationship] = &[
        Relationship::one("workspace_connector", "workspace_connector"),
        Relationship::one("workspace_connector_sync_log", "workspace_connector_sync_log"),
        Relationship::one("workspace", "workspace"),
    ];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, name: &str, _: &Found) -> Related {
        match name {
            "workspace_connector" => Related::one(self.workspace_connector_id),
            "workspace_connector_sync_log" => Related::maybe(self.sync_log_id),
            _ => Related::one(self.workspace_id),
        }
    }
}

impl Kept for Diagnostic {
    fn records(app: &App) -> &Records<Self> {
        app.diagnostics.records()
    }
}
