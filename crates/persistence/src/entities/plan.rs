//! What becomes of the entities of a page, given what is there: the same on both databases.

use std::collections::{BTreeSet, HashMap};

use linkspan_domain::EntityCounts;
use linkspan_sdk::{ContentHash, MappedObject, MappedOutcome, MappedRecord};
use uuid::Uuid;

use crate::table::entity;

/// What there is of one record in one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Existing {
    pub(super) pk: i64,
    pub(super) id: Uuid,
    /// Names it among the objects of its record.
    pub(super) identity: String,
    pub(super) hash: ContentHash,
    pub(super) is_deleted: bool,
}

/// What to do with the entities of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan<'a> {
    /// To be inserted, or written anew.
    pub(super) write: Vec<Write<'a>>,
    /// To be deleted.
    pub(super) delete: Vec<Gone>,
    /// How many do not change.
    pub(super) unchanged: u64,
}

/// One entity to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write<'a> {
    pub(super) workspace_pk: i64,
    pub(super) key: &'a str,
    pub(super) item: i32,
    pub(super) identity: String,
    /// The identifier that it has, if it was there before.
    pub(super) known: Option<Uuid>,
    pub(super) object: &'a MappedObject,
}

/// One entity to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) workspace_pk: i64,
    pub(super) pk: i64,
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
            let identities = identities(objects);
            for &workspace_pk in workspaces {
                let there = known.get(&(workspace_pk, record.key.clone()));
                let there = there.map_or(&[][..], Vec::as_slice);
                plan.place(workspace_pk, record, objects, &identities, there);
            }
        }
        plan
    }

    fn place(
        &mut self,
        workspace_pk: i64,
        record: &'a MappedRecord,
        objects: &'a [MappedObject],
        identities: &[String],
        there: &[Existing],
    ) {
        for ((item, object), identity) in (0_i32..).zip(objects).zip(identities) {
            let known = there.iter().find(|it| it.identity == *identity);
            if known.is_some_and(|it| !it.is_deleted && it.hash == object.hash) {
                self.unchanged += 1;
                continue;
            }
            let (key, identity) = (record.key.as_str(), identity.clone());
            let known = known.map(|it| it.id);
            self.write.push(Write { workspace_pk, key, item, identity, known, object });
        }
        let gone = there.iter().filter(|it| !it.is_deleted && !identities.contains(&it.identity));
        self.delete.extend(gone.map(|it| Gone { workspace_pk, pk: it.pk }));
    }

    /// The workspaces in which something changes.
    pub(super) fn workspaces(&self) -> BTreeSet<i64> {
        let written = self.write.iter().map(|it| it.workspace_pk);
        written.chain(self.delete.iter().map(|it| it.workspace_pk)).collect()
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

/// What names each of the objects of a record: what the source calls it, unless another is called so, too; else its place.
fn identities(objects: &[MappedObject]) -> Vec<String> {
    let mut called: HashMap<&str, u32> = HashMap::new();
    for name in objects.iter().filter_map(|it| it.external_id.as_deref()) {
        *called.entry(name).or_default() += 1;
    }
    let identity = |(item, it): (u32, &MappedObject)| {
        let name = it.external_id.as_deref().filter(|it| called.get(*it) == Some(&1));
        entity::identity(name, item)
    };
    (0..).zip(objects).map(identity).collect()
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

    fn called(name: &str) -> MappedObject {
        MappedObject { external_id: Some(name.to_owned()), ..object(name) }
    }

    fn record(key: &str, outcome: MappedOutcome) -> MappedRecord {
        MappedRecord { key: key.to_owned(), outcome }
    }

    fn existing(pk: i64, identity: &str, payload: &str) -> Existing {
        Existing {
            pk,
            id: Uuid::from_u128(pk.unsigned_abs().into()),
            identity: identity.to_owned(),
            hash: ContentHash::of(payload),
            is_deleted: false,
        }
    }

    fn gone(plan: &Plan<'_>) -> Vec<i64> {
        plan.delete.iter().map(|it| it.pk).collect()
    }

    #[test]
    fn only_what_changes_is_written_in_each_workspace() {
        let records = [
            record("a", MappedOutcome::Objects(vec![object("1"), object("2")])),
            record("b", MappedOutcome::Objects(Vec::new())),
            record("c", MappedOutcome::Gone),
            record("d", MappedOutcome::Failed("no".to_owned())),
        ];
        let deleted = Existing { is_deleted: true, ..existing(6, "#0", "x") };
        let known: Known = [
            (
                (1, "a".to_owned()),
                vec![existing(1, "#0", "1"), existing(2, "#1", "x"), existing(3, "#2", "y")],
            ),
            ((1, "b".to_owned()), vec![existing(4, "#0", "b")]),
            ((1, "c".to_owned()), vec![existing(5, "#0", "c"), deleted]),
            ((1, "d".to_owned()), vec![existing(7, "#0", "d")]),
        ]
        .into();
        let plan = Plan::of(&records, &[1, 2], &known);
        let written: Vec<_> =
            plan.write.iter().map(|it| (it.workspace_pk, it.key, it.item)).collect();
        assert_eq!(written, [(1, "a", 1), (2, "a", 0), (2, "a", 1)]);
        assert_eq!(gone(&plan), [3, 4, 5], "a record that fails keeps what it has");
        assert_eq!(
            plan.counts(1),
            EntityCounts { written: 3, unchanged: 1, deleted: 3, failed: 1 }
        );
    }

    #[test]
    fn what_the_source_calls_an_object_names_it_wherever_it_stands() {
        let objects = ["b", "c", "c"].map(called).to_vec();
        let records = [record("r", MappedOutcome::Objects(objects))];
        let there =
            vec![existing(1, "id a", "a"), existing(2, "id b", "b"), existing(3, "#1", "z")];
        let known: Known = [((1, "r".to_owned()), there)].into();
        let plan = Plan::of(&records, &[1], &known);
        assert_eq!((plan.unchanged, gone(&plan)), (1, vec![1]));
        let written: Vec<_> = plan.write.iter().map(|it| (&*it.identity, it.known)).collect();
        // Two are called alike: their places tell them apart.
        assert_eq!(written, [("#1", Some(Uuid::from_u128(3))), ("#2", None)]);
    }

    #[test]
    fn what_comes_back_is_written_though_it_says_the_same() {
        let records = [record("a", MappedOutcome::Objects(vec![object("1")]))];
        let gone = Existing { is_deleted: true, ..existing(1, "#0", "1") };
        let known: Known = [((1, "a".to_owned()), vec![gone])].into();
        assert_eq!(Plan::of(&records, &[1], &known).write.len(), 1);
    }
}
