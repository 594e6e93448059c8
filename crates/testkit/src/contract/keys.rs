//! The contracts of [`KeyStore`] and [`KeyRotationStore`].
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use linkspan_domain::{
    AuditEventId, KeyRotation, KeyRotationFailure, KeyRotationRefusal, KeyRotationStatus, Lease,
    Receipt, SealedSecrets, Visible, Within, WorkspaceConnector,
    ports::{
        Change, KeyId, KeyRotationStore, KeyStore, Purpose, Resealed, Sealed, SealedRow, Store,
        StoreError,
    },
};
use time::Duration;
use uuid::Uuid;

use crate::fixtures::{EPOCH, Place, Specimen, id, receipt};

pub(super) const OLD: KeyId = KeyId::from_bytes([0xa1; 4]);
pub(super) const NEW: KeyId = KeyId::from_bytes([0xb2; 4]);
const NEWEST: KeyId = KeyId::from_bytes([0xc3; 4]);

/// Checks a [`KeyStore`] against its contract, with the store of activations, which have what is sealed.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn key_store(
    keys: &dyn KeyStore,
    activations: &dyn Store<WorkspaceConnector>,
    place: &Place,
) {
    let count = async || -> BTreeMap<Option<KeyId>, u64> {
        let census = keys.census().await.unwrap();
        assert!(census.iter().all(|it| it.purpose == Purpose::Credentials));
        census.into_iter().map(|it| (it.key, it.count)).collect()
    };
    let before = count().await;
    let deleted = WorkspaceConnector { deleted_at: Some(EPOCH), ..sealed(5, OLD, place) };
    let bare = WorkspaceConnector { secrets: None, ..sealed(6, OLD, place) };
    let mut strange = sealed(7, OLD, place);
    strange.secrets.as_mut().unwrap().blob = Sealed::from_bytes(b"?".to_vec());
    let olds: Vec<_> = (1..5).map(|it| sealed(it, OLD, place)).chain([deleted]).collect();
    let new = sealed(8, NEW, place);
    for it in olds.iter().chain([&bare, &strange, &new]) {
        activations.write(&[Change::Insert(it.clone())], &fresh(0)).await.unwrap();
    }
    let after = count().await;
    let more = |key| after.get(&key).copied().unwrap_or(0) - before.get(&key).copied().unwrap_or(0);
    assert_eq!((more(Some(OLD)), more(Some(NEW)), more(None)), (5, 1, 1));

    let all = everything(keys, NEW, 100).await;
    for size in [1, 2, 3] {
        assert_eq!(everything(keys, NEW, size).await, all, "in pages of {size}");
    }
    let found = |it: &WorkspaceConnector| all.iter().find(|row| row.context.row == it.id.uuid());
    for it in olds.iter().chain([&strange]) {
        let row = found(it).unwrap();
        assert_eq!(Some(&row.blob), it.secrets.as_ref().map(|it| &it.blob));
        assert_eq!(
            (row.context.purpose, row.place),
            (Purpose::Credentials, "workspace_connectors")
        );
    }
    assert!(found(&bare).is_none() && found(&new).is_none());
    usage(keys).await;
}

/// Counts of many at once are all kept, each of its key and purpose.
async fn usage(keys: &dyn KeyStore) {
    let count = |purpose, more| keys.count(NEWEST, purpose, more, EPOCH);
    let many = (0..8).map(|_| count(Purpose::Credentials, 100));
    let counted = futures_util::future::join_all(many).await;
    let mut counted: Vec<_> = counted.into_iter().map(Result::unwrap).collect();
    counted.sort_unstable();
    assert_eq!(counted, (1..=8).map(|it| it * 100).collect::<Vec<_>>());
    assert_eq!(count(Purpose::Credentials, -50).await.unwrap(), 750);
    assert_eq!(count(Purpose::Authorization, -50).await.unwrap(), 0, "never less than nothing");
    assert_eq!(count(Purpose::Authorization, 7).await.unwrap(), 7);
    let usage = keys.usage().await.unwrap();
    let of: BTreeMap<_, _> =
        usage.iter().filter(|it| it.key == NEWEST).map(|it| (it.purpose, it.sealed)).collect();
    assert_eq!(of, [(Purpose::Credentials, 750), (Purpose::Authorization, 7)].into());
}

