//! Entities: how far mappings have come, what records become, and who receives it.

use std::sync::Arc;

use linkspan_domain::{
    Condition, ConnectorMapping, ConnectorMappingId, Deleted, Entity, EntityCounts, ListQuery,
    MappingOrigin, MappingStatus, OnCollapse, Revision, RunEnd, SyncMode, SyncTarget, TargetModel,
    Visible, Workspace, WorkspaceId,
    ports::{Change, StoreError},
};
use linkspan_persistence::SearchTime;
use linkspan_sdk::{
    ContentHash, EntitySearch, EntityStore, HeldRun, Kept, MappedObject, MappedOutcome, MappedPage,
    MappedRecord, Position, Reversal,
};
use linkspan_testkit::{
    Random,
    fixtures::{EPOCH, Specimen, id, receipt},
};
use serde_json::{Value, json};

use crate::{
    activation::Bench,
    place::keep,
    scratch::on_both,
    search::{condition, hurried, values},
};

on_both! {
    a_page_moves_the_mapping_on_with_its_entities
    a_page_that_begins_elsewhere_changes_nothing
    a_worker_that_lost_its_run_maps_nothing
    another_version_begins_with_the_first_record
    what_a_record_no_longer_becomes_is_gone_until_it_comes_back
    a_record_that_fails_keeps_what_it_has_and_is_kept_aside
    an_entity_says_where_it_comes_from
    an_old_wording_comes_back_as_a_new_version
    a_stream_that_drifts_outdates_its_mappings
    an_activation_begins_as_its_own_target
    all_targets_receive_and_a_new_one_from_the_beginning
    entities_go_with_their_activation
    what_is_found_is_what_the_condition_holds_of
    a_search_goes_on_page_by_page_within_model_and_tenant
}

pub(crate) struct Mapped {
    pub(crate) bench: Bench,
    pub(crate) store: Arc<dyn EntityStore>,
    pub(crate) mapping: ConnectorMapping,
    pub(crate) run: HeldRun,
}

impl Mapped {
    pub(crate) async fn new(url: &str) -> Self {
        Self::of(Bench::new(url).await, 1).await
    }

    /// Another activation in the same place.
    pub(crate) async fn beside(&self) -> Self {
        Self::of(self.bench.another(7).await, 7).await
    }

    async fn of(bench: Bench, number: u32) -> Self {
        let mapping = ConnectorMapping {
            workspace_connector_id: bench.activation.id,
            workspace_id: bench.activation.workspace_id,
            stream: "orders".parse().unwrap(),
            target_model: TargetModel::Invoice,
            version: 1,
            status: MappingStatus::Active,
            needs_regeneration: false,
            on_collapse: OnCollapse::Revert,
            ..ConnectorMapping::specimen(number, &bench.place)
        };
        keep(&*bench.db.connector_mappings(), [mapping.clone()]).await;
        let run = bench.begin(SyncMode::Incremental).await;
        Self { store: bench.db.mapped(), bench, mapping, run }
    }

    /// One that is not the activation's own.
    pub(crate) fn other_workspace(&self) -> WorkspaceId {
        let place = &self.bench.place;
        let own = self.bench.activation.workspace_id;
        if place.workspace == own { place.lower_workspace } else { place.workspace }
    }

    /// Deletes a workspace, or brings it back.
    pub(crate) async fn delete_workspace(&self, id: WorkspaceId, deleted: Deleted) {
        let seen = Workspace::tenancy(&self.bench.place);
        let store = self.bench.db.workspaces();
        let mut kept = store.find(&seen, id).await.unwrap().unwrap();
        kept.deleted_at = (deleted == Deleted::Shown).then_some(EPOCH);
        let number = if deleted == Deleted::Shown { 601 } else { 602 };
        store.write(&[Change::Update(kept)], &receipt(number, None)).await.unwrap();
    }

    pub(crate) fn page(&self, from: i64, to: i64, records: Vec<MappedRecord>) -> MappedPage {
        let at = |generation| Position { generation, key: None };
        MappedPage {
            run: self.run,
            mapping: self.mapping.id,
            version: self.mapping.version,
            from: at(from),
            to: at(to),
            records,
            now: EPOCH,
        }
    }

