//! `/v1/connector-types`: the implementations of this installation.

use linkspan_domain::{
    Attribute, Capability, Category, CommandManifest, ConfigSchema, ConnectorTypeKey,
    ConnectorTypeManifest, ExecutionModel, Order, Revision, Sort,
};
use poem_openapi::{OpenApi, registry::MetaSchema};
use semver::Version;
use serde_json::{Map, Value};
use strum::VariantNames;

use super::Tag;
use crate::{
    answer::{Collection, Document},
    include::{Found, Included},
    memory,
    problem::Failure,
    request::{Asking, Listing},
    resource::{Key, Related, Relationship, Shown, attributes},
    schema::{Schema, object, property},
};

/// The operations.
#[derive(Default)]
pub(crate) struct ConnectorTypes;

#[expect(clippy::unused_async, reason = "the framework wants it of all operations")]
#[OpenApi(prefix_path = "/v1/connector-types", tag = "Tag::Catalog")]
impl ConnectorTypes {
    /// List connector types
    #[oai(path = "/", method = "get", operation_id = "list_connector_types")]
    async fn list(
        &self,
        request: Listing<ConnectorTypeManifest>,
    ) -> Result<Collection<ConnectorTypeManifest>, Failure> {
        let Listing { call, context, list, view, path, query, .. } = request;
        let types = context.app.connector_types.list(&call.caller)?;
        let page = memory::page(&types, &list, value);
        let none = (&Found::default(), &Included(None));
        Collection::page(&call.caller, &view, &list, (&path, &query), &page, none)
    }

    /// Get a connector type
    ///
    /// By its key, or by an alias of it.
    #[oai(path = "/:key", method = "get", operation_id = "get_connector_type")]
    async fn get(
        &self,
        request: Asking<ConnectorTypeManifest>,
    ) -> Result<Document<ConnectorTypeManifest>, Failure> {
        request.show(request.context.app.connector_types.get(&request.call.caller, &request.key)?)
    }

    /// Get what a connector type can do
    #[oai(
        path = "/:key/capabilities",
        method = "get",
        operation_id = "get_connector_type_capabilities"
    )]
    async fn capabilities(
        &self,
        request: Asking<TypeCapabilities>,
    ) -> Result<Document<TypeCapabilities>, Failure> {
        let found = request.context.app.connector_types.get(&request.call.caller, &request.key)?;
        request.show(&TypeCapabilities::of(found))
    }
}

attributes! { ConnectorTypeManifest, |it| {
    /// Names it: the same as `id`.
    key: ConnectorTypeKey = &it.key;
    /// Other keys that mean the same type.
    aliases: Vec<ConnectorTypeKey> = &it.aliases;
    /// Grows with the settings and the commands.
    version: Version = &it.version;
    /// What people call it.
    title: String = &it.title;
    /// What it is for.
    description: String = &it.description;
    /// Where it belongs.
    category: Category = it.category;
    /// Words to find it by.
    tags: Vec<String> = &it.tags;
    /// The name of its picture.
    icon: Option<String> = &it.icon;
    /// Where the system's own documentation is.
    docs_url: Option<String> = &it.docs_url;
    /// What an activation must supply: JSON Schema 2020-12, in which `secret` marks what is sealed.
    config_schema: ConfigSchema = &it.config_schema;
    /// What it can be asked for.
    capabilities: Vec<Capability> = &it.capabilities;
    /// Its named operations.
    commands: Vec<CommandManifest> = &it.commands;
    /// Whether a dataset or a query can be based on it.
    is_queryable: bool = it.is_queryable;
    /// Whether it is a double for trials, which only administrators may run.
    is_mock: bool = it.is_mock;
    /// What runs it.
    execution_model: ExecutionModel = it.execution_model;
} }

impl Schema for CommandManifest {
    fn schema() -> MetaSchema {
        let deprecation = vec![
            property::<Version>("since", "The version of the type that deprecated it."),
            property::<String>("advice", "What to do instead."),
        ];
        let deprecation = MetaSchema {
            nullable: true,
            description: Some("Set when it should not be used any more."),
            ..object(deprecation, &["since", "advice"])
        };
        let properties = vec![
            property::<String>("name", "Its name within the type."),
            property::<String>("summary", "What it does."),
            property::<Map<String, Value>>("parameters", "JSON Schema 2020-12 of its parameters."),
            property::<Map<String, Value>>("output", "JSON Schema 2020-12 of what it gives back."),
            ("deprecated", crate::schema::inline(deprecation)),
        ];
        object(properties, &["name", "summary", "parameters", "output", "deprecated"])
    }
}

const KEY: Attribute = Attribute::text("key");

impl Shown for ConnectorTypeManifest {
    const TYPE: &'static str = "connector_type";
    const NAME: &'static str = "ConnectorType";
    const PATH: Option<&'static str> = Some("/v1/connector-types");
    const RELATIONSHIPS: &'static [Relationship] = &[];
    const LISTED: &'static [Attribute] = &[
        KEY,
        Attribute::text("title"),
        Attribute::one_of("category", Category::VARIANTS),
        Attribute::one_of("execution_model", ExecutionModel::VARIANTS),
        Attribute::boolean("is_queryable"),
        Attribute::boolean("is_mock"),
    ];
    const ORDER: Sort = Sort { attribute: KEY, order: Order::Ascending };
    const HAS_UUID: bool = false;

    fn key(&self) -> Key {
        Key::Text(self.key.to_string())
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::One(None)
    }
}

/// The value of a listed attribute.
fn value(it: &ConnectorTypeManifest, attribute: &str) -> Value {
    match attribute {
        "title" => it.title.as_str().into(),
        "category" => <&str>::from(it.category).into(),
        "execution_model" => <&str>::from(it.execution_model).into(),
        "is_queryable" => it.is_queryable.into(),
        "is_mock" => it.is_mock.into(),
        _ => it.key.as_str().into(),
    }
}

/// What a connector type can do.
pub(crate) struct TypeCapabilities {
    key: ConnectorTypeKey,
    capabilities: Vec<Capability>,
    commands: Vec<String>,
    is_queryable: bool,
    is_mock: bool,
}

impl TypeCapabilities {
    fn of(manifest: &ConnectorTypeManifest) -> Self {
        Self {
            key: manifest.key.clone(),
            capabilities: manifest.capabilities.clone(),
            commands: manifest.commands.iter().map(|it| it.name.clone()).collect(),
            is_queryable: manifest.is_queryable,
            is_mock: manifest.is_mock,
        }
    }
}

attributes! { TypeCapabilities, |it| {
    /// What it can be asked for.
    capabilities: Vec<Capability> = &it.capabilities;
    /// The names of its operations.
    commands: Vec<String> = &it.commands;
    /// Whether a dataset or a query can be based on it.
    is_queryable: bool = it.is_queryable;
    /// Whether it is a double for trials.
    is_mock: bool = it.is_mock;
} }

impl Shown for TypeCapabilities {
    const TYPE: &'static str = "connector_type_capabilities";
    const NAME: &'static str = "ConnectorTypeCapabilities";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] = &[];
    const LISTED: &'static [Attribute] = &[];
    const HAS_UUID: bool = false;

    fn key(&self) -> Key {
        Key::Text(self.key.to_string())
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::One(None)
    }
}
