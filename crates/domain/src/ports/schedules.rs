//! Keeping schedules, and taking their turns.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::StoreError;
use crate::{
    CredentialVersion, OrganizationId, Receipt, Schedule, Status, SyncLog, Visible,
    WorkspaceConnector, WorkspaceConnectorId,
};

/// Keeps the schedules of activations.
///
/// # Contract
///
/// - An activation has at most one schedule. It goes when its activation is purged.
/// - [`due`](Self::due) costs what it answers, however many schedules there are that are not due.
/// - A turn is taken once, whoever else saw that it is due: moving the schedule on and starting the run are one
///   transaction.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ScheduleStore: Send + Sync {
    /// The schedule of a live activation that `tenancy` shows.
    async fn find(
        &self,
        tenancy: &Visible,
        activation: WorkspaceConnectorId,
    ) -> Result<Option<Schedule>, StoreError>;

    /// Sets the schedule of an activation, in place of the one there.
    async fn put(&self, schedule: &Schedule, receipt: &Receipt) -> Result<(), StoreError>;

    /// Adds an activation together with its schedule, and the version of its credentials, if it has some.
    async fn bootstrap(
        &self,
        activation: &WorkspaceConnector,
        versions: &[CredentialVersion],
        schedule: &Schedule,
        receipts: &[Receipt; 2],
    ) -> Result<(), StoreError>;

    /// Takes the schedule of an activation away. [`StoreError::Stale`] if there is none.
    async fn remove(
        &self,
        activation: WorkspaceConnectorId,
        receipt: &Receipt,
    ) -> Result<(), StoreError>;

    /// Schedules whose time has come, the longest overdue first.
    async fn due(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<DueSchedule>, StoreError>;

    /// Moves a schedule on, and starts its run if the activation may run.
    async fn take(&self, turn: &Turn) -> Result<TurnTaken, StoreError>;
}

/// A schedule whose time has come.
#[derive(Clone, Debug, PartialEq)]
pub struct DueSchedule {
    /// The schedule.
    pub schedule: Schedule,
    /// Whose.
    pub organization_id: OrganizationId,
}

/// What is to happen when the time of a schedule has come.
#[derive(Clone, Debug)]
pub struct Turn {
    /// As it was found to be due.
    pub schedule: Schedule,
    /// When its time comes again.
    pub next_run_at: Option<OffsetDateTime>,
    /// Whether it is still taken.
    pub timing: Timing,
    /// The run to start.
    pub run: SyncLog,
    /// What the start of the run leaves behind.
    pub started: Receipt,
    /// What is left behind where no run can start, by the first of several turns like that.
    pub skipped: Receipt,
}

/// When a turn comes to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// In time.
    Due,
    /// Long after: nobody was there. It is passed over.
    Late,
}

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnTaken {
    /// The run waits for a worker.
    Started,
    /// The activation could not run: it is as the status says, or disconnected.
    Skipped(Option<Status>),
    /// It came too late.
    PassedOver,
    /// Somebody else took it, or the schedule was changed.
    Missed,
}
