//! How mappings, their versions and what came of trying them are shown.

use linkspan_app::{DryRunRow, DryRunRows, Records, Suggested, SuggestedField, SuggestedMapping};
use linkspan_domain::{
    Attribute, Confidence, ConnectorMapping, ConnectorMappingId, MappingCounts, MappingOrigin,
    MappingStatus, MappingVersion, OnCollapse, Resource, Revision, StreamName, TargetModel,
    UnmappedRecord, WorkspaceConnectorId, WorkspaceId,
};
use poem_openapi::registry::MetaSchema;
use serde_json::{Value, json};
use strum::VariantNames;
use time::OffsetDateTime;

use crate::{
    App,
    include::Found,
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
    schema::{Schema, object, one_of, property},
};

attributes! { ConnectorMapping, |it| {
    /// The same as `id`.
    connector_mapping_id: ConnectorMappingId = it.id;
    /// Of which activation.
    workspace_connector_id: WorkspaceConnectorId = it.workspace_connector_id;
    /// In which workspace.
    workspace_id: WorkspaceId = it.workspace_id;
    /// Of which stream.
    stream: StreamName = &it.stream;
    /// What the records become.
    target_model: TargetModel = it.target_model;
    /// The JSONata expression: what it gives for a record is an object of the model, several, or nothing.
    expression: String = &it.expression;
    /// The number of this wording, from 1.
    version: u64 = it.version;
    /// Where this wording comes from.
    origin: MappingOrigin = it.origin;
    /// How sure the proposal was, from 0 to 1, if it was proposed.
    confidence: Option<Confidence> = it.confidence;
    /// Whether runs use it.
    status: MappingStatus = it.status;
    /// Whether somebody should look at it: the stream is not what it was, or the wording before did better.
    needs_regeneration: bool = it.needs_regeneration;
    /// What happens when a new wording persists far fewer records than the one before. `revert`: that one comes back. `keep`:
    /// the new one stays, since it is meant to leave records out.
    on_collapse: OnCollapse = it.on_collapse;
    /// How many entities the last run with this wording wrote.
    last_persist_count: u64 = it.last_persist_count;
    /// When it was made.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
    /// When it was deleted.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.deleted_at);
} }

