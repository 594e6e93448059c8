//! What a type says about itself.

use linkspan_domain::looks_secret;
use serde_json::Value;
use url::Url;

use crate::Definition;

/// What is wrong with the manifest of `definition`.
///
/// Schemas are valid JSON Schema 2020-12 and take no unknown fields; whatever can be said has a
/// description; settings that look secret are secret, except those named in `public`.
pub fn of_manifest(definition: &Definition, public: &[&str]) -> Vec<String> {
    let manifest = &definition.manifest;
    let mut faults = Vec::new();
    for (what, text) in [("title", &manifest.title), ("description", &manifest.description)] {
        if text.trim().is_empty() {
            faults.push(format!("the {what} is empty"));
        }
    }
    if let Some(url) = &manifest.docs_url
        && Url::parse(url).is_err()
    {
        faults.push("the address of the documentation is not a URL".to_owned());
    }
    let settings = manifest.config_schema.as_value();
    faults.extend(of_object("settings", settings));
    secrets("settings", settings, public, &mut faults);
    for command in &manifest.commands {
        let name = &command.name;
        if command.summary.is_empty() {
            faults.push(format!("command `{name}` has no description"));
        }
        faults.extend(of_object(&format!("parameters of `{name}`"), &command.parameters));
        faults.extend(valid(&format!("output of `{name}`"), &command.output));
    }
    faults
}

fn valid(what: &str, schema: &Value) -> Option<String> {
    let broken = !jsonschema::draft202012::meta::is_valid(schema);
    broken.then(|| format!("{what}: not a valid JSON Schema 2020-12"))
}

fn of_object(what: &str, schema: &Value) -> Vec<String> {
    let mut faults: Vec<_> = valid(what, schema).into_iter().collect();
    if schema["type"] != "object" {
        faults.push(format!("{what}: not an object"));
    }
    if schema["additionalProperties"] != false && schema["unevaluatedProperties"] != false {
        faults.push(format!("{what}: takes unknown fields"));
    }
    undescribed(what, schema, &mut faults);
    faults
}

/// Finds the properties without a description, at any depth.
fn undescribed(what: &str, schema: &Value, faults: &mut Vec<String>) {
    each_property(schema, &mut |name, property| {
        let is_tag = property.get("const").is_some();
        if property["description"].as_str().is_none_or(str::is_empty) && !is_tag {
            faults.push(format!("{what}: `{name}` has no description"));
        }
    });
}

/// Finds the texts that look secret by their name but are not by their type.
fn secrets(what: &str, schema: &Value, public: &[&str], faults: &mut Vec<String>) {
    each_property(schema, &mut |name, property| {
        let is_text = match &property["type"] {
            Value::String(one) => one == "string",
            Value::Array(several) => several.iter().any(|it| it == "string"),
            _ => false,
        };
        let is_secret = property["secret"] == true;
        if is_text && !is_secret && looks_secret(name) && !public.contains(&name) {
            faults.push(format!("{what}: `{name}` looks secret but is not a `Secret`"));
        }
    });
}

fn each_property(schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match schema {
        Value::Object(members) => {
            for (keyword, member) in members {
                if keyword == "properties"
                    && let Value::Object(properties) = member
                {
                    for (name, property) in properties {
                        visit(name, property);
                    }
                }
                each_property(member, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|it| each_property(it, visit)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{of_object, secrets};

    fn check(schema: &Value, expect: &[&str]) {
        let mut faults = of_object("settings", schema);
        secrets("settings", schema, &["token_url"], &mut faults);
        assert_eq!(faults, expect);
    }

    #[test]
    fn a_good_schema_has_no_fault() {
        let text = json!({ "type": "string", "description": "d" });
        let secret = json!({ "type": "string", "description": "d", "secret": true });
        check(
            &json!({ "type": "object", "additionalProperties": false, "properties": {
                "host": text, "password": secret, "token_url": text,
            }}),
            &[],
        );
    }

    #[test]
    fn a_bad_schema_is_told_what_is_wrong() {
        check(
            &json!({ "type": "object", "properties": { "auth": { "description": "d", "oneOf": [
                { "properties": { "password": { "type": ["string", "null"] } } },
            ]}}}),
            &[
                "settings: takes unknown fields",
                "settings: `password` has no description",
                "settings: `password` looks secret but is not a `Secret`",
            ],
        );
        let broken = json!({ "type": "object", "additionalProperties": false, "required": 1 });
        check(&broken, &["settings: not a valid JSON Schema 2020-12"]);
    }
}
