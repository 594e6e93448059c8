//! What Linkspan asks of the outside world, one small trait each.

mod diagnostics;
mod files;
mod idempotency;
mod outbound;
mod run_queue;
mod schedules;
mod snapshots;
mod store;
mod syncs;
mod vault;
mod world;

use std::error::Error;

pub use diagnostics::DiagnosticStore;
pub use files::{FileStore, FileStoreError, ReceiveError, ReceivedFile, Upload};
pub use idempotency::{CLAIM_LASTS, Claimed, IdempotencyStore, REPLY_LASTS};
pub use outbound::{
    Limits, Outbound, OutboundBody, OutboundError, OutboundRequest, OutboundResponse,
};
pub use run_queue::RunQueue;
pub use schedules::{DueSchedule, ScheduleStore, Timing, Turn, TurnTaken};
pub use snapshots::{Snapshot, Snapshots};
pub use store::{AccessStore, CatalogStore, Change, Store, StoreError};
pub use syncs::{ChangeAtRest, Demand, SyncStore};
pub use vault::{Purpose, SealContext, Sealed, Vault, VaultError};
pub use world::World;
#[cfg(any(test, feature = "mock"))]
pub use {
    idempotency::MockIdempotencyStore,
    run_queue::MockRunQueue,
    schedules::MockScheduleStore,
    store::{MockAccessStore, MockStore},
    vault::MockVault,
    world::MockWorld,
};

/// What went wrong underneath: kept for the log, never shown to a caller.
pub type Cause = Box<dyn Error + Send + Sync>;
