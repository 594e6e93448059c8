//! What activations that are gone leave behind with providers.
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use futures_util::future::join_all;
use linkspan_domain::{
    Issuer, KeyHash, OrganizationId, Secret, Visible, WorkspaceConnector,
    ports::{
        AuthorizationStore, Change, GrantStore, InPlaceOf, KeptAuthorization, Left, Leftovers,
        NewGrant, OauthClientStore, Owner, Sealed, Store, StoreError,
    },
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::fixtures::{EPOCH, receipt};

/// The stores that keep what activations have with providers.
#[derive(Clone, Copy)]
pub struct ProviderStores<'a> {
    /// Keeps grants.
    pub grants: &'a dyn GrantStore,
    /// Keeps clients.
    pub clients: &'a dyn OauthClientStore,
    /// Keeps authorizations.
    pub authorizations: &'a dyn AuthorizationStore,
}

/// What is left of one activation.
#[derive(Debug, PartialEq)]
pub struct LeftBehind {
    /// Whose it was.
    pub owner: Owner,
    /// What it is, the clients by issuer.
    pub things: Vec<Left>,
}

const LEASE: Duration = Duration::minutes(10);

fn at(minutes: i64) -> OffsetDateTime {
    EPOCH + Duration::minutes(minutes)
}

fn sealed(text: &str) -> Sealed {
    Sealed::from_bytes(text.as_bytes().to_vec())
}

fn issuer(name: &str) -> Issuer {
    Issuer::new(format!("https://{name}.example"))
}

fn owner(activation: &WorkspaceConnector, organization_id: OrganizationId) -> Owner {
    Owner {
        workspace_connector_id: activation.id,
        workspace_id: activation.workspace_id,
        organization_id,
    }
}

/// Gives `activation`, which is kept and live, a grant that was refreshed and is being refreshed, what an exchange brought, and
/// two clients, with receipts from this number on. Answers what is left of these once it is purged.
///
/// # Panics
///
/// When a store breaks its contract.
pub async fn connected(
    stores: ProviderStores<'_>,
    activation: &WorkspaceConnector,
    organization_id: OrganizationId,
    number: u32,
) -> LeftBehind {
    let mut left = granted(stores, activation, organization_id, number).await;
    for (name, number) in ["a", "b"].into_iter().zip(number + 2..) {
        let (issuer, client, receipt) = (issuer(name), sealed(name), receipt(number, None));
        let kept = stores.clients.keep_client(
            activation.id,
            &issuer,
            &client,
            InPlaceOf::Nobody,
            &receipt,
        );
        kept.await.unwrap();
        left.things.push(Left::Client { issuer, client });
    }
    left
}

/// As [`connected`], without clients.
async fn granted(
    ProviderStores { grants, authorizations, .. }: ProviderStores<'_>,
    activation: &WorkspaceConnector,
    organization_id: OrganizationId,
    number: u32,
) -> LeftBehind {
    let of = activation.id;
    let grant = |text| NewGrant {
        workspace_connector_id: of,
        issuer: issuer("a"),
        grant: sealed(text),
        expires_at: None,
        due_at: None,
        refreshed_at: EPOCH,
    };
    let lease = async || {
        let leased = grants.lease(of, Uuid::from_u128(7), at(0), at(2)).await;
        leased.unwrap().unwrap().fence
    };
    grants.connect(&grant("before"), activation, &receipt(number, None)).await.unwrap();
    grants.settle(lease().await, &grant("grant")).await.unwrap();
    grants.journal(of, lease().await, &sealed("said")).await.unwrap();
    let authorization_id = Uuid::from_u128(number.into());
    answered(authorizations, authorization_id, activation, organization_id, number + 1).await;
    let answer = Left::Answer { authorization_id, grant: sealed("brought") };
    let grant = Left::Grant {
        issuer: issuer("a"),
        held: sealed("grant"),
        previous: Some(sealed("before")),
        reply: Some(sealed("said")),
    };
    LeftBehind { owner: owner(activation, organization_id), things: vec![answer, grant] }
}

