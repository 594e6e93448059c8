//! Runs that map what they read.

use std::sync::Arc;

use futures_util::FutureExt;
use linkspan_domain::{
    ConnectorMapping, ConnectorMappingId, Deleted, Diagnostic, DiagnosticReason, Entity,
    EntityCounts, FieldKind, ListQuery, MappingOrigin, MappingStatus, OnCollapse, PageRequest,
    PageSize, Resource, Revision, StreamField, SyncMode, TargetModel, Visible,
    ports::{Change, Store},
};
use linkspan_engine::RunEvent;

use crate::{
    bench::{Bench, for_both, on_sqlite},
    made_up::{Item, definition, halting, items, numbered, send, spec},
};

const EXPRESSION: &str = r#"{ "external_id": $string(id), "full_name": text }"#;

/// A mapping of the stream `items` to people.
async fn add_mapping(bench: &Bench, expression: &str) -> ConnectorMapping {
    let now = bench.engine.world.now();
    let mapping = ConnectorMapping {
        id: ConnectorMappingId::from_uuid(bench.engine.world.uuid()),
        revision: Revision::FIRST,
        workspace_connector_id: bench.activation.id,
        workspace_id: bench.activation.workspace_id,
        stream: "items".parse().unwrap(),
        target_model: TargetModel::People,
        expression: expression.to_owned(),
        version: 1,
        origin: MappingOrigin::Written,
        confidence: None,
        status: MappingStatus::Active,
        needs_regeneration: false,
        on_collapse: OnCollapse::Revert,
        last_persist_count: 0,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    write(bench, Change::Insert(mapping.clone())).await;
    mapping
}

async fn write(bench: &Bench, change: Change<ConnectorMapping>) {
    let mut receipt = linkspan_testkit::fixtures::receipt(9, None);
    receipt.audit.id = linkspan_domain::AuditEventId::from_uuid(bench.engine.world.uuid());
    bench.db.connector_mappings().write(&[change], &receipt).await.unwrap();
}

async fn reword(bench: &Bench, id: ConnectorMappingId, expression: &str) {
    let mut mapping = stored(bench, id).await;
    mapping.reword(expression.to_owned(), MappingOrigin::Written, None);
    write(bench, Change::Update(mapping)).await;
}

async fn stored(bench: &Bench, id: ConnectorMappingId) -> ConnectorMapping {
    let visible = Visible::only(bench.activation.workspace_id);
    bench.db.connector_mappings().find(&visible, id).await.unwrap().unwrap()
}

async fn list<R: Resource<Tenancy = Visible>>(bench: &Bench, store: &dyn Store<R>) -> Vec<R> {
    let size = PageSize::new(PageSize::MAX).unwrap();
    let page = PageRequest { size, ..PageRequest::default() };
    let query = ListQuery { page, deleted: Deleted::Hidden, ..ListQuery::default() };
    let visible = Visible::only(bench.activation.workspace_id);
    store.list(&visible, &query).await.unwrap().into_resources()
}

/// What the live entities say, by key.
async fn names(bench: &Bench) -> Vec<(u32, String)> {
    let entities: Vec<Entity> = list(bench, &*bench.db.entities()).await;
    let mut names: Vec<_> = entities
        .iter()
        .map(|it| {
            let name = it.payload["full_name"].as_str().unwrap().to_owned();
            (it.record_key.parse().unwrap(), name)
        })
        .collect();
    names.sort();
    names
}

async fn reasons(bench: &Bench) -> Vec<(DiagnosticReason, String)> {
    let diagnostics = bench.engine.diagnostics.as_ref() as &dyn Store<Diagnostic>;
    let all: Vec<Diagnostic> = list(bench, diagnostics).await;
    all.into_iter().map(|it| (it.reason, it.detail)).collect()
}

async fn last_counts(bench: &Bench) -> EntityCounts {
    let run = bench.start(SyncMode::Full, &[]).await;
    bench.finish(run).await;
    bench.log(run).await.entities
}

fn counts(written: u64, unchanged: u64, deleted: u64, failed: u64) -> EntityCounts {
    EntityCounts { written, unchanged, deleted, failed }
}

#[tokio::test]
async fn a_run_maps_what_changed_and_no_more() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], numbered(0..700))).await;
        let mapping = add_mapping(&bench, EXPRESSION).await;
        assert_eq!(last_counts(&bench).await, counts(700, 0, 0, 0));
        assert_eq!(stored(&bench, mapping.id).await.last_persist_count, 700);
        assert_eq!(last_counts(&bench).await, counts(0, 0, 0, 0), "nothing changed");

        let mut some = numbered(1..700);
        some[0].text = "another".to_owned();
        bench.serve(items(&["items"], some));
        assert_eq!(last_counts(&bench).await, counts(1, 0, 1, 0));
        let names = names(&bench).await;
        assert_eq!((names.len(), &names[0]), (500, &(1, "another".to_owned())));
        let told = bench.told.0.lock().unwrap();
        let mapped = |it: &&RunEvent| matches!(it, RunEvent::Mapped { .. });
        assert!(told.iter().any(|it| mapped(&it)));
    })
    .await;
}

#[tokio::test]
async fn another_wording_maps_everything_anew_with_the_next_run() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, items(&["items"], numbered(0..3))).await;
        let mapping = add_mapping(&bench, EXPRESSION).await;
        bench.sync(SyncMode::Incremental).await;
        let upper = r#"id > 0 ? { "external_id": $string(id), "full_name": $uppercase(text) }"#;
        reword(&bench, mapping.id, upper).await;
        assert_eq!(last_counts(&bench).await, counts(2, 0, 1, 0));
        let expected = [(1, "ITEM 1".to_owned()), (2, "ITEM 2".to_owned())];
        assert_eq!(names(&bench).await, expected);
    })
    .await;
}

