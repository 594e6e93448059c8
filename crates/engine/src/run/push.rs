//! Runs of activations that write: what changed among the records of other activations goes into a system.
//!
//! Each change is pushed at least once: how far a stream has come is kept, under the run's fence, once the system has it.
//! Pushing again changes nothing, as sinks upsert, or write down which version of a record they are told.

mod sorting;

use std::collections::{BTreeMap, VecDeque};

use linkspan_domain::{
    Cursor, DiagnosticReason, Retention, RunCounts, StreamMemory, StreamName, StreamSource,
    StreamSpec, SyncMode,
};
use linkspan_sdk::{
    BatchWriter, ChangeKind, ChangesQuery, Checkpoint, ContentHash, Failure, Finish, Load, Opening,
    Position, RecordChange, RecordVersion, Refusal, Rejected, Rows, WriteMode, WriteRequest,
};

use self::sorting::{Sorted, Sorting};
use super::{Halt, Retries, Run};
use crate::{Connection, RunEvent, SyncError, notes::Notes};

/// How many changes are read at a time.
const PAGE: u32 = 1_000;

/// And about how many bytes.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// How many records wait for the system to have them. One that does not say so by itself, as a file that grows, is then
/// asked to make them durable.
const PENDING: usize = 50_000;

/// And how many bytes.
const PENDING_BYTES: usize = 64 * 1024 * 1024;

/// A page of changes that was sent, and what it means when the system has it.
struct Sent {
    /// How many of the sink's changes there are up to here.
    upto: u64,
    position: Position,
    /// The keys of all its records.
    keys: Vec<String>,
    /// The size of all its records.
    bytes: usize,
    /// The records of the sink's changes, each under the number of its change.
    changes: Vec<(u64, ChangeKind, Vec<RecordChange>)>,
    rejected: Vec<Rejected>,
}

/// What is pushed where.
struct Route<'a> {
    connection: &'a Connection,
    source: &'a StreamSource,
    spec: &'a StreamSpec,
    memory: &'a StreamMemory,
}

/// Where a push stands.
struct Push {
    load: Load,
    /// The number of the pushes under what is known of the stream: see [`RecordVersion::begun`].
    begun: i64,
    sent: VecDeque<Sent>,
    /// What the system refused, of pages that wait.
    refused: Vec<Refusal>,
}

