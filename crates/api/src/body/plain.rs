//! Bodies without an envelope.

use std::collections::HashMap;

use linkspan_domain::Code;
use poem_openapi::registry::MetaSchema;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

use super::{Input, attributes, json, json::check_numbers, member};
use crate::{
    problem::Failure,
    schema::{inline, object, one_of},
};

/// A body without an envelope: for operations that are no writes of a resource. The envelope is understood, too.
pub(crate) struct Plain<B>(pub(crate) B);

/// What a [`Plain`] body says.
pub(crate) trait PlainBody: DeserializeOwned + Send {
    /// What the OpenAPI document calls it.
    const NAME: &'static str;
    /// The JSON:API type in the envelope, if there is one.
    const TYPE: &'static str;
    /// Whether it has a condition, whose numbers must keep their digits.
    const HAS_CONDITION: bool = false;

    /// Its shape.
    fn schema() -> MetaSchema;

    /// A body, to begin from.
    fn example() -> Option<Value> {
        None
    }
}

impl<B: PlainBody> Input for Plain<B> {
    const NAME: &'static str = B::NAME;

    fn schema() -> MetaSchema {
        let data = vec![("type", inline(one_of(&[B::TYPE]))), ("attributes", inline(B::schema()))];
        let data = MetaSchema { additional_properties: None, ..object(data, &["type"]) };
        let envelope = object(vec![("data", inline(data))], &["data"]);
        MetaSchema {
            any_of: vec![inline(B::schema()), inline(envelope)],
            example: B::example(),
            ..MetaSchema::ANY
        }
    }

    fn is_flat(body: &[u8]) -> bool {
        let members: Result<HashMap<String, IgnoredAny>, _> = serde_json::from_slice(body);
        members.map_or(true, |it| !it.contains_key("data"))
    }

    fn read(body: &[u8], _: Option<&str>) -> Result<Self, Failure> {
        let mut all: Map<String, Value> = json(body)?;
        if B::HAS_CONDITION {
            check_numbers(body)?;
        }
        let Some(data) = all.remove("data") else { return attributes(all, "").map(Self) };
        if let Some(name) = all.keys().next() {
            let detail = "there is no such member beside `data`";
            return Err(Failure::new(Code::RequestMalformed, detail).at(member(name)));
        }
        let mut data: Map<String, Value> = match data {
            Value::Object(data) => data,
            _ => return Err(Failure::new(Code::RequestMalformed, "must be an object").at("/data")),
        };
        if data.get("type").and_then(Value::as_str) != Some(B::TYPE) {
            let detail = format!("the type has to be `{}` here", B::TYPE);
            return Err(Failure::new(Code::TypeMismatch, detail).at("/data/type"));
        }
        match data.remove("attributes") {
            None => attributes(Map::new(), "/data/attributes").map(Self),
            Some(Value::Object(all)) => attributes(all, "/data/attributes").map(Self),
            Some(_) => {
                let detail = "must be an object";
                Err(Failure::new(Code::RequestMalformed, detail).at("/data/attributes"))
            }
        }
    }
}
