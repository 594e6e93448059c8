//! Holds answers against the OpenAPI document.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
};

use jsonschema::Validator;
use poem::http::Method;
use serde_json::{Map, Value, json};

use crate::platform::Answer;

pub(crate) const JSON_API: &str = "application/vnd.api+json";

pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&linkspan_api::openapi()).unwrap());

/// The same, with shapes as JSON Schema 2020-12 has them.
static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let mut schemas = DOCUMENT["components"].clone();
    modernize(&mut schemas);
    schemas
});

static VALIDATORS: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);

/// Passes if the document says that the operation may give such an answer. Paths and methods that it does not know are for the
/// tests of failures.
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let path = path.split('?').next().unwrap();
    assert!(answer.headers.contains_key("x-request-id"), "{method} {path} has no X-Request-Id");
    let Some(operation) = operation(method, path) else { return };
    let place = format!("{method} {path} {}", answer.status);
    let response = resolved(&operation["responses"][answer.status.to_string()]);
    assert!(response.is_object(), "{place} is not documented: {}", answer.text);
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let is_there = answer.headers.contains_key(name.as_str());
        assert!(is_there || header["required"] != true, "{place} has no {name}");
    }
    let Some(content) = response["content"].as_object() else {
        return assert!(answer.text.is_empty(), "{place} has a body: {}", answer.text);
    };
    let content_type = answer.header("content-type");
    let media = content.get(content_type);
    let media =
        media.unwrap_or_else(|| panic!("{place} is {content_type}, which is not documented"));
    if content_type.contains("json") {
        validate(&media["schema"], &answer.body, &place);
    }
}

/// What is said here, or where this refers to.
pub(crate) fn resolved(value: &'static Value) -> &'static Value {
    let place = value["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
    place.map_or(value, |place| DOCUMENT.pointer(place).unwrap())
}

/// The operation that answers `method` on `path`.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let fits = |pattern: &str| {
        let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
        let fits = pattern
            .by_ref()
            .all(|it| path.next().is_some_and(|its| it.starts_with('{') || it == its));
        fits && path.next().is_none()
    };
    let found = paths.iter().filter(|(pattern, _)| fits(pattern));
    let found = found.min_by_key(|(pattern, _)| pattern.matches('{').count())?.1;
    found.get(method.as_str().to_lowercase())
}

fn validate(schema: &Value, body: &Value, place: &str) {
    let mut validators = VALIDATORS.lock().unwrap();
    let validator = validators.entry(schema.to_string()).or_insert_with(|| {
        let mut schema = schema.clone();
        modernize(&mut schema);
        schema["components"] = SCHEMAS.clone();
        jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
    });
    let faults: Vec<_> =
        validator.iter_errors(body).map(|it| format!("{} at {}", it, it.instance_path())).collect();
    assert!(faults.is_empty(), "{place} does not fit: {faults:#?}\n{body:#}");
}

/// OpenAPI 3.0 has `nullable`, JSON Schema has not.
fn modernize(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(modernize);
            // A property may be called `nullable`, too.
            if map.get("nullable") == Some(&Value::Bool(true)) {
                map.remove("nullable");
                let inner = Value::Object(std::mem::take(map));
                *map = Map::from_iter([("anyOf".to_owned(), json!([inner, { "type": "null" }]))]);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(modernize),
        _ => {}
    }
}

fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, it)| (path.as_str(), method.as_str(), it))
    })
}

/// Only what operators and browsers ask for goes without a key: people who go to a provider and come back have none, and neither
/// have providers that read who we are. A line more needs a reason as good.
const OPEN: [&str; 7] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/v1/oauth/callback",
    "/v1/oauth/client-metadata.json",
    "/v1/oauth/connect",
    "/v1/oauth/start",
];

#[test]
fn every_operation_wants_a_key() {
    for (path, method, operation) in operations() {
        let is_secured = operation["security"].as_array().is_some_and(|it| !it.is_empty());
        assert_eq!(is_secured, !OPEN.contains(&path), "{method} {path}");
    }
}

#[test]
fn every_operation_has_a_name_a_summary_and_its_parameters() {
    let mut names = Vec::new();
    for (path, method, item) in operations() {
        let name = item["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
        assert!(name.split('_').count() >= 2 && !names.contains(&name), "{name}");
        names.push(name);
        assert!(item["summary"].as_str().is_some_and(|it| !it.is_empty()), "{name}");
        let parameters = item["parameters"].as_array().into_iter().flatten().map(resolved);
        let named: Vec<_> = parameters
            .filter(|it| it["in"] == "path")
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        let wanted: Vec<_> =
            path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(named, wanted, "{name}");
        let takes = |parameter: &str| {
            let mut all = item["parameters"].as_array().into_iter().flatten().map(resolved);
            all.any(|it| it["name"] == parameter)
        };
        // A form of a page sends no headers.
        let takes_key = method == "post" && !OPEN.contains(&path);
        assert_eq!(takes("Idempotency-Key"), takes_key, "{name}");
        assert!(takes("If-Match") || !matches!(method, "patch" | "delete"), "{name}");
    }
}

#[test]
fn the_document_is_the_same_at_every_call() {
    assert_eq!(linkspan_api::openapi(), linkspan_api::openapi());
    assert_eq!(DOCUMENT["openapi"], "3.0.0");
    assert!(!DOCUMENT.to_string().contains("no other properties"), "a mark was left");
}

#[test]
fn examples_are_what_they_are_examples_of() {
    let schemas = DOCUMENT["components"]["schemas"].as_object().unwrap();
    let examples = schemas.iter().filter_map(|(name, it)| Some((name, it.get("example")?)));
    let mut count = 0;
    for (name, example) in examples {
        validate(&json!({ "$ref": format!("#/components/schemas/{name}") }), example, name);
        count += 1;
    }
    assert!(count >= 5, "only {count} examples");
}
