//! What activations that are gone left behind with providers, in memory.

use linkspan_domain::ports::{Left, Leftover, LeftoverId, Leftovers, Owner, StoreError};
use time::OffsetDateTime;

/// All that was left.
#[derive(Debug, Default)]
pub(super) struct Heap {
    kept: Vec<Kept>,
    last: i64,
}

#[derive(Debug)]
struct Kept {
    owner: Owner,
    thing: Leftover,
    again_at: Option<OffsetDateTime>,
}

impl Heap {
    pub(super) fn add(&mut self, owner: Owner, left: Left) {
        self.add_from(owner, left, None);
    }

    /// Is not taken up before `from`.
    pub(super) fn add_from(&mut self, owner: Owner, left: Left, from: Option<OffsetDateTime>) {
        self.last += 1;
        let thing = Leftover { id: LeftoverId(self.last), tries: 0, left };
        self.kept.push(Kept { owner, thing, again_at: from });
    }

    /// What waits longest, with all that is due of the same owner: nothing of whom somebody has something.
    pub(super) fn take(&mut self, now: OffsetDateTime, until: OffsetDateTime) -> Option<Leftovers> {
        let is_due = |it: &Kept| it.again_at.is_none_or(|it| it <= now);
        let is_held = |it: &Kept| it.thing.tries > 0 && !is_due(it);
        let is_free = |owner: Owner| !self.kept.iter().any(|it| it.owner == owner && is_held(it));
        let due = self.kept.iter().filter(|it| is_due(it) && is_free(it.owner));
        let owner = due.min_by_key(|it| (it.again_at, it.thing.id))?.owner;
        let mut left = Leftovers { owner, things: Vec::new() };
        for it in self.kept.iter_mut().filter(|it| it.owner == owner && is_due(it)) {
            it.again_at = Some(until);
            it.thing.tries += 1;
            left.things.push(it.thing.clone());
        }
        left.things.sort_by_key(|it| match it.left {
            Left::Answer { .. } => (0, it.id),
            Left::Grant { .. } => (1, it.id),
            Left::Client { .. } => (2, it.id),
        });
        Some(left)
    }

    /// Has one thing be as if it had never been taken.
    pub(super) fn put_back(
        &mut self,
        id: LeftoverId,
        from: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let found = self.kept.iter_mut().find(|it| it.thing.id == id).ok_or(StoreError::Stale)?;
        (found.again_at, found.thing.tries) = (Some(from), 0);
        Ok(())
    }

    pub(super) fn forget(&mut self, id: LeftoverId) -> Result<(), StoreError> {
        let before = self.kept.len();
        self.kept.retain(|it| it.thing.id != id);
        if self.kept.len() < before { Ok(()) } else { Err(StoreError::Stale) }
    }
}
