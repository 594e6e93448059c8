//! The target models, checked, and the index that the product embeds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    codegen::seed::TargetModel,
    project::{self, Project},
};

/// How many target models there are.
const COUNT: usize = 12;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The checked models, as they are written, sorted by name.
pub(crate) struct Models {
    schemas: Vec<Value>,
}

/// The part of JSON Schema that models are written in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    #[serde(rename = "$schema")]
    dialect: String,
    #[serde(rename = "$id")]
    id: String,
    title: String,
    description: String,
    #[serde(rename = "x-aliases")]
    aliases: Vec<String>,
    #[serde(rename = "x-natural-key")]
    natural_keys: Vec<Vec<String>>,
    #[serde(rename = "type")]
    kind: Object,
    required: Vec<String>,
    #[serde(rename = "additionalProperties")]
    others: bool,
    properties: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Object {
    Object,
}

/// What a model keeps for one name.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Property {
    String {
        description: String,
        #[serde(default, rename = "x-aliases")]
        aliases: Vec<String>,
        format: Option<Format>,
        pattern: Option<String>,
        #[serde(rename = "enum")]
        choices: Option<BTreeSet<String>>,
        #[serde(rename = "minLength")]
        _shortest: Option<u32>,
    },
    Integer {
        description: String,
        #[serde(default, rename = "x-aliases")]
        aliases: Vec<String>,
        #[serde(rename = "minimum")]
        _least: Option<i64>,
        #[serde(rename = "maximum")]
        _most: Option<i64>,
    },
    Boolean {
        description: String,
        #[serde(default, rename = "x-aliases")]
        aliases: Vec<String>,
    },
    Array {
        description: String,
        #[serde(default, rename = "x-aliases")]
        aliases: Vec<String>,
        items: Items,
    },
}

/// What an array of a model holds.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Items {
    String {
        #[serde(rename = "format")]
        _format: Option<Format>,
    },
    Object {
        required: Vec<String>,
        #[serde(rename = "additionalProperties")]
        others: bool,
        properties: Map<String, Value>,
    },
}

/// What a text of a model is. Those that JSON Schema does not know have a pattern as well.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Format {
    Country,
    Currency,
    Date,
    DateTime,
    Decimal,
    Email,
    Hostname,
    Iban,
    Uri,
}

impl Models {
    /// Reads and checks every file of `seeds/models/`; fails with every fault at once.
    pub(crate) fn load(project: &Project) -> Result<Self> {
        let mut schemas = Vec::new();
        let mut faults = Vec::new();
        for path in project::files(&project.root.join("seeds/models"), "json")? {
            let place = project.relative(&path);
            let name = path.file_stem().map(|it| it.to_string_lossy().into_owned());
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {place}"))?;
            match serde_json::from_str::<Value>(&text) {
                Ok(schema) => {
                    let found = model_faults(&name.unwrap_or_default(), &schema);
                    faults.extend(found.into_iter().map(|fault| format!("{place}: {fault}")));
                    schemas.push(schema);
                }
                Err(error) => faults.push(format!("{place}: {error}")),
            }
        }
        if !faults.is_empty() {
            bail!("{} faults in the models:\n  {}", faults.len(), faults.join("\n  "));
        }
        if schemas.len() != COUNT {
            bail!("there are {} models in seeds/models, not {COUNT}", schemas.len());
        }
        Ok(Self { schemas })
    }

    /// The index: one JSON array with one model on each line.
    pub(crate) fn index(&self) -> String {
        let lines: Vec<String> = self.schemas.iter().map(Value::to_string).collect();
        format!("[\n{}\n]\n", lines.join(",\n"))
    }
}

/// What is wrong with the model in the file `name`.
fn model_faults(name: &str, schema: &Value) -> Vec<String> {
    let model = match Model::deserialize(schema) {
        Ok(model) => model,
        Err(error) => return vec![format!("is no model: {error}")],
    };
    let Object::Object = model.kind;
    let mut faults = Vec::new();
    if serde_json::from_value::<TargetModel>(name.into()).is_err() {
        faults.push("is not named for a target model".to_owned());
    }
    if model.dialect != DIALECT {
        faults.push(format!("$schema must be {DIALECT}"));
    }
    let version = model.id.strip_prefix(&format!("urn:linkspan:model:{name}:"));
    if !version.is_some_and(is_version) {
        faults.push(format!("$id must be urn:linkspan:model:{name}: and a version such as 1.0.0"));
    }
    if model.aliases.is_empty() {
        faults.push("has no x-aliases for streams to be known by".to_owned());
    }
    if model.natural_keys.is_empty() || model.natural_keys.iter().any(Vec::is_empty) {
        faults.push("x-natural-key must list keys, each of one field or several".to_owned());
    }
    if !model.required.iter().any(|field| field == "external_id") {
        faults.push("does not require external_id".to_owned());
    }
    faults.extend(sentence_fault("title", &model.title, false));
    faults.extend(sentence_fault("description", &model.description, true));
    let named = model.natural_keys.iter().flatten();
    faults.extend(object_faults("", &model.required, model.others, &model.properties, named));
    faults.extend(alias_faults(&model.properties));
    faults
}

