//! Target models as mappings see them: their fields, and the names that these go by.

use std::sync::Arc;

use indexmap::IndexMap;
use linkspan_domain::TargetModel;
use linkspan_sdk::Checker;
use serde::Deserialize;
use serde_json::Value;

/// The schemas of the target models.
#[derive(Clone, Debug)]
pub struct Models(Vec<Arc<ModelSchema>>);

/// What one target model keeps.
#[derive(Clone, Debug)]
pub struct ModelSchema {
    /// Which model.
    pub model: TargetModel,
    /// Its version.
    pub version: String,
    /// What people call it.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// The JSON Schema 2020-12 of its objects.
    pub schema: Value,
    /// What streams of such records are called.
    pub aliases: Vec<String>,
    /// The fields that each object has.
    pub required: Vec<String>,
    /// The fields that tell one thing from another across sources: alternatives, the best first.
    pub natural_keys: Vec<Vec<String>>,
    /// Its fields, in their order.
    pub fields: IndexMap<String, ModelField>,
    pub(crate) checker: Arc<Checker>,
}

/// One field of a target model.
#[derive(Clone, Debug)]
pub struct ModelField {
    /// What it holds.
    pub kind: ModelKind,
    /// What it is for.
    pub description: String,
    /// Other names for it.
    pub aliases: Vec<String>,
}

/// What a field of a target model holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// Any text.
    Text,
    /// One of these.
    Choice(Vec<String>),
    /// A country, ISO 3166-1 alpha-2.
    Country,
    /// A currency, ISO 4217.
    Currency,
    /// A day.
    Date,
    /// A point in time.
    Timestamp,
    /// An exact number, as text.
    Decimal,
    /// An address of electronic mail.
    Email,
    /// The international number of an account.
    Iban,
    /// An address of the web.
    Uri,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// Several values.
    List,
}

/// Schemas that are no target models.
#[derive(Debug, thiserror::Error)]
#[error(
    "the schemas of the target models cannot be read; make them again with `cargo xtask codegen`"
)]
pub struct InvalidModels(#[source] Option<serde_json::Error>);

impl Models {
    /// Reads the index of the models, a JSON array.
    pub fn parse(index: &str) -> Result<Self, InvalidModels> {
        let invalid = |error| InvalidModels(Some(error));
        let schemas: Vec<Value> = serde_json::from_str(index).map_err(invalid)?;
        schemas
            .into_iter()
            .map(|whole| {
                let schema = Schema::deserialize(&whole).map_err(invalid)?;
                schema.model(whole).map(Arc::new).ok_or(InvalidModels(None))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The schema of `model`.
    pub fn get(&self, model: TargetModel) -> Option<&Arc<ModelSchema>> {
        self.0.iter().find(|it| it.model == model)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ModelSchema>> {
        self.0.iter()
    }
}

/// A model as its file says it.
#[derive(Deserialize)]
struct Schema {
    #[serde(rename = "$id")]
    id: String,
    title: String,
    description: String,
    #[serde(rename = "x-aliases")]
    aliases: Vec<String>,
    #[serde(rename = "x-natural-key")]
    natural_keys: Vec<Vec<String>>,
    required: Vec<String>,
    properties: IndexMap<String, Property>,
}

#[derive(Deserialize)]
struct Property {
    #[serde(rename = "type")]
    kind: Type,
    description: String,
    #[serde(default, rename = "x-aliases")]
    aliases: Vec<String>,
    format: Option<Format>,
    #[serde(rename = "enum")]
    choices: Option<Vec<String>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    String,
    Integer,
    Boolean,
    Array,
}

#[derive(Clone, Copy, Deserialize)]
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

impl Schema {
    /// The model, of which `whole` is all that is said.
    fn model(self, whole: Value) -> Option<ModelSchema> {
        let Self { id, title, description, aliases, natural_keys, required, properties } = self;
        let (name, version) = id.strip_prefix("urn:linkspan:model:")?.split_once(':')?;
        let fields = properties.into_iter().map(|(name, property)| (name, property.field()));
        Some(ModelSchema {
            model: name.parse().ok()?,
            version: version.to_owned(),
            title,
            description,
            checker: Arc::new(Checker::new(&whole)),
            schema: whole,
            aliases,
            required,
            natural_keys,
            fields: fields.collect(),
        })
    }
}

impl Property {
    fn field(self) -> ModelField {
        let Self { kind, description, aliases, format, choices } = self;
        let kind = match (kind, format, choices) {
            (Type::Integer, ..) => ModelKind::Integer,
            (Type::Boolean, ..) => ModelKind::Boolean,
            (Type::Array, ..) => ModelKind::List,
            (Type::String, _, Some(choices)) => ModelKind::Choice(choices),
            (Type::String, format, None) => match format {
                None | Some(Format::Hostname) => ModelKind::Text,
                Some(Format::Country) => ModelKind::Country,
                Some(Format::Currency) => ModelKind::Currency,
                Some(Format::Date) => ModelKind::Date,
                Some(Format::DateTime) => ModelKind::Timestamp,
                Some(Format::Decimal) => ModelKind::Decimal,
                Some(Format::Email) => ModelKind::Email,
                Some(Format::Iban) => ModelKind::Iban,
                Some(Format::Uri) => ModelKind::Uri,
            },
        };
        ModelField { kind, description, aliases }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_model_has_a_schema() {
        let models = Models::parse(include_str!("../../../../seeds/models.json")).unwrap();
        let names: Vec<String> = models.iter().map(|it| it.model.to_string()).collect();
        assert_eq!(names.len(), 12);
        for schema in models.iter() {
            assert!(models.get(schema.model).is_some());
            assert_eq!(schema.required.first().map(String::as_str), Some("external_id"));
        }
    }
}
