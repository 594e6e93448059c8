//! The shapes of documents.

use poem_openapi::registry::{MetaSchema, Registry};
use uuid::Uuid;

use crate::{
    resource::{Count, Relationship, Shown},
    schema::{Property, Schema, inline, list, named, object, one_of, open_object, property},
};

/// What the document calls a document about one `R`.
pub(crate) fn document_name<R: Shown>() -> String {
    format!("{}Document", R::NAME)
}

/// What the document calls a page of `R`s.
pub(crate) fn collection_name<R: Shown>() -> String {
    format!("{}Collection", R::NAME)
}

/// Makes the shape of a document about one `R` known.
pub(crate) fn register_document<R: Shown>(registry: &mut Registry) {
    struct Document<R>(std::marker::PhantomData<R>);
    register_resource::<R>(registry);
    registry.create_schema::<Document<R>, _>(document_name::<R>(), |_| {
        let mut properties = vec![("jsonapi", inline(version()))];
        let mut required = vec!["jsonapi", "data"];
        if R::PATH.is_some() {
            properties.push(("links", inline(links(&["self"], &[]))));
            required.push("links");
        }
        properties.push(("data", named(resource_name::<R>())));
        properties.push(included());
        object(properties, &required)
    });
}

/// Makes the shape of a page of `R`s known.
pub(crate) fn register_collection<R: Shown>(registry: &mut Registry) {
    struct Collection<R>(std::marker::PhantomData<R>);
    register_resource::<R>(registry);
    registry.create_schema::<Collection<R>, _>(collection_name::<R>(), |_| {
        let total = object(
            vec![property::<u64>("total", "How many things the whole list has.")],
            &["total"],
        );
        let meta = [vec![("page", inline(total))], R::beside()].concat();
        let required: Vec<_> = meta.iter().map(|(name, _)| *name).collect();
        let meta = object(meta, &required);
        let links = links(&["self", "first"], &["prev", "next"]);
        let links = MetaSchema { required: vec!["self", "next"], ..links };
        let properties = vec![
            ("jsonapi", inline(version())),
            ("links", inline(links)),
            ("data", inline(list(named(resource_name::<R>())))),
            included(),
            ("meta", inline(meta)),
        ];
        object(properties, &["jsonapi", "links", "data", "meta"])
    });
}

/// Makes the shape of a part of a sequence of `R`s known.
pub(crate) fn register_sequence<R: Shown>(registry: &mut Registry) {
    struct Sequence<R>(std::marker::PhantomData<R>);
    register_resource::<R>(registry);
    registry.create_schema::<Sequence<R>, _>(sequence_name::<R>(), |_| {
        let about = "Where to go on. Null: there is nothing more.";
        let cursor = vec![property::<Option<String>>("cursor", about)];
        let meta = object(vec![("page", inline(object(cursor, &["cursor"])))], &["page"]);
        let links = MetaSchema { required: vec!["self", "next"], ..links(&["self"], &["next"]) };
        let properties = vec![
            ("jsonapi", inline(version())),
            ("links", inline(links)),
            ("data", inline(list(named(resource_name::<R>())))),
            ("meta", inline(meta)),
        ];
        object(properties, &["jsonapi", "links", "data", "meta"])
    });
}

/// The shape of a relationship as clients write it.
pub(crate) fn written_relationship(relationship: &Relationship) -> MetaSchema {
    object(vec![("data", inline(linkage(relationship)))], &["data"])
}

/// The shape of what came of testing a connection.
pub(crate) fn test_result() -> MetaSchema {
    let properties = vec![
        property::<Uuid>("id", "Names the test in the history."),
        property::<bool>("ok", "Whether the settings work."),
        property::<i64>("latency_ms", "How long it took, in milliseconds."),
        property::<String>("message", "What was found, for people."),
        property::<String>("error", "What machines call what went wrong."),
    ];
    object(properties, &["id", "ok", "latency_ms", "message"])
}

/// What the document calls a part of a sequence of `R`s.
pub(crate) fn sequence_name<R: Shown>() -> String {
    format!("{}Sequence", R::NAME)
}

fn resource_name<R: Shown>() -> String {
    format!("{}Resource", R::NAME)
}

fn register_resource<R: Shown>(registry: &mut Registry) {
    registry.create_schema::<R, _>(resource_name::<R>(), |_| {
        let mut attributes = R::attributes_schema();
        attributes.properties.extend(R::EXTRA.map(|(name, about)| property::<String>(name, about)));
        let id = if R::HAS_UUID { Uuid::schema() } else { String::schema() };
        let cursor = object(
            vec![property::<String>("cursor", "The place of this thing in the list.")],
            &["cursor"],
        );
        let mut properties = vec![
            ("type", inline(one_of(&[R::TYPE]))),
            ("id", inline(id)),
            ("attributes", inline(attributes)),
        ];
        if !R::RELATIONSHIPS.is_empty() {
            let relationships =
                R::RELATIONSHIPS.iter().map(|it| (it.name, inline(relationship(it))));
            properties.push(("relationships", inline(object(relationships.collect(), &[]))));
        }
        if R::PATH.is_some() {
            properties.push(("links", inline(links(&["self"], &[]))));
        }
        properties.push(("meta", inline(object(vec![("page", inline(cursor))], &[]))));
        object(properties, &["type", "id", "attributes"])
    });
}

fn version() -> MetaSchema {
    object(vec![("version", inline(one_of(&["1.1"])))], &["version"])
}

fn links(always: &[&'static str], maybe: &[&'static str]) -> MetaSchema {
    let always_there = always.iter().map(|name| (*name, inline(String::schema())));
    let maybe_there = maybe.iter().map(|name| (*name, inline(Option::<String>::schema())));
    object(always_there.chain(maybe_there).collect(), always)
}

/// Other things that come along.
fn included() -> Property {
    let properties = vec![
        property::<String>("type", "What kind of thing it is."),
        property::<String>("id", "Which one."),
        ("attributes", inline(open_object())),
    ];
    let resource = MetaSchema {
        additional_properties: None,
        ..object(properties, &["type", "id", "attributes"])
    };
    ("included", inline(list(inline(resource))))
}

fn relationship(relationship: &Relationship) -> MetaSchema {
    let properties =
        vec![("data", inline(linkage(relationship))), ("links", inline(links(&["related"], &[])))];
    object(properties, &[])
}

fn linkage(relationship: &Relationship) -> MetaSchema {
    let properties =
        vec![("type", inline(one_of(&[relationship.target]))), ("id", inline(String::schema()))];
    let identifier = object(properties, &["type", "id"]);
    match relationship.count {
        Count::One => MetaSchema { nullable: true, ..identifier },
        Count::Many => list(inline(identifier)),
    }
}
