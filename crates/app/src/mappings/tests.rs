//! Mappings: what is accepted, and what becomes of proposals.

use async_trait::async_trait;
use linkspan_domain::{
    Condition, Confidence, EntityId, EntitySource, Problem, Role, Visible,
    ports::{Change, StoreError},
};
use linkspan_sdk::{
    ActiveMapping, BehindQuery, ChangesQuery, Checkpoint, Committed, ContentHash, EntityFeedPage,
    EntityFeedQuery, EntityPage, EntitySearch, FeedPage, FeedQuery, Finish, Kept as KeptPage, Load,
    LoadPart, MappedPage, Opening, QuarantineQuery, Quarantined, Record, RecordChange, RecordQuery,
    RecordSearch, Reversal, SearchPage, StreamCounts,
};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::*;
use crate::fixtures::{
    Kept, NOW, activation, call, code, connector, id, keep, own_workspace, sources, world,
};

/// Records of every stream, and nothing else.
#[derive(Default)]
pub(crate) struct Samples(pub(crate) Vec<&'static str>);

fn nothing<T>() -> Result<T, StoreError> {
    Err(StoreError::Dangling)
}

#[async_trait]
impl RecordStore for Samples {
    async fn open_stream(&self, _: &Opening) -> Result<Load, StoreError> {
        nothing()
    }

    async fn commit(&self, _: &Checkpoint) -> Result<Committed, StoreError> {
        nothing()
    }

    async fn plan_parts(
        &self,
        _: &Load,
        _: &[Condition],
    ) -> Result<Option<Vec<LoadPart>>, StoreError> {
        nothing()
    }

    async fn finish_part(&self, _: &Load, _: i32) -> Result<(), StoreError> {
        nothing()
    }

    async fn finish_stream(&self, _: &Finish) -> Result<u64, StoreError> {
        nothing()
    }

    async fn page(&self, _: &RecordQuery) -> Result<Vec<Record>, StoreError> {
        let record = |(index, payload): (usize, &&str)| Record {
            key: index.to_string(),
            payload: RawValue::from_string((*payload).to_owned()).unwrap(),
            hash: ContentHash::of(payload),
            run: None,
            first_seen_at: NOW,
            last_seen_at: NOW,
            stale_since: None,
            deleted_at: None,
        };
        Ok(self.0.iter().enumerate().map(record).collect())
    }

    async fn changes(&self, _: &ChangesQuery) -> Result<Vec<RecordChange>, StoreError> {
        nothing()
    }

    async fn feed(&self, _: &FeedQuery) -> Result<FeedPage, StoreError> {
        nothing()
    }

    async fn search(&self, _: &RecordSearch) -> Result<SearchPage, StoreError> {
        nothing()
    }

    async fn behind(&self, _: &BehindQuery) -> Result<Vec<String>, StoreError> {
        nothing()
    }

    async fn quarantined(&self, _: &QuarantineQuery) -> Result<Vec<Quarantined>, StoreError> {
        nothing()
    }

    async fn counts(&self, _: WorkspaceConnectorId) -> Result<Vec<StreamCounts>, StoreError> {
        nothing()
    }
}

/// The versions of every mapping, and nothing else.
#[derive(Default)]
pub(crate) struct Versions(pub(crate) Vec<MappingVersion>);

#[async_trait]
impl EntityStore for Versions {
    async fn active(
        &self,
        _: WorkspaceConnectorId,
        _: &StreamName,
    ) -> Result<Vec<ActiveMapping>, StoreError> {
        nothing()
    }

    async fn commit(&self, _: &MappedPage) -> Result<KeptPage, StoreError> {
        nothing()
    }

    async fn revert(&self, _: &Reversal) -> Result<KeptPage, StoreError> {
        nothing()
    }

    async fn versions(&self, _: ConnectorMappingId) -> Result<Vec<MappingVersion>, StoreError> {
        Ok(self.0.clone())
    }

    async fn unmapped(
        &self,
        _: ConnectorMappingId,
        _: Option<i64>,
        _: u32,
    ) -> Result<Vec<UnmappedRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn sources(&self, _: EntityId, _: &Visible) -> Result<Vec<EntitySource>, StoreError> {
        Ok(Vec::new())
    }

    async fn withdraw(&self, _: OffsetDateTime) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    async fn feed(&self, _: &EntityFeedQuery) -> Result<EntityFeedPage, StoreError> {
        nothing()
    }

    async fn search(&self, _: &EntitySearch) -> Result<EntityPage, StoreError> {
        nothing()
    }

    async fn outdate(
        &self,
        _: WorkspaceConnectorId,
        _: &StreamName,
        _: OffsetDateTime,
    ) -> Result<Vec<ConnectorMappingId>, StoreError> {
        nothing()
    }
}

/// Mappings over `kept`, of an activation whose streams have `samples`.
pub(crate) fn mappings(kept: &Kept<ConnectorMapping>, samples: &[&'static str]) -> Mappings {
    let versions = vec![MappingVersion {
        connector_mapping_id: id(60),
        version: 1,
        expression: "{}".to_owned(),
        origin: MappingOrigin::Suggested,
        confidence: Some(Confidence::of(0.9)),
        counts: linkspan_domain::MappingCounts::default(),
        created_at: NOW,
    }];
    let models = Models::parse(include_str!("../../../../seeds/models.json")).unwrap();
    let stores = MappingStores {
        mappings: kept.store.clone(),
        activations: keep(vec![activation(|_| {})]).store,
        connectors: keep(vec![connector(|_| {})]).store,
        entities: Arc::new(Versions(versions)),
        records: Arc::new(Samples(samples.to_vec())),
    };
    Mappings::new(stores, Arc::new(models), sources(), world())
}

pub(crate) fn new(expression: &str) -> NewMapping {
    NewMapping {
        workspace_connector_id: id(30),
        stream: "public.orders".parse().unwrap(),
        target_model: TargetModel::People,
        expression: expression.to_owned(),
        status: MappingStatus::Active,
        on_collapse: OnCollapse::Revert,
    }
}

fn mapping(change: impl FnOnce(&mut ConnectorMapping)) -> ConnectorMapping {
    let mut mapping = ConnectorMapping {
        id: id(60),
        revision: Revision::from_number(3),
        workspace_connector_id: id(30),
        workspace_id: own_workspace(),
        stream: "public.orders".parse().unwrap(),
        target_model: TargetModel::People,
        expression: "{\"external_id\": \"1\"}".to_owned(),
        version: 2,
        origin: MappingOrigin::Written,
        confidence: None,
        status: MappingStatus::Active,
        needs_regeneration: true,
        on_collapse: OnCollapse::Revert,
        last_persist_count: 7,
        created_at: NOW,
        updated_at: NOW,
        deleted_at: None,
    };
    change(&mut mapping);
    mapping
}

fn changed(kept: &Kept<ConnectorMapping>) -> ConnectorMapping {
    match kept.change() {
        Change::Update(it) | Change::Insert(it) => it,
        Change::Purge(it) => panic!("{it:?} is purged"),
    }
}

const GOOD: &str = "{\"external_id\": $string(id), \"email\": mail}";

#[tokio::test]
async fn a_mapping_is_kept_if_it_fits_the_records_that_are_there() {
    let samples = ["{\"id\":1,\"mail\":\"a@example.com\"}", "{\"id\":2,\"mail\":null}"];
    for (expression, expected) in [
        (GOOD, "ok"),
        ("{\"external_id\": ", "connector_mapping.invalid_expression"),
        ("{\"email\": mail}", "connector_mapping.does_not_fit"),
        ("{\"external_id\": id}", "connector_mapping.does_not_fit"),
        ("id", "connector_mapping.does_not_fit"),
    ] {
        let kept = keep(Vec::new());
        let made = mappings(&kept, &samples).create(&call(Role::Designer), new(expression)).await;
        assert_eq!(kept.is_untouched(), expected != "ok");
        assert_eq!(code(made), expected, "{expression}");
    }
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_not_mapped() {
    let create = async |stream: &str, samples| {
        let mapping = NewMapping { stream: stream.parse().unwrap(), ..new(GOOD) };
        mappings(&keep(Vec::new()), samples).create(&call(Role::Designer), mapping).await
    };
    assert_eq!(code(create("files", &[]).await), "ok");
    let error = create("file", &[]).await.unwrap_err();
    assert_eq!(error.code().to_string(), "resource.invalid");
    assert_eq!(error.pointer().as_deref(), Some("/data/attributes/stream"));
    assert!(error.to_string().contains("`files`"), "{error}");
    let has_records = create("file", &["{\"id\":1,\"mail\":null}"]).await;
    assert_eq!(code(has_records), "ok", "it was there");
}

#[tokio::test]
async fn what_does_not_fit_is_named_without_its_values() {
    let samples = ["{\"id\":1,\"mail\":\"not an address\"}"];
    let error =
        mappings(&keep(Vec::new()), &samples).create(&call(Role::Designer), new(GOOD)).await;
    let error = error.unwrap_err();
    assert_eq!(error.pointer().as_deref(), Some("/data/attributes/expression"));
    let said = error.to_string();
    assert!(said.contains("`email` is not a valid email"), "{said}");
    assert!(!said.contains("not an address"), "{said}");
}

#[tokio::test]
async fn another_expression_is_another_version() {
    let kept = keep(vec![mapping(|_| {})]);
    let patch = MappingPatch { expression: Some(GOOD.to_owned()), ..MappingPatch::default() };
    mappings(&kept, &[]).update(&call(Role::Designer), id(60), None, patch).await.unwrap();
    let now = changed(&kept);
    assert_eq!((now.version, now.origin), (3, MappingOrigin::Written));
    assert!(!now.needs_regeneration, "somebody looked at it");

    let same = keep(vec![mapping(|_| {})]);
    let expression = Some(mapping(|_| {}).expression);
    let patch = MappingPatch { expression, ..MappingPatch::default() };
    mappings(&same, &[]).update(&call(Role::Designer), id(60), None, patch).await.unwrap();
    assert!(same.is_untouched());
}

#[tokio::test]
async fn going_back_is_a_version_too() {
    let kept = keep(vec![mapping(|_| {})]);
    let mappings = mappings(&kept, &[]);
    mappings.revert(&call(Role::Designer), id(60), None, 1).await.unwrap();
    let now = changed(&kept);
    assert_eq!((now.version, now.expression.as_str()), (3, "{}"));
    assert_eq!(now.origin, MappingOrigin::Reverted);
    assert_eq!(kept.act().0, "connector_mapping.reverted");
    let absent = mappings.revert(&call(Role::Designer), id(60), None, 9).await;
    assert_eq!(code(absent), "resource.not_found");
}

#[tokio::test]
async fn a_dry_run_keeps_nothing_and_tells_each_row() {
    let kept = keep(vec![mapping(|_| {})]);
    let mappings = mappings(&kept, &["{\"id\":1}", "{\"id\":{}}"]);
    let run = DryRun {
        of: DryRunOf::Kept(id(60)),
        expression: Some("{\"external_id\": $string(id - 0)}".to_owned()),
        records: None,
    };
    let done = mappings.dry_run(&call(Role::Designer), run.clone()).await.unwrap();
    assert_eq!(done.rows.len(), 2);
    assert_eq!(done.rows[0].objects, [json!({ "external_id": "1" })]);
    assert_eq!(done.rows[1].record_key.as_deref(), Some("1"));
    assert!(done.rows[1].error.is_some());
    assert!(kept.is_untouched());

    let draft = DryRunOf::Draft { target_model: TargetModel::People, stream: None };
    let run = DryRun { of: draft, ..run };
    let done = mappings.dry_run(&call(Role::Designer), run).await;
    assert_eq!(code(done), "resource.invalid");
}

/// People as a table has them.
const PEOPLE: [&str; 2] = [
    "{\"id\":1,\"first_name\":\"Ada\",\"last_name\":\"L.\",\"email\":\"ada@example.com\",\"phone\":\"+431\"}",
    "{\"id\":2,\"first_name\":\"Grace\",\"last_name\":\"H.\",\"email\":\"g@example.com\",\"phone\":\"+432\"}",
];

async fn suggested(kept: &Kept<ConnectorMapping>) -> Vec<SuggestedMapping> {
    let wanted = SuggestMappings {
        streams: vec!["public.orders".parse().unwrap()],
        target_models: [TargetModel::People].into(),
    };
    mappings(kept, &PEOPLE).suggest(&call(Role::Designer), id(30), wanted).await.unwrap()
}

#[tokio::test]
async fn a_proposal_becomes_what_its_confidence_says_in_one_write() {
    let kept = keep(Vec::new());
    let suggested = suggested(&kept).await;
    assert_eq!(suggested.len(), 1);
    let it = &suggested[0];
    match it.outcome {
        Suggested::Refused => assert!(kept.is_untouched() && it.confidence < Confidence::of(0.55)),
        outcome => {
            let made = changed(&kept);
            assert_eq!(made.status == MappingStatus::Active, outcome == Suggested::Applied);
            assert_eq!(
                (made.origin, made.confidence),
                (MappingOrigin::Suggested, Some(it.confidence))
            );
            assert_eq!(kept.act().0, "workspace_connector.mappings_suggested");
        }
    }
}

#[tokio::test]
async fn what_a_person_wrote_stays() {
    let kept = keep(vec![mapping(|_| {})]);
    let suggested = suggested(&kept).await;
    assert!(kept.is_untouched());
    assert!(matches!(suggested[0].outcome, Suggested::Kept | Suggested::Refused));
    assert_eq!(suggested[0].connector_mapping_id, Some(id(60)));
}

#[tokio::test]
async fn only_streams_that_are_there_are_looked_at() {
    let wanted =
        SuggestMappings { streams: vec!["absent".parse().unwrap()], ..SuggestMappings::default() };
    let suggested =
        mappings(&keep(Vec::new()), &[]).suggest(&call(Role::Designer), id(30), wanted).await;
    assert_eq!(code(suggested), "resource.invalid");
}
