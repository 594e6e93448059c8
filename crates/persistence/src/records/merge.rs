//! What becomes of each row of a commit, given what the stream holds: the same on both databases.

use std::collections::HashMap;

use linkspan_domain::{RunCounts, SyncMode};
use linkspan_sdk::{Held, Rejected, Rows};

use crate::number::signed;

/// What a stream holds under the key of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Existing {
    /// Whether readers see its generation.
    pub(super) visible: bool,
    /// What has become of it.
    pub(super) life: Life,
    /// Whether it says the same as the row.
    pub(super) same: bool,
    /// Whether what waits for the swap says the same. None if nothing waits.
    pub(super) staged_same: Option<bool>,
}

/// What has become of a record since it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// The source has it, as far as is known.
    Fresh,
    /// Full loads do not meet it.
    Stale,
    /// It is a tombstone.
    Gone,
}

/// What to do with the rows of a commit, by their indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Not there yet.
    pub(super) insert: Vec<usize>,
    /// There, and to be overwritten at once.
    pub(super) replace: Vec<usize>,
    /// There and seen by readers: the new content waits for the swap.
    pub(super) stage: Vec<usize>,
    /// There with the same content: the swap needs to know of these, and a stale one is not stale any more.
    pub(super) see: Vec<usize>,
    /// How many records there will be more.
    pub(super) appearing: i64,
    /// How many rows change something.
    pub(super) written: u64,
    /// How many do not.
    pub(super) unchanged: u64,
}

impl Life {
    /// `deleted` and `stale` as the database says.
    pub(super) const fn of((deleted, stale): (bool, bool)) -> Self {
        match (deleted, stale) {
            (true, _) => Self::Gone,
            (false, true) => Self::Stale,
            (false, false) => Self::Fresh,
        }
    }
}

impl Existing {
    /// Whether writing it makes one record more.
    pub(super) const fn appears(self) -> bool {
        matches!(self.life, Life::Gone) && self.staged_same.is_none()
    }
}

impl Plan {
    /// All rows are new.
    pub(super) fn all_new(rows: &Rows) -> Self {
        Self {
            insert: (0..rows.len()).collect(),
            appearing: signed(rows.len() as u64),
            written: rows.len() as u64,
            ..Self::default()
        }
    }

    /// Compares rows, each key once, with what is there.
    pub(super) fn of(mode: SyncMode, unique: &Unique, existing: &HashMap<usize, Existing>) -> Self {
        let mut plan =
            Self { written: unique.overwritten, unchanged: unique.repeated, ..Self::default() };
        for &index in &unique.indices {
            plan.place(mode, index, existing.get(&index));
        }
        plan
    }

    fn place(&mut self, mode: SyncMode, index: usize, existing: Option<&Existing>) {
        let Some(existing) = existing else {
            self.insert.push(index);
            self.appearing += 1;
            self.written += 1;
            return;
        };
        let live_same = existing.same && existing.life != Life::Gone;
        let waits_for_swap = mode == SyncMode::Full && existing.visible;
        match (waits_for_swap, existing.staged_same) {
            (false, _) if live_same => {
                if existing.life == Life::Stale {
                    self.see.push(index);
                }
                self.unchanged += 1;
            }
            (false, _) => {
                self.replace.push(index);
                self.appearing += i64::from(existing.appears());
                self.written += 1;
            }
            (true, Some(true)) => self.unchanged += 1,
            (true, None) if live_same => {
                self.see.push(index);
                self.unchanged += 1;
            }
            (true, _) => {
                self.stage.push(index);
                self.appearing += i64::from(existing.appears());
                self.written += 1;
            }
        }
    }

    /// Takes back what was counted for rows that the database refused, as many as would have appeared among them.
    pub(super) fn refuse(&mut self, rows: usize, appearing: usize) {
        self.written -= rows as u64;
        self.appearing -= signed(appearing as u64);
    }

    /// It, and what the stream may hold of the rows of the next commit: if most of many were other versions of what is there, so
    /// will those be.
    pub(super) fn with_held_next(self, mode: SyncMode) -> (Self, Held) {
        const MANY: u64 = 1_000;
        let versions = self.written.saturating_sub(self.appearing.unsigned_abs());
        let is_most = versions >= MANY && versions > self.unchanged + self.appearing.unsigned_abs();
        let is_next = mode == SyncMode::Incremental && is_most;
        (self, if is_next { Held::Versions } else { Held::Anything })
    }

    /// The counts of the commit.
    pub(super) fn counts(&self, rows: &Rows, quarantined: u64) -> RunCounts {
        RunCounts {
            read: self.written + self.unchanged + quarantined,
            written: self.written,
            unchanged: self.unchanged,
            deleted: 0,
            quarantined,
            bytes: rows.payload_bytes() as u64,
        }
    }
}

/// The rows of a commit, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unique {
    /// The last row of each key, by key.
    pub(super) indices: Vec<usize>,
    /// Earlier rows that say what the last one says.
    pub(super) repeated: u64,
    /// Earlier rows that say something else.
    pub(super) overwritten: u64,
}

