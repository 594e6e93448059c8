//! One run at work: its streams, one after the other.

mod push;

use std::{sync::Arc, time::Duration};

use linkspan_domain::{
    Condition, Cursor, DiagnosticReason, RunCounts, SchemaChange, Status, StreamName, StreamSpec,
    StreamState, SyncLog, SyncMode, ports::StoreError,
};
use linkspan_sdk::{Checkpoint, Failure, Finish, Held, HeldRun, Load, Opening, Pushed};
use tokio::{
    select,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Connection, Engine, RunEvent, StreamFilter, StreamPlan, SyncError,
    filter::RowFilter,
    mapper::Mapper,
    notes::Notes,
    pipeline::{Encoding, Piece, PieceLimits, encode, silent},
    plan,
    prepare::concerns_some,
    stage::{Filtered, Stage},
};

/// What ends a run before its time.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Something went wrong.
    Failed(SyncError),
    /// A person stopped it.
    Cancelled,
    /// The worker is to stop.
    Drained,
    /// Another worker has taken it over.
    Lost,
}

impl From<SyncError> for Halt {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Store(StoreError::Stale) => Self::Lost,
            other => Self::Failed(other),
        }
    }
}

/// What may interrupt a run.
pub(crate) struct Signals {
    pub(crate) cancel: CancellationToken,
    pub(crate) drain: CancellationToken,
    pub(crate) lost: CancellationToken,
}

impl Signals {
    /// Waits for `work`, but no longer than until one of the signals.
    pub(crate) async fn interrupt<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        select! {
            biased;
            () = self.lost.cancelled() => Err(Halt::Lost),
            () = self.cancel.cancelled() => Err(Halt::Cancelled),
            () = self.drain.cancelled() => Err(Halt::Drained),
            done = work => Ok(done),
        }
    }

    /// What it means that something below was cancelled: on the way down, the program cancels everything.
    fn why_cancelled(&self) -> Halt {
        if self.drain.is_cancelled() { Halt::Drained } else { Halt::Cancelled }
    }
}

/// What a run has done.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) counts: RunCounts,
    pub(crate) streams_finished: u64,
    /// For how many reasons data of streams was lost.
    pub(crate) losses: u64,
}

