//! What runs tell about themselves while they are at work.

use linkspan_domain::{RunCounts, RunStatus, StreamName, SyncLogId, WorkspaceConnectorId};
use tokio::sync::broadcast;

/// Something happened in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// In which run.
    pub run: SyncLogId,
    /// Of which activation.
    pub activation: WorkspaceConnectorId,
    /// What the run did so far, over all its streams.
    pub counts: RunCounts,
    /// What happened.
    pub stage: Stage,
}

/// What happened in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Records of a stream were kept.
    Kept(StreamName),
    /// A stream was read to its end.
    Finished(StreamName),
    /// The run ended.
    Ended(RunStatus),
}

/// Tells whoever listens. Who is too slow misses the oldest; who is not there misses all: the run's log is the truth.
#[derive(Clone, Debug)]
pub(crate) struct Announcer {
    sender: broadcast::Sender<Progress>,
}

/// How many announcements wait for a slow listener.
const BACKLOG: usize = 256;

impl Announcer {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG) }
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Progress> {
        self.sender.subscribe()
    }

    pub(crate) fn tell(&self, progress: Progress) {
        // Nobody has to listen.
        let _ = self.sender.send(progress);
    }
}
