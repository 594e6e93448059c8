//! What filters, changes of schemas and lags mean to runs.

use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures_util::FutureExt;
use linkspan_domain::{
    Condition, Deleted, DiagnosticReason, FieldKind, ListQuery, RunOutcome, SchemaPolicy,
    StreamField, StreamSettings, StreamSpec, SyncMode, Visible, ports::Change,
};
use linkspan_sdk::{
    Batch, Definition, Pushed, ReadMode, ReadRequest, Runners, SourceRunners, Statement,
    arrow_schema,
};
use linkspan_testkit::fixtures::receipt;
use serde_json::{Value, json};

use crate::{
    bench::{Bench, for_both, on_sqlite, settings},
    made_up::{Item, definition, items, numbered, send, spec},
};

impl Bench {
    pub(crate) fn filter(&self, condition: &Value) {
        *self.opener.filter.lock().unwrap() = Some(Condition::parse(condition).unwrap());
    }

    /// Reasons and details of what was noted, in no particular order.
    pub(crate) async fn noted(&self) -> Vec<(DiagnosticReason, String)> {
        let visible = Visible::only(self.activation.workspace_id);
        let page = self.db.diagnostics().list(&visible, &ListQuery::default()).await.unwrap();
        let mut all: Vec<_> =
            page.into_resources().into_iter().map(|it| (it.reason, it.detail)).collect();
        all.sort();
        all
    }

    pub(crate) async fn set(&self, change: impl FnOnce(&mut StreamSettings)) {
        let store = self.db.workspace_connectors();
        let visible = Visible::only(self.activation.workspace_id);
        let mut stored = store.find(&visible, self.activation.id).await.unwrap().unwrap();
        change(&mut stored.streams[0]);
        let mut receipt = receipt(50, None);
        receipt.audit.id = linkspan_domain::AuditEventId::from_uuid(uuid::Uuid::new_v4());
        store.write(&[Change::Update(stored)], &receipt).await.unwrap();
    }
}

fn ids(range: std::ops::Range<i64>) -> Vec<Value> {
    numbered(range).iter().map(Item::json).collect()
}

async fn kept(bench: &Bench) -> Vec<Value> {
    let records = bench.records("items", Deleted::Hidden).await;
    let mut all: Vec<Value> =
        records.iter().map(|it| serde_json::from_str(it.payload.get()).unwrap()).collect();
    all.sort_by_key(|it| it["id"].as_i64());
    all
}

#[tokio::test]
async fn only_what_passes_is_stored_and_what_passes_no_more_goes() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], numbered(0..25))).await;
        bench.filter(&json!({ "id": { "_gte": 20 } }));
        let counts = bench.sync(SyncMode::Full).await.counts;
        assert_eq!((counts.read, counts.written), (5, 5));
        assert_eq!(kept(&bench).await, ids(20..25));
        assert_eq!(bench.noted().await, []);

        bench.filter(&json!({ "id": { "_lt": 22 } }));
        let counts = bench.sync(SyncMode::Full).await.counts;
        assert_eq!((counts.written, counts.unchanged, counts.deleted), (20, 2, 3));
        assert_eq!(kept(&bench).await, ids(0..22));
    })
    .await;
}

#[tokio::test]
async fn of_several_records_with_one_key_the_last_counts_also_where_it_does_not_pass() {
    for mode in [SyncMode::Full, SyncMode::Incremental] {
        for_both(|url| async move {
            let mut all = numbered(0..25);
            all.push(Item::new(3, Some(40), "now secret"));
            all.push(Item::new(4, Some(41), "now secret"));
            all.push(Item::new(4, Some(42), "no more"));
            let bench = Bench::new(&url, items(&["items"], all)).await;
            bench.filter(&json!({ "text": { "_nlike": "%secret%" } }));
            for _ in 0..2 {
                assert_eq!(bench.sync(mode).await.error, None);
                let kept = kept(&bench).await;
                assert_eq!(kept.len(), 24, "{mode}");
                assert!(kept.iter().all(|it| it["id"] != 3), "{mode}: the last of it is secret");
                assert_eq!(kept[3]["text"], "no more", "{mode}");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_incremental_run_buries_a_known_record_that_passes_no_more() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], numbered(0..25))).await;
        bench.filter(&json!({ "text": { "_nlike": "%secret%" } }));
        bench.sync(SyncMode::Incremental).await;
        assert_eq!(kept(&bench).await.len(), 25);

        let mut changed = numbered(0..27);
        changed[3] = Item::new(3, Some(30), "now secret");
        changed[26].text = "secret from the start".to_owned();
        bench.serve(items(&["items"], changed));
        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.written, counts.deleted), (1, 1));
        let left = kept(&bench).await;
        assert_eq!(left.len(), 25);
        assert!(left.iter().all(|it| it["id"] != 3 && it["id"] != 26));
        assert_eq!(bench.mark("items").await.as_deref(), Some("30"), "the mark covers them too");
    })
    .await;
}