/// An authorization whose exchange brought something.
async fn answered(
    store: &dyn AuthorizationStore,
    id: Uuid,
    of: &WorkspaceConnector,
    organization_id: OrganizationId,
    number: u32,
) {
    let state = KeyHash::of(&Secret::new(format!("state of {id}")));
    let begun = KeptAuthorization {
        id,
        state: state.clone(),
        workspace_connector_id: of.id,
        workspace_id: of.workspace_id,
        organization_id,
        content: sealed("content"),
        created_at: at(0),
        expires_at: at(10),
    };
    store.begin(&begun, &receipt(number, None)).await.unwrap();
    store.take(&state, at(1)).await.unwrap();
    store.answered(id, &sealed("brought")).await.unwrap();
}

/// Takes what is left of one activation for a while.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn taken(grants: &dyn GrantStore) -> Option<LeftBehind> {
    take(grants, 0).await.map(|it| it.0)
}

async fn take(grants: &dyn GrantStore, minute: i64) -> Option<(LeftBehind, Leftovers)> {
    let now = at(minute);
    let left = grants.take_left(now, now + LEASE).await.unwrap()?;
    let mut things: Vec<_> = left.things.iter().map(|it| it.left.clone()).collect();
    things.sort_by_key(|it| match it {
        Left::Answer { .. } => (0, None),
        Left::Grant { .. } => (1, None),
        Left::Client { issuer, .. } => (2, Some(issuer.clone())),
    });
    let same =
        |(one, other): (&Left, &Left)| std::mem::discriminant(one) == std::mem::discriminant(other);
    let told = left.things.iter().map(|it| &it.left);
    assert!(told.zip(&things).all(same), "the clients last: {left:?}");
    Some((LeftBehind { owner: left.owner, things }, left))
}

/// How often each thing was taken.
fn tries(left: &Leftovers) -> Vec<u32> {
    left.things.iter().map(|it| it.tries).collect()
}

/// Forgets all that was taken.
async fn told(grants: &dyn GrantStore, left: &Leftovers, number: u32) {
    for (thing, number) in left.things.iter().zip(number..) {
        grants.told(thing.id, Some(&receipt(number, None))).await.unwrap();
    }
}

/// Checks that what an activation has with providers is left behind when it goes. `activations` keeps `like`, live and with
/// nothing to its name.
///
/// # Panics
///
/// When a store breaks its contract.
pub async fn leftovers(
    stores: ProviderStores<'_>,
    activations: &dyn Store<WorkspaceConnector>,
    like: &WorkspaceConnector,
    organization_id: OrganizationId,
) {
    let bench = Bench { stores, activations, like, organization_id };
    bench.a_deleted_activation_leaves_its_grant().await;
    bench.a_purged_activation_leaves_all_it_has().await;
    bench.what_was_given_to_nobody_is_left().await;
    bench.nobody_takes_a_part_of_what_one_activation_left().await;
}

struct Bench<'a> {
    stores: ProviderStores<'a>,
    activations: &'a dyn Store<WorkspaceConnector>,
    like: &'a WorkspaceConnector,
    organization_id: OrganizationId,
}

