//! Loading one stream.

use linkspan_domain::{Cursor, RunCounts, SyncLog, SyncMode};
use linkspan_sdk::{
    BatchLimits, BatchStream, Checkpoint, Environment, Failure, Finish, HeldRun, Load, Opening,
    ReadMode, ReadRequest,
};

use crate::{
    Engine, Opened, Progress, Stage,
    chunk::{Chunk, Chunks, latest},
    encode::Encoder,
    failure::RunFailure,
    lease::Leash,
    plan::{Reading, StreamPlan},
};

/// A run at work.
pub(crate) struct Work<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) run: &'a SyncLog,
    pub(crate) opened: &'a Opened,
    pub(crate) leash: &'a Leash,
    /// What the run did so far.
    pub(crate) counts: RunCounts,
}

/// So many records of a stream must have been kept aside, and more than half of all, for its load to fail: what is left
/// would be no picture of the source.
const QUARANTINE_LIMIT: u64 = 100;

impl Work<'_> {
    /// Reads a stream to its end and keeps it.
    pub(crate) async fn load(&mut self, plan: &StreamPlan) -> Result<(), RunFailure> {
        let opening = Opening {
            run: self.held(),
            activation: self.run.workspace_connector_id,
            stream: plan.stream.clone(),
            mode: plan.mode(),
            cursor_column: match &plan.reading {
                Reading::Full => None,
                Reading::Incremental { cursor, .. } => Some(cursor.column.clone()),
            },
            now: self.engine.ports.world.now(),
        };
        let records = &self.engine.ports.records;
        let mut load = self.leash.insist(|| records.open_stream(&opening)).await?;
        let after = self.mark(plan).await?;
        let batches = self.read(plan, after.clone());
        let encoder = Encoder::new(plan.primary_key.clone());
        let mut chunks = Chunks::gather(batches, encoder, self.engine.chunk_limits);
        self.keep_all(&mut chunks, &mut load, after).await?;
        self.finish(load).await
    }

    const fn held(&self) -> HeldRun {
        HeldRun { id: self.run.id, fence: self.run.fence }
    }

    /// Where to go on: at the mark, else where the settings say. Asked once the stream is open, which forgets the mark of
    /// another column.
    async fn mark(&self, plan: &StreamPlan) -> Result<Option<Cursor>, RunFailure> {
        let Reading::Incremental { cursor, first } = &plan.reading else { return Ok(None) };
        let activation = self.run.workspace_connector_id;
        let syncs = &self.engine.ports.syncs;
        let state = self.leash.insist(|| syncs.stream(activation, &plan.stream)).await?;
        let mark = state.and_then(|it| it.cursor_after);
        let mark = mark.map(|it| Cursor::parse(cursor.cursor_type, &it)).transpose();
        Ok(mark.unwrap_or_else(|_| {
            tracing::warn!(run = %self.run.id, stream = %plan.stream, "the mark is of another type; reading again");
            None
        })
        .or_else(|| first.clone()))
    }

    fn read(&self, plan: &StreamPlan, after: Option<Cursor>) -> BatchStream {
        let mode = match &plan.reading {
            Reading::Full => ReadMode::Full,
            Reading::Incremental { cursor, .. } => {
                ReadMode::Incremental { cursor: cursor.clone(), after }
            }
        };
        let batch = BatchLimits::default();
        let request = ReadRequest { stream: plan.stream.clone(), mode, batch };
        self.opened.definition.read(self.opened.settings.clone(), request, self.environment())
    }

    /// What is lent to the connector.
    pub(crate) fn environment(&self) -> Environment {
        Environment {
            activation: Some(self.run.workspace_connector_id),
            cancel: self.leash.halting().child_token(),
            ..self.engine.environment.clone()
        }
    }

    /// Keeps what is read, chunk by chunk. Fails unless everything was read.
    async fn keep_all(
        &mut self,
        chunks: &mut Chunks,
        load: &mut Load,
        mut mark: Option<Cursor>,
    ) -> Result<(), RunFailure> {
        let mut of_stream = RunCounts::default();
        loop {
            let next = self.leash.halting().run_until_cancelled(chunks.next()).await;
            let chunk = match next {
                None => return Err(RunFailure::Halted),
                Some(None) => break,
                Some(Some(chunk)) => chunk,
            };
            let chunk = chunk.map_err(|failure| self.unread(load, failure))?;
            mark = latest(mark, chunk.mark.clone());
            let rows = self.keep(load, chunk, mark.clone(), &mut of_stream).await?;
            chunks.reuse(rows);
        }
        // The end of a source that was told to stop is not the end of the stream.
        if self.leash.halt().is_some() { Err(RunFailure::Halted) } else { Ok(()) }
    }

    fn unread(&self, load: &Load, failure: Failure) -> RunFailure {
        if self.leash.halt().is_some() {
            return RunFailure::Halted;
        }
        RunFailure::Read { stream: load.stream.clone(), failure }
    }

    async fn keep(
        &mut self,
        load: &mut Load,
        chunk: Chunk,
        mark: Option<Cursor>,
        of_stream: &mut RunCounts,
    ) -> Result<linkspan_sdk::Rows, RunFailure> {
        let Chunk { rows, rejected, mark: advance } = chunk;
        let checkpoint = Checkpoint {
            load: load.clone(),
            rows,
            rejected,
            mark: match load.mode {
                SyncMode::Incremental => advance.and(mark),
                SyncMode::Full => None,
            },
            now: self.engine.ports.world.now(),
        };
        let records = &self.engine.ports.records;
        let committed = self.leash.insist(|| records.commit(&checkpoint)).await?;
        load.held = committed.held;
        add(&mut self.counts, &committed.counts);
        add(of_stream, &committed.counts);
        self.announce(Stage::Kept(load.stream.clone()));
        let RunCounts { read, quarantined, .. } = *of_stream;
        if quarantined >= QUARANTINE_LIMIT && quarantined * 2 > read {
            let stream = load.stream.clone();
            return Err(RunFailure::TooManyQuarantined { stream, quarantined, read });
        }
        Ok(checkpoint.rows)
    }

    async fn finish(&mut self, load: Load) -> Result<(), RunFailure> {
        let stream = load.stream.clone();
        let finish = Finish { load, now: self.engine.ports.world.now() };
        let records = &self.engine.ports.records;
        let deleted = self.leash.insist(|| records.finish_stream(&finish)).await?;
        add(&mut self.counts, &RunCounts { deleted, ..RunCounts::default() });
        self.announce(Stage::Finished(stream));
        Ok(())
    }

    pub(crate) fn announce(&self, stage: Stage) {
        self.engine.announcer.tell(Progress {
            run: self.run.id,
            activation: self.run.workspace_connector_id,
            counts: self.counts,
            stage,
        });
    }
}

fn add(sum: &mut RunCounts, more: &RunCounts) {
    let RunCounts { read, written, unchanged, deleted, quarantined, bytes } = more;
    sum.read += read;
    sum.written += written;
    sum.unchanged += unchanged;
    sum.deleted += deleted;
    sum.quarantined += quarantined;
    sum.bytes += bytes;
}
