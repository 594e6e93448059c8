//! JSON:API documents, written straight into the answer.

use linkspan_domain::{Page, Position};
use linkspan_sdk::More;
use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeMap, SerializeSeq},
};
use serde_json::{Value, json, value::RawValue};

use crate::{
    cursor::Scope,
    include::{Found, Included},
    problem::{Failure, internal},
    query::Query,
    resource::{Fields, Key, Related, Relationship, Selection, Shown},
    view::View,
};

/// The `jsonapi` member.
pub(crate) struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("version", "1.1")?;
        map.end()
    }
}

/// A document about one thing.
pub(crate) fn single<R: Shown>(
    thing: &R,
    view: &View,
    found: &Found,
    included: &Included,
    extra: Option<(&'static str, &str)>,
) -> Result<Vec<u8>, Failure> {
    let place = place::<R>(&thing.key());
    let links = [("self", place)];
    let links = &links[..usize::from(R::PATH.is_some())];
    let object = ResourceObject { extra, ..ResourceObject::new(thing, view, found) };
    write(4_096, &Document { links, data: object, included, meta: &[] })
}

/// A page of a list, and where it came from.
pub(crate) struct Listed<'a, R> {
    /// The things.
    pub(crate) page: &'a Page<R>,
    /// The path of the list.
    pub(crate) path: &'a str,
    /// The query string.
    pub(crate) query: &'a Query,
    /// What cursors are bound to.
    pub(crate) scope: &'a Scope,
}

/// A document about a page of things.
pub(crate) fn collection<R: Shown>(
    listed: &Listed<'_, R>,
    view: &View,
    found: &Found,
    included: &Included,
) -> Result<Vec<u8>, Failure> {
    let Listed { page, path, query, scope } = *listed;
    let at = |position: Option<(&str, &str)>| format!("{path}{}", query.at(position));
    let cursors: Vec<_> = page.items.iter().map(|(_, position)| scope.seal(position)).collect();
    let beside = |there: bool, parameter: &str, cursor: Option<&String>| {
        cursor.filter(|_| there).map(|it| at(Some((parameter, it))))
    };
    let here = query.iter().find(|(name, _)| matches!(*name, "page[after]" | "page[before]"));
    let links = [
        ("self", Some(at(here))),
        ("first", Some(at(None))),
        ("prev", beside(page.has_before, "page[before]", cursors.first())),
        ("next", beside(page.has_after, "page[after]", cursors.last())),
    ];
    let data = Objects { things: &page.items, cursors: &cursors, view, found };
    write(
        2_048 * (page.items.len() + 1),
        &Document { links: &links, data, included, meta: &[total(page.total)] },
    )
}

/// A document about all there is of something, which has no pages. Its `meta` says `beside` as well.
pub(crate) fn whole<R: Shown>(
    things: &[R],
    path: &str,
    beside: Option<Meta>,
) -> Result<Vec<u8>, Failure> {
    let links = [("self", Some(path)), ("next", None)];
    let (view, found) = (View::default(), Found::default());
    let data: Vec<_> = things.iter().map(|it| ResourceObject::new(it, &view, &found)).collect();
    let meta: Vec<_> =
        [total(things.len().try_into().unwrap_or(u64::MAX))].into_iter().chain(beside).collect();
    write(
        2_048 * (things.len() + 1),
        &Document { links: &links, data, included: &Included(None), meta: &meta },
    )
}

/// What comes behind a part of a sequence.
pub(crate) enum Sequel {
    /// More, at once, from this cursor on.
    Now(String),
    /// Maybe more, from this cursor on.
    Later(String),
    /// Nothing.
    Never,
}

impl Sequel {
    /// What comes behind a page of a feed, from `next` on.
    pub(crate) fn of(more: More, next: String) -> Self {
        match more {
            More::Waiting => Self::Now(next),
            More::NotYet => Self::Later(next),
        }
    }
}

/// A document about a part of a sequence that has no end, or none that is known. Each thing comes with its cursor.
pub(crate) fn sequence<R: Shown>(
    things: &[R],
    cursor: impl Fn(&R) -> String,
    (path, query): (&str, &Query),
    sequel: Sequel,
) -> Result<Vec<u8>, Failure> {
    let at = |position: Option<(&str, &str)>| format!("{path}{}", query.at(position));
    let (next, cursor_behind) = match sequel {
        Sequel::Now(it) => (Some(at(Some(("page[after]", &it)))), Some(it)),
        Sequel::Later(it) => (None, Some(it)),
        Sequel::Never => (None, None),
    };
    let here = query.iter().find(|(name, _)| *name == "page[after]");
    let links = [("self", Some(at(here))), ("next", next)];
    let (view, found) = (View::default(), Found::default());
    let cursors: Vec<_> = things.iter().map(cursor).collect();
    let data: Vec<_> = things
        .iter()
        .zip(&cursors)
        .map(|(thing, cursor)| ResourceObject {
            cursor: Some(cursor),
            ..ResourceObject::new(thing, &view, &found)
        })
        .collect();
    let meta = [("page", json!({ "cursor": cursor_behind }))];
    write(
        2_048 * (things.len() + 1),
        &Document { links: &links, data, included: &Included(None), meta: &meta },
    )
}

