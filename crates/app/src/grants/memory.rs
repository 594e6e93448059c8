//! Access tokens that were just seen, so that most uses ask nobody.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use linkspan_domain::{Secret, WorkspaceConnectorId};
use time::OffsetDateTime;

use super::Token;

/// The tokens that this process saw last. Short-lived, so that what other processes do is seen soon.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<WorkspaceConnectorId, Token>>);

/// How many tokens are remembered. Beyond that everything is forgotten, which costs one look each.
const ROOM: usize = 20_000;

impl Memory {
    /// The token of an activation, if it may be used at `now` without a look.
    pub(super) fn find(
        &self,
        of: WorkspaceConnectorId,
        now: OffsetDateTime,
    ) -> Option<Secret<String>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&of).filter(|it| now < it.until).map(|it| it.access.clone())
    }

    pub(super) fn keep(&self, of: WorkspaceConnectorId, token: Token) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= ROOM {
            kept.clear();
        }
        kept.insert(of, token);
    }

    pub(super) fn forget(&self, of: WorkspaceConnectorId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&of);
    }
}
