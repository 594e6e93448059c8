//! Knowing whether anything was written.

use async_trait::async_trait;

use super::StoreError;

/// Tells what readers see.
///
/// # Contract
///
/// - Between two equal snapshots nothing was committed, by this process or another: who read what is kept after the first
///   need not read it again after the second.
/// - Two snapshots may differ though nothing that matters to the reader changed.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// What readers see from now on.
    async fn now(&self) -> Result<Snapshot, StoreError>;
}

/// Names a state of all that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(String);

impl Snapshot {
    /// A state that goes by this name.
    pub const fn new(name: String) -> Self {
        Self(name)
    }
}