impl Unique {
    /// Leaves out all but the last row of each key. The rest are in the order of their keys, as indices have them: what is
    /// looked for and written in that order is found side by side.
    pub(super) fn of(rows: &Rows) -> Self {
        let last: HashMap<&str, usize> =
            rows.iter().enumerate().map(|(index, row)| (row.key, index)).collect();
        let mut unique = Self::default();
        for (index, row) in rows.iter().enumerate() {
            let winner = last[row.key];
            if winner == index {
                unique.indices.push(index);
            } else if rows.row(winner).hash == row.hash {
                unique.repeated += 1;
            } else {
                unique.overwritten += 1;
            }
        }
        unique.indices.sort_unstable_by_key(|&index| rows.row(index).key);
        unique
    }
}

/// What records are called, as statements take it.
pub(super) fn names(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

/// A row that the database refused, as it is kept aside.
pub(super) fn refused(rows: &Rows, index: usize, reason: String) -> Rejected {
    let row = rows.row(index);
    Rejected { key: Some(row.key.to_owned()), payload: row.payload.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use linkspan_domain::SyncMode;
    use linkspan_sdk::{ContentHash, Rows};

    use super::{Existing, Life, Plan, Unique};

    fn rows(all: &[(&str, &str)]) -> Rows {
        let mut rows = Rows::default();
        for (key, payload) in all {
            rows.push(key, payload, ContentHash::of(payload));
        }
        rows
    }

    #[test]
    fn the_last_row_of_a_key_wins() {
        let unique =
            Unique::of(&rows(&[("a", "1"), ("b", "1"), ("a", "2"), ("a", "1"), ("b", "1")]));
        assert_eq!(unique, Unique { indices: vec![3, 4], repeated: 2, overwritten: 1 });
    }

    const SAME: Existing =
        Existing { visible: true, life: Life::Fresh, same: true, staged_same: None };

    fn plan(mode: SyncMode, existing: Option<Existing>) -> Plan {
        let rows = rows(&[("a", "1")]);
        let existing: HashMap<_, _> = existing.into_iter().map(|it| (0, it)).collect();
        let plan = Plan::of(mode, &Unique::of(&rows), &existing);
        assert_eq!(plan.written + plan.unchanged, 1);
        plan
    }

    #[test]
    fn an_incremental_load_overwrites_at_once_and_only_what_changed() {
        let changed = Existing { same: false, ..SAME };
        let deleted = Existing { life: Life::Gone, ..SAME };
        assert_eq!(plan(SyncMode::Incremental, None).insert, [0]);
        assert_eq!(plan(SyncMode::Incremental, Some(SAME)).unchanged, 1);
        let overwritten = plan(SyncMode::Incremental, Some(changed));
        assert_eq!((overwritten.replace, overwritten.appearing), (vec![0], 0));
        let revived = plan(SyncMode::Incremental, Some(deleted));
        assert_eq!((revived.replace, revived.appearing), (vec![0], 1));
    }

    #[test]
    fn a_stale_record_that_is_met_is_seen() {
        let stale = Existing { life: Life::Stale, ..SAME };
        for mode in [SyncMode::Full, SyncMode::Incremental] {
            let seen = plan(mode, Some(stale));
            assert_eq!((seen.see, seen.unchanged, seen.appearing), (vec![0], 1, 0));
        }
        assert_eq!(plan(SyncMode::Incremental, Some(SAME)).see, [0; 0], "others need no word");
        let changed = plan(SyncMode::Incremental, Some(Existing { same: false, ..stale }));
        assert_eq!((changed.replace, changed.appearing), (vec![0], 0));
    }

    #[test]
    fn a_full_load_leaves_alone_what_readers_see() {
        let changed = Existing { same: false, ..SAME };
        let deleted = Existing { life: Life::Gone, ..SAME };
        assert_eq!(plan(SyncMode::Full, None).insert, [0]);
        assert_eq!(plan(SyncMode::Full, Some(SAME)).see, [0]);
        assert_eq!(plan(SyncMode::Full, Some(changed)).stage, [0]);
        let revived = plan(SyncMode::Full, Some(deleted));
        assert_eq!((revived.stage, revived.appearing), (vec![0], 1));
    }

    #[test]
    fn a_load_that_goes_on_meets_its_own_work() {
        let mine = Existing { visible: false, ..SAME };
        assert_eq!(plan(SyncMode::Full, Some(mine)).unchanged, 1);
        assert_eq!(plan(SyncMode::Full, Some(Existing { same: false, ..mine })).replace, [0]);

        let staged = Existing { same: false, life: Life::Gone, staged_same: Some(true), ..SAME };
        assert_eq!(plan(SyncMode::Full, Some(staged)).unchanged, 1);
        let again = plan(SyncMode::Full, Some(Existing { staged_same: Some(false), ..staged }));
        assert_eq!((again.stage, again.appearing), (vec![0], 0));
        let back = Existing { staged_same: Some(false), ..SAME };
        assert_eq!(plan(SyncMode::Full, Some(back)).stage, [0], "what was staged is taken back");
    }
}
