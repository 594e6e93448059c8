//! The streams of an activation, as its system has them.

use linkspan_domain::{Attribute, FieldKind, Revision, StreamField, StreamName, StreamSpec};
use linkspan_sdk::Omitted;
use poem_openapi::registry::MetaSchema;
use strum::IntoEnumIterator;

use crate::{
    include::Found,
    resource::{Key, Related, Relationship, Shown, attributes},
    schema::{Property, Schema, object, one_of, property},
};

attributes! { StreamSpec, |it| {
    /// Names it.
    name: StreamName = &it.name;
    /// Its fields, in the source's order.
    fields: Vec<StreamField> = &it.fields;
    /// The fields that together tell one record from another; empty when the source knows none.
    primary_key: Vec<String> = &it.primary_key;
    /// The fields that can serve as a cursor, the likeliest first.
    cursor_candidates: Vec<String> = &it.cursor_candidates;
    /// Whether it can be read from a cursor on.
    supports_incremental: bool = it.supports_incremental;
} }

impl Schema for StreamField {
    fn schema() -> MetaSchema {
        let kinds: Vec<_> = FieldKind::iter().map(<&str>::from).collect();
        let kind = MetaSchema { description: Some("What it holds."), ..one_of(&kinds) };
        let properties = vec![
            property::<String>("name", "Its name, as the source spells it."),
            ("kind", crate::schema::inline(kind)),
            property::<bool>("nullable", "Whether it may be absent or null."),
        ];
        object(properties, &["name", "kind", "nullable"])
    }
}

impl Schema for Omitted {
    fn schema() -> MetaSchema {
        let reason = MetaSchema {
            description: Some("Why it is none."),
            ..one_of(&["characters_in_name", "missing_permission"])
        };
        let properties = vec![
            property::<String>("name", "What its system calls it."),
            ("reason", crate::schema::inline(reason)),
        ];
        object(properties, &["name", "reason"])
    }
}

impl Shown for StreamSpec {
    const TYPE: &'static str = "stream";
    const NAME: &'static str = "Stream";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] = &[];
    const LISTED: &'static [Attribute] = &[];
    const HAS_UUID: bool = false;

    fn beside() -> Vec<Property> {
        let about = "What its system has that is no stream.";
        vec![property::<Vec<Omitted>>("left_out", about)]
    }

    fn key(&self) -> Key {
        Key::Text(self.name.to_string())
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::One(None)
    }
}
