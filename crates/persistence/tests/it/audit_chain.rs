//! The chain of the audit trail: every receipt is a link of it, whoever writes at once.

use linkspan_domain::{
    AuditEvent, ChainHash, ChainLink, OrganizationId, Workspace,
    ports::{Change, StoreError},
};
use linkspan_persistence::Database;
use linkspan_testkit::fixtures::{Place, Specimen, id, receipt, receipts};

use crate::{
    place::{furnished, keep},
    scratch::{on_both, run},
};

on_both! {
    every_receipt_is_the_next_link
    writers_at_once_make_one_chain
    what_is_refused_leaves_no_gap
    what_was_kept_before_there_was_a_chain_is_part_of_it
}

fn ours() -> OrganizationId {
    receipts().0
}

/// Follows the chain of `organization` to its end, and answers the events of it.
async fn follow(db: &Database, organization: OrganizationId) -> Vec<AuditEvent> {
    let chain = db.audit_chain();
    let mut hash = ChainHash::genesis(organization);
    let mut after = None;
    loop {
        let before = chain.unchained(organization, after, 3).await.unwrap();
        let Some(last) = before.last() else { break };
        after = Some((last.created_at, last.id));
        hash = before.iter().fold(hash, ChainHash::then);
    }
    let mut at = ChainLink { sequence: 0, hash };
    let mut all = Vec::new();
    loop {
        let events = chain.chained(organization, at.sequence, 7).await.unwrap();
        if events.is_empty() {
            break;
        }
        for event in events {
            at = at.then(&event);
            assert_eq!(event.link, Some(at), "{event:?}");
            all.push(event);
        }
    }
    assert_eq!(chain.head(organization).await.unwrap(), Some(at));
    all
}

fn workspace(number: u32, place: &Place) -> Workspace {
    Workspace { parent_id: None, ..Workspace::specimen(number, place) }
}

async fn every_receipt_is_the_next_link(url: &str) {
    let (db, place) = furnished(url).await;
    let before = follow(&db, ours()).await.len();
    for number in 0..10 {
        let (made, receipt) = (workspace(number, &place), receipt(number, None));
        db.workspaces().write(&[Change::Insert(made)], &receipt).await.unwrap();
    }
    let events = follow(&db, ours()).await;
    assert_eq!(events.len(), before + 10);
    let names: Vec<_> = events[before..].iter().map(|it| it.trace_id.clone()).collect();
    assert_eq!(names, (0..10).map(|it| format!("trace-{it}")).collect::<Vec<_>>());
    let none = db.audit_chain().head(place.stranger).await.unwrap();
    assert_eq!(none, None, "each organization has a chain of its own");
}

async fn writers_at_once_make_one_chain(url: &str) {
    let (db, place) = furnished(url).await;
    let before = follow(&db, ours()).await.len();
    let writers = (0..6).map(|writer| {
        let (workspaces, place) = (db.workspaces(), &place);
        async move {
            for number in (writer * 10)..(writer * 10 + 10) {
                let change = Change::Insert(workspace(number, place));
                workspaces.write(&[change], &receipt(number, None)).await.unwrap();
            }
        }
    });
    futures_util::future::join_all(writers).await;
    assert_eq!(follow(&db, ours()).await.len(), before + 60);
}

async fn what_is_refused_leaves_no_gap(url: &str) {
    let (db, place) = furnished(url).await;
    let before = follow(&db, ours()).await.len();
    let orphan = Workspace { parent_id: Some(id(1_234_567)), ..workspace(1, &place) };
    let refused = db.workspaces().write(&[Change::Insert(orphan)], &receipt(1, None)).await;
    assert!(matches!(refused, Err(StoreError::Dangling)), "{refused:?}");
    keep(&*db.workspaces(), [workspace(2, &place)]).await;
    assert_eq!(follow(&db, ours()).await.len(), before + 1);
}

async fn what_was_kept_before_there_was_a_chain_is_part_of_it(url: &str) {
    let (db, place) = furnished(url).await;
    // As a program without a chain left it.
    let events = (1..10).map(|number| AuditEvent {
        organization_id: place.stranger,
        link: None,
        ..AuditEvent::specimen(number, &place)
    });
    keep(&*db.audit_events(), events).await;
    let mut first = receipt(1, None);
    first.audit.organization_id = place.stranger;
    db.workspaces().write(&[], &first).await.unwrap();
    assert_eq!(follow(&db, place.stranger).await.len(), 1);
    let old = db.audit_chain().unchained(place.stranger, None, 100).await.unwrap();
    assert_eq!(old.len(), 9);
    assert!(old.is_sorted_by_key(|it| (it.created_at, it.id)));

    let trigger = if url.starts_with("sqlite") {
        "DROP TRIGGER audit_events_no_delete"
    } else {
        "DROP TRIGGER audit_events_append_only ON audit_events"
    };
    run(url, trigger).await.unwrap();
    run(url, "DELETE FROM audit_events WHERE trace_id = 'trace-3' AND sequence IS NULL")
        .await
        .unwrap();
    let left = db.audit_chain().unchained(place.stranger, None, 100).await.unwrap();
    let hash = left.iter().fold(ChainHash::genesis(place.stranger), ChainHash::then);
    let chained = db.audit_chain().chained(place.stranger, 0, 1).await.unwrap();
    let after = ChainLink { sequence: 0, hash }.then(&chained[0]);
    assert_ne!(Some(after), chained[0].link, "what is missing shows");
}
