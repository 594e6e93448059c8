//! Entities that nothing stands for any more.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use linkspan_domain::{
    ConnectorMapping, Deleted, Resource, SyncTarget,
    ports::{Change, Store},
};
use linkspan_sdk::Kept;
use linkspan_testkit::{
    Random,
    fixtures::{EPOCH, Specimen, receipt},
};
use sqlx::{Connection, PgConnection, raw_sql};

use crate::{
    entities::{Mapped, becomes, counts, gone, pairs, target, targets},
    scratch::{on_both, on_postgres, waiting},
};

on_both! {
    what_only_a_deleted_target_stood_for_is_withdrawn
    what_a_deleted_mapping_made_is_withdrawn_and_made_anew_when_it_is_back
    what_a_deleted_activation_brought_in_is_withdrawn_and_mapped_anew_when_it_is_back
    what_a_deleted_workspace_received_is_withdrawn_and_sent_anew_when_it_is_back
    a_withdrawal_goes_part_by_part_and_leaves_what_something_stands_for
    what_comes_back_before_it_is_withdrawn_stays
    a_mapping_of_a_deleted_activation_writes_nothing
    pages_deletions_and_withdrawals_at_once_leave_nothing_that_stands_on_nothing
}

/// Withdraws all there is. Answers how many parts it took, and how many entities.
async fn withdraw(it: &Mapped) -> (u32, u64) {
    let (mut parts, mut all) = (0, 0);
    while let Some(some) = it.store.withdraw(EPOCH).await.unwrap() {
        (parts, all) = (parts + 1, all + some);
    }
    (parts, all)
}

async fn write<R: Resource>(store: &dyn Store<R>, change: Change<R>) {
    static RECEIPTS: AtomicU32 = AtomicU32::new(700_000);
    let number = RECEIPTS.fetch_add(1, Ordering::Relaxed);
    store.write(&[change], &receipt(number, None)).await.unwrap();
}

async fn set_mapping(it: &Mapped, deleted: Deleted) {
    let mut mapping = it.stored().await;
    mapping.deleted_at = (deleted == Deleted::Shown).then_some(EPOCH);
    write(&*it.bench.db.connector_mappings(), Change::Update(mapping)).await;
}

async fn set_activation(it: &Mapped, deleted: Deleted) {
    let store = it.bench.db.workspace_connectors();
    let seen = ConnectorMapping::tenancy(&it.bench.place);
    let mut kept = store.find(&seen, it.bench.activation.id).await.unwrap().unwrap();
    kept.deleted_at = (deleted == Deleted::Shown).then_some(EPOCH);
    write(&*store, Change::Update(kept)).await;
}

/// Two targets, each of which has received the record `a`.
async fn sent_to_two(url: &str) -> (Mapped, SyncTarget) {
    let it = Mapped::new(url).await;
    let second = target(&it, 501, it.other_workspace());
    write(&*it.bench.db.sync_targets(), Change::Insert(second.clone())).await;
    assert_eq!(it.commit(0, 4, vec![becomes("a", &["1"])]).await, counts(2, 0, 0, 0));
    assert_eq!(withdraw(&it).await.1, 0);
    (it, second)
}

async fn what_only_a_deleted_target_stood_for_is_withdrawn(url: &str) {
    let (it, second) = sent_to_two(url).await;
    let deleted = SyncTarget { deleted_at: Some(EPOCH), ..second.clone() };
    write(&*it.bench.db.sync_targets(), Change::Update(deleted)).await;
    assert_eq!(withdraw(&it).await.1, 1);
    let live = it.entities(Deleted::Hidden).await;
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].workspace_id, it.bench.activation.workspace_id);
    let all = it.entities(Deleted::Shown).await;
    let tombstone = all.iter().find(|it| it.deleted_at.is_some()).unwrap();
    assert_eq!(tombstone.workspace_id, second.target_workspace_id);
    assert_eq!(tombstone.revision.number(), 2);
    let seen = ConnectorMapping::tenancy(&it.bench.place);
    let sources = it.store.sources(tombstone.id, &seen).await.unwrap();
    assert_eq!(sources[0].record_key, "a", "it still says where it came from");

    let kept = targets(&it).await.into_iter().find(|it| it.id == second.id).unwrap();
    write(&*it.bench.db.sync_targets(), Change::Update(SyncTarget { deleted_at: None, ..kept }))
        .await;
    assert_eq!(it.commit(0, 4, vec![becomes("a", &["1"])]).await, counts(1, 1, 0, 0));
    assert_eq!(withdraw(&it).await.1, 0);
}

