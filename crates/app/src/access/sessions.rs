//! What was found out about keys, for a moment.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use linkspan_domain::{Actor, KeyHash, OrganizationId, Permission, Workspace, WorkspaceId};
use time::{Duration, OffsetDateTime};

/// What was found out about keys: remembered for five seconds, so that a burst of calls asks the store once.
///
/// Services that change who may do what [`clear`](Self::clear) it. In other processes a change takes effect
/// when the five seconds are over.
#[derive(Debug, Default)]
pub struct Sessions {
    kept: Mutex<HashMap<KeyHash, Kept>>,
}

/// What a key stands for.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) actor: Actor,
    pub(super) organization: OrganizationId,
    pub(super) permissions: BTreeSet<Permission>,
    /// All of the organization, oldest first.
    pub(super) workspaces: Vec<Workspace>,
    /// Where the caller may act.
    pub(super) allowed: Vec<WorkspaceId>,
    pub(super) expires_at: Option<OffsetDateTime>,
}

#[derive(Debug)]
struct Kept {
    session: Arc<Session>,
    until: OffsetDateTime,
}

/// How long a session is remembered.
const LASTS: Duration = Duration::seconds(5);

/// How many sessions are remembered at most.
const LIMIT: usize = 10_000;

impl Sessions {
    /// Forgets everything.
    pub fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn get(&self, hash: &KeyHash, now: OffsetDateTime) -> Option<Arc<Session>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(hash).filter(|it| now < it.until)?;
        Some(Arc::clone(&found.session))
    }

    pub(super) fn put(&self, hash: KeyHash, session: Arc<Session>, now: OffsetDateTime) {
        let until = session.expires_at.map_or(now + LASTS, |end| end.min(now + LASTS));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= LIMIT {
            kept.retain(|_, it| now < it.until);
        }
        if kept.len() < LIMIT {
            kept.insert(hash, Kept { session, until });
        }
    }
}