impl Run<'_> {
    /// Pushes all streams that the run is asked for. One that fails does not keep the others from being pushed; the
    /// first error is the run's.
    pub(super) async fn push_all(&self, connection: &Connection) -> Result<(), Halt> {
        let asked = &self.log.streams;
        let pushes: Vec<_> = connection.activation.pushes().collect();
        let missing = |name: &&StreamName| !pushes.iter().any(|it| it.0 == *name);
        if let Some(name) = asked.iter().find(missing) {
            return Err(SyncError::StreamNotFound(name.clone()).into());
        }
        let pushes: Vec<_> =
            pushes.into_iter().filter(|it| asked.is_empty() || asked.contains(it.0)).collect();
        let streams = pushes.iter().map(|it| it.0.clone()).collect();
        self.tell(&RunEvent::Started { mode: self.log.mode, streams });
        let mut first_error = None;
        for (stream, source) in pushes {
            self.tell(&RunEvent::StreamStarted { stream: stream.clone() });
            let mut notes = Notes::default();
            let done = self.push_stream(connection, stream, source, &mut notes).await;
            self.note(Some(stream), &notes).await;
            let error = self.settle(stream, done)?;
            first_error = first_error.or(error);
        }
        first_error.map_or(Ok(()), |error| Err(Halt::Failed(error)))
    }

    /// Pushes one stream, and tries again if it breaks off.
    async fn push_stream(
        &self,
        connection: &Connection,
        stream: &StreamName,
        source: &StreamSource,
        notes: &mut Notes,
    ) -> Result<RunCounts, Halt> {
        let mut retries = Retries::new(self.engine);
        let mut counts = RunCounts::default();
        loop {
            let error = match self.push(connection, stream, source, &mut counts, notes).await {
                Ok(()) => return Ok(counts),
                Err(Halt::Failed(SyncError::Source(Failure::Cancelled))) => {
                    return Err(self.signals.why_cancelled());
                }
                Err(Halt::Failed(error)) => error,
                Err(halt) => return Err(halt),
            };
            self.wait_to_retry(stream, &mut retries, error).await?;
        }
    }

    async fn push(
        &self,
        connection: &Connection,
        stream: &StreamName,
        source: &StreamSource,
        counts: &mut RunCounts,
        notes: &mut Notes,
    ) -> Result<(), Halt> {
        let engine = self.engine;
        engine.connections.admit(self.log, source).await?;
        let Some(memory) = self.memory(connection, stream, source).await? else {
            notes.add(DiagnosticReason::EmptyResult, "its source has brought nothing in yet", 0);
            return Ok(());
        };
        let spec = spec(stream, &memory);
        let sorting =
            Sorting::new(memory.filter.as_ref(), &spec, connection.definition.push_mode());
        let opening = Route { connection, source, spec: &spec, memory: &memory };
        let (mut writer, load, begun) = self.open_push(&opening).await?;
        let mut push = Push { load, begun, sent: VecDeque::new(), refused: Vec::new() };
        let mut position = self.position(stream).await?;
        let mut upto = 0;
        loop {
            let changes = self.page(source, &position).await?;
            let Some(last) = changes.last() else { break };
            position = last.position.clone();
            let mut page = Sent::new(upto, position.clone(), &changes);
            let (batches, rejected) = sorting.sort(changes)?;
            page.rejected = rejected;
            self.send(&mut writer, batches, &mut page, push.begun).await?;
            upto = page.upto;
            push.sent.push_back(page);
            let confirmed = writer.confirmed();
            push.refused.extend(writer.refused());
            self.keep(&mut push, confirmed, counts, notes).await?;
            if push.is_full() {
                let going_on = self.flush(&mut push, writer, counts, notes).await?;
                if let Some(going_on) = going_on {
                    writer = going_on;
                } else {
                    (writer, push.load, push.begun) = self.open_push(&opening).await?;
                    upto = 0;
                }
            }
        }
        self.end(&mut push, writer, counts, notes).await?;
        self.weigh_all(stream, counts)?;
        let finish = Finish {
            load: push.load,
            memory,
            retention: Retention::default(),
            extent: self.log.mode,
            now: engine.world.now(),
        };
        engine.records.finish_stream(&finish).await.map_err(SyncError::Store)?;
        Ok(())
    }

    /// The next changes of `source` behind a position.
    async fn page(
        &self,
        source: &StreamSource,
        after: &Position,
    ) -> Result<Vec<RecordChange>, Halt> {
        let query = ChangesQuery {
            activation: source.workspace_connector_id,
            stream: source.stream.clone(),
            after: after.clone(),
            limit: PAGE,
            bytes: PAGE_BYTES,
        };
        Ok(self.engine.records.changes(&query).await.map_err(SyncError::Store)?)
    }

    /// Sends a page on its way.
    async fn send(
        &self,
        writer: &mut BatchWriter,
        batches: Vec<Sorted>,
        page: &mut Sent,
        begun: i64,
    ) -> Result<(), Halt> {
        for Sorted { change, kind, records } in batches {
            let version = |it: &RecordChange| RecordVersion {
                key: it.record.key.clone(),
                kind: if kind == ChangeKind::Deleted { kind } else { it.kind },
                begun,
                generation: it.position.generation,
            };
            let versions = records.iter().map(version).collect();
            let sending = self.signals.interrupt(writer.push(change, versions)).await?;
            sending.map_err(SyncError::Source)?;
            page.upto += 1;
            page.changes.push((page.upto, kind, records));
        }
        Ok(())
    }

    /// Waits until the system has all that was sent so far, and keeps that. Answers the write if it goes on.
    async fn flush(
        &self,
        push: &mut Push,
        writer: BatchWriter,
        counts: &mut RunCounts,
        notes: &mut Notes,
    ) -> Result<Option<BatchWriter>, Halt> {
        let done = self.signals.interrupt(writer.flush()).await?;
        let (refused, writer) = done.map_err(SyncError::Source)?;
        push.refused.extend(refused);
        self.keep(push, u64::MAX, counts, notes).await?;
        Ok(writer)
    }

    /// Waits until the system has all that was sent, and keeps that.
    async fn end(
        &self,
        push: &mut Push,
        writer: BatchWriter,
        counts: &mut RunCounts,
        notes: &mut Notes,
    ) -> Result<(), Halt> {
        let done = self.signals.interrupt(writer.finish()).await?;
        push.refused.extend(done.map_err(SyncError::Source)?);
        self.keep(push, u64::MAX, counts, notes).await
    }

    fn begin(&self, connection: &Connection, stream: StreamSpec) -> BatchWriter {
        let activation = self.log.workspace_connector_id;
        let push = Some(linkspan_sdk::Push { activation, run: self.held });
        // One that takes no changes refuses.
        let mode = connection.definition.push_mode().unwrap_or(WriteMode::Upsert);
        let request = WriteRequest { stream, mode, push };
        let (settings, environment) = (connection.settings.clone(), connection.environment.clone());
        connection.definition.write(settings, request, environment)
    }

    /// What the records of `source` look like, and what must hold of them to be pushed. None: there are none yet.
    async fn memory(
        &self,
        connection: &Connection,
        stream: &StreamName,
        source: &StreamSource,
    ) -> Result<Option<StreamMemory>, Halt> {
        let (activation, name) = (source.workspace_connector_id, &source.stream);
        let state = self.engine.syncs.stream(activation, name).await.map_err(SyncError::Store)?;
        let Some(memory) = state.and_then(|it| it.memory) else { return Ok(None) };
        let Connection { definition, settings, .. } = connection;
        let is_there = memory.place.as_ref() == Some(&definition.place(settings));
        if is_there && definition.read_as(stream) == *name {
            return Err(SyncError::PushedIntoItself(stream.clone()).into());
        }
        let filter = connection.filter.as_ref().map(|it| it.bind(&memory.fields)).transpose();
        let filter = filter
            .map_err(|source| SyncError::FilterUnfit { stream: Some(name.clone()), source })?;
        // What is pushed are the changes of the stream, wherever they come from.
        Ok(Some(StreamMemory { filter, place: None, ..memory }))
    }

    /// Opens the target and makes the stream known, in this order: a worker that lost its run learns so before it sends
    /// anything, whatever it took from the next one by opening. How far the stream has come means nothing in another
    /// target, under another source, other fields or another filter: then everything is pushed anew.
    async fn open_push(&self, route: &Route<'_>) -> Result<(BatchWriter, Load, i64), Halt> {
        let Route { connection, source, spec, memory } = route;
        let mut writer = self.begin(connection, (*spec).clone());
        let target = self.signals.interrupt(writer.opened()).await?.map_err(SyncError::Source)?;
        let place = connection.definition.place(&connection.settings);
        let known = serde_json::to_string(&(source, memory, place, target));
        let known = known.map_err(|error| defect("remember a stream", error))?;
        let known = ContentHash::of(&known);
        let begun = self.begun(&spec.name, known).await?;
        let opening = Opening {
            run: self.held,
            activation: self.log.workspace_connector_id,
            stream: spec.name.clone(),
            mode: SyncMode::Incremental,
            cursor_column: Some(format!("{}/{begun}", marks(known))),
            memory: (*memory).clone(),
            source: Some((*source).clone()),
            basis: known,
            now: self.engine.world.now(),
        };
        let opened = self.engine.records.open_stream(&opening).await;
        Ok((writer, opened.map_err(SyncError::Store)?, begun))
    }

    /// The number of the pushes of `stream` under what is `known`. It ends the name of the column that their marks are
    /// of. A new one is higher than any before, and than those of activations that pushed to the same place earlier.
    async fn begun(&self, stream: &StreamName, known: ContentHash) -> Result<i64, Halt> {
        let state = self.engine.syncs.stream(self.log.workspace_connector_id, stream).await;
        let column = state.map_err(SyncError::Store)?.and_then(|it| it.cursor_column);
        let (of, number) = column.as_deref().and_then(|it| it.rsplit_once('/')).unwrap_or_default();
        let number = number.parse().unwrap_or(0);
        Ok(if of == marks(known) {
            number
        } else {
            self.engine.world.now().unix_timestamp().max(number + 1)
        })
    }

    /// Where to go on: in a full run, at the beginning.
    async fn position(&self, stream: &StreamName) -> Result<Position, Halt> {
        let state = self.engine.syncs.stream(self.log.workspace_connector_id, stream).await;
        let state = state.map_err(SyncError::Store)?;
        Ok(match self.log.mode {
            SyncMode::Full => Position::default(),
            SyncMode::Incremental => {
                let mark = state.and_then(|it| it.cursor_after);
                mark.and_then(|it| it.parse().ok()).unwrap_or_default()
            }
        })
    }

    /// Keeps how far the stream has come, if the system has more than it had. A page of which too much was refused is
    /// not passed: correcting what is refused and pushing again makes up for it.
    async fn keep(
        &self,
        push: &mut Push,
        confirmed: u64,
        counts: &mut RunCounts,
        notes: &mut Notes,
    ) -> Result<(), Halt> {
        while push.sent.front().is_some_and(|it| it.upto <= confirmed) {
            let Some(page) = push.sent.pop_front() else { break };
            let upto = page.upto;
            let refused: Vec<_> = push.refused.extract_if(.., |it| it.change <= upto).collect();
            let Settled { position, keys, rejected, pushed } = page.settle(&refused);
            for it in &rejected {
                notes.add(DiagnosticReason::RecordsQuarantined, &it.reason, 1);
            }
            let quarantined = rejected.len() as u64;
            let more = RunCounts { read: pushed.read + quarantined, quarantined, ..pushed };
            let is_sound = self.is_sound(&push.load.stream, &counts.plus(more));
            let mark = is_sound.then(|| position.to_string());
            let checkpoint = Checkpoint {
                load: push.load.clone(),
                rows: Rows::default(),
                rejected,
                released: keys,
                met: Vec::new(),
                gone: Vec::new(),
                mark: mark.clone().map(Cursor::Text),
                pushed,
                now: self.engine.world.now(),
            };
            let committed = self.engine.records.commit(&checkpoint).await;
            self.count(counts, committed.map_err(SyncError::Store)?.counts);
            let stream = push.load.stream.clone();
            self.tell(&RunEvent::Advanced { stream, counts: *counts, mark });
            self.weigh(&push.load.stream, counts)?;
        }
        Ok(())
    }
}

