//! Entities that nothing stands for any more.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{
    entities::{Mapped, becomes, counts, gone, pairs, target, targets},
    scratch::on_both,
};
use linkspan_domain::{
    ConnectorMapping, Deleted, Resource, SyncTarget,
    ports::{Change, Store},
};
use linkspan_testkit::fixtures::{EPOCH, Specimen, receipt};

on_both! {
    what_only_a_deleted_target_stood_for_is_withdrawn
    what_a_deleted_mapping_made_is_withdrawn_and_made_anew_when_it_is_back
    what_a_deleted_activation_brought_in_is_withdrawn_and_mapped_anew_when_it_is_back
    what_a_deleted_workspace_received_is_withdrawn_and_sent_anew_when_it_is_back
    a_withdrawal_goes_part_by_part_and_leaves_what_something_stands_for
    what_comes_back_before_it_is_withdrawn_stays
    a_mapping_of_a_deleted_activation_writes_nothing
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
    assert_eq!(kept, linkspan_sdk::Kept::Superseded);
    let stream = it.mapping.stream.clone();
    assert_eq!(it.store.active(it.bench.activation.id, &stream).await.unwrap(), []);
}
