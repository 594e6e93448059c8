//! The whole life of grants: people connect activations, use them, disconnect and restore them, while processes die.

mod node;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use linkspan_app::{
    Attempt, Authorize, Authorized, Browser, ConnectError, Connected, NotConnected, Returned,
    Ticket, TokenError, Urge,
};
use linkspan_domain::{
    Call, HeldGrant, Redirected, Sealable, Secret, Status, Visible, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{AuthorizationStore, Change, GrantStore, Store, StoreError, Vault, World},
};
use linkspan_testkit::{
    MemoryGrants, Random,
    fixtures::{Specimen, receipt},
};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    pace::Steps,
    play::{NODES, WORD, now},
    provider::{Fate, Provider, read},
    report::Report,
    story::Plan,
    world::{Clock, Glass, context, place},
};
use node::{Common, Gates, Node};

const ACTIVATIONS: usize = 60;
/// At one gate in so many, its node dies; at one that few died at yet, sooner.
const CRASH: usize = 250;
const FIRST_CRASH: usize = 4;
const FEW: u64 = 10;
/// How often each node looks for what others left.
const TICK: Duration = Duration::minutes(2);

/// That of everybody.
const BROWSER: &str = "a-browser-that-everybody-shares-00";

/// The steps of a life, all places to die, beside those of a refresh.
pub(crate) const STEPS: &[&str] = &[
    "discover",
    "register",
    "begin: before",
    "begin: after",
    "take: before",
    "take: after",
    "answered: before",
    "answered: after",
    "is unsettled: before",
    "is unsettled: after",
    "connect: before",
    "connect: after",
    "unsettled: before",
    "unsettled: after",
    "abandoned: before",
    "abandoned: after",
    "set aside: before",
    "set aside: after",
    "take left: before",
    "take left: after",
    "revoke: on its way",
    "revoke: answered",
    "told: before",
    "told: after",
    "write: before",
    "write: after",
];

/// Who does something, now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Agent {
    /// One of two people at an activation.
    Person {
        activation: usize,
        which: usize,
    },
    /// What a node does by itself.
    Resumer {
        node: usize,
    },
    Disconnector {
        node: usize,
    },
}

/// A person on their way back from the server.
#[derive(Clone)]
struct Errand {
    ticket: Ticket,
    code: Secret<String>,
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|it| it.0 == name).unwrap().1.into_owned()
}

/// What came of what an agent did.
enum Outcome {
    Used(Result<Attempt, TokenError>),
    Sent(Result<Authorized, ConnectError>),
    Back(Result<Connected, NotConnected>),
    Written,
    Looked,
}

struct Life {
    random: Random,
    common: Common,
    nodes: Vec<Node>,
    /// The present activation at each place: a purged one is followed by another.
    activations: Vec<WorkspaceConnectorId>,
    made: u32,
    errands: BTreeMap<Agent, Errand>,
    agenda: BTreeSet<(OffsetDateTime, Agent)>,
    /// Who is at work, and where.
    at_work: BTreeMap<Agent, usize>,
    inbox: Arc<Mutex<Vec<(Agent, Outcome)>>>,
    report: Report,
}

/// Plays `plan` to its end, and tells `progress` now and then how often was refreshed.
pub(crate) fn live(plan: &Plan, mut progress: impl FnMut(u64)) -> Report {
    let mut life = Life::new(plan);
    let mut next = WORD;
    loop {
        let refreshed = life.common.provider.book.lock().unwrap().refreshed;
        if refreshed >= plan.refreshes {
            return life.close();
        }
        if refreshed >= next {
            progress(refreshed);
            next += WORD;
        }
        life.step();
    }
}