#[tokio::test]
async fn another_filter_makes_an_incremental_run_a_full_one() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, items(&["items"], numbered(0..25))).await;
        bench.filter(&json!({ "id": { "_gte": 20 } }));
        bench.sync(SyncMode::Incremental).await;
        assert_eq!(kept(&bench).await, ids(20..25));

        bench.filter(&json!({ "id": { "_lt": 21 } }));
        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.written, counts.unchanged, counts.deleted), (20, 1, 4));
        assert_eq!(bench.noted().await[0].0, DiagnosticReason::FilterChanged);
        let again = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((again.written, again.deleted), (0, 0), "once is enough");
        assert_eq!(bench.noted().await.len(), 1);
    })
    .await;
}

/// A source that takes over all parts of a filter, and remembers what it was asked to read.
fn taking_over(all: Vec<Item>, asked: Arc<Mutex<Vec<ReadRequest>>>) -> Definition {
    let plain = items(&["items"], Vec::new());
    let read = move |_: Value, request: ReadRequest, _, mut out| {
        asked.lock().unwrap().push(request.clone());
        let mut all = all.clone();
        all.retain(|item| request.filter.iter().all(|it| it.holds(&item.json())));
        async move { send(all, &request, 3, &mut out).await }.boxed()
    };
    let discover = |_, _| async { Ok(vec![spec("items")].into()) }.boxed();
    let push_down = |_: Value, _, parts: Vec<Condition>, _| {
        let statement = Statement { text: "as it is".to_owned(), values: Vec::new() };
        async move { Ok(vec![Pushed::Exactly(statement); parts.len()]) }.boxed()
    };
    let source = SourceRunners {
        discover: Arc::new(discover),
        read: Arc::new(read),
        push_down: Some(Arc::new(push_down)),
        split: None,
    };
    let check = |_, _| async { Ok(linkspan_sdk::CheckOutcome::ok("fine")) }.boxed();
    let runners = Runners {
        check: Arc::new(check),
        source: Some(source),
        sink: None,
        commands: std::collections::BTreeMap::new(),
    };
    Definition::new((*plain.manifest).clone(), runners)
}

#[tokio::test]
async fn a_source_filters_until_a_known_record_might_pass_no_more() {
    on_sqlite(|url| async move {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let source = taking_over(numbered(0..25), Arc::clone(&asked));
        let bench = Bench::new(&url, source).await;
        bench.filter(&json!({ "id": { "_gte": 20 } }));
        for mode in [SyncMode::Incremental, SyncMode::Incremental, SyncMode::Full] {
            bench.sync(mode).await;
            assert_eq!(kept(&bench).await, ids(20..25));
        }
        let asked = asked.lock().unwrap();
        let parts: Vec<_> = asked.iter().map(|it| it.filter.len()).collect();
        assert_eq!(parts, [1, 0, 1]);
    })
    .await;
}

#[tokio::test]
async fn a_filter_that_no_stream_can_be_asked_fails_the_run() {
    for wrong in [json!({ "nmae": { "_eq": "x" } }), json!({ "id": { "_eq": "x" } })] {
        on_sqlite(|url| async move {
            let bench = Bench::new(&url, items(&["a", "b"], numbered(0..5))).await;
            bench.filter(&wrong);
            let (code, message) = bench.sync(SyncMode::Full).await.error.unwrap();
            assert_eq!(code, "connector_filter.invalid_condition", "{message}");
            assert_eq!(bench.records("a", Deleted::Hidden).await.len(), 0);
        })
        .await;
    }
}

/// A stream of `id`, and a second field of another name and kind, in `rows` of texts.
fn shaped(field: &'static str, kind: FieldKind, key: &'static [&'static str]) -> Definition {
    let spec = StreamSpec {
        fields: vec![
            StreamField { name: "id".to_owned(), kind: FieldKind::Integer, nullable: true },
            StreamField { name: "at".to_owned(), kind: FieldKind::Integer, nullable: true },
            StreamField { name: field.to_owned(), kind, nullable: true },
        ],
        primary_key: key.iter().map(|it| (*it).to_owned()).collect(),
        ..spec("items")
    };
    let schema = arrow_schema(&spec);
    let read = move |_, mut out: linkspan_sdk::BatchSink| {
        let third: ArrayRef = match kind {
            FieldKind::Integer => Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])),
            _ => Arc::new(StringArray::from(vec![Some("1"), None, Some("three")])),
        };
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let columns = vec![Arc::clone(&numbers), numbers, third];
        let records = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        async move { out.send(Batch::new(records, None)).await }.boxed()
    };
    definition(Arc::new(move || Ok(vec![spec.clone()])), Arc::new(read))
}

