//! Rust types as JSON Schema 2020-12.

use linkspan_domain::ConfigSchema;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// The JSON Schema 2020-12 of `T`, in one piece without references.
///
/// Fields are in the order of the type; those that are a [`Secret`](linkspan_domain::Secret) carry `"secret": true`.
pub fn schema_of<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .with(|it| it.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    if let Value::Object(members) = &mut schema {
        // The name of the Rust type says nothing to others.
        members.remove("title");
    }
    unwrap_descriptions(&mut schema);
    schema
}

/// Joins the lines of paragraphs, which break where the source does.
fn unwrap_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (keyword, member) in members {
                match member {
                    Value::String(text) if keyword == "description" => {
                        let paragraphs: Vec<_> =
                            text.split("\n\n").map(|it| it.replace('\n', " ")).collect();
                        *text = paragraphs.join("\n\n");
                    }
                    other => unwrap_descriptions(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_descriptions),
        _ => {}
    }
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

/// What the schema says about itself.
pub(crate) fn description(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use linkspan_domain::Secret;
    use schemars::JsonSchema;
    use serde_json::json;

    use super::schema_of;

    /// One line,
    /// and another.
    ///
    /// A paragraph.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Settings {
        /// The
        /// host.
        host: String,
        password: Option<Secret>,
    }

    #[test]
    fn a_schema_is_in_one_piece_and_marks_secrets() {
        let expect = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "description": "One line, and another.\n\nA paragraph.",
            "additionalProperties": false,
            "required": ["host"],
            "properties": {
                "host": { "type": "string", "description": "The host." },
                "password": {
                    "type": ["string", "null"], "format": "password", "writeOnly": true, "secret": true,
                },
            },
        });
        assert_eq!(schema_of::<Settings>(), expect);
    }
}
