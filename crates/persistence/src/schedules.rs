//! Schedules, and taking their turns.

use async_trait::async_trait;
use linkspan_domain::{
    CredentialVersion, Event, Interval, OrganizationId, Receipt, Recurrence, Schedule, Status,
    Visible, WorkspaceConnector, WorkspaceConnectorId, WorkspaceId,
    ports::{DueSchedule, ScheduleStore, StoreError, Timing, Turn, TurnTaken},
};
use sea_orm::QueryResult;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Database,
    error::{corrupt, store_error},
    instant::{from_microseconds, microseconds},
    receipt,
    session::Session,
    store::{insert, stale_unless},
    syncs::{activation, begin},
};

/// Keeps schedules, on either database.
pub(crate) struct SqlSchedules {
    db: Database,
}

impl SqlSchedules {
    pub(crate) const fn new(db: Database) -> Self {
        Self { db }
    }
}

/// The columns of a schedule, and where they come from.
macro_rules! select {
    ($condition:literal) => {
        select!("", $condition)
    };
    ($before:literal, $condition:literal) => {
        concat!(
            $before,
            "SELECT w.workspace_connector_id, k.workspace_id, o.organization_id, s.cron, ",
            "s.time_zone, s.interval_secs, s.mode, s.next_run_at, s.last_started_at, ",
            "s.last_skipped_at, s.created_at, s.updated_at FROM schedules s ",
            "JOIN workspace_connectors w ON w.pk = s.workspace_connector_pk ",
            "JOIN workspaces k ON k.pk = w.workspace_pk ",
            "JOIN organizations o ON o.pk = k.organization_pk WHERE ",
            $condition
        )
    };
}

/// What is due, behind something or nothing.
macro_rules! due {
    ($($before:literal)?) => {
        select!($($before,)? "s.next_run_at <= $1 ORDER BY s.next_run_at LIMIT $2")
    };
}

/// Of which activation.
const FIND: &str = select!("w.workspace_connector_id = $1 AND w.deleted_at IS NULL");

/// Until when, and how many.
const DUE: &str = due!();

/// Activation, cron, time zone, interval, mode, next run, instants of creation and change.
const PUT: &str = "\
    INSERT INTO schedules (workspace_connector_pk, cron, time_zone, interval_secs, mode, \
        next_run_at, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
    ON CONFLICT (workspace_connector_pk) DO UPDATE SET cron = excluded.cron, \
        time_zone = excluded.time_zone, interval_secs = excluded.interval_secs, \
        mode = excluded.mode, next_run_at = excluded.next_run_at, updated_at = excluded.updated_at";

const REMOVE: &str = "DELETE FROM schedules WHERE workspace_connector_pk = $1";

/// Moves a schedule on, as long as it is as it was found: activation, due when, due again when.
const MOVE_ON: &str = "\
    UPDATE schedules SET next_run_at = $3 WHERE workspace_connector_pk = $1 AND next_run_at = $2";

const STARTED: &str = "UPDATE schedules SET last_started_at = $2 WHERE workspace_connector_pk = $1";

/// Notes another turn that was skipped, if the one before was.
const SKIPPED_AGAIN: &str = "\
    UPDATE schedules SET last_skipped_at = $2 WHERE workspace_connector_pk = $1 \
        AND last_skipped_at > coalesce(last_started_at, 0)";
const SKIPPED: &str = "UPDATE schedules SET last_skipped_at = $2 WHERE workspace_connector_pk = $1";

#[async_trait]
impl ScheduleStore for SqlSchedules {
    async fn find(
        &self,
        tenancy: &Visible,
        activation: WorkspaceConnectorId,
    ) -> Result<Option<Schedule>, StoreError> {
        let session = self.db.read().await?;
        let found = session.row(FIND, vec![activation.uuid().into()]).await?;
        let found = found.as_ref().map(due).transpose()?.map(|it| it.schedule);
        Ok(found.filter(|it| tenancy.workspaces.contains(&it.workspace_id)))
    }