#[tokio::test]
async fn records_that_cannot_be_mapped_are_counted_kept_and_told() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, items(&["items"], numbered(0..4))).await;
        let odd = r#"{ "external_id": $string(id), "full_name": id = 2 ? id : text }"#;
        let mapping = add_mapping(&bench, odd).await;
        assert_eq!(last_counts(&bench).await, counts(3, 0, 0, 1));
        let unmapped = bench.db.mapped().unmapped(mapping.id, None, 10).await.unwrap();
        assert_eq!((unmapped.len(), unmapped[0].key.as_str()), (1, "2"));
        let said = format!("1 record: to people: {}", unmapped[0].reason);
        assert!(reasons(&bench).await.contains(&(DiagnosticReason::MappingFailed, said)));
        reword(&bench, mapping.id, EXPRESSION).await;
        bench.sync(SyncMode::Full).await;
        assert_eq!(bench.db.mapped().unmapped(mapping.id, None, 10).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_wording_that_collapses_gives_way_to_the_one_before() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], numbered(0..30))).await;
        let mapping = add_mapping(&bench, EXPRESSION).await;
        bench.sync(SyncMode::Full).await;
        reword(&bench, mapping.id, r#"id < 5 ? { "external_id": $string(id), "full_name": "x" }"#)
            .await;
        bench.sync(SyncMode::Full).await;
        let now = stored(&bench, mapping.id).await;
        assert_eq!((now.version, now.expression.as_str()), (3, EXPRESSION));
        assert_eq!(now.origin, MappingOrigin::Reverted);
        assert!(now.needs_regeneration);
        let names = names(&bench).await;
        assert_eq!((names.len(), names[0].1.as_str()), (30, "item 0"), "mapped anew at once");
        let told = reasons(&bench).await;
        let reverted = told.iter().find(|it| it.0 == DiagnosticReason::RegressionRevert);
        assert!(reverted.is_some_and(|it| it.1.contains("`on_collapse`")), "{told:?}");

        // What a person then writes may be as bad: only what was there before is a measure.
        bench.serve(items(&["items"], Vec::<Item>::new()));
        assert_eq!(last_counts(&bench).await, counts(0, 0, 30, 0));
    })
    .await;
}

#[tokio::test]
async fn a_wording_that_is_meant_to_leave_records_out_stays() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, items(&["items"], numbered(0..30))).await;
        let mapping = add_mapping(&bench, EXPRESSION).await;
        bench.sync(SyncMode::Full).await;
        let few = r#"id < 5 ? { "external_id": $string(id), "full_name": "x" }"#;
        let mut meant = stored(&bench, mapping.id).await;
        meant.on_collapse = OnCollapse::Keep;
        meant.reword(few.to_owned(), MappingOrigin::Written, None);
        write(&bench, Change::Update(meant)).await;
        bench.sync(SyncMode::Full).await;
        let now = stored(&bench, mapping.id).await;
        assert_eq!((now.version, now.expression.as_str()), (2, few));
        assert_eq!(names(&bench).await.len(), 5);
        let told = reasons(&bench).await;
        assert!(told.iter().all(|it| it.0 != DiagnosticReason::RegressionRevert), "{told:?}");
    })
    .await;
}

#[tokio::test]
async fn a_run_that_is_taken_over_maps_each_record_once() {
    on_sqlite(|url| async move {
        let (definition, reached, go_on) = halting();
        let bench = Arc::new(Bench::new(&url, definition).await);
        let mapping = add_mapping(&bench, EXPRESSION).await;
        let run = bench.start(SyncMode::Incremental, &[]).await;
        let happened = async {
            reached.notified().await;
            bench.written(run, 6).await;
        };
        bench.give_back(run, happened).await;
        assert_eq!(bench.log(run).await.entities, EntityCounts::default(), "the load is not over");

        go_on.notify_one();
        bench.finish(run).await;
        assert_eq!(bench.log(run).await.entities, counts(12, 0, 0, 0));
        let versions = bench.db.mapped().versions(mapping.id).await.unwrap();
        assert_eq!((versions[0].counts.mapped, versions[0].counts.persisted), (12, 12));
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_not_what_it_was_has_its_mappings_looked_at() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, items(&["items"], numbered(0..3))).await;
        let mapping = add_mapping(&bench, EXPRESSION).await;
        bench.sync(SyncMode::Full).await;
        assert!(!stored(&bench, mapping.id).await.needs_regeneration);
        let discover = || {
            let mut grown = spec("items");
            grown.fields.push(StreamField {
                name: "more".to_owned(),
                kind: FieldKind::Text,
                nullable: true,
            });
            Ok(vec![grown])
        };
        let read = |request, mut out| {
            async move { send(numbered(0..3), &request, 3, &mut out).await }.boxed()
        };
        bench.serve(definition(Arc::new(discover), Arc::new(read)));
        bench.sync(SyncMode::Full).await;
        assert!(stored(&bench, mapping.id).await.needs_regeneration);
        let told = reasons(&bench).await;
        let needs = DiagnosticReason::MappingNeedsRegeneration;
        assert_eq!(told.iter().filter(|it| it.0 == needs).count(), 1, "{told:?}");
        assert_eq!(names(&bench).await.len(), 3, "it goes on until then");
    })
    .await;
}
