//! What was found out about keys, for a moment.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use linkspan_domain::{Actor, KeyHash, OrganizationId, Permission, Workspace, WorkspaceId};
use time::{Duration, OffsetDateTime};

/// What was found out about keys: remembered for five seconds, so that a burst of calls asks the store once.
///
/// Services that change who may do what [`clear`](Self::clear) it. In other processes a change takes effect
/// when the five seconds are over.
#[derive(Debug, Default)]
pub struct Sessions {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    kept: HashMap<KeyHash, Kept>,
    /// How often everything was forgotten.
    era: Era,
}

/// Between two times that everything was forgotten. What was found out in an earlier era is not remembered in a later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Era(u64);

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
        let mut memory = self.memory();
        memory.kept.clear();
        memory.era.0 += 1;
    }

    pub(super) fn get(&self, hash: &KeyHash, now: OffsetDateTime) -> Result<Arc<Session>, Era> {
        let memory = self.memory();
        let found = memory.kept.get(hash).filter(|it| now < it.until);
        found.map(|it| Arc::clone(&it.session)).ok_or(memory.era)
    }

    /// Remembers what was found out since `era`. Answers whether that is news: of many calls that found it out
    /// at the same time, for the first one only.
    pub(super) fn put(
        &self,
        hash: KeyHash,
        session: Arc<Session>,
        era: Era,
        now: OffsetDateTime,
    ) -> bool {
        let until = session.expires_at.map_or(now + LASTS, |end| end.min(now + LASTS));
        let mut memory = self.memory();
        if memory.kept.len() >= LIMIT {
            memory.kept.retain(|_, it| now < it.until);
        }
        if memory.era != era || memory.kept.len() >= LIMIT {
            return false;
        }
        let before = memory.kept.insert(hash, Kept { session, until });
        before.is_none_or(|it| it.until <= now)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