    pub(crate) async fn commit(
        &self,
        from: i64,
        to: i64,
        records: Vec<MappedRecord>,
    ) -> EntityCounts {
        match self.store.commit(&self.page(from, to, records)).await.unwrap() {
            Kept::Done(counts) => counts,
            Kept::Superseded => panic!("the page is not where the mapping stands"),
        }
    }

    pub(crate) async fn position(&self) -> i64 {
        let stream = self.mapping.stream.clone();
        let active = self.store.active(self.bench.activation.id, &stream).await.unwrap();
        active.iter().find(|it| it.id == self.mapping.id).unwrap().position.generation
    }

    pub(crate) async fn entities(&self, deleted: Deleted) -> Vec<Entity> {
        let query = ListQuery { deleted, ..ListQuery::default() };
        let seen = Entity::tenancy(&self.bench.place);
        let mut all = self.bench.db.entities().list(&seen, &query).await.unwrap().into_resources();
        all.sort_by(|a, b| (&a.record_key, a.item).cmp(&(&b.record_key, b.item)));
        all
    }

    /// The live entities: key and what they say.
    pub(crate) async fn live(&self) -> Vec<(String, String)> {
        let entities = self.entities(Deleted::Hidden).await;
        let said = |it: &Entity| it.payload["external_id"].as_str().unwrap().to_owned();
        entities.iter().map(|it| (it.record_key.clone(), said(it))).collect()
    }

    pub(crate) async fn stored(&self) -> ConnectorMapping {
        let seen = ConnectorMapping::tenancy(&self.bench.place);
        let store = self.bench.db.connector_mappings();
        store.find(&seen, self.mapping.id).await.unwrap().unwrap()
    }
}

pub(crate) fn object(external_id: &str) -> MappedObject {
    let payload = format!("{{\"external_id\":\"{external_id}\"}}");
    let hash = ContentHash::of(&payload);
    MappedObject { external_id: Some(external_id.to_owned()), payload, hash }
}

pub(crate) fn becomes(key: &str, objects: &[&str]) -> MappedRecord {
    let objects = objects.iter().map(|it| object(it)).collect();
    MappedRecord { key: key.to_owned(), outcome: MappedOutcome::Objects(objects) }
}

pub(crate) fn gone(key: &str) -> MappedRecord {
    MappedRecord { key: key.to_owned(), outcome: MappedOutcome::Gone }
}

fn fails(key: &str, reason: &str) -> MappedRecord {
    MappedRecord { key: key.to_owned(), outcome: MappedOutcome::Failed(reason.to_owned()) }
}

pub(crate) fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

pub(crate) fn counts(written: u64, unchanged: u64, deleted: u64, failed: u64) -> EntityCounts {
    EntityCounts { written, unchanged, deleted, failed }
}

async fn a_page_moves_the_mapping_on_with_its_entities(url: &str) {
    let it = Mapped::new(url).await;
    assert_eq!(it.position().await, 0);
    let records = vec![becomes("a", &["1"]), becomes("b", &["2", "3"]), becomes("c", &[])];
    assert_eq!(it.commit(0, 4, records).await, counts(3, 0, 0, 0));
    assert_eq!(it.position().await, 4);
    assert_eq!(it.live().await, pairs(&[("a", "1"), ("b", "2"), ("b", "3")]));
    let same = vec![becomes("a", &["1"]), becomes("b", &["2", "4"])];
    assert_eq!(it.commit(4, 5, same).await, counts(1, 2, 1, 0));
    let entities = it.entities(Deleted::Hidden).await;
    assert_eq!(entities[0].revision, Revision::FIRST);
    assert_eq!(entities[2].revision, Revision::FIRST, "it is called something else");
    assert_eq!(entities[2].external_id.as_deref(), Some("4"));

    let log = it.bench.log(it.run.id).await;
    assert_eq!(log.entities, counts(4, 2, 1, 0));
    let versions = it.store.versions(it.mapping.id).await.unwrap();
    assert_eq!((versions[0].counts.mapped, versions[0].counts.persisted), (5, 4));
    assert_eq!(it.stored().await.last_persist_count, 4);
}