async fn what_a_deleted_mapping_made_is_withdrawn_and_made_anew_when_it_is_back(url: &str) {
    let it = Mapped::new(url).await;
    it.commit(0, 4, vec![becomes("a", &["1"])]).await;
    set_mapping(&it, Deleted::Shown).await;
    assert_eq!(withdraw(&it).await.1, 1);
    assert_eq!(it.live().await.len(), 0);
    set_mapping(&it, Deleted::Hidden).await;
    assert_eq!(it.position().await, 0);
    assert_eq!(it.commit(0, 4, vec![becomes("a", &["1"])]).await, counts(1, 0, 0, 0));
    assert_eq!(it.live().await, pairs(&[("a", "1")]));
}

async fn what_a_deleted_activation_brought_in_is_withdrawn_and_mapped_anew_when_it_is_back(
    url: &str,
) {
    let it = Mapped::new(url).await;
    it.commit(0, 4, vec![becomes("a", &["1"])]).await;
    set_activation(&it, Deleted::Shown).await;
    assert_eq!(withdraw(&it).await.1, 1);
    assert_eq!(it.live().await.len(), 0);
    set_activation(&it, Deleted::Hidden).await;
    assert_eq!(it.position().await, 0);
}

async fn what_a_deleted_workspace_received_is_withdrawn_and_sent_anew_when_it_is_back(url: &str) {
    let (it, second) = sent_to_two(url).await;
    it.delete_workspace(second.target_workspace_id, Deleted::Shown).await;
    assert_eq!(withdraw(&it).await.1, 1);
    it.delete_workspace(second.target_workspace_id, Deleted::Hidden).await;
    assert_eq!(it.commit(0, 4, vec![becomes("a", &["1"])]).await, counts(1, 1, 0, 0));
}

async fn a_withdrawal_goes_part_by_part_and_leaves_what_something_stands_for(url: &str) {
    let it = Mapped::new(url).await;
    let keys: Vec<String> = (0..1_200).map(|it| format!("{it:04}")).collect();
    let first = keys.iter().map(|it| becomes(it, &["1"])).collect();
    it.commit(0, 1, first).await;
    let second = target(&it, 501, it.other_workspace());
    write(&*it.bench.db.sync_targets(), Change::Insert(second)).await;
    it.commit(0, 1, keys.iter().map(|it| becomes(it, &["1"])).collect()).await;
    let own = targets(&it)
        .await
        .into_iter()
        .find(|target| target.target_workspace_id == it.bench.activation.workspace_id);
    let own = SyncTarget { deleted_at: Some(EPOCH), ..own.unwrap() };
    write(&*it.bench.db.sync_targets(), Change::Update(own)).await;
    assert_eq!(it.store.withdraw(EPOCH).await.unwrap(), Some(1_000), "no more at a time");
    let (parts, rest) = withdraw(&it).await;
    assert!(parts >= 2, "{parts}");
    assert_eq!(rest, 200);
    // The others stand, and records that go are still taken away.
    assert_eq!(it.commit(1, 2, vec![gone("0000")]).await, counts(0, 0, 1, 0));
}

async fn what_comes_back_before_it_is_withdrawn_stays(url: &str) {
    let it = Mapped::new(url).await;
    it.commit(0, 4, vec![becomes("a", &["1"])]).await;
    set_mapping(&it, Deleted::Shown).await;
    set_mapping(&it, Deleted::Hidden).await;
    assert_eq!(withdraw(&it).await.1, 0);
    assert_eq!(it.live().await, pairs(&[("a", "1")]));
}

async fn a_mapping_of_a_deleted_activation_writes_nothing(url: &str) {
    let it = Mapped::new(url).await;
    set_activation(&it, Deleted::Shown).await;
    let page = it.page(0, 4, vec![becomes("a", &["1"])]);
    let kept = it.store.commit(&page).await.unwrap();
    assert_eq!(kept, Kept::Superseded);
    let stream = it.mapping.stream.clone();
    assert_eq!(it.store.active(it.bench.activation.id, &stream).await.unwrap(), []);
}

/// What entities stand on.
#[derive(Clone, Copy, Debug)]
enum Part {
    Mapping,
    Activation,
    Target,
    Workspace,
}

impl Part {
    const ALL: [Self; 4] = [Self::Mapping, Self::Activation, Self::Target, Self::Workspace];

    /// Deletes it, or brings it back.
    async fn set(self, it: &Mapped, deleted: Deleted) {
        match self {
            Self::Mapping => set_mapping(it, deleted).await,
            Self::Activation => set_activation(it, deleted).await,
            Self::Target => {
                let mut all = targets(it).await;
                all.retain(|target| target.target_workspace_id == it.other_workspace());
                let deleted_at = (deleted == Deleted::Shown).then_some(EPOCH);
                let target = SyncTarget { deleted_at, ..all.remove(0) };
                write(&*it.bench.db.sync_targets(), Change::Update(target)).await;
            }
            Self::Workspace => it.delete_workspace(it.other_workspace(), deleted).await,
        }
    }
}

