//! Rust types as JSON Schema 2020-12.

use linkspan_domain::ConfigSchema;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// The JSON Schema 2020-12 of `T`, in one piece without references.
///
/// Fields are in the order of the type; those that are a [`Secret`](linkspan_domain::Secret) carry `"secret": true`.
pub fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .with(|it| it.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// The schema of settings `T`.
///
/// # Panics
///
/// When `T` is not a struct, or too large for a form. The test of each type's manifest finds it.
pub fn config_schema<T: JsonSchema>() -> ConfigSchema {
    match ConfigSchema::new(schema_of::<T>()) {
        Ok(schema) => schema,
        Err(error) => panic!("{} cannot be settings: {error}", T::schema_name()),
    }
}

/// What the schema says about itself, without line breaks of the source.
pub(crate) fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}
