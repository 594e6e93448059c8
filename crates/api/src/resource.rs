//! How a resource is shown: its attributes, its relationships, its place.

use std::fmt::Display;

use linkspan_app::{Readable, Records};
use linkspan_domain::{Attribute, Caller, Id, Revision, Sort};
use poem_openapi::registry::MetaSchema;
use serde::{Serialize, Serializer, ser::SerializeMap};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{App, include::Found, problem::Failure, schema::Property, view::View};

/// A thing that documents show.
pub(crate) trait Shown: Attributes + Send + Sync + 'static {
    /// Its JSON:API type.
    const TYPE: &'static str;
    /// What the OpenAPI document calls it.
    const NAME: &'static str;
    /// Where its collection lives. None: it is only shown below others.
    const PATH: Option<&'static str>;
    /// What it refers to.
    const RELATIONSHIPS: &'static [Relationship];
    /// What lists of them can be filtered and ordered by.
    const LISTED: &'static [Attribute];
    /// How lists are ordered unless told.
    const ORDER: Sort = Sort::NEWEST;
    /// Whether its identifiers are UUIDs.
    const HAS_UUID: bool = true;
    /// An attribute that is shown only once, and what it is.
    const EXTRA: Option<(&'static str, &'static str)> = None;

    /// What the `meta` of lists of them has beside the page.
    fn beside() -> Vec<Property> {
        Vec::new()
    }

    /// Its identifier.
    fn key(&self) -> Key;

    /// How often it was written.
    fn revision(&self) -> Revision;

    /// What it refers to by the relationship of that name.
    fn related(&self, name: &str, found: &Found) -> Related;
}

/// A shown thing that is kept in a store.
pub(crate) trait Kept: Shown + Readable {
    /// All of its kind.
    fn records(app: &App) -> &Records<Self>;

    /// Looks up what [`Shown::related`] of `things` has to know, for all of them at once.
    fn look_up(
        _app: &App,
        _caller: &Caller,
        _things: &[&Self],
        _view: &View,
    ) -> impl Future<Output = Result<Found, Failure>> + Send {
        std::future::ready(Ok(Found::default()))
    }
}

/// The attributes of a thing. Made by [`attributes!`].
pub(crate) trait Attributes {
    /// Their names, in the order in which they are written.
    const ATTRIBUTES: &'static [&'static str];

    /// Writes those that are wanted.
    fn write<M: SerializeMap>(&self, fields: &mut Fields<'_, M>) -> Result<(), M::Error>;

    /// Their shape.
    fn attributes_schema() -> MetaSchema;
}

/// Identifies a thing of a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    Uuid(Uuid),
    Text(String),
}

/// One relationship of a kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Relationship {
    pub(crate) name: &'static str,
    /// The JSON:API type that it leads to.
    pub(crate) target: &'static str,
    pub(crate) count: Count,
}

/// How many things a relationship leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    One,
    Many,
}

/// What a relationship leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Related {
    One(Option<Key>),
    Many(Vec<Key>),
    /// The place of the list of them.
    At(String),
}

impl Relationship {
    /// To one thing at most.
    pub(crate) const fn one(name: &'static str, target: &'static str) -> Self {
        Self { name, target, count: Count::One }
    }

    /// To any number of things.
    pub(crate) const fn many(name: &'static str, target: &'static str) -> Self {
        Self { name, target, count: Count::Many }
    }
}

impl Related {
    /// To one thing.
    pub(crate) fn one(id: impl Id) -> Self {
        Self::One(Some(Key::of(id)))
    }

    /// To one thing, if there is one.
    pub(crate) fn maybe<I: Id>(id: Option<I>) -> Self {
        Self::One(id.map(Key::of))
    }

    /// To things.
    pub(crate) fn many<I: Id>(ids: impl IntoIterator<Item = I>) -> Self {
        Self::Many(ids.into_iter().map(Key::of).collect())
    }

    /// The things.
    pub(crate) fn keys(self) -> Vec<Key> {
        match self {
            Self::One(key) => key.into_iter().collect(),
            Self::Many(keys) => keys,
            Self::At(_) => Vec::new(),
        }
    }
}

impl Key {
    /// Of a kept thing.
    pub(crate) fn of<I: Id>(id: I) -> Self {
        Self::Uuid(id.uuid())
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uuid(uuid) => uuid.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Uuid(uuid) => uuid.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
        }
    }
}

/// Which attributes and relationships of a kind are wanted: one bit each, attributes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Selection(u64);

impl Selection {
    /// All there are.
    pub(crate) const ALL: Self = Self(u64::MAX);
    /// None of them.
    pub(crate) const NONE: Self = Self(0);

    /// With the one at this index, too.
    #[must_use]
    pub(crate) const fn with(self, index: usize) -> Self {
        Self(self.0 | 1 << index)
    }

    /// Whether the one at this index is wanted.
    pub(crate) const fn has(self, index: usize) -> bool {
        self.0 >> index & 1 == 1
    }
}

/// Takes the attributes of a thing, and writes those that are wanted.
pub(crate) struct Fields<'a, M: SerializeMap> {
    map: &'a mut M,
    selection: Selection,
    next: usize,
}

impl<'a, M: SerializeMap> Fields<'a, M> {
    pub(crate) const fn new(map: &'a mut M, selection: Selection) -> Self {
        Self { map, selection, next: 0 }
    }

    /// The next attribute.
    pub(crate) fn put<T: Serialize>(
        &mut self,
        name: &'static str,
        value: impl FnOnce() -> T,
    ) -> Result<(), M::Error> {
        let wanted = self.selection.has(self.next);
        self.next += 1;
        if wanted { self.map.serialize_entry(name, &value()) } else { Ok(()) }
    }
}

/// An instant as JSON has it (RFC 3339).
pub(crate) struct Instant(pub(crate) OffsetDateTime);

/// The instant, for an attribute.
pub(crate) const fn instant(at: OffsetDateTime) -> Instant {
    Instant(at)
}

/// The instant, if there is one, for an attribute.
pub(crate) fn maybe_instant(at: Option<OffsetDateTime>) -> Option<Instant> {
    at.map(Instant)
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.format(&Rfc3339).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

/// Declares the attributes of a kind of thing, each with its description, its shape and its value.
///
/// One table for what is written and what is documented, so that neither can have an attribute that the other lacks.
macro_rules! attributes {
    ($kind:ty, |$it:ident| { $( $(#[doc = $about:literal])+ $name:ident: $shape:ty = $value:expr; )+ }) => {
        impl $crate::resource::Attributes for $kind {
            const ATTRIBUTES: &'static [&'static str] = &[$(stringify!($name)),+];

            fn write<M: serde::ser::SerializeMap>(
                &self,
                fields: &mut $crate::resource::Fields<'_, M>,
            ) -> Result<(), M::Error> {
                let $it = self;
                $( fields.put(stringify!($name), || $value)?; )+
                Ok(())
            }

            fn attributes_schema() -> poem_openapi::registry::MetaSchema {
                let properties = vec![$(
                    $crate::schema::property::<$shape>(stringify!($name), concat!($($about),+))
                ),+];
                $crate::schema::object(properties, &[])
            }
        }
    };
}

pub(crate) use attributes;
