//! The contracts of [`GrantStore`], [`OauthClientStore`] and [`AuthorizationStore`].
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use futures_util::future::join_all;
use linkspan_domain::{
    Event, Fence, Issuer, KeyHash, OrganizationId, Secret, Status, Visible, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{
        AnsweredAuthorization, AuthorizationStore, Change, GrantStore, InPlaceOf,
        KeptAuthorization, KeptGrant, NewGrant, OauthClientStore, PutOff, Sealed, Store,
        StoreError, TakenAuthorization,
    },
};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::fixtures::{EPOCH, receipt};

/// Checks a [`GrantStore`] against its contract. `activations` keeps two live ones with it, `all`.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn grant_store(
    store: &dyn GrantStore,
    activations: &dyn Store<WorkspaceConnector>,
    all: &[WorkspaceConnector; 2],
) {
    let [first, second] = all;
    let bench = Bench { store, activations };
    bench.every_field_survives(first).await;
    bench.one_holds_the_lease(first.id).await;
    bench.a_stale_holder_changes_nothing(first).await;
    bench.a_lost_grant_is_gone_with_its_status(first.id).await;
    bench.fences_grow_beyond_removed_grants(first.id).await;
    bench.what_is_due_comes_in_order(first.id, second).await;
}

struct Bench<'a> {
    store: &'a dyn GrantStore,
    activations: &'a dyn Store<WorkspaceConnector>,
}

fn at(minutes: i64) -> OffsetDateTime {
    EPOCH + Duration::minutes(minutes)
}

fn sealed(text: &str) -> Sealed {
    Sealed::from_bytes(text.as_bytes().to_vec())
}

fn issuer() -> Issuer {
    Issuer::new("https://issuer.example/Ü".to_owned())
}

fn new(of: WorkspaceConnectorId, text: &str, minute: i64) -> NewGrant {
    NewGrant {
        workspace_connector_id: of,
        issuer: issuer(),
        grant: sealed(text),
        expires_at: Some(at(minute + 60)),
        due_at: Some(at(minute + 55)),
        refreshed_at: at(minute),
    }
}

