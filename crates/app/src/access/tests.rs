//! Tests of who comes in.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use linkspan_domain::{
    Actor, Email, Permission, Person, PersonId,
    ports::{
        Change, MockAccessStore, MockStore, MockTokenVerifier, MockWorld, TokenClaims, TokenSubject,
    },
};
use time::{Duration, OffsetDateTime};

use super::{sessions::Session, *};
use crate::fixtures::{NOW, api_key, code, id, keep, key, organization, person, workspace, world};

/// 1 above 2 above 3; 4 on its own.
fn tree() -> Vec<Workspace> {
    vec![workspace(1, None), workspace(2, Some(1)), workspace(3, Some(2)), workspace(4, None)]
}

fn store(kept: Vec<ApiKey>, people: Vec<Person>) -> MockAccessStore {
    let mut store = MockAccessStore::new();
    store.expect_key().returning(move |hash| Ok(kept.iter().find(|it| it.hash == *hash).cloned()));
    store
        .expect_person()
        .returning(move |_, id: PersonId| Ok(people.iter().find(|it| it.id == id).cloned()));
    store.expect_workspaces().returning(|_| Ok(tree()));
    store.expect_touch().returning(|_| Ok(()));
    store
}

fn access(store: MockAccessStore) -> Access {
    let tokens = Arc::new(MockTokenVerifier::new());
    Access::new(Arc::new(store), keep(Vec::new()).store, tokens, Arc::default(), world())
}

async fn enter(kept: ApiKey, people: Vec<Person>, workspace: Option<&str>) -> Result<Caller, Code> {
    let access = access(store(vec![kept], people));
    access.authenticate(&key("lsk_a"), workspace, None).await.map_err(|it| it.code())
}

fn sees(caller: &Caller) -> Vec<u128> {
    caller.visible.workspaces.iter().map(|it| it.uuid().as_u128()).collect()
}

#[tokio::test]
async fn all_that_does_not_work_is_the_same_to_the_caller() {
    let owned = |it: &mut ApiKey| it.person_id = Some(id(50));
    for (kept, why) in [
        (api_key("lsk_b", |_| {}), "unknown"),
        (api_key("lsk_a", |it| it.expires_at = Some(NOW)), "expired"),
        (api_key("lsk_a", |it| it.deleted_at = Some(NOW)), "revoked"),
        (api_key("lsk_a", owned), "its owner left"),
    ] {
        assert_eq!(enter(kept, Vec::new(), None).await, Err(Code::Unauthenticated), "{why}");
    }
}

#[tokio::test]
async fn a_key_may_do_what_it_and_its_owner_may() {
    use Permission::{ConnectorManage, ConnectorRead, OrgAdmin};

    let owned = |permissions: &[Permission]| {
        let permissions = permissions.iter().copied().collect();
        api_key("lsk_a", |it| {
            it.person_id = Some(id(50));
            it.permissions = permissions;
        })
    };
    let may = async |kept, role| {
        let caller = enter(kept, vec![person(50, role, &[1])], None).await.unwrap();
        assert_eq!(caller.actor, Actor::Person(id(50)));
        caller.permissions.into_iter().collect::<Vec<_>>()
    };
    let all = [ConnectorRead, ConnectorManage, OrgAdmin];
    assert_eq!(may(owned(&all), Role::Admin).await, all);
    assert_eq!(may(owned(&all), Role::Analyst).await, [ConnectorRead]);
    assert_eq!(may(owned(&[ConnectorRead]), Role::Admin).await, [ConnectorRead]);
    assert_eq!(may(owned(&[OrgAdmin]), Role::Designer).await, []);
}

#[tokio::test]
async fn a_key_works_where_it_and_its_owner_work() {
    let owned = |workspaces: &[u128]| {
        let workspaces = workspaces.iter().map(|it| id(*it)).collect();
        api_key("lsk_a", |it| {
            it.person_id = Some(id(50));
            it.workspaces = workspaces;
        })
    };
    let first = async |kept, role, its: &[u128]| {
        let caller = enter(kept, vec![person(50, role, its)], None).await;
        caller.map(|it| it.visible.workspace.uuid().as_u128())
    };
    assert_eq!(first(owned(&[]), Role::Designer, &[2, 4]).await, Ok(2));
    assert_eq!(first(owned(&[4]), Role::Designer, &[2, 4]).await, Ok(4));
    assert_eq!(first(owned(&[3]), Role::Designer, &[4]).await, Err(Code::PermissionDenied));
    assert_eq!(first(owned(&[]), Role::Admin, &[]).await, Ok(1), "an admin works in all");
}

