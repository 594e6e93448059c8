//! Runs of a sync.

use serde::{Deserialize, Serialize};
use serde_json::json;
use strum::VariantNames;
use time::{Duration, OffsetDateTime};

use crate::{
    Act, Action, Attribute, Code, EntityCounts, Resource, ResourceType, Revision, RunEnd,
    StreamMemory, StreamName, SyncLogId, Visible, WorkspaceConnectorId, WorkspaceId,
};

/// One run of a sync, from trigger to end. The row is the truth of the run: its state and who holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncLog {
    /// Stable public identifier.
    pub id: SyncLogId,
    /// How often it was written.
    pub revision: Revision,
    /// Of which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// In which workspace.
    pub workspace_id: WorkspaceId,
    /// How far it is.
    pub status: RunStatus,
    /// What started it.
    pub trigger_type: Trigger,
    /// What it reads.
    pub mode: SyncMode,
    /// The streams asked for. Empty: all.
    pub streams: Vec<StreamName>,
    /// What it did so far.
    pub counts: RunCounts,
    /// What its mappings did so far.
    pub entities: EntityCounts,
    /// The stable code of what went wrong.
    pub error_code: Option<String>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// Who works on it. None while it waits, and after it ended.
    pub lease: Option<Lease>,
    /// Grows each time somebody takes the run over. A write under an older token is refused.
    pub fence: Fence,
    /// How many workers in a row fell silent over it, without having got anywhere.
    pub crashes: u32,
    /// When work on it began.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    pub completed_at: Option<OffsetDateTime>,
    /// When it was triggered.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
}

/// How far a run is.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RunStatus {
    /// Waits for a worker.
    Scheduled,
    /// A worker is at it.
    InProgress,
    /// Everything that was asked for was read.
    Success,
    /// It ended early.
    Error,
}

impl RunStatus {
    /// Whether the run still holds its activation.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Scheduled | Self::InProgress)
    }
}

/// What started a run.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Trigger {
    /// A person, by way of a key of theirs.
    Manual,
    /// A schedule.
    Schedule,
    /// A caller of the API that is no person: a key that belongs to nobody in particular.
    Api,
    /// A webhook of the provider. None arrives yet: it comes with inbound webhooks.
    Webhook,
    /// Somebody who had a run go on that had broken off.
    Resume,
}

/// What a run reads.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SyncMode {
    /// What changed since the last run. Needs a cursor column.
    Incremental,
    /// Everything, as a new generation that replaces the last.
    Full,
}

/// What a run did. All count records, but for `bytes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// Read from the source.
    pub read: u64,
    /// Inserted, or changed.
    pub written: u64,
    /// Seen before, with the same content.
    pub unchanged: u64,
    /// Gone from the source.
    pub deleted: u64,
    /// Kept aside, since they could not be stored.
    pub quarantined: u64,
    /// The size of what was read, as JSON, in bytes.
    pub bytes: u64,
}

/// A claim on a run that ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which worker.
    pub worker: String,
    /// Until when.
    pub until: OffsetDateTime,
}

/// Grows each time somebody takes a run over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub i64);

/// What is remembered between the runs of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// Of which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// Which stream.
    pub stream: StreamName,
    /// The column that the mark is of: under another it means nothing.
    pub cursor_column: Option<String>,
    /// The high-water mark: everything below it is stored.
    pub cursor_after: Option<String>,
    /// The generation that readers see. 0: none yet.
    pub generation: i64,
    /// How many live records it has.
    pub records: u64,
    /// When a run last finished it.
    pub synced_at: Option<OffsetDateTime>,
    /// What its records were read with. None: not remembered.
    pub memory: Option<StreamMemory>,
    /// The run that read it in full last, as far as that is known.
    pub loaded_by: Option<SyncLogId>,
    /// What that was read under, as a hash.
    pub loaded_basis: Option<String>,
}

/// How the runs of an activation failed of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many ended in failure since the last success.
    pub count: u64,
    /// Since when none has succeeded: the last success or, without any, the first run.
    pub since: Option<OffsetDateTime>,
    /// For how many reasons data was lost since then.
    pub losses: u64,
}

/// How a run ended: what is stored of it, and what it means to its activation.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutcome {
    /// What it means to the activation.
    pub end: RunEnd,
    /// What it did. The run's own counters move with its checkpoints, not by this.
    pub counts: RunCounts,
    /// Code and sentence of what went wrong.
    pub error: Option<(String, String)>,
}

impl RunOutcome {
    /// The end of a run that a person stopped before a worker took it.
    pub fn cancelled() -> Self {
        let said = "the run was cancelled before it began".to_owned();
        Self {
            end: RunEnd::Cancelled,
            counts: RunCounts::default(),
            error: Some((Code::SyncCancelled.to_string(), said)),
        }
    }

    /// That a run of `activation` ended like that, for the audit trail.
    pub fn ended(&self, activation: WorkspaceConnectorId) -> Act {
        let code = self.error.as_ref().map(|(code, _)| code);
        let details = json!({
            "workspace_connector_id": activation,
            "status": self.status(),
            "error_code": code,
        });
        Act { action: Action::SyncEnded, details }
    }

    /// The status of the run.
    pub const fn status(&self) -> RunStatus {
        match self.end {
            RunEnd::Clean | RunEnd::Lossy => RunStatus::Success,
            RunEnd::Failed
            | RunEnd::Unhealthy
            | RunEnd::Broken
            | RunEnd::Unauthorized
            | RunEnd::Cancelled => RunStatus::Error,
        }
    }
}

