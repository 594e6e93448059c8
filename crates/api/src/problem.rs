//! The one door that every failure leaves by.

use std::{borrow::Cow, error::Error};

use http::{HeaderName, HeaderValue, StatusCode, header};
use linkspan_domain::{Code, Problem};
use poem::{Response, error::ResponseError};
use serde::{Serialize, Serializer, ser::SerializeMap};
use strum::EnumMessage;

use crate::{
    body::ATTRIBUTES,
    media_type::{JSON_API, PROBLEM},
};

/// What went wrong with a request, in words that are fit for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub(crate) struct Failure {
    /// What machines call it.
    pub(crate) code: Code,
    detail: Cow<'static, str>,
    place: Option<Source>,
    allow: Option<String>,
    /// How many seconds to wait.
    wait: u64,
}

/// Which part of the request it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Pointer(String),
    Parameter(String),
    Header(&'static str),
}

/// What callers are told when it is our fault.
const OURS: &str =
    "something went wrong on our side; the operator finds it in the log under this id";
const AWAY: &str = "a part of the platform does not answer; try again in a moment";

/// The HTTP status of each code. A code without one does not compile.
pub(crate) const fn status(code: Code) -> StatusCode {
    match code {
        Code::RequestMalformed
        | Code::InvalidParameter
        | Code::InvalidHeader
        | Code::InvalidCursor => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
        Code::PermissionDenied | Code::ClientIdForbidden => StatusCode::FORBIDDEN,
        Code::NoRoute | Code::NotFound | Code::StreamNotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        Code::NameTaken
        | Code::Dangling
        | Code::TypeMismatch
        | Code::NotDeleted
        | Code::IdempotencyInFlight
        | Code::ConnectorNotAvailable
        | Code::TypeNotInstalled
        | Code::UnexpectedStatus
        | Code::NeedReconnect
        | Code::RotationConflict
        | Code::UnexpectedCredentialState
        | Code::KeyUnknown
        | Code::OauthNoPublicAddress
        | Code::SyncAlreadyInProgress
        | Code::SyncCancelled
        | Code::SyncCrashed
        | Code::SyncNotActive
        | Code::SyncNotResumable
        | Code::SchemaFrozen
        | Code::ScheduleRunning
        | Code::TooManyQuarantined => StatusCode::CONFLICT,
        Code::CursorExpired => StatusCode::GONE,
        Code::Stale => StatusCode::PRECONDITION_FAILED,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::Invalid
        | Code::QueryTooSlow
        | Code::IdempotencyMismatch
        | Code::TypeUnsupported
        | Code::InvalidConfig
        | Code::UnknownSecret
        | Code::CredentialCheckFailed
        | Code::CursorRequired
        | Code::InvalidCondition
        | Code::OauthReturnNotAllowed
        | Code::OauthClientRequired
        | Code::InvalidMapping
        | Code::MappingDoesNotFit => StatusCode::UNPROCESSABLE_ENTITY,
        // The connected system's fault, not ours: a 5xx would page the wrong people.
        Code::SourceRefused | Code::SourceUnavailable => StatusCode::FAILED_DEPENDENCY,
        Code::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        Code::TimedOut | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What is said of a query that was stopped.
const TOO_SLOW: &str = "the query takes too long; narrow it by activation or stream";

/// Whether the same request may succeed later.
const fn is_retryable(code: Code) -> bool {
    matches!(
        code,
        Code::TimedOut
            | Code::TooManyAttempts
            | Code::Unavailable
            | Code::SourceUnavailable
            | Code::IdempotencyInFlight
    )
}

impl Failure {
    /// A failure of which the caller is told `detail`: a sentence without a full stop, and without anything quoted from the
    /// request that could be a secret.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), place: None, allow: None, wait: 1 }
    }

    /// It is about this place in the body.
    pub(crate) fn at(self, pointer: impl Into<String>) -> Self {
        Self { place: Some(Source::Pointer(pointer.into())), ..self }
    }

    /// It is about a body whose attributes stand there without an envelope.
    pub(crate) fn without_envelope(self) -> Self {
        let place = self.place.map(|it| match it {
            Source::Pointer(pointer) => {
                Source::Pointer(pointer.strip_prefix(ATTRIBUTES).unwrap_or(&pointer).to_owned())
            }
            other => other,
        });
        Self { place, ..self }
    }

    /// It is about this query parameter.
    pub(crate) fn in_parameter(self, name: impl Into<String>) -> Self {
        Self { place: Some(Source::Parameter(name.into())), ..self }
    }

    /// It is about the one of the query `parameters` that is called as the attribute is, if there is one: there is no body.
    pub(crate) fn in_query(self, parameters: &[&str]) -> Self {
        let place = self.place.and_then(|it| match it {
            Source::Pointer(pointer) => {
                let name = pointer.strip_prefix(ATTRIBUTES)?.trim_start_matches('/');
                parameters.contains(&name).then(|| Source::Parameter(name.to_owned()))
            }
            other => Some(other),
        });
        Self { place, ..self }
    }

    /// It is about this header.
    pub(crate) fn in_header(self, name: &'static str) -> Self {
        Self { place: Some(Source::Header(name)), ..self }
    }

    /// These are the methods that the route takes.
    pub(crate) fn allowing(self, methods: String) -> Self {
        Self { allow: Some(methods), ..self }
    }

    /// The same request may succeed in so many seconds.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { wait: seconds, ..self }
    }

    /// The response, for a client that takes errors as `media_type`.
    pub(crate) fn render(&self, media_type: &'static str, trace_id: &str) -> Response {
        let shown = Shown { failure: self, trace_id };
        let body = if media_type == PROBLEM {
            serde_json::to_vec(&ProblemDetails(&shown))
        } else {
            serde_json::to_vec(&Errors(&shown))
        };
        let mut response = Response::builder()
            .status(status(self.code))
            .content_type(media_type)
            .header(header::CACHE_CONTROL, "no-store")
            .body(body.unwrap_or_default());
        for (name, value) in self.headers() {
            response.headers_mut().insert(name, value);
        }
        response
    }

    fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let fixed = match self.code {
            Code::Unauthenticated => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            code if is_retryable(code) => Some((header::RETRY_AFTER, self.wait.into())),
            _ => None,
        };
        let allow = self.allow.as_deref().and_then(|it| HeaderValue::from_str(it).ok());
        fixed.into_iter().chain(allow.map(|it| (header::ALLOW, it)))
    }
}

