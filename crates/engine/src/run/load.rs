//! One stream on its way into the store: all of it, or its parts side by side; tried again if it breaks off.

use std::{
    cmp::Ordering,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, stream};
use linkspan_domain::{
    Category, Condition, Cursor, DiagnosticReason, RunCounts, StreamState, SyncMode,
};
use linkspan_sdk::{
    BatchStream, Checkpoint, Failure, Finish, Held, Load, LoadPart, Opening, Pushed, Rejected, Rows,
};

use super::{Halt, Retries, Run};
use crate::{
    Connection, RunEvent, StreamPlan, SyncError,
    filter::RowFilter,
    notes::Notes,
    pipeline::{Destination, Encoding, Piece, PieceLimits, encode},
    stage::{Filtered, Stage},
};

/// The load of one stream.
pub(super) struct StreamLoad<'a> {
    run: &'a Run<'a>,
    connection: &'a Connection,
    plan: &'a StreamPlan,
    tally: Mutex<Tally>,
}

/// What was done with a stream so far, and what was noticed of it.
#[derive(Debug, Default)]
struct Tally {
    counts: RunCounts,
    notes: Notes,
}

/// What all parts of an attempt have in common.
struct Attempt {
    load: Load,
    state: Option<StreamState>,
    /// What the source takes over of the filter.
    pushed: Vec<Condition>,
    /// What is left to do here.
    rest: Vec<Condition>,
}

impl<'a> StreamLoad<'a> {
    pub(super) fn new(
        run: &'a Run<'a>,
        connection: &'a Connection,
        plan: &'a StreamPlan,
        notes: Notes,
    ) -> Self {
        let tally = Mutex::new(Tally { counts: RunCounts::default(), notes });
        Self { run, connection, plan, tally }
    }

