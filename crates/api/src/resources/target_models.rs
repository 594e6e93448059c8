//! `/v1/target-models`: what mappings make of records.

use linkspan_app::TargetModelSchema;
use linkspan_domain::{Attribute, Order, Revision, Sort, TargetModel};
use poem_openapi::OpenApi;
use serde_json::{Map, Value};

use super::Tag;
use crate::{
    answer::{Collection, Document},
    include::{Found, Included},
    memory,
    problem::Failure,
    request::{Asking, Listing},
    resource::{Key, Related, Relationship, Shown, attributes},
};

/// The operations.
#[derive(Default)]
pub(crate) struct TargetModels;

#[expect(clippy::unused_async, reason = "the framework wants it of all operations")]
#[OpenApi(prefix_path = "/v1/target-models", tag = "Tag::Catalog")]
impl TargetModels {
    /// List target models
    #[oai(path = "/", method = "get", operation_id = "list_target_models")]
    async fn list(
        &self,
        request: Listing<TargetModelSchema>,
    ) -> Result<Collection<TargetModelSchema>, Failure> {
        let Listing { call, context, list, view, path, query, .. } = request;
        let models = context.app.target_models.list(&call.caller)?;
        let page = memory::page(&models, &list, value);
        let none = (&Found::default(), &Included(None));
        Collection::page(&call.caller, &view, &list, (&path, &query), &page, none)
    }

    /// Get a target model
    #[oai(path = "/:key", method = "get", operation_id = "get_target_model")]
    async fn get(
        &self,
        request: Asking<TargetModelSchema>,
    ) -> Result<Document<TargetModelSchema>, Failure> {
        request.show(request.context.app.target_models.get(&request.call.caller, &request.key)?)
    }
}

attributes! { TargetModelSchema, |it| {
    /// Names it: the same as `id`.
    key: TargetModel = it.model;
    /// Grows with its fields.
    version: String = &it.version;
    /// What people call it.
    title: String = &it.title;
    /// What it is for.
    description: String = &it.description;
    /// The JSON Schema 2020-12 of its objects. `x-aliases` are other names of a field, `x-natural-key` the fields that tell one thing
    /// from another across sources.
    schema: Map<String, Value> = &it.schema;
} }

const KEY: Attribute = Attribute::text("key");

impl Shown for TargetModelSchema {
    const TYPE: &'static str = "target_model";
    const NAME: &'static str = "TargetModel";
    const PATH: Option<&'static str> = Some("/v1/target-models");
    const RELATIONSHIPS: &'static [Relationship] = &[];
    const LISTED: &'static [Attribute] =
        &[KEY, Attribute::text("title"), Attribute::text("version")];
    const ORDER: Sort = Sort { attribute: KEY, order: Order::Ascending };
    const HAS_UUID: bool = false;

    fn key(&self) -> Key {
        Key::Text(self.model.to_string())
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::One(None)
    }
}

/// The value of a listed attribute.
fn value(it: &TargetModelSchema, attribute: &str) -> Value {
    match attribute {
        "title" => it.title.as_str().into(),
        "version" => it.version.as_str().into(),
        _ => <&str>::from(it.model).into(),
    }
}
