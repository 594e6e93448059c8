//! Writing records into a system.

use std::fmt;

use arrow_array::RecordBatch;
use futures_util::{FutureExt, future::BoxFuture};
use linkspan_domain::{Secrets, StreamName, StreamSpec, WorkspaceConnectorId};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::DropGuard;

use crate::{ChangeKind, ConnectorType, Cx, Failure, HeldRun};

/// A connector type that takes records.
///
/// # Contract
///
/// - What comes has the columns of [`WriteRequest::stream`], as [`arrow_schema()`](crate::arrow_schema()) makes them;
///   what is removed comes as its primary key alone, in the key's order.
/// - Changes take effect in the order in which they come.
/// - [`write`](Self::write) returns when everything is durable. What is durable earlier may be
///   [confirmed](Intake::confirm): a write that breaks off is begun again from there, so records may come twice.
/// - How much a sink gathers before it makes it durable is bounded by whoever pushes: [`next`](Intake::next) answers none
///   there, too. A sink that confirms then, and asks on, stays open; one that returns is opened again.
/// - A write that fails or is dropped leaves nothing half-written: nothing at all when it was to
///   [replace](WriteMode::Replace) or to [append](WriteMode::Append), whole changes when it was to
///   [upsert](WriteMode::Upsert) or to [journal](WriteMode::Journal).
/// - A record that the system does not take for what it says is [refused](Intake::refuse), and the others are written
///   all the same. What has nothing to do with the record fails the write.
/// - In a [push](WriteRequest::push), a sink that can tell whether a newer worker or run has opened the same target
///   stops with [`Failure::TakenOver`] then, and writes nothing more. One that cannot says in its documentation how
///   readers tell old from new.
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

    /// What a stream that is written as `stream` is called when it is read.
    fn read_as(stream: &StreamName) -> StreamName {
        stream.clone()
    }

    /// Passes unless no stream can be written under this name, whatever the system holds. Asked before a name is kept, and
    /// before each write.
    fn accepts(_stream: &StreamName) -> Result<(), Failure> {
        Ok(())
    }

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
    /// On whose account, if a run pushes what changed. None: a person writes by hand.
    pub push: Option<Push>,
}

/// Who pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Push {
    /// The activation that writes.
    pub activation: WorkspaceConnectorId,
    /// The run, and the token that its worker holds.
    pub run: HeldRun,
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
    /// They stay, and each change is written down beside them with its [version](RecordVersion): of each key, the last counts
    /// for who reads. In [pushes](WriteRequest::push) only.
    Journal,
}

impl fmt::Display for WriteMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replace => "replace",
            Self::Append => "append",
            Self::Upsert => "upsert",
            Self::Journal => "journal",
        })
    }
}

/// Some records of one stream on their way into a system.
#[derive(Clone, Debug)]
pub enum Change {
    /// Records to keep.
    Put(RecordBatch),
    /// The keys of records to remove. Comes in [`WriteMode::Upsert`] and [`WriteMode::Journal`] only.
    Remove(RecordBatch),
}

impl Change {
    /// The records, or the keys.
    pub const fn records(&self) -> &RecordBatch {
        let (Self::Put(records) | Self::Remove(records)) = self;
        records
    }
}

/// Which version of a record is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordVersion {
    /// The key of the record among those of its stream.
    pub key: String,
    /// What happened to it; to a record that is not to be there any more, that it was deleted.
    pub kind: ChangeKind,
    /// What tells pushes of the stream under another source, other columns or another filter apart: a later one has a
    /// higher number.
    pub begun: i64,
    /// The generation in which the record changed.
    pub generation: i64,
}

impl RecordVersion {
    /// Where it stands among the versions of its record: the greatest, as text, is the last.
    pub fn position(&self) -> String {
        format!("{:010}-{:019}", self.begun, self.generation)
    }
}

/// A record that a system does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The number of the change that it came with; the first is 1.
    pub change: u64,
    /// Its place in that change; the first is 0.
    pub row: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// Where a sink takes its changes from. It holds few of them, so whoever sends is never far ahead.