impl RunCounts {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            written: self.written + other.written,
            unchanged: self.unchanged + other.unchanged,
            deleted: self.deleted + other.deleted,
            quarantined: self.quarantined + other.quarantined,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl RunEnd {
    /// How many failed runs in a row make an activation unhealthy.
    const TOO_MANY_FAILURES: u64 = 3;

    /// For how many reasons data may be lost, before the next failure is one too many.
    const TOO_MANY_LOSSES: u64 = 3;

    /// How long without a success makes the next failure one too many.
    const TOO_LONG: Duration = Duration::days(7);

    /// The end of a run that read everything it should, with `losses` reasons for which data was lost, over `targets`
    /// targets. Losses count from 3 on, and from half of the targets on, whichever is more.
    pub const fn of_success(losses: u64, targets: u64) -> Self {
        let half = targets.div_ceil(2);
        let threshold = if half > 3 { half } else { 3 };
        if losses >= threshold { Self::Lossy } else { Self::Clean }
    }

    /// The end of a run that failed `now` as runs do now and then, after `earlier` failures.
    pub fn of_failure(earlier: &Failures, now: OffsetDateTime) -> Self {
        let is_stale = earlier.since.is_some_and(|it| now - it >= Self::TOO_LONG);
        let has_lost = earlier.losses >= Self::TOO_MANY_LOSSES;
        if is_stale || has_lost || earlier.count + 1 >= Self::TOO_MANY_FAILURES {
            Self::Unhealthy
        } else {
            Self::Failed
        }
    }
}

impl SyncLog {
    /// For how long after its end a run can go on: what it read is too old then.
    pub const RESUMABLE: Duration = Duration::days(7);

    /// A run of all streams that waits for a worker.
    pub fn waiting(
        id: SyncLogId,
        activation: WorkspaceConnectorId,
        workspace: WorkspaceId,
        trigger_type: Trigger,
        mode: SyncMode,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            id,
            revision: Revision::FIRST,
            workspace_connector_id: activation,
            workspace_id: workspace,
            status: RunStatus::Scheduled,
            trigger_type,
            mode,
            streams: Vec::new(),
            counts: RunCounts::default(),
            entities: EntityCounts::default(),
            error_code: None,
            error: None,
            lease: None,
            fence: Fence::default(),
            crashes: 0,
            started_at: None,
            completed_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// That it goes on where `broken` broke off, for the audit trail.
    pub fn resumed(&self, broken: SyncLogId) -> Act {
        let Act { mut details, .. } = self.started();
        details["resumes"] = json!(broken);
        Act { action: Action::SyncResumed, details }
    }

    /// That it was started, for the audit trail.
    pub fn started(&self) -> Act {
        let details =
            json!({ "workspace_connector_id": self.workspace_connector_id, "mode": self.mode });
        Act { action: Action::SyncStarted, details }
    }

    /// How long it took, or is taking, in milliseconds.
    pub fn duration_ms(&self) -> Option<i64> {
        let (start, end) = (self.started_at?, self.completed_at?);
        Some(i64::try_from((end - start).whole_milliseconds()).unwrap_or(i64::MAX))
    }
}

impl Resource for SyncLog {
    type Id = SyncLogId;
    type Tenancy = Visible;
    const TYPE: ResourceType = ResourceType::WorkspaceConnectorSyncLog;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("workspace_connector_sync_log_id"),
        Attribute::id("workspace_connector_id"),
        Attribute::one_of("status", RunStatus::VARIANTS),
        Attribute::one_of("trigger_type", Trigger::VARIANTS),
        Attribute::one_of("mode", SyncMode::VARIANTS),
        Attribute::date("started_at"),
        Attribute::date("completed_at"),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
    ];

    fn id(&self) -> SyncLogId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-05-01 12:00 UTC);

    #[test]
    fn a_few_losses_are_no_illness() {
        assert_eq!(RunEnd::of_success(0, 1), RunEnd::Clean);
        assert_eq!(RunEnd::of_success(2, 1), RunEnd::Clean);
        assert_eq!(RunEnd::of_success(3, 1), RunEnd::Lossy);
        assert_eq!(RunEnd::of_success(3, 7), RunEnd::Clean);
        assert_eq!(RunEnd::of_success(4, 7), RunEnd::Lossy);
    }

    #[test]
    fn the_third_failure_in_a_row_is_one_too_many() {
        let after = |count| RunEnd::of_failure(&Failures { count, ..Failures::default() }, NOW);
        let ends = [0, 1, 2, 3].map(after);
        assert_eq!(ends, [RunEnd::Failed, RunEnd::Failed, RunEnd::Unhealthy, RunEnd::Unhealthy]);
    }

    #[test]
    fn a_failure_after_three_losses_is_one_too_many() {
        let after = |losses| RunEnd::of_failure(&Failures { losses, ..Failures::default() }, NOW);
        assert_eq!([2, 3].map(after), [RunEnd::Failed, RunEnd::Unhealthy]);
    }

    #[test]
    fn a_failure_after_a_week_without_a_success_is_one_too_many() {
        let since = |since| {
            RunEnd::of_failure(&Failures { since: Some(since), ..Failures::default() }, NOW)
        };
        assert_eq!(since(NOW - Duration::days(7)), RunEnd::Unhealthy);
        assert_eq!(since(NOW - Duration::days(7) + Duration::SECOND), RunEnd::Failed);
    }
}
