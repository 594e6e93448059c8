//! What becomes of the entities of a page, given what is there: the same on both databases.

use std::collections::HashMap;

use linkspan_domain::EntityCounts;
use linkspan_sdk::{ContentHash, MappedObject, MappedOutcome, MappedRecord};

/// What there is of one record in one workspace, by its place among the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Existing {
    pub(super) pk: i64,
    pub(super) item: i32,
    pub(super) hash: ContentHash,
    pub(super) is_deleted: bool,
}

/// What to do with the entities of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan<'a> {
    /// To be inserted, or written anew.
    pub(super) write: Vec<Write<'a>>,
    /// To be deleted.
    pub(super) delete: Vec<i64>,
    /// How many do not change.
    pub(super) unchanged: u64,
}

/// One entity to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write<'a> {
    pub(super) workspace_pk: i64,
    pub(super) key: &'a str,
    pub(super) item: i32,
    pub(super) object: &'a MappedObject,
}

/// What there is, by workspace and record.
pub(super) type Known = HashMap<(i64, String), Vec<Existing>>;

impl<'a> Plan<'a> {
    /// Compares what `records` become in each of `workspaces` with what is there.
    pub(super) fn of(records: &'a [MappedRecord], workspaces: &[i64], known: &Known) -> Self {
        let mut plan = Self::default();
        for record in records {
            let objects: &[MappedObject] = match &record.outcome {
                MappedOutcome::Objects(objects) => objects,
                MappedOutcome::Gone => &[],
                MappedOutcome::Failed(_) => continue,
            };
            for &workspace_pk in workspaces {
                let there = known.get(&(workspace_pk, record.key.clone()));
                let there = there.map_or(&[][..], Vec::as_slice);
                plan.place(workspace_pk, &record.key, objects, there);
            }
        }
        plan
    }

    fn place(
        &mut self,
        workspace_pk: i64,
        key: &'a str,
        objects: &'a [MappedObject],
        there: &[Existing],
    ) {
        for (item, object) in (0_i32..).zip(objects) {
            let is_there = |it: &&Existing| it.item == item && !it.is_deleted;
            if there.iter().find(is_there).is_some_and(|it| it.hash == object.hash) {
                self.unchanged += 1;
            } else {
                self.write.push(Write { workspace_pk, key, item, object });
            }
        }
        let beyond = there.iter().filter(|it| {
            !it.is_deleted && usize::try_from(it.item).is_ok_and(|item| item >= objects.len())
        });
        self.delete.extend(beyond.map(|it| it.pk));
    }

    /// What it amounts to.
    pub(super) fn counts(&self, failed: u64) -> EntityCounts {
        EntityCounts {
            written: self.write.len() as u64,
            unchanged: self.unchanged,
            deleted: self.delete.len() as u64,
            failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(payload: &str) -> MappedObject {
        MappedObject {
            external_id: None,
            payload: payload.to_owned(),
            hash: ContentHash::of(payload),
        }
    }

    fn record(key: &str, outcome: MappedOutcome) -> MappedRecord {
        MappedRecord { key: key.to_owned(), outcome }
    }

    fn existing(pk: i64, item: i32, payload: &str) -> Existing {
        Existing { pk, item, hash: ContentHash::of(payload), is_deleted: false }
    }

    #[test]
    fn only_what_changes_is_written_in_each_workspace() {
        let records = [
            record("a", MappedOutcome::Objects(vec![object("1"), object("2")])),
            record("b", MappedOutcome::Objects(Vec::new())),
            record("c", MappedOutcome::Gone),
            record("d", MappedOutcome::Failed("no".to_owned())),
        ];
        let deleted = Existing { is_deleted: true, ..existing(6, 0, "x") };
        let known: Known = [
            (
                (1, "a".to_owned()),
                vec![existing(1, 0, "1"), existing(2, 1, "x"), existing(3, 2, "y")],
            ),
            ((1, "b".to_owned()), vec![existing(4, 0, "b")]),
            ((1, "c".to_owned()), vec![existing(5, 0, "c"), deleted]),
            ((1, "d".to_owned()), vec![existing(7, 0, "d")]),
        ]
        .into();
        let plan = Plan::of(&records, &[1, 2], &known);
        let written: Vec<_> =
            plan.write.iter().map(|it| (it.workspace_pk, it.key, it.item)).collect();
        assert_eq!(written, [(1, "a", 1), (2, "a", 0), (2, "a", 1)]);
        assert_eq!(plan.delete, [3, 4, 5], "a record that fails keeps what it has");
        assert_eq!(
            plan.counts(1),
            EntityCounts { written: 3, unchanged: 1, deleted: 3, failed: 1 }
        );
    }

    #[test]
    fn what_comes_back_is_written_though_it_says_the_same() {
        let records = [record("a", MappedOutcome::Objects(vec![object("1")]))];
        let gone = Existing { is_deleted: true, ..existing(1, 0, "1") };
        let known: Known = [((1, "a".to_owned()), vec![gone])].into();
        assert_eq!(Plan::of(&records, &[1], &known).write.len(), 1);
    }
}
