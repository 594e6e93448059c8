//! Starting runs when the time of their schedule has come.

use std::{sync::Arc, time::Duration};

use linkspan_domain::{
    Action, AuditEvent, AuditEventId, Call, Receipt, ResourceType, SyncLog, SyncLogId, Trigger,
    ports::{DueSchedule, RunQueue, ScheduleStore, StoreError, Timing, Turn, TurnTaken, World},
};
use serde_json::json;
use time::OffsetDateTime;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Starts the runs of schedules. Any number of processes may have one: a turn is taken once.
pub struct Scheduler {
    /// Keeps the schedules.
    pub schedules: Arc<dyn ScheduleStore>,
    /// Tells the time.
    pub world: Arc<dyn World>,
    /// Told of each run to work on.
    pub queue: Arc<dyn RunQueue>,
}

/// How often schedules are looked at: runs start that much late at most.
const TICK: Duration = Duration::from_millis(250);

/// How late a turn is taken at most. One that came while nobody was there is not made up for.
const GRACE: time::Duration = time::Duration::MINUTE;

/// How many turns are looked up at once.
const BATCH: u32 = 500;

impl Scheduler {
    /// Takes turns until `shutdown`.
    pub async fn run(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.tick(shutdown).await {
                // There may be more.
                Ok(BATCH) => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "no schedule could be looked up"
                ),
            }
            shutdown.run_until_cancelled(sleep(TICK)).await;
        }
    }

    /// Takes the turns that are due. Answers how many there were.
    async fn tick(&self, shutdown: &CancellationToken) -> Result<u32, StoreError> {
        let due = self.schedules.due(self.world.now(), BATCH).await?;
        let mut taken = 0;
        for due in due {
            if shutdown.is_cancelled() {
                break;
            }
            taken += 1;
            self.take(due).await;
        }
        Ok(taken)
    }

    async fn take(&self, due: DueSchedule) {
        let activation = due.schedule.workspace_connector_id;
        let turn = self.turn(due);
        match self.schedules.take(&turn).await {
            Ok(TurnTaken::Started) => self.queue.offer(turn.run.id).await,
            Ok(TurnTaken::Skipped(Some(status))) => {
                tracing::info!(%activation, %status, "a scheduled run was skipped");
            }
            Ok(TurnTaken::PassedOver) => {
                let due = turn.schedule.next_run_at;
                tracing::warn!(%activation, ?due, "a scheduled run was passed over: it is too late for it");
            }
            Ok(TurnTaken::Skipped(None) | TurnTaken::Missed) => {}
            Err(error) => tracing::warn!(
                %activation, error = &error as &dyn std::error::Error,
                "a scheduled run could not be started"
            ),
        }
    }

    fn turn(&self, DueSchedule { schedule, organization_id }: DueSchedule) -> Turn {
        let now = self.world.now();
        let run = SyncLog::waiting(
            SyncLogId::from_uuid(self.world.uuid()),
            schedule.workspace_connector_id,
            schedule.workspace_id,
            Trigger::Schedule,
            schedule.mode,
            now,
        );
        let call = Call::of_system(
            organization_id,
            schedule.workspace_id,
            self.world.uuid().simple().to_string(),
        );
        let is_late = schedule.next_run_at.is_some_and(|due| now - due > GRACE);
        let timing = if is_late { Timing::Late } else { Timing::Due };
        let id = AuditEventId::from_uuid(self.world.uuid());
        let started = call.receipt(run.started(), &run, id, now);
        let skipped = AuditEvent {
            action: Action::SyncSkipped.of(ResourceType::WorkspaceConnector),
            resource_type: ResourceType::WorkspaceConnector,
            resource_id: Some(schedule.workspace_connector_id.uuid()),
            details: json!({ "mode": schedule.mode, "late": timing == Timing::Late }),
            ..started.audit.clone()
        };
        let skipped = Receipt { audit: skipped, reply: None };
        // Counted from when it was due, so that it does not drift; not from before now, so that nothing is made up for.
        let next_run_at = next(&schedule.recurrence, schedule.next_run_at.unwrap_or(now), now);
        Turn { schedule, next_run_at, timing, run, started, skipped }
    }
}

fn next(
    recurrence: &linkspan_domain::Recurrence,
    due: OffsetDateTime,
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    recurrence.next_after(due).filter(|it| *it > now).or_else(|| recurrence.next_after(now))
}

#[cfg(test)]
mod tests {
    use linkspan_domain::Recurrence;
    use time::{Duration, macros::datetime};

    use super::next;

    #[test]
    fn turns_keep_their_beat_and_are_not_made_up_for() {
        let every_hour = Recurrence::Every(3600.try_into().unwrap());
        let due = datetime!(2026-05-01 12:00 UTC);
        let late = due + Duration::seconds(3);
        assert_eq!(next(&every_hour, due, late), Some(due + Duration::HOUR), "no drift");
        let very_late = due + Duration::hours(5);
        assert_eq!(next(&every_hour, due, very_late), Some(very_late + Duration::HOUR));
    }
}