impl<E: Problem> From<E> for Failure {
    fn from(error: E) -> Self {
        let code = error.code();
        let chain = &error as &dyn Error;
        let detail = match code {
            Code::Internal => Cow::Borrowed(OURS),
            Code::Unavailable => Cow::Borrowed(AWAY),
            Code::QueryTooSlow => Cow::Borrowed(TOO_SLOW),
            _ => Cow::Owned(error.to_string()),
        };
        if matches!(code, Code::Internal | Code::Unavailable) {
            tracing::error!(%code, error = chain, "request failed");
        } else {
            tracing::debug!(%code, "request refused");
        }
        let place = error.pointer().map(Source::Pointer);
        Self { code, detail, place, allow: None, wait: 1 }
    }
}

impl ResponseError for Failure {
    fn status(&self) -> StatusCode {
        status(self.code)
    }

    fn as_response(&self) -> Response {
        self.render(JSON_API, "")
    }
}

/// A failure of a framework that knows nothing of codes. What it says may quote the request, so nobody repeats it.
pub(crate) fn foreign(error: &poem::Error) -> Failure {
    let code = match error.status() {
        StatusCode::NOT_FOUND => Code::NoRoute,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        status if status.is_server_error() => Code::Internal,
        _ => Code::RequestMalformed,
    };
    let detail = match code {
        Code::NoRoute => "there is nothing at this path",
        Code::MethodNotAllowed => "this path does not take that method",
        Code::TooLarge => "the request is too large",
        Code::UnsupportedMediaType => "send the body as application/vnd.api+json",
        Code::Unauthenticated => "send an API key or a token: `Authorization: Bearer …`",
        Code::Internal => {
            tracing::error!(status = %error.status(), "the web framework failed");
            OURS
        }
        _ => "a segment of the path is not what it has to be, such as a UUID",
    };
    Failure::new(code, detail)
}

