//! Where runs are worked off: what the API, a worker and a scheduler have in common, and the latter two at work.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use linkspan_app::{
    ActivationSettings, ActivationStores, Activations, ConnectorTypes, CredentialExpiry,
    KeyRotator, MeteredVault, RotatorSettings, RunConnections, Sources,
};
use linkspan_domain::{
    Call, SyncLogId,
    ports::{RunQueue, StoreError, World},
};
use linkspan_engine::{
    Engine, EngineLimits, Models, RunEvent, Scheduler, Withdrawals, Worker, WorkerSettings,
};
use linkspan_oauth::WebAuthorizationServers;
use linkspan_persistence::Database;
use linkspan_sdk::RecordStore;
use linkspan_vault::{ClientKeys, KeyringVault};
use tokio::{
    sync::{Notify, broadcast},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    compose::{ComposeError, FileReach, Opening, database, environment, make_data_dir, models},
    keys::keyring,
    oauth::Oauth,
    registry,
    role::{Role, Roles},
    settings::Settings,
    world::SystemWorld,
};

/// The database and the connectors, ready for runs.
pub(crate) struct Workshop {
    pub(crate) database: Database,
    pub(crate) types: Arc<ConnectorTypes>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) queue: Arc<dyn RunQueue>,
    pub(crate) world: Arc<dyn World>,
    pub(crate) models: Arc<Models>,
    pub(crate) vault: Arc<MeteredVault>,
    /// Tells that a rotation of the master key was started here.
    pub(crate) rotation_started: Arc<Notify>,
    pub(crate) oauth: Oauth,
    /// Where its runs tell what happens in them.
    pub(crate) events: broadcast::Sender<(SyncLogId, RunEvent)>,
    /// The folder of the uploads of all workspaces.
    pub(crate) uploads: PathBuf,
    slots: usize,
    lease: time::Duration,
    metering: Metering,
}

/// Telling how often the master key seals, for as long as there is a workshop.
struct Metering {
    stop: CancellationToken,
    telling: Mutex<Option<JoinHandle<()>>>,
}

/// How often a worker looks for a run, when nobody tells it.
const POLL: Duration = Duration::from_millis(200);

/// How many events are kept for those who listen slowly.
const EVENTS: usize = 1_024;

impl Workshop {
    /// Opens the database with the newest schema, and finds the connectors.
    pub(crate) async fn open(
        settings: &Settings,
        reach: FileReach,
        opening: Opening,
    ) -> Result<Self, ComposeError> {
        let database = database(settings, opening).await?;
        let vault = Arc::new(KeyringVault::new(keyring(settings, &database, opening).await?));
        let uploads = settings.data_dir.join("files");
        let is_changed = opening != Opening::AsItIs;
        if is_changed {
            make_data_dir(&uploads)?;
        }
        let environment = environment(settings, is_changed.then_some(&*uploads), reach)?;
        let types = Arc::new(registry::types().map_err(ComposeError::Types)?);
        let world: Arc<dyn World> = Arc::new(SystemWorld);
        let vault = Arc::new(MeteredVault::new(vault, database.keys(), Arc::clone(&world)));
        let signer = Arc::new(ClientKeys::new(Arc::clone(&world)));
        let servers = WebAuthorizationServers::new(Arc::clone(&environment.outbound), signer);
        let servers = Arc::new(servers);
        let oauth =
            Oauth::new(settings, &database, servers, Arc::clone(&vault) as _, Arc::clone(&world));
        let activation_settings =
            ActivationSettings::new(Arc::clone(&types), Arc::clone(&vault) as _);
        let sources = Sources::new(Arc::new(activation_settings), environment);
        let sources = Arc::new(sources.with_grants(oauth.tokens.clone(), database.connectors()));
        Ok(Self {
            queue: database.run_queue(),
            database,
            types,
            sources,
            world,
            oauth,
            models: Arc::new(models()?),
            metering: Metering::start(Arc::clone(&vault)),
            vault,
            rotation_started: Arc::default(),
            events: broadcast::channel(EVENTS).0,
            uploads,
            slots: settings.worker_concurrency,
            lease: time::Duration::seconds(settings.lease_secs.get().into()),
        })
    }

    /// Works on runs.
    pub(crate) fn worker(&self) -> Worker {
        let activations = self.database.workspace_connectors();
        let filters = self.database.connector_filters();
        let connections = RunConnections::new(activations, filters, Arc::clone(&self.sources));
        let engine = Engine {
            syncs: self.database.syncs(),
            records: self.database.records(),
            entities: self.database.mapped(),
            models: Arc::clone(&self.models),
            diagnostics: self.database.diagnostics(),
            connections: Arc::new(connections),
            world: Arc::clone(&self.world),
            progress: Arc::new(self.events.clone()),
            limits: EngineLimits { lease: self.lease, ..EngineLimits::default() },
        };
        let name = self.name("worker");
        let settings = WorkerSettings { name, slots: self.slots, poll: POLL };
        Worker::new(engine, Arc::clone(&self.queue), settings)
    }