impl Life {
    fn new(plan: &Plan) -> Self {
        let clock = Arc::new(Clock::new(plan.seed));
        let gates = Gates::default();
        let common = Common {
            store: Arc::new(MemoryGrants::of(place().organization)),
            provider: Provider::new(plan, Arc::new(Steps::default()), Arc::clone(&clock)),
            clock,
            gates,
        };
        let mut life = Self {
            random: Random::from_seed(plan.seed + 2),
            nodes: (0..NODES).map(|it| Node::start(it, &common)).collect(),
            common,
            activations: Vec::new(),
            made: 0,
            errands: BTreeMap::new(),
            agenda: BTreeSet::new(),
            at_work: BTreeMap::new(),
            inbox: Arc::default(),
            report: Report::of(plan, NODES),
        };
        for activation in 0..ACTIVATIONS {
            let made = life.make();
            life.activations.push(made);
            for which in 0..2 {
                let after = life.some(Duration::HOUR);
                life.later(Agent::Person { activation, which }, after);
            }
        }
        for node in 0..NODES {
            life.later(Agent::Resumer { node }, Duration::ZERO);
            life.later(Agent::Disconnector { node }, Duration::ZERO);
        }
        life
    }

    /// A new activation.
    fn make(&mut self) -> WorkspaceConnectorId {
        self.made += 1;
        let mut activation = WorkspaceConnector::specimen(self.made, &place());
        (activation.status, activation.deleted_at) = (Status::Enabled, None);
        let id = activation.id;
        self.common.store.add(activation);
        id
    }

    fn now(&self) -> OffsetDateTime {
        self.common.clock.now()
    }

    fn some(&mut self, most: Duration) -> Duration {
        let most = usize::try_from(most.whole_milliseconds()).unwrap();
        Duration::milliseconds(i64::try_from(self.random.below(most)).unwrap())
    }

    fn later(&mut self, agent: Agent, after: Duration) {
        self.agenda.insert((self.now() + after, agent));
    }

    fn activation(&self, id: WorkspaceConnectorId) -> Option<WorkspaceConnector> {
        let visible = Visible::only(place().workspace);
        now(self.common.store.find(&visible, id)).unwrap()
    }

    /// Which family the grant of an activation is of, if it has one.
    fn owned(&self, id: WorkspaceConnectorId) -> Option<usize> {
        let kept = now(self.common.store.grant(id)).unwrap()?;
        let held = HeldGrant::from_bytes(&Glass.open(context(), &kept.grant).unwrap()).unwrap();
        Some(read(&held.grant.access_token).0)
    }

    fn step(&mut self) {
        while let Some(&(when, agent)) = self.agenda.first() {
            if when > self.now() {
                break;
            }
            self.agenda.pop_first();
            self.begin(agent);
        }
        let waiting = self.common.gates.lock().unwrap().len();
        if waiting == 0 {
            let next = self.agenda.first().map_or(self.now(), |it| it.0);
            self.common.clock.advance(next - self.now());
            return;
        }
        let pass = self.some(Duration::milliseconds(40));
        self.common.clock.advance(pass);
        let picked = self.random.below(waiting);
        let gate = self.common.gates.lock().unwrap().swap_remove(picked);
        let survivors = if self.report.deaths(gate.step) < FEW { FIRST_CRASH } else { CRASH };
        if self.random.below(survivors) == 0 {
            self.report.died(gate.step);
            return self.crash(gate.node);
        }
        gate.waker.wake();
        self.drive(gate.node);
    }

    fn drive(&mut self, node: usize) {
        self.nodes[node].drive();
        let done = std::mem::take(&mut *self.inbox.lock().unwrap());
        for (agent, outcome) in done {
            self.at_work.remove(&agent);
            self.end(agent, outcome);
        }
    }

    /// The node dies with all that it is at, and is started again.
    fn crash(&mut self, node: usize) {
        self.report.crashes += 1;
        let dead = {
            let mut gates = self.common.gates.lock().unwrap();
            let (dead, alive): (Vec<_>, Vec<_>) = gates.drain(..).partition(|it| it.node == node);
            *gates = alive;
            dead
        };
        for it in &dead {
            self.report.died(it.step);
        }
        self.nodes[node] = Node::start(node, &self.common);
        let was_there: Vec<_> = self.at_work.extract_if(.., |_, it| *it == node).collect();
        for (agent, _) in was_there {
            let after = Duration::SECOND + self.some(Duration::seconds(30));
            self.later(agent, after);
        }
    }