    async fn put(&self, schedule: &Schedule, receipt: &Receipt) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        put(&session, schedule).await?;
        receipt::keep(&session, receipt).await?;
        session.commit().await
    }

    async fn bootstrap(
        &self,
        activation: &WorkspaceConnector,
        versions: &[CredentialVersion],
        schedule: &Schedule,
        receipts: &[Receipt; 2],
    ) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        for it in receipts {
            receipt::answer(&session, it).await?;
        }
        insert(&session, activation).await?;
        for version in versions {
            insert(&session, version).await?;
        }
        put(&session, schedule).await?;
        for it in receipts {
            receipt::record(&session, it).await?;
        }
        session.commit().await
    }

    async fn remove(&self, of: WorkspaceConnectorId, receipt: &Receipt) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        let pk = activation(&session, of).await?.pk;
        stale_unless(session.run(REMOVE, vec![pk.into()]).await?)?;
        receipt::keep(&session, receipt).await?;
        session.commit().await
    }

    async fn due(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<DueSchedule>, StoreError> {
        let session = self.db.read().await?;
        let values = vec![microseconds(now).into(), i64::from(limit).into()];
        let rows = session.rows(DUE, values).await?;
        let readable = |row| match due(row) {
            Ok(due) => Some(due),
            Err(error) => {
                // The others do not wait for somebody to mend it.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a schedule cannot be read"
                );
                None
            }
        };
        Ok(rows.iter().filter_map(readable).collect())
    }

    async fn take(&self, turn: &Turn) -> Result<TurnTaken, StoreError> {
        let Turn { schedule, next_run_at, timing, run, started, skipped } = turn;
        let session = self.db.write().await?;
        let activation = activation(&session, schedule.workspace_connector_id).await?;
        let (pk, due_at) = (activation.pk, schedule.next_run_at.map(microseconds));
        let values = vec![pk.into(), due_at.into(), next_run_at.map(microseconds).into()];
        if session.run(MOVE_ON, values).await? == 0 {
            return Ok(TurnTaken::Missed);
        }
        let status: Status = activation.status.parse().map_err(corrupt)?;
        let is_gone = activation.deleted_at.is_some();
        let now = microseconds(run.created_at);
        // Whoever runs has a run already, which the status says.
        let cannot_run = is_gone || status.after(Event::RunStarted).is_err();
        if cannot_run || *timing == Timing::Late {
            // Of an activation that is switched off for a year, nobody wants to be told at each turn.
            if session.run(SKIPPED_AGAIN, vec![pk.into(), now.into()]).await? == 0 {
                session.run(SKIPPED, vec![pk.into(), now.into()]).await?;
                receipt::keep(&session, skipped).await?;
            }
            session.commit().await?;
            let status = Some(status).filter(|_| !is_gone);
            return Ok(if cannot_run { TurnTaken::Skipped(status) } else { TurnTaken::PassedOver });
        }
        begin(&session, &activation, run).await?;
        session.run(STARTED, vec![pk.into(), now.into()]).await?;
        receipt::keep(&session, started).await?;
        session.commit().await?;
        Ok(TurnTaken::Started)
    }
}

/// Sets a schedule, in place of the one there.
async fn put(session: &Session, schedule: &Schedule) -> Result<(), StoreError> {
    let pk = activation(session, schedule.workspace_connector_id).await?.pk;
    let (cron, time_zone, interval) = match &schedule.recurrence {
        Recurrence::Cron { expression, time_zone } => {
            (Some(expression.as_str()), Some(time_zone.as_str()), None)
        }
        Recurrence::Every(interval) => (None, None, Some(i64::from(interval.seconds()))),
    };
    let values = vec![
        pk.into(),
        cron.into(),
        time_zone.into(),
        interval.into(),
        schedule.mode.to_string().into(),
        schedule.next_run_at.map(microseconds).into(),
        microseconds(schedule.created_at).into(),
        microseconds(schedule.updated_at).into(),
    ];
    session.run(PUT, values).await.map(drop)
}

fn due(row: &QueryResult) -> Result<DueSchedule, StoreError> {
    let uuid = |name| row.try_get::<Uuid>("", name).map_err(store_error);
    let text = |name| row.try_get::<Option<String>>("", name).map_err(store_error);
    let number = |name| row.try_get::<Option<i64>>("", name).map_err(store_error);
    let maybe = |name| number(name)?.map(from_microseconds).transpose();
    let instant = |name| maybe(name)?.ok_or_else(|| corrupt("an instant is missing"));
    let recurrence = match (text("cron")?, text("time_zone")?, number("interval_secs")?) {
        (Some(expression), Some(time_zone), None) => Recurrence::Cron {
            expression: expression.parse().map_err(corrupt)?,
            time_zone: time_zone.parse().map_err(corrupt)?,
        },
        (None, None, Some(seconds)) => {
            let seconds = u32::try_from(seconds).map_err(corrupt)?;
            Recurrence::Every(Interval::try_from(seconds).map_err(corrupt)?)
        }
        _ => return Err(corrupt("a schedule says nothing of when")),
    };
    let schedule = Schedule {
        workspace_connector_id: WorkspaceConnectorId::from_uuid(uuid("workspace_connector_id")?),
        workspace_id: WorkspaceId::from_uuid(uuid("workspace_id")?),
        recurrence,
        mode: text("mode")?.unwrap_or_default().parse().map_err(corrupt)?,
        next_run_at: maybe("next_run_at")?,
        last_started_at: maybe("last_started_at")?,
        last_skipped_at: maybe("last_skipped_at")?,
        created_at: instant("created_at")?,
        updated_at: instant("updated_at")?,
    };
    let organization_id = OrganizationId::from_uuid(uuid("organization_id")?);
    Ok(DueSchedule { schedule, organization_id })
}

#[cfg(test)]
mod tests;