/// What callers are told of a failure that has no error: a panic.
pub(crate) fn internal() -> Failure {
    Failure::new(Code::Internal, OURS)
}

struct Shown<'a> {
    failure: &'a Failure,
    trace_id: &'a str,
}

struct Errors<'a>(&'a Shown<'a>);
struct ErrorObject<'a>(&'a Shown<'a>);
struct ProblemDetails<'a>(&'a Shown<'a>);

impl Shown<'_> {
    fn title(&self) -> &'static str {
        self.failure.code.get_documentation().unwrap_or("Error.").trim_end_matches('.')
    }

    fn problem_type(&self) -> String {
        format!("urn:linkspan:problem:{}", self.failure.code)
    }
}

impl Serialize for Errors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("jsonapi", &crate::document::Version)?;
        map.serialize_entry("errors", &[ErrorObject(self.0)])?;
        map.end()
    }
}

impl Serialize for ErrorObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Links {
            r#type: String,
        }
        #[derive(Serialize)]
        struct Meta {
            retryable: bool,
        }
        let Self(Shown { failure, trace_id }) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", trace_id)?;
        map.serialize_entry("links", &Links { r#type: self.0.problem_type() })?;
        map.serialize_entry("status", status(failure.code).as_str())?;
        map.serialize_entry("code", &failure.code.to_string())?;
        map.serialize_entry("title", self.0.title())?;
        map.serialize_entry("detail", &failure.detail)?;
        if let Some(source) = &failure.place {
            map.serialize_entry("source", source)?;
        }
        map.serialize_entry("meta", &Meta { retryable: is_retryable(failure.code) })?;
        map.end()
    }
}

impl Serialize for ProblemDetails<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Shown { failure, trace_id }) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &self.0.problem_type())?;
        map.serialize_entry("title", self.0.title())?;
        map.serialize_entry("status", &status(failure.code).as_u16())?;
        map.serialize_entry("detail", &failure.detail)?;
        map.serialize_entry("instance", &format!("urn:linkspan:request:{trace_id}"))?;
        map.serialize_entry("code", &failure.code.to_string())?;
        map.serialize_entry("trace_id", trace_id)?;
        map.serialize_entry("retryable", &is_retryable(failure.code))?;
        if let Some(source) = &failure.place {
            map.serialize_entry("errors", &[source])?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn every_code_has_an_error_status_and_a_title() {
        for code in Code::iter() {
            assert!(status(code).is_client_error() || status(code).is_server_error(), "{code}");
            assert!(code.get_documentation().is_some(), "{code}");
        }
    }

    #[test]
    fn the_page_of_problem_codes_says_what_the_code_does() {
        let page = include_str!("../../../docs/problems.md");
        let rows: Vec<_> = page.lines().filter(|it| it.starts_with("| `")).collect();
        let expected = Code::iter().map(|code| {
            let mark = if is_retryable(code) { " ↻" } else { "" };
            let happened = code.get_documentation().unwrap_or_default();
            format!("| `{code}` | {}{mark} | {happened} | ", status(code).as_u16())
        });
        for (row, expected) in rows.iter().zip(expected) {
            assert!(row.starts_with(&expected), "docs/problems.md should have `{expected}…`");
        }
        assert!(rows.len() >= Code::iter().count(), "docs/problems.md lacks a code");
    }

    #[test]
    fn what_is_our_fault_is_not_told() {
        #[derive(Debug, thiserror::Error)]
        #[error("the password of postgres is hunter2")]
        struct Broken;
        impl Problem for Broken {
            fn code(&self) -> Code {
                Code::Internal
            }
        }
        let failure = Failure::from(Broken);
        assert_eq!(failure.detail, OURS);
    }
}