impl Bench<'_> {
    async fn activation(&self) -> WorkspaceConnector {
        let visible = Visible::only(self.like.workspace_id);
        self.activations.find(&visible, self.like.id).await.unwrap().unwrap()
    }

    /// Deletes the activation or, without an instant, brings it back.
    async fn delete(&self, deleted_at: Option<OffsetDateTime>, number: u32) {
        let changed = WorkspaceConnector { deleted_at, ..self.activation().await };
        let change = [Change::Update(changed)];
        self.activations.write(&change, &receipt(number, None)).await.unwrap();
    }

    async fn a_deleted_activation_leaves_its_grant(&self) {
        let (ProviderStores { grants, authorizations, .. }, of) = (self.stores, self.like.id);
        assert_eq!(taken(grants).await, None);
        let expected = granted(self.stores, self.like, self.organization_id, 5_300).await;
        grants.set_aside(of).await.unwrap();
        assert!(grants.grant(of).await.unwrap().is_some(), "it is not deleted");
        self.delete(Some(EPOCH), 5_310).await;
        assert_eq!(taken(grants).await, None, "it can be restored");
        assert_eq!(authorizations.unsettled(at(1), 9).await.unwrap(), [], "nobody goes on from it");
        assert_eq!(grants.abandoned(9).await.unwrap(), [of]);
        join_all((0..4).map(|_| grants.set_aside(of))).await;
        assert_eq!(grants.abandoned(9).await.unwrap(), []);
        assert_eq!(grants.grant(of).await.unwrap(), None);
        let (left, taken) = take(grants, 0).await.unwrap();
        assert_eq!(left, expected, "once");
        told(grants, &taken, 5_311).await;

        let late = Uuid::from_u128(5_315);
        answered(authorizations, late, self.like, self.organization_id, 5_315).await;
        assert_eq!(grants.abandoned(9).await.unwrap(), [of], "without a grant, too");
        grants.set_aside(of).await.unwrap();
        let (left, taken) = take(grants, 0).await.unwrap();
        let answer = Left::Answer { authorization_id: late, grant: sealed("brought") };
        assert_eq!(left.things, [answer]);
        told(grants, &taken, 5_316).await;
        self.delete(None, 5_317).await;
    }

    async fn a_purged_activation_leaves_all_it_has(&self) {
        let grants = self.stores.grants;
        let like = self.activation().await;
        let expected = connected(self.stores, &like, self.organization_id, 5_320).await;
        self.delete(Some(EPOCH), 5_330).await;
        assert_eq!(taken(grants).await, None, "it can be restored");
        let purge = [Change::Purge(self.activation().await)];
        self.activations.write(&purge, &receipt(5_331, None)).await.unwrap();
        assert_eq!(grants.grant(like.id).await.unwrap(), None);
        let takers = join_all((0..8).map(|_| take(grants, 0))).await;
        let mut takers = takers.into_iter().flatten();
        let (left, first) = takers.next().unwrap();
        assert_eq!((&left, tries(&first)), (&expected, vec![1; 4]));
        assert_eq!(takers.next(), None, "one of eight");
        assert_eq!(take(grants, 9).await, None, "somebody is at it");

        let (left, second) = take(grants, 10).await.unwrap();
        assert_eq!((left, tries(&second)), (expected, vec![2; 4]), "whoever was at it is gone");
        let answer = second.things.first().unwrap();
        grants.told(answer.id, None).await.unwrap();
        let again = grants.told(answer.id, Some(&receipt(5_332, None))).await;
        assert!(matches!(again, Err(StoreError::Stale)), "{again:?}");
        let (_, third) = take(grants, 20).await.unwrap();
        let all = |left: &Leftovers| left.things.iter().map(|it| it.id).collect::<Vec<_>>();
        assert_eq!(all(&third), all(&second)[1..], "what was told of is forgotten");
        told(grants, &third, 5_332).await;
        assert_eq!(take(grants, 999).await, None);
    }

    async fn what_was_given_to_nobody_is_left(&self) {
        let grants = self.stores.grants;
        let owner = owner(self.like, self.organization_id);
        grants.leave(&owner, &issuer("c"), &sealed("late")).await.unwrap();
        let (left, taken) = take(grants, 0).await.unwrap();
        let (issuer, held) = (issuer("c"), sealed("late"));
        let late = Left::Grant { issuer, held, previous: None, reply: None };
        assert_eq!(left, LeftBehind { owner, things: vec![late] });
        told(grants, &taken, 5_340).await;
    }

    /// A client is needed as long as somebody is at its grant.
    async fn nobody_takes_a_part_of_what_one_activation_left(&self) {
        let grants = self.stores.grants;
        let owner = owner(self.like, self.organization_id);
        grants.leave(&owner, &issuer("c"), &sealed("first")).await.unwrap();
        take(grants, 0).await.unwrap();
        grants.leave(&owner, &issuer("c"), &sealed("second")).await.unwrap();
        assert_eq!(take(grants, 9).await, None, "somebody has the first");
        let (left, taken) = take(grants, 10).await.unwrap();
        assert_eq!(left.things.len(), 2);
        told(grants, &taken, 5_341).await;
    }
}