impl Bench<'_> {
    async fn activation(&self, like: &WorkspaceConnector) -> WorkspaceConnector {
        let visible = Visible::only(like.workspace_id);
        self.activations.find(&visible, like.id).await.unwrap().unwrap()
    }

    async fn by_id(&self, id: WorkspaceConnectorId) -> WorkspaceConnector {
        let grant = self.store.grant(id).await.unwrap().unwrap();
        let visible = Visible::only(grant.workspace_id);
        self.activations.find(&visible, id).await.unwrap().unwrap()
    }

    async fn grant(&self, of: WorkspaceConnectorId) -> KeptGrant {
        self.store.grant(of).await.unwrap().unwrap()
    }

    async fn lease(&self, of: WorkspaceConnectorId, now: i64) -> Option<KeptGrant> {
        self.store.lease(of, Uuid::from_u128(7), at(now), at(now + 2)).await.unwrap()
    }

    async fn connect(&self, like: &WorkspaceConnector, grant: &NewGrant, number: u32) {
        let mut activation = self.activation(like).await;
        activation.status = Status::Enabled;
        activation.installed_capabilities = Some(json!({ "granted_scopes": ["read"] }));
        self.store.connect(grant, &activation, &receipt(number, None)).await.unwrap();
    }

    /// Deletes the activation or, without an instant, brings it back.
    async fn delete(
        &self,
        like: &WorkspaceConnector,
        deleted_at: Option<OffsetDateTime>,
        number: u32,
    ) {
        let changed = WorkspaceConnector { deleted_at, ..self.activation(like).await };
        let change = [Change::Update(changed)];
        self.activations.write(&change, &receipt(number, None)).await.unwrap();
    }

    async fn every_field_survives(&self, like: &WorkspaceConnector) {
        let of = like.id;
        assert_eq!(self.store.grant(of).await.unwrap(), None);
        assert_eq!(self.lease(of, 0).await, None, "there is nothing to lease");
        let stale = WorkspaceConnector { revision: like.revision.next(), ..like.clone() };
        let refused = self.store.connect(&new(of, "0", 0), &stale, &receipt(5_001, None)).await;
        assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
        assert_eq!(self.store.grant(of).await.unwrap(), None, "both or nothing");

        self.connect(like, &new(of, "1", 0), 5_002).await;
        assert_eq!(self.activation(like).await.status, Status::Enabled);
        let kept = self.grant(of).await;
        assert_eq!((kept.workspace_connector_id, kept.workspace_id), (of, like.workspace_id));
        assert_eq!((&kept.issuer, &kept.grant), (&issuer(), &sealed("1")));
        assert_eq!((&kept.previous, &kept.reply), (&None, &None));
        assert_eq!((kept.expires_at, kept.refreshed_at), (Some(at(60)), at(0)));
        assert_eq!((kept.leased_until, kept.again_at, kept.failures), (None, None, 0));

        let held = self.lease(of, 1).await.unwrap();
        assert_eq!((held.fence, held.leased_until), (Fence(kept.fence.0 + 1), Some(at(3))));
        self.store.journal(of, held.fence, &sealed("said")).await.unwrap();
        assert_eq!(self.grant(of).await.reply, Some(sealed("said")));
        self.store.settle(held.fence, &new(of, "2", 2)).await.unwrap();
        let settled = self.grant(of).await;
        assert_eq!((&settled.grant, &settled.previous), (&sealed("2"), &Some(sealed("1"))));
        assert_eq!((&settled.reply, settled.leased_until), (&None, None));
        assert_eq!((settled.expires_at, settled.refreshed_at), (Some(at(62)), at(2)));

        for (put_off, failures, refusals) in
            [(PutOff::Refused(at(4)), 1, 1), (PutOff::Away(at(4)), 2, 1)]
        {
            let held = self.lease(of, 3).await.unwrap();
            self.store.journal(of, held.fence, &sealed("busy")).await.unwrap();
            self.store.release(of, held.fence, Some(put_off)).await.unwrap();
            let put_off = self.grant(of).await;
            assert_eq!(put_off.again_at, Some(at(4)));
            assert_eq!((put_off.failures, put_off.refusals), (failures, refusals));
            assert_eq!((&put_off.reply, put_off.leased_until), (&None, None));
            assert_eq!(put_off.grant, sealed("2"));
        }
        let held = self.lease(of, 4).await.unwrap();
        assert_eq!((held.failures, held.refusals), (2, 1));
        self.store.release(of, held.fence, None).await.unwrap();
        assert_eq!(self.grant(of).await.failures, 2, "giving it back is no failure");
        let held = self.lease(of, 4).await.unwrap();
        self.store.journal(of, held.fence, &sealed("unread")).await.unwrap();
        self.store.shelve(of, held.fence, at(5)).await.unwrap();
        let shelved = self.grant(of).await;
        assert_eq!((&shelved.reply, shelved.leased_until), (&Some(sealed("unread")), None));
        assert_eq!((shelved.again_at, shelved.failures), (Some(at(5)), 2));
        let held = self.lease(of, 5).await.unwrap();
        assert_eq!(held.reply, Some(sealed("unread")));
        self.store.settle(held.fence, &new(of, "3", 4)).await.unwrap();
        let settled = self.grant(of).await;
        assert_eq!((settled.again_at, settled.failures, settled.refusals), (None, 0, 0));
        assert_eq!(settled.previous, Some(sealed("2")));
    }

    async fn one_holds_the_lease(&self, of: WorkspaceConnectorId) {
        let takers = (1..=20).map(|it| self.store.lease(of, Uuid::from_u128(it), at(10), at(12)));
        let taken: Vec<_> = join_all(takers).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(taken.iter().flatten().count(), 1, "one of twenty");
        let first = taken.into_iter().flatten().next().unwrap();
        assert_eq!(self.lease(of, 11).await, None);
        let second = self.lease(of, 12).await.unwrap();
        assert_eq!(second.fence.0, first.fence.0 + 1, "a lease that ran out can be taken");
        self.store.release(of, second.fence, None).await.unwrap();
        let third = self.lease(of, 12).await.unwrap();
        self.store.release(of, third.fence, None).await.unwrap();
    }

    async fn a_stale_holder_changes_nothing(&self, like: &WorkspaceConnector) {
        let of = like.id;
        let slow = self.lease(of, 20).await.unwrap();
        let quick = self.lease(of, 22).await.unwrap();
        self.stale(of, slow.fence).await;
        self.store.journal(of, quick.fence, &sealed("quick")).await.unwrap();
        self.store.settle(quick.fence, &new(of, "quick", 22)).await.unwrap();
        self.stale(of, slow.fence).await;
        self.stale(of, quick.fence).await;
        let held = self.lease(of, 23).await.unwrap();
        self.connect(like, &new(of, "anew", 23), 5_003).await;
        self.stale(of, held.fence).await;
        let anew = self.grant(of).await;
        assert_eq!(
            (&anew.grant, &anew.previous, anew.leased_until),
            (&sealed("anew"), &None, None)
        );
    }

    /// Nothing can be done under `fence`.
    async fn stale(&self, of: WorkspaceConnectorId, fence: Fence) {
        let before = self.grant(of).await;
        let activation = self.by_id(of).await;
        for refused in [
            self.store.journal(of, fence, &sealed("stale")).await,
            self.store.settle(fence, &new(of, "stale", 22)).await,
            self.store.release(of, fence, Some(PutOff::Away(at(999)))).await,
            self.store.shelve(of, fence, at(999)).await,
            self.store.lose(fence, &activation, &receipt(5_010, None)).await,
        ] {
            assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
        }
        assert_eq!(self.grant(of).await, before);
    }

    async fn a_lost_grant_is_gone_with_its_status(&self, of: WorkspaceConnectorId) {
        let held = self.lease(of, 30).await.unwrap();
        let mut activation = self.by_id(of).await;
        activation.lose_grant();
        let stale =
            WorkspaceConnector { revision: activation.revision.next(), ..activation.clone() };
        let refused = self.store.lose(held.fence, &stale, &receipt(5_020, None)).await;
        assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
        assert!(self.store.grant(of).await.unwrap().is_some());
        self.store.lose(held.fence, &activation, &receipt(5_021, None)).await.unwrap();
        assert_eq!(self.store.grant(of).await.unwrap(), None);
        let lost = self.activation(&activation).await;
        assert_eq!((lost.status, lost.installed_capabilities), (Status::NeedReconnect, None));
        let again = self.store.lose(held.fence, &activation, &receipt(5_022, None)).await;
        assert!(matches!(again, Err(StoreError::Stale)), "{again:?}");

        let mut back = self.activation(&activation).await;
        back.apply(Event::Configured).unwrap();
        back.installed_capabilities = Some(json!({ "granted_scopes": ["write"] }));
        self.store.connect(&new(of, "back", 31), &back, &receipt(5_023, None)).await.unwrap();
    }

    async fn fences_grow_beyond_removed_grants(&self, of: WorkspaceConnectorId) {
        let activation = self.by_id(of).await;
        let held = self.lease(of, 40).await.unwrap();
        self.delete(&activation, Some(at(40)), 5_031).await;
        let deleted = self.activation(&activation).await;
        assert!(deleted.installed_capabilities.is_some(), "it may be restored with its grant");
        self.store.set_aside(of).await.unwrap();
        let unable = self.activation(&activation).await;
        assert_eq!(unable.installed_capabilities, None, "what a grant could do goes with it");
        assert_ne!(unable.revision, deleted.revision);
        assert_eq!(self.store.grant(of).await.unwrap(), None);
        self.delete(&activation, None, 5_032).await;
        self.connect(&activation, &new(of, "next", 41), 5_030).await;
        let next = self.lease(of, 41).await.unwrap();
        assert!(next.fence > held.fence, "{next:?}");
        self.stale(of, held.fence).await;
        self.store.release(of, next.fence, None).await.unwrap();
    }

    async fn what_is_due_comes_in_order(
        &self,
        first: WorkspaceConnectorId,
        second: &WorkspaceConnector,
    ) {
        let due = async |now: i64, limit: u64| self.store.due(at(now), limit).await.unwrap();
        let earlier = NewGrant { due_at: Some(at(90)), ..new(second.id, "second", 42) };
        self.connect(second, &earlier, 5_040).await;
        assert_eq!(due(89, 9).await, []);
        assert_eq!(due(90, 9).await, [second.id]);
        assert_eq!(due(96, 9).await, [second.id, first], "the most urgent first");
        assert_eq!(due(96, 1).await, [second.id]);

        let held = self.lease(second.id, 96).await.unwrap();
        assert_eq!(due(97, 9).await, [first], "somebody is at it");
        assert_eq!(due(98, 9).await.len(), 2, "whoever was at it is gone");
        self.store.release(second.id, held.fence, Some(PutOff::Refused(at(100)))).await.unwrap();
        assert_eq!(due(99, 9).await, [first], "it is put off");
        assert_eq!(due(100, 9).await.len(), 2);
        let held = self.lease(second.id, 100).await.unwrap();
        self.store.shelve(second.id, held.fence, at(110)).await.unwrap();
        assert_eq!(due(109, 9).await, [first], "it is shelved");
        assert_eq!(due(110, 9).await.len(), 2);

        let never = NewGrant { due_at: None, ..new(first, "never", 43) };
        let like = self.by_id(first).await;
        self.connect(&like, &never, 5_041).await;
        assert_eq!(due(999_999, 9).await, [second.id]);
        self.delete(second, Some(at(100)), 5_042).await;
        assert_eq!(due(999_999, 9).await, []);
        assert_eq!(self.store.abandoned(9).await.unwrap(), [second.id]);
        self.store.set_aside(second.id).await.unwrap();
        assert_eq!(self.store.abandoned(9).await.unwrap(), []);
    }
}

