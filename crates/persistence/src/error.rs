//! What goes wrong underneath, in the words of the ports.

use std::sync::Arc;

use linkspan_domain::ports::StoreError;
use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is not one of ours.
    #[error(
        "the database URL starts with neither `sqlite:` nor `postgres:`; set LINKSPAN_DATABASE_URL to one that does"
    )]
    UnknownScheme,
    /// An SQLite database that would not outlive its connection.
    #[error("an SQLite database in memory cannot be shared by connections; name a file")]
    InMemory,
    /// The database did not answer, or refused.
    #[error("cannot open the database; check LINKSPAN_DATABASE_URL and that the database is up")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A schema that could not be brought up to date.
#[derive(Debug, thiserror::Error)]
#[error("cannot bring the schema of the database up to date")]
pub struct MigrateError(#[source] pub(crate) Box<dyn std::error::Error + Send + Sync>);

const SQLITE_INTERRUPT: &str = "9";
const POSTGRES_QUERY_CANCELED: &str = "57014";

/// What a failed statement means to a caller.
pub(crate) fn store_error(error: DbErr) -> StoreError {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => StoreError::Taken,
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => StoreError::Dangling,
        _ if is_unreadable(&error) => StoreError::Corrupt(Box::new(error)),
        _ => StoreError::Unavailable(Box::new(error)),
    }
}

/// What a failed statement of sqlx's own means to a caller.
pub(crate) fn sqlx_error(error: sqlx::Error) -> StoreError {
    store_error(query_error(error))
}

/// What a failed statement that is stopped after a while means to a caller.
pub(crate) fn stopped_error(error: sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    match code.as_deref() {
        Some(SQLITE_INTERRUPT | POSTGRES_QUERY_CANCELED) => StoreError::TooSlow,
        _ => sqlx_error(error),
    }
}

/// A failed statement, in SeaORM's words.
pub(crate) fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

/// A row that does not make a domain value.
pub(crate) fn corrupt(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Corrupt(error.into())
}

/// A value that does not fit its column.
pub(crate) fn unstorable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Unavailable(error.into())
}

fn is_unreadable(error: &DbErr) -> bool {
    match error {
        DbErr::Type(_) | DbErr::Json(_) => true,
        DbErr::Query(RuntimeErr::SqlxError(error)) => {
            matches!(**error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
        }
        _ => false,
    }
}
