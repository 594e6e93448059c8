//! Keeping runs, and handing them out.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{Change, Store, StoreError};
use crate::{
    AuditEventId, CredentialVersion, Failures, Fence, Receipt, RunOutcome, StreamName, StreamState,
    SyncLog, SyncLogId, WorkspaceConnector, WorkspaceConnectorId,
};

/// Whether anybody still wants a run that is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Yes.
    Wanted,
    /// No: a person stopped it, or its activation was paused, disconnected or lost its grant.
    Unwanted,
}

/// What came of a change to marks, or to what they are of, which is made only while no run can be in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeAtRest {
    /// It is made.
    Made,
    /// A run is active: it moves marks itself.
    Busy,
    /// The schedule goes on, and may start a run at any time.
    Scheduled,
}

/// Keeps runs. The run row is the truth: a worker works on what it claimed, as long as its fencing token is the newest.
///
/// # Contract
///
/// - At most one run of an activation is active; [`start`](Self::start) answers [`StoreError::Taken`] for a second.
/// - [`start`](Self::start) moves the activation to `processing`, [`finish`](Self::finish) to what the end of the run means, each in
///   the same transaction as the run.
/// - [`claim`](Self::claim) hands a run to one worker at a time, and grows its fencing token.
/// - What is asked for under an older token, or of a run that is over, is [`StoreError::Stale`].
/// - A run that is [released](Self::release) can be claimed at once. One whose lease ran out counts a crash, which the
///   next checkpoint with records forgets.
#[async_trait]
pub trait SyncStore: Store<SyncLog> {
    /// Adds a run that waits for a worker. [`StoreError::Stale`] if the activation may not run any more.
    async fn start(&self, run: &SyncLog, receipt: &Receipt) -> Result<(), StoreError>;

    /// As [`start`](Self::start), with a run that goes on where `broken` broke off: what that read in full is not read again, and
    /// what it was loading is the new run's. [`StoreError::Dangling`] unless `broken` was the last run of the activation.
    async fn resume(
        &self,
        run: &SyncLog,
        broken: SyncLogId,
        receipt: &Receipt,
    ) -> Result<(), StoreError>;

    /// Takes the oldest run that waits or whose lease ran out, until `until`. With `only`, that run or none.
    async fn claim(
        &self,
        worker: &str,
        only: Option<SyncLogId>,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<SyncLog>, StoreError>;

    /// Keeps a run until `until`, and answers whether it is still wanted.
    async fn extend(
        &self,
        run: SyncLogId,
        fence: Fence,
        until: OffsetDateTime,
    ) -> Result<Demand, StoreError>;

    /// Gives a run back: whoever claims it goes on from its last checkpoint.
    async fn release(&self, run: SyncLogId, fence: Fence) -> Result<(), StoreError>;

    /// Stops a run: one that waits ends at once, with `outcome`; one at work is not wanted any more, and ends when its
    /// worker hears of it. [`StoreError::Stale`] if it is over.
    async fn cancel(
        &self,
        run: SyncLogId,
        outcome: &RunOutcome,
        receipt: &Receipt,
        now: OffsetDateTime,
    ) -> Result<(), StoreError>;

    /// Ends a run, and has the audit trail say so in the `event`. Its counters stay as its checkpoints left them.
    async fn finish(
        &self,
        run: SyncLogId,
        fence: Fence,
        outcome: &RunOutcome,
        event: AuditEventId,
        now: OffsetDateTime,
    ) -> Result<(), StoreError>;

    /// How the runs of an activation failed since the last success.
    async fn failures(&self, activation: WorkspaceConnectorId) -> Result<Failures, StoreError>;

    /// What is remembered of a stream.
    async fn stream(
        &self,
        activation: WorkspaceConnectorId,
        stream: &StreamName,
    ) -> Result<Option<StreamState>, StoreError>;

    /// What is remembered of all streams of an activation, by name.
    async fn streams(
        &self,
        activation: WorkspaceConnectorId,
    ) -> Result<Vec<StreamState>, StoreError>;

    /// Keeps the mark that `state` says, as long as no run can be in the way. [`StoreError::Stale`] if nothing is
    /// remembered of the stream.
    async fn move_mark(
        &self,
        state: &StreamState,
        receipt: &Receipt,
    ) -> Result<ChangeAtRest, StoreError>;

    /// Writes an activation anew whose streams have other cursor columns, as long as no run can be in the way. As
    /// [`Store::write`] otherwise, with what becomes of the `versions` of its credentials, and all `receipts`.
    async fn change_cursors(
        &self,
        activation: &WorkspaceConnector,
        versions: &[Change<CredentialVersion>],
        receipts: &[Receipt],
    ) -> Result<ChangeAtRest, StoreError>;
}