/// What is wrong with the fields of an object: `place` comes before their names.
fn object_faults<'a>(
    place: &str,
    required: &'a [String],
    others: bool,
    properties: &Map<String, Value>,
    named: impl Iterator<Item = &'a String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    if others {
        faults.push(format!("{place}additionalProperties must be false"));
    }
    for name in required.iter().chain(named) {
        if !properties.contains_key(name) {
            faults.push(format!("{place}{name} is named, but there is no such field"));
        }
    }
    for (name, property) in properties {
        let place = format!("{place}{name}");
        match Property::deserialize(property) {
            Ok(property) => faults.extend(property_faults(&place, &property)),
            Err(error) => faults.push(format!("{place}: {error}")),
        }
    }
    faults
}

fn property_faults(place: &str, property: &Property) -> Vec<String> {
    let mut faults: Vec<String> =
        sentence_fault("description", property.description(), true).into_iter().collect();
    match property {
        Property::String { format, pattern, choices, .. } => {
            let foreign = matches!(
                format,
                Some(Format::Country | Format::Currency | Format::Decimal | Format::Iban)
            );
            if foreign && pattern.is_none() {
                faults.push("needs a pattern, as its format is not one of JSON Schema".to_owned());
            }
            if pattern.as_ref().is_some_and(|it| !it.starts_with('^') || !it.ends_with('$')) {
                faults.push("its pattern must be of the whole text: ^…$".to_owned());
            }
            if choices.as_ref().is_some_and(|it| it.len() < 2) {
                faults.push("an enum has two values or more".to_owned());
            }
        }
        Property::Array { items: Items::Object { required, others, properties }, .. } => {
            faults.extend(object_faults("[].", required, *others, properties, [].iter()));
        }
        Property::Array { .. } | Property::Integer { .. } | Property::Boolean { .. } => {}
    }
    faults.into_iter().map(|fault| format!("{place}: {fault}")).collect()
}

/// Two fields that one name could mean.
fn alias_faults(properties: &Map<String, Value>) -> Vec<String> {
    let mut known: BTreeMap<String, &str> =
        properties.keys().map(|name| (name.replace('_', " "), name.as_str())).collect();
    let mut faults = Vec::new();
    for (name, property) in properties {
        let Ok(property) = Property::deserialize(property) else { continue };
        for alias in property.aliases() {
            if let Some(other) = known.insert(alias.clone(), name) {
                faults.push(format!("{name}: its alias `{alias}` means {other} already"));
            }
        }
    }
    faults
}

impl Property {
    fn description(&self) -> &str {
        match self {
            Self::String { description, .. }
            | Self::Integer { description, .. }
            | Self::Boolean { description, .. }
            | Self::Array { description, .. } => description,
        }
    }

    fn aliases(&self) -> &[String] {
        match self {
            Self::String { aliases, .. }
            | Self::Integer { aliases, .. }
            | Self::Boolean { aliases, .. }
            | Self::Array { aliases, .. } => aliases,
        }
    }
}

fn sentence_fault(what: &str, text: &str, is_sentence: bool) -> Option<String> {
    let holds = text.starts_with(char::is_uppercase) && text.ends_with('.') == is_sentence;
    (!holds)
        .then(|| format!("{what} must begin with a capital, and a description ends in a full stop"))
}

fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn journal() -> Value {
        json!({
            "$schema": DIALECT, "$id": "urn:linkspan:model:journal:1.0.0", "title": "Journal",
            "description": "A book.", "x-aliases": ["journal"], "x-natural-key": [["code"]], "type": "object",
            "required": ["external_id"], "additionalProperties": false,
            "properties": {
                "external_id": { "type": "string", "description": "A name." },
                "code": { "type": "string", "description": "A code.", "x-aliases": ["short name"] }
            }
        })
    }

    fn check(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut schema = journal();
        change(&mut schema);
        model_faults("journal", &schema)
    }

    #[test]
    fn a_model_keeps_to_the_form() {
        assert!(check(|_| ()).is_empty());
        for (pointer, value) in [
            ("/$schema", json!("http://json-schema.org/draft-07/schema#")),
            ("/$id", json!("urn:linkspan:model:journal:1")),
            ("/$id", json!("urn:linkspan:model:invoice:1.0.0")),
            ("/required", json!(["code"])),
            ("/required", json!(["external_id", "name"])),
            ("/x-natural-key", json!([["name"]])),
            ("/x-natural-key", json!([])),
            ("/additionalProperties", json!(true)),
            ("/properties/code/description", json!("no sentence")),
            ("/properties/code/type", json!("strin")),
            ("/properties/code", json!({ "type": "string" })),
            ("/properties/code", json!({ "type": "string", "description": "A.", "patern": "^a$" })),
            (
                "/properties/code",
                json!({ "type": "string", "description": "A.", "format": "currency" }),
            ),
            (
                "/properties/code",
                json!({ "type": "string", "description": "A.", "format": "colour" }),
            ),
            ("/properties/code/x-aliases", json!(["external id"])),
        ] {
            let faults = check(|schema| *schema.pointer_mut(pointer).unwrap() = value.clone());
            assert_eq!(faults.len(), 1, "{pointer} {value}: {faults:?}");
        }
    }

    #[test]
    fn a_model_is_named_for_a_target_model() {
        assert!(model_faults("diary", &journal()).len() > 1);
    }
}
