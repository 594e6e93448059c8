//! Sources that do as they are told.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow_array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringArray, cast::AsArray, types::Int64Type,
};
use futures_util::{FutureExt, future::BoxFuture};
use linkspan_domain::{
    Category, Condition, ConfigSchema, ConnectorTypeManifest, Cursor, ExecutionModel, FieldKind,
    StreamField, StreamSpec,
};
use linkspan_sdk::{
    Batch, BatchSink, Change, CheckOutcome, Definition, Failure, Intake, ReadMode, ReadRequest,
    Runners, SinkRunners, SourceRunners, WriteMode, arrow_schema,
};
use serde_json::json;
use tokio::sync::Notify;

/// One row of a made-up stream: key, cursor and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) id: i64,
    pub(crate) at: Option<i64>,
    pub(crate) text: String,
}

impl Item {
    pub(crate) fn new(id: i64, at: Option<i64>, text: &str) -> Self {
        Self { id, at, text: text.to_owned() }
    }

    /// What a record of it says.
    pub(crate) fn json(&self) -> serde_json::Value {
        json!({ "id": self.id, "at": self.at, "text": self.text })
    }
}

/// The items below, between and from these numbers on.
pub(crate) fn thirds(first: i64, second: i64) -> Vec<Condition> {
    [json!({ "_lt": first }), json!({ "_gte": first, "_lt": second }), json!({ "_gte": second })]
        .map(|it| Condition::parse(&json!({ "id": it })).unwrap())
        .into()
}

/// A stream of [`Item`]s that `id` names and `at` orders.
pub(crate) fn spec(name: &str) -> StreamSpec {
    let field = |name: &str, kind| StreamField { name: name.to_owned(), kind, nullable: true };
    StreamSpec {
        name: name.parse().unwrap(),
        fields: vec![
            field("id", FieldKind::Integer),
            field("at", FieldKind::Integer),
            field("text", FieldKind::Text),
        ],
        primary_key: vec!["id".to_owned()],
        cursor_candidates: vec!["at".to_owned()],
        supports_incremental: true,
    }
}

/// The items as a batch of the stream.
pub(crate) fn batch(items: &[Item]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(items.iter().map(|it| it.id))),
        Arc::new(items.iter().map(|it| it.at).collect::<Int64Array>()),
        Arc::new(StringArray::from_iter_values(items.iter().map(|it| it.text.as_str()))),
    ];
    RecordBatch::try_new(arrow_schema(&spec("items")), columns).unwrap()
}

/// Sends what `request` asks for out of `items`, as a source keeps its contract, `size` at a time.
pub(crate) async fn send(
    mut items: Vec<Item>,
    request: &ReadRequest,
    size: usize,
    out: &mut BatchSink,
) -> Result<(), Failure> {
    items.retain(|it| request.filter.iter().all(|part| part.holds(&it.json())));
    let is_incremental = matches!(request.mode, ReadMode::Incremental { .. });
    if let ReadMode::Incremental { after, .. } = &request.mode {
        let after = after.as_ref().map(|it| it.to_string().parse::<i64>().unwrap());
        items.retain(|it| it.at.is_none() || it.at >= after);
        // Nulls first, which `None` is.
        items.sort_by_key(|it| it.at);
    }
    for part in items.chunks(size) {
        let cursor = part.last().and_then(|it| it.at).filter(|_| is_incremental);
        let cursor = cursor.map(Cursor::Int);
        out.send(Batch::new(batch(part), cursor)).await?;
    }
    Ok(())
}

type Discover = dyn Fn() -> Result<Vec<StreamSpec>, Failure> + Send + Sync;
type Read = dyn Fn(ReadRequest, BatchSink) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync;

/// A connector type that discovers and reads so.
pub(crate) fn definition(discover: Arc<Discover>, read: Arc<Read>) -> Definition {
    split(discover, read, Vec::new())
}

/// The same, whose streams are split so.
pub(crate) fn split(discover: Arc<Discover>, read: Arc<Read>, parts: Vec<Condition>) -> Definition {
    let manifest = ConnectorTypeManifest {
        key: "made_up".parse().unwrap(),
        aliases: Vec::new(),
        version: semver::Version::new(1, 0, 0),
        title: "Made up".to_owned(),
        description: String::new(),
        category: Category::Core,
        tags: Vec::new(),
        icon: None,
        docs_url: None,
        config_schema: ConfigSchema::new(json!({ "type": "object" })).unwrap(),
        capabilities: Vec::new(),
        commands: Vec::new(),
        is_queryable: false,
        is_mock: false,
        execution_model: ExecutionModel::BuiltIn,
    };
    let runners = Runners {
        check: Arc::new(|_, _| async { Ok(CheckOutcome::ok("fine")) }.boxed()),
        source: Some(SourceRunners {
            discover: Arc::new(move |_, _| {
                let found = discover();
                async { found.map(Into::into) }.boxed()
            }),
            read: Arc::new(move |_, request, _, out| read(request, out)),
            push_down: None,
            split: Some(Arc::new(move |_, _, most, _| {
                let parts = parts.iter().take(most).cloned().collect();
                async { Ok(parts) }.boxed()
            })),
        }),
        sink: None,
        commands: std::collections::BTreeMap::new(),
    };
    Definition::new(manifest, runners)
}

/// What a made-up system holds, and what it does on the way there.
#[derive(Default)]
pub(crate) struct System {
    /// Texts by id.
    pub(crate) held: Mutex<BTreeMap<i64, Option<String>>>,
    /// How many changes it has taken, in all.
    pub(crate) taken: AtomicU64,
    /// After so many of them it fails once. 0: never.
    pub(crate) fails_after: AtomicU64,
    /// The text of records that it refuses.
    pub(crate) refuses: Mutex<Option<String>>,
    /// What tells it from a system that takes its place.
    pub(crate) target: Mutex<Option<String>>,
    /// How often it was opened.
    pub(crate) opened: AtomicU64,
}

