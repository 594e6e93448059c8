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
    ports::{GrantStore, NewGrant, SealContext, Store, Vault, World},
};
use linkspan_testkit::{
    MemoryGrants, Random,
    fixtures::{Place, Specimen, id, receipt},
};
use time::{Duration, OffsetDateTime};

use super::{
    provider::{Model, Provider},
    report::Report,
    stage::{Clock, Glass, Stepped, Steps, Whereabouts, enter},
};

/// What to simulate.
pub(crate) struct Plan {
    pub(crate) model: Model,
    pub(crate) unsurvivable: Unsurvivable,
    pub(crate) refreshes: u64,
    pub(crate) seed: u64,
}

/// Whether processes die between the server's commit and ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsurvivable {
    Occur,
    Excluded,
}

const NODES: usize = 4;
const ACTIVATIONS: usize = 250;
/// One poll in so many is the last of its node.
const CRASH: usize = 500;
/// The same at a step that nobody has died at yet: few come to some steps, and those are to be survived as well.
const FIRST_CRASH: usize = 10;
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
const WORD: u64 = 50_000;

/// Plays `plan` to its end, and tells `progress` now and then how often was refreshed.
pub(crate) fn play(plan: &Plan, mut progress: impl FnMut(u64)) -> Report {
    let plan = Plan { ..*plan };
    let mut stage = Stage::new(plan);
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
        let provider =
            Arc::new(Provider::new(plan.model, steps.clone(), Arc::clone(&clock), plan.seed + 1));
        let place = place();
        let store = Arc::new(MemoryGrants::of(place.organization));
        let stepped = Arc::new(Stepped { store: Arc::clone(&store), steps: steps.clone() });
        let refresher = Arc::new(Refresher::new(
            Arc::clone(&stepped) as _,
            Arc::clone(&stepped) as _,
            stepped,
            Arc::clone(&provider) as _,
            Arc::new(Glass),
            Arc::clone(&clock) as _,
            None,
        ));
        let report = Report::of(plan.model, plan.seed);
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
            let mut activation = WorkspaceConnector::specimen(of, &place);
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
        let pass = self.some(Duration::milliseconds(4));
        self.clock.advance(pass);
        let picked = self.random.below(self.running.len());
        let (task, agent, _) = self.running[picked];
        let at = self.steps.of(task);
        if self.random.below(self.survivors(at)) == 0 {
            return self.crash(agent.node);
        }
        let is_asking = at.step.starts_with("ask") || at.is_unsurvivable;
        if self.random.below(STALL) == 0 && !is_asking {
            // All others go on meanwhile: to them it is as if time had passed for this one alone.
            self.report.stalls += 1;
            return self.stall(picked);
        }
        self.poll(picked);
    }

    /// Of how many that are where `at` says one dies.
    fn survivors(&self, at: Whereabouts) -> usize {
        let is_spared = at.is_unsurvivable && self.plan.unsurvivable == Unsurvivable::Excluded;
        let is_known = at.step.is_empty() || self.report.died_at.contains_key(at.step);
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
                // It looks again when the token is to be exchanged.
                Duration::minutes(55) + self.some(Duration::seconds(20))
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
        let mine = |it: &(usize, Agent, Running)| it.1.node == node;
        if self.plan.unsurvivable == Unsurvivable::Excluded {
            // Those whose answer is on its way have it written down before the node dies.
            let steps = self.steps.clone();
            let at_risk = |it: &(usize, Agent, Running)| mine(it) && steps.of(it.0).is_unsurvivable;
            while let Some(picked) = self.running.iter().position(at_risk) {
                self.poll(picked);
            }
        }
        self.report.crashes += 1;
        let (dead, alive): (Vec<_>, Vec<_>) = self.running.drain(..).partition(mine);
        self.running = alive;
        for (task, agent, running) in dead {
            let at = self.steps.of(task);
            if !at.step.is_empty() {
                *self.report.died_at.entry(at.step).or_default() += 1;
            }
            let is_unsurvivable = at.is_unsurvivable && self.plan.model == Model::Strict;
            self.report.unsurvivable += u64::from(is_unsurvivable);
            drop(running);
            self.free.push(task);
            let after = Duration::SECOND + self.some(Duration::seconds(30));
            self.later(agent, after);
        }
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
        let families = &self.activations[activation].1;
        self.report.broken += u64::from(!self.provider.accepts(token, families));
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
        self.clock.advance(Duration::hours(2));
        for number in 0..ACTIVATIONS {
            let of = self.activations[number].0.id;
            let mut is_there = false;
            for _ in 0..50 {
                match self.carry_through(of) {
                    Ok(Attempt::Token(token)) => {
                        self.check(number, &token.access);
                        is_there = true;
                        break;
                    }
                    Err(TokenError::Lost { .. } | TokenError::NotConnected { .. }) => {
                        self.lost(number);
                    }
                    _ => self.clock.advance(Duration::minutes(30)),
                }
            }
            self.report.broken += u64::from(!is_there);
        }
        let book = self.provider.book.lock().unwrap();
        self.report.refreshes = book.refreshed;
        self.report.lost_replies = book.lost_replies;
        self.report.failures = book.failures;
        self.report.double_spent = book.double_spent;
        drop(book);
        self.report
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
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}

fn context() -> SealContext {
    SealContext { purpose: linkspan_domain::ports::Purpose::Grant, row: uuid::Uuid::nil() }
}

fn place() -> Place {
    Place {
        organization: id(9_001),
        stranger: id(9_002),
        workspace: id(9_003),
        lower_workspace: id(9_004),
        foreign_workspace: id(9_005),
        person: id(9_006),
        connectors: vec![id(9_007)],
        provider: id(9_008),
        activation: id(9_009),
    }
}
