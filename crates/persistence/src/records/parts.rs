//! The parts of a full load that are read side by side: what both databases understand.

use linkspan_domain::{Condition, ports::StoreError};
use linkspan_sdk::LoadPart;
use serde_json::Value;

use crate::error::corrupt;

/// The plan of a run for a stream: run, stream. Text is understood as JSON by both.
macro_rules! plan_sql {
    ($condition:literal) => {
        concat!(
            "SELECT number, ",
            $condition,
            ", is_read FROM load_parts WHERE run_pk = $1 AND stream_pk = $2 ORDER BY number"
        )
    };
}

pub(super) const PLAN_POSTGRES: &str = plan_sql!("condition::text");
pub(super) const PLAN_SQLITE: &str = plan_sql!("condition");

/// Adds a part to the plan: run, stream, number, condition.
pub(super) const ADD_POSTGRES: &str = "\
    INSERT INTO load_parts (run_pk, stream_pk, number, condition) VALUES ($1, $2, $3, $4::jsonb)";
pub(super) const ADD_SQLITE: &str = "\
    INSERT INTO load_parts (run_pk, stream_pk, number, condition) VALUES ($1, $2, $3, $4)";

/// Remembers that a part was read: run, stream, number.
pub(super) const READ: &str = "\
    UPDATE load_parts SET is_read = true WHERE run_pk = $1 AND stream_pk = $2 AND number = $3";

/// Forgets the plan: run, stream.
pub(super) const FORGET: &str = "DELETE FROM load_parts WHERE run_pk = $1 AND stream_pk = $2";

/// A part as it is stored.
pub(super) type PartColumns = (i32, String, bool);

/// Those parts of a stored plan that are still to be read; nothing if there is no plan.
pub(super) fn left(plan: Vec<PartColumns>) -> Result<Option<Vec<LoadPart>>, StoreError> {
    if plan.is_empty() {
        return Ok(None);
    }
    let left = plan.into_iter().filter(|(.., is_read)| !is_read).map(|(number, condition, _)| {
        let condition: Value = serde_json::from_str(&condition).map_err(corrupt)?;
        let condition = Condition::parse(&condition).map_err(corrupt)?;
        Ok(LoadPart { number, condition })
    });
    left.collect::<Result<_, _>>().map(Some)
}
