//! Handing runs out to workers.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::StoreError;
use crate::{SyncLog, SyncLogId};

/// Hands runs out to workers. The run row is the truth: a queue only knows which run to look at, and when.
///
/// # Contract
///
/// - [`next`](Self::next) hands out what it has [claimed](super::SyncStore::claim), and nothing else: a run that the queue
///   knows twice is worked off once, and one that is over is not handed out any more.
/// - An [`offer`](Self::offer) may be lost. A run that waits, or whose worker fell silent, is handed out in the end all the
///   same: a queue that keeps identifiers elsewhere looks into the store now and then.
/// - A worker says of each run that it got that it is [`done`](Self::done), or [gives it back](Self::give_back). Of one that
///   dies nothing is heard: its runs are free when their leases run out.
/// - What the queue is told is no news to the store: the worker wrote it there before.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait RunQueue: Send + Sync {
    /// Says that `run` waits for a worker. It is in the store already.
    async fn offer(&self, run: SyncLogId);

    /// Returns when there may be something to hand out: a run was offered since it last returned. It need not hear of
    /// every offer.
    async fn offered(&self);

    /// Hands a run out to `worker`, which holds it until `until`. Returns at once, with None if there is nothing to do.
    async fn next(
        &self,
        worker: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<SyncLog>, StoreError>;

    /// `run` is over.
    async fn done(&self, run: SyncLogId);

    /// The worker is through with `run`, which is not over, as far as it knows: another shall go on with it.
    async fn give_back(&self, run: SyncLogId);
}