/// Checks that what an exchange brought is left behind where it is given up. `of` is kept and live, and nothing is left yet.
///
/// # Panics
///
/// When the stores break their contracts.
pub async fn answers_are_given_up(
    ProviderStores { grants, authorizations, .. }: ProviderStores<'_>,
    of: &WorkspaceConnector,
    organization_id: OrganizationId,
) {
    let id = Uuid::from_u128(5_350);
    answered(authorizations, id, of, organization_id, 5_350).await;
    join_all((0..4).map(|_| authorizations.give_up(id))).await;
    assert!(!authorizations.is_unsettled(id).await.unwrap());
    let (left, taken) = take(grants, 0).await.unwrap();
    let answer = Left::Answer { authorization_id: id, grant: sealed("brought") };
    assert_eq!(left.things, [answer], "once");
    grants.told(taken.things[0].id, None).await.unwrap();
}

/// Checks that a client that another takes the place of is left behind. `activation` is kept, and nothing is left yet.
///
/// # Panics
///
/// When the stores break their contracts.
pub async fn replaced_clients_are_left(
    stores: ProviderStores<'_>,
    activation: &WorkspaceConnector,
    organization_id: OrganizationId,
) {
    let ProviderStores { grants, clients, .. } = stores;
    let (of, owner) = (activation.id, owner(activation, organization_id));
    let keep = async |text, in_place_of: InPlaceOf<'_>, number| {
        let receipt = receipt(number, None);
        clients.keep_client(of, &issuer("d"), &sealed(text), in_place_of, &receipt).await
    };
    keep("1", InPlaceOf::Nobody, 5_290).await.unwrap();
    keep("2", InPlaceOf::Itself(&sealed("1")), 5_291).await.unwrap();
    let stale = keep("3", InPlaceOf::Another(&sealed("1"), at(10)), 5_292).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    keep("3", InPlaceOf::Another(&sealed("2"), at(10)), 5_292).await.unwrap();
    assert_eq!(take(grants, 9).await, None, "somebody may be at the provider with it");
    grants.leave(&owner, &issuer("d"), &sealed("grant")).await.unwrap();
    let (_, grant) = take(grants, 9).await.unwrap();
    assert_eq!(grant.things.len(), 1, "others do not wait for it");
    assert_eq!(take(grants, 10).await, None, "somebody is at the grant");
    told(grants, &grant, 5_293).await;
    let (left, taken) = take(grants, 10).await.unwrap();
    let client = Left::Client { issuer: issuer("d"), client: sealed("2") };
    assert_eq!(left, LeftBehind { owner, things: vec![client] });
    let id = taken.things[0].id;
    grants.put_back(id, at(15)).await.unwrap();
    assert_eq!(take(grants, 14).await, None, "it was put back for later");
    grants.leave(&owner, &issuer("d"), &sealed("grant")).await.unwrap();
    let (_, grant) = take(grants, 14).await.unwrap();
    assert_eq!(grant.things.len(), 1, "nobody has it");
    told(grants, &grant, 5_294).await;
    let (_, taken) = take(grants, 15).await.unwrap();
    assert_eq!((taken.things[0].id, tries(&taken)), (id, vec![1]));
    told(grants, &taken, 5_295).await;
    let gone = grants.put_back(id, at(16)).await;
    assert!(matches!(gone, Err(StoreError::Stale)), "{gone:?}");
    assert_eq!(clients.client(of, &issuer("d")).await.unwrap(), Some(sealed("3")));
}
