//! What the driver says, in words for the person who uses the connector.

use linkspan_sdk::Failure;
use sqlx::Error;

/// What `error` means. `system` names the server, for a person.
///
/// Codes are those of the PostgreSQL documentation, appendix A.
pub(crate) fn failure(system: &str, error: Error) -> Failure {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .map(std::borrow::Cow::into_owned);
    match code.as_deref() {
        Some("28000" | "28P01") => Failure::Unauthorized,
        Some("3D000") => Failure::NotFound("the database".to_owned()),
        Some("42P01") => Failure::NotFound("the table".to_owned()),
        Some("42703") => Failure::NotFound("a column".to_owned()),
        Some("42501") => Failure::Refused(
            "the credentials may not read that; grant SELECT on it and USAGE on its schema".to_owned(),
        ),
        Some("22021" | "22P05") => Failure::Malformed {
            what: "a text of the table".to_owned(),
            line: None,
            reason: "it is not valid in the encoding of the database".to_owned(),
        },
        Some(_) => Failure::unavailable(system, error),
        None => match error {
            Error::Tls(_) => Failure::Refused(
                "no encrypted connection could be agreed on; check `sslmode` and the server's certificate".to_owned(),
            ),
            other => Failure::unavailable(system, other),
        },
    }
}
