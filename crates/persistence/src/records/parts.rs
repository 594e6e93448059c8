//! The parts of a full load that are read side by side.

use linkspan_domain::{Condition, ports::StoreError};
use linkspan_sdk::LoadPart;
use sea_orm::{ConnectionTrait, DbBackend, QueryResult};
use serde_json::Value;

use super::stream::StreamRow;
use crate::{
    error::{corrupt, store_error},
    session::Session,
};

/// The plan of a run for a stream: run, stream.
const PLAN: &str = "\
    SELECT number, CAST(condition AS text) AS condition, is_read FROM load_parts \
    WHERE run_pk = $1 AND stream_pk = $2 ORDER BY number";

/// Adds a part to the plan: run, stream, number, condition.
const ADD_POSTGRES: &str = "\
    INSERT INTO load_parts (run_pk, stream_pk, number, condition) VALUES ($1, $2, $3, $4::jsonb)";
const ADD_SQLITE: &str = "\
    INSERT INTO load_parts (run_pk, stream_pk, number, condition) VALUES ($1, $2, $3, $4)";

/// Remembers that a part was read: run, stream, number.
const READ: &str = "\
    UPDATE load_parts SET is_read = true WHERE run_pk = $1 AND stream_pk = $2 AND number = $3";

/// Forgets the plan of a load that is over: run, stream.
pub(super) const FORGET: &str = "DELETE FROM load_parts WHERE run_pk = $1 AND stream_pk = $2";

/// The parts that are still to be read. Makes `proposes` the plan, if there is none.
pub(super) async fn plan(
    session: &Session,
    row: &StreamRow,
    proposes: &[Condition],
) -> Result<Option<Vec<LoadPart>>, StoreError> {
    let of = || vec![row.run_pk.into(), i64::from(row.pk).into()];
    if let Some(left) = left(&session.rows(PLAN, of()).await?)? {
        return Ok(Some(left));
    }
    let add = match session.get_database_backend() {
        DbBackend::Postgres => ADD_POSTGRES,
        _ => ADD_SQLITE,
    };
    for (number, condition) in (0_i32..).zip(proposes) {
        let mut values = of();
        values.extend([number.into(), condition.to_value().to_string().into()]);
        session.run(add, values).await?;
    }
    left(&session.rows(PLAN, of()).await?)
}

/// Remembers that a part was read.
pub(super) async fn finish(
    session: &Session,
    row: &StreamRow,
    number: i32,
) -> Result<(), StoreError> {
    let values = vec![row.run_pk.into(), i64::from(row.pk).into(), number.into()];
    session.run(READ, values).await.map(drop)
}

/// Those parts of a stored plan that are still to be read; nothing if there is no plan.
fn left(plan: &[QueryResult]) -> Result<Option<Vec<LoadPart>>, StoreError> {
    if plan.is_empty() {
        return Ok(None);
    }
    let mut left = Vec::new();
    for row in plan {
        if row.try_get("", "is_read").map_err(store_error)? {
            continue;
        }
        let number = row.try_get("", "number").map_err(store_error)?;
        let condition: String = row.try_get("", "condition").map_err(store_error)?;
        let condition: Value = serde_json::from_str(&condition).map_err(corrupt)?;
        let condition = Condition::parse(&condition).map_err(corrupt)?;
        left.push(LoadPart { number, condition });
    }
    Ok(Some(left))
}
