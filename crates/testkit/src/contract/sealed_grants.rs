//! That all that belongs to grants is found by a rotation of the master key, and sealed anew, while it is in use.
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use std::collections::BTreeSet;

use linkspan_domain::{
    Issuer, KeyHash, Secret, WorkspaceConnector,
    ports::{
        AuthorizationStore, GrantStore, InPlaceOf, KeptAuthorization, KeyRotationStore, KeyStore,
        NewGrant, OauthClientStore, Purpose, Resealed, Sealed, SealedRow, TakenAuthorization,
    },
};
use time::Duration;
use uuid::Uuid;

use super::keys::{NEW, OLD, blob, everything, fresh, rotation};
use crate::fixtures::{EPOCH, Place};

/// The stores that keep what belongs to grants, and those that seal it anew.
pub struct SealedStores<'a> {
    /// Finds what is sealed.
    pub keys: &'a dyn KeyStore,
    /// Seals it anew.
    pub rotations: &'a dyn KeyRotationStore,
    /// Keeps grants.
    pub grants: &'a dyn GrantStore,
    /// Keeps clients.
    pub clients: &'a dyn OauthClientStore,
    /// Keeps authorizations.
    pub authorizations: &'a dyn AuthorizationStore,
}

const AUTHORIZATION: Uuid = Uuid::from_u128(5_500);

fn issuer() -> Issuer {
    Issuer::new("https://issuer.example".to_owned())
}

fn state() -> KeyHash {
    KeyHash::of(&Secret::new("state".to_owned()))
}

fn grant(of: &WorkspaceConnector, sealed: Sealed) -> NewGrant {
    NewGrant {
        workspace_connector_id: of.id,
        issuer: issuer(),
        grant: sealed,
        expires_at: None,
        due_at: None,
        refreshed_at: EPOCH,
    }
}

/// Checks that what belongs to the grant of `activation`, which is kept and has none yet, is sealed anew with everything else.
///
/// # Panics
///
/// When the stores break their contracts.
pub async fn sealed_grants(
    stores: &SealedStores<'_>,
    activation: &WorkspaceConnector,
    place: &Place,
) {
    let SealedStores { keys, rotations, grants, clients, authorizations } = *stores;
    let of = activation.id;
    let lease = async || {
        let leased = grants.lease(of, Uuid::from_u128(7), EPOCH, EPOCH + Duration::MINUTE).await;
        leased.unwrap().unwrap().fence
    };
    grants.connect(&grant(activation, blob(OLD, 1)), activation, &fresh(61)).await.unwrap();
    grants.settle(lease().await, &grant(activation, blob(OLD, 2))).await.unwrap();
    let fence = lease().await;
    grants.journal(of, fence, &blob(OLD, 3)).await.unwrap();
    clients.keep_client(of, &issuer(), &blob(OLD, 4), InPlaceOf::Nobody, &fresh(64)).await.unwrap();
    let begun = KeptAuthorization {
        id: AUTHORIZATION,
        state: state(),
        workspace_connector_id: of,
        workspace_id: activation.workspace_id,
        organization_id: place.organization,
        content: blob(OLD, 5),
        created_at: EPOCH,
        expires_at: EPOCH + Duration::MINUTE,
    };
    authorizations.begin(&begun, &fresh(62)).await.unwrap();

    let found = all_is_found(keys, activation).await;
    let started = rotations.start(&rotation(63, NEW, place), &fresh(63)).await.unwrap();
    let until = EPOCH + Duration::HOUR;
    let held = rotations.claim(NEW, "one", EPOCH, until).await.unwrap().unwrap();
    assert_eq!(held.id, started.id);
    let blobs: Vec<_> = found.into_iter().map(anew).collect();
    let advanced = rotations.advance(held, "one", &blobs).await.unwrap();
    assert_eq!((advanced.counts.rotated, advanced.counts.skipped), (5, 0));
    assert!(of_grants(keys).await.is_empty(), "nothing is left under the old key");

    let kept = grants.grant(of).await.unwrap().unwrap();
    assert_eq!(kept.grant, blob(NEW, 2));
    assert_eq!((kept.previous, kept.reply), (Some(blob(NEW, 1)), Some(blob(NEW, 3))));
    assert_eq!(kept.fence, fence, "whoever is at it goes on");
    grants.settle(fence, &grant(activation, blob(NEW, 6))).await.unwrap();
    assert_eq!(grants.grant(of).await.unwrap().unwrap().previous, Some(blob(NEW, 2)));
    assert_eq!(clients.client(of, &issuer()).await.unwrap(), Some(blob(NEW, 4)));
    let taken = authorizations.take(&state(), EPOCH).await.unwrap();
    assert!(matches!(taken, TakenAuthorization::Taken(it) if it.content == blob(NEW, 5)));
}

/// What belongs to grants and is not sealed with the new key.
async fn of_grants(keys: &dyn KeyStore) -> Vec<SealedRow> {
    let mut found = everything(keys, NEW, 2).await;
    found.retain(|it| it.context.purpose != Purpose::Credentials);
    found
}

async fn all_is_found(keys: &dyn KeyStore, activation: &WorkspaceConnector) -> Vec<SealedRow> {
    let mut counts: Vec<_> = keys.census().await.unwrap();
    counts.retain(|it| it.purpose != Purpose::Credentials);
    assert!(counts.iter().all(|it| it.key == Some(OLD)), "{counts:?}");
    let counted = |purpose| -> u64 {
        counts.iter().filter(|it| it.purpose == purpose).map(|it| it.count).sum()
    };
    let purposes = [Purpose::Grant, Purpose::ClientRegistration, Purpose::Authorization];
    assert_eq!(purposes.map(counted), [3, 1, 1]);

    let found = of_grants(keys).await;
    let client = linkspan_domain::OauthClient::row(activation.id, &issuer());
    let expected = BTreeSet::from([
        ("oauth_grants", Purpose::Grant, activation.id.uuid(), 1),
        ("oauth_grants", Purpose::Grant, activation.id.uuid(), 2),
        ("oauth_grants", Purpose::Grant, activation.id.uuid(), 3),
        ("oauth_clients", Purpose::ClientRegistration, client, 4),
        ("authorizations", Purpose::Authorization, AUTHORIZATION, 5),
    ]);
    let told = |it: &SealedRow| (it.place, it.context.purpose, it.context.row, number(&it.blob));
    assert_eq!(found.iter().map(told).collect::<BTreeSet<_>>(), expected);
    found
}

/// What [`blob`] was made with.
fn number(sealed: &Sealed) -> u8 {
    sealed.as_bytes().last().copied().unwrap_or_default()
}

fn anew(row: SealedRow) -> Resealed {
    let blob = blob(NEW, number(&row.blob));
    Resealed { row, blob }
}