#[derive(Debug)]
pub struct Intake {
    changes: mpsc::Receiver<Passed>,
    taken: u64,
    versions: Vec<RecordVersion>,
    confirmed: watch::Sender<u64>,
    target: watch::Sender<Option<Target>>,
    /// Where refused records are kept aside, if they are.
    refusals: Option<mpsc::UnboundedSender<Refusal>>,
    /// Who waits until everything taken so far is durable, if somebody does.
    flushing: Option<oneshot::Sender<()>>,
    is_over: bool,
}

/// What a sink says of its target on opening.
type Target = Option<String>;

/// A change, or that there are no more: a sender that is gone without saying so broke off.
#[derive(Debug)]
enum Passed {
    Change(Change, Vec<RecordVersion>),
    /// Everything before it is to be durable, before there is more.
    Flush(oneshot::Sender<()>),
    End,
}

/// How many changes wait between whoever sends them and a sink.
const IN_FLIGHT: usize = 2;

impl Intake {
    /// Says that the target was found or made, and how to tell it from one that takes its place later: how far a push
    /// has come counts for this target only. Optional, and before the first [`next`](Self::next).
    pub fn opened(&mut self, target: String) {
        self.target.send_replace(Some(Some(target)));
    }

    /// The next change, as soon as it is there; none at the end. [`Failure::Cancelled`] when it broke off before.
    ///
    /// None too where everything so far is to be durable before there is more, and is not confirmed. Who confirms it may
    /// ask on.
    pub async fn next(&mut self) -> Result<Option<Change>, Failure> {
        self.target.send_if_modified(|it| {
            let is_first = it.is_none();
            it.get_or_insert(None);
            is_first
        });
        while !self.is_over {
            if let Some(waiting) = self.flushing.take() {
                if *self.confirmed.borrow() < self.taken {
                    self.flushing = Some(waiting);
                    break;
                }
                // Whoever waits no longer sends no more, either.
                let _ = waiting.send(());
            }
            match self.changes.recv().await {
                Some(Passed::Change(change, versions)) => {
                    self.taken += 1;
                    self.versions = versions;
                    return Ok(Some(change));
                }
                Some(Passed::Flush(waiting)) => self.flushing = Some(waiting),
                Some(Passed::End) => self.is_over = true,
                None => return Err(Failure::Cancelled),
            }
        }
        Ok(None)
    }

    /// The versions of the records of the change taken last, in their order. Known in pushes; none otherwise.
    pub fn versions(&self) -> &[RecordVersion] {
        &self.versions
    }

    /// Leaves out the record at `row` of the change taken last, for the reason that `failure` gives. Before the change
    /// is confirmed. Where nobody keeps refused records aside, the write fails with it.
    pub fn refuse(&mut self, row: usize, failure: Failure) -> Result<(), Failure> {
        let Some(refusals) = &self.refusals else { return Err(failure) };
        let refusal = Refusal { change: self.taken, row, reason: failure.to_string() };
        refusals.send(refusal).map_err(|_| Failure::Cancelled)
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
    target: watch::Receiver<Option<Target>>,
    refusals: mpsc::UnboundedReceiver<Refusal>,
    secrets: Secrets,
    writing: JoinHandle<Result<(), Failure>>,
    _cancel: DropGuard,
}

impl BatchWriter {
    /// Starts `write` as a task of its own. What is refused in a `push` is told without `secrets`.
    pub(crate) fn spawn<F>(
        cancel: DropGuard,
        push: Option<&Push>,
        secrets: Secrets,
        write: impl FnOnce(Intake) -> F,
    ) -> Self
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let (sender, changes) = mpsc::channel(IN_FLIGHT);
        let (confirming, confirmed) = watch::channel(0);
        let (opening, target) = watch::channel(None);
        let (refusing, refusals) = mpsc::unbounded_channel();
        let intake = Intake {
            changes,
            taken: 0,
            versions: Vec::new(),
            confirmed: confirming,
            target: opening,
            refusals: push.map(|_| refusing),
            flushing: None,
            is_over: false,
        };
        let writing = tokio::spawn(write(intake));
        Self { changes: sender, confirmed, target, refusals, secrets, writing, _cancel: cancel }
    }