/// Entities go into one workspace, and that is not the activation's own.
async fn sent_elsewhere(url: &str) -> Mapped {
    let it = Mapped::new(url).await;
    let own = targets(&it).await.remove(0);
    let own = SyncTarget { deleted_at: Some(EPOCH), ..own };
    let store = it.bench.db.sync_targets();
    write(&*store, Change::Update(own)).await;
    write(&*store, Change::Insert(target(&it, 501, it.other_workspace()))).await;
    withdraw(&it).await;
    it
}

/// Keeps everybody from writing entities, at the point where a write takes its number in the feed.
struct Gate(PgConnection);

impl Gate {
    async fn shut(url: &str) -> Self {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let shut = raw_sql("BEGIN; SELECT 1 FROM entity_feeds FOR UPDATE");
        shut.execute(&mut connection).await.unwrap();
        Self(connection)
    }

    async fn open(self) {
        self.0.close().await.unwrap();
    }
}

#[tokio::test]
async fn who_deletes_waits_for_a_page_that_is_being_written() {
    on_postgres(|url| async move {
        let it = sent_elsewhere(&url).await;
        for part in Part::ALL {
            let from = it.position().await;
            it.commit(from, from + 1, vec![becomes("a", &["1"])]).await;
            let gate = Gate::shut(&url).await;
            let page = it.page(from + 1, from + 2, vec![becomes("b", &["2"])]);
            let deletion = async {
                waiting(&url, 1).await;
                part.set(&it, Deleted::Shown).await;
            };
            let opening = async {
                waiting(&url, 2).await;
                gate.open().await;
            };
            let (kept, (), ()) = tokio::join!(it.store.commit(&page), deletion, opening);
            assert_eq!(kept.unwrap(), Kept::Done(counts(1, 0, 0, 0)), "{part:?}");
            assert_eq!(it.live().await, pairs(&[("a", "1"), ("b", "2")]), "{part:?}");
            assert_eq!(withdraw(&it).await.1, 2, "{part:?}");
            part.set(&it, Deleted::Hidden).await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_brings_back_waits_for_a_part_that_is_being_withdrawn() {
    on_postgres(|url| async move {
        let it = sent_elsewhere(&url).await;
        for part in Part::ALL {
            let from = it.position().await;
            it.commit(from, from + 1, vec![becomes("a", &["1"])]).await;
            part.set(&it, Deleted::Shown).await;
            let gate = Gate::shut(&url).await;
            let back = async {
                waiting(&url, 1).await;
                part.set(&it, Deleted::Hidden).await;
            };
            let opening = async {
                waiting(&url, 2).await;
                gate.open().await;
            };
            let (withdrawn, (), ()) = tokio::join!(it.store.withdraw(EPOCH), back, opening);
            assert_eq!(withdrawn.unwrap(), Some(1), "{part:?}");
            assert_eq!(it.live().await, [], "{part:?}");
            assert_eq!(withdraw(&it).await.1, 0, "{part:?}");
            assert_eq!(it.position().await, 0, "{part:?} is mapped anew");
        }
    })
    .await;
}

async fn pages_deletions_and_withdrawals_at_once_leave_nothing_that_stands_on_nothing(url: &str) {
    let it = sent_elsewhere(url).await;
    let mut random = Random::from_seed(31);
    for round in 0..24 {
        let part = *random.pick(&[Part::Mapping, Part::Activation, Part::Target]);
        let key = round.to_string();
        let from = it.position().await;
        let page = it.page(from, from + 1, vec![becomes(&key, &["1"])]);
        let mut pause = || {
            let pause = *random.pick(&[0, 1, 2, 4, 8]);
            tokio::time::sleep(Duration::from_millis(pause))
        };
        let (first, second, third) = (pause(), pause(), pause());
        let writing = async {
            first.await;
            it.store.commit(&page).await.unwrap()
        };
        let deletion = async {
            second.await;
            part.set(&it, Deleted::Shown).await;
        };
        let withdrawal = async {
            third.await;
            withdraw(&it).await
        };
        let (kept, (), _) = tokio::join!(writing, deletion, withdrawal);
        withdraw(&it).await;
        assert_eq!(it.live().await, [], "{round}: {part:?}, {kept:?}");
        let ((), _) = tokio::join!(part.set(&it, Deleted::Hidden), withdraw(&it));
        assert_eq!(it.position().await, 0, "{round}: {part:?}");
        it.commit(0, 1, vec![becomes(&key, &["1"])]).await;
        withdraw(&it).await;
        assert_eq!(it.live().await, pairs(&[(&key, "1")]), "{round}: {part:?}");
    }
}
