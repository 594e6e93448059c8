//! What was found out about a file, while it stays as it is.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use linkspan_sdk::{BatchLimits, LocalFile};

use super::{Dialect, scan::Layout};

/// The layout of the file that was looked through last: most are read right after their columns were found out.
#[derive(Default)]
pub(crate) struct LastLayout(Mutex<Option<Known>>);

struct Known {
    state: FileState,
    dialect: Dialect,
    layout: Arc<Layout>,
}

/// By what a file that did not change is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileState {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

impl FileState {
    /// Times of change are coarse: a file that was written just now may be written once more without a trace.
    const SETTLED: Duration = Duration::from_secs(2);

    /// None if a change of the file could go unnoticed.
    pub(crate) async fn of(local: &LocalFile) -> Option<Self> {
        let modified = local.file.metadata().await.ok()?.modified().ok()?;
        let age = SystemTime::now().duration_since(modified).ok()?;
        let (path, bytes) = (local.path.clone(), local.bytes);
        (age >= Self::SETTLED).then_some(Self { path, bytes, modified })
    }
}

impl LastLayout {
    /// The layout of a file in this state, read as `dialect` says, if its batches keep to `limits`.
    pub(super) fn of(
        &self,
        state: &FileState,
        dialect: &Dialect,
        limits: BatchLimits,
    ) -> Option<Arc<Layout>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.as_ref().filter(|it| it.state == *state && it.dialect == *dialect)?;
        let kept = known.layout.limits;
        let fits = kept.rows <= limits.rows && kept.bytes <= limits.bytes;
        fits.then(|| Arc::clone(&known.layout))
    }

    pub(super) fn keep(&self, state: FileState, dialect: Dialect, layout: Arc<Layout>) {
        let known = Known { state, dialect, layout };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }
}
