//! How operations can fail. It follows from what they take.

use http::Method;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaOperation, MetaOperationParam, MetaResponse, MetaSchema,
    Registry,
};

use crate::{
    answer::text_header,
    media_type::{JSON, JSON_API, PROBLEM},
    schema::{inline, list, named, object, open_object, property},
};

const ERRORS: &str = "Errors";
const DETAILS: &str = "ProblemDetails";

/// Adds to `operation` what it can answer with when it does not succeed.
pub(super) fn add(path: &str, operation: &mut MetaOperation) {
    let takes = |name: &str| operation.params.iter().any(|it: &MetaOperationParam| it.name == name);
    let is_api = path.starts_with("/v1/");
    let writes = operation.method != Method::GET;
    let has_body = operation.request.is_some();
    // Where a connected system has to answer, or its type has to be here.
    let asking_by_reading = ["/models", "/capabilities", "/access"];
    let asks_source = writes || asking_by_reading.iter().any(|it| path.ends_with(it));

    let mut statuses = vec![413, 500, 503];
    if takes("If-None-Match") {
        statuses.push(304);
    }
    if is_api {
        statuses.extend([400, 404, 406]);
    }
    if is_api && !operation.security.is_empty() {
        statuses.extend([401, 403, 429]);
    }
    if is_api && asks_source {
        statuses.extend([409, 422]);
    }
    if has_body {
        statuses.push(415);
    }
    if takes("If-Match") {
        statuses.push(412);
    }
    let asking = [
        "/models",
        "/syncs",
        "/test",
        "/streams/{stream}",
        "/suggest-mappings",
        "/authorize",
        "/access",
    ];
    if asking.iter().any(|it| path.ends_with(it)) {
        statuses.push(424);
    }
    if path.ends_with("/records/changes") {
        statuses.push(410);
    }
    statuses.sort_unstable();
    let documented = &mut operation.responses.responses;
    statuses.retain(|status| documented.iter().all(|it| it.status != Some(*status)));
    documented.extend(statuses.into_iter().map(failure));
    for response in documented {
        response.headers.push(request_id());
    }
}

/// Makes the shapes of failures known to the document.
pub(crate) fn register_failures(registry: &mut Registry) {
    struct Errors;
    struct Details;
    registry.create_schema::<Errors, _>(ERRORS.to_owned(), |_| errors());
    registry.create_schema::<Details, _>(DETAILS.to_owned(), |_| details());
}

fn request_id() -> MetaHeader {
    text_header("X-Request-Id", "Names the request in the log.")
}

fn failure(status: u16) -> MetaResponse {
    let description = match status {
        304 => "What the client has already is still the same.",
        400 => "The request cannot be read: a path, a parameter, a header or the body.",
        401 => "The API key or token is missing, or does not work any more.",
        403 => "The caller may not do that.",
        404 => "It is not there, or not the caller's.",
        406 => "The client accepts no representation that there is.",
        409 => {
            "It does not fit what is there: a name is taken, something is in use or at work, a type is wrong."
        }
        410 => "What is behind the cursor is not known any more: begin anew without one.",
        412 => "It was changed since the `ETag` was read.",
        413 => "The request is too large, or nests too deep.",
        415 => "The body is of a media type that is not understood.",
        422 => "The body can be read, but what it says is not possible.",
        424 => "The connected system refused, or did not answer.",
        429 => "Too many keys or tokens that do not work came from there.",
        503 => {
            "It took too long, or a part of the platform does not answer; try again in a moment."
        }
        _ => "Something went wrong on our side.",
    };
    let content = |content_type, name| MetaMediaType { content_type, schema: named(name) };
    let content = match status {
        304 => vec![],
        _ => vec![content(JSON_API, ERRORS), content(JSON, ERRORS), content(PROBLEM, DETAILS)],
    };
    let mut headers = vec![];
    match status {
        304 => headers.push(text_header("ETag", "Names the representation.")),
        401 => headers.push(text_header("WWW-Authenticate", "How to say who calls.")),
        429 => headers.push(text_header("Retry-After", "How many seconds to wait.")),
        _ => {}
    }
    MetaResponse { description, status: Some(status), status_range: None, content, headers }
}

fn source() -> MetaSchema {
    let properties = vec![
        property::<String>("pointer", "A place in the body: a JSON pointer."),
        property::<String>("parameter", "A query parameter."),
        property::<String>("header", "A header."),
    ];
    MetaSchema {
        description: Some("Which part of the request it is about."),
        ..object(properties, &[])
    }
}

fn errors() -> MetaSchema {
    let links = object(vec![property::<String>("type", "Names the kind of problem.")], &["type"]);
    let meta = object(
        vec![property::<bool>("retryable", "Whether the same request may succeed later.")],
        &["retryable"],
    );
    let properties = vec![
        property::<String>("id", "Names the request in the log."),
        ("links", inline(links)),
        property::<String>("status", "The HTTP status."),
        property::<String>(
            "code",
            "What machines call it: `noun.situation`. Codes are only ever added.",
        ),
        property::<String>("title", "What kind of problem it is."),
        property::<String>("detail", "What went wrong this time, and what to do."),
        ("source", inline(source())),
        ("meta", inline(meta)),
    ];
    let error = object(properties, &["id", "links", "status", "code", "title", "detail", "meta"]);
    object(
        vec![("jsonapi", inline(open_object())), ("errors", inline(list(inline(error))))],
        &["jsonapi", "errors"],
    )
}

fn details() -> MetaSchema {
    let properties = vec![
        property::<String>("type", "Names the kind of problem."),
        property::<String>("title", "What kind of problem it is."),
        property::<i64>("status", "The HTTP status."),
        property::<String>("detail", "What went wrong this time, and what to do."),
        property::<String>("instance", "Names the request."),
        property::<String>(
            "code",
            "What machines call it: `noun.situation`. Codes are only ever added.",
        ),
        property::<String>("trace_id", "Names the request in the log."),
        property::<bool>("retryable", "Whether the same request may succeed later."),
        ("errors", inline(list(inline(source())))),
    ];
    let required =
        ["type", "title", "status", "detail", "instance", "code", "trace_id", "retryable"];
    MetaSchema { description: Some("Problem details (RFC 9457)."), ..object(properties, &required) }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::Code;
    use strum::IntoEnumIterator;

    #[test]
    fn every_status_of_a_code_is_described() {
        // 405 and 501 are no answers of documented operations.
        for code in Code::iter() {
            let status = crate::problem::status(code).as_u16();
            let described = super::failure(status).description;
            let is_fallback = described == "Something went wrong on our side.";
            assert_eq!(is_fallback, matches!(status, 405 | 500 | 501), "{code}");
        }
    }
}
