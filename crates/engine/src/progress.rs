//! What a run tells while it works.

use linkspan_domain::{
    EntityCounts, RunCounts, RunStatus, StreamName, SyncLogId, SyncMode, TargetModel,
};
use serde::Serialize;
use tokio::sync::broadcast;

/// Hears of what runs do.
///
/// # Contract
///
/// - It returns at once: the run waits for it.
pub trait Progress: Send + Sync {
    /// Something happened in `run`.
    fn report(&self, run: SyncLogId, event: &RunEvent);
}

/// Something that happens in a run.
#[derive(Clone, Debug, PartialEq, Serialize, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// It is known what to read.
    Started {
        /// How.
        mode: SyncMode,
        /// The streams, in this order.
        streams: Vec<StreamName>,
    },
    /// A stream begins.
    StreamStarted {
        /// Which.
        stream: StreamName,
    },
    /// A checkpoint is kept.
    Advanced {
        /// Of which stream.
        stream: StreamName,
        /// What was done with it so far.
        counts: RunCounts,
        /// How far the reading has come.
        mark: Option<String>,
    },
    /// A mapping made entities of what changed in a stream.
    Mapped {
        /// Of which stream.
        stream: StreamName,
        /// What the records become.
        target_model: TargetModel,
        /// What was done with the entities so far.
        counts: EntityCounts,
    },
    /// A stream broke off, and will be tried again.
    Retrying {
        /// Which.
        stream: StreamName,
        /// What went wrong, for machines.
        code: String,
        /// In how many seconds.
        wait_secs: f64,
    },
    /// A stream is done.
    StreamFinished {
        /// Which.
        stream: StreamName,
        /// What was done with it.
        counts: RunCounts,
    },
    /// A stream cannot be read.
    StreamFailed {
        /// Which.
        stream: StreamName,
        /// What went wrong, for machines.
        code: String,
        /// What went wrong, for people.
        message: String,
    },
    /// The run is over.
    Ended {
        /// How it ended.
        status: RunStatus,
        /// What it did.
        counts: RunCounts,
        /// What went wrong, for machines.
        code: Option<String>,
        /// What went wrong, for people.
        message: Option<String>,
    },
}

/// Does not listen.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn report(&self, _: SyncLogId, _: &RunEvent) {}
}

/// Tells all receivers. Who is too slow misses the oldest: the run's log is the truth.
impl Progress for broadcast::Sender<(SyncLogId, RunEvent)> {
    fn report(&self, run: SyncLogId, event: &RunEvent) {
        // It fails when nobody listens.
        let _ = self.send((run, event.clone()));
    }
}
