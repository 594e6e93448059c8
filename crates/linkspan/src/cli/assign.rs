//! `--set key=value`: settings from the command line.

use std::{collections::BTreeSet, fs, path::Path};

use linkspan_app::near;
use serde_json::{Map, Value, json};

use super::exit::Failed;

/// Settings as flags give them.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Assignments {
    /// A setting, such as `host=db.example.com` or `auth.token=…`; repeat for more
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A setting whose value is in an environment variable, such as `password=PGPASSWORD`
    #[arg(long = "set-env", value_name = "KEY=VARIABLE")]
    set_env: Vec<String>,
    /// A setting whose value is in a file, such as `private_key=key.pem`
    #[arg(long = "set-file", value_name = "KEY=PATH")]
    set_file: Vec<String>,
}

/// Settings of the type that is written to, as flags give them.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct IntoAssignments {
    /// A setting of the type that is written to; repeat for more
    #[arg(id = "into_set", long = "into-set", value_name = "KEY=VALUE", requires = "into")]
    plain: Vec<String>,
    /// One whose value is in an environment variable
    #[arg(
        id = "into_set_env",
        long = "into-set-env",
        value_name = "KEY=VARIABLE",
        requires = "into"
    )]
    from_environment: Vec<String>,
    /// One whose value is in a file
    #[arg(
        id = "into_set_file",
        long = "into-set-file",
        value_name = "KEY=PATH",
        requires = "into"
    )]
    from_files: Vec<String>,
}

/// What the flags set: the settings of the type, and how its streams are synced.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Assigned {
    /// The settings.
    pub(crate) config: Map<String, Value>,
    /// How streams are synced: empty where no flag says.
    pub(crate) stream: Map<String, Value>,
}

/// Settings that belong to streams, unless the type has one of that name.
const STREAM_KEYS: [&str; 8] = [
    "cursor_column",
    "cursor_type",
    "cursor_after",
    "primary_key",
    "lag",
    "schema_policy",
    "missing",
    "retention_days",
];

impl From<IntoAssignments> for Assignments {
    fn from(flags: IntoAssignments) -> Self {
        let IntoAssignments { plain, from_environment, from_files } = flags;
        Self { set: plain, set_env: from_environment, set_file: from_files }
    }
}

/// What the variable of the environment holds that a person named.
#[expect(clippy::disallowed_methods, reason = "the person named the variable")]
pub(crate) fn from_environment(variable: &str) -> Result<String, Failed> {
    std::env::var(variable)
        .map_err(|_| Failed::usage(format!("the environment has no variable {variable}")))
}

/// What the file holds that a person named.
pub(crate) fn from_file(path: &Path) -> Result<String, Failed> {
    fs::read_to_string(path)
        .map_err(|error| Failed::usage(format!("{} cannot be read: {error}", path.display())))
}

impl Assignments {
    /// Reads the flags against the type's JSON Schema, which says what is a number and what is text.
    pub(crate) fn read(&self, schema: &Value) -> Result<Assigned, Failed> {
        let mut assigned = Assigned::default();
        for (key, text) in self.pairs()? {
            let known = field(schema, &key);
            if is_of_streams(schema, &key) {
                let value = match key.as_str() {
                    "primary_key" => list(&text),
                    "lag" | "retention_days" => {
                        value(Some(&json!({ "type": "integer" })), &key, text)?
                    }
                    _ => json!(text),
                };
                assigned.stream.insert(key, value);
            } else {
                put(&mut assigned.config, &key, value(known, &key, text)?)?;
            }
        }
        Ok(assigned)
    }

    fn pairs(&self) -> Result<Vec<(String, String)>, Failed> {
        let mut pairs = Vec::new();
        for flag in &self.set {
            let (key, value) = split(flag)?;
            pairs.push((key.to_owned(), value.to_owned()));
        }
        for flag in &self.set_env {
            let (key, variable) = split(flag)?;
            pairs.push((key.to_owned(), from_environment(variable)?));
        }
        for flag in &self.set_file {
            let (key, path) = split(flag)?;
            let value = from_file(Path::new(path))?;
            pairs.push((key.to_owned(), value.trim_end().to_owned()));
        }
        Ok(pairs)
    }
}