async fn a_page_that_begins_elsewhere_changes_nothing(url: &str) {
    let it = Mapped::new(url).await;
    it.commit(0, 4, vec![becomes("a", &["1"])]).await;
    for (from, version) in [(0, 1), (3, 1), (4, 2)] {
        let page = it.page(from, 9, vec![becomes("a", &["2"])]);
        let page = MappedPage { version, ..page };
        assert_eq!(it.store.commit(&page).await.unwrap(), Kept::Superseded);
    }
    let key = Some("k".to_owned());
    let within = Position { generation: 4, key: key.clone() };
    let page = MappedPage { to: within.clone(), ..it.page(4, 4, Vec::new()) };
    assert!(matches!(it.store.commit(&page).await.unwrap(), Kept::Done(_)));
    let page = MappedPage { from: within, ..it.page(0, 5, Vec::new()) };
    assert!(matches!(it.store.commit(&page).await.unwrap(), Kept::Done(_)));
    assert_eq!(it.live().await, pairs(&[("a", "1")]));
}

async fn a_worker_that_lost_its_run_maps_nothing(url: &str) {
    let it = Mapped::new(url).await;
    let stale = HeldRun { fence: linkspan_domain::Fence(it.run.fence.0 + 1), ..it.run };
    let page = MappedPage { run: stale, ..it.page(0, 1, vec![becomes("a", &["1"])]) };
    assert!(matches!(it.store.commit(&page).await, Err(StoreError::Stale)));
    it.bench.end(it.run, RunEnd::Clean).await.unwrap();
    let page = it.page(0, 1, vec![becomes("a", &["1"])]);
    assert!(matches!(it.store.commit(&page).await, Err(StoreError::Stale)));
    assert_eq!((it.live().await.len(), it.position().await), (0, 0));
}

async fn another_version_begins_with_the_first_record(url: &str) {
    let mut it = Mapped::new(url).await;
    it.commit(0, 4, vec![becomes("a", &["1"])]).await;
    let mut mapping = it.stored().await;
    mapping.reword("{}".to_owned(), MappingOrigin::Written, None);
    let store = it.bench.db.connector_mappings();
    store.write(&[Change::Update(mapping.clone())], &receipt(77, None)).await.unwrap();
    assert_eq!(it.position().await, 0);
    assert_eq!(it.stored().await.last_persist_count, 0);
    it.mapping = mapping;
    assert_eq!(it.commit(0, 4, vec![becomes("a", &["2"])]).await, counts(1, 0, 1, 0));
    assert_eq!(it.live().await, pairs(&[("a", "2")]), "another entity is in its place");
    let numbers = it.store.versions(it.mapping.id).await.unwrap();
    assert_eq!(numbers.iter().map(|it| it.version).collect::<Vec<_>>(), [2, 1]);
}

async fn what_a_record_no_longer_becomes_is_gone_until_it_comes_back(url: &str) {
    let it = Mapped::new(url).await;
    it.commit(0, 1, vec![becomes("a", &["1", "2"]), becomes("b", &["3"])]).await;
    let first = it.entities(Deleted::Hidden).await;
    let records = vec![becomes("a", &["1"]), gone("b"), gone("never")];
    assert_eq!(it.commit(1, 2, records).await, counts(0, 1, 2, 0));
    assert_eq!(it.live().await, pairs(&[("a", "1")]));
    let buried = it.entities(Deleted::Shown).await;
    assert_eq!(buried.iter().filter(|it| it.deleted_at == Some(EPOCH)).count(), 2);
    it.commit(2, 3, vec![becomes("b", &["3"]), becomes("a", &["1", "2"])]).await;
    let again = it.entities(Deleted::Hidden).await;
    let ids = |all: &[Entity]| all.iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&first), "they are the same entities");
    assert!(again.iter().all(|it| it.deleted_at.is_none()));
}

