//! Rows into PostgreSQL by binary COPY.

use std::ops::Range;

use linkspan_sdk::{Row, Rows};
use sqlx::{Connection, PgConnection};
use time::{Duration, OffsetDateTime, macros::datetime};

/// A table that rows are copied into.
pub(super) enum Target {
    /// The records, new ones.
    Records(NewRecords),
    /// A temporary table of key, hash and payload, from which a statement takes them on.
    Changed,
}

/// What all new records of a commit have in common.
pub(super) struct NewRecords {
    pub(super) stream_pk: i32,
    pub(super) run_pk: i64,
    pub(super) generation: i32,
    pub(super) now: OffsetDateTime,
}

/// Why rows could not be copied.
pub(super) enum CopyFault {
    /// A record with one of the keys is there already.
    Collision(sqlx::Error),
    /// Anything else that has nothing to do with the rows.
    Failed(sqlx::Error),
}

/// How large the pieces are in which rows are sent.
const CHUNK: usize = 1 << 17;

impl Target {
    const fn statement(&self) -> &'static str {
        match self {
            Self::Records(_) => {
                "COPY records (run_pk, first_seen_at, last_seen_at, stream_pk, generation, \
                 added_generation, hash, key, payload) FROM STDIN (FORMAT binary)"
            }
            Self::Changed => "COPY changed_records (hash, key, payload) FROM STDIN (FORMAT binary)",
        }
    }

    fn encode(&self, row: Row<'_>, into: &mut Vec<u8>) {
        match self {
            Self::Records(common) => {
                let now = microseconds(common.now).to_be_bytes();
                into.extend_from_slice(&9_i16.to_be_bytes());
                field(into, &common.run_pk.to_be_bytes());
                field(into, &now);
                field(into, &now);
                field(into, &common.stream_pk.to_be_bytes());
                // In which it is written, and in which it appeared.
                field(into, &common.generation.to_be_bytes());
                field(into, &common.generation.to_be_bytes());
            }
            Self::Changed => into.extend_from_slice(&3_i16.to_be_bytes()),
        }
        field(into, row.hash.as_bytes());
        field(into, row.key.as_bytes());
        // `jsonb` in its binary form is its version, then text.
        into.extend_from_slice(&length(row.payload.len() + 1));
        into.push(1);
        into.extend_from_slice(row.payload.as_bytes());
    }
}

/// Copies the rows at `indices`. Rows that the database refuses for what they say are left out and answered, each with
/// the reason.
pub(super) async fn copy(
    connection: &mut PgConnection,
    target: &Target,
    rows: &Rows,
    indices: &[usize],
) -> Result<Vec<(usize, String)>, CopyFault> {
    let mut refused = Vec::new();
    let mut todo: Vec<Range<usize>> = Vec::new();
    if !indices.is_empty() {
        todo.push(0..indices.len());
    }
    while let Some(range) = todo.pop() {
        let mut attempt = connection.begin().await.map_err(CopyFault::Failed)?;
        let error = match send(&mut attempt, target, rows, &indices[range.clone()]).await {
            Ok(()) => {
                attempt.commit().await.map_err(CopyFault::Failed)?;
                continue;
            }
            Err(error) => error,
        };
        let Some(reason) = row_fault(&error) else {
            attempt.rollback().await.map_err(CopyFault::Failed)?;
            return Err(if is_collision(&error) {
                CopyFault::Collision(error)
            } else {
                CopyFault::Failed(error)
            });
        };
        attempt.rollback().await.map_err(CopyFault::Failed)?;
        // The statement fails as a whole: halve it until the culprit is alone.
        let middle = range.start.midpoint(range.end);
        if middle == range.start {
            refused.push((indices[range.start], reason));
        } else {
            todo.extend([middle..range.end, range.start..middle]);
        }
    }
    Ok(refused)
}

async fn send(
    connection: &mut PgConnection,
    target: &Target,
    rows: &Rows,
    indices: &[usize],
) -> Result<(), sqlx::Error> {
    const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
    let mut copy = connection.copy_in_raw(target.statement()).await?;
    let mut chunk = Vec::with_capacity(CHUNK + CHUNK / 4);
    chunk.extend_from_slice(SIGNATURE);
    for &index in indices {
        target.encode(rows.row(index), &mut chunk);
        if chunk.len() >= CHUNK {
            copy.send(chunk.as_slice()).await?;
            chunk.clear();
        }
    }
    chunk.extend_from_slice(&(-1_i16).to_be_bytes());
    copy.send(chunk.as_slice()).await?;
    copy.finish().await?;
    Ok(())
}

fn field(into: &mut Vec<u8>, value: &[u8]) {
    into.extend_from_slice(&length(value.len()));
    into.extend_from_slice(value);
}

/// The length of a field. One that is too long for the format is too long for the database.
fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes()
}

/// An instant as PostgreSQL sends it: microseconds since 2000.
fn microseconds(at: OffsetDateTime) -> i64 {
    const EPOCH: OffsetDateTime = datetime!(2000-01-01 00:00 UTC);
    let since: Duration = at - EPOCH;
    i64::try_from(since.whole_microseconds()).unwrap_or(i64::MAX)
}

/// What is wrong with a row, if that is why the statement failed: a data exception (SQLSTATE class 22) or a limit
/// of the database (class 54). The message of the first may quote the row, so it is not repeated.
fn row_fault(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    match code.get(..2)? {
        "22" => Some(format!("PostgreSQL cannot represent it as JSON (SQLSTATE {code})")),
        "54" => Some(format!("it exceeds a limit of PostgreSQL (SQLSTATE {code})")),
        _ => None,
    }
}

fn is_collision(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::microseconds;

    #[test]
    fn instants_count_from_2000() {
        assert_eq!(microseconds(datetime!(2000-01-01 00:00:01.000002 UTC)), 1_000_002);
        assert_eq!(microseconds(datetime!(1999-12-31 23:59:59 UTC)), -1_000_000);
    }
}