/// Checks a [`KeyRotationStore`] against its contract, with the stores of what is sealed.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn key_rotation_store(
    rotations: &dyn KeyRotationStore,
    keys: &dyn KeyStore,
    activations: &dyn Store<WorkspaceConnector>,
    place: &Place,
) {
    one_runs_at_a_time(rotations, place).await;
    what_is_sealed_anew_is_written_once(rotations, keys, activations, place).await;
    a_rotation_without_a_worker_makes_way(rotations, place).await;
}

async fn one_runs_at_a_time(rotations: &dyn KeyRotationStore, place: &Place) {
    let first = rotation(1, NEW, place);
    assert_eq!(rotations.start(&first, &fresh(1)).await.unwrap(), first);
    let again = rotations.start(&rotation(2, NEW, place), &fresh(2)).await.unwrap();
    assert_eq!(again, first, "the one that runs is answered");
    let tenancy = Within(place.organization);
    assert_eq!(rotations.find(&tenancy, id(2)).await.unwrap(), None);
    assert_eq!(rotations.find(&tenancy, id(1)).await.unwrap(), Some(first.clone()));
    let elsewhere = Within(place.stranger);
    assert_eq!(rotations.find(&elsewhere, id(1)).await.unwrap(), None);

    let claim = async |key, worker: &str, at: i64| {
        let until = EPOCH + Duration::seconds(at + 60);
        rotations.claim(key, worker, EPOCH + Duration::seconds(at), until).await.unwrap()
    };
    assert!(claim(OLD, "old", 0).await.is_none(), "who seals with another key does not work on it");
    let claimed = claim(NEW, "one", 0).await.unwrap();
    assert_eq!(claimed.lease, Some(lease("one", 60)));
    assert!(claimed.revision > first.revision);
    assert!(claim(NEW, "two", 59).await.is_none(), "the lease has not run out");
    let kept = rotations.start(&rotation(3, NEWEST, place), &fresh(3)).await.unwrap();
    assert_eq!(kept.id, first.id, "somebody works on it");
    let taken_over = claim(NEW, "two", 60).await.unwrap();
    assert_eq!(taken_over.lease, Some(lease("two", 120)));
    let late = rotations.advance(claimed, "one", &[]).await;
    assert!(matches!(late, Err(StoreError::Stale)), "{late:?}");
    assert!(claim(NEW, "two", 61).await.is_some(), "who holds it may go on");
}

