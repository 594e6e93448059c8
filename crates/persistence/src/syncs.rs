//! Starting runs, handing them out and ending them.

mod ended;

use async_trait::async_trait;
use linkspan_domain::{
    AuditEventId, CredentialVersion, Event, Failures, Fence, Health, Receipt, RunOutcome,
    RunStatus, Status, StreamName, StreamState, SyncLog, SyncLogId, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{Change, ChangeAtRest, Demand, StoreError, SyncStore},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryResult,
    QuerySelect, Value,
    sea_query::{Expr, ExprTrait},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    column::from_optional_json,
    error::{corrupt, store_error},
    instant::{from_microseconds, microseconds},
    number::unsigned,
    receipt,
    session::Session,
    store::{SqlStore, apply, insert, select, stale_unless, update},
    table::{sync_log, workspace_connector},
};

/// What of `$table` is of the run `$1`, among the streams of the activation `$3`, is of the run `$2` from now on.
macro_rules! take_over_sql {
    ($table:literal, $column:literal, $of:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET ",
            $column,
            " = (SELECT pk FROM workspace_connector_sync_logs ",
            "WHERE workspace_connector_sync_log_id = $2) WHERE ",
            $column,
            " = $1 AND ",
            $of
        )
    };
}

#[async_trait]
impl SyncStore for SqlStore<SyncLog> {
    async fn start(&self, run: &SyncLog, receipt: &Receipt) -> Result<(), StoreError> {
        let session = self.db().write().await?;
        let activation = activation(&session, run.workspace_connector_id).await?;
        begin(&session, &activation, run).await?;
        receipt::keep(&session, receipt).await?;
        session.commit().await
    }

    async fn resume(
        &self,
        run: &SyncLog,
        broken: SyncLogId,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let session = self.db().write().await?;
        let activation = activation(&session, run.workspace_connector_id).await?;
        let last = session.row(LAST, vec![activation.pk.into(), broken.uuid().into()]).await?;
        let broken: i64 =
            last.ok_or(StoreError::Dangling)?.try_get_by_index(0).map_err(store_error)?;
        begin(&session, &activation, run).await?;
        for take_over in TAKE_OVER {
            session
                .run(take_over, vec![broken.into(), run.id.uuid().into(), activation.pk.into()])
                .await?;
        }
        receipt::keep(&session, receipt).await?;
        session.commit().await
    }