async fn a_record_that_fails_keeps_what_it_has_and_is_kept_aside(url: &str) {
    let it = Mapped::new(url).await;
    it.commit(0, 1, vec![becomes("a", &["1"])]).await;
    let records = vec![fails("a", "too odd"), fails("b", "too even")];
    assert_eq!(it.commit(1, 2, records).await, counts(0, 0, 0, 2));
    assert_eq!(it.live().await, pairs(&[("a", "1")]));
    let aside = it.store.unmapped(it.mapping.id, None, 10).await.unwrap();
    let said: Vec<_> = aside.iter().map(|it| (it.key.as_str(), it.reason.as_str())).collect();
    assert_eq!(said, [("a", "too odd"), ("b", "too even")]);
    let behind = it.store.unmapped(it.mapping.id, Some(aside[0].position), 10).await.unwrap();
    assert_eq!(behind.len(), 1);

    it.commit(2, 3, vec![becomes("a", &["2"]), fails("b", "still")]).await;
    it.commit(3, 4, vec![gone("b")]).await;
    assert_eq!(it.store.unmapped(it.mapping.id, None, 10).await.unwrap(), []);
    let counts = it.store.versions(it.mapping.id).await.unwrap()[0].counts;
    assert_eq!((counts.mapped, counts.persisted, counts.failed), (5, 2, 3));
}

async fn an_entity_says_where_it_comes_from(url: &str) {
    let it = Mapped::new(url).await;
    let load = it.bench.open(it.run, SyncMode::Incremental).await.unwrap();
    it.bench.commit(&load, &[("a", "{\"raw\":true}")]).await.unwrap();
    it.commit(0, 1, vec![becomes("a", &["1"]), becomes("unkept", &["2"])]).await;
    let entities = it.entities(Deleted::Hidden).await;
    let visible = Visible::only(it.bench.activation.workspace_id);
    let sources = it.store.sources(entities[0].id, &visible).await.unwrap();
    assert_eq!(sources.len(), 1);
    let source = &sources[0];
    assert_eq!(source.workspace_connector_id, it.bench.activation.id);
    assert_eq!((source.stream.as_str(), source.record_key.as_str()), ("orders", "a"));
    assert_eq!(source.run, Some(it.run.id));
    assert_eq!(source.raw, Some(serde_json::json!({ "raw": true })));
    let unkept = it.store.sources(entities[1].id, &visible).await.unwrap();
    assert_eq!(unkept[0].raw, None);
    let stranger = Visible::only(it.bench.place.foreign_workspace);
    let sources = it.store.sources(entities[0].id, &stranger).await.unwrap();
    assert_eq!(sources[0].raw, None, "records are shown to those who see the activation");
}

async fn an_old_wording_comes_back_as_a_new_version(url: &str) {
    let mut it = Mapped::new(url).await;
    let before = it.mapping.expression.clone();
    let mut mapping = it.stored().await;
    mapping.reword("{}".to_owned(), MappingOrigin::Written, None);
    let store = it.bench.db.connector_mappings();
    store.write(&[Change::Update(mapping)], &receipt(77, None)).await.unwrap();
    let reversal = Reversal { run: it.run, mapping: it.mapping.id, from: 1, to: 1, now: EPOCH };
    assert_eq!(it.store.revert(&reversal).await.unwrap(), Kept::Superseded, "it is at 2");
    let reversal = Reversal { from: 2, ..reversal };
    assert!(matches!(it.store.revert(&reversal).await.unwrap(), Kept::Done(_)));
    it.mapping = it.stored().await;
    assert_eq!((it.mapping.version, &it.mapping.expression), (3, &before));
    assert_eq!(it.mapping.origin, MappingOrigin::Reverted);
    assert!(it.mapping.needs_regeneration, "somebody should look at it");
    it.commit(0, 1, vec![becomes("a", &["1"])]).await;
    let stale = HeldRun { fence: linkspan_domain::Fence(99), ..it.run };
    let refused = it.store.revert(&Reversal { run: stale, from: 3, ..reversal }).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
}

