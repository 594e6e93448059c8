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
    BatchStream, BehindQuery, Checkpoint, Failure, Finish, GroupEnd, Held, Load, LoadPart, Opening,
    Pushed, Rejected, Rows,
};

use super::{Halt, Retries, Run};
use crate::{
    Connection, RunEvent, StreamPlan, SyncError,
    encoder::key_in_group,
    filter::RowFilter,
    notes::Notes,
    pipeline::{Destination, Encoding, Piece, PieceLimits, encode},
    stage::{Filtered, ReadBefore, Stage},
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
    /// How many were kept aside that were read before.
    repeated: u64,
    notes: Notes,
}

/// How many records are buried at a time that are behind the ends of their groups.
const BEHIND: u32 = 10_000;

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
        let tally = Mutex::new(Tally { counts: RunCounts::default(), repeated: 0, notes });
        Self { run, connection, plan, tally }
    }

    /// What was done, and what was noticed.
    pub(super) fn into_tally(self) -> (RunCounts, Notes) {
        let Tally { counts, notes, .. } =
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
        let counts = self.tally().counts;
        run.weigh_all(&self.plan.name, &self.news(counts))?;

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
    /// All are, where the stream may hold records that do not pass any more: they have to arrive to be named.
    async fn push_down(&self, load: &Load) -> Result<(Vec<Condition>, Vec<Condition>), Halt> {
        let Connection { definition, settings, environment, .. } = self.connection;
        let parts = self.plan.filter.parts.clone();
        if parts.is_empty() || goes_on(load) || !self.plan.leaves_filtering() {
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
        let floor = self.plan.mark(attempt.state.as_ref());
        let cursor = self.plan.cursor.as_ref().filter(|_| goes_on(&load));
        let read_before = cursor
            .zip(floor.clone())
            .map(|(it, mark)| ReadBefore { column: it.spec.column.clone(), mark });
        let filter = RowFilter::new(attempt.rest.clone());
        let stage = Stage::new(self.plan, filter, filtered, read_before);
        let limits = run.engine.limits;
        let pieces = PieceLimits {
            rows: limits.checkpoint_rows,
            bytes: limits.checkpoint_bytes,
            age: limits.checkpoint_age,
        };
        let records = Arc::clone(&run.engine.records);
        let to = Destination { records, load: load.clone() };
        let encoding = encode(self.batches(attempt, part), stage, pieces, limits.stall, to);
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
            let Piece { rows, ahead, rejected, repeated, gone, met, ends, notes, mark } = piece;
            self.tally().repeated += repeated;
            // Before the mark moves past them: a run that ends in between has to read them again.
            self.bury_behind(&load, &ends).await?;
            let gone: Vec<_> = gone.into_iter().collect();
            // A read that began before the mark does not take it back.
            let mark = mark.filter(|it| {
                floor.as_ref().and_then(|floor| it.partial_cmp(floor)) != Some(Ordering::Less)
            });
            // With too many that cannot be stored the run fails, and the next is to read them again.
            let mark = mark.filter(|_| self.is_sound(&rows, &rejected));
            let (pushed, now) = (RunCounts::default(), run.engine.world.now());
            // Only how it is now is of interest.
            let aside = rejected.iter().filter_map(|it| it.key.clone());
            let released = aside.chain(gone.iter().cloned()).collect();
            let checkpoint =
                Checkpoint { load, rows, rejected, released, gone, met, mark, pushed, now };
            let committed = match ahead {
                Some(ahead) => ahead.commit(&checkpoint).await,
                None => run.engine.records.commit(&checkpoint).await,
            };
            let committed = committed.map_err(SyncError::Store)?;
            let counts = self.committed(&checkpoint, notes, committed.counts);
            load = checkpoint.load;
            load.held = committed.held;
            encoding.reuse(checkpoint.rows, load.clone());
            let (stream, mark) = (load.stream.clone(), checkpoint.mark.map(|it| it.to_string()));
            run.tell(&RunEvent::Advanced { stream, counts, mark });
            run.weigh(&load.stream, &self.news(counts))?;
        }
        encoding.end().await.map_err(|error| match error {
            SyncError::Source(Failure::Cancelled) | SyncError::Cancelled => {
                run.signals.why_cancelled()
            }
            other => other.into(),
        })?;
        Ok(load)
    }

    /// Makes tombstones of what the stream holds of groups that were read whole, and that is behind their ends: in a full load it
    /// goes anyway.
    async fn bury_behind(&self, load: &Load, ends: &[GroupEnd]) -> Result<(), SyncError> {
        // Another key does not say where in which group a record is.
        if !goes_on(load) || self.plan.has_own_key || self.plan.primary_key.len() != 2 {
            return Ok(());
        }
        let records = &self.run.engine.records;
        for end in ends {
            let Some((prefix, last)) = key_in_group(&end.group, end.last) else { continue };
            let (activation, stream) = (load.activation, load.stream.clone());
            let query = BehindQuery { activation, stream, prefix, last, limit: BEHIND };
            loop {
                let gone = records.behind(&query).await.map_err(SyncError::Store)?;
                let is_last = gone.len() < BEHIND as usize;
                if !gone.is_empty() {
                    let checkpoint = Checkpoint {
                        load: load.clone(),
                        rows: Rows::default(),
                        rejected: Vec::new(),
                        released: gone.clone(),
                        met: Vec::new(),
                        gone,
                        mark: None,
                        pushed: RunCounts::default(),
                        now: self.run.engine.world.now(),
                    };
                    let committed = records.commit(&checkpoint).await.map_err(SyncError::Store)?;
                    self.committed(&checkpoint, Notes::default(), committed.counts);
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether few enough records cannot be stored, these among them.
    fn is_sound(&self, rows: &Rows, rejected: &[Rejected]) -> bool {
        let quarantined = rejected.len() as u64;
        let read = rows.len() as u64 + quarantined;
        let more = RunCounts { read, quarantined, ..RunCounts::default() };
        let counts = self.tally().counts.plus(more);
        self.run.is_sound(&self.plan.name, &self.news(counts))
    }

    /// The same without what was kept aside by earlier runs already: they weighed it, and went on.
    fn news(&self, counts: RunCounts) -> RunCounts {
        let repeated = self.tally().repeated;
        RunCounts {
            read: counts.read.saturating_sub(repeated),
            quarantined: counts.quarantined.saturating_sub(repeated),
            ..counts
        }
    }

    /// Adds what a checkpoint did and what was noticed of it, and answers what was done so far.
    fn committed(&self, checkpoint: &Checkpoint, notes: Notes, counts: RunCounts) -> RunCounts {
        let mut tally = self.tally();
        tally.notes.merge(notes);
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