/// A sink that writes into `system`, and says so after each change.
pub(crate) fn system(system: Arc<System>) -> Definition {
    let write = move |mut intake: Intake| {
        let system = Arc::clone(&system);
        async move {
            system.opened.fetch_add(1, Ordering::SeqCst);
            let target = system.target.lock().unwrap().clone();
            if let Some(target) = target {
                intake.opened(target);
            }
            while let Some(change) = intake.next().await? {
                let taken = system.taken.fetch_add(1, Ordering::SeqCst) + 1;
                if taken == system.fails_after.load(Ordering::SeqCst) {
                    return Err(Failure::unavailable("the system", "it fell over"));
                }
                for row in system.apply(&change) {
                    let reason = Failure::Refused("it is no good".to_owned());
                    intake.refuse(row, reason)?;
                }
                intake.confirm();
            }
            Ok(())
        }
        .boxed()
    };
    sink(Arc::new(write))
}

/// When a sink that gathers changes writes what it has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gathering {
    /// Whenever it is asked to, and goes on.
    UntilAsked,
    /// At its end.
    UntilItsEnd,
}

/// A sink that gathers changes before it writes them into `system`. `files` are how many records it wrote at a time.
pub(crate) fn gathering(
    system: Arc<System>,
    until: Gathering,
    files: Arc<Mutex<Vec<usize>>>,
) -> Definition {
    let write = move |mut intake: Intake| {
        let (system, files) = (Arc::clone(&system), Arc::clone(&files));
        async move {
            system.opened.fetch_add(1, Ordering::SeqCst);
            loop {
                let mut gathered = Vec::new();
                while let Some(change) = intake.next().await? {
                    gathered.push(change);
                }
                if gathered.is_empty() {
                    return Ok(());
                }
                files.lock().unwrap().push(gathered.iter().map(|it| it.records().num_rows()).sum());
                for change in &gathered {
                    system.apply(change);
                }
                match until {
                    Gathering::UntilAsked => intake.confirm(),
                    Gathering::UntilItsEnd => return Ok(()),
                }
            }
        }
        .boxed()
    };
    sink(Arc::new(write))
}

type Write = dyn Fn(Intake) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync;

/// A connector type that writes so.
fn sink(write: Arc<Write>) -> Definition {
    let definition = items(&["items"], Vec::new());
    let sink = SinkRunners {
        modes: vec![WriteMode::Upsert],
        read_as: Clone::clone,
        accepts: |_| Ok(()),
        write: Arc::new(move |_, _, _, intake| write(intake)),
    };
    let runners = Runners {
        check: Arc::new(|_, _| async { Ok(CheckOutcome::ok("fine")) }.boxed()),
        source: None,
        sink: Some(sink),
        commands: BTreeMap::new(),
    };
    Definition::new((*definition.manifest).clone(), runners)
}

impl System {
    /// Answers the rows that it bad.
    fn apply(&self, change: &Change) -> Vec<usize> {
        let records = change.records();
        let ids = records.column(0).as_primitive::<Int64Type>();
        let mut held = self.held.lock().unwrap();
        let bad = self.refuses.lock().unwrap();
        let mut refused = Vec::new();
        for row in 0..records.num_rows() {
            let id = ids.value(row);
            match change {
                Change::Put(_) => {
                    let texts = records.column(2).as_string::<i32>();
                    let text = texts.is_valid(row).then(|| texts.value(row).to_owned());
                    if text.is_some() && text == *bad {
                        refused.push(row);
                    } else {
                        held.insert(id, text);
                    }
                }
                Change::Remove(_) => drop(held.remove(&id)),
            }
        }
        refused
    }

    pub(crate) fn texts(&self) -> Vec<(i64, String)> {
        let held = self.held.lock().unwrap();
        held.iter().map(|(id, text)| (*id, text.clone().unwrap_or_default())).collect()
    }
}

/// A source of the streams `names`, all with the same items.
pub(crate) fn items(names: &'static [&'static str], items: Vec<Item>) -> Definition {
    let read = move |request, mut out| {
        let items = items.clone();
        async move { send(items, &request, 3, &mut out).await }.boxed()
    };
    definition(Arc::new(move || Ok(names.iter().copied().map(spec).collect())), Arc::new(read))
}

/// A source of so many items, which come in large batches.
pub(crate) fn many(count: i64) -> Definition {
    let read = move |request, mut out| {
        async move { send(numbered(0..count), &request, 5_000, &mut out).await }.boxed()
    };
    definition(Arc::new(|| Ok(vec![spec("items")])), Arc::new(read))
}

/// Items with the numbers of `range`, which are their marks too.
pub(crate) fn numbered(range: std::ops::Range<i64>) -> Vec<Item> {
    range.map(|it| Item::new(it, Some(it), &format!("item {it}"))).collect()
}

/// A source that says when it has sent its first items, and sends the rest when it may.
pub(crate) fn halting() -> (Definition, Arc<Notify>, Arc<Notify>) {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let read = {
        let (reached, go_on) = (Arc::clone(&reached), Arc::clone(&go_on));
        move |request: linkspan_sdk::ReadRequest, mut out| {
            let (reached, go_on) = (Arc::clone(&reached), Arc::clone(&go_on));
            async move {
                send(numbered(0..6), &request, 3, &mut out).await?;
                reached.notify_one();
                go_on.notified().await;
                send(numbered(6..12), &request, 3, &mut out).await
            }
            .boxed()
        }
    };
    (definition(Arc::new(|| Ok(vec![spec("items")])), Arc::new(read)), reached, go_on)
}