    /// An agent begins with something.
    fn begin(&mut self, agent: Agent) {
        self.report.attempts += 1;
        let node = match agent {
            Agent::Person { activation, .. } => return self.act(agent, activation),
            Agent::Resumer { node } | Agent::Disconnector { node } => node,
        };
        // To look around once, they are told to stop when they have begun.
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let Node { connecting, disconnector, .. } = &self.nodes[node];
        let (connecting, disconnector) = (Arc::clone(connecting), Arc::clone(disconnector));
        self.spawn(agent, node, async move {
            if matches!(agent, Agent::Resumer { .. }) {
                connecting.run(&shutdown).await;
            } else {
                disconnector.tidy(&shutdown).await.unwrap();
            }
            Outcome::Looked
        });
        if matches!(agent, Agent::Resumer { .. }) {
            stop.cancel();
            self.drive(node);
        }
    }

    fn spawn(
        &mut self,
        agent: Agent,
        node: usize,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) {
        let inbox = Arc::clone(&self.inbox);
        self.at_work.insert(agent, node);
        drop(self.nodes[node].runtime.spawn(async move {
            let outcome = work.await;
            inbox.lock().unwrap().push((agent, outcome));
        }));
        self.drive(node);
    }

    /// A person does what suits the state of an activation.
    fn act(&mut self, agent: Agent, place: usize) {
        let node = self.random.below(NODES);
        let id = self.activations[place];
        let has_grant = self.owned(id).is_some();
        match self.activation(id) {
            None => {
                self.errands.remove(&agent);
                self.activations[place] = self.make();
                self.later(agent, Duration::ZERO);
            }
            Some(it) if it.deleted_at.is_some() && self.random.below(3) == 0 => {
                self.report.count("purged");
                self.write(agent, node, Change::Purge(it));
            }
            Some(it) if it.deleted_at.is_some() => {
                let event = if has_grant { "restored with its grant" } else { "restored without" };
                self.report.count(event);
                self.write(
                    agent,
                    node,
                    Change::Update(WorkspaceConnector { deleted_at: None, ..it }),
                );
            }
            Some(_) if self.errands.contains_key(&agent) && self.random.below(8) != 0 => {
                self.come_back(agent, node);
            }
            // Some give up what they had begun.
            Some(it) if self.errands.remove(&agent).is_some() || self.random.below(20) == 0 => {
                self.report.count("disconnected");
                let deleted_at = Some(self.now());
                self.write(agent, node, Change::Update(WorkspaceConnector { deleted_at, ..it }));
            }
            Some(_) if !has_grant || self.random.below(20) == 0 => self.go(agent, node, id),
            Some(_) => {
                let refresher = Arc::clone(&self.nodes[node].refresher);
                self.spawn(agent, node, async move {
                    Outcome::Used(refresher.attempt(id, Urge::Use).await)
                });
            }
        }
    }

    fn write(&mut self, agent: Agent, node: usize, change: Change<WorkspaceConnector>) {
        let store = Arc::clone(&self.nodes[node].store);
        self.spawn(agent, node, async move {
            match store.write(&[change], &receipt(0, None)).await {
                // Somebody else was faster.
                Ok(()) | Err(StoreError::Stale) => Outcome::Written,
                Err(error) => panic!("{error:?}"),
            }
        });
    }

    /// A person is sent to the server.
    fn go(&mut self, agent: Agent, node: usize, id: WorkspaceConnectorId) {
        let connecting = Arc::clone(&self.nodes[node].connecting);
        let place = place();
        let call = Call::of_system(place.organization, place.workspace, "trace".to_owned());
        self.spawn(agent, node, async move {
            Outcome::Sent(connecting.authorize(&call, id, Authorize::default()).await)
        });
    }

    /// A person comes back from the server, maybe again.
    fn come_back(&mut self, agent: Agent, node: usize) {
        let Errand { ticket, code } = self.errands[&agent].clone();
        let connecting = Arc::clone(&self.nodes[node].connecting);
        let redirected = Some(Redirected::Agreed { code });
        self.spawn(agent, node, async move {
            let browser = Browser::read(BROWSER);
            let url = match connecting.depart(&ticket, browser.clone()).await {
                Ok(departure) => departure.url,
                Err(error) => return Outcome::Back(Err(error.into())),
            };
            let state = Secret::new(parameter(&url, "state"));
            let returned = Returned { state, browser, iss: None, redirected };
            Outcome::Back(connecting.complete(returned, None, "trace".to_owned()).await)
        });
    }

