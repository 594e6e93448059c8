//! The contract of [`CredentialStore`], beyond that of a store.
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use std::{slice, sync::Arc};

use linkspan_domain::{
    CredentialEvent, CredentialPhase, CredentialSnapshot, CredentialState, CredentialVersion,
    ListQuery, Overlap, SealedSecrets, WorkspaceConnector,
    ports::{Change, CredentialStore, Sealed, Store, StoreError},
};
use serde_json::Map;
use time::{Duration, OffsetDateTime};
use tokio::task::JoinSet;

use crate::fixtures::{EPOCH, Place, Specimen, id, receipt};

/// So many rotate at once.
const AT_ONCE: u32 = 20;

/// For how long versions overlap here.
const OVERLAP_SECS: i64 = 3_600;

/// Checks a [`CredentialStore`] against its contract, with the store of the activations whose credentials they are.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn credential_store(
    store: Arc<dyn CredentialStore>,
    activations: &dyn Store<WorkspaceConnector>,
    place: &Place,
) {
    let activation = WorkspaceConnector::specimen(960, place);
    let first = first_of(&activation, place);
    assert_eq!(store.latest(activation.id).await.unwrap(), None);
    let made = Change::Insert(activation.clone());
    let versions = [Change::Insert(first.clone())];
    store.commit(&made, &versions, &receipt(9_400, None)).await.unwrap();
    assert_eq!(store.latest(activation.id).await.unwrap(), Some(first.clone()));

    of_many_at_once_one_wins(&store, &activation, &first, place).await;
    what_is_over_is_found_once(&*store, &first, place).await;
    nothing_is_kept_by_halves(&*store, activations, place).await;
    a_purge_takes_all_versions_along(&*store, activations, place).await;
}

/// The first version of `activation`.
fn first_of(activation: &WorkspaceConnector, place: &Place) -> CredentialVersion {
    CredentialVersion {
        id: id(5_000_000),
        workspace_connector_id: activation.id,
        workspace_id: activation.workspace_id,
        number: 1,
        phase: CredentialPhase::Active,
        ..CredentialVersion::specimen(0, place)
    }
}

/// Another version of the same activation that is in use.
fn version_of(first: &CredentialVersion, number: u32, place: &Place) -> CredentialVersion {
    CredentialVersion {
        id: id(5_000_000 + number),
        workspace_connector_id: first.workspace_connector_id,
        workspace_id: first.workspace_id,
        phase: CredentialPhase::Active,
        ..CredentialVersion::specimen(number, place)
    }
}

/// The same, once another took its place.
fn superseded(version: &CredentialVersion) -> CredentialVersion {
    let secrets = SealedSecrets {
        blob: Sealed::from_bytes(version.id.uuid().into_bytes().repeat(20)),
        pointers: ["/password".to_owned()].into(),
    };
    let snapshot = CredentialSnapshot { config: Map::new(), secrets };
    let overlap = Overlap::try_from(OVERLAP_SECS).unwrap();
    let mut version = version.clone();
    version
        .apply(CredentialEvent::Superseded { at: EPOCH, overlap, snapshot: Some(snapshot) })
        .unwrap();
    version
}

/// The same as it is stored after one more write.
fn written(version: &CredentialVersion) -> CredentialVersion {
    CredentialVersion { revision: version.revision.next(), ..version.clone() }
}

