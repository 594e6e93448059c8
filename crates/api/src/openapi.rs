//! The OpenAPI document of the API.

mod failures;
mod links;
mod parameters;
mod permissions;
mod shapes;

use std::{collections::HashMap, sync::OnceLock};

use bytes::Bytes;
use http::Method;
use poem::{
    Endpoint, Response,
    endpoint::{BoxEndpoint, make_sync},
};
use poem_openapi::{
    LicenseObject, OpenApi, OpenApiService,
    registry::{MetaApi, MetaSecurityScheme, Registry},
};
use serde_json::{Map, Value, json};

pub(crate) use failures::register_failures;
pub(crate) use parameters::{
    access_parameters, acting_parameters, asking_parameters, changing_parameters,
    continuing_parameters, creating_parameters, deleting_parameters, entity_choice_parameters,
    following_parameters, list_parameters, parameters, querying_parameters, reading_parameters,
    record_choice_parameters, uploading_parameters, view_parameters,
};
pub(crate) use shapes::{
    collection_name, document_name, register_collection, register_document, register_sequence,
    sequence_name, test_result, written_relationship,
};

use crate::{resources::Resources, schema::is_closed};

/// The version of the API that this crate serves.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the document calls the security scheme.
pub(crate) const BEARER: &str = "bearer";

const ABOUT: &str = "\
Linkspan is a connector platform that a team runs itself: a catalog of connectors, their activations in workspaces \
with sealed credentials, and the records that they bring in.

The API speaks [JSON:API 1.1](https://jsonapi.org/format/1.1/) as `application/vnd.api+json`; the same documents are \
read and sent as `application/json`. Errors have stable `code`s of the form `noun.situation`, and come as \
`application/problem+json` where a client accepts that and not JSON:API.

Every `POST` of a caller with a key takes an `Idempotency-Key`: sent again within 24 hours, the request has no second effect, and its answer \
is given again; where nothing is kept of an answer, as of links and dry runs, the request is worked on once more. Reads have strong `ETag`s, and writes take them in `If-Match`.

A call acts in one workspace: the first that its key works in, or the one that the header `Linkspan-Workspace` names by \
identifier or slug. It reads that workspace and all below it. What belongs to others is not there: 404.

Answers carry `X-Request-Id`, the name of the request in the log and the audit trail: the trace of the client's \
`traceparent`, else its own `X-Request-Id`, else a new one.";

/// The OpenAPI document, as pretty JSON. It is the same at every call.
pub fn openapi() -> String {
    let mut document: Value = serde_json::from_str(&service().spec()).unwrap_or_default();
    finish(&mut document);
    links::add(&mut document);
    permissions::add(&mut document);
    share(&mut document);
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

/// The API, ready to be served or described.
pub(crate) fn service() -> OpenApiService<Documented<Resources>, ()> {
    OpenApiService::new(Documented(Resources::default()), "Linkspan", VERSION)
        .description(ABOUT)
        .license(LicenseObject::new("Apache-2.0 OR MIT"))
        .server("/")
}

/// Says in JSON what the registry cannot say.
fn finish(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(extra) = map.get_mut("additionalProperties").filter(|it| is_closed(it)) {
                *extra = Value::Bool(false);
            }
            map.values_mut().for_each(finish);
        }
        Value::Array(items) => items.iter_mut().for_each(finish),
        _ => {}
    }
}

/// What operations have in common is said once: their failures and most of their parameters.
fn share(document: &mut Value) {
    let (mut responses, mut parameters) = (Map::new(), Map::new());
    let operations = document.get_mut("paths").and_then(Value::as_object_mut);
    let operations = operations.into_iter().flat_map(Map::values_mut);
    for operation in operations.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        for (status, response) in
            operation["responses"].as_object_mut().into_iter().flat_map(Map::iter_mut)
        {
            // What succeeds is about the thing itself.
            if status.as_str() >= "300" {
                refer(&mut responses, "responses", &format!("Failure{status}"), response);
            }
        }
        for parameter in
            operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
        {
            let name = parameter["name"].as_str().unwrap_or_default();
            let name = name.replace(['[', ']', '-'], "_");
            let name = name.trim_end_matches('_').replace("__", "_");
            refer(&mut parameters, "parameters", &name, parameter);
        }
    }
    document["components"]["responses"] = responses.into();
    document["components"]["parameters"] = parameters.into();
}

/// Moves `value` among the components called `kind` and refers to it there, unless the name stands for another already.
fn refer(components: &mut Map<String, Value>, kind: &str, name: &str, value: &mut Value) {
    let known = components.entry(name).or_insert_with(|| value.clone());
    if known == value {
        *value = json!({ "$ref": format!("#/components/{kind}/{name}") });
    }
}

/// Gives the document. It is made when it is first asked for.
pub(crate) fn document_endpoint() -> impl Endpoint<Output = Response> {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    make_sync(|_| {
        let document = DOCUMENT.get_or_init(|| openapi().into());
        Response::builder().content_type("application/json").body(document.clone())
    })
}

/// Gives a page to read the document and to try the API. It needs no network.
pub(crate) fn docs_endpoint() -> impl Endpoint<Output = Response> {
    static PAGE: OnceLock<Bytes> = OnceLock::new();
    make_sync(|_| {
        let page = PAGE.get_or_init(|| service().swagger_ui_html().into());
        Response::builder().content_type("text/html; charset=utf-8").body(page.clone())
    })
}

/// Makes the security scheme known to the document.
pub(crate) fn register_security(registry: &mut Registry) {
    registry.create_security_scheme(
        BEARER,
        MetaSecurityScheme {
            ty: "http",
            description: Some(
                "An API key, such as `lsk_…`, or a JSON Web Token. The header `Linkspan-Workspace` chooses the workspace to act in.",
            ),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        },
    );
}

/// An API whose operations say all that they take and all that they can answer with.
pub(crate) struct Documented<A>(pub(crate) A);

impl<A: OpenApi> OpenApi for Documented<A> {
    fn meta() -> Vec<MetaApi> {
        let mut meta = A::meta();
        for path in meta.iter_mut().flat_map(|it| &mut it.paths) {
            for operation in &mut path.operations {
                parameters::expand(&path.path, operation);
                failures::add(&path.path, operation);
            }
        }
        meta
    }

    fn register(registry: &mut Registry) {
        A::register(registry);
        register_failures(registry);
    }

    fn add_routes(self, routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        self.0.add_routes(routes);
    }
}