/// Checks an [`OauthClientStore`] against its contract.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn oauth_client_store(
    store: &dyn OauthClientStore,
    [first, second]: [WorkspaceConnectorId; 2],
) {
    let other = Issuer::new("https://issuer.example/ü".to_owned());
    let find = async |of, issuer: &Issuer| store.client(of, issuer).await.unwrap();
    let keep = async |of, issuer: &Issuer, text: &str, instead_of: Option<&str>, number| {
        let (client, before, receipt) =
            (sealed(text), instead_of.map(sealed), receipt(number, None));
        let in_place_of = before.as_ref().map_or(InPlaceOf::Nobody, InPlaceOf::Itself);
        store.keep_client(of, issuer, &client, in_place_of, &receipt).await
    };
    assert_eq!(find(first, &issuer()).await, None);
    keep(first, &issuer(), "1", None, 5_400).await.unwrap();
    keep(first, &other, "2", None, 5_401).await.unwrap();
    for overtaken in [
        keep(first, &issuer(), "stale", None, 5_402).await,
        keep(first, &issuer(), "stale", Some("0"), 5_402).await,
        keep(second, &issuer(), "stale", Some("1"), 5_402).await,
    ] {
        assert!(matches!(overtaken, Err(StoreError::Stale)), "{overtaken:?}");
    }
    assert_eq!(find(first, &issuer()).await, Some(sealed("1")));
    keep(first, &issuer(), "4", Some("1"), 5_402).await.unwrap();
    assert_eq!(find(first, &issuer()).await, Some(sealed("4")));
    assert_eq!(find(first, &other).await, Some(sealed("2")), "each issuer has its own");
    assert_eq!(find(second, &issuer()).await, None, "each activation has its own");

    let texts: Vec<_> = (0..8).map(|it| format!("5{it}")).collect();
    let all = texts.iter().zip(5_410..);
    let done = join_all(all.map(async |(text, number)| {
        let kept = keep(second, &issuer(), text, None, number).await;
        kept.ok().map(|()| sealed(text))
    }));
    let kept: Vec<_> = done.await.into_iter().flatten().collect();
    assert_eq!(kept.len(), 1, "of several who register at once, the first is kept");
    assert_eq!(find(second, &issuer()).await.as_ref(), kept.first());
}