    /// What was done, and what was noticed.
    pub(super) fn into_tally(self) -> (RunCounts, Notes) {
        let Tally { counts, notes } =
            self.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        (counts, notes)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the stream to its end, and tries again if it breaks off.
    pub(super) async fn all(&self) -> Result<(), Halt> {
        let (run, plan) = (self.run, self.plan);
        let mut retries = Retries::new(run.engine);
        loop {
            let error = match self.attempt().await {
                Ok(()) => return Ok(()),
                Err(Halt::Failed(error)) => error,
                Err(halt) => return Err(halt),
            };
            run.wait_to_retry(&plan.name, &mut retries, error).await?;
        }
    }

    async fn attempt(&self) -> Result<(), Halt> {
        let run = self.run;
        let load = self.open().await?;
        let activation = run.log.workspace_connector_id;
        let state = run.engine.syncs.stream(activation, &self.plan.name).await;
        let state = state.map_err(SyncError::Store)?;
        let (pushed, rest) = self.push_down(&load).await?;
        let parts = self.parts(&load).await?;
        let attempt = Attempt { load, state, pushed, rest };
        self.read(&attempt, parts).await?;

        let memory = self.plan.memory.clone();
        let (retention, extent) = (self.plan.retention, self.plan.mode());
        let now = run.engine.world.now();
        let finish = Finish { load: attempt.load, memory, retention, extent, now };
        let deleted = run.engine.records.finish_stream(&finish).await.map_err(SyncError::Store)?;
        let mut tally = self.tally();
        run.count(&mut tally.counts, RunCounts { deleted, ..RunCounts::default() });
        let is_empty = tally.counts.read == 0 && !tally.notes.has(DiagnosticReason::RowsDiscarded);
        if self.plan.mode() == SyncMode::Full && is_empty {
            let what = if self.plan.filter.parts.is_empty() {
                "the source has no records"
            } else {
                "no record passes the filter"
            };
            tally.notes.add(DiagnosticReason::EmptyResult, what, 0);
        }
        Ok(())
    }

    async fn open(&self) -> Result<Load, Halt> {
        let (run, plan) = (self.run, self.plan);
        let opening = Opening {
            basis: plan.basis(&self.connection.activation)?,
            run: run.held,
            activation: run.log.workspace_connector_id,
            stream: plan.name.clone(),
            mode: plan.mode(),
            cursor_column: plan.cursor.as_ref().map(|it| it.spec.column.clone()),
            memory: plan.memory.clone(),
            source: None,
            now: run.engine.world.now(),
        };
        let opened = run.engine.records.open_stream(&opening).await;
        opened.map_err(|error| SyncError::Store(error).into())
    }

    /// Which parts of the filter the source takes over, and which are left to do here.
    ///
    /// All are, where the stream may hold records that do not pass any more, or the source several with one key: they have to
    /// arrive to be named.
    async fn push_down(&self, load: &Load) -> Result<(Vec<Condition>, Vec<Condition>), Halt> {
        let Connection { definition, settings, environment, .. } = self.connection;
        let parts = self.plan.filter.parts.clone();
        let must_arrive = goes_on(load) || self.plan.has_own_key;
        if parts.is_empty() || must_arrive || self.plan.shape.is_some() {
            return Ok((Vec::new(), parts));
        }
        let stream = self.plan.name.clone();
        let asked = parts.clone();
        let ask = definition.push_down(settings.clone(), stream, asked, environment.clone());
        let answer = self.run.answered(ask).await?;
        let (mut pushed, mut rest) = (Vec::new(), Vec::new());
        for (part, answer) in parts.into_iter().zip(answer) {
            match answer {
                Pushed::Not => rest.push(part),
                Pushed::Exactly(_) => pushed.push(part),
                Pushed::Roughly(_) => {
                    pushed.push(part.clone());
                    rest.push(part);
                }
            }
        }
        Ok((pushed, rest))
    }

    /// The parts that are still to be read; `None` if the stream is read in one go.
    ///
    /// Only full loads are split: the mark of an incremental one says that everything below it was read. Where the source does
    /// not know the key, one key can be in several parts, and it would be left to chance which of its records comes last.
    async fn parts(&self, load: &Load) -> Result<Option<Vec<LoadPart>>, Halt> {
        let limits = self.run.engine.limits;
        if load.mode == SyncMode::Incremental || limits.parts < 2 || self.plan.has_own_key {
            return Ok(None);
        }
        let Connection { definition, settings, environment, .. } = self.connection;
        let stream = self.plan.name.clone();
        let ask = definition.split(settings.clone(), stream, limits.parts, environment.clone());
        let proposes = self.run.answered(ask).await?;
        let parts = self.run.engine.records.plan_parts(load, &proposes).await;
        parts.map_err(|error| SyncError::Store(error).into())
    }

    /// Reads all parts, some of them side by side. Interrupted, each stores the piece at hand.
    async fn read(&self, attempt: &Attempt, parts: Option<Vec<LoadPart>>) -> Result<(), Halt> {
        let Some(parts) = parts else { return self.part(attempt, None).await };
        let parts: Vec<_> = parts.iter().map(|it| self.part(attempt, Some(it))).collect();
        let mut parts = stream::iter(parts).buffer_unordered(self.run.engine.limits.reads);
        let mut halted = Ok(());
        while let Some(done) = parts.next().await {
            match done {
                Ok(()) => {}
                Err(Halt::Failed(error)) => return Err(error.into()),
                Err(halt) => halted = Err(halt),
            }
        }
        halted
    }

    /// Whether several records of one read may have one key: the source need not know the key that the settings say, and only
    /// a database sees to it that there is one row of each.
    fn may_repeat_keys(&self) -> bool {
        let category = self.connection.definition.manifest.category;
        self.plan.has_own_key || category != Category::Database
    }

    /// Reads one part, or all there is.
    async fn part(&self, attempt: &Attempt, part: Option<&LoadPart>) -> Result<(), Halt> {
        let run = self.run;
        // It is never closed.
        let _turn = run.signals.interrupt(run.reads.acquire()).await?;
        let load = attempt.load.clone();
        // Of several records with one key the last counts, also where it does not pass.
        let filtered = if goes_on(&load) || self.may_repeat_keys() {
            Filtered::Named
        } else {
            Filtered::PassedOver
        };
        let stage = Stage::new(
            self.plan.name.clone(),
            self.plan.primary_key.clone(),
            self.plan.shape.clone(),
            RowFilter::new(attempt.rest.clone()),
            filtered,
        );
        let limits = run.engine.limits;
        let pieces = PieceLimits {
            rows: limits.checkpoint_rows,
            bytes: limits.checkpoint_bytes,
            age: limits.checkpoint_age,
        };
        let records = Arc::clone(&run.engine.records);
        let to = Destination { records, load: load.clone() };
        let encoding = encode(self.batches(attempt, part), stage, pieces, limits.stall, to);
        let floor = self.plan.mark(attempt.state.as_ref());
        let load = self.store(load, encoding, floor).await?;
        if let Some(part) = part {
            let finished = run.engine.records.finish_part(&load, part.number).await;
            finished.map_err(SyncError::Store)?;
        }
        Ok(())
    }

    fn batches(&self, attempt: &Attempt, part: Option<&LoadPart>) -> BatchStream {
        let Connection { definition, settings, environment, .. } = self.connection;
        let mut filter = attempt.pushed.clone();
        filter.extend(part.map(|it| it.condition.clone()));
        let batch = self.run.engine.limits.batch;
        let request = self.plan.request(attempt.state.as_ref(), filter, batch);
        definition.read(settings.clone(), request, environment.clone())
    }

    /// Stores what was encoded, piece by piece, to the end. Interruptions wait for the piece at hand.
    async fn store(
        &self,
        mut load: Load,
        mut encoding: Encoding,
        floor: Option<Cursor>,
    ) -> Result<Load, Halt> {
        let run = self.run;
        while let Some(piece) = run.signals.interrupt(encoding.next()).await? {
            let Piece { rows, ahead, rejected, gone, met, notes, mark } = piece;
            self.tally().notes.merge(notes);
            let gone = gone.into_iter().collect();
            // A read that began before the mark does not take it back.
            let mark = mark.filter(|it| {
                floor.as_ref().and_then(|floor| it.partial_cmp(floor)) != Some(Ordering::Less)
            });
            // With too many that cannot be stored the run fails, and the next is to read them again.
            let mark = mark.filter(|_| self.is_sound(&rows, &rejected));
            let (pushed, now) = (RunCounts::default(), run.engine.world.now());
            let released = Vec::new();
            let checkpoint =
                Checkpoint { load, rows, rejected, released, gone, met, mark, pushed, now };
            let committed = match ahead {
                Some(ahead) => ahead.commit(&checkpoint).await,
                None => run.engine.records.commit(&checkpoint).await,
            };
            let committed = committed.map_err(SyncError::Store)?;
            let counts = self.committed(&checkpoint, committed.counts);
            load = checkpoint.load;
            load.held = committed.held;
            encoding.reuse(checkpoint.rows, load.clone());
            let (stream, mark) = (load.stream.clone(), checkpoint.mark.map(|it| it.to_string()));
            run.tell(&RunEvent::Advanced { stream, counts, mark });
            run.weigh(&load.stream, &counts)?;
        }
        encoding.end().await.map_err(|error| match error {
            SyncError::Source(Failure::Cancelled) | SyncError::Cancelled => {
                run.signals.why_cancelled()
            }
            other => other.into(),
        })?;
        Ok(load)
    }

    /// Whether few enough records cannot be stored, these among them.
    fn is_sound(&self, rows: &Rows, rejected: &[Rejected]) -> bool {
        let quarantined = rejected.len() as u64;
        let read = rows.len() as u64 + quarantined;
        let more = RunCounts { read, quarantined, ..RunCounts::default() };
        let counts = self.tally().counts.plus(more);
        self.run.weigh(&self.plan.name, &counts).is_ok()
    }

    /// Adds what a checkpoint did, and answers what was done so far.
    fn committed(&self, checkpoint: &Checkpoint, counts: RunCounts) -> RunCounts {
        let mut tally = self.tally();
        for it in &checkpoint.rejected {
            tally.notes.add(DiagnosticReason::RecordsQuarantined, &it.reason, 1);
        }
        let known = checkpoint.rejected.len() as u64;
        if counts.quarantined > known {
            let refused = counts.quarantined - known;
            let reason = DiagnosticReason::RecordsQuarantined;
            tally.notes.add(reason, "the database refused them", refused);
        }
        self.run.count(&mut tally.counts, counts);
        tally.counts
    }
}

/// Whether a load adds to what the stream holds.
fn goes_on(load: &Load) -> bool {
    load.mode == SyncMode::Incremental && load.held != Held::Nothing
}
