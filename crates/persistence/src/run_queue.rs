//! Handing out runs as the store has them.

use std::sync::Arc;

use async_trait::async_trait;
use linkspan_domain::{
    SyncLog, SyncLogId,
    ports::{RunQueue, StoreError, SyncStore},
};
use time::OffsetDateTime;
use tokio::sync::Notify;

/// A queue without a memory of its own: what waits is what the store says. Offers of other processes are not heard.
pub(crate) struct StoreQueue {
    syncs: Arc<dyn SyncStore>,
    offered: Notify,
}

impl StoreQueue {
    pub(crate) fn new(syncs: Arc<dyn SyncStore>) -> Self {
        Self { syncs, offered: Notify::new() }
    }
}

#[async_trait]
impl RunQueue for StoreQueue {
    async fn offer(&self, _: SyncLogId) {
        self.offered.notify_one();
    }

    async fn offered(&self) {
        self.offered.notified().await;
    }

    async fn next(
        &self,
        worker: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<SyncLog>, StoreError> {
        self.syncs.claim(worker, None, now, until).await
    }

    /// The store knows.
    async fn done(&self, _: SyncLogId) {}

    async fn give_back(&self, _: SyncLogId) {
        self.offered.notify_one();
    }
}
