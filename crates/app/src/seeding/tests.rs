//! Tests of seeding.

use linkspan_domain::{Availability, Caller, Role, Visible, ports::MockAccessStore};

use super::*;
use crate::fixtures::{
    Kept, NOW, call, code, connector, id, keep, keep_refusing, organization, workspace, world,
};

fn seeding(kept: &Kept<Connector>) -> Seeding {
    Seeding::new(Arc::clone(&kept.store) as _, Arc::new(MockAccessStore::new()), world())
}

fn seed(service: &str) -> CatalogEntry {
    let service_id = service.parse().unwrap();
    CatalogEntry { service_id, ..connector(|_| {}).entry }
}

fn seeded(service: &str) -> Connector {
    Connector::seeded(Seeding::id_of(&seed(service)), seed(service), NOW)
}

async fn run(kept: &Kept<Connector>, entries: Vec<CatalogEntry>) -> [usize; 4] {
    let outcome = seeding(kept).seed(&call(Role::Admin), entries).await.unwrap();
    let SeedOutcome { inserted, updated, unchanged, kept } = outcome;
    [inserted, updated, unchanged, kept]
}

#[tokio::test]
async fn new_entries_come_in_one_transaction_under_stable_identifiers() {
    let kept = keep(Vec::new());
    assert_eq!(run(&kept, vec![seed("a"), seed("b")]).await, [2, 0, 0, 0]);
    let written = kept.written.lock().unwrap();
    assert_eq!(written.len(), 2);
    assert_eq!(written[0].1, written[1].1, "one receipt");
    assert_eq!(written[0].1.audit.action, "catalog.seeded");
    assert_eq!(Seeding::id_of(&seed("a")), Seeding::id_of(&seed("a")));
    assert_ne!(Seeding::id_of(&seed("a")), Seeding::id_of(&seed("b")));
}

#[tokio::test]
async fn seeding_again_writes_nothing() {
    let kept = keep(vec![seeded("a"), seeded("b")]);
    assert_eq!(run(&kept, vec![seed("a"), seed("b")]).await, [0, 0, 2, 0]);
    assert!(kept.is_untouched());
}

#[tokio::test]
async fn a_status_that_an_operator_set_stays() {
    let mut edited = seeded("a");
    edited.entry.status = Availability::Maintenance;
    let kept = keep(vec![edited]);
    let entry = CatalogEntry { notes: Some("New.".to_owned()), ..seed("a") };
    assert_eq!(run(&kept, vec![entry]).await, [0, 1, 0, 0]);
    let Change::Update(updated) = kept.change() else { panic!() };
    assert_eq!(updated.entry.status, Availability::Maintenance);
}

#[tokio::test]
async fn what_an_operator_deleted_or_replaced_stays_so() {
    let mut deleted = seeded("a");
    deleted.deleted_at = Some(NOW);
    let mut own = seeded("b");
    own.id = id(99);
    let kept = keep(vec![deleted, own]);
    assert_eq!(run(&kept, vec![seed("a"), seed("b")]).await, [0, 0, 0, 2]);
    assert!(kept.is_untouched());
}

#[tokio::test]
async fn what_no_seed_names_is_left_alone() {
    let kept = keep(vec![seeded("a"), seeded("old")]);
    assert_eq!(run(&kept, vec![seed("a")]).await, [0, 0, 1, 0]);
    assert!(kept.is_untouched());
}

#[tokio::test]
async fn two_seeds_of_one_entry_are_refused() {
    let twins = vec![seed("a"), seed("a")];
    let seeded = seeding(&keep(Vec::new())).seed(&call(Role::Admin), twins).await;
    assert_eq!(code(seeded), "resource.invalid");
}

#[tokio::test]
async fn a_race_that_cannot_be_won_ends() {
    let kept = keep_refusing(Vec::new(), || StoreError::Taken);
    let seeded = seeding(&kept).seed(&call(Role::Admin), vec![seed("a")]).await;
    assert_eq!(code(seeded), "resource.name_taken");
}

#[test]
fn an_index_says_where_it_is_wrong() {
    let good = serde_json::to_string(&[seed("a"), seed("b")]).unwrap();
    assert_eq!(Seeding::parse_index(&good).unwrap().len(), 2);
    let bad = good.replace("\"input\"", "\"sideways\"");
    let error = Seeding::parse_index(&bad).unwrap_err();
    assert_eq!(error.to_string(), "the catalog index cannot be read at `[0].direction`");
}

#[tokio::test]
async fn the_platform_itself_may_seed() {
    let caller = Caller::system(organization(), Visible::only(id(1)));
    let call = Call { caller, ..call(Role::Viewer) };
    assert_eq!(code(seeding(&keep(Vec::new())).seed(&call, vec![seed("a")]).await), "ok");
}

#[tokio::test]
async fn the_first_workspace_is_made_once() {
    let mut access = MockAccessStore::new();
    access.expect_bootstrap().returning(|first| {
        assert_eq!((first.slug.as_str(), first.parent_id), ("main", None));
        Ok(workspace(7, None))
    });
    let seeding = Seeding::new(keep(Vec::new()).store, Arc::new(access), world());
    assert_eq!(seeding.bootstrap().await.unwrap().id, id(7));
}
