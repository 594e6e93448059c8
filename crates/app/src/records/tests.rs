//! Tests of reading and writing kept things.

use linkspan_domain::{
    Connector, Person, Resource, Revision, Role, Visible, Workspace, WorkspaceConnector,
    ports::MockStore,
};
use serde_json::json;

use super::*;
use crate::fixtures::{
    activation, call, code, connector, id, keep, keep_refusing, lower_workspace, own_workspace,
    page, workspace, world,
};

fn records<R: Readable>(kept: &crate::fixtures::Kept<R>) -> Records<R> {
    Records::new(Arc::clone(&kept.store) as _, world())
}

#[tokio::test]
async fn the_store_is_asked_within_the_callers_tenancy() {
    let mut store = MockStore::<WorkspaceConnector>::new();
    let visible = Visible {
        workspace: own_workspace(),
        workspaces: vec![own_workspace(), lower_workspace()],
    };
    let (find, list, all) = (visible.clone(), visible.clone(), visible);
    store.expect_find().withf(move |it, _| *it == find).returning(|_, _| Ok(None));
    store.expect_list().withf(move |it, _| *it == list).returning(|_, _| Ok(page(Vec::new())));
    store.expect_find_all().withf(move |it, _| *it == all).returning(|_, _| Ok(Vec::new()));
    let records = Records::new(Arc::new(store), world());
    let call = call(Role::Designer);
    assert_eq!(code(records.get(&call.caller, id(30)).await), "resource.not_found");
    assert_eq!(code(records.live(&call, id(30), None).await), "resource.not_found");
    assert!(records.find_all(&call.caller, &[id(30)]).await.unwrap().is_empty());
    assert!(records.list_all(&call.caller, Vec::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_deleted_is_not_there_but_can_be_restored_and_purged() {
    let deleted = activation(|it| it.deleted_at = Some(crate::fixtures::NOW));
    let kept = keep(vec![deleted.clone()]);
    let (records, call) = (records(&kept), call(Role::Designer));
    assert_eq!(code(records.get(&call.caller, deleted.id).await), "resource.not_found");
    assert!(records.find_all(&call.caller, &[deleted.id]).await.unwrap().is_empty());
    assert_eq!(code(records.delete(&call, deleted.id, None).await), "resource.not_found");
    let restored = records.restore(&call, deleted.id, None).await.unwrap();
    assert_eq!((restored.deleted_at, restored.revision), (None, deleted.revision.next()));
    assert_eq!(kept.act().0, "workspace_connector.restored");
    records.purge(&call, deleted.id, None).await.unwrap();
    assert!(matches!(kept.written.lock().unwrap().last(), Some((Change::Purge(_), _))));
}

#[tokio::test]
async fn what_is_live_is_neither_restored_nor_purged() {
    let kept = keep(vec![activation(|_| {})]);
    let (records, call) = (records(&kept), call(Role::Designer));
    assert_eq!(code(records.restore(&call, id(30), None).await), "resource.not_deleted");
    assert_eq!(code(records.purge(&call, id(30), None).await), "resource.not_deleted");
    assert!(kept.is_untouched());
}

#[tokio::test]
async fn a_parent_reads_what_is_below_but_does_not_write_it() {
    let kept = keep(vec![activation(|it| it.workspace_id = lower_workspace())]);
    let (records, call) = (records(&kept), call(Role::Admin));
    assert!(records.get(&call.caller, id(30)).await.is_ok());
    assert_eq!(code(records.delete(&call, id(30), None).await), "permission.denied");
    assert!(kept.is_untouched());
}

#[tokio::test]
async fn a_write_at_an_old_revision_is_stale() {
    let kept = keep(vec![connector(|it| it.revision = Revision::from_number(3))]);
    let (records, call) = (records(&kept), call(Role::Admin));
    let old = Some(Revision::from_number(2));
    assert_eq!(code(records.delete(&call, id(20), old).await), "resource.stale");
    assert!(kept.is_untouched());
    let now = Some(Revision::from_number(3));
    assert_eq!(code(records.delete(&call, id(20), now).await), "ok");
}

#[tokio::test]
async fn the_stores_refusals_have_product_words() {
    for (error, expected) in [
        ((|| StoreError::Stale) as fn() -> StoreError, "resource.stale"),
        (|| StoreError::Taken, "resource.name_taken"),
        (|| StoreError::Dangling, "resource.dangling"),
        (|| StoreError::ClaimLost, "idempotency.in_flight"),
        (|| StoreError::TooSlow, "query.too_slow"),
        (|| StoreError::Unavailable("gone".into()), "platform.unavailable"),
        (|| StoreError::Corrupt("odd".into()), "platform.internal"),
    ] {
        let kept = keep_refusing(vec![connector(|_| {})], error);
        let deleted = records(&kept).delete(&call(Role::Admin), id(20), None).await;
        assert_eq!(code(deleted), expected);
    }
}

#[tokio::test]
async fn an_update_writes_the_names_of_what_changed_and_nothing_without_change() {
    let kept = keep(vec![workspace(1, None)]);
    let (records, call) = (records(&kept), call(Role::Admin));
    let name = |name: &str| {
        let name = name.parse().unwrap();
        |it: &mut Workspace, changes: &mut Changes| {
            changes.set("name", &mut it.name, Some(name));
            Ok(())
        }
    };
    records.update(&call, id(1), None, name("Workspace 1")).await.unwrap();
    assert!(kept.is_untouched());
    let updated = records.update(&call, id(1), None, name("Secret plans")).await.unwrap();
    assert_eq!(updated.revision, Revision::FIRST.next());
    assert_eq!(kept.act(), ("workspace.updated".to_owned(), json!({ "changed": ["name"] })));
    let Change::Update(stored) = kept.change() else { panic!() };
    assert_eq!(stored.revision, Revision::FIRST, "the store guards the revision that was read");
}

#[tokio::test]
async fn a_claim_goes_with_the_effect() {
    let kept = keep(vec![connector(|_| {})]);
    let claim = linkspan_domain::IdempotencyClaim {
        scope: "scope".to_owned(),
        key: "key".to_owned(),
        token: uuid::Uuid::nil(),
    };
    let call = Call { claim: Some(claim.clone()), ..call(Role::Admin) };
    records(&kept).delete(&call, id(20), None).await.unwrap();
    let written = kept.written.lock().unwrap();
    let reply = written[0].1.reply.as_ref().unwrap();
    assert_eq!((&reply.claim, reply.resource_type), (&claim, Connector::TYPE));
}

#[tokio::test]
async fn callers_see_their_own_workspaces_and_themselves_admins_see_all() {
    let workspaces = keep(vec![workspace(1, None), workspace(3, None)]);
    let workspaces = records(&workspaces);
    let (designer, admin) = (call(Role::Designer), call(Role::Admin));
    assert_eq!(code(workspaces.get(&designer.caller, id(1)).await), "ok");
    assert_eq!(code(workspaces.get(&designer.caller, id(3)).await), "resource.not_found");
    assert_eq!(code(workspaces.get(&admin.caller, id(3)).await), "ok");
    assert_eq!(workspaces.find_all(&designer.caller, &[id(1), id(3)]).await.unwrap().len(), 1);
    assert!(Workspace::shown(&admin.caller).is_none());

    let shown = Person::shown(&designer.caller).unwrap();
    let mut store = MockStore::<Person>::new();
    store
        .expect_list()
        .withf(move |_, query| query.filters == [shown.clone()])
        .returning(|_, _| Ok(page(Vec::new())));
    let people = Records::new(Arc::new(store), world());
    people.list(&designer.caller, &ListQuery::default()).await.unwrap();
}

#[tokio::test]
async fn all_pages_of_a_list_are_read() {
    let mut store = MockStore::<Connector>::new();
    store.expect_list().returning(|_, query| {
        let is_first = query.page.after.is_none();
        Ok(Page { has_after: is_first, ..page(vec![connector(|_| {})]) })
    });
    let records = Records::new(Arc::new(store), world());
    let all = records.list_all(&call(Role::Analyst).caller, Vec::new()).await.unwrap();
    assert_eq!(all.len(), 2);
}
