//! A process: what it runs on, and what it can do. It dies when it is dropped.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
};

use async_trait::async_trait;
use linkspan_app::{
    AccessTokens, ActivationSettings, Addresses, Connecting, ConnectorTypes, Disconnector,
    GrantStores, Refresher, Sources,
};
use linkspan_domain::{
    AuthConfig, AuthorizationFlow, Connector, ConnectorId, ListQuery, OauthConfig, Page, Platform,
    Receipt, Secret,
    ports::{
        Change, Outbound, OutboundError, OutboundRequest, OutboundResponse, Store, StoreError,
        World,
    },
};
use linkspan_sdk::{Environment, OpenHosts};
use linkspan_testkit::{MemoryGrants, fixtures::Specimen};
use tokio::{
    runtime::{Builder, Runtime},
    task::yield_now,
};

use crate::simulation::{
    pace::Pace,
    provider::Provider,
    store::Stepped,
    world::{Clock, Glass, place},
};

/// Where a task waits to be let on.
pub(super) struct Gate {
    pub(super) node: usize,
    pub(super) step: &'static str,
    pub(super) waker: Waker,
}

/// All gates that somebody waits at.
pub(super) type Gates = Arc<Mutex<Vec<Gate>>>;

/// Puts gates up for the tasks of one node.
struct Gatekeeper {
    node: usize,
    gates: Gates,
}

impl Pace for Gatekeeper {
    fn arrive(&self, step: &'static str, waker: &Waker) {
        let gate = Gate { node: self.node, step, waker: waker.clone() };
        self.gates.lock().unwrap().push(gate);
    }
}

/// A process.
pub(super) struct Node {
    pub(super) runtime: Runtime,
    pub(super) store: Arc<Stepped>,
    pub(super) refresher: Arc<Refresher>,
    pub(super) connecting: Arc<Connecting>,
    pub(super) disconnector: Arc<Disconnector>,
}

/// What all processes have in common.
pub(super) struct Common {
    pub(super) store: Arc<MemoryGrants>,
    pub(super) provider: Provider,
    pub(super) clock: Arc<Clock>,
    pub(super) gates: Gates,
}

impl Node {
    /// Starts the process number `node`.
    pub(super) fn start(node: usize, common: &Common) -> Self {
        let gates = Arc::clone(&common.gates);
        let pace: Arc<dyn Pace> = Arc::new(Gatekeeper { node, gates });
        let book = Arc::clone(&common.provider.book);
        let store =
            Arc::new(Stepped { store: Arc::clone(&common.store), pace: Arc::clone(&pace), book });
        let provider = Arc::new(common.provider.reached_at(pace));
        let world: Arc<dyn World> = Arc::clone(&common.clock) as _;
        let refresher = || {
            Refresher::new(
                Arc::clone(&store) as _,
                Arc::clone(&store) as _,
                Arc::clone(&store) as _,
                Arc::clone(&provider) as _,
                Arc::new(Glass),
                Arc::clone(&common.clock) as _,
                None,
            )
        };
        let connecting = Connecting::new(
            GrantStores {
                grants: Arc::clone(&store) as _,
                clients: Arc::clone(&store) as _,
                authorizations: Arc::clone(&store) as _,
            },
            Arc::clone(&store) as _,
            Arc::new(Offer),
            Arc::clone(&provider) as _,
            Arc::new(Glass),
            sources(),
            AccessTokens::new(refresher()),
            |_| Ok(state()),
            Addresses { public: "https://linkspan.example".parse().ok(), returns: Vec::new() },
            Arc::clone(&world),
        );
        let disconnector = Disconnector::new(
            Arc::clone(&store) as _,
            Arc::clone(&store) as _,
            Arc::clone(&provider) as _,
            Arc::new(Glass),
            world,
        );
        Self {
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
            refresher: Arc::new(refresher()),
            connecting: Arc::new(connecting),
            disconnector: Arc::new(disconnector),
            store,
        }
    }

    /// Has all tasks go on that can, until each of them waits at a gate or is done.
    pub(super) fn drive(&self) {
        // One wakes another that waits for it.
        const ROUNDS: usize = 4;
        self.runtime.block_on(async {
            for _ in 0..ROUNDS {
                yield_now().await;
            }
        });
    }
}

/// What nobody was sent with before.
fn state() -> Secret<String> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Secret::new(format!("state-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Settings of no connector type: whether they are complete is not what is tried here.
fn sources() -> Arc<Sources> {
    let settings =
        ActivationSettings::new(Arc::new(ConnectorTypes::new([]).unwrap()), Arc::new(Glass));
    let environment = Environment::new(Arc::new(Nowhere), Arc::new(OpenHosts));
    Arc::new(Sources::new(Arc::new(settings), environment))
}

struct Nowhere;

#[async_trait]
impl Outbound for Nowhere {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        panic!("nothing here goes to {}", request.url)
    }
}

/// The one connector there is.
struct Offer;

#[async_trait]
impl Store<Connector> for Offer {
    async fn find(&self, _: &Platform, id: ConnectorId) -> Result<Option<Connector>, StoreError> {
        let mut connector = Connector { id, deleted_at: None, ..Connector::specimen(1, &place()) };
        connector.entry.authorization_flow = AuthorizationFlow::OauthManual;
        let oauth_config = Some(OauthConfig::default());
        connector.entry.auth_config = Some(AuthConfig { oauth_config, ..AuthConfig::default() });
        Ok(Some(connector))
    }

    async fn find_all(
        &self,
        _: &Platform,
        _: &[ConnectorId],
    ) -> Result<Vec<Connector>, StoreError> {
        panic!("one is looked for at a time")
    }

    async fn list(&self, _: &Platform, _: &ListQuery) -> Result<Page<Connector>, StoreError> {
        panic!("nobody looks around")
    }

    async fn write(&self, _: &[Change<Connector>], _: &Receipt) -> Result<(), StoreError> {
        panic!("nobody changes the catalog")
    }
}
