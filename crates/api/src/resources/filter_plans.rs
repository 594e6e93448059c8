//! How the streams of an activation are filtered.

use linkspan_app::{FilterPart, FilterPlace, FilterPlan};
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
const PLACES: [&str; 4] = ["source", "source_and_here", "here", "nowhere"];

attributes! { FilterPlan, |it| {
    /// Which stream.
    stream: StreamName = &it.stream;
    /// What must hold of each record, all of it, and where that is evaluated in a full sync and in the first incremental one.
    /// Later incremental syncs evaluate everything here, so that a record that does not pass any more is removed. At the end stand
    /// the parts that do not concern the stream.
    parts: Vec<ShownPart> = it.parts.iter().map(ShownPart::of).collect::<Vec<_>>();
    /// Fields that those name, and the stream does not have.
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
    held_back_by: Vec<Condition>,
}

impl ShownPart {
    fn of(part: &FilterPart) -> Self {
        let (place, statement) = match &part.place {
            FilterPlace::AsPushed(Pushed::Exactly(it)) => (PLACES[0], Some(it)),
            FilterPlace::AsPushed(Pushed::Roughly(it)) => (PLACES[1], Some(it)),
            FilterPlace::AsPushed(Pushed::Not) => (PLACES[2], None),
            FilterPlace::Nowhere => (PLACES[3], None),
        };
        Self {
            condition: part.condition.clone(),
            place,
            statement: statement.map(|it| it.text.clone()),
            values: statement.map(|it| it.values.clone()).unwrap_or_default(),
            held_back_by: part.held_back_by.clone(),
        }
    }
}

impl Schema for ShownPart {
    fn schema() -> MetaSchema {
        let about = "Where it is evaluated: a part goes to the source as a whole, or not at all. `nowhere`: it does not \
            concern the stream, since it names a field that the stream lacks.";
        let place = MetaSchema { description: Some(about), ..one_of(&PLACES) };
        let properties = vec![
            property::<Condition>("condition", "What must hold."),
            ("place", inline(place)),
            property::<Option<String>>(
                "statement",
                "How the source is asked, with places for the values.",
            ),
            property::<Vec<String>>("values", "The values, in the order of their places."),
            property::<Vec<Condition>>(
                "held_back_by",
                "Those of several tests in it that the source does not do, or only roughly: because of them, all of it is evaluated here.",
            ),
        ];
        object(properties, &["condition", "place", "statement", "values", "held_back_by"])
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
