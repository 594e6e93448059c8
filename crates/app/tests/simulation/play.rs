//! The processes: four nodes that use the same activations, on a schedule that chance makes.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use linkspan_app::{Attempt, Refresher, TokenError, Urge};
use linkspan_domain::{
    Sealable, Secret, Status, Visible, WorkspaceConnector, WorkspaceConnectorId,
    ports::{GrantStore, NewGrant, Store, Vault, World},
};
use linkspan_testkit::{
    MemoryGrants, Random,
    fixtures::{Specimen, receipt},
};
use time::{Duration, OffsetDateTime};

use super::{
    pace::{Pace, Steps, Whereabouts, enter},
    provider::{Provider, Weight},
    report::Report,
    store::Stepped,
    story::{Deaths, Plan},
    world::{Clock, Glass, context, place},
};

pub(crate) const NODES: usize = 4;
const ACTIVATIONS: usize = 250;
/// How long a step takes at most.
const STEP: Duration = Duration::milliseconds(200);
/// One poll in so many is the last of its node.
const CRASH: usize = 500;
/// The same at a step that nobody has died at yet: few come to some steps, and those are to be survived as well.
const FIRST_CRASH: usize = 10;
/// How soon the keeper of a node looks again at a grant that is due yet.
const TICK: Duration = Duration::seconds(5);
/// One poll in so many is followed by none for longer than a lease lasts.
const STALL: usize = 5_000;

type Running = Pin<Box<dyn Future<Output = Result<Attempt, TokenError>>>>;

/// One activation on one node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Agent {
    activation: usize,
    node: usize,
}

struct Stage {
    plan: Plan,
    random: Random,
    clock: Arc<Clock>,
    steps: Steps,
    provider: Arc<Provider>,
    store: Arc<MemoryGrants>,
    refresher: Arc<Refresher>,
    /// Each with the families that it had, the present one last.
    activations: Vec<(WorkspaceConnector, Vec<usize>)>,
    families: usize,
    agenda: BTreeSet<(OffsetDateTime, Agent)>,
    running: Vec<(usize, Agent, Running)>,
    free: Vec<usize>,
    report: Report,
}

/// How many refreshes there are between two words about how far it is.
pub(crate) const WORD: u64 = 50_000;

/// Plays `plan` to its end, and tells `progress` now and then how often was refreshed.
pub(crate) fn play(plan: &Plan, mut progress: impl FnMut(u64)) -> Report {
    let mut stage = Stage::new(*plan);
    let mut next = WORD;
    loop {
        let refreshed = stage.provider.book.lock().unwrap().refreshed;
        if refreshed >= stage.plan.refreshes {
            return stage.close();
        }
        if refreshed >= next {
            progress(refreshed);
            next += WORD;
        }
        stage.step();
    }
}

impl Stage {
    fn new(plan: Plan) -> Self {
        let (clock, steps) = (Arc::new(Clock::new(plan.seed)), Steps::default());
        let pace: Arc<dyn Pace> = Arc::new(steps.clone());
        let provider = Arc::new(Provider::new(&plan, Arc::clone(&pace), Arc::clone(&clock)));
        let all_at = place();
        let store = Arc::new(MemoryGrants::of(all_at.organization));
        let book = Arc::clone(&provider.book);
        let stepped = Arc::new(Stepped { store: Arc::clone(&store), pace, book });
        let refresher = Arc::new(Refresher::new(
            Arc::clone(&stepped) as _,
            Arc::clone(&stepped) as _,
            stepped,
            Arc::clone(&provider) as _,
            Arc::new(Glass),
            Arc::clone(&clock) as _,
            None,
        ));
        let report = Report::of(&plan, NODES);
        let mut stage = Self {
            random: Random::from_seed(plan.seed + 2),
            plan,
            clock,
            steps,
            provider,
            store,
            refresher,
            activations: Vec::new(),
            families: 0,
            agenda: BTreeSet::new(),
            running: Vec::new(),
            free: Vec::new(),
            report,
        };
        for number in 0..ACTIVATIONS {
            let of = u32::try_from(number).unwrap();
            let mut activation = WorkspaceConnector::specimen(of, &all_at);
            (activation.status, activation.deleted_at) = (Status::Enabled, None);
            stage.store.add(activation.clone());
            stage.activations.push((activation, Vec::new()));
            stage.connect(number);
            for node in [number % NODES, (number / NODES + 1 + number) % NODES] {
                stage.later(Agent { activation: number, node }, Duration::ZERO);
            }
        }
        stage
    }

    fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    fn some(&mut self, most: Duration) -> Duration {
        let most = usize::try_from(most.whole_milliseconds()).unwrap();
        Duration::milliseconds(i64::try_from(self.random.below(most)).unwrap())
    }

    fn later(&mut self, agent: Agent, after: Duration) {
        let when = self.now() + after;
        self.agenda.insert((when, agent));
    }

    /// A person connects the activation, anew or again.
    fn connect(&mut self, number: usize) {
        let like = &self.activations[number].0;
        let visible = Visible::only(like.workspace_id);
        let mut activation = now(self.store.find(&visible, like.id)).unwrap().unwrap();
        activation.status = Status::Enabled;
        let held = self.provider.agree();
        let given = self.now();
        let sealed = Glass.seal(context(), held.to_bytes().unwrap().expose()).unwrap();
        let grant = NewGrant {
            workspace_connector_id: activation.id,
            issuer: held.grant.issuer.clone(),
            grant: sealed,
            expires_at: held.grant.expires_at,
            due_at: held.due_at(given),
            refreshed_at: given,
        };
        now(self.store.connect(&grant, &activation, &receipt(0, None))).unwrap();
        self.activations[number].1.push(self.families);
        self.families += 1;
    }

    fn step(&mut self) {
        while let Some(&(when, agent)) = self.agenda.first() {
            if when > self.now() {
                break;
            }
            self.agenda.pop_first();
            self.begin(agent);
        }
        if self.running.is_empty() {
            // Nothing happens before the next thing does.
            let next = self.agenda.first().map_or(self.now(), |it| it.0);
            self.clock.advance(next - self.now());
            return;
        }
        // All run at a time: each comes a step further within a fifth of a second.
        let pass = self.some(STEP) / i32::try_from(self.running.len()).unwrap();
        self.clock.advance(pass);
        let picked = self.random.below(self.running.len());
        let (task, agent, _) = self.running[picked];
        let at = self.steps.of(task);
        if self.random.below(self.survivors(at)) == 0 {
            return self.crash(agent.node);
        }
        let is_asking = at.step.starts_with("ask") || at.is_at_risk;
        if self.random.below(STALL) == 0 && !is_asking && !self.is_spared(picked) {
            // All others go on meanwhile: to them it is as if time had passed for this one alone.
            self.report.stalls += 1;
            return self.stall(picked);
        }
        self.poll(picked);
    }

    /// Of how many that are where `at` says one dies.
    fn survivors(&self, at: Whereabouts) -> usize {
        let is_spared = at.is_at_risk && self.plan.deaths == Deaths::SparingAnswers;
        let is_known = at.step.is_empty() || self.report.deaths(at.step) > 0;
        if is_spared || is_known { CRASH } else { FIRST_CRASH }
    }

    fn begin(&mut self, agent: Agent) {
        let of = self.activations[agent.activation].0.id;
        let refresher = Arc::clone(&self.refresher);
        let task = self.free.pop().unwrap_or(self.running.len());
        self.steps.clear(task);
        self.report.attempts += 1;
        let running = async move { refresher.attempt(of, Urge::Use).await };
        self.running.push((task, agent, Box::pin(running)));
    }

    fn poll(&mut self, picked: usize) {
        let (task, agent, running) = &mut self.running[picked];
        let (task, agent) = (*task, *agent);
        enter(task);
        let Poll::Ready(done) = running.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        else {
            return;
        };
        self.end(picked);
        self.free.push(task);
        let after = match done {
            Ok(Attempt::Token(token)) => {
                self.check(agent.activation, &token.access);
                if token.until > self.now() {
                    self.provider.recovered(self.family(agent.activation));
                    // It looks again when the token is to be exchanged.
                    Duration::minutes(55) + self.some(Duration::seconds(20))
                } else {
                    // It works yet, and is due.
                    self.some(TICK)
                }
            }
            Ok(Attempt::Elsewhere) | Err(TokenError::Elsewhere { .. }) => {
                Duration::milliseconds(20) + self.some(Duration::SECOND)
            }
            // Whoever lost it may have died before they could tell.
            Err(TokenError::Lost { .. } | TokenError::NotConnected { .. }) => {
                self.lost(agent.activation);
                Duration::ZERO
            }
            Err(TokenError::Server { again_at, .. }) => again_at - self.now(),
            Err(error) => panic!("{error:?}"),
        };
        self.later(agent, after.max(Duration::MILLISECOND));
    }

    fn end(&mut self, picked: usize) {
        drop(self.running.swap_remove(picked));
    }