/// Whether `key` says how streams are synced: the type has no setting of that name.
pub(crate) fn is_of_streams(schema: &Value, key: &str) -> bool {
    field(schema, key).is_none() && STREAM_KEYS.contains(&key)
}

/// Passes if the type has a setting `key`, as its schema says, or takes any name there; `stored` are the settings so far.
pub(crate) fn require(schema: &Value, stored: &Value, key: &str) -> Result<(), Failed> {
    let pointer = format!("/{}", key.replace('.', "/"));
    if is_known(schema, key) || stored.pointer(&pointer).is_some() {
        return Ok(());
    }
    let mut known = BTreeSet::new();
    names(schema, "", &mut known);
    known.extend(STREAM_KEYS.map(str::to_owned));
    let near = near(key, known.iter().map(String::as_str));
    Err(Failed::usage(format!("there is no setting `{key}`; {near}")))
}

fn is_known(schema: &Value, key: &str) -> bool {
    let above = key.match_indices('.').rev().find_map(|(at, _)| field(schema, &key[..at]));
    field(schema, key).is_some() || above.is_some_and(takes_any_name)
}

/// Whether an object may have members that its schema does not name.
fn takes_any_name(schema: &Value) -> bool {
    let of_others = ["additionalProperties", "unevaluatedProperties"].map(|it| schema.get(it));
    let names_some = ["properties", "oneOf", "anyOf"].iter().any(|it| schema.get(it).is_some());
    match of_others.into_iter().flatten().next() {
        Some(others) => others != false,
        None => schema["type"] == "object" && !names_some,
    }
}

/// The names of all settings, those inside of others with dots.
fn names(schema: &Value, before: &str, into: &mut BTreeSet<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let name = format!("{before}{name}");
        names(inner, &format!("{name}."), into);
        into.insert(name);
    }
    let choices = ["oneOf", "anyOf"].into_iter().filter_map(|it| schema[it].as_array()).flatten();
    for choice in choices {
        names(choice, before, into);
    }
}

/// The stream that `key` names, as `streams.NAME` does unless the type has a setting called `streams`.
pub(crate) fn stream<'k>(schema: &Value, key: &'k str) -> Option<&'k str> {
    let name = key.strip_prefix("streams.")?;
    field(schema, "streams").is_none().then_some(name)
}

fn split(flag: &str) -> Result<(&str, &str), Failed> {
    // Never the whole flag: what stands behind a missing `=` may be a secret.
    flag.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| Failed::usage("a setting is written KEY=VALUE"))
}

/// What the schema says of `key`, which may reach into objects and into the variants of a choice.
fn field<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    let (first, rest) =
        key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    let choices = ["oneOf", "anyOf"].into_iter().filter_map(|it| schema[it].as_array()).flatten();
    let found = schema["properties"].get(first);
    match (found, rest) {
        (Some(found), None) => Some(found),
        (Some(found), Some(rest)) => field(found, rest),
        (None, _) => choices.into_iter().find_map(|it| field(it, key)),
    }
}

fn list(text: &str) -> Value {
    text.split(',').map(str::trim).collect()
}

/// `text` as the schema wants it. What the schema does not know is taken as it looks.
fn value(schema: Option<&Value>, key: &str, text: String) -> Result<Value, Failed> {
    let kinds = schema.map(|it| it["type"].clone()).unwrap_or_default();
    let is =
        |kind: &str| kinds == kind || kinds.as_array().is_some_and(|it| it.contains(&json!(kind)));
    if is("string") {
        return Ok(json!(text));
    }
    let parsed = serde_json::from_str::<Value>(&text);
    if is("array") {
        return Ok(parsed.ok().filter(Value::is_array).unwrap_or_else(|| list(&text)));
    }
    let wanted = [
        ("integer", "a whole number", Value::is_i64 as fn(&Value) -> bool),
        ("number", "a number", Value::is_number),
        ("boolean", "true or false", Value::is_boolean),
        ("object", "a JSON object", Value::is_object),
    ];
    match wanted.iter().find(|(kind, ..)| is(kind)) {
        Some((_, words, fits)) => parsed
            .ok()
            .filter(|it| fits(it) || it.is_u64())
            .ok_or_else(|| Failed::usage(format!("the setting `{key}` takes {words}"))),
        None => Ok(parsed.unwrap_or(Value::String(text))),
    }
}

