//! One run at work: its streams, some of them side by side.

mod load;
mod push;

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use linkspan_domain::{
    DiagnosticReason, Direction, Place, RunCounts, SchemaChange, Status, StreamName, StreamSpec,
    StreamState, SyncLog, ports::StoreError,
};
use linkspan_sdk::{Discovered, Failure, HeldRun, LeftOut, Omission};
use tokio::{
    select,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::load::StreamLoad;
use crate::{
    Connection, Engine, Planned, RunEvent, StreamPlan, SyncError, mapper::Mapper, notes::Notes,
    pipeline::silent, plan, prepare::concerns_some,
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
            SyncError::Store(StoreError::Stale) | SyncError::Source(Failure::TakenOver) => {
                Self::Lost
            }
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
    report: Mutex<Report>,
    /// Who reads has one of these.
    reads: Semaphore,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        log: &'a SyncLog,
        held: HeldRun,
        signals: &'a Signals,
    ) -> Self {
        let reads = Semaphore::new(engine.limits.reads);
        Self { engine, log, held, signals, report: Mutex::default(), reads }
    }

    pub(crate) fn into_report(self) -> Report {
        self.report.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads all streams. One that fails does not keep the others from being read; the first error is the run's.
    pub(crate) async fn all(&self) -> Result<(), Halt> {
        let connections = Arc::clone(&self.engine.connections);
        let connection = self.signals.interrupt(connections.open(self.log)).await??;
        if connection.activation.deleted_at.is_some() {
            return Err(SyncError::Gone.into());
        }
        match connection.activation.status {
            Status::Processing => {}
            other => return Err(SyncError::UnexpectedStatus(other).into()),
        }
        if connection.activation.direction() == Direction::Output {
            return self.push_all(&connection).await;
        }
        let Discovered { streams: specs, left_out } = self.discover(&connection).await?;
        let run = self.log;
        let plans = plan(&connection.activation, run.mode, &run.streams, &specs)?;
        if let Some(filter) = &connection.filter {
            let shown = specs.iter().filter(|it| connection.activation.shows(it.name.as_str()));
            concerns_some(filter, shown)?;
        }
        let place = connection.definition.place(&connection.settings);
        let states = self.engine.syncs.streams(run.workspace_connector_id).await;
        let states = states.map_err(SyncError::Store)?;
        self.note_removed(&states, &specs).await;
        self.note_left_out(left_out).await;
        let streams = plans.iter().map(|it| it.0.clone()).collect();
        self.tell(&RunEvent::Started { mode: run.mode, streams });
        // Collected first: otherwise the compiler does not see that the run can move between threads.
        let streams: Vec<_> = plans
            .into_iter()
            .map(|it| self.load_and_map(&connection, it, &place, &states))
            .collect();
        let mut streams = stream::iter(streams).buffer_unordered(self.engine.limits.reads);
        let mut first_error = None;
        while let Some((stream, done)) = streams.next().await {
            let error = self.settle(&stream, done)?;
            first_error = first_error.or(error);
        }
        first_error.map_or(Ok(()), |error| Err(Halt::Failed(error)))
    }

    /// Tells how a stream ended. Answers what went wrong with it, if that does not stand in the way of the others.
    fn settle(
        &self,
        stream: &StreamName,
        done: Result<RunCounts, Halt>,
    ) -> Result<Option<SyncError>, Halt> {
        match done {
            Ok(counts) => {
                self.report().streams_finished += 1;
                self.tell(&RunEvent::StreamFinished { stream: stream.clone(), counts });
                Ok(None)
            }
            Err(Halt::Failed(error)) => {
                self.tell(&RunEvent::StreamFailed {
                    stream: stream.clone(),
                    code: error.name(),
                    message: error.to_string(),
                });
                if error.is_general() { Err(Halt::Failed(error)) } else { Ok(Some(error)) }
            }
            Err(halt) => Err(halt),
        }
    }

    /// Reads a stream, then maps what changed in it, and keeps what was noticed.
    async fn load_and_map(
        &self,
        connection: &Connection,
        (stream, plan): Planned,
        place: &Place,
        states: &[StreamState],
    ) -> (StreamName, Result<RunCounts, Halt>) {
        self.tell(&RunEvent::StreamStarted { stream: stream.clone() });
        let mut notes = Notes::default();
        let state = states.iter().find(|it| it.stream == stream);
        let prepared = plan.and_then(|plan| {
            let plan = match &connection.filter {
                Some(filter) => plan.filtered_by(filter)?,
                None => plan,
            };
            let mut plan = plan.at(place.clone());
            plan.prepare(state, &mut notes)?;
            Ok(plan)
        });
        let done = match prepared {
            Ok(plan) if plan.is_done(&connection.activation, state, self.log.id) => {
                self.map(&stream, &mut notes).await
            }
            Ok(plan) => self.load(connection, &plan, &mut notes).await,
            Err(error) => Err(error.into()),
        };
        // Whoever has the run now notes the same.
        if !matches!(done, Err(Halt::Lost)) {
            self.note(Some(&stream), &notes).await;
        }
        (stream, done)
    }

    /// Maps what changed in a stream that a worker before this one has read. What that counted stands in the log.
    async fn map(&self, stream: &StreamName, notes: &mut Notes) -> Result<RunCounts, Halt> {
        let Self { engine, log, held, signals, .. } = *self;
        Mapper { engine, log, held, signals }.stream(stream, notes).await?;
        Ok(RunCounts::default())
    }

    async fn load(
        &self,
        connection: &Connection,
        plan: &StreamPlan,
        notes: &mut Notes,
    ) -> Result<RunCounts, Halt> {
        let Self { engine, log, held, signals, .. } = *self;
        let mapper = Mapper { engine, log, held, signals };
        // Before the stream is known as it is now: a worker that dies leaves it for the next to say.
        mapper.outdate(&plan.name, notes).await?;
        let load = StreamLoad::new(self, connection, plan, mem::take(notes));
        let loaded = load.all().await;
        let (done, noticed) = load.into_tally();
        *notes = noticed;
        loaded?;
        mapper.stream(&plan.name, notes).await?;
        Ok(done)
    }

    async fn discover(&self, connection: &Connection) -> Result<Discovered, Halt> {
        let mut retries = Retries::new(self.engine);
        loop {
            let (settings, environment) =
                (connection.settings.clone(), connection.environment.clone());
            match self.answered(connection.definition.discover(settings, environment)).await {
                Err(Halt::Failed(error)) => {
                    let Some(wait) = retries.next(&error) else { return Err(error.into()) };
                    self.signals.interrupt(sleep(wait)).await?;
                }
                settled => return settled,
            }
        }
    }

    /// What a source answers, unless it keeps silent.
    async fn answered<T>(&self, ask: impl Future<Output = Result<T, Failure>>) -> Result<T, Halt> {
        let ask = timeout(self.engine.limits.stall, ask);
        let answer = self.signals.interrupt(ask).await?.unwrap_or_else(|_| Err(silent()));
        answer.map_err(|failure| match failure {
            Failure::Cancelled => self.signals.why_cancelled(),
            failure => SyncError::Source(failure).into(),
        })
    }

    /// Waits until a stream that broke off may be tried again. It ends with the error if it may not.
    async fn wait_to_retry(
        &self,
        stream: &StreamName,
        retries: &mut Retries,
        error: SyncError,
    ) -> Result<(), Halt> {
        let Some(wait) = retries.next(&error) else { return Err(error.into()) };
        tracing::info!(
            run = %self.log.id, stream = %stream, code = error.name(),
            error = &error as &dyn std::error::Error, "a stream broke off, and is tried again"
        );
        self.tell(&RunEvent::Retrying {
            stream: stream.clone(),
            code: error.name(),
            wait_secs: wait.as_secs_f64(),
        });
        self.signals.interrupt(sleep(wait)).await
    }

    /// Fails the stream if too many of its records cannot be stored.
    fn weigh(&self, stream: &StreamName, counts: &RunCounts) -> Result<(), SyncError> {
        let limits = self.engine.limits;
        let share = counts.read.saturating_mul(limits.quarantine_percent) / 100;
        if counts.quarantined > limits.quarantine_floor.max(share) {
            return Err(too_many(stream, counts));
        }
        Ok(())
    }

    /// Fails the stream, of which all was read, if most of its records cannot be stored: the floor lets so many pass only
    /// beside others.
    fn weigh_all(&self, stream: &StreamName, counts: &RunCounts) -> Result<(), SyncError> {
        let are_most = counts.quarantined > counts.read / 2;
        if are_most && counts.quarantined > self.engine.limits.quarantine_few {
            return Err(too_many(stream, counts));
        }
        Ok(())
    }

    /// Whether few enough records of the stream cannot be stored, as far as it was read.
    fn is_sound(&self, stream: &StreamName, counts: &RunCounts) -> bool {
        self.weigh(stream, counts).is_ok() && self.weigh_all(stream, counts).is_ok()
    }

    fn count(&self, counts: &mut RunCounts, more: RunCounts) {
        *counts = counts.plus(more);
        let mut report = self.report();
        report.counts = report.counts.plus(more);
    }

    /// Notes what the system has that is no stream. That a login may not read everything is as it should be.
    async fn note_left_out(&self, mut left_out: LeftOut) {
        left_out.0.retain(|it| it.reason != Omission::MissingPermission);
        if !self.log.streams.is_empty() || left_out.is_empty() {
            return;
        }
        let mut notes = Notes::default();
        notes.add(DiagnosticReason::StreamsLeftOut, &left_out.to_string(), 0);
        self.note(None, &notes).await;
    }

    /// Notes which streams that were synced before are gone from the source.
    async fn note_removed(&self, states: &[StreamState], specs: &[StreamSpec]) {
        if !self.log.streams.is_empty() {
            return;
        }
        let is_there = |it: &&StreamState| specs.iter().any(|spec| spec.name == it.stream);
        for state in states.iter().filter(|it| !is_there(it)) {
            let mut notes = Notes::default();
            let what = SchemaChange::StreamRemoved.to_string();
            notes.add(DiagnosticReason::SchemaDrift, &what, 0);
            self.note(Some(&state.stream), &notes).await;
        }
    }

    /// Keeps what was noticed of a stream. A run does not fail because that cannot be kept.
    async fn note(&self, stream: Option<&StreamName>, notes: &Notes) {
        self.report().losses += notes.losses();
        if notes.is_empty() {
            return;
        }
        let diagnostics = notes.diagnostics(self.log, stream, &*self.engine.world);
        if let Err(error) = self.engine.diagnostics.note(&diagnostics).await {
            tracing::warn!(
                run = %self.log.id, ?stream, error = &error as &dyn std::error::Error,
                "what a run noticed could not be kept"
            );
        }
    }

    fn tell(&self, event: &RunEvent) {
        self.engine.progress.report(self.log.id, event);
    }
}

fn too_many(stream: &StreamName, counts: &RunCounts) -> SyncError {
    let RunCounts { read, quarantined, .. } = *counts;
    SyncError::TooManyQuarantined { stream: stream.clone(), read, quarantined }
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
