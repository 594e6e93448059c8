//! The shapes of values, for the OpenAPI document.
//!
//! What is sent is written by serde, what is received is read by serde; these shapes only describe it, and the tests hold
//! every answer against them.

mod fields;
mod values;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};

pub(crate) use fields::field_names;

/// A value that has a shape.
pub(crate) trait Schema {
    /// Its shape.
    fn schema() -> MetaSchema;
}

/// One property of an object.
pub(crate) type Property = (&'static str, MetaSchemaRef);

/// The property `name`, of the shape of `T`.
pub(crate) fn property<T: Schema>(name: &'static str, about: &'static str) -> Property {
    (name, inline(MetaSchema { description: Some(about.trim()), ..T::schema() }))
}

/// An object with these properties and no others, of which `required` are always there.
pub(crate) fn object(properties: Vec<Property>, required: &[&'static str]) -> MetaSchema {
    MetaSchema {
        properties,
        required: required.to_vec(),
        additional_properties: Some(Box::new(inline(closed()))),
        ..MetaSchema::new("object")
    }
}

/// An object that may have any properties.
pub(crate) fn open_object() -> MetaSchema {
    MetaSchema::new("object")
}

/// A list of these.
pub(crate) fn list(items: MetaSchemaRef) -> MetaSchema {
    MetaSchema { items: Some(Box::new(items)), ..MetaSchema::new("array") }
}

/// One of these texts.
pub(crate) fn one_of(words: &[&str]) -> MetaSchema {
    MetaSchema {
        enum_items: words.iter().map(|it| (*it).into()).collect(),
        ..MetaSchema::new("string")
    }
}

/// The shape in place.
pub(crate) fn inline(schema: MetaSchema) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(schema))
}

/// The shape called `name` in the document.
pub(crate) fn named(name: impl Into<String>) -> MetaSchemaRef {
    MetaSchemaRef::Reference(name.into())
}

/// Stands for `additionalProperties: false`, which the registry cannot say; see [`is_closed`].
fn closed() -> MetaSchema {
    MetaSchema { title: Some(CLOSED.to_owned()), ..MetaSchema::ANY }
}

const CLOSED: &str = "no other properties";

/// Whether `value` stands for `additionalProperties: false`.
pub(crate) fn is_closed(value: &serde_json::Value) -> bool {
    value.get("title").is_some_and(|it| it == CLOSED)
}