pub(crate) struct Run<'a> {
    engine: &'a Engine,
    log: &'a SyncLog,
    held: HeldRun,
    signals: &'a Signals,
    report: Report,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        log: &'a SyncLog,
        held: HeldRun,
        signals: &'a Signals,
    ) -> Self {
        Self { engine, log, held, signals, report: Report::default() }
    }

    pub(crate) fn into_report(self) -> Report {
        self.report
    }

    /// Reads all streams. One that fails does not keep the others from being read; the first error is the run's.
    pub(crate) async fn all(&mut self) -> Result<(), Halt> {
        let connections = Arc::clone(&self.engine.connections);
        let connection = self.signals.interrupt(connections.open(self.log)).await??;
        if connection.activation.deleted_at.is_some() {
            return Err(SyncError::Gone.into());
        }
        match connection.activation.status {
            Status::Processing => {}
            other => return Err(SyncError::UnexpectedStatus(other).into()),
        }
        if connection.activation.pushes().next().is_some() {
            return self.push_all(&connection).await;
        }
        let specs = self.discover(&connection).await?;
        let run = self.log;
        let mut plans = plan(&connection.activation, run.mode, &run.streams, &specs)?;
        if let Some(filter) = &connection.filter {
            concerns_some(filter, &specs)?;
            plans = plans.into_iter().map(|it| filtered(it, filter)).collect::<Result<_, _>>()?;
        }
        let states = self.engine.syncs.streams(run.workspace_connector_id).await;
        let states = states.map_err(SyncError::Store)?;
        self.note_removed(&states, &specs).await;
        let streams = plans.iter().map(|it| it.name.clone()).collect();
        self.tell(&RunEvent::Started { mode: run.mode, streams });
        let mut first_error = None;
        for plan in &mut plans {
            self.tell(&RunEvent::StreamStarted { stream: plan.name.clone() });
            let mut notes = Notes::default();
            let state = states.iter().find(|it| it.stream == plan.name);
            let done = match plan.prepare(state, &mut notes) {
                Ok(()) => self.load_and_map(&connection, plan, &mut notes).await,
                Err(error) => Err(error.into()),
            };
            self.note(&plan.name, &notes).await;
            match done {
                Ok(counts) => {
                    self.report.streams_finished += 1;
                    self.tell(&RunEvent::StreamFinished { stream: plan.name.clone(), counts });
                }
                Err(Halt::Failed(error)) => {
                    self.tell(&RunEvent::StreamFailed {
                        stream: plan.name.clone(),
                        code: error.name(),
                        message: error.to_string(),
                    });
                    if error.is_general() {
                        return Err(Halt::Failed(error));
                    }
                    first_error.get_or_insert(error);
                }
                Err(halt) => return Err(halt),
            }
        }
        first_error.map_or(Ok(()), |error| Err(Halt::Failed(error)))
    }

    /// Reads a stream, then maps what changed in it.
    async fn load_and_map(
        &mut self,
        connection: &Connection,
        plan: &StreamPlan,
        notes: &mut Notes,
    ) -> Result<RunCounts, Halt> {
        let Self { engine, log, held, signals, .. } = *self;
        let mapper = Mapper { engine, log, held, signals };
        // Before the stream is known as it is now: a worker that dies leaves it for the next to say.
        mapper.outdate(&plan.name, notes).await?;
        let counts = self.stream(connection, plan, notes).await?;
        mapper.stream(&plan.name, notes).await?;
        Ok(counts)
    }

    async fn discover(&self, connection: &Connection) -> Result<Vec<StreamSpec>, Halt> {
        let mut retries = Retries::new(self.engine);
        loop {
            let (settings, environment) =
                (connection.settings.clone(), connection.environment.clone());
            let found = connection.definition.discover(settings, environment);
            let found = timeout(self.engine.limits.stall, found);
            match self.signals.interrupt(found).await?.unwrap_or_else(|_| Err(silent())) {
                Ok(specs) => return Ok(specs),
                Err(Failure::Cancelled) => return Err(self.signals.why_cancelled()),
                Err(failure) => {
                    let error = SyncError::Source(failure);
                    let Some(wait) = retries.next(&error) else { return Err(error.into()) };
                    self.signals.interrupt(sleep(wait)).await?;
                }
            }
        }
    }

    /// Reads one stream, and tries again if it breaks off.
    async fn stream(
        &mut self,
        connection: &Connection,
        plan: &StreamPlan,
        notes: &mut Notes,
    ) -> Result<RunCounts, Halt> {
        let mut retries = Retries::new(self.engine);
        let mut counts = RunCounts::default();
        loop {
            let error = match self.attempt(connection, plan, &mut counts, notes).await {
                Ok(()) => return Ok(counts),
                Err(Halt::Failed(error)) => error,
                Err(halt) => return Err(halt),
            };
            let Some(wait) = retries.next(&error) else { return Err(error.into()) };
            tracing::info!(
                run = %self.log.id, stream = %plan.name, code = error.name(),
                error = &error as &dyn std::error::Error, "a stream broke off, and is tried again"
            );
            self.tell(&RunEvent::Retrying {
                stream: plan.name.clone(),
                code: error.name(),
                wait_secs: wait.as_secs_f64(),
            });
            self.signals.interrupt(sleep(wait)).await?;
        }
    }

    async fn attempt(
        &mut self,
        connection: &Connection,
        plan: &StreamPlan,
        counts: &mut RunCounts,
        notes: &mut Notes,
    ) -> Result<(), Halt> {
        let load = self.open(plan).await?;
        let state = self
            .engine
            .syncs
            .stream(self.log.workspace_connector_id, &plan.name)
            .await
            .map_err(SyncError::Store)?;
        let limits = self.engine.limits;
        let (pushed, rest) = self.split(connection, plan, &load).await?;
        let request = plan.request(state.as_ref(), pushed, limits.batch);
        let (settings, environment) = (connection.settings.clone(), connection.environment.clone());
        let batches = connection.definition.read(settings, request, environment);
        let pieces = PieceLimits {
            rows: limits.checkpoint_rows,
            bytes: limits.checkpoint_bytes,
            age: limits.checkpoint_age,
        };
        let filtered = match (load.mode, load.held) {
            (SyncMode::Full, _) | (_, Held::Nothing) => Filtered::PassedOver,
            (SyncMode::Incremental, Held::Anything) => Filtered::Named,
        };
        let stage = Stage::new(
            plan.name.clone(),
            plan.primary_key.clone(),
            plan.shape.clone(),
            RowFilter::new(rest),
            filtered,
        );
        let encoding = encode(batches, stage, pieces, limits.stall);
        let floor = plan.mark(state.as_ref());
        let load = self.store(load, encoding, floor, counts, notes).await?;

        let memory = plan.memory.clone();
        let retention = plan.retention;
        let finish = Finish { load, memory, retention, now: self.engine.world.now() };
        let deleted = self.engine.records.finish_stream(&finish).await.map_err(SyncError::Store)?;
        self.count(counts, RunCounts { deleted, ..RunCounts::default() });
        if plan.mode() == SyncMode::Full && counts.read == 0 {
            let what = if plan.filter.parts.is_empty() {
                "the source has no records"
            } else {
                "no record passes the filter"
            };
            notes.add(DiagnosticReason::EmptyResult, what, 0);
        }
        Ok(())
    }

    /// Which parts of the filter the source takes over, and which are left to do here.
    ///
    /// All are, where the stream may hold records that do not pass any more: they have to arrive to be named.
    async fn split(
        &self,
        connection: &Connection,
        plan: &StreamPlan,
        load: &Load,
    ) -> Result<(Vec<Condition>, Vec<Condition>), Halt> {
        let parts = plan.filter.parts.clone();
        let must_arrive = load.mode == SyncMode::Incremental && load.held == Held::Anything;
        if parts.is_empty() || must_arrive || plan.shape.is_some() {
            return Ok((Vec::new(), parts));
        }
        let (settings, environment) = (connection.settings.clone(), connection.environment.clone());
        let asked = parts.clone();
        let ask = connection.definition.push_down(settings, plan.name.clone(), asked, environment);
        let ask = timeout(self.engine.limits.stall, ask);
        let answer = self.signals.interrupt(ask).await?.unwrap_or_else(|_| Err(silent()));
        let answer = answer.map_err(|failure| match failure {
            Failure::Cancelled => self.signals.why_cancelled(),
            failure => SyncError::Source(failure).into(),
        })?;
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

    async fn open(&self, plan: &StreamPlan) -> Result<Load, Halt> {
        let opening = Opening {
            run: self.held,
            activation: self.log.workspace_connector_id,
            stream: plan.name.clone(),
            mode: plan.mode(),
            cursor_column: plan.cursor.as_ref().map(|it| it.spec.column.clone()),
            memory: plan.memory.clone(),
            now: self.engine.world.now(),
        };
        let opened = self.engine.records.open_stream(&opening).await;
        opened.map_err(|error| SyncError::Store(error).into())
    }

    /// Stores what was encoded, piece by piece, to the end. Interruptions wait for the piece at hand.
    async fn store(
        &mut self,
        mut load: Load,
        mut encoding: Encoding,
        floor: Option<Cursor>,
        counts: &mut RunCounts,
        notes: &mut Notes,
    ) -> Result<Load, Halt> {
        while let Some(piece) = self.signals.interrupt(encoding.next()).await? {
            let Piece { rows, rejected, gone, notes: noticed, mark } = piece;
            notes.merge(noticed);
            let gone = gone.into_iter().collect();
            // A read that began before the mark does not take it back.
            let mark = mark.filter(|it| floor.as_ref().is_none_or(|floor| !(it < floor)));
            let known = rejected.len() as u64;
            for it in &rejected {
                notes.add(DiagnosticReason::RecordsQuarantined, &it.reason, 1);
            }
            let (pushed, now) = (RunCounts::default(), self.engine.world.now());
            let checkpoint = Checkpoint { load, rows, rejected, gone, mark, pushed, now };
            let committed =
                self.engine.records.commit(&checkpoint).await.map_err(SyncError::Store)?;
            let mark = checkpoint.mark.map(|it| it.to_string());
            load = checkpoint.load;
            load.held = committed.held;
            encoding.reuse(checkpoint.rows);
            if committed.counts.quarantined > known {
                let refused = committed.counts.quarantined - known;
                let reason = DiagnosticReason::RecordsQuarantined;
                notes.add(reason, "the database refused them", refused);
            }
            self.count(counts, committed.counts);
            let stream = load.stream.clone();
            self.tell(&RunEvent::Advanced { stream, counts: *counts, mark });
            self.weigh(&load.stream, counts)?;
        }
        encoding.end().await.map_err(|error| match error {
            SyncError::Source(Failure::Cancelled) | SyncError::Cancelled => {
                self.signals.why_cancelled()
            }
            other => other.into(),
        })?;
        Ok(load)
    }

    /// Fails the stream if too many of its records cannot be stored.
    fn weigh(&self, stream: &StreamName, counts: &RunCounts) -> Result<(), SyncError> {
        let limits = self.engine.limits;
        let share = counts.read.saturating_mul(limits.quarantine_percent) / 100;
        if counts.quarantined > limits.quarantine_floor.max(share) {
            return Err(SyncError::TooManyQuarantined {
                stream: stream.clone(),
                read: counts.read,
                quarantined: counts.quarantined,
            });
        }
        Ok(())
    }

    fn count(&mut self, counts: &mut RunCounts, more: RunCounts) {
        *counts = counts.plus(more);
        self.report.counts = self.report.counts.plus(more);
    }

    /// Notes which streams that were synced before are gone from the source.
    async fn note_removed(&mut self, states: &[StreamState], specs: &[StreamSpec]) {
        if !self.log.streams.is_empty() {
            return;
        }
        let is_there = |it: &&StreamState| specs.iter().any(|spec| spec.name == it.stream);
        for state in states.iter().filter(|it| !is_there(it)) {
            let mut notes = Notes::default();
            let what = SchemaChange::StreamRemoved.to_string();
            notes.add(DiagnosticReason::SchemaDrift, &what, 0);
            self.note(&state.stream, &notes).await;
        }
    }

    /// Keeps what was noticed of a stream. A run does not fail because that cannot be kept.
    async fn note(&mut self, stream: &StreamName, notes: &Notes) {
        self.report.losses += notes.losses();
        if notes.is_empty() {
            return;
        }
        let diagnostics = notes.diagnostics(self.log, stream, &*self.engine.world);
        if let Err(error) = self.engine.diagnostics.note(&diagnostics).await {
            tracing::warn!(
                run = %self.log.id, stream = %stream, error = &error as &dyn std::error::Error,
                "what a run noticed could not be kept"
            );
        }
    }

    fn tell(&self, event: &RunEvent) {
        self.engine.progress.report(self.log.id, event);
    }
}

fn filtered(plan: StreamPlan, filter: &Condition) -> Result<StreamPlan, SyncError> {
    match StreamFilter::of(filter, &plan.memory.fields) {
        Ok(its) => Ok(plan.with_filter(its)),
        Err(source) => Err(SyncError::FilterUnfit { stream: Some(plan.name), source }),
    }
}

/// How often to try again, and when.
struct Retries {
    left: u32,
    wait: Duration,
}

impl Retries {
    /// A source that asks for more patience is not waited for within the run.
    const LONGEST: Duration = Duration::from_mins(1);

    const fn new(engine: &Engine) -> Self {
        Self { left: engine.limits.retries, wait: engine.limits.retry_wait }
    }

    /// How long to wait before the next try; none if there is to be none.
    fn next(&mut self, error: &SyncError) -> Option<Duration> {
        if !error.is_retryable() {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let asked = match error {
            SyncError::Source(Failure::RateLimited { retry_after }) => *retry_after,
            _ => None,
        };
        let wait = self.wait.max(asked.unwrap_or_default());
        self.wait *= 2;
        (wait <= Self::LONGEST).then_some(wait)
    }
}