    fn end(&mut self, agent: Agent, outcome: Outcome) {
        let after = match outcome {
            Outcome::Looked => TICK,
            Outcome::Written => self.some(Duration::minutes(3)),
            Outcome::Sent(Ok(Authorized::Asked { url, .. })) => {
                let ticket = Ticket::new(Secret::new(parameter(&url, "ticket")));
                let code = self.common.provider.code();
                self.errands.insert(agent, Errand { ticket, code });
                self.some(Duration::minutes(1))
            }
            Outcome::Back(back) => {
                self.report.count(if back.is_ok() { "connected" } else { "not connected" });
                self.errands.remove(&agent);
                self.some(Duration::minutes(2))
            }
            Outcome::Sent(_) => self.some(Duration::minutes(1)),
            Outcome::Used(used) => self.used(agent, used),
        };
        self.later(agent, after.max(Duration::MILLISECOND));
    }

    fn used(&mut self, agent: Agent, used: Result<Attempt, TokenError>) -> Duration {
        let Agent::Person { activation, .. } = agent else { panic!("nodes use nothing") };
        let id = self.activations[activation];
        match used {
            Ok(Attempt::Token(token)) => {
                let (family, _) = read(&token.access);
                let works = self.common.provider.book.lock().unwrap().families[family].is_alive;
                let is_there = self.activation(id).is_some_and(|it| it.deleted_at.is_none());
                let is_owned = is_there && self.owned(id) == Some(family);
                self.report.broken += u64::from(is_owned && !works);
                if token.until > self.now() {
                    Duration::minutes(50) + self.some(Duration::minutes(6))
                } else {
                    self.some(Duration::seconds(5))
                }
            }
            Err(TokenError::Lost { .. }) => {
                self.report.lost += 1;
                Duration::ZERO
            }
            Err(TokenError::Server { again_at, .. }) => again_at - self.now(),
            Ok(Attempt::Elsewhere)
            | Err(TokenError::Elsewhere { .. } | TokenError::NotConnected { .. }) => {
                self.some(Duration::SECOND)
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    /// All processes die once more; others go on from what they left, and nothing new begins.
    fn close(mut self) -> Report {
        (0..NODES).for_each(|node| self.crash(node));
        self.agenda.clear();
        for _ in 0..5 {
            self.common.clock.advance(Duration::minutes(2));
            for agent in [Agent::Resumer { node: 0 }, Agent::Disconnector { node: 0 }] {
                self.begin(agent);
                self.let_all_through();
            }
        }
        self.agenda.clear();
        let unsettled = now(self.common.store.unsettled(self.now(), u64::MAX)).unwrap();
        self.report.broken += unsettled.len() as u64;
        self.weigh_families();
        self.report.read(&self.common.provider.book.lock().unwrap());
        let revoked = self.common.provider.book.lock().unwrap().revoked;
        self.report.events.insert("revoked", revoked);
        self.report
    }

    fn let_all_through(&mut self) {
        loop {
            let Some(gate) = self.common.gates.lock().unwrap().pop() else { return };
            gate.waker.wake();
            self.drive(gate.node);
        }
    }

    /// Whatever the server still honors belongs to an activation, or there is a reason why nobody took it back.
    fn weigh_families(&mut self) {
        let all = 1..=self.made;
        let ids = all.map(|it| WorkspaceConnector::specimen(it, &place()).id);
        let live: Vec<_> = ids
            .filter(|it| self.activation(*it).is_some_and(|it| it.deleted_at.is_none()))
            .collect();
        let owned: BTreeSet<_> = live.into_iter().filter_map(|it| self.owned(it)).collect();
        let book = self.common.provider.book.lock().unwrap();
        for (number, family) in book.families.iter().enumerate() {
            match (family.is_alive, owned.contains(&number), family.fate) {
                // It is used, or nothing is left of it.
                (true, true, Fate::Connected) | (false, false, _) => {}
                (true, false, Fate::Unheard) => self.report.count("granted and never heard of"),
                (true, false, Fate::Replaced) => self.report.count("replaced by a later one"),
                _ => self.report.broken += 1,
            }
        }
    }
}
