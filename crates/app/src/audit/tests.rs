//! Tests of following the chain.

use linkspan_domain::{
    Action, ActorType, ResourceType, Role,
    ports::{MockAuditStore, StoreError},
};
use serde_json::Value;

use super::*;
use crate::fixtures::{NOW, call, code, empty, id, organization, world};

fn event(number: u128) -> AuditEvent {
    AuditEvent {
        id: id(number),
        organization_id: organization(),
        workspace_id: None,
        actor_type: ActorType::System,
        actor_id: None,
        action: Action::Created.of(ResourceType::Person),
        resource_type: ResourceType::Person,
        resource_id: Some(id::<AuditEventId>(number).uuid()),
        details: Value::Null,
        ip_address: None,
        trace_id: "t".to_owned(),
        created_at: NOW,
        link: None,
    }
}

/// Two events from before, and a chain of `length` behind them.
#[derive(Clone)]
struct Trail {
    before: Vec<AuditEvent>,
    chain: Vec<AuditEvent>,
    head: Option<ChainLink>,
}

fn trail(length: u128) -> Trail {
    let before = vec![event(1), event(2)];
    let hash = before.iter().fold(ChainHash::genesis(organization()), ChainHash::then);
    let mut head = ChainLink { sequence: 0, hash };
    let chain = (0..length).map(|number| {
        let event = event(100 + number);
        head = head.then(&event);
        AuditEvent { link: Some(head), ..event }
    });
    let chain = chain.collect();
    Trail { before, chain, head: Some(head) }
}

async fn verify(trail: Trail) -> AuditChain {
    let mut store = MockAuditStore::new();
    let Trail { before, chain, head } = trail;
    store.expect_head().returning(move |_| Ok(head));
    store.expect_unchained().returning(move |_, after, limit| {
        let behind = before.iter().filter(|it| after.is_none_or(|at| (it.created_at, it.id) > at));
        Ok(behind.take(limit as usize).cloned().collect())
    });
    store.expect_chained().returning(move |_, after, limit| {
        let at = |it: &&AuditEvent| it.link.is_some_and(|it| it.sequence > after);
        let page: Vec<_> = chain.iter().filter(at).take(limit as usize).cloned().collect();
        if page.iter().any(|it| it.trace_id == "torn") {
            return Err(StoreError::Corrupt("torn".into()));
        }
        Ok(page)
    });
    let audit = Audit::new(empty(), Arc::new(store), world());
    assert_eq!(code(audit.verify(&call(Role::Designer).caller).await), "permission.denied");
    audit.verify(&call(Role::Admin).caller).await.unwrap()
}

/// How the chain is broken once `tamper` was at work, and where.
async fn broken(tamper: impl FnOnce(&mut Trail)) -> Option<(ChainFaultKind, i64)> {
    let mut trail = trail(2_500);
    tamper(&mut trail);
    let found = verify(trail).await;
    let fault = found.fault.map(|it| (it.kind, it.sequence));
    if let Some((kind, at)) = fault {
        let whole = if kind == ChainFaultKind::HeadChanged { at } else { at - 1 };
        assert_eq!(found.events, whole, "it is whole up to there");
    }
    fault
}

#[tokio::test]
async fn a_chain_that_nobody_touched_is_whole() {
    let whole = trail(2_500);
    let found = verify(whole.clone()).await;
    assert_eq!((found.events, found.unchained), (2_500, 2));
    assert_eq!((found.head, found.fault), (whole.head, None));
    let none = verify(Trail { before: Vec::new(), chain: Vec::new(), head: None }).await;
    assert_eq!((none.events, none.unchained, none.head, none.fault), (0, 0, None, None));
}

#[tokio::test]
async fn what_is_added_while_it_is_followed_is_left_out() {
    let (mut longer, end) = (trail(1_200), trail(1_100).head);
    longer.head = end;
    let found = verify(longer).await;
    assert_eq!((found.events, found.head, found.fault), (1_100, end, None));
}

#[tokio::test]
async fn every_kind_of_change_is_found_where_it_is() {
    use ChainFaultKind::{Changed, HeadChanged, Missing, Unreadable};

    let changed = |it: &mut Trail| it.chain[1_499].action = "person.purged".to_owned();
    assert_eq!(broken(changed).await, Some((Changed, 1_500)));
    let gone = |it: &mut Trail| drop(it.chain.remove(1_499));
    assert_eq!(broken(gone).await, Some((Missing, 1_500)));
    let cut = |it: &mut Trail| it.chain.truncate(2_400);
    assert_eq!(broken(cut).await, Some((Missing, 2_401)));
    let swapped = |it: &mut Trail| {
        let (one, other) = (it.chain[9].link, it.chain[10].link);
        (it.chain[9].link, it.chain[10].link) = (other, one);
        it.chain.swap(9, 10);
    };
    assert_eq!(broken(swapped).await, Some((Changed, 10)));
    let torn = |it: &mut Trail| it.chain[1_499].trace_id = "torn".to_owned();
    assert_eq!(broken(torn).await, Some((Unreadable, 1_500)));
    let rewritten = |it: &mut Trail| {
        // Consistent by itself, but not what the head stands for.
        let mut at = it.chain[2_497].link.unwrap();
        for event in &mut it.chain[2_498..] {
            event.trace_id = "other".to_owned();
            at = at.then(event);
            event.link = Some(at);
        }
    };
    assert_eq!(broken(rewritten).await, Some((HeadChanged, 2_500)));
    let headless = |it: &mut Trail| it.head = None;
    assert_eq!(broken(headless).await, Some((HeadChanged, 0)));
    let earlier = |it: &mut Trail| drop(it.before.pop());
    assert_eq!(broken(earlier).await, Some((Changed, 1)));
    let slipped_in = |it: &mut Trail| it.before.push(event(3));
    assert_eq!(broken(slipped_in).await, Some((Changed, 1)));
}
