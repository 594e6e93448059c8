//! Runs of activations that write: what changed among the records of other activations goes into a system.
//!
//! Each change is pushed at least once: how far a stream has come is kept, under the run's fence, once the system has it.
//! Pushing again changes nothing, as sinks upsert.

use std::collections::VecDeque;

use linkspan_domain::{
    Condition, Cursor, DiagnosticReason, Retention, RunCounts, StreamMemory, StreamName,
    StreamSource, StreamSpec, StreamState, SyncMode,
};
use linkspan_sdk::{
    BatchWriter, Change, ChangeKind, ChangesQuery, Checkpoint, ContentHash, Failure, Finish, Load,
    Opening, Position, RecordChange, Rejected, Rows, WriteMode, WriteRequest,
};
use serde_json::Value;

use super::{Halt, Retries, Run};
use crate::{
    Connection, RunEvent, SyncError,
    decoder::{Decoder, Values},
    notes::Notes,
};

/// How many changes are read at a time.
const PAGE: u32 = 1_000;

/// Changes that were sent, and what it means when the system has them.
struct Sent {
    /// How many of the sink's changes there are up to here.
    upto: u64,
    position: Position,
    counts: RunCounts,
    rejected: Vec<Rejected>,
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
        let Some(memory) = self.memory(connection, source).await? else {
            notes.add(DiagnosticReason::EmptyResult, "its source has brought nothing in yet", 0);
            return Ok(());
        };
        let mut load = self.open_push(stream, source, &memory).await?;
        let mut position = self.position(stream).await?;
        let spec = spec(stream, &memory);
        let sorting = Sorting::new(memory.filter.as_ref(), &spec);
        let mut writer = begin(connection, spec);
        let (mut sent, mut upto) = (VecDeque::new(), 0);
        loop {
            let query = ChangesQuery {
                activation: source.workspace_connector_id,
                stream: source.stream.clone(),
                after: position.clone(),
                limit: PAGE,
            };
            let changes = engine.records.changes(&query).await.map_err(SyncError::Store)?;
            let Some(last) = changes.last() else { break };
            position = last.position.clone();
            let (batches, pushed, rejected) = sorting.sort(&changes)?;
            for change in batches {
                let sending = self.signals.interrupt(writer.send(change)).await?;
                sending.map_err(SyncError::Source)?;
                upto += 1;
            }
            sent.push_back(Sent { upto, position: position.clone(), counts: pushed, rejected });
            load = self.keep(load, &mut sent, writer.confirmed(), counts, notes).await?;
        }
        self.signals.interrupt(writer.finish()).await?.map_err(SyncError::Source)?;
        let load = self.keep(load, &mut sent, u64::MAX, counts, notes).await?;
        let retention = Retention::default();
        let finish = Finish { load, memory, retention, now: engine.world.now() };
        engine.records.finish_stream(&finish).await.map_err(SyncError::Store)?;
        Ok(())
    }

    /// What the records of `source` look like, and what must hold of them to be pushed. None: there are none yet.
    async fn memory(
        &self,
        connection: &Connection,
        source: &StreamSource,
    ) -> Result<Option<StreamMemory>, Halt> {
        let (activation, name) = (source.workspace_connector_id, &source.stream);
        let state = self.engine.syncs.stream(activation, name).await.map_err(SyncError::Store)?;
        let Some(memory) = state.and_then(|it| it.memory) else { return Ok(None) };
        let filter = connection.filter.as_ref().map(|it| it.bind(&memory.fields)).transpose();
        let filter = filter
            .map_err(|source| SyncError::FilterUnfit { stream: Some(name.clone()), source })?;
        // What is pushed are the changes of the stream, wherever they come from.
        Ok(Some(StreamMemory { filter, place: None, ..memory }))
    }

    /// Makes the stream known. How far it has come means nothing under another source, other fields or another filter:
    /// then everything is pushed anew.
    async fn open_push(
        &self,
        stream: &StreamName,
        source: &StreamSource,
        memory: &StreamMemory,
    ) -> Result<Load, Halt> {
        let known = serde_json::to_string(&(source, memory));
        let known = known.map_err(|error| defect("remember a stream", error))?;
        let known = ContentHash::of(&known);
        let opening = Opening {
            run: self.held,
            activation: self.log.workspace_connector_id,
            stream: stream.clone(),
            mode: SyncMode::Incremental,
            cursor_column: Some(format!("changes/{known}")),
            memory: memory.clone(),
            basis: known,
            now: self.engine.world.now(),
        };
        let opened = self.engine.records.open_stream(&opening).await;
        opened.map_err(|error| SyncError::Store(error).into())
    }

    /// Where to go on: in a full run, at the beginning.
    async fn position(&self, stream: &StreamName) -> Result<Position, Halt> {
        let state = self.engine.syncs.stream(self.log.workspace_connector_id, stream).await;
        let state = state.map_err(SyncError::Store)?;
        Ok(match self.log.mode {
            SyncMode::Full => Position::default(),
            SyncMode::Incremental => state.as_ref().and_then(remembered).unwrap_or_default(),
        })
    }

    /// Keeps how far the stream has come, if the system has more than it had.
    async fn keep(
        &self,
        load: Load,
        sent: &mut VecDeque<Sent>,
        confirmed: u64,
        counts: &mut RunCounts,
        notes: &mut Notes,
    ) -> Result<Load, Halt> {
        let mut durable: Option<Sent> = None;
        while sent.front().is_some_and(|it| it.upto <= confirmed) {
            let Some(next) = sent.pop_front() else { break };
            durable = Some(match durable {
                None => next,
                Some(mut before) => {
                    before.rejected.extend(next.rejected);
                    Sent {
                        upto: next.upto,
                        position: next.position,
                        counts: before.counts.plus(next.counts),
                        rejected: before.rejected,
                    }
                }
            });
        }
        let Some(Sent { position, counts: pushed, rejected, .. }) = durable else {
            return Ok(load);
        };
        for it in &rejected {
            notes.add(DiagnosticReason::RecordsQuarantined, &it.reason, 1);
        }
        let mark = text(&position);
        let checkpoint = Checkpoint {
            load,
            rows: Rows::default(),
            rejected,
            gone: Vec::new(),
            mark: Some(Cursor::Text(mark.clone())),
            pushed,
            now: self.engine.world.now(),
        };
        let committed = self.engine.records.commit(&checkpoint).await.map_err(SyncError::Store)?;
        self.count(counts, committed.counts);
        let load = checkpoint.load;
        let stream = load.stream.clone();
        self.tell(&RunEvent::Advanced { stream, counts: *counts, mark: Some(mark) });
        self.weigh(&load.stream, counts)?;
        Ok(load)
    }
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

