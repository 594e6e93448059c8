//! Writing records into a system.

use std::fmt;

use arrow_array::RecordBatch;
use futures_util::{FutureExt, future::BoxFuture};
use linkspan_domain::StreamSpec;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::DropGuard;

use crate::{ConnectorType, Cx, Failure};

/// A connector type that takes records.
///
/// # Contract
///
/// - What comes has the columns of [`WriteRequest::stream`], as [`arrow_schema()`](crate::arrow_schema()) makes them;
///   what is removed comes as its primary key alone, in the key's order.
/// - Changes take effect in the order in which they come.
/// - [`write`](Self::write) returns when everything is durable. What is durable earlier may be
///   [confirmed](Intake::confirm): a write that breaks off is begun again from there, so records may come twice.
/// - A write that fails or is dropped leaves nothing half-written: nothing at all when it was to
///   [replace](WriteMode::Replace) or to [append](WriteMode::Append), whole changes when it was to
///   [upsert](WriteMode::Upsert).
/// - Memory is bounded by a few batches: the next is taken when the last is on its way.
/// - Dropping the future stops the work; nothing runs on in the background.
///
/// ```
/// use linkspan_domain::{Capability, Category};
/// use linkspan_sdk::{
///     Change, CheckOutcome, ConnectorType, Cx, Definition, Failure, Intake, Sink, SinkEntry, WriteMode,
///     WriteRequest, sink,
/// };
/// use schemars::JsonSchema;
/// use semver::Version;
/// use serde::Deserialize;
///
/// struct Nowhere;
///
/// /// Takes records, and forgets them.
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {}
///
/// impl ConnectorType for Nowhere {
///     const KEY: &'static str = "nowhere";
///     const TITLE: &'static str = "Nowhere";
///     const VERSION: Version = Version::new(1, 0, 0);
///     const CATEGORY: Category = Category::Test;
///     type Settings = Settings;
///     type Shared = ();
///
///     fn sink() -> Option<SinkEntry<Self>> {
///         Some(sink::<Self>())
///     }
///
///     async fn check(_: &Cx<Self>) -> Result<CheckOutcome, Failure> {
///         Ok(CheckOutcome::ok("there is always room"))
///     }
/// }
///
/// impl Sink for Nowhere {
///     const MODES: &'static [WriteMode] = &[WriteMode::Upsert];
///
///     async fn write(_: &Cx<Self>, _: WriteRequest, intake: &mut Intake) -> Result<(), Failure> {
///         while let Some(change) = intake.next().await? {
///             match change {
///                 Change::Put(records) => println!("{} records", records.num_rows()),
///                 Change::Remove(keys) => println!("{} are gone", keys.num_rows()),
///             }
///             // As durable as it gets.
///             intake.confirm();
///         }
///         Ok(())
///     }
/// }
///
/// let nowhere = Definition::of::<Nowhere>();
/// assert!(nowhere.manifest.can(Capability::Write));
/// assert_eq!(nowhere.write_modes(), [WriteMode::Upsert]);
/// ```
pub trait Sink: ConnectorType {
    /// What it can do with records.
    const MODES: &'static [WriteMode];

    /// Writes what comes out of `intake`, to its end.
    fn write(
        cx: &Cx<Self>,
        request: WriteRequest,
        intake: &mut Intake,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteRequest {
    /// Which stream: its name says where to, its fields are the columns, its primary key tells records apart.
    pub stream: StreamSpec,
    /// What happens to what is there.
    pub mode: WriteMode,
}

/// What happens to the records that a target holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// They give way to those that come, all at once, when the last has come.
    Replace,
    /// They stay, and the others are added.
    Append,
    /// They stay, unless a record with the same key comes, or the key is removed: the last word on a key counts, and
    /// saying the same again changes nothing.
    Upsert,
}

impl fmt::Display for WriteMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replace => "replace",
            Self::Append => "append",
            Self::Upsert => "upsert",
        })
    }
}

/// Some records of one stream on their way into a system.
#[derive(Clone, Debug)]
pub enum Change {
    /// Records to keep.
    Put(RecordBatch),
    /// The keys of records to remove. Comes in [`WriteMode::Upsert`] only.
    Remove(RecordBatch),
}

impl Change {
    /// The records, or the keys.
    pub const fn records(&self) -> &RecordBatch {
        let (Self::Put(records) | Self::Remove(records)) = self;
        records
    }
}