    /// Works on rotations of the master key.
    pub(crate) fn rotator(&self) -> KeyRotator {
        let settings = RotatorSettings {
            name: self.name("rotator"),
            lease: self.lease,
            started: Arc::clone(&self.rotation_started),
        };
        let (vault, world) = (Arc::clone(&self.vault) as _, Arc::clone(&self.world));
        let database = &self.database;
        KeyRotator::new(database.key_rotations(), database.keys(), vault, world, settings)
    }

    /// Works off runs and starts those of schedules, as far as `roles` say, until `stop`. Any process rotates keys.
    pub(crate) async fn work(&self, roles: &Roles, stop: &CancellationToken) {
        let working = async {
            if roles.has(Role::Worker) {
                let (worker, withdrawals) = (self.worker(), self.withdrawals());
                let keeper = self.oauth.keeper();
                tokio::join!(worker.run(stop), withdrawals.run(stop), keeper.run(stop));
            }
        };
        let scheduling = async {
            if roles.has(Role::Scheduler) {
                let (scheduler, expiry) = (self.scheduler(), self.credential_expiry());
                tokio::join!(scheduler.run(stop), expiry.run(stop), self.granting(stop));
            }
        };
        let rotator = self.rotator();
        // Also where there is nothing to do: whoever ends before is missed.
        tokio::join!(working, scheduling, rotator.run(stop));
    }

    /// Connects and disconnects what nobody is at any more, until `stop`.
    pub(crate) async fn granting(&self, stop: &CancellationToken) {
        let connecting = self.oauth.connecting(Arc::clone(&self.sources));
        let disconnector = self.oauth.disconnector();
        tokio::join!(connecting.run(stop), disconnector.run(stop));
    }

    /// The activations.
    pub(crate) fn activations(&self) -> Activations {
        let db = &self.database;
        let stores = ActivationStores {
            activations: db.workspace_connectors(),
            connectors: db.connectors(),
            people: db.people(),
            tests: db.connection_tests(),
            credentials: db.credential_versions(),
            syncs: db.syncs(),
        };
        Activations::new(stores, Arc::clone(&self.sources), Arc::clone(&self.world))
    }

    /// A call of the platform itself that sees every workspace. None: there is no workspace yet.
    pub(crate) async fn call_everywhere(&self) -> Result<Option<Call>, StoreError> {
        let access = self.database.access();
        let Some(organization) = access.organization().await? else { return Ok(None) };
        let workspaces = access.workspaces(organization).await?;
        let Some(first) = workspaces.first() else { return Ok(None) };
        let trace_id = self.world.uuid().simple().to_string();
        let mut call = Call::of_system(organization, first.id, trace_id);
        call.caller.visible.workspaces = workspaces.iter().map(|it| it.id).collect();
        Ok(Some(call))
    }

    /// The records that runs brought in.
    pub(crate) fn records(&self) -> Arc<dyn RecordStore> {
        self.database.records()
    }

    /// Has refreshes under way come to their end, and closes the database.
    pub(crate) async fn close(&self) {
        self.oauth.tokens.close().await;
        self.metering.stop().await;
        self.database.close().await;
    }

    /// A name that no other part of a process has.
    fn name(&self, part: &str) -> String {
        format!("{part}-{}-{}", std::process::id(), self.world.uuid().simple())
    }

    fn withdrawals(&self) -> Withdrawals {
        Withdrawals { entities: self.database.mapped(), world: Arc::clone(&self.world) }
    }

    /// Wipes secrets whose overlap is over.
    pub(crate) fn credential_expiry(&self) -> CredentialExpiry {
        let credentials = self.database.credential_versions();
        CredentialExpiry { credentials, world: Arc::clone(&self.world) }
    }

    fn scheduler(&self) -> Scheduler {
        Scheduler {
            schedules: self.database.schedules(),
            world: Arc::clone(&self.world),
            queue: Arc::clone(&self.queue),
        }
    }
}

impl Metering {
    fn start(vault: Arc<MeteredVault>) -> Self {
        let stop = CancellationToken::new();
        let until = stop.clone();
        let telling = tokio::spawn(async move { vault.run(&until).await });
        Self { stop, telling: Mutex::new(Some(telling)) }
    }

    /// Ends once everything is told.
    async fn stop(&self) {
        self.stop.cancel();
        let telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(telling) = telling {
            // It ends by itself, or it broke: either way there is no more to tell.
            let _ = telling.await;
        }
    }
}