async fn a_stream_that_drifts_outdates_its_mappings(url: &str) {
    let it = Mapped::new(url).await;
    let (activation, stream) = (it.bench.activation.id, it.mapping.stream.clone());
    let other = "others".parse().unwrap();
    let none: [ConnectorMappingId; 0] = [];
    assert_eq!(it.store.outdate(activation, &other, EPOCH).await.unwrap(), none);
    assert_eq!(it.store.outdate(activation, &stream, EPOCH).await.unwrap(), [it.mapping.id]);
    assert!(it.stored().await.needs_regeneration);
    assert_eq!(it.store.outdate(activation, &stream, EPOCH).await.unwrap(), none, "it is said");
}

pub(crate) async fn targets(it: &Mapped) -> Vec<SyncTarget> {
    let seen = ConnectorMapping::tenancy(&it.bench.place);
    let query = ListQuery { deleted: Deleted::Shown, ..ListQuery::default() };
    let page = it.bench.db.sync_targets().list(&seen, &query).await.unwrap();
    let mut all = page.into_resources();
    all.retain(|target| target.workspace_connector_id == it.bench.activation.id);
    all
}

pub(crate) fn target(it: &Mapped, number: u32, target_workspace_id: WorkspaceId) -> SyncTarget {
    SyncTarget {
        id: id(number),
        revision: Revision::FIRST,
        workspace_connector_id: it.bench.activation.id,
        workspace_id: it.bench.activation.workspace_id,
        target_workspace_id,
        created_at: EPOCH,
        updated_at: EPOCH,
        deleted_at: None,
    }
}

async fn an_activation_begins_as_its_own_target(url: &str) {
    let it = Mapped::new(url).await;
    let own = it.bench.activation.workspace_id;
    let all = targets(&it).await;
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].workspace_id, all[0].target_workspace_id), (own, own));
    assert_eq!(all[0].created_at, it.bench.activation.created_at);
    let twin = SyncTarget { id: id(500), ..all[0].clone() };
    let store = it.bench.db.sync_targets();
    let refused = store.write(&[Change::Insert(twin.clone())], &receipt(1, None)).await;
    assert!(matches!(refused, Err(StoreError::Taken)), "{refused:?}");
    let deleted = SyncTarget { deleted_at: Some(EPOCH), ..all[0].clone() };
    let changes = [Change::Update(deleted), Change::Insert(twin)];
    store.write(&changes, &receipt(2, None)).await.unwrap();
    assert_eq!(targets(&it).await.len(), 2, "what was deleted stays");
}

async fn all_targets_receive_and_a_new_one_from_the_beginning(url: &str) {
    let it = Mapped::new(url).await;
    it.commit(0, 4, vec![becomes("a", &["1"])]).await;
    let place = &it.bench.place;
    let added = [
        Change::Insert(target(&it, 501, it.other_workspace())),
        // Of another organization: whatever the row says, it receives nothing.
        Change::Insert(target(&it, 502, place.foreign_workspace)),
    ];
    it.bench.db.sync_targets().write(&added, &receipt(3, None)).await.unwrap();
    assert_eq!(it.position().await, 0, "what was there before is for the new target, too");
    assert_eq!(it.commit(0, 4, vec![becomes("a", &["1"])]).await, counts(1, 1, 0, 0));
    let all = it.entities(Deleted::Hidden).await;
    assert_eq!(all.len(), 2);
    assert_ne!(all[0].workspace_id, all[1].workspace_id);
    assert_ne!(all[0].id, all[1].id);
    let foreign = Visible::only(place.foreign_workspace);
    let strange = it.bench.db.entities().list(&foreign, &ListQuery::default()).await.unwrap();
    assert_eq!(strange.total, 0);
    assert_eq!(it.commit(4, 5, vec![gone("a")]).await, counts(0, 0, 2, 0));
}

async fn entities_go_with_their_activation(url: &str) {
    let it = Mapped::new(url).await;
    it.commit(0, 1, vec![becomes("a", &["1"])]).await;
    it.bench.end(it.run, RunEnd::Clean).await.unwrap();
    let store = it.bench.db.workspace_connectors();
    let seen = ConnectorMapping::tenancy(&it.bench.place);
    let kept = store.find(&seen, it.bench.activation.id).await.unwrap().unwrap();
    store.write(&[Change::Purge(kept)], &receipt(5, None)).await.unwrap();
    assert_eq!(it.entities(Deleted::Shown).await.len(), 0);
    assert_eq!(targets(&it).await, []);
    assert_eq!(it.store.versions(it.mapping.id).await.unwrap(), []);
}

