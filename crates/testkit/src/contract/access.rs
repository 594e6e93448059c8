//! The contract of [`AccessStore`].
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use linkspan_domain::{
    ApiKey, Email, KeyHash, OrganizationId, Person, Secret, Workspace,
    ports::{AccessStore, Change, Store},
};
use time::Duration;

use crate::fixtures::{Place, Specimen, id, receipt};

/// Checks what an [`AccessStore`] says of a new, empty database, and how it makes the first workspace of it.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn bootstrap(store: &dyn AccessStore, first: &Workspace, other: &Workspace) {
    assert_eq!(store.organization().await.unwrap(), None);
    let calls = (0..8).map(|number| {
        let first = if number % 2 == 0 { first } else { other };
        store.bootstrap(first)
    });
    let made = futures_util::future::join_all(calls).await;
    let made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
    assert!(made.iter().all(|it| *it == made[0]), "there is one first workspace: {made:?}");
    assert!(made[0] == *first || made[0] == *other, "{made:?}");
    assert_eq!(store.workspaces(made[0].organization_id).await.unwrap(), made[..1]);
    assert_eq!(store.workspaces(id(9_999_999)).await.unwrap(), []);
    assert_eq!(store.organization().await.unwrap(), Some(made[0].organization_id));
}

/// Checks an [`AccessStore`] against its contract, with the stores over the same things.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn access_store(
    store: &dyn AccessStore,
    keys: &dyn Store<ApiKey>,
    people: &dyn Store<Person>,
    workspaces: &dyn Store<Workspace>,
    place: &Place,
) {
    keys_are_found_by_their_hash(store, keys, place).await;
    people_are_found_while_they_are_there(store, people, place).await;
    workspaces_are_listed_oldest_first(store, workspaces, place).await;
}

async fn keys_are_found_by_their_hash(
    store: &dyn AccessStore,
    keys: &dyn Store<ApiKey>,
    place: &Place,
) {
    let key = ApiKey { last_used_at: None, ..ApiKey::specimen(900, place) };
    keys.write(&[Change::Insert(key.clone())], &receipt(9_100, None)).await.unwrap();
    assert_eq!(store.key(&key.hash).await.unwrap(), Some(key.clone()));
    let unknown = KeyHash::of(&Secret::new("lsk_unknown".to_owned()));
    assert_eq!(store.key(&unknown).await.unwrap(), None);

    let used_at = key.created_at + Duration::minutes(5);
    let used = ApiKey { last_used_at: Some(used_at), ..key.clone() };
    store.touch(&used).await.unwrap();
    assert_eq!(store.key(&key.hash).await.unwrap(), Some(used.clone()), "and no new revision");
    let earlier = ApiKey { last_used_at: Some(key.created_at), ..key.clone() };
    store.touch(&earlier).await.unwrap();
    assert_eq!(store.key(&key.hash).await.unwrap(), Some(used.clone()), "time goes on");

    let revoked = ApiKey { deleted_at: Some(used_at), ..used };
    keys.write(&[Change::Update(revoked)], &receipt(9_101, None)).await.unwrap();
    let found = store.key(&key.hash).await.unwrap().unwrap();
    assert_eq!(found.deleted_at, Some(used_at), "a revoked key is found, and says so");
}

async fn people_are_found_while_they_are_there(
    store: &dyn AccessStore,
    people: &dyn Store<Person>,
    place: &Place,
) {
    let person = Person::specimen(900, place);
    people.write(&[Change::Insert(person.clone())], &receipt(9_110, None)).await.unwrap();
    let found = |organization: OrganizationId| store.person(organization, person.id);
    assert_eq!(found(place.organization).await.unwrap(), Some(person.clone()));
    assert_eq!(found(place.stranger).await.unwrap(), None);
    let email: Email = person.email.as_str().to_uppercase().parse().unwrap();
    let found_by_email = |organization| store.person_by_email(organization, &email);
    assert_eq!(found_by_email(place.organization).await.unwrap(), Some(person.clone()));
    assert_eq!(found_by_email(place.stranger).await.unwrap(), None);

    let gone = Person { deleted_at: Some(person.created_at), ..person.clone() };
    people.write(&[Change::Update(gone)], &receipt(9_111, None)).await.unwrap();
    assert_eq!(found(place.organization).await.unwrap(), None);
    assert_eq!(found_by_email(place.organization).await.unwrap(), None);
}

async fn workspaces_are_listed_oldest_first(
    store: &dyn AccessStore,
    workspaces: &dyn Store<Workspace>,
    place: &Place,
) {
    let mut gone = Workspace::specimen(903, place);
    gone.deleted_at = Some(gone.created_at);
    let changes: Vec<_> = [902, 900, 901]
        .map(|number| Workspace::specimen(number, place))
        .into_iter()
        .chain([gone.clone()])
        .map(Change::Insert)
        .collect();
    workspaces.write(&changes, &receipt(9_120, None)).await.unwrap();
    let listed = store.workspaces(place.organization).await.unwrap();
    assert!(listed.is_sorted_by_key(|it| (it.created_at, it.id)), "{listed:?}");
    assert!(listed.contains(&Workspace::specimen(901, place)));
    assert!(!listed.contains(&gone));
}
