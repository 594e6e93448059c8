//! Withdrawing entities that nothing stands for any more: their target, mapping or activation is gone.
//!
//! Triggers say of which activations. Their entities are looked at a part at a time, each in one transaction with how far
//! that came; so a process may die at any point of it, and several may work on it.

use std::collections::BTreeSet;

use linkspan_domain::ports::StoreError;
use sea_orm::{ConnectionTrait, DbBackend};
use time::OffsetDateTime;

use super::{feed::entries, plan::Gone, writing::delete};
use crate::{error::store_error, session::Session};

/// So many entities are looked at in one transaction.
const PART: i64 = 1_000;

/// Whether there is something to look at.
pub(super) async fn is_waiting(session: &Session) -> Result<bool, StoreError> {
    Ok(session.row("SELECT 1 FROM entity_withdrawals LIMIT 1", Vec::new()).await?.is_some())
}

/// Deletes those of the next entities that nothing stands for. Answers how many; `None` if all were looked at, or somebody else does.
pub(super) async fn next(
    session: &Session,
    now: OffsetDateTime,
) -> Result<Option<u64>, StoreError> {
    let sql = match session.get_database_backend() {
        DbBackend::Postgres => NEXT_POSTGRES,
        _ => NEXT,
    };
    let Some(row) = session.row(sql, Vec::new()).await? else { return Ok(None) };
    let activation_pk: i64 = row.try_get_by_index(0).map_err(store_error)?;
    let after: i64 = row.try_get_by_index(1).map_err(store_error)?;
    let values = vec![activation_pk.into(), after.into(), PART.into()];
    let rows = session.rows(LOOK, values).await?;
    let (mut gone, mut last) = (Vec::new(), None);
    for row in &rows {
        let pk = row.try_get("", "pk").map_err(store_error)?;
        let workspace_pk = row.try_get("", "workspace_pk").map_err(store_error)?;
        last = Some(pk);
        if row.try_get::<i32>("", "stands").map_err(store_error)? == 0 {
            gone.push(Gone { workspace_pk, pk });
        }
    }
    let workspaces: BTreeSet<i64> = gone.iter().map(|it| it.workspace_pk).collect();
    delete(session, &gone, &entries(session, workspaces).await?, now).await?;
    match last {
        Some(pk) => session.run(ADVANCE, vec![activation_pk.into(), pk.into()]).await?,
        None => session.run(DONE, vec![activation_pk.into()]).await?,
    };
    Ok(Some(gone.len() as u64))
}

/// An activation to look at, and behind which of its entities. PostgreSQL locks it: who brings back what entities stand on waits.
macro_rules! next_sql {
    ($suffix:literal) => {
        concat!(
            "SELECT workspace_connector_pk, entity_pk FROM entity_withdrawals ",
            "ORDER BY workspace_connector_pk LIMIT 1",
            $suffix
        )
    };
}

const NEXT: &str = next_sql!("");
const NEXT_POSTGRES: &str = next_sql!(" FOR UPDATE SKIP LOCKED");

/// The next live entities of an activation, and whether something stands for them: activation, entity, how many. A mapping
/// that waits for a person stands for what it made before.
const LOOK: &str = "\
    SELECT e.pk, e.workspace_pk, CASE WHEN EXISTS (\
        SELECT 1 FROM workspace_connector_sync_targets t \
        JOIN workspaces target ON target.pk = t.workspace_pk \
        JOIN workspaces own ON own.pk = w.workspace_pk \
        WHERE t.workspace_connector_pk = w.pk AND t.workspace_pk = e.workspace_pk \
            AND t.deleted_at IS NULL AND target.deleted_at IS NULL \
            AND target.organization_pk = own.organization_pk) \
    AND EXISTS (\
        SELECT 1 FROM connector_mappings m \
        WHERE m.workspace_connector_pk = w.pk AND m.stream = e.stream \
            AND m.target_model = e.target_model AND m.deleted_at IS NULL) \
    AND w.deleted_at IS NULL THEN 1 ELSE 0 END AS stands \
    FROM entities e JOIN workspace_connectors w ON w.pk = e.workspace_connector_pk \
    WHERE e.workspace_connector_pk = $1 AND e.pk > $2 AND e.deleted_at IS NULL \
    ORDER BY e.pk LIMIT $3";

const ADVANCE: &str =
    "UPDATE entity_withdrawals SET entity_pk = $2 WHERE workspace_connector_pk = $1";

const DONE: &str = "DELETE FROM entity_withdrawals WHERE workspace_connector_pk = $1";