fn search(it: &Mapped, condition: &Value) -> EntitySearch {
    EntitySearch {
        visible: Visible::only(it.bench.activation.workspace_id),
        model: TargetModel::Invoice,
        activation: None,
        condition: Condition::parse(condition).unwrap(),
        deleted: Deleted::Hidden,
        after: None,
        limit: 1_000,
    }
}

/// The records of what is found.
async fn found(it: &Mapped, search: &EntitySearch) -> Vec<String> {
    let mut search = search.clone();
    let mut found = Vec::new();
    loop {
        let page = it.store.search(&search).await.unwrap();
        assert!(page.entities.len() <= search.limit as usize);
        found.extend(page.entities.into_iter().map(|it| it.entity.record_key));
        let Some(next) = page.next else { return found };
        assert!(Some(next) > search.after);
        search.after = Some(next);
    }
}

fn says(key: &str, payload: &Value) -> MappedRecord {
    let payload = payload.to_string();
    let hash = ContentHash::of(&payload);
    let object = MappedObject { external_id: None, payload, hash };
    MappedRecord { key: key.to_owned(), outcome: MappedOutcome::Objects(vec![object]) }
}

async fn what_is_found_is_what_the_condition_holds_of(url: &str) {
    let it = Mapped::new(url).await;
    let rows: Vec<(String, Value)> = (0..)
        .zip(values())
        .map(|(number, value)| (format!("{number:03}"), json!({ "a": value, "x\"y": number })))
        .collect();
    it.commit(0, 1, rows.iter().map(|(key, row)| says(key, row)).collect()).await;
    let mut random = Random::from_seed(11);
    let mut hits = 0;
    for _ in 0..200 {
        let condition = condition(&mut random, 2);
        let reference = Condition::parse(&condition).unwrap();
        let expected: Vec<&str> =
            rows.iter().filter(|(_, row)| reference.holds(row)).map(|(key, _)| &**key).collect();
        assert_eq!(found(&it, &search(&it, &condition)).await, expected, "{condition}");
        hits += expected.len();
    }
    assert!(hits > 600, "{hits}");
}

async fn a_search_goes_on_page_by_page_within_model_and_tenant(url: &str) {
    let it = Mapped::new(url).await;
    let rows = (0..1_300).map(|n| says(&format!("{n:05}"), &json!({ "n": n, "odd": n % 2 == 1 })));
    it.commit(0, 1, rows.collect()).await;
    it.commit(1, 2, (1_200..1_300).map(|n| gone(&format!("{n:05}"))).collect()).await;
    let odd = EntitySearch { limit: 7, ..search(&it, &json!({ "odd": { "_eq": true } })) };
    let all = found(&it, &odd).await;
    assert_eq!((all.len(), all.is_sorted()), (600, true));
    let time = SearchTime { page: std::time::Duration::ZERO, ..SearchTime::default() };
    let hurried = hurried(url, time).await.mapped();
    let page = hurried.search(&EntitySearch { limit: 1_000, ..odd.clone() }).await.unwrap();
    let rest = EntitySearch { limit: 1_000, after: page.next, ..odd.clone() };
    let rest = hurried.search(&rest).await.unwrap();
    assert_eq!((page.entities.len(), rest.entities.len(), rest.next), (500, 100, None));
    let shown = EntitySearch { deleted: Deleted::Shown, ..odd.clone() };
    assert_eq!(found(&it, &shown).await.len(), 650);
    let own = EntitySearch { activation: Some(it.bench.activation.id), limit: 500, ..odd.clone() };
    assert_eq!(found(&it, &own).await.len(), 600);
    for elsewhere in [
        EntitySearch { activation: Some(id(999)), ..odd.clone() },
        EntitySearch { model: TargetModel::People, ..odd.clone() },
        EntitySearch { visible: Visible::only(it.bench.place.foreign_workspace), ..odd },
    ] {
        assert_eq!(found(&it, &elsewhere).await, [""; 0]);
    }
}