#[tokio::test]
async fn the_header_chooses_by_identifier_or_slug_and_shows_all_below() {
    let limited = || api_key("lsk_a", |it| it.workspaces = [id(2), id(4)].into());
    let seen =
        async |chosen: Option<&str>| enter(limited(), Vec::new(), chosen).await.map(|it| sees(&it));
    assert_eq!(seen(None).await, Ok(vec![2, 3]));
    assert_eq!(seen(Some("w4")).await, Ok(vec![4]));
    assert_eq!(seen(Some(&id::<WorkspaceId>(4).to_string())).await, Ok(vec![4]));
    // Another's, one that is only seen from above, and none at all are the same.
    for absent in ["w1", "w3", "absent", ""] {
        assert_eq!(seen(Some(absent)).await, Err(Code::NotFound), "{absent}");
    }
}

#[tokio::test]
async fn a_key_that_is_limited_to_workspaces_is_no_admins() {
    let limited = api_key("lsk_a", |it| it.workspaces = [id(2)].into());
    let caller = enter(limited, Vec::new(), None).await.unwrap();
    assert!(caller.require(Permission::OrgAdmin).is_err());
    assert_eq!(caller.actor, Actor::ApiKey(id(40)));
}

#[tokio::test]
async fn a_burst_of_calls_asks_the_store_once_until_something_changes() {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut store = MockAccessStore::new();
    let count = Arc::clone(&asked);
    store.expect_key().returning(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Some(api_key("lsk_a", |_| {})))
    });
    store.expect_workspaces().returning(|_| Ok(tree()));
    let sessions = Arc::<Sessions>::default();
    let clock = Arc::new(Mutex::new(NOW));
    let mut world = MockWorld::new();
    let now = Arc::clone(&clock);
    world.expect_now().returning(move || *now.lock().unwrap());
    let keys = keep(Vec::new()).store;
    let tokens = Arc::new(MockTokenVerifier::new());
    let access = Access::new(Arc::new(store), keys, tokens, Arc::clone(&sessions), Arc::new(world));
    let enter = async || {
        access.authenticate(&key("lsk_a"), None, None).await.unwrap();
        asked.load(Ordering::Relaxed)
    };
    assert_eq!((enter().await, enter().await), (1, 1));
    sessions.clear();
    assert_eq!((enter().await, enter().await), (2, 2));
    *clock.lock().unwrap() += Duration::seconds(5);
    assert_eq!(enter().await, 3);
}

#[test]
fn what_was_found_out_before_a_change_is_not_remembered_after_it() {
    let (sessions, hash) = (Sessions::default(), KeyHash::of(&key("lsk_a")));
    let before = sessions.get(&hash, NOW).unwrap_err();
    sessions.clear();
    assert!(!sessions.put(hash.clone(), Arc::new(session(None)), before, NOW));
    assert!(sessions.get(&hash, NOW).is_err());
}

fn session(expires_at: Option<OffsetDateTime>) -> Session {
    Session {
        actor: Actor::System,
        organization: organization(),
        permissions: BTreeSet::new(),
        workspaces: Vec::new(),
        allowed: Vec::new(),
        expires_at,
    }
}

#[test]
fn a_key_that_expires_is_not_remembered_beyond_its_end() {
    let end = NOW + Duration::SECOND;
    let session = session(Some(end));
    let (sessions, hash) = (Sessions::default(), KeyHash::of(&key("lsk_a")));
    let era = sessions.get(&hash, NOW).unwrap_err();
    let session = Arc::new(session);
    assert!(sessions.put(hash.clone(), Arc::clone(&session), era, NOW));
    assert!(!sessions.put(hash.clone(), session, era, NOW), "it is no news");
    assert!(sessions.get(&hash, NOW).is_ok());
    assert!(sessions.get(&hash, end).is_err());
}

