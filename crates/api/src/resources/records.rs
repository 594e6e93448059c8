//! `/v1/records`: what syncs brought in.

use linkspan_app::{Choice, Find};
use linkspan_domain::{
    Attribute, Condition, Deleted, PageSize, Revision, StreamName, SyncLogId, WorkspaceConnectorId,
};
use linkspan_sdk::{ChangeKind, FeedChange, FeedPosition, FoundRecord, Record, SearchPosition};
use poem_openapi::{OpenApi, registry::MetaSchema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use time::OffsetDateTime;

use super::{
    Tag,
    quarantine::{self, ShownQuarantined},
};
use crate::{
    answer::Sequence,
    body::{self, Plain, PlainBody},
    cursor::Scope,
    document::Sequel,
    include::Found,
    problem::Failure,
    request::{Continuing, Querying},
    resource::{Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
    schema::{Schema, inline, object, one_of, open_object, property},
};

/// The operations.
#[derive(Default)]
pub(crate) struct Operations;

/// A record, and its place in what was looked through.
pub(crate) struct ShownRecord(FoundRecord);

/// A change of a record, and the cursor behind it.
pub(crate) struct ShownChange {
    change: FeedChange,
    cursor: String,
}

#[OpenApi(prefix_path = "/v1/records", tag = "Tag::Data")]
impl Operations {
    /// Follow the changes of records
    ///
    /// All that was added, updated and deleted in the workspace, in the order in which it became visible, without a gap
    /// whoever writes meanwhile. Begin without a cursor; go on with `meta.page.cursor`, at once while `links.next` is there,
    /// later when it is null. Of several changes of a record the last one is told: apply what was added and what was
    /// updated alike, as an upsert by activation, stream and key. A cursor is good for as long as the tombstones behind it are kept,
    /// `retention_days` of their stream: later it is refused with `page.cursor_expired`. Then begin anew, and drop what is not told.
    #[oai(path = "/changes", method = "get", operation_id = "list_record_changes")]
    async fn changes(
        &self,
        request: Continuing<ShownChange>,
    ) -> Result<Sequence<ShownChange>, Failure> {
        let Continuing { call, context, choice, size, after, path, query, .. } = request;
        let scope = Scope::of_workspace(ShownChange::TYPE, &call.caller);
        let after = after.map(|it| feed_position(&scope, &it)).transpose()?.unwrap_or_default();
        let page = context.app.data.changes(&call.caller, choice, after, size.get().into()).await?;
        let cursor = |at: &FeedPosition| scope.seal(&(at.began, at.entry, &at.key));
        let sequel = Sequel::of(page.more, cursor(&page.next));
        let changes: Vec<_> = page
            .changes
            .into_iter()
            .map(|change| ShownChange { cursor: cursor(&change.position), change })
            .collect();
        Sequence::of(&changes, |it| it.cursor.clone(), &path, &query, sequel)
    }

    /// List records that were kept aside
    ///
    /// Those of one stream that could not be stored, the oldest first, each once however often it was met: name both
    /// `filter[workspace_connector_id]` and `filter[stream]`. A full sync of the stream tries all of them again, and lets go of
    /// those that are mended or gone: `{"mode": "full", "streams": [...]}` is how to retry.
    #[oai(path = "/quarantined", method = "get", operation_id = "list_quarantined_records")]
    async fn quarantined(
        &self,
        request: Continuing<ShownQuarantined>,
    ) -> Result<Sequence<ShownQuarantined>, Failure> {
        quarantine::list(request).await
    }

    /// Look for records
    ///
    /// `where` is a condition as Hasura writes them, on the fields of the records. The database evaluates it as far as it can.
    /// A page may have fewer records than asked for, or none, and still not be the last: go on while `meta.page.cursor` is
    /// there, by sending it as `after`. What mappings made of records is looked for at `/v1/entities/query`.
    #[oai(path = "/query", method = "post", operation_id = "query_records")]
    async fn query(
        &self,
        request: Querying<Plain<RecordQuery>>,
    ) -> Result<Sequence<ShownRecord>, Failure> {
        let Querying { call, context, body: Plain(body), path, query } = request;
        let scope = Scope::of_workspace(ShownRecord::TYPE, &call.caller);
        let find = body.into_find(&scope)?;
        let page = context.app.data.find(&call.caller, find).await?;
        let cursor = |at: &SearchPosition| scope.seal(&(at.stream, &at.key));
        let sequel = page.next.map_or(Sequel::Never, |it| Sequel::Later(cursor(&it)));
        let records: Vec<_> = page.records.into_iter().map(ShownRecord).collect();
        Sequence::of(&records, |it| cursor(&it.0.position), &path, &query, sequel)
    }
}

fn feed_position(scope: &Scope, cursor: &str) -> Result<FeedPosition, Failure> {
    let position = scope.resume(cursor).map_err(|it| it.in_parameter("page[after]"));
    position.map(|(began, entry, key)| FeedPosition { began, entry, key })
}

/// What a client looks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordQuery {
    #[serde(default, rename = "where")]
    condition: Map<String, Value>,
    #[serde(default)]
    workspace_connector_id: Option<WorkspaceConnectorId>,
    #[serde(default)]
    stream: Option<StreamName>,
    #[serde(default)]
    include_deleted: bool,
    #[serde(default)]
    limit: Option<PageSize>,
    #[serde(default)]
    after: Option<String>,
}

impl RecordQuery {
    fn into_find(self, scope: &Scope) -> Result<Find, Failure> {
        let condition = condition(self.condition)?;
        let after = self.after.map(|cursor| {
            let position = scope.resume(&cursor).map_err(|it| it.at("/data/attributes/after"));
            position.map(|(stream, key)| SearchPosition { stream, key })
        });
        Ok(Find {
            choice: Choice { activation: self.workspace_connector_id, stream: self.stream },
            condition,
            deleted: if self.include_deleted { Deleted::Shown } else { Deleted::Hidden },
            after: after.transpose()?,
            limit: self.limit.unwrap_or_default().get().into(),
        })
    }
}

/// What has to hold, as `where` says it.
pub(super) fn condition(condition: Map<String, Value>) -> Result<Condition, Failure> {
    body::condition(&Value::Object(condition), "/data/attributes/where")
}

/// What `limit` may be.
pub(super) fn limit_schema() -> MetaSchema {
    MetaSchema {
        minimum: Some(1.0),
        maximum: Some(f64::from(PageSize::MAX)),
        default: Some(PageSize::default().get().into()),
        description: Some("How much a page has at most."),
        nullable: true,
        ..MetaSchema::new("integer")
    }
}

impl PlainBody for RecordQuery {
    const NAME: &'static str = "RecordQuery";
    const TYPE: &'static str = "record_query";
    const HAS_CONDITION: bool = true;

    fn schema() -> MetaSchema {
        let properties = vec![
            property::<Condition>("where", "What holds of the records. Empty: anything."),
            property::<Option<WorkspaceConnectorId>>(
                "workspace_connector_id",
                "Only records of this activation.",
            ),
            property::<Option<StreamName>>("stream", "Only records of streams of this name."),
            property::<bool>(
                "include_deleted",
                "Whether records that are gone from their source are found, too.",
            ),
            ("limit", inline(limit_schema())),
            property::<Option<String>>("after", "Only records behind this cursor."),
        ];
        object(properties, &[])
    }

    fn example() -> Option<Value> {
        Some(serde_json::json!({ "where": { "country": { "_in": ["NO", "SE"] } }, "limit": 100 }))
    }
}

/// What a record says, as it is kept.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Payload<'a>(&'a RawValue);

impl Schema for Payload<'_> {
    fn schema() -> MetaSchema {
        open_object()
    }
}