fn begin(connection: &Connection, stream: StreamSpec) -> BatchWriter {
    let request = WriteRequest { stream, mode: WriteMode::Upsert };
    let (settings, environment) = (connection.settings.clone(), connection.environment.clone());
    connection.definition.write(settings, request, environment)
}

/// A position as it is remembered: the generation, and behind a colon the key.
fn text(position: &Position) -> String {
    match &position.key {
        None => position.generation.to_string(),
        Some(key) => format!("{}:{key}", position.generation),
    }
}

fn remembered(state: &StreamState) -> Option<Position> {
    let mark = state.cursor_after.as_deref()?;
    let (generation, key) = match mark.split_once(':') {
        None => (mark, None),
        Some((generation, key)) => (generation, Some(key.to_owned())),
    };
    Some(Position { generation: generation.parse().ok()?, key })
}

/// Tells what to put from what to remove.
struct Sorting<'f> {
    filter: Option<&'f Condition>,
    whole: Decoder,
    key: Decoder,
}

impl<'f> Sorting<'f> {
    fn new(filter: Option<&'f Condition>, stream: &StreamSpec) -> Self {
        Self { filter, whole: Decoder::new(stream), key: Decoder::of_key(stream) }
    }

    /// The batches of some changes, what they count, and what is to be kept aside. A record that the filter does not
    /// let through may have been let through before, so it is removed.
    fn sort(
        &self,
        changes: &[RecordChange],
    ) -> Result<(Vec<Change>, RunCounts, Vec<Rejected>), SyncError> {
        let (mut puts, mut removals, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            let payload: Value = serde_json::from_str(change.record.payload.get())
                .map_err(|error| defect("read a record", error))?;
            let stays = change.kind != ChangeKind::Deleted
                && self.filter.is_none_or(|it| it.holds(&payload));
            let (decoder, into): (_, &mut Vec<Values>) =
                if stays { (&self.whole, &mut puts) } else { (&self.key, &mut removals) };
            match decoder.values(&payload) {
                Ok(values) => into.push(values),
                Err(reason) => rejected.push(Rejected {
                    key: Some(change.record.key.clone()),
                    payload: change.record.payload.get().to_owned(),
                    reason,
                }),
            }
        }
        let mut batches = Vec::new();
        let built = |decoder: &Decoder, records: &[Values]| {
            decoder.batch(records).map_err(|error| defect("build a batch of records", error))
        };
        if !puts.is_empty() {
            batches.push(Change::Put(built(&self.whole, &puts)?));
        }
        if !removals.is_empty() {
            batches.push(Change::Remove(built(&self.key, &removals)?));
        }
        let (written, deleted) = (puts.len() as u64, removals.len() as u64);
        let counts = RunCounts { read: written, written, deleted, ..RunCounts::default() };
        Ok((batches, counts, rejected))
    }
}

fn defect(doing: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> SyncError {
    SyncError::Defect { doing, source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_remembered() {
        for key in [None, Some(String::new()), Some("a:b".to_owned())] {
            let position = Position { generation: 7, key };
            let state = StreamState {
                workspace_connector_id: linkspan_domain::WorkspaceConnectorId::from_uuid(
                    uuid::Uuid::nil(),
                ),
                stream: "s".parse().unwrap(),
                cursor_column: None,
                cursor_after: Some(text(&position)),
                generation: 0,
                records: 0,
                synced_at: None,
                memory: None,
                loaded_by: None,
            };
            assert_eq!(remembered(&state), Some(position));
        }
    }
}