#[tokio::test]
async fn use_is_noted_once_a_minute_and_its_failure_refuses_nobody() {
    for (last, times) in
        [(Some(NOW - Duration::seconds(59)), 0), (Some(NOW - Duration::MINUTE), 1), (None, 1)]
    {
        let mut store = MockAccessStore::new();
        store
            .expect_key()
            .returning(move |_| Ok(Some(api_key("lsk_a", |it| it.last_used_at = last))));
        store.expect_workspaces().returning(|_| Ok(tree()));
        store
            .expect_touch()
            .times(times)
            .withf(|it| it.last_used_at == Some(NOW))
            .returning(|_| Err(StoreError::Unavailable("busy".into())));
        let access = access(store);
        for _ in 0..2 {
            assert!(access.authenticate(&key("lsk_a"), None, None).await.is_ok());
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn there_is_one_admin_key_and_a_revoked_one_stays_revoked() {
    let ensure = async |kept: Vec<ApiKey>, text: &str| {
        let mut keys = MockStore::<ApiKey>::new();
        keys.expect_find().returning(move |_, _| Ok(kept.first().cloned()));
        let written = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&written);
        keys.expect_write().returning(move |changes, receipt| {
            assert!(!format!("{changes:?} {receipt:?}").contains("operators-own"));
            log.lock().unwrap().extend(changes.to_vec());
            Ok(())
        });
        let store = Arc::new(MockAccessStore::new());
        let tokens = Arc::new(MockTokenVerifier::new());
        let access = Access::new(store, Arc::new(keys), tokens, Arc::default(), world());
        let outcome = access.ensure_admin_key(&workspace(1, None), &key(text)).await;
        let written = written.lock().unwrap().pop();
        (outcome.map_err(|it| it.code()), written)
    };
    let (outcome, change) = ensure(Vec::new(), "operators-own").await;
    assert_eq!(outcome, Ok(AdminKey::Made));
    let Some(Change::Insert(made)) = change else { panic!() };
    assert_eq!((made.person_id, made.permissions), (None, Role::Admin.permissions()));

    let own = || api_key("operators-own", |_| {});
    assert_eq!(ensure(vec![own()], "operators-own").await, (Ok(AdminKey::Kept), None));
    let revoked = api_key("operators-own", |it| it.deleted_at = Some(NOW));
    assert_eq!(ensure(vec![revoked], "operators-own").await, (Ok(AdminKey::Revoked), None));
    let (outcome, change) = ensure(vec![own()], "operators-own-next").await;
    assert_eq!(outcome, Ok(AdminKey::Replaced));
    let Some(Change::Update(next)) = change else { panic!() };
    assert_eq!(next.hash, KeyHash::of(&key("operators-own-next")));
    for weak in ["short", "with blanks in it", ""] {
        assert_eq!(ensure(Vec::new(), weak).await, (Err(Code::Invalid), None));
    }
}

#[tokio::test]
async fn the_platform_itself_acts_where_it_is_told() {
    let access = access(store(Vec::new(), Vec::new()));
    let caller = access.system(organization(), Some("w2")).await.unwrap();
    assert_eq!(sees(&caller), [2, 3]);
    assert_eq!(code(access.system(organization(), Some("absent")).await), "resource.not_found");
}

const TOKEN: &str = "eyJ0.eyJ0.c2ln";

/// Lets in with a token that says `claims`, or does not hold.
async fn enter_with_token(
    claims: Option<TokenClaims>,
    people: Vec<Person>,
) -> Result<Caller, Code> {
    let mut tokens = MockTokenVerifier::new();
    tokens
        .expect_verify()
        .returning(move |_, _| claims.clone().ok_or(TokenError::Invalid("made up")));
    let by_email = people.clone();
    let mut store = store(Vec::new(), people);
    store.expect_organization().returning(|| Ok(Some(organization())));
    store
        .expect_person_by_email()
        .returning(move |_, email| Ok(by_email.iter().find(|it| it.email == *email).cloned()));
    let keys = keep(Vec::new()).store;
    let access = Access::new(Arc::new(store), keys, Arc::new(tokens), Arc::default(), world());
    access.authenticate(&key(TOKEN), None, None).await.map_err(|it| it.code())
}

fn claims(subject: TokenSubject) -> TokenClaims {
    let expires_at = NOW + Duration::HOUR;
    TokenClaims { subject, expires_at, permissions: None, workspace: None }
}

#[tokio::test]
async fn a_token_stands_for_its_person_and_may_narrow_what_they_may() {
    use Permission::{ConnectorRead, OrgAdmin};

    let of_person = || claims(TokenSubject::Person(id(50)));
    let ada = || vec![person(50, Role::Designer, &[2, 4])];
    let caller = enter_with_token(Some(of_person()), ada()).await.unwrap();
    assert_eq!(caller.actor, Actor::Person(id(50)));
    assert_eq!(
        (caller.permissions.clone(), sees(&caller)),
        (Role::Designer.permissions(), vec![2, 3])
    );

    let more = TokenClaims { permissions: Some([ConnectorRead, OrgAdmin].into()), ..of_person() };
    let caller = enter_with_token(Some(more), ada()).await.unwrap();
    assert_eq!(caller.permissions, [ConnectorRead].into(), "no more than the person");

    let admin = vec![person(50, Role::Admin, &[])];
    let limited = TokenClaims { workspace: Some(id(4)), ..of_person() };
    let caller = enter_with_token(Some(limited.clone()), admin).await.unwrap();
    assert_eq!(sees(&caller), [4]);
    assert!(caller.require(OrgAdmin).is_err(), "what is limited to a workspace is no admin's");
    let elsewhere = vec![person(50, Role::Designer, &[2])];
    assert_eq!(enter_with_token(Some(limited), elsewhere).await, Err(Code::PermissionDenied));
}

#[tokio::test]
async fn a_token_of_a_provider_stands_for_whoever_has_its_mail_address() {
    let email = |text: &str| -> Email { text.parse().unwrap() };
    let of = |text| Some(claims(TokenSubject::Email(email(text))));
    let ada = || vec![person(50, Role::Analyst, &[1])];
    let caller = enter_with_token(of("ada@example.com"), ada()).await.unwrap();
    assert_eq!(caller.actor, Actor::Person(id(50)));
    for (claims, people, why) in [
        (of("eve@example.com"), ada(), "nobody has the address"),
        (Some(claims(TokenSubject::Person(id(51)))), ada(), "the person is not there"),
        (None, ada(), "it does not hold"),
    ] {
        assert_eq!(enter_with_token(claims, people).await, Err(Code::Unauthenticated), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_guesses_keys_is_slowed_down_and_the_audit_trail_says_so_once() {
    let mut store = store(vec![api_key("lsk_a", |_| {})], Vec::new());
    store.expect_organization().returning(|| Ok(Some(organization())));
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut keys = MockStore::<ApiKey>::new();
    let log = Arc::clone(&told);
    keys.expect_write().returning(move |changes, receipt| {
        assert!(changes.is_empty());
        log.lock().unwrap().push(receipt.audit.clone());
        Ok(())
    });
    let mut tokens = MockTokenVerifier::new();
    tokens.expect_verify().returning(|_, _| Err(TokenError::Invalid("made up")));
    let access =
        Access::new(Arc::new(store), Arc::new(keys), Arc::new(tokens), Arc::default(), world());
    let from = Some("192.0.2.7".parse().unwrap());
    let enter = async |text: &str, from| {
        let outcome = access.authenticate(&key(text), None, from).await;
        outcome.map(drop).map_err(|it| it.code())
    };
    for number in 0..20 {
        let guess = format!("lsk_{number}");
        assert_eq!(enter(&guess, from).await, Err(Code::Unauthenticated), "{number}");
    }
    assert_eq!(enter("lsk_20", from).await, Err(Code::TooManyAttempts));
    assert_eq!(enter("lsk_a", from).await, Err(Code::TooManyAttempts), "no guess is told right");
    assert_eq!(enter(TOKEN, from).await, Err(Code::TooManyAttempts));
    assert_eq!(enter("lsk_a", Some("192.0.2.8".parse().unwrap())).await, Ok(()));
    access.sessions.clear();
    assert_eq!(enter("lsk_a", from).await, Ok(()), "it worked before");

    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].action, "authentication.refused");
    assert_eq!(told[0].details["count"], 23);
    assert_eq!(told[0].details["addresses"]["192.0.2.7"], 23);
}