fn name(activation: WorkspaceConnectorId, stream: &StreamName, record: &Record) -> Key {
    Key::Text(format!("{activation}/{stream}/{}", record.key))
}

attributes! { ShownRecord, |it| {
    /// Of which activation.
    workspace_connector_id: WorkspaceConnectorId = it.0.activation;
    /// Of which stream.
    stream: StreamName = &it.0.stream;
    /// What names it within its stream.
    key: String = &it.0.record.key;
    /// What it says.
    payload: Payload<'_> = Payload(&it.0.record.payload);
    /// The run that last wrote it, as long as its log is kept.
    workspace_connector_sync_log_id: Option<SyncLogId> = it.0.record.run;
    /// When it was first seen.
    first_seen_at: OffsetDateTime = instant(it.0.record.first_seen_at);
    /// When it was last known to be in the source.
    last_seen_at: OffsetDateTime = instant(it.0.record.last_seen_at);
    /// Since when full syncs have not met it, if the stream keeps such records for a while.
    stale_since: Option<OffsetDateTime> = maybe_instant(it.0.record.stale_since);
    /// When it was found to be gone from the source.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.0.record.deleted_at);
} }

impl Shown for ShownRecord {
    const TYPE: &'static str = "record";
    const NAME: &'static str = "Record";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] =
        &[Relationship::one("workspace_connector", "workspace_connector")];
    const LISTED: &'static [Attribute] = &[];
    const HAS_UUID: bool = false;

    fn key(&self) -> Key {
        name(self.0.activation, &self.0.stream, &self.0.record)
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::one(self.0.activation)
    }
}

pub(super) struct KindWord;

impl Schema for KindWord {
    fn schema() -> MetaSchema {
        one_of(&[ChangeKind::Added, ChangeKind::Updated, ChangeKind::Deleted].map(ChangeKind::word))
    }
}

attributes! { ShownChange, |it| {
    /// What happened to the record.
    kind: KindWord = it.change.kind.word();
    /// Of which activation it is.
    workspace_connector_id: WorkspaceConnectorId = it.change.activation;
    /// Of which stream.
    stream: StreamName = &it.change.stream;
    /// What names it within its stream.
    key: String = &it.change.record.key;
    /// What it says now, or said at last.
    payload: Payload<'_> = Payload(&it.change.record.payload);
    /// The run that wrote it, as long as its log is kept.
    workspace_connector_sync_log_id: Option<SyncLogId> = it.change.record.run;
    /// When it was first seen.
    first_seen_at: OffsetDateTime = instant(it.change.record.first_seen_at);
    /// When it was last known to be in the source.
    last_seen_at: OffsetDateTime = instant(it.change.record.last_seen_at);
    /// Since when full syncs have not met it, if the stream keeps such records for a while.
    stale_since: Option<OffsetDateTime> = maybe_instant(it.change.record.stale_since);
    /// When it was found to be gone from the source.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.change.record.deleted_at);
} }

impl Shown for ShownChange {
    const TYPE: &'static str = "record_change";
    const NAME: &'static str = "RecordChange";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] =
        &[Relationship::one("workspace_connector", "workspace_connector")];
    const LISTED: &'static [Attribute] = &[];
    const HAS_UUID: bool = false;

    fn key(&self) -> Key {
        Key::Text(self.cursor.clone())
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::one(self.change.activation)
    }
}
