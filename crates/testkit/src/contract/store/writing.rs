//! Writes: whole or not at all, never over another's, never two of one name.
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use linkspan_domain::{
    Revision,
    ports::{Change, StoreError},
};
use time::{Duration, OffsetDateTime};

use super::{Subject, one_page};
use crate::fixtures::{EPOCH, Specimen};

/// Numbers that no other part of the suite uses.
const UPDATED: u32 = 40;
const LIKE: u32 = 41;
const ATOMIC: u32 = 42;
const NAMED: u32 = 44;
const HIDDEN: u32 = 45;
const PURGED: u32 = 46;

fn with_revision<R: Specimen>(thing: &R, revision: Revision) -> R {
    let mut thing = thing.clone();
    *thing.parts().unwrap().revision = revision;
    thing
}

fn with_deleted_at<R: Specimen>(thing: &R, deleted_at: Option<OffsetDateTime>) -> R {
    let mut thing = thing.clone();
    *thing.parts().unwrap().deleted_at = deleted_at;
    thing
}

fn is_mutable<R: Specimen>(subject: &Subject<'_, R>) -> bool {
    subject.specimen(0).parts().is_some()
}

pub(super) async fn an_update_is_a_new_revision<R: Specimen>(subject: &Subject<'_, R>) {
    if !is_mutable(subject) {
        return;
    }
    let first = subject.specimen(UPDATED);
    subject.insert(&first).await;
    let changed = first.become_like(&subject.specimen(LIKE));
    assert_ne!(changed, first);
    subject.write(&[Change::Update(changed.clone())]).await.unwrap();
    let kept = subject.find(first.id()).await.unwrap();
    assert_eq!(kept, with_revision(&changed, first.revision().next()), "every field changed");
}

pub(super) async fn a_stale_update_is_refused<R: Specimen>(subject: &Subject<'_, R>) {
    if !is_mutable(subject) {
        return;
    }
    let stale = subject.specimen(UPDATED);
    let kept = subject.find(stale.id()).await.unwrap();
    for change in [Change::Update(stale.clone()), Change::Purge(stale.clone())] {
        let refused = subject.write(&[change]).await;
        assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    }
    assert_eq!(subject.find(stale.id()).await, Some(kept));

    let absent = subject.specimen(LIKE);
    let refused = subject.write(&[Change::Update(absent)]).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
}

pub(super) async fn a_write_is_all_or_nothing<R: Specimen>(subject: &Subject<'_, R>) {
    let (one, two) = (subject.specimen(ATOMIC), subject.specimen(ATOMIC + 1));
    let changes = [Change::Insert(one.clone()), Change::Insert(two.clone())];
    subject.write(&changes).await.unwrap();
    assert_eq!(subject.find(one.id()).await, Some(one.clone()));
    assert_eq!(subject.find(two.id()).await, Some(two));

    // The same identifier again: the second change fails, and takes the first with it.
    let fresh = subject.specimen(ATOMIC + 20);
    let changes = [Change::Insert(fresh.clone()), Change::Insert(one)];
    let refused = subject.write(&changes).await;
    assert!(matches!(refused, Err(StoreError::Taken)), "{refused:?}");
    assert_eq!(subject.find(fresh.id()).await, None);
}

pub(super) async fn live_names_are_unique<R: Specimen>(subject: &Subject<'_, R>) {
    let first = subject.specimen(NAMED);
    let Some(twin) = first.twin() else { return };
    subject.insert(&first).await;
    let refused = subject.write(&[Change::Insert(twin.clone())]).await;
    assert!(matches!(refused, Err(StoreError::Taken)), "{refused:?}");

    // Once the first is deleted its name is free, and then the first cannot come back.
    let gone = with_deleted_at(&first, Some(EPOCH));
    subject.write(&[Change::Update(gone)]).await.unwrap();
    subject.insert(&twin).await;
    let back = with_revision(&first, first.revision().next());
    let refused = subject.write(&[Change::Update(back)]).await;
    assert!(matches!(refused, Err(StoreError::Taken)), "{refused:?}");
    subject.write(&[Change::Purge(twin)]).await.unwrap();
}

pub(super) async fn deleted_things_are_hidden_but_found<R: Specimen>(subject: &Subject<'_, R>) {
    if !is_mutable(subject) {
        return;
    }
    let live = subject.specimen(HIDDEN);
    subject.insert(&live).await;
    let deleted_at = Some(EPOCH + Duration::microseconds(1_234_567));
    let gone = with_deleted_at(&live, deleted_at);
    subject.write(&[Change::Update(gone.clone())]).await.unwrap();

    let gone = with_revision(&gone, live.revision().next());
    assert_eq!(subject.find(live.id()).await, Some(gone.clone()));
    let listed = subject.page(&one_page()).await.into_resources();
    assert!(listed.iter().all(|it| it.id() != live.id()));
    assert!(subject.everything().await.contains(&gone));
}

pub(super) async fn a_purge_is_for_good<R: Specimen>(subject: &Subject<'_, R>) {
    if !is_mutable(subject) {
        return;
    }
    let thing = subject.specimen(PURGED);
    subject.insert(&thing).await;
    subject.write(&[Change::Purge(thing.clone())]).await.unwrap();
    assert_eq!(subject.find(thing.id()).await, None);
    assert!(subject.everything().await.iter().all(|it| it.id() != thing.id()));
    subject.insert(&thing).await;
    subject.write(&[Change::Purge(thing)]).await.unwrap();
}

pub(super) async fn nothing_refers_to_what_is_not_there<R: Specimen>(subject: &Subject<'_, R>) {
    let Some(orphan) = subject.specimen(PURGED).orphan() else { return };
    let refused = subject.write(&[Change::Insert(orphan.clone())]).await;
    assert!(matches!(refused, Err(StoreError::Dangling)), "{refused:?}");
    assert_eq!(subject.find(orphan.id()).await, None);
}