async fn of_many_at_once_one_wins(
    store: &Arc<dyn CredentialStore>,
    activation: &WorkspaceConnector,
    first: &CredentialVersion,
    place: &Place,
) {
    let mut rotations = JoinSet::new();
    for number in 0..AT_ONCE {
        let (store, activation) = (Arc::clone(store), Change::Update(activation.clone()));
        let second = CredentialVersion { number: 2, ..version_of(first, 100 + number, place) };
        let versions = [Change::Update(superseded(first)), Change::Insert(second.clone())];
        rotations.spawn(async move {
            let done = store.commit(&activation, &versions, &receipt(9_410 + number, None)).await;
            (second, done)
        });
    }
    let mut winners = Vec::new();
    for (second, done) in rotations.join_all().await {
        match done {
            Ok(()) => winners.push(second),
            Err(StoreError::Stale) => {}
            Err(error) => panic!("who is slower is told so, not {error:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let seen = CredentialVersion::tenancy(place);
    assert_eq!(store.latest(activation.id).await.unwrap(), winners.pop());
    let kept = store.find(&seen, first.id).await.unwrap();
    assert_eq!(kept, Some(written(&superseded(first))));
}

async fn what_is_over_is_found_once(
    store: &dyn CredentialStore,
    first: &CredentialVersion,
    place: &Place,
) {
    let over = EPOCH + Duration::seconds(OVERLAP_SECS);
    let early = over - Duration::microseconds(1);
    let among = async |now: OffsetDateTime, limit: u32| {
        let expired = store.expired(now, limit).await.unwrap();
        expired.into_iter().find(|it| it.version.id == first.id)
    };
    assert_eq!(among(early, 100).await, None);
    assert_eq!(among(over, 0).await, None);
    let found = among(over, 100).await.unwrap();
    assert_eq!(found.organization_id, place.organization);
    let mut revoked = found.version;
    assert_eq!(revoked, written(&superseded(first)));

    revoked.apply(CredentialEvent::Revoked { at: over }).unwrap();
    let change = Change::Update(revoked.clone());
    store.write(slice::from_ref(&change), &receipt(9_440, None)).await.unwrap();
    let again = store.write(&[change], &receipt(9_441, None)).await;
    assert!(matches!(again, Err(StoreError::Stale)), "{again:?}");
    assert_eq!(among(over, 100).await, None);
    let seen = CredentialVersion::tenancy(place);
    assert_eq!(store.find(&seen, first.id).await.unwrap(), Some(written(&revoked)));
}

async fn nothing_is_kept_by_halves(
    store: &dyn CredentialStore,
    activations: &dyn Store<WorkspaceConnector>,
    place: &Place,
) {
    let seen = WorkspaceConnector::tenancy(place);
    let before = activations.find(&seen, id(960)).await.unwrap().unwrap();
    let active = store.latest(before.id).await.unwrap().unwrap();
    assert_eq!(active.phase.state(), CredentialState::Active);
    let changed = WorkspaceConnector { description: Some("changed".to_owned()), ..before.clone() };
    let second = version_of(&active, 200, place);
    let revoked = CredentialPhase::Revoked { superseded_at: EPOCH, revoked_at: EPOCH };
    for (version, why) in [
        (CredentialVersion { number: 3, ..second.clone() }, "another one is active"),
        (CredentialVersion { number: 2, phase: revoked, ..second }, "the number is taken"),
    ] {
        let versions = [Change::Insert(version)];
        let change = Change::Update(changed.clone());
        let refused = store.commit(&change, &versions, &receipt(9_450, None)).await;
        assert!(matches!(refused, Err(StoreError::Taken)), "{why}: {refused:?}");
        assert_eq!(activations.find(&seen, before.id).await.unwrap().as_ref(), Some(&before));
    }
}

async fn a_purge_takes_all_versions_along(
    store: &dyn CredentialStore,
    activations: &dyn Store<WorkspaceConnector>,
    place: &Place,
) {
    let seen = WorkspaceConnector::tenancy(place);
    let activation = activations.find(&seen, id(960)).await.unwrap().unwrap();
    let listed = store.list(&seen, &ListQuery::default()).await.unwrap().total;
    let purge = [Change::Purge(activation.clone())];
    activations.write(&purge, &receipt(9_460, None)).await.unwrap();
    assert_eq!(store.latest(activation.id).await.unwrap(), None);
    assert_eq!(store.list(&seen, &ListQuery::default()).await.unwrap().total, listed - 2);
}