/// Where a sink takes its changes from. It holds few of them, so whoever sends is never far ahead.
#[derive(Debug)]
pub struct Intake {
    changes: mpsc::Receiver<Passed>,
    taken: u64,
    confirmed: watch::Sender<u64>,
}

/// A change, or that there are no more: a sender that is gone without saying so broke off.
#[derive(Debug)]
enum Passed {
    Change(Change),
    End,
}

/// How many changes wait between whoever sends them and a sink.
const IN_FLIGHT: usize = 2;

impl Intake {
    /// The next change, as soon as it is there; none at the end. [`Failure::Cancelled`] when it broke off before.
    pub async fn next(&mut self) -> Result<Option<Change>, Failure> {
        match self.changes.recv().await {
            Some(Passed::Change(change)) => {
                self.taken += 1;
                Ok(Some(change))
            }
            Some(Passed::End) => Ok(None),
            None => Err(Failure::Cancelled),
        }
    }

    /// Says that every change taken so far is durable.
    pub fn confirm(&mut self) {
        self.confirmed.send_replace(self.taken);
    }
}

/// One write, as whoever has the records sees it. Dropping it breaks the write off.
#[derive(Debug)]
pub struct BatchWriter {
    changes: mpsc::Sender<Passed>,
    confirmed: watch::Receiver<u64>,
    writing: JoinHandle<Result<(), Failure>>,
    _cancel: DropGuard,
}

impl BatchWriter {
    /// Starts `write` as a task of its own.
    pub(crate) fn spawn<F>(cancel: DropGuard, write: impl FnOnce(Intake) -> F) -> Self
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let (sender, changes) = mpsc::channel(IN_FLIGHT);
        let (confirming, confirmed) = watch::channel(0);
        let writing = tokio::spawn(write(Intake { changes, taken: 0, confirmed: confirming }));
        Self { changes: sender, confirmed, writing, _cancel: cancel }
    }

    /// Passes `change` on, as soon as there is room. Fails with what stopped the sink.
    pub async fn send(&mut self, change: Change) -> Result<(), Failure> {
        match self.changes.send(Passed::Change(change)).await {
            Ok(()) => Ok(()),
            // Nobody takes it any more. Why, only the end of the task tells.
            Err(_) => Err(ended(&mut self.writing).await.err().unwrap_or_else(|| defect(None))),
        }
    }

    /// How many of the changes sent are durable. Sinks say so when it suits them, some only at the end.
    pub fn confirmed(&self) -> u64 {
        *self.confirmed.borrow()
    }

    /// Says that there are no more, and returns when everything is durable.
    pub async fn finish(mut self) -> Result<(), Failure> {
        // A sink that is gone already says why below.
        let _ = self.changes.send(Passed::End).await;
        ended(&mut self.writing).await
    }
}

async fn ended(writing: &mut JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    writing.await.unwrap_or_else(|error| Err(defect(Some(error.into()))))
}

fn defect(source: Option<linkspan_domain::ports::Cause>) -> Failure {
    Failure::Defect { doing: "write records", source }
}

type Write<T> =
    for<'a> fn(&'a Cx<T>, WriteRequest, &'a mut Intake) -> BoxFuture<'a, Result<(), Failure>>;

/// The sink half of a connector type.
pub struct SinkEntry<T: ConnectorType> {
    pub(crate) modes: &'static [WriteMode],
    pub(crate) write: Write<T>,
}

/// States that `S` is a sink.
pub fn sink<S: Sink>() -> SinkEntry<S> {
    SinkEntry {
        modes: S::MODES,
        write: |cx, request, intake| S::write(cx, request, intake).boxed(),
    }
}

impl WriteRequest {
    /// Passes if a sink with these `modes` can do it, and the stream fits itself.
    pub(crate) fn pass(&self, modes: &[WriteMode]) -> Result<(), Failure> {
        if !modes.contains(&self.mode) {
            return Err(Failure::Unsupported(format!("{} records", self.mode)));
        }
        let invalid = |reason: &str| Failure::Invalid {
            what: "the stream",
            field: "primary_key".to_owned(),
            reason: reason.to_owned(),
        };
        let key = &self.stream.primary_key;
        if self.mode == WriteMode::Upsert && key.is_empty() {
            return Err(invalid("is required to upsert; name the fields that tell records apart"));
        }
        if key.iter().any(|it| self.stream.field(it).is_none()) {
            return Err(invalid("names a field that the stream lacks"));
        }
        Ok(())
    }
}
