//! Runs as they are seen while they work.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use linkspan_domain::{
    Caller, SyncLog, SyncLogId,
    ports::{SyncStore, World},
};
use linkspan_engine::RunEvent;
use tokio::{
    select,
    sync::broadcast::{Receiver, Sender, error::RecvError},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{RecordError, Records};

/// Watches runs at work. Readers of connectors may.
pub struct RunWatch {
    runs: Records<SyncLog>,
    heard: Sender<(SyncLogId, RunEvent)>,
    closing: CancellationToken,
}

/// What is seen of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// How it is.
    State(Box<SyncLog>),
    /// What just happened in it.
    Event(RunEvent),
}

/// How long nothing may be heard of a run before a look at it: another process may be at it.
const LOOK: Duration = Duration::from_secs(1);

impl RunWatch {
    /// Watches the runs that `store` keeps, and hears what those of this process say. `closing` ends all watching.
    pub fn new(
        store: Arc<dyn SyncStore>,
        heard: Sender<(SyncLogId, RunEvent)>,
        closing: CancellationToken,
        world: Arc<dyn World>,
    ) -> Self {
        Self { runs: Records::new(store as _, world), heard, closing }
    }

    /// A run from now on: first how it is, then what happens, until it has [ended](RunEvent::Ended).
    ///
    /// Of a run that another process works on only its state is seen, each time it has changed.
    pub async fn follow(
        &self,
        caller: &Caller,
        id: SyncLogId,
    ) -> Result<impl Stream<Item = Seen> + Send + use<>, RecordError> {
        // Heard from before the look on, so that nothing falls in between.
        let heard = self.heard.subscribe();
        let run = self.runs.get(caller, id).await?;
        let watcher = Watcher {
            runs: self.runs.clone(),
            caller: caller.clone(),
            heard,
            closing: self.closing.clone(),
            last: run,
            next: Next::State,
            look_at: Instant::now() + LOOK,
        };
        Ok(stream::unfold(watcher, Watcher::see))
    }
}

/// One who follows a run.
struct Watcher {
    runs: Records<SyncLog>,
    caller: Caller,
    heard: Receiver<(SyncLogId, RunEvent)>,
    closing: CancellationToken,
    /// The run as it was last seen.
    last: SyncLog,
    next: Next,
    look_at: Instant,
}

/// What a watcher does next.
enum Next {
    /// Says how the run is.
    State,
    /// Waits for something to happen.
    Wait,
    /// Says no more.
    Stop,
}

impl Watcher {
    async fn see(mut self) -> Option<(Seen, Self)> {
        let seen = match self.next {
            Next::State => {
                self.next = Next::Wait;
                Seen::State(Box::new(self.last.clone()))
            }
            Next::Wait if !self.last.status.is_active() => self.ended(),
            Next::Wait => self.wait().await?,
            Next::Stop => return None,
        };
        Some((seen, self))
    }