/// Puts `value` at `key`, which may reach into objects.
pub(crate) fn put(config: &mut Map<String, Value>, key: &str, value: Value) -> Result<(), Failed> {
    match key.split_once('.') {
        None => {
            config.insert(key.to_owned(), value);
            Ok(())
        }
        Some((first, rest)) => match config.entry(first).or_insert_with(|| json!({})) {
            Value::Object(inner) => put(inner, rest, value),
            _ => Err(Failed::usage(format!(
                "the setting `{first}` is given both whole and in parts"
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flags: &[&str]) -> Result<Assigned, Failed> {
        let schema = json!({ "properties": {
            "host": { "type": "string" }, "password": { "type": ["string", "null"] },
            "port": { "type": "integer" }, "has_header": { "type": "boolean" },
            "schemas": { "type": "array" },
            "auth": { "oneOf": [{ "type": "null" }, { "properties": { "token": { "type": "string" } } }] },
        } });
        let set = flags.iter().map(|&it| it.to_owned()).collect();
        Assignments { set, ..Assignments::default() }.read(&schema)
    }

    #[test]
    fn the_schema_says_what_is_a_number_and_what_is_text() {
        let assigned =
            read(&["host=db", "password=12345", "port=5432", "has_header=false", "schemas=a,b"]);
        assert_eq!(
            Value::Object(assigned.unwrap().config),
            json!({ "host": "db", "password": "12345", "port": 5432, "has_header": false, "schemas": ["a", "b"] })
        );
    }

    #[test]
    fn dots_reach_into_objects() {
        let assigned = read(&["auth.type=bearer", "auth.token=123"]).unwrap();
        assert_eq!(
            Value::Object(assigned.config),
            json!({ "auth": { "type": "bearer", "token": "123" } })
        );
        assert!(read(&["auth=x", "auth.token=t"]).is_err());
    }

    #[test]
    fn the_cursor_belongs_to_the_streams() {
        let assigned =
            read(&["cursor_column=updated_at", "cursor_type=timestamp", "primary_key=a,b"])
                .unwrap();
        assert!(assigned.config.is_empty());
        assert_eq!(
            Value::Object(assigned.stream),
            json!({ "cursor_column": "updated_at", "cursor_type": "timestamp", "primary_key": ["a", "b"] })
        );
    }

    #[test]
    fn a_setting_that_is_not_there_is_refused_with_those_that_are() {
        let schema = json!({ "properties": {
            "host": { "type": "string" },
            "auth": { "anyOf": [{ "type": "null" }, { "properties": { "token": {} } }] },
            "headers": { "type": "object", "additionalProperties": { "type": "string" } },
        } });
        let stored = json!({ "legacy": 1 });
        for known in ["host", "auth", "auth.token", "headers.X-Team", "legacy"] {
            assert!(require(&schema, &stored, known).is_ok(), "{known}");
        }
        for unknown in ["frob", "auth.tokne", "host.name", "streams"] {
            let says = require(&schema, &stored, unknown).unwrap_err().message;
            assert!(
                says.starts_with(&format!("there is no setting `{unknown}`; there are `")),
                "{says}"
            );
        }
        let says = require(&schema, &stored, "auth.tokne").unwrap_err().message;
        assert!(says.contains("there are `auth.token`"), "{says}");
    }

    #[test]
    fn a_refusal_never_repeats_the_value() {
        for flag in ["port=hunter2", "hunter2"] {
            assert!(!read(&[flag]).unwrap_err().message.contains("hunter2"));
        }
    }
}
