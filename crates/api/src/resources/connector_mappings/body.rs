//! What clients send about mappings.

use std::collections::BTreeSet;

use linkspan_app::{
    DryRun, DryRunOf, DryRunRows, MappingPatch, NewMapping, SuggestMappings, SuggestedMapping,
};
use linkspan_domain::{
    Code, ConnectorMapping, ConnectorMappingId, MappingStatus, OnCollapse, StreamName, TargetModel,
    WorkspaceConnectorId,
};
use poem_openapi::registry::MetaSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    body::{Link, PlainBody, Written, present},
    problem::Failure,
    resource::Shown,
    schema::{object, property},
};

/// What a new mapping is made of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMappingBody {
    workspace_connector_id: WorkspaceConnectorId,
    stream: StreamName,
    target_model: TargetModel,
    expression: String,
    #[serde(default = "active")]
    status: MappingStatus,
    #[serde(default)]
    on_collapse: OnCollapse,
}

const fn active() -> MappingStatus {
    MappingStatus::Active
}

impl Written for NewMappingBody {
    type Of = ConnectorMapping;
    const NAME: &'static str = "NewConnectorMapping";
    const REQUIRED: &'static [&'static str] = &["stream", "target_model", "expression"];
    const LINKS: &'static [Link] = &[Link {
        name: "workspace_connector",
        target: "workspace_connector",
        attribute: "workspace_connector_id",
    }];

    fn example() -> Option<Value> {
        Some(json!({ "data": { "type": "connector_mapping", "attributes": {
            "workspace_connector_id": "0199a6f2-c41d-7f1b-8d5e-3c2b1a009f8e",
            "stream": "public.customers",
            "target_model": "people",
            "expression": "{ \"external_id\": $string(id), \"email\": $lowercase(email) }",
        } } }))
    }
}

impl From<NewMappingBody> for NewMapping {
    fn from(body: NewMappingBody) -> Self {
        let NewMappingBody {
            workspace_connector_id,
            stream,
            target_model,
            expression,
            status,
            on_collapse,
        } = body;
        Self { workspace_connector_id, stream, target_model, expression, status, on_collapse }
    }
}

/// What changes about a mapping.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MappingPatchBody {
    #[serde(default, deserialize_with = "present")]
    expression: Option<String>,
    #[serde(default, deserialize_with = "present")]
    status: Option<MappingStatus>,
    #[serde(default, deserialize_with = "present")]
    needs_regeneration: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    on_collapse: Option<OnCollapse>,
}

impl Written for MappingPatchBody {
    type Of = ConnectorMapping;
    const NAME: &'static str = "ConnectorMappingPatch";
}

impl From<MappingPatchBody> for MappingPatch {
    fn from(body: MappingPatchBody) -> Self {
        let MappingPatchBody { expression, status, needs_regeneration, on_collapse } = body;
        Self { expression, status, needs_regeneration, on_collapse }
    }
}

/// Which version to go back to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevertBody {
    pub(super) version: u32,
}

impl PlainBody for RevertBody {
    const NAME: &'static str = "RevertMapping";
    const TYPE: &'static str = ConnectorMapping::TYPE;

    fn schema() -> MetaSchema {
        object(vec![property::<u64>("version", "The version to go back to.")], &["version"])
    }

    fn example() -> Option<Value> {
        Some(json!({ "version": 1 }))
    }
}

/// What to try, on which records.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DryRunBody {
    connector_mapping_id: Option<ConnectorMappingId>,
    expression: Option<String>,
    target_model: Option<TargetModel>,
    workspace_connector_id: Option<WorkspaceConnectorId>,
    stream: Option<StreamName>,
    records: Option<Vec<Value>>,
}

impl DryRunBody {
    pub(super) fn read(self) -> Result<DryRun, Failure> {
        let Self { target_model, stream, .. } = self;
        let invalid = |attribute: &str, detail: &'static str| {
            Failure::new(Code::Invalid, detail).at(format!("/data/attributes/{attribute}"))
        };
        let stream = match (self.workspace_connector_id, stream) {
            (Some(activation), Some(stream)) => Some((activation, stream)),
            (None, None) => None,
            (Some(_), None) => return Err(invalid("stream", "goes with workspace_connector_id")),
            (None, Some(_)) => {
                return Err(invalid("workspace_connector_id", "goes with stream"));
            }
        };
        let of = match (self.connector_mapping_id, target_model) {
            (Some(id), None) if stream.is_none() => DryRunOf::Kept(id),
            (None, Some(target_model)) => DryRunOf::Draft { target_model, stream },
            (Some(_), _) => {
                let detail = "says model and stream already; leave those out";
                return Err(invalid("connector_mapping_id", detail));
            }
            (None, None) => {
                let detail = "is required, unless connector_mapping_id names a mapping";
                return Err(invalid("target_model", detail));
            }
        };
        Ok(DryRun { of, expression: self.expression, records: self.records })
    }
}

impl PlainBody for DryRunBody {
    const NAME: &'static str = "MappingDryRun";
    const TYPE: &'static str = DryRunRows::TYPE;

    fn schema() -> MetaSchema {
        let properties = vec![
            property::<Option<ConnectorMappingId>>(
                "connector_mapping_id",
                "The mapping to try. Without it: `target_model` and `expression` say what.",
            ),
            property::<Option<String>>(
                "expression",
                "The expression to try, in place of the mapping's.",
            ),
            property::<Option<TargetModel>>("target_model", "What the records become."),
            property::<Option<WorkspaceConnectorId>>(
                "workspace_connector_id",
                "The activation whose records to try it on.",
            ),
            property::<Option<StreamName>>("stream", "The stream whose records to try it on."),
            property::<Option<Vec<Value>>>("records", "The records to try it on: up to 500."),
        ];
        object(properties, &[])
    }

    fn example() -> Option<Value> {
        Some(json!({
            "target_model": "people",
            "expression": "{ \"external_id\": $string(id), \"full_name\": name }",
            "records": [{ "id": 1, "name": "Ada Lovelace" }],
        }))
    }
}

/// For which streams and models to suggest mappings.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SuggestBody {
    #[serde(default)]
    streams: Vec<StreamName>,
    #[serde(default)]
    target_models: BTreeSet<TargetModel>,
}

impl From<SuggestBody> for SuggestMappings {
    fn from(body: SuggestBody) -> Self {
        let SuggestBody { streams, target_models } = body;
        Self { streams, target_models }
    }
}

impl PlainBody for SuggestBody {
    const NAME: &'static str = "SuggestMappings";
    const TYPE: &'static str = SuggestedMapping::TYPE;

    fn schema() -> MetaSchema {
        let properties = vec![
            property::<Vec<StreamName>>("streams", "Which streams. Without any: all, up to 50."),
            property::<BTreeSet<TargetModel>>(
                "target_models",
                "Which models. Without any: those that the connector supports, or all.",
            ),
        ];
        object(properties, &[])
    }

    fn example() -> Option<Value> {
        Some(json!({ "target_models": ["people", "company"] }))
    }
}