/// Checks that a grant which is kept in `grants` settles what exchanges for `of` brought, which is kept and has no grant yet.
///
/// # Panics
///
/// When the stores break their contracts.
pub async fn answers_are_settled(
    store: &dyn AuthorizationStore,
    grants: &dyn GrantStore,
    of: &WorkspaceConnector,
    organization_id: OrganizationId,
) {
    let state = KeyHash::of(&Secret::new("settled".to_owned()));
    let begun = KeptAuthorization {
        id: Uuid::from_u128(9),
        state: state.clone(),
        workspace_connector_id: of.id,
        workspace_id: of.workspace_id,
        organization_id,
        content: sealed("content"),
        created_at: at(0),
        expires_at: at(10),
    };
    store.begin(&begun, &receipt(5_200, None)).await.unwrap();
    store.take(&state, at(1)).await.unwrap();
    store.answered(begun.id, &sealed("brought")).await.unwrap();
    let overtaken = WorkspaceConnector { revision: of.revision.next(), ..of.clone() };
    let refused = grants.connect(&new(of.id, "1", 1), &overtaken, &receipt(5_201, None)).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    assert_eq!(store.unsettled(at(1), 10).await.unwrap().len(), 1, "both or nothing");
    grants.connect(&new(of.id, "1", 1), of, &receipt(5_202, None)).await.unwrap();
    assert_eq!(store.unsettled(at(1), 10).await.unwrap(), []);
}