impl Shown for ConnectorMapping {
    const TYPE: &'static str = "connector_mapping";
    const NAME: &'static str = "ConnectorMapping";
    const PATH: Option<&'static str> = Some("/v1/connector-mappings");
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

impl Kept for ConnectorMapping {
    fn records(app: &App) -> &Records<Self> {
        app.mappings.records()
    }
}

/// What is shown below others has neither place nor relationships of its own.
macro_rules! shown_below {
    ($kind:ty, $type:literal, $name:literal, |$it:ident| $key:expr) => {
        impl Shown for $kind {
            const TYPE: &'static str = $type;
            const NAME: &'static str = $name;
            const PATH: Option<&'static str> = None;
            const RELATIONSHIPS: &'static [Relationship] = &[];
            const LISTED: &'static [Attribute] = &[];
            const HAS_UUID: bool = false;

            fn key(&self) -> Key {
                let $it = self;
                Key::Text($key)
            }

            fn revision(&self) -> Revision {
                Revision::FIRST
            }

            fn related(&self, _: &str, _: &Found) -> Related {
                Related::One(None)
            }
        }
    };
}

attributes! { MappingVersion, |it| {
    /// Of which mapping.
    connector_mapping_id: ConnectorMappingId = it.connector_mapping_id;
    /// Its number, from 1.
    version: u64 = it.version;
    /// The JSONata expression.
    expression: String = &it.expression;
    /// Where it comes from.
    origin: MappingOrigin = it.origin;
    /// How sure the proposal was, from 0 to 1, if it was proposed.
    confidence: Option<Confidence> = it.confidence;
    /// What it did so far.
    counts: MappingCounts = it.counts;
    /// When it was made.
    created_at: OffsetDateTime = instant(it.created_at);
} }

shown_below!(MappingVersion, "connector_mapping_version", "ConnectorMappingVersion", |it| {
    format!("{}:{}", it.connector_mapping_id, it.version)
});

impl Schema for MappingCounts {
    fn schema() -> MetaSchema {
        let properties = vec![
            property::<u64>("mapped", "Records given to it."),
            property::<u64>("persisted", "Records that became at least one entity."),
            property::<u64>("failed", "Records that it failed on."),
        ];
        object(properties, &["mapped", "persisted", "failed"])
    }
}

attributes! { UnmappedRecord, |it| {
    /// Names the record within its stream.
    record_key: String = &it.key;
    /// What went wrong.
    reason: String = &it.reason;
    /// When it first went wrong.
    first_seen_at: OffsetDateTime = instant(it.first_seen_at);
    /// When it last went wrong.
    last_seen_at: OffsetDateTime = instant(it.last_seen_at);
} }

shown_below!(UnmappedRecord, "unmapped_record", "UnmappedRecord", |it| it.position.to_string());

attributes! { DryRunRows, |it| {
    /// What the records become.
    target_model: TargetModel = it.target_model;
    /// How many records can be mapped.
    mapped: u64 = it.rows.iter().filter(|it| it.error.is_none()).count();
    /// How many cannot.
    failed: u64 = it.rows.iter().filter(|it| it.error.is_some()).count();
    /// The records, in their order.
    rows: Vec<DryRunRow> = it.rows.iter().map(row).collect::<Vec<_>>();
} }

shown_below!(DryRunRows, "connector_mapping_dry_run", "ConnectorMappingDryRun", |it| {
    it.target_model.to_string()
});

fn row(row: &DryRunRow) -> Value {
    let DryRunRow { record_key, objects, error } = row;
    json!({ "record_key": record_key, "objects": objects, "error": error })
}

impl Schema for DryRunRow {
    fn schema() -> MetaSchema {
        let properties = vec![
            property::<Option<String>>(
                "record_key",
                "Names the record within its stream, if it is of one.",
            ),
            property::<Vec<Value>>("objects", "What it becomes."),
            property::<Option<String>>("error", "Why it cannot be mapped."),
        ];
        object(properties, &["record_key", "objects", "error"])
    }
}

attributes! { SuggestedMapping, |it| {
    /// Of which activation.
    workspace_connector_id: WorkspaceConnectorId = it.workspace_connector_id;
    /// Of which stream.
    stream: StreamName = &it.stream;
    /// What the records become.
    target_model: TargetModel = it.target_model;
    /// The JSONata expression.
    expression: String = &it.expression;
    /// How sure it is, from 0 to 1.
    confidence: Confidence = it.confidence;
    /// What became of it. `kept`: there is a mapping already, which stays as it is.
    outcome: Suggested = <&str>::from(it.outcome);
    /// The mapping of the stream to the model, if there is one now.
    connector_mapping_id: Option<ConnectorMappingId> = it.connector_mapping_id;
    /// What fills which field.
    fields: Vec<SuggestedField> = it.fields.iter().map(field).collect::<Vec<_>>();
    /// The fields that the model requires and nothing fills.
    missing: Vec<String> = &it.missing;
} }

shown_below!(SuggestedMapping, "suggested_mapping", "SuggestedMapping", |it| {
    format!("{}:{}:{}", it.workspace_connector_id, it.target_model, it.stream)
});

fn field(field: &SuggestedField) -> Value {
    let SuggestedField { field, sources, confidence } = field;
    json!({ "field": field, "sources": sources, "confidence": confidence })
}

impl Schema for Suggested {
    fn schema() -> MetaSchema {
        one_of(Self::VARIANTS)
    }
}

impl Schema for SuggestedField {
    fn schema() -> MetaSchema {
        let properties = vec![
            property::<String>("field", "The field of the model."),
            property::<Vec<String>>(
                "sources",
                "The path in the record, or several that are joined.",
            ),
            property::<Confidence>("confidence", "How sure it is, from 0 to 1."),
        ];
        object(properties, &["field", "sources", "confidence"])
    }
}