    /// Waits until the target is open, and answers how the sink [tells](Intake::opened) it from another, if it does.
    pub async fn opened(&mut self) -> Result<Option<String>, Failure> {
        let target = self.target.wait_for(Option::is_some).await.map(|it| it.clone().flatten());
        match target {
            Ok(target) => Ok(target),
            Err(_) => Err(self.why_ended().await),
        }
    }

    /// Passes `change` on, as soon as there is room. Fails with what stopped the sink.
    pub async fn send(&mut self, change: Change) -> Result<(), Failure> {
        self.pass(Passed::Change(change, Vec::new())).await
    }

    /// The same, for a change that is pushed: its records are of these `versions`.
    pub async fn push(
        &mut self,
        change: Change,
        versions: Vec<RecordVersion>,
    ) -> Result<(), Failure> {
        self.pass(Passed::Change(change, versions)).await
    }

    async fn pass(&mut self, passed: Passed) -> Result<(), Failure> {
        match self.changes.send(passed).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.why_ended().await),
        }
    }

    /// Nobody takes anything any more. Why, only the end of the task tells.
    async fn why_ended(&mut self) -> Failure {
        ended(&mut self.writing).await.err().unwrap_or_else(|| defect(None))
    }

    /// How many of the changes sent are durable. Sinks say so when it suits them, some only at the end.
    pub fn confirmed(&self) -> u64 {
        *self.confirmed.borrow()
    }

    /// What was refused since this was asked last. It has all that was refused of the changes that were
    /// [confirmed](Self::confirmed) before.
    pub fn refused(&mut self) -> Vec<Refusal> {
        let refused = std::iter::from_fn(|| self.refusals.try_recv().ok());
        let mask = |it: Refusal| Refusal { reason: self.secrets.mask_in(it.reason), ..it };
        refused.map(mask).collect()
    }

    /// Waits until everything pushed so far is durable, and answers what was refused since it was asked last, and the write,
    /// to go on with. Without one, the sink came to its end with that: what follows is another write. For modes in which a
    /// part is as good as the whole, [`Upsert`](WriteMode::Upsert) and [`Journal`](WriteMode::Journal).
    pub async fn flush(mut self) -> Result<(Vec<Refusal>, Option<Self>), Failure> {
        let (waiting, durable) = oneshot::channel();
        self.pass(Passed::Flush(waiting)).await?;
        if durable.await.is_ok() {
            return Ok((self.refused(), Some(self)));
        }
        ended(&mut self.writing).await?;
        Ok((self.refused(), None))
    }

    /// Says that there are no more, and returns when everything is durable: what was refused since it was asked last.
    pub async fn finish(mut self) -> Result<Vec<Refusal>, Failure> {
        // A sink that is gone already says why below.
        let _ = self.changes.send(Passed::End).await;
        ended(&mut self.writing).await?;
        Ok(self.refused())
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
    pub(crate) read_as: fn(&StreamName) -> StreamName,
    pub(crate) accepts: fn(&StreamName) -> Result<(), Failure>,
}

/// States that `S` is a sink.
pub fn sink<S: Sink>() -> SinkEntry<S> {
    SinkEntry {
        modes: S::MODES,
        write: |cx, request, intake| S::write(cx, request, intake).boxed(),
        read_as: S::read_as,
        accepts: S::accepts,
    }
}

impl WriteRequest {
    /// Passes if a sink with these `modes` can do it, and the stream fits itself.
    pub(crate) fn pass(&self, modes: &[WriteMode]) -> Result<(), Failure> {
        let is_by_hand = self.push.is_none();
        if !modes.contains(&self.mode) || self.mode == WriteMode::Journal && is_by_hand {
            return Err(Failure::Unsupported(format!("{} records", self.mode)));
        }
        let invalid = |reason: &str| Failure::stream(&self.stream.name, "primary_key", reason);
        let key = &self.stream.primary_key;
        if matches!(self.mode, WriteMode::Upsert | WriteMode::Journal) && key.is_empty() {
            return Err(invalid("is required to upsert; name the fields that tell records apart"));
        }
        if key.iter().any(|it| self.stream.field(it).is_none()) {
            return Err(invalid("names a field that the stream lacks"));
        }
        Ok(())
    }
}