    async fn claim(
        &self,
        worker: &str,
        only: Option<SyncLogId>,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<SyncLog>, StoreError> {
        let session = self.db().write().await?;
        let values: Vec<Value> = vec![
            worker.into(),
            microseconds(until).into(),
            now.into(),
            microseconds(now).into(),
            only.map(SyncLogId::uuid).into(),
        ];
        let claim = match session.get_database_backend() {
            DbBackend::Postgres => CLAIM_POSTGRES,
            _ => CLAIM_SQLITE,
        };
        let Some(claimed) = session.row(claim, values).await? else { return Ok(None) };
        let pk: i64 = claimed.try_get("", "pk").map_err(store_error)?;
        let run = select(&session, Condition::all(), sync_log::Column::Pk.eq(pk)).await?.pop();
        session.commit().await?;
        Ok(run)
    }

    async fn extend(
        &self,
        run: SyncLogId,
        fence: Fence,
        until: OffsetDateTime,
    ) -> Result<Demand, StoreError> {
        let session = self.db().write().await?;
        let values = vec![run.uuid().into(), fence.0.into(), microseconds(until).into()];
        let row = session.row(EXTEND, values).await?.ok_or(StoreError::Stale)?;
        let is_wanted: bool = row.try_get_by_index(0).map_err(store_error)?;
        session.commit().await?;
        Ok(if is_wanted { Demand::Wanted } else { Demand::Unwanted })
    }

    async fn release(&self, run: SyncLogId, fence: Fence) -> Result<(), StoreError> {
        use sync_log::Column;
        let session = self.db().write().await?;
        let update = sync_log::Entity::update_many()
            .col_expr(Column::Status, Expr::val(RunStatus::Scheduled.to_string()))
            .col_expr(Column::Worker, Expr::val(Option::<String>::None))
            .col_expr(Column::LeaseUntil, Expr::val(Option::<i64>::None))
            .filter(held(run, fence));
        stale_unless(update.exec(&session).await.map_err(store_error)?.rows_affected)?;
        session.commit().await
    }

    async fn cancel(
        &self,
        run: SyncLogId,
        outcome: &RunOutcome,
        receipt: &Receipt,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        use sync_log::Column;
        let session = self.db().write().await?;
        let active = Condition::all()
            .add(Column::WorkspaceConnectorSyncLogId.eq(run.uuid()))
            .add(Column::Status.is_in(["scheduled", "in_progress"]));
        let row = sync_log::Entity::find().filter(active).one(&session).await;
        let row = row.map_err(store_error)?.ok_or(StoreError::Stale)?;
        let waits = row.status == RunStatus::Scheduled.to_string();
        // Not if a worker claims it just now.
        let ended =
            if waits { end(&session, &row, outcome, now).await } else { Err(StoreError::Stale) };
        match ended {
            Err(StoreError::Stale) => {
                let update = sync_log::Entity::update_many()
                    .col_expr(Column::IsUnwanted, Expr::val(true))
                    .filter(Column::Pk.eq(row.pk))
                    .filter(Column::Status.eq(RunStatus::InProgress.to_string()));
                stale_unless(update.exec(&session).await.map_err(store_error)?.rows_affected)?;
            }
            other => other?,
        }
        receipt::keep(&session, receipt).await?;
        session.commit().await
    }

    async fn finish(
        &self,
        run: SyncLogId,
        fence: Fence,
        outcome: &RunOutcome,
        event: AuditEventId,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let session = self.db().write().await?;
        let row = sync_log::Entity::find().filter(held(run, fence)).one(&session).await;
        let row = row.map_err(store_error)?.ok_or(StoreError::Stale)?;
        end(&session, &row, outcome, now).await?;
        ended::record(&session, event, run, row.workspace_connector_pk, outcome, now).await?;
        session.commit().await
    }

    async fn failures(&self, activation: WorkspaceConnectorId) -> Result<Failures, StoreError> {
        let session = self.db().read().await?;
        let row = session.row(FAILURES, vec![activation.uuid().into()]).await?;
        let Some(row) = row else { return Ok(Failures::default()) };
        Ok(Failures {
            count: row.try_get_by_index(0).map(unsigned).map_err(store_error)?,
            since: row.try_get_by_index(1).map_err(store_error)?,
            losses: row.try_get_by_index(2).map(unsigned).map_err(store_error)?,
        })
    }

    async fn stream(
        &self,
        activation: WorkspaceConnectorId,
        stream: &StreamName,
    ) -> Result<Option<StreamState>, StoreError> {
        let session = self.db().read().await?;
        let values = vec![activation.uuid().into(), stream.as_str().into()];
        let row = session.row(STREAM, values).await?;
        row.map(|row| state(activation, &row)).transpose()
    }

    async fn streams(
        &self,
        activation: WorkspaceConnectorId,
    ) -> Result<Vec<StreamState>, StoreError> {
        let session = self.db().read().await?;
        let rows = session.rows(STREAMS, vec![activation.uuid().into()]).await?;
        rows.iter().map(|row| state(activation, row)).collect()
    }

    async fn move_mark(
        &self,
        state: &StreamState,
        receipt: &Receipt,
    ) -> Result<ChangeAtRest, StoreError> {
        let session = self.db().write().await?;
        let pk = activation(&session, state.workspace_connector_id).await?.pk;
        if let Some(hindered) = hindrance(&session, pk).await? {
            return Ok(hindered);
        }
        let values = vec![
            pk.into(),
            state.stream.as_str().into(),
            state.cursor_column.clone().into(),
            state.cursor_after.clone().into(),
        ];
        stale_unless(session.run(MOVE_MARK, values).await?)?;
        receipt::keep(&session, receipt).await?;
        session.commit().await?;
        Ok(ChangeAtRest::Made)
    }

    async fn change_cursors(
        &self,
        changed: &WorkspaceConnector,
        versions: &[Change<CredentialVersion>],
        receipts: &[Receipt],
    ) -> Result<ChangeAtRest, StoreError> {
        let session = self.db().write().await?;
        let pk = activation(&session, changed.id).await?.pk;
        if let Some(hindered) = hindrance(&session, pk).await? {
            return Ok(hindered);
        }
        for it in receipts {
            receipt::answer(&session, it).await?;
        }
        update(&session, changed).await?;
        for change in versions {
            apply(&session, change).await?;
        }
        for it in receipts {
            receipt::record(&session, it).await?;
        }
        session.commit().await?;
        Ok(ChangeAtRest::Made)
    }
}

/// What stands in the way of moving marks of an activation, which is locked: whoever starts a run locks it, too.
async fn hindrance(session: &Session, pk: i64) -> Result<Option<ChangeAtRest>, StoreError> {
    if session.row(ACTIVE, vec![pk.into()]).await?.is_some() {
        return Ok(Some(ChangeAtRest::Busy));
    }
    let scheduled = session.row(SCHEDULED, vec![pk.into()]).await?;
    Ok(scheduled.map(|_| ChangeAtRest::Scheduled))
}

/// The oldest run that waits, or whose worker is silent: worker, until, now as instant and in microseconds, and maybe
/// which run alone. Runs that another worker is just claiming are passed over.
const CLAIM_POSTGRES: &str = "\
    WITH next AS (\
        SELECT pk FROM workspace_connector_sync_logs \
        WHERE (status = 'scheduled' OR (status = 'in_progress' AND lease_until <= $4)) \
            AND ($5::uuid IS NULL OR workspace_connector_sync_log_id = $5) \
        ORDER BY created_at, pk LIMIT 1 FOR UPDATE SKIP LOCKED) \
    UPDATE workspace_connector_sync_logs l SET status = 'in_progress', worker = $1, \
        lease_until = $2, fence = l.fence + 1, revision = l.revision + 1, \
        crashes = l.crashes + CASE l.status WHEN 'in_progress' THEN 1 ELSE 0 END, \
        started_at = coalesce(l.started_at, $3), updated_at = $3 \
    FROM next WHERE l.pk = next.pk RETURNING l.pk AS pk";

const CLAIM_SQLITE: &str = "\
    UPDATE workspace_connector_sync_logs SET status = 'in_progress', worker = $1, \
        lease_until = $2, fence = fence + 1, revision = revision + 1, \
        crashes = crashes + CASE status WHEN 'in_progress' THEN 1 ELSE 0 END, \
        started_at = coalesce(started_at, $3), updated_at = $3 \
    WHERE pk = (\
        SELECT pk FROM workspace_connector_sync_logs \
        WHERE (status = 'scheduled' OR (status = 'in_progress' AND lease_until <= $4)) \
            AND ($5 IS NULL OR workspace_connector_sync_log_id = $5) \
        ORDER BY created_at, pk LIMIT 1) \
    RETURNING pk";

/// How many, since when, and with how many losses. Runs that a person stopped are no failures.
const FAILURES: &str = "\
    SELECT (SELECT count(*) FROM workspace_connector_sync_logs l \
            WHERE l.workspace_connector_pk = w.pk AND l.status = 'error' \
                AND coalesce(l.error_code, '') NOT IN ('sync.cancelled', 'source.cancelled') \
                AND NOT EXISTS (SELECT 1 FROM workspace_connector_sync_logs s \
                    WHERE s.workspace_connector_pk = l.workspace_connector_pk \
                        AND s.status = 'success' AND s.created_at > l.created_at)), \
        coalesce((SELECT max(s.completed_at) FROM workspace_connector_sync_logs s \
                WHERE s.workspace_connector_pk = w.pk AND s.status = 'success'), \
            (SELECT min(f.created_at) FROM workspace_connector_sync_logs f \
                WHERE f.workspace_connector_pk = w.pk)), \
        (SELECT count(*) FROM connector_sync_diagnostics d \
            WHERE d.workspace_connector_pk = w.pk AND d.class = 'data_loss' \
                AND NOT EXISTS (SELECT 1 FROM workspace_connector_sync_logs s \
                    WHERE s.workspace_connector_pk = w.pk AND s.status = 'success' \
                        AND s.completed_at >= d.created_at)) \
    FROM workspace_connectors w WHERE w.workspace_connector_id = $1";

/// The run of an activation, if it broke off and none came after it: activation, run.
const LAST: &str = "\
    SELECT l.pk FROM workspace_connector_sync_logs l \
    WHERE l.workspace_connector_pk = $1 AND l.workspace_connector_sync_log_id = $2 \
        AND l.status = 'error' AND NOT EXISTS (SELECT 1 FROM workspace_connector_sync_logs o \
            WHERE o.workspace_connector_pk = $1 AND o.pk > l.pk)";

/// Makes what a run was at that of another one: key of the run, the other one, key of the activation.
const TAKE_OVER: [&str; 4] = [
    take_over_sql!("workspace_connector_streams", "loading_run_pk", "workspace_connector_pk = $3"),
    take_over_sql!(
        "workspace_connector_streams",
        "loaded_by_run_pk",
        "workspace_connector_pk = $3"
    ),
    take_over_sql!(
        "load_parts",
        "run_pk",
        "stream_pk IN (SELECT pk FROM workspace_connector_streams WHERE workspace_connector_pk = $3)"
    ),
    take_over_sql!(
        "quarantined_records",
        "run_pk",
        "stream_pk IN (SELECT pk FROM workspace_connector_streams WHERE workspace_connector_pk = $3)"
    ),
];

const ACTIVE: &str = "\
    SELECT 1 FROM workspace_connector_sync_logs \
    WHERE workspace_connector_pk = $1 AND status IN ('scheduled', 'in_progress')";

const SCHEDULED: &str = "\
    SELECT 1 FROM schedules WHERE workspace_connector_pk = $1 AND next_run_at IS NOT NULL";

/// Activation, stream, column, mark.
const MOVE_MARK: &str = "\
    UPDATE workspace_connector_streams SET cursor_column = $3, cursor_after = $4 \
    WHERE workspace_connector_pk = $1 AND stream = $2";

/// The streams of an activation.
macro_rules! streams_sql {
    ($suffix:literal) => {
        concat!(
            "SELECT s.stream, s.cursor_column, s.cursor_after, s.generation, s.records, ",
            "s.synced_at, s.memory, s.loaded_basis, ",
            "l.workspace_connector_sync_log_id AS loaded_by ",
            "FROM workspace_connector_streams s ",
            "JOIN workspace_connectors w ON w.pk = s.workspace_connector_pk ",
            "LEFT JOIN workspace_connector_sync_logs l ON l.pk = s.loaded_by_run_pk ",
            "WHERE w.workspace_connector_id = $1 ",
            $suffix
        )
    };
}

const STREAMS: &str = streams_sql!("ORDER BY s.stream");
const STREAM: &str = streams_sql!("AND s.stream = $2");

/// Keeps the lease of a run, and says whether it is still wanted: run, fence, until.
const EXTEND: &str = "\
    UPDATE workspace_connector_sync_logs SET lease_until = $3 \
    WHERE workspace_connector_sync_log_id = $1 AND fence = $2 AND status = 'in_progress' \
    RETURNING NOT is_unwanted AND EXISTS (SELECT 1 FROM workspace_connectors w \
        WHERE w.pk = workspace_connector_sync_logs.workspace_connector_pk \
            AND w.status = 'processing' AND w.deleted_at IS NULL)";

/// Adds `run`, and moves its `activation` on, which is locked.
pub(crate) async fn begin(
    session: &Session,
    activation: &workspace_connector::Model,
    run: &SyncLog,
) -> Result<(), StoreError> {
    // Before a look at the status: an activation that is processing has a run already.
    insert(session, run).await?;
    if activation.deleted_at.is_some() {
        return Err(StoreError::Stale);
    }
    let status: Status = activation.status.parse().map_err(corrupt)?;
    if status.health() == Health::Degraded {
        let key = sync_log::Column::WorkspaceConnectorSyncLogId.eq(run.id.uuid());
        let update = sync_log::Entity::update_many()
            .col_expr(sync_log::Column::WasDegraded, Expr::val(true));
        update.filter(key).exec(session).await.map_err(store_error)?;
    }
    let status = status.after(Event::RunStarted).map_err(|_| StoreError::Stale)?;
    move_to(session, activation.pk, status, run.created_at).await
}

/// Ends the run of `row`, as long as it is as it was read, and moves its activation on.
async fn end(
    session: &Session,
    row: &sync_log::Model,
    outcome: &RunOutcome,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    use sync_log::Column;
    let owner = workspace_connector::Column::Pk.eq(row.workspace_connector_pk);
    let activation = lock(session, owner).await?;
    let (code, message) = outcome.error.clone().unzip();
    let nobody = Expr::val(Option::<String>::None);
    let update = sync_log::Entity::update_many()
        .col_expr(Column::Status, Expr::val(outcome.status().to_string()))
        .col_expr(Column::ErrorCode, Expr::val(code))
        .col_expr(Column::Error, Expr::val(message))
        .col_expr(Column::Worker, nobody)
        .col_expr(Column::LeaseUntil, Expr::val(Option::<i64>::None))
        .col_expr(Column::CompletedAt, Expr::val(now))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .col_expr(Column::Revision, Expr::col(Column::Revision).add(1))
        .filter(Column::Pk.eq(row.pk))
        .filter(Column::Fence.eq(row.fence))
        .filter(Column::Status.eq(row.status.clone()));
    stale_unless(update.exec(session).await.map_err(store_error)?.rows_affected)?;
    let status: Status = activation.status.parse().map_err(corrupt)?;
    let before = if row.was_degraded { Health::Degraded } else { Health::Good };
    // In a status where the end of a run means nothing, it means nothing.
    if let Ok(next) = status.after(Event::RunEnded(outcome.end, before))
        && next != status
    {
        move_to(session, activation.pk, next, now).await?;
    }
    Ok(())
}

/// The activation, which nobody else changes until the session ends.
pub(crate) async fn activation(
    session: &Session,
    id: WorkspaceConnectorId,
) -> Result<workspace_connector::Model, StoreError> {
    lock(session, workspace_connector::Column::WorkspaceConnectorId.eq(id.uuid())).await
}

async fn lock(session: &Session, which: Expr) -> Result<workspace_connector::Model, StoreError> {
    let found = workspace_connector::Entity::find().filter(which).lock_exclusive();
    found.one(session).await.map_err(store_error)?.ok_or(StoreError::Dangling)
}

/// Who reads the activation anew sees another revision: its status is part of it.
async fn move_to(
    session: &Session,
    pk: i64,
    status: Status,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    use workspace_connector::Column;
    let status = Column::Status.save_as(Expr::val(status.to_string()));
    let update = workspace_connector::Entity::update_many()
        .col_expr(Column::Status, status)
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .col_expr(Column::Revision, Expr::col(Column::Revision).add(1))
        .filter(Column::Pk.eq(pk));
    update.exec(session).await.map_err(store_error)?;
    Ok(())
}

fn held(run: SyncLogId, fence: Fence) -> Condition {
    Condition::all()
        .add(sync_log::Column::WorkspaceConnectorSyncLogId.eq(run.uuid()))
        .add(sync_log::Column::Fence.eq(fence.0))
        .add(sync_log::Column::Status.eq("in_progress"))
}

fn state(activation: WorkspaceConnectorId, row: &QueryResult) -> Result<StreamState, StoreError> {
    let stream: String = row.try_get("", "stream").map_err(store_error)?;
    let generation: i32 = row.try_get("", "generation").map_err(store_error)?;
    let synced_at: Option<i64> = row.try_get("", "synced_at").map_err(store_error)?;
    let loaded_by: Option<Uuid> = row.try_get("", "loaded_by").map_err(store_error)?;
    Ok(StreamState {
        workspace_connector_id: activation,
        stream: stream.parse().map_err(corrupt)?,
        cursor_column: row.try_get("", "cursor_column").map_err(store_error)?,
        cursor_after: row.try_get("", "cursor_after").map_err(store_error)?,
        generation: i64::from(generation),
        records: row.try_get("", "records").map(unsigned).map_err(store_error)?,
        synced_at: synced_at.map(from_microseconds).transpose()?,
        memory: from_optional_json("memory", row.try_get("", "memory").map_err(store_error)?)?,
        loaded_by: loaded_by.map(SyncLogId::from_uuid),
        loaded_basis: row.try_get("", "loaded_basis").map_err(store_error)?,
    })
}
