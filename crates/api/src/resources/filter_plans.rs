//! How the streams of an activation are filtered.

use linkspan_app::{FilterPart, FilterPlan};
use linkspan_domain::{Attribute, Condition, Revision, StreamName};
use linkspan_sdk::Pushed;
use poem_openapi::registry::MetaSchema;
use serde::Serialize;

use crate::{
    include::Found,
    resource::{Key, Related, Relationship, Shown, attributes},
    schema::{Schema, inline, object, one_of, property},
};

/// Where a part of a filter is evaluated.
const PLACES: [&str; 3] = ["source", "source_and_here", "here"];

attributes! { FilterPlan, |it| {
    /// Which stream.
    stream: StreamName = &it.stream;
    /// What must hold of each record, all of it, and where that is evaluated in a full sync and in the first incremental one.
    /// Later incremental syncs evaluate everything here, so that a record that does not pass any more is removed.
    parts: Vec<ShownPart> = it.parts.iter().map(ShownPart::of).collect::<Vec<_>>();
    /// Fields that other parts of the filter name, and the stream does not have: those parts do not concern it.
    missing: Vec<String> = &it.missing;
    /// Why the filter cannot be asked of the stream. Its runs fail.
    error: Option<String> = &it.error;
} }

/// One part of a filter as it is shown.
#[derive(Serialize)]
struct ShownPart {
    condition: Condition,
    place: &'static str,
    statement: Option<String>,
    values: Vec<String>,
}

impl ShownPart {
    fn of(part: &FilterPart) -> Self {
        let statement = part.pushed.statement();
        let place = match part.pushed {
            Pushed::Exactly(_) => PLACES[0],
            Pushed::Roughly(_) => PLACES[1],
            Pushed::Not => PLACES[2],
        };
        Self {
            condition: part.condition.clone(),
            place,
            statement: statement.map(|it| it.text.clone()),
            values: statement.map(|it| it.values.clone()).unwrap_or_default(),
        }
    }
}

impl Schema for ShownPart {
    fn schema() -> MetaSchema {
        let place = MetaSchema { description: Some("Where it is evaluated."), ..one_of(&PLACES) };
        let properties = vec![
            property::<Condition>("condition", "What must hold."),
            ("place", inline(place)),
            property::<Option<String>>(
                "statement",
                "How the source is asked, with places for the values.",
            ),
            property::<Vec<String>>("values", "The values, in the order of their places."),
        ];
        object(properties, &["condition", "place", "statement", "values"])
    }
}

impl Shown for FilterPlan {
    const TYPE: &'static str = "filter_plan";
    const NAME: &'static str = "FilterPlan";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] = &[];
    const LISTED: &'static [Attribute] = &[];
    const HAS_UUID: bool = false;

    fn key(&self) -> Key {
        Key::Text(self.stream.to_string())
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::One(None)
    }
}