/// Checks an [`AuthorizationStore`] against its contract, for the activation `of`.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn authorization_store(
    store: &dyn AuthorizationStore,
    of: &WorkspaceConnector,
    organization_id: OrganizationId,
) {
    let hash = |number: u128| KeyHash::of(&Secret::new(format!("state {number}")));
    let authorization = |number: u128| KeptAuthorization {
        id: Uuid::from_u128(number),
        state: hash(number),
        workspace_connector_id: of.id,
        workspace_id: of.workspace_id,
        organization_id,
        content: sealed(&format!("content {number}")),
        created_at: at(0),
        expires_at: at(10),
    };
    let take = async |number, minute| store.take(&hash(number), at(minute)).await.unwrap();
    let look = async |number, minute| store.look(&hash(number), at(minute)).await.unwrap();
    for number in 1..=3 {
        let kept = receipt(5_100 + u32::try_from(number).unwrap(), None);
        store.begin(&authorization(number), &kept).await.unwrap();
    }
    assert_eq!(take(9, 1).await, TakenAuthorization::Unknown);
    assert_eq!(look(9, 1).await, TakenAuthorization::Unknown);
    for _ in 0..2 {
        assert_eq!(look(1, 9).await, TakenAuthorization::Taken(authorization(1)));
    }

    let takers = join_all((0..20).map(|_| take(1, 9))).await;
    let taken: Vec<_> = takers.iter().filter(|it| **it != TakenAuthorization::Used).collect();
    assert_eq!(taken, [&TakenAuthorization::Taken(authorization(1))], "one of twenty");
    assert_eq!(take(1, 11).await, TakenAuthorization::Used);
    assert_eq!(look(1, 9).await, TakenAuthorization::Used);
    assert_eq!(look(2, 10).await, TakenAuthorization::Expired);
    assert_eq!(take(2, 10).await, TakenAuthorization::Expired);
    assert_eq!(look(2, 10).await, TakenAuthorization::Expired, "without its content, too");

    let early = store.answered(Uuid::from_u128(3), &sealed("too early")).await;
    assert!(matches!(early, Err(StoreError::Stale)), "nobody took it: {early:?}");
    assert!(!store.is_unsettled(Uuid::from_u128(1)).await.unwrap());
    store.answered(Uuid::from_u128(1), &sealed("brought")).await.unwrap();
    assert!(store.is_unsettled(Uuid::from_u128(1)).await.unwrap());
    assert_eq!(store.unsettled(at(8), 10).await.unwrap(), []);
    let answer = AnsweredAuthorization {
        id: Uuid::from_u128(1),
        workspace_connector_id: of.id,
        workspace_id: of.workspace_id,
        organization_id,
        grant: sealed("brought"),
        taken_at: at(9),
    };
    assert_eq!(store.sweep(at(15), Duration::minutes(10)).await.unwrap(), 0);
    assert_eq!(store.unsettled(at(9), 10).await.unwrap(), [answer], "it outlives its end");
    let swept = store.sweep(at(20), Duration::minutes(10)).await.unwrap();
    assert_eq!(swept, 2, "and is not forgotten without a word");
    assert_eq!(store.unsettled(at(9), 0).await.unwrap(), []);
    assert_eq!(take(1, 9).await, TakenAuthorization::Used);
    assert_eq!(store.unsettled(at(9), 10).await.unwrap().len(), 1, "coming back takes nothing");
    store.give_up(Uuid::from_u128(1)).await.unwrap();
    assert_eq!(store.unsettled(at(9), 10).await.unwrap(), []);
    assert!(!store.is_unsettled(Uuid::from_u128(1)).await.unwrap());

    assert_eq!(store.sweep(at(19), Duration::minutes(10)).await.unwrap(), 0);
    assert_eq!(store.sweep(at(20), Duration::minutes(10)).await.unwrap(), 1);
    assert_eq!(take(1, 9).await, TakenAuthorization::Unknown);
}