/// What became of a page.
struct Settled {
    position: Position,
    keys: Vec<String>,
    rejected: Vec<Rejected>,
    pushed: RunCounts,
}

impl Push {
    /// Whether no more may wait.
    fn is_full(&self) -> bool {
        let records = self.sent.iter().map(|it| it.keys.len()).sum::<usize>();
        let bytes = self.sent.iter().map(|it| it.bytes).sum::<usize>();
        records >= PENDING || bytes >= PENDING_BYTES
    }
}

impl Sent {
    /// A page of which nothing was sent yet, behind so many changes.
    fn new(upto: u64, position: Position, changes: &[RecordChange]) -> Self {
        let keys = changes.iter().map(|it| it.record.key.clone()).collect();
        let bytes = changes.iter().map(|it| it.record.payload.get().len()).sum();
        Self { upto, position, keys, bytes, changes: Vec::new(), rejected: Vec::new() }
    }

    /// Sets aside what the system refused, and counts the rest.
    fn settle(self, refused: &[Refusal]) -> Settled {
        let Self { position, keys, changes, mut rejected, .. } = self;
        let (mut written, mut deleted) = (0, 0);
        for (number, kind, records) in changes {
            let reasons: BTreeMap<usize, String> = refused
                .iter()
                .filter(|it| it.change == number)
                .map(|it| (it.row, it.reason.clone()))
                .collect();
            let taken = (records.len() - reasons.len().min(records.len())) as u64;
            match kind {
                ChangeKind::Deleted => deleted += taken,
                ChangeKind::Added | ChangeKind::Updated => written += taken,
            }
            for (row, reason) in reasons {
                rejected.extend(records.get(row).map(|it| aside(it, reason)));
            }
        }
        let pushed = RunCounts { read: written, written, deleted, ..RunCounts::default() };
        Settled { position, keys, rejected, pushed }
    }
}

/// A record that is kept aside.
fn aside(change: &RecordChange, reason: String) -> Rejected {
    let payload = change.record.payload.get().to_owned();
    Rejected { key: Some(change.record.key.clone()), payload, reason }
}

/// The records as a stream of the system.
fn spec(stream: &StreamName, memory: &StreamMemory) -> StreamSpec {
    StreamSpec {
        name: stream.clone(),
        fields: memory.fields.clone(),
        primary_key: memory.primary_key.clone(),
        cursor_candidates: Vec::new(),
        supports_incremental: false,
    }
}

/// What the marks of pushes under what is `known` are of.
fn marks(known: ContentHash) -> String {
    format!("changes/{known}")
}

fn defect(doing: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> SyncError {
    SyncError::Defect { doing, source: error.into() }
}