    /// The node dies with all that it is at, and comes back a while later.
    fn crash(&mut self, node: usize) {
        // What is spared is done before.
        let is_spared = |it: usize| self.running[it].1.node == node && self.is_spared(it);
        if let Some(picked) = (0..self.running.len()).find(|it| is_spared(*it)) {
            self.poll(picked);
            return self.crash(node);
        }
        self.report.crashes += 1;
        let mine = |it: &(usize, Agent, Running)| it.1.node == node;
        let (dead, alive): (Vec<_>, Vec<_>) = self.running.drain(..).partition(mine);
        self.running = alive;
        for (task, agent, running) in dead {
            let at = self.steps.of(task);
            self.report.died(at.step);
            if at.is_at_risk {
                self.provider.lose_answer(self.family(agent.activation));
                self.report.answers_died += 1;
            }
            drop(running);
            self.free.push(task);
            let after = Duration::SECOND + self.some(Duration::seconds(30));
            self.later(agent, after);
        }
    }

    /// Whether nothing is to befall the attempt that is `picked`.
    fn is_spared(&self, picked: usize) -> bool {
        let (task, agent, _) = &self.running[picked];
        match self.plan.deaths {
            Deaths::Anywhere => false,
            Deaths::SparingAnswers => self.steps.of(*task).is_at_risk,
            Deaths::OneAtATime => self.provider.is_spared(self.family(agent.activation)),
        }
    }

    /// What the server calls the present grant of an activation.
    fn family(&self, activation: usize) -> usize {
        *self.activations[activation].1.last().unwrap()
    }

    /// One task stands still for longer than its lease, and goes on where it was.
    fn stall(&mut self, picked: usize) {
        let (task, agent, stalled) = self.running.swap_remove(picked);
        let until = self.now() + Duration::seconds(100);
        while self.now() < until {
            if self.running.is_empty() && self.agenda.first().is_none_or(|it| it.0 > until) {
                self.clock.advance(until - self.now());
                break;
            }
            self.step();
        }
        self.running.push((task, agent, stalled));
    }

    fn check(&mut self, activation: usize, token: &Secret<String>) {
        match self.provider.weigh(token, &self.activations[activation].1) {
            Weight::Good => {}
            Weight::Revoked => self.report.outdated += 1,
            Weight::Broken => self.report.broken += 1,
        }
    }

    /// The grant of an activation is gone: whoever looks is told, and a person connects it again.
    fn lost(&mut self, number: usize) {
        let like = self.activations[number].0.clone();
        if now(self.store.grant(like.id)).unwrap().is_some() {
            return;
        }
        let visible = Visible::only(like.workspace_id);
        let activation = now(self.store.find(&visible, like.id)).unwrap().unwrap();
        let receipts = self.store.receipts();
        let is_told = receipts.iter().rev().take(20).any(|it| {
            it.audit.action == "workspace_connector.grant_lost"
                && it.audit.resource_id == Some(like.id.uuid())
        });
        self.report.lost += 1;
        let has_notice = is_told && activation.status == Status::NeedReconnect;
        self.report.lost_with_notice += u64::from(has_notice);
        self.connect(number);
    }

    /// Every process that is left dies, the leases run out, and every grant is refreshed once more.
    fn close(mut self) -> Report {
        (0..NODES).for_each(|node| self.crash(node));
        // Others come in time for what those have left.
        while (0..ACTIVATIONS).any(|it| self.provider.is_spared(self.family(it))) {
            self.step();
            while !self.running.is_empty() {
                self.poll(0);
            }
        }
        self.clock.advance(Duration::hours(2));
        for number in 0..ACTIVATIONS {
            self.report.broken += u64::from(!self.is_kept(number));
        }
        self.report.read(&self.provider.book.lock().unwrap());
        self.report
    }

    /// Whether there is a token of an activation in the end, for whoever is patient.
    fn is_kept(&mut self, number: usize) -> bool {
        const LOOKS: usize = 2_000;
        let of = self.activations[number].0.id;
        for _ in 0..LOOKS {
            match self.carry_through(of) {
                Ok(Attempt::Token(token)) => {
                    self.check(number, &token.access);
                    return true;
                }
                Err(TokenError::Lost { .. } | TokenError::NotConnected { .. }) => self.lost(number),
                _ => self.clock.advance(TICK),
            }
        }
        false
    }

    fn carry_through(&self, of: WorkspaceConnectorId) -> Result<Attempt, TokenError> {
        enter(0);
        let mut running = Box::pin(self.refresher.attempt(of, Urge::Use));
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(done) = running.as_mut().poll(&mut context) {
                return done;
            }
        }
    }
}

/// What a future that waits for nothing comes to.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}