    /// The next that happens. None if there will be nothing any more.
    async fn wait(&mut self) -> Option<Seen> {
        loop {
            let heard = select! {
                () = self.closing.cancelled() => return None,
                heard = self.heard.recv() => heard,
                () = sleep_until(self.look_at) => match self.look().await {
                    Some(Look::Same) => continue,
                    Some(Look::New) => return Some(Seen::State(Box::new(self.last.clone()))),
                    Some(Look::Over) => return Some(self.ended()),
                    None => return None,
                },
            };
            match heard {
                Ok((run, event)) if run == self.last.id => {
                    self.look_at = Instant::now() + LOOK;
                    if matches!(event, RunEvent::Ended { .. }) {
                        self.next = Next::Stop;
                    }
                    return Some(Seen::Event(event));
                }
                Ok(_) => {}
                // What was missed shows in the run itself.
                Err(RecvError::Lagged(_)) => self.look_at = Instant::now(),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Looks at the run. None if it cannot be seen any more.
    async fn look(&mut self) -> Option<Look> {
        self.look_at = Instant::now() + LOOK;
        let run = match self.runs.get(&self.caller, self.last.id).await {
            Ok(run) => run,
            Err(RecordError::NotFound { .. }) => return None,
            Err(error) => {
                tracing::warn!(
                    run = %self.last.id, error = &error as &dyn std::error::Error,
                    "a run that is followed could not be looked at"
                );
                return Some(Look::Same);
            }
        };
        let face = |it: &SyncLog| (it.status, it.counts, it.started_at);
        let is_same = face(&run) == face(&self.last);
        self.last = run;
        let is_over = !self.last.status.is_active();
        Some(match (is_over, is_same) {
            (true, _) => Look::Over,
            (false, true) => Look::Same,
            (false, false) => Look::New,
        })
    }

    /// The end of the run, as its log has it.
    fn ended(&mut self) -> Seen {
        self.next = Next::Stop;
        let SyncLog { status, counts, error_code, error, .. } = self.last.clone();
        Seen::Event(RunEvent::Ended { status, counts, code: error_code, message: error })
    }
}

/// What came of a look at a run.
enum Look {
    /// It is as before.
    Same,
    /// It got on.
    New,
    /// It is over.
    Over,
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use linkspan_domain::{Role, RunCounts, RunStatus};
    use tokio::sync::broadcast;

    use super::*;
    use crate::{
        connections::tests::run,
        fixtures::{MockRuns, call, id, world},
    };

    /// A watch over a run that is as each of `states`, one after the other, and the last for good.
    fn watch(states: Vec<SyncLog>) -> (RunWatch, Sender<(SyncLogId, RunEvent)>, CancellationToken) {
        let mut runs = MockRuns::new();
        let mut states = states.into_iter();
        let mut last = None;
        runs.expect_find().returning(move |_, _| {
            last = states.next().or(last.take());
            Ok(last.clone())
        });
        let (heard, _) = broadcast::channel(8);
        let closing = CancellationToken::new();
        let watch = RunWatch::new(Arc::new(runs), heard.clone(), closing.clone(), world());
        (watch, heard, closing)
    }

    fn over() -> SyncLog {
        SyncLog { status: RunStatus::Success, ..run() }
    }

    fn ended(run: &SyncLog) -> RunEvent {
        let (code, message) = (run.error_code.clone(), run.error.clone());
        RunEvent::Ended { status: run.status, counts: run.counts, code, message }
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_of_this_process_is_heard_until_it_ends() {
        let (watch, heard, _) = watch(vec![run()]);
        let following = watch.follow(&call(Role::Analyst).caller, id(70)).await.unwrap();
        let begins = RunEvent::StreamStarted { stream: "orders".parse().unwrap() };
        heard.send((id(71), begins.clone())).unwrap();
        heard.send((id(70), begins.clone())).unwrap();
        heard.send((id(70), ended(&over()))).unwrap();
        heard.send((id(70), begins.clone())).unwrap();
        let seen: Vec<_> = following.collect().await;
        let state = Seen::State(Box::new(run()));
        assert_eq!(seen, [state, Seen::Event(begins), Seen::Event(ended(&over()))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_of_another_process_is_looked_at() {
        let further = SyncLog { counts: RunCounts { read: 7, ..RunCounts::default() }, ..run() };
        let (watch, _heard, _) =
            watch(vec![run(), run(), further.clone(), further.clone(), over()]);
        let following = watch.follow(&call(Role::Analyst).caller, id(70)).await.unwrap();
        let seen: Vec<_> = following.collect().await;
        let states = [run(), further].map(|it| Seen::State(Box::new(it)));
        assert_eq!(seen[..2], states);
        assert_eq!(seen[2..], [Seen::Event(ended(&over()))]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_misses_something_looks() {
        let (watch, heard, _) = watch(vec![run(), over()]);
        let following = watch.follow(&call(Role::Analyst).caller, id(70)).await.unwrap();
        for _ in 0..20 {
            let event = RunEvent::StreamStarted { stream: "orders".parse().unwrap() };
            heard.send((id(70), event)).unwrap();
        }
        let seen: Vec<_> = following.collect().await;
        assert_eq!(seen.last(), Some(&Seen::Event(ended(&over()))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_is_over_says_so_at_once() {
        let (watch, ..) = watch(vec![over()]);
        let following = watch.follow(&call(Role::Analyst).caller, id(70)).await.unwrap();
        let seen: Vec<_> = following.collect().await;
        assert_eq!(seen, [Seen::State(Box::new(over())), Seen::Event(ended(&over()))]);
    }

    #[tokio::test(start_paused = true)]
    async fn watching_ends_with_the_process_and_is_not_for_everybody() {
        let (watch, _heard, closing) = watch(vec![run()]);
        let refused = watch.follow(&call(Role::Viewer).caller, id(70)).await;
        assert!(matches!(refused.err(), Some(RecordError::Denied(_))));
        let following = watch.follow(&call(Role::Analyst).caller, id(70)).await.unwrap();
        closing.cancel();
        assert_eq!(following.count().await, 1);
    }
}
