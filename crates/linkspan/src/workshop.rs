//! Where runs are worked off: what the API, a worker and a scheduler have in common, and the latter two at work.

use std::{path::PathBuf, sync::Arc, time::Duration};

use linkspan_app::{ActivationSettings, ConnectorTypes, RunConnections, Sources};
use linkspan_domain::{
    SyncLogId,
    ports::{RunQueue, Vault, World},
};
use linkspan_engine::{
    Engine, EngineLimits, Models, RunEvent, Scheduler, Withdrawals, Worker, WorkerSettings,
};
use linkspan_persistence::Database;
use linkspan_sdk::RecordStore;
use linkspan_vault::KeyringVault;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::{
    compose::{
        ComposeError, FileReach, authorization_servers, database, environment, keyring,
        make_data_dir, models,
    },
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
    pub(crate) oauth: Oauth,
    /// Where its runs tell what happens in them.
    pub(crate) events: broadcast::Sender<(SyncLogId, RunEvent)>,
    /// The folder of the uploads of all workspaces.
    pub(crate) uploads: PathBuf,
    slots: usize,
    lease: time::Duration,
}

/// How often a worker looks for a run, when nobody tells it.
const POLL: Duration = Duration::from_millis(200);

/// How many events are kept for those who listen slowly.
const EVENTS: usize = 1_024;

impl Workshop {
    /// Opens the database with the newest schema, and finds the connectors.
    pub(crate) async fn open(settings: &Settings, reach: FileReach) -> Result<Self, ComposeError> {
        let database = database(settings).await?;
        let uploads = settings.data_dir.join("files");
        make_data_dir(&uploads)?;
        let environment = environment(settings, Some(&uploads), reach)?;
        let types = Arc::new(registry::types().map_err(ComposeError::Types)?);
        let vault: Arc<dyn Vault> =
            Arc::new(KeyringVault::new(keyring(settings, &database).await?));
        let world: Arc<dyn World> = Arc::new(SystemWorld);
        let servers = authorization_servers();
        let oauth =
            Oauth::new(settings, &database, servers, Arc::clone(&vault), Arc::clone(&world))?;
        let activation_settings = ActivationSettings::new(Arc::clone(&types), vault);
        let sources = Sources::new(Arc::new(activation_settings), environment);
        let sources = Arc::new(sources.with_tokens(oauth.tokens.clone()));
        Ok(Self {
            queue: database.run_queue(),
            database,
            types,
            sources,
            world,
            oauth,
            models: Arc::new(models()?),
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
        let name = format!("worker-{}-{}", std::process::id(), self.world.uuid().simple());
        let settings = WorkerSettings { name, slots: self.slots, poll: POLL };
        Worker::new(engine, Arc::clone(&self.queue), settings)
    }

    /// Works off runs and starts those of schedules, as far as `roles` say, until `stop`.
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
                let (scheduler, disconnector) = (self.scheduler(), self.oauth.disconnector());
                tokio::join!(scheduler.run(stop), disconnector.run(stop));
            }
        };
        // Also where there is nothing to do: whoever ends before is missed.
        tokio::join!(working, scheduling, stop.cancelled());
    }

    /// The records that runs brought in.
    pub(crate) fn records(&self) -> Arc<dyn RecordStore> {
        self.database.records()
    }

    /// Has refreshes under way come to their end, and closes the database.
    pub(crate) async fn close(&self) {
        self.oauth.tokens.close().await;
        self.database.close().await;
    }

    fn withdrawals(&self) -> Withdrawals {
        Withdrawals { entities: self.database.mapped(), world: Arc::clone(&self.world) }
    }

    fn scheduler(&self) -> Scheduler {
        Scheduler {
            schedules: self.database.schedules(),
            world: Arc::clone(&self.world),
            queue: Arc::clone(&self.queue),
        }
    }
}
