//! What the driver says, in words for the person who uses the connector.

use std::io::ErrorKind;

use linkspan_sdk::Failure;
use sqlx::{Error, postgres::PgDatabaseError};

use crate::server::refused;

/// What a failure names that is about what records say.
pub(super) const RECORDS: &str = "the records";

/// Whether the table does not take some records for what they say.
pub(super) fn is_about_records(failure: &Failure) -> bool {
    matches!(failure, Failure::Invalid { what, .. } if *what == RECORDS)
}

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
        Some(code) if is_outage(code) => Failure::unavailable(system, error),
        Some(_) => refused(system, &error),
        None => match error {
            other if is_about_encryption(&other) => Failure::Refused(
                "no encrypted connection could be agreed on; check `sslmode` and the server's certificate".to_owned(),
            ),
            other => Failure::unavailable(system, other),
        },
    }
}

/// Whether no encrypted connection comes about: a certificate that does not hold is invalid data to whoever reads it.
fn is_about_encryption(error: &Error) -> bool {
    match error {
        Error::Tls(_) => true,
        Error::Io(told) => told.kind() == ErrorKind::InvalidData,
        _ => false,
    }
}

/// Whether the same may succeed in a moment: the connection is lost, the server ends or lacks something, or others were
/// in the way.
fn is_outage(code: &str) -> bool {
    ["08", "40", "53", "55P03", "57P"].iter().any(|it| code.starts_with(it))
}

/// What `error` means to someone who writes.
pub(super) fn unwritten(error: Error) -> Failure {
    let Some(said) = said(&error) else { return failure("the database", error) };
    let column = column(said);
    let invalid = |reason: &str| Failure::Invalid {
        what: RECORDS.into(),
        field: column.clone(),
        reason: reason.to_owned(),
    };
    let refused = |reason: &str| Failure::Refused(reason.to_owned());
    match said.code() {
        "23502" => invalid("has no value in a record, but the table requires one"),
        "23505" => invalid(
            "repeats a value that the table has only once; give the stream the primary key of the table, and upsert",
        ),
        "23503" => invalid("names something that is not in the table it refers to"),
        "23514" => invalid("has a value that a check of the table refuses"),
        "22001" => invalid("has a text that is too long for the column; alter the column to text"),
        "22003" => invalid(
            "has a number that is too large for the column; alter the column to one that holds it",
        ),
        "23P01" => invalid(
            "overlaps with a value of another row, which a constraint of the table excludes",
        ),
        "P0001" => invalid("is refused by a trigger of the table"),
        code if code.starts_with("22") => invalid(
            "has a value that PostgreSQL cannot keep, such as JSON with a NUL character; correct it at the source",
        ),
        code if code.starts_with("54") => invalid(
            "is larger than a limit of PostgreSQL, such as that of an indexed value; correct it at the source",
        ),
        "42501" => refused(
            "the credentials may not write there; grant SELECT, INSERT, UPDATE, DELETE and TRUNCATE on the table, and CREATE on its schema",
        ),
        "42P07" => refused(
            "a table of that name is there, but the credentials may not read it; grant SELECT on it",
        ),
        "42P10" => refused(
            "the table has no unique key over the primary key of the stream; add one, or replace the table",
        ),
        "42809" | "55000" => refused("what has that name is not a table that can be written to"),
        "0A000" => {
            refused("the table cannot be emptied, as others refer to it; upsert into it instead")
        }
        "2BP01" => refused(
            "a view or a key depends on a column that would have to change; drop it, or write to another table",
        ),
        "55P03" | "40P01" => Failure::unavailable("the table, which others hold,", error),
        "25006" => Failure::unavailable("the database, which takes no writes now,", error),
        "53100" => Failure::unavailable("the database, whose disk is full,", error),
        _ => failure("the database", error),
    }
}

/// Whether two rows have one key.
pub(super) fn is_duplicate(error: &Error) -> bool {
    said(error).is_some_and(|it| it.code() == "23505")
}

fn said(error: &Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|it| it.try_downcast_ref())
}

/// The column that the server names, or the constraint: in a copy it says `COPY t, line 1, column c`.
fn column(said: &PgDatabaseError) -> String {
    let of_copy = || {
        let (_, column) = said.r#where()?.split_once(", column ")?;
        column.split([':', '\n']).next()
    };
    said.column().or_else(of_copy).or_else(|| said.constraint()).unwrap_or("a column").to_owned()
}
