//! Trying expressions on records, without keeping anything.

use std::sync::Arc;

use linkspan_domain::{
    Call, ConnectorMapping, ConnectorMappingId, Deleted, Permission, StreamName, TargetModel,
    WorkspaceConnectorId,
};
use linkspan_engine::{MapFault, ModelSchema, map_all};
use linkspan_sdk::{MappedObject, Record, RecordQuery};
use serde_json::Value;

use super::{MappingError, Mappings};
use crate::RecordError;

/// What to try on which records.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRun {
    /// What to try.
    pub of: DryRunOf,
    /// Another expression in place of the mapping's.
    pub expression: Option<String>,
    /// The records. None: some of the stream.
    pub records: Option<Vec<Value>>,
}

/// What a dry run is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DryRunOf {
    /// A mapping that is kept.
    Kept(ConnectorMappingId),
    /// One that is not.
    Draft {
        /// What the records become.
        target_model: TargetModel,
        /// The stream to take records of.
        stream: Option<(WorkspaceConnectorId, StreamName)>,
    },
}

/// What came of a dry run.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRunRows {
    /// What the records become.
    pub target_model: TargetModel,
    /// The records, in their order.
    pub rows: Vec<DryRunRow>,
}

/// What one record becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRunRow {
    /// What names it within its stream, if it is of one.
    pub record_key: Option<String>,
    /// The objects.
    pub objects: Vec<Value>,
    /// Why there are none.
    pub error: Option<String>,
}

/// So many records of a stream an expression is tried on.
const SAMPLES: u32 = 20;

/// So many records a dry run takes.
const MOST_RECORDS: usize = 500;

/// What a record becomes, or why it does not.
type Outcome = Result<Vec<MappedObject>, MapFault>;

impl Mappings {
    /// Maps records and says what they become. Nothing is kept.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn dry_run(&self, call: &Call, run: DryRun) -> Result<DryRunRows, MappingError> {
        call.caller.require(Permission::ConnectorManage)?;
        let DryRun { of, expression, records } = run;
        let (target_model, stream, kept) = match of {
            DryRunOf::Kept(id) => {
                let kept = self.records.get(&call.caller, id).await?;
                let stream = (kept.workspace_connector_id, kept.stream);
                (kept.target_model, Some(stream), Some(kept.expression))
            }
            DryRunOf::Draft { target_model, stream } => (target_model, stream, None),
        };
        let expression = expression.or(kept).ok_or_else(|| invalid("expression", "is required"))?;
        let records = match (records, stream) {
            (Some(given), _) => given_records(&given)?,
            (None, Some((activation, stream))) => {
                self.activations.get(&call.caller, activation).await?;
                let samples = self.samples(activation, &stream, SAMPLES).await?;
                samples.into_iter().map(|it| (Some(it.key), it.payload.get().to_owned())).collect()
            }
            (None, None) => {
                let reason = "is required, unless workspace_connector_id and stream say whose";
                return Err(invalid("records", reason));
            }
        };
        let (keys, payloads): (Vec<_>, Vec<_>) = records.into_iter().unzip();
        let outcomes = map_all(expression, self.schema(target_model)?, payloads).await?;
        let rows = keys.into_iter().zip(outcomes).map(|(record_key, it)| row(record_key, it));
        Ok(DryRunRows { target_model, rows: rows.collect() })
    }

    /// Passes if the expression of `mapping` can be read, and fits the records that are there.
    pub(super) async fn accept(&self, mapping: &ConnectorMapping) -> Result<(), MappingError> {
        let ConnectorMapping { workspace_connector_id, stream, target_model, .. } = mapping;
        let samples = self.samples(*workspace_connector_id, stream, SAMPLES).await?;
        let outcomes = self.try_on(mapping.expression.clone(), *target_model, &samples).await?;
        let first = samples.into_iter().zip(outcomes).find_map(|(sample, outcome)| {
            outcome.err().map(|fault| MappingError::DoesNotFit { key: sample.key, fault })
        });
        first.map_or(Ok(()), Err)
    }

    /// What `samples` become.
    pub(super) async fn try_on(
        &self,
        expression: String,
        model: TargetModel,
        samples: &[Record],
    ) -> Result<Vec<Outcome>, MappingError> {
        let payloads = samples.iter().map(|it| it.payload.get().to_owned()).collect();
        Ok(map_all(expression, self.schema(model)?, payloads).await?)
    }

    /// Some records of a stream.
    pub(super) async fn samples(
        &self,
        activation: WorkspaceConnectorId,
        stream: &StreamName,
        limit: u32,
    ) -> Result<Vec<Record>, MappingError> {
        let query = RecordQuery {
            activation,
            stream: stream.clone(),
            after: None,
            limit,
            deleted: Deleted::Hidden,
        };
        self.raw.page(&query).await.map_err(MappingError::reading)
    }

    fn schema(&self, model: TargetModel) -> Result<Arc<ModelSchema>, MappingError> {
        let schema = self.models.get(model).map(Arc::clone);
        schema.ok_or_else(|| invalid("target_model", "is no model of this program"))
    }
}

fn given_records(given: &[Value]) -> Result<Vec<(Option<String>, String)>, MappingError> {
    if given.len() > MOST_RECORDS {
        return Err(invalid("records", &format!("has more than {MOST_RECORDS} items")));
    }
    Ok(given.iter().map(|it| (None, it.to_string())).collect())
}

fn row(record_key: Option<String>, outcome: Outcome) -> DryRunRow {
    match outcome {
        Ok(objects) => {
            let read = |it: MappedObject| serde_json::from_str(&it.payload).unwrap_or_default();
            let objects = objects.into_iter().map(read).collect();
            DryRunRow { record_key, objects, error: None }
        }
        Err(fault) => DryRunRow { record_key, objects: Vec::new(), error: Some(fault.to_string()) },
    }
}

pub(super) fn invalid(attribute: &'static str, reason: &str) -> MappingError {
    RecordError::Invalid { attribute, reason: reason.to_owned() }.into()
}
