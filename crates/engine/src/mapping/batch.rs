//! Many records at once, in the background, to objects that fit their model.

use std::{fmt, sync::Arc};

use linkspan_sdk::{ContentHash, MappedObject};
use serde_json::{Map, Value};
use tokio::task::{JoinError, spawn_blocking};

use super::{InvalidMapping, Mapping, MappingFailure, ModelSchema};

/// Why a record has no objects. None of it repeats what is in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapFault {
    /// The expression has no result for it.
    Failed(MappingFailure),
    /// An object does not fit the model.
    Misfit {
        /// The field, as a JSON pointer.
        pointer: String,
        /// What is wrong with it, continuing a sentence.
        message: String,
    },
    /// An object has a text with the character NUL, which no store keeps.
    Nul,
}

/// Why nothing was mapped.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The expression cannot be a mapping.
    #[error(transparent)]
    Invalid(InvalidMapping),
    /// The evaluation broke off.
    #[error("the evaluation of the mapping broke off")]
    Broken(#[source] JoinError),
}

/// Maps records, JSON texts, with `expression` to objects of the model of `schema`, in the order of the records. Fields
/// that are null are left out of the objects.
pub async fn map_all(
    expression: String,
    schema: Arc<ModelSchema>,
    records: Vec<String>,
) -> Result<Vec<Result<Vec<MappedObject>, MapFault>>, MapError> {
    let work = move || {
        let mapping = Mapping::compile(&expression)?;
        Ok(records.iter().map(|it| map(&mapping, &schema, it)).collect())
    };
    spawn_blocking(work).await.map_err(MapError::Broken)?.map_err(MapError::Invalid)
}

fn map(
    mapping: &Mapping,
    schema: &ModelSchema,
    record: &str,
) -> Result<Vec<MappedObject>, MapFault> {
    let mapped = mapping.evaluate(record).map_err(MapFault::Failed)?;
    mapped.objects.iter().map(|it| schema.fit(it)).collect()
}

impl ModelSchema {
    /// The object that a text says, if it fits the model.
    pub(crate) fn fit(&self, text: &str) -> Result<MappedObject, MapFault> {
        let unreadable = |_| MapFault::Failed(MappingFailure::Unreadable);
        let mut object: Map<String, Value> = serde_json::from_str(text).map_err(unreadable)?;
        object.retain(|_, value| !value.is_null());
        let external_id = object.get("external_id").and_then(Value::as_str).map(str::to_owned);
        let object = Value::Object(object);
        if let Some(fault) = self.checker.faults(&object).into_iter().next() {
            return Err(MapFault::Misfit { pointer: fault.pointer, message: fault.message });
        }
        if has_nul(&object) {
            return Err(MapFault::Nul);
        }
        let payload = object.to_string();
        let hash = ContentHash::of(&payload);
        Ok(MappedObject { external_id, payload, hash })
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.values().any(has_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl fmt::Display for MapFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            Self::Misfit { pointer, message } => match pointer.trim_start_matches('/') {
                "" => write!(f, "the object {message}"),
                field => write!(f, "`{}` {message}", field.replace('/', ".")),
            },
            Self::Nul => f.write_str("a text of the object has the character NUL"),
        }
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::TargetModel;

    use super::*;
    use crate::Models;

    fn people() -> Arc<ModelSchema> {
        let models = Models::parse(include_str!("../../../../seeds/models.json")).unwrap();
        Arc::clone(models.get(TargetModel::People).unwrap())
    }

    async fn mapped(expression: &str, records: &[&str]) -> Vec<Result<Vec<String>, String>> {
        let records = records.iter().map(|it| (*it).to_owned()).collect();
        let mapped = map_all(expression.to_owned(), people(), records).await.unwrap();
        let outcome = |it: Result<Vec<MappedObject>, MapFault>| match it {
            Ok(objects) => Ok(objects.into_iter().map(|it| it.payload).collect()),
            Err(fault) => Err(fault.to_string()),
        };
        mapped.into_iter().map(outcome).collect()
    }

    #[tokio::test]
    async fn each_record_is_mapped_or_fails_by_itself() {
        let records = [
            r#"{"id":1,"mail":"ada@example.com"}"#,
            r#"{"id":2,"mail":null}"#,
            r#"{"id":3,"mail":"not one"}"#,
            r#"{"mail":"a@example.com"}"#,
            r#"{"id":"\u0000"}"#,
        ];
        let mapped = mapped(r#"{"external_id": $string(id), "email": mail}"#, &records).await;
        assert_eq!(
            mapped,
            [
                Ok(vec![r#"{"external_id":"1","email":"ada@example.com"}"#.to_owned()]),
                Ok(vec![r#"{"external_id":"2"}"#.to_owned()]),
                Err("`email` is not a valid email".to_owned()),
                Err("`external_id` is required".to_owned()),
                Err("a text of the object has the character NUL".to_owned()),
            ]
        );
    }

    #[tokio::test]
    async fn what_the_model_does_not_know_does_not_fit() {
        let mapped = mapped(r#"{"external_id": "1", "shoe_size": 42}"#, &["{}"]).await;
        assert_eq!(mapped, [Err("`shoe_size` is not a known field".to_owned())]);
        let invalid = map_all("{".to_owned(), people(), Vec::new()).await;
        assert!(matches!(invalid, Err(MapError::Invalid(_))), "{invalid:?}");
    }
}