/// Where a thing lives.
pub(crate) fn place<R: Shown>(key: &Key) -> String {
    R::PATH.map(|path| format!("{path}/{key}")).unwrap_or_default()
}

fn write(size: usize, document: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::with_capacity(size);
    match serde_json::to_writer(&mut body, document) {
        Ok(()) => Ok(body),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "could not write a document");
            Err(internal())
        }
    }
}

struct Document<'a, L, D> {
    links: &'a [(&'static str, L)],
    data: D,
    included: &'a Included,
    meta: &'a [Meta],
}

/// Something that `meta` says, under its name.
pub(crate) type Meta = (&'static str, Value);

/// How many things there are.
fn total(count: u64) -> Meta {
    ("page", json!({ "total": count }))
}

impl<L: Serialize, D: Serialize> Serialize for Document<'_, L, D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("jsonapi", &Version)?;
        if !self.links.is_empty() {
            map.serialize_entry("links", &Map(self.links))?;
        }
        map.serialize_entry("data", &self.data)?;
        if let Some(included) = &self.included.0 {
            let list = [b"[", included.as_slice(), b"]"].concat();
            let list = std::str::from_utf8(&list).map_err(S::Error::custom)?;
            let list: &RawValue = serde_json::from_str(list).map_err(S::Error::custom)?;
            map.serialize_entry("included", list)?;
        }
        if !self.meta.is_empty() {
            map.serialize_entry("meta", &Map(self.meta))?;
        }
        map.end()
    }
}

struct Map<'a, V>(&'a [(&'static str, V)]);

impl<V: Serialize> Serialize for Map<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

struct Objects<'a, R> {
    things: &'a [(R, Position)],
    cursors: &'a [String],
    view: &'a View,
    found: &'a Found,
}

impl<R: Shown> Serialize for Objects<'_, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.things.len()))?;
        for ((thing, _), cursor) in self.things.iter().zip(self.cursors) {
            let object = ResourceObject::new(thing, self.view, self.found);
            list.serialize_element(&ResourceObject { cursor: Some(cursor), ..object })?;
        }
        list.end()
    }
}

/// One thing in a document.
pub(crate) struct ResourceObject<'a, R> {
    thing: &'a R,
    selection: Selection,
    found: &'a Found,
    cursor: Option<&'a str>,
    /// An attribute that is shown this once.
    extra: Option<(&'static str, &'a str)>,
}

impl<'a, R: Shown> ResourceObject<'a, R> {
    pub(crate) fn new(thing: &'a R, view: &'a View, found: &'a Found) -> Self {
        let selection = view.selection(R::TYPE);
        Self { thing, selection, found, cursor: None, extra: None }
    }

    fn has_relationships(&self) -> bool {
        (0..R::RELATIONSHIPS.len()).any(|at| self.selection.has(R::ATTRIBUTES.len() + at))
    }
}

impl<R: Shown> Serialize for ResourceObject<'_, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = self.thing.key();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", R::TYPE)?;
        map.serialize_entry("id", &key)?;
        map.serialize_entry("attributes", &AttributesOf(self))?;
        if self.has_relationships() {
            map.serialize_entry("relationships", &RelationshipsOf(self))?;
        }
        if R::PATH.is_some() {
            map.serialize_entry("links", &Map(&[("self", place::<R>(&key))]))?;
        }
        if let Some(cursor) = self.cursor {
            map.serialize_entry("meta", &Map(&[("page", Map(&[("cursor", cursor)]))]))?;
        }
        map.end()
    }
}

struct AttributesOf<'a, R>(&'a ResourceObject<'a, R>);

impl<R: Shown> Serialize for AttributesOf<'_, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.0.thing.write(&mut Fields::new(&mut map, self.0.selection))?;
        if let Some((name, value)) = self.0.extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

struct RelationshipsOf<'a, R>(&'a ResourceObject<'a, R>);

impl<R: Shown> Serialize for RelationshipsOf<'_, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ResourceObject { thing, selection, found, .. } = *self.0;
        let mut map = serializer.serialize_map(None)?;
        for (at, relationship) in R::RELATIONSHIPS.iter().enumerate() {
            if selection.has(R::ATTRIBUTES.len() + at) {
                let related = thing.related(relationship.name, found);
                map.serialize_entry(
                    relationship.name,
                    &RelationshipObject { relationship, related },
                )?;
            }
        }
        map.end()
    }
}

struct RelationshipObject<'a> {
    relationship: &'a Relationship,
    related: Related,
}

impl Serialize for RelationshipObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let identifier = |key| Identifier { kind: self.relationship.target, key };
        let mut map = serializer.serialize_map(Some(1))?;
        match &self.related {
            Related::One(key) => map.serialize_entry("data", &key.as_ref().map(identifier))?,
            Related::Many(keys) => {
                let identifiers: Vec<_> = keys.iter().map(identifier).collect();
                map.serialize_entry("data", &identifiers)?;
            }
            Related::At(place) => map.serialize_entry("links", &Map(&[("related", place)]))?,
        }
        map.end()
    }
}

struct Identifier<'a> {
    kind: &'static str,
    key: &'a Key,
}

impl Serialize for Identifier<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", self.kind)?;
        map.serialize_entry("id", self.key)?;
        map.end()
    }
}