/// What becomes of a stream whose field `n` was a number and is a text, under a policy.
async fn changed(url: &str, policy: SchemaPolicy) -> (Bench, RunOutcome) {
    let bench = Bench::new(url, shaped("n", FieldKind::Integer, &["id"])).await;
    bench.set(|it| it.schema_policy = policy).await;
    bench.sync(SyncMode::Full).await;
    assert_eq!(bench.noted().await, []);
    bench.serve(shaped("n", FieldKind::Text, &["id"]));
    let outcome = bench.sync(SyncMode::Full).await;
    (bench, outcome)
}

const WIDENED: &str = "the field `n` was widened from integer to text";

#[tokio::test]
async fn a_schema_that_changes_is_noted_and_taken_as_it_is() {
    on_sqlite(|url| async move {
        let (bench, outcome) = changed(&url, SchemaPolicy::Evolve).await;
        assert_eq!(outcome.error, None);
        assert_eq!(kept(&bench).await[0]["n"], "1");
        assert_eq!(bench.noted().await, [(DiagnosticReason::SchemaDrift, WIDENED.to_owned())]);
        bench.sync(SyncMode::Full).await;
        assert_eq!(bench.noted().await.len(), 1, "once is enough");

        bench.serve(items(&["other"], numbered(0..1)));
        bench.sync(SyncMode::Full).await;
        let removed = (DiagnosticReason::SchemaDrift, "the stream was removed".to_owned());
        assert!(bench.noted().await.contains(&removed));
    })
    .await;
}

#[tokio::test]
async fn values_of_two_kinds_are_not_mixed() {
    for_both(|url| async move {
        let bench = Bench::new(&url, shaped("n", FieldKind::Integer, &["id"])).await;
        bench.sync(SyncMode::Incremental).await;
        assert_eq!(bench.state("items").await.unwrap().loaded_by, None);
        bench.serve(shaped("n", FieldKind::Text, &["id"]));
        assert_eq!(bench.sync(SyncMode::Incremental).await.error, None);
        let state = bench.state("items").await.unwrap();
        assert!(state.loaded_by.is_some(), "the stream was read in full");
        bench.sync(SyncMode::Incremental).await;
        assert_eq!(bench.state("items").await.unwrap().loaded_by, state.loaded_by);
    })
    .await;
}

#[tokio::test]
async fn a_frozen_schema_fails_its_stream() {
    on_sqlite(|url| async move {
        let (bench, outcome) = changed(&url, SchemaPolicy::Freeze).await;
        let (code, message) = outcome.error.unwrap();
        assert_eq!(code, "sync.schema_frozen");
        assert!(message.contains(WIDENED), "{message}");
        assert_eq!(kept(&bench).await[0]["n"], 1, "nothing was touched");
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_a_schema_is_left_out_by_value_or_by_record() {
    on_sqlite(|url| async move {
        let (bench, outcome) = changed(&url, SchemaPolicy::DiscardValue).await;
        assert_eq!(outcome.error, None);
        let values: Vec<_> = kept(&bench).await.iter().map(|it| it["n"].clone()).collect();
        assert_eq!(values, [json!(1), json!(null), json!(null)]);
        let lost = "1 record: the field `n` is to hold integer";
        let noted = bench.noted().await;
        assert!(noted.contains(&(DiagnosticReason::ValuesDiscarded, lost.to_owned())), "{noted:?}");
    })
    .await;
    on_sqlite(|url| async move {
        let (bench, outcome) = changed(&url, SchemaPolicy::DiscardRow).await;
        assert_eq!((outcome.counts.deleted, outcome.error), (0, None));
        let left: Vec<_> = kept(&bench).await.iter().map(|it| it["id"].clone()).collect();
        assert_eq!(left, [1, 2, 3], "what is left out stays as it was, since the source has it");
    })
    .await;
}

#[tokio::test]
async fn another_primary_key_does_not_double_the_records() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, shaped("n", FieldKind::Integer, &["id"])).await;
        bench.sync(SyncMode::Incremental).await;
        bench.serve(shaped("n", FieldKind::Integer, &["id", "at"]));
        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.written, counts.deleted), (3, 3));
        assert_eq!(bench.records("items", Deleted::Hidden).await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_lag_reads_again_what_is_just_before_the_mark() {
    on_sqlite(|url| async move {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let bench = Bench::new(&url, taking_over(numbered(0..25), Arc::clone(&asked))).await;
        bench.set(|it| *it = StreamSettings { lag: Some(10), ..settings(Some("0")) }).await;
        bench.sync(SyncMode::Incremental).await;
        assert_eq!(bench.mark("items").await.as_deref(), Some("24"));
        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.written, counts.unchanged), (0, 11));
        assert_eq!(bench.mark("items").await.as_deref(), Some("24"), "the mark does not go back");
        let from: Vec<_> = asked
            .lock()
            .unwrap()
            .iter()
            .map(|it| match &it.mode {
                ReadMode::Incremental { after, .. } => after.as_ref().map(ToString::to_string),
                ReadMode::Full => None,
            })
            .collect();
        assert_eq!(from, [Some("0".to_owned()), Some("14".to_owned())]);
    })
    .await;
}
