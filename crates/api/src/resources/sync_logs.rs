//! `/v1/workspace-connector-sync-logs`: runs of syncs.

use linkspan_app::Records;
use linkspan_domain::{
    Attribute, EntityCounts, Resource, Revision, RunCounts, RunStatus, StreamName, SyncLog,
    SyncLogId, SyncMode, Trigger, WorkspaceConnectorId, WorkspaceId,
};
use poem_openapi::{OpenApi, registry::MetaSchema};
use time::OffsetDateTime;

use super::Tag;
use crate::{
    App,
    answer::{Collection, Document, Events},
    include::Found,
    problem::Failure,
    request::{Acting, Following, Listing, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
    schema::{Schema, object, property},
};

/// The operations.
#[derive(Default)]
pub(crate) struct SyncLogs;

#[OpenApi(prefix_path = "/v1/workspace-connector-sync-logs", tag = "Tag::Activations")]
impl SyncLogs {
    /// List sync logs
    #[oai(path = "/", method = "get", operation_id = "list_workspace_connector_sync_logs")]
    async fn list(&self, request: Listing<SyncLog>) -> Result<Collection<SyncLog>, Failure> {
        request.answer().await
    }

    /// Stop a sync
    ///
    /// A run that waits ends at once. One at work stores what it has at hand and ends in a few seconds: follow the sync log
    /// that is answered.
    #[oai(
        path = "/:id/cancel",
        method = "post",
        operation_id = "cancel_workspace_connector_sync_log"
    )]
    async fn cancel(
        &self,
        request: Acting<SyncLog, Document<SyncLog, 202>>,
    ) -> Result<Document<SyncLog, 202>, Failure> {
        let Acting { call, context, id, view, .. } = request;
        let run = context.app.syncs.cancel(&call, id).await?;
        Document::of(&context, &call.caller, &view, &run).await
    }

    /// Have a sync go on
    ///
    /// Starts a run that goes on where this one broke off, with what was asked of it: streams that it read in full are not read
    /// again, nor are the parts of others that it kept. Only the last run of an activation goes on, and only if it ended in
    /// error, within the last seven days. The answer is the new run, whose `trigger_type` is `resume`.
    #[oai(
        path = "/:id/resume",
        method = "post",
        operation_id = "resume_workspace_connector_sync_log"
    )]
    async fn resume(
        &self,
        request: Acting<SyncLog, Document<SyncLog, 202>>,
    ) -> Result<Document<SyncLog, 202>, Failure> {
        let Acting { call, context, id, view, .. } = request;
        let run = context.app.syncs.resume(&call, id).await?;
        Document::of(&context, &call.caller, &view, &run).await
    }

    /// Follow a run
    ///
    /// Server-sent events, whatever `Accept` says. First `state`, with the sync log as it is read; then what happens:
    /// `started`, `stream_started`, `advanced`, `retrying`, `stream_finished`, `stream_failed`; and `ended` last, after which
    /// there is nothing to come back for. Each has JSON as its data. Of a run that another process works on there is a new
    /// `state` where it has changed. When the server stops, the events end without `ended`: come back then.
    #[oai(
        path = "/:id/events",
        method = "get",
        operation_id = "follow_workspace_connector_sync_log"
    )]
    async fn events(&self, request: Following<SyncLog>) -> Result<Events, Failure> {
        let Following { call, context, id } = request;
        Ok(Events::of(context.app.run_watch.follow(&call.caller, id).await?))
    }

    /// Get a sync log
    #[oai(path = "/:id", method = "get", operation_id = "get_workspace_connector_sync_log")]
    async fn get(&self, request: Reading<SyncLog>) -> Result<Document<SyncLog>, Failure> {
        request.answer().await
    }
}

attributes! { SyncLog, |it| {
    /// The same as `id`.
    workspace_connector_sync_log_id: SyncLogId = it.id;
    /// Of which activation.
    workspace_connector_id: WorkspaceConnectorId = it.workspace_connector_id;
    /// In which workspace.
    workspace_id: WorkspaceId = it.workspace_id;
    /// How far it is.
    status: RunStatus = it.status;
    /// What started it.
    trigger_type: Trigger = it.trigger_type;
    /// What it reads: what changed since the last run, or everything.
    mode: SyncMode = it.mode;
    /// The streams asked for. Empty: all.
    streams: Vec<StreamName> = &it.streams;
    /// What it did so far.
    counts: RunCounts = it.counts;
    /// What its mappings did so far.
    entities: EntityCounts = it.entities;
    /// How long it took, in milliseconds.
    duration_ms: Option<i64> = it.duration_ms();
    /// What machines call what went wrong.
    error_code: Option<String> = &it.error_code;
    /// What went wrong, for people.
    error: Option<String> = &it.error;
    /// When work on it began.
    started_at: Option<OffsetDateTime> = maybe_instant(it.started_at);
    /// When it ended.
    completed_at: Option<OffsetDateTime> = maybe_instant(it.completed_at);
    /// When it was triggered.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
} }

impl Schema for EntityCounts {
    fn schema() -> MetaSchema {
        let properties = vec![
            property::<u64>("written", "Entities inserted, or changed."),
            property::<u64>("unchanged", "Entities mapped to what they were."),
            property::<u64>(
                "deleted",
                "Entities whose records are gone, or no longer become them.",
            ),
            property::<u64>("failed", "Records that a mapping failed on."),
        ];
        object(properties, &["written", "unchanged", "deleted", "failed"])
    }
}

impl Schema for RunCounts {
    fn schema() -> MetaSchema {
        let properties = vec![
            property::<u64>("read", "Records read from the source."),
            property::<u64>("written", "Records inserted, or changed."),
            property::<u64>("unchanged", "Records seen before, with the same content."),
            property::<u64>("deleted", "Records gone from the source."),
            property::<u64>("quarantined", "Records kept aside, since they could not be stored."),
            property::<u64>("bytes", "The size of what was read, as JSON, in bytes."),
        ];
        object(properties, &["read", "written", "unchanged", "deleted", "quarantined", "bytes"])
    }
}

impl Shown for SyncLog {
    const TYPE: &'static str = "workspace_connector_sync_log";
    const NAME: &'static str = "SyncLog";
    const PATH: Option<&'static str> = Some("/v1/workspace-connector-sync-logs");
    const RELATIONSHIPS: &'static [Relationship] = &[
        Relationship::one("workspace_connector", "workspace_connector"),
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
            _ => Related::one(self.workspace_id),
        }
    }
}

impl Kept for SyncLog {
    fn records(app: &App) -> &Records<Self> {
        app.syncs.records()
    }
}
