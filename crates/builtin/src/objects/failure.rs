//! What went wrong in a bucket, in our words.

use std::error::Error as _;

use linkspan_sdk::Failure;
use opendal::{Error, ErrorKind};

/// Why `what` cannot be had from `bucket` at `system`.
///
/// Nothing that the system said is repeated but its code for the error.
pub(super) fn failure(error: &Error, bucket: &str, system: &str, what: &str) -> Failure {
    if let Some(error) = error.source().and_then(|it| it.downcast_ref::<Failure>()) {
        return of_exchange(error, what);
    }
    match (error.kind(), code(error)) {
        (_, Some("NoSuchBucket")) => Failure::NotFound(format!("the bucket `{bucket}`")),
        (_, Some("AuthorizationHeaderMalformed" | "PermanentRedirect" | "TemporaryRedirect")) => {
            Failure::setting("region", "is not where the bucket is; look it up in its properties")
        }
        (_, Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired")) => {
            Failure::Unauthorized
        }
        (ErrorKind::PermissionDenied, _) => Failure::Unauthorized,
        (ErrorKind::NotFound, _) => Failure::NotFound(what.to_owned()),
        (ErrorKind::RateLimited, _) => Failure::RateLimited { retry_after: None },
        (ErrorKind::ConditionNotMatch | ErrorKind::RangeNotSatisfied, _) => changed(what),
        (_, Some(code)) if !may_pass(code) => {
            Failure::Refused(format!("{system} refused access to {what} ({code})"))
        }
        (kind, code) => {
            let said = code.map_or_else(String::new, |it| format!(" ({it})"));
            Failure::unavailable(system, format!("{kind} for {what}{said}"))
        }
    }
}

/// Whether the same request may succeed later. After its own attempts, OpenDAL tells no more.
fn may_pass(code: &str) -> bool {
    ["InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable"].contains(&code)
}

/// That `what` is not as it was listed.
pub(super) fn changed(what: &str) -> Failure {
    Failure::Malformed {
        what: what.to_owned(),
        line: None,
        reason: "it changed while it was read; read it again".to_owned(),
    }
}

/// A failure of the exchange once more, as OpenDAL lends it only.
fn of_exchange(failure: &Failure, what: &str) -> Failure {
    match failure {
        Failure::RateLimited { retry_after } => Failure::RateLimited { retry_after: *retry_after },
        Failure::TooLarge { limit, .. } => {
            Failure::TooLarge { what: what.to_owned(), limit: *limit }
        }
        Failure::Unavailable { system, source } => {
            let says = source.as_ref().map_or_else(String::new, ToString::to_string);
            Failure::unavailable(system.clone(), says)
        }
        other => Failure::Refused(format!("{what} cannot be reached: {other}")),
    }
}

/// The name that the system has for the error: OpenDAL writes it at the beginning of its message.
fn code(error: &Error) -> Option<&str> {
    let (_, rest) = error.message().split_once("code: \"")?;
    let (code, _) = rest.split_once('"')?;
    let is_name = !code.is_empty() && code.len() <= 64;
    (is_name && code.bytes().all(|it| it.is_ascii_alphanumeric())).then_some(code)
}