async fn what_is_sealed_anew_is_written_once(
    rotations: &dyn KeyRotationStore,
    keys: &dyn KeyStore,
    activations: &dyn Store<WorkspaceConnector>,
    place: &Place,
) {
    let [still, changed] = [21, 22].map(|it| sealed(it, OLD, place));
    let inserts = [&still, &changed].map(|it| Change::Insert(it.clone()));
    activations.write(&inserts, &fresh(4)).await.unwrap();
    let found = everything(keys, NEW, 100).await;
    let resealed = |it: &WorkspaceConnector| {
        let row = found.iter().find(|row| row.context.row == it.id.uuid()).unwrap().clone();
        Resealed { row, blob: blob(NEW, 99) }
    };
    let blobs = [resealed(&still), resealed(&changed)];
    let mut meanwhile = changed.clone();
    meanwhile.secrets.as_mut().unwrap().blob = blob(NEW, 50);
    activations.write(&[Change::Update(meanwhile.clone())], &fresh(5)).await.unwrap();

    let held = rotations.claim(NEW, "two", EPOCH, EPOCH + Duration::HOUR).await.unwrap().unwrap();
    let mut advanced = rotations.advance(held, "two", &blobs).await.unwrap();
    assert_eq!((advanced.counts.rotated, advanced.counts.skipped), (1, 1));
    let kept = async |it: &WorkspaceConnector| {
        let tenancy = Visible::only(it.workspace_id);
        activations.find(&tenancy, it.id).await.unwrap().unwrap()
    };
    let anew = kept(&still).await;
    assert_eq!(anew.secrets.as_ref().unwrap().blob, blob(NEW, 99));
    assert_eq!((anew.revision, anew.updated_at), (still.revision, still.updated_at));
    assert_eq!(kept(&changed).await.secrets, meanwhile.secrets, "what others wrote stays");

    advanced.failed(KeyRotationFailure {
        place: "workspace_connectors".to_owned(),
        id: Uuid::from_u128(7),
        reason: KeyRotationRefusal::KeyUnknown,
        key_id: Some(OLD),
    });
    let lost = rotations.advance(advanced.clone(), "one", &blobs).await;
    assert!(matches!(lost, Err(StoreError::Stale)), "{lost:?}");
    advanced.finish(EPOCH + Duration::MINUTE);
    let ended = rotations.advance(advanced, "two", &[]).await.unwrap();
    let tenancy = Within(place.organization);
    assert_eq!(rotations.find(&tenancy, ended.id).await.unwrap(), Some(ended.clone()));
    assert_eq!(ended.status, KeyRotationStatus::Failed);
    let over = rotations.claim(NEW, "two", EPOCH, EPOCH + Duration::HOUR).await.unwrap();
    assert_eq!(over, None, "it is over");
}

async fn a_rotation_without_a_worker_makes_way(rotations: &dyn KeyRotationStore, place: &Place) {
    let forgotten = rotation(5, NEW, place);
    rotations.start(&forgotten, &fresh(6)).await.unwrap();
    let next = rotation(6, NEWEST, place);
    assert_eq!(rotations.start(&next, &fresh(7)).await.unwrap(), next);
    let tenancy = Within(place.organization);
    let given_up = rotations.find(&tenancy, forgotten.id).await.unwrap().unwrap();
    assert_eq!(given_up.status, KeyRotationStatus::Failed);
    assert_eq!(given_up.completed_at, Some(EPOCH));
}

/// Everything that `key` did not seal, in pages of `size`.
pub(super) async fn everything(keys: &dyn KeyStore, key: KeyId, size: u32) -> Vec<SealedRow> {
    let mut all: Vec<SealedRow> = Vec::new();
    loop {
        let after = all.last().map(|it| it.at);
        let page = keys.sealed_otherwise(key, after, size).await.unwrap();
        assert!(page.len() <= size as usize);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub(super) fn blob(key: KeyId, number: u8) -> Sealed {
    Sealed::from_bytes([&Sealed::header(key)[..], &[number; 40]].concat())
}

/// An activation with a secret that `key` sealed.
fn sealed(number: u8, key: KeyId, place: &Place) -> WorkspaceConnector {
    let pointers = BTreeSet::from(["/password".to_owned()]);
    let secrets = SealedSecrets { blob: blob(key, number), pointers };
    let it = WorkspaceConnector::specimen(8_000 + u32::from(number), place);
    WorkspaceConnector { secrets: Some(secrets), deleted_at: None, ..it }
}

pub(super) fn rotation(number: u32, to_key: KeyId, place: &Place) -> KeyRotation {
    let from = BTreeSet::from([OLD]);
    KeyRotation::new(id(number), place.organization, to_key, (from, 3), EPOCH)
}

fn lease(worker: &str, seconds: i64) -> Lease {
    Lease { worker: worker.to_owned(), until: EPOCH + Duration::seconds(seconds) }
}

/// A receipt that no other test has.
pub(super) fn fresh(number: u32) -> Receipt {
    let mut it = receipt(number, None);
    it.audit.id = AuditEventId::from_uuid(Uuid::new_v4());
    it
}
