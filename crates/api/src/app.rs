//! What the API serves.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use linkspan_app::{
    Access, Activations, ApiKeys, Audit, Bootstrap, Catalog, Connecting, ConnectorTypes, Data,
    Diagnostics, Entities, Files, FilterPlans, Filters, Idempotency, Installing, Keys, Mappings,
    People, ProviderConnectors, Providers, RunWatch, Schedules, Streams, SyncTargets, Syncs,
    TargetModels, Visiting, Workspaces,
};
use linkspan_domain::ports::{Snapshots, World};

use crate::TrustedProxies;

/// The use cases that the API offers, and how much of it.
#[derive(Clone)]
#[expect(missing_docs, reason = "the services say themselves what they are")]
pub struct App {
    pub access: Arc<Access>,
    pub activations: Arc<Activations>,
    pub api_keys: Arc<ApiKeys>,
    pub audit: Arc<Audit>,
    pub bootstrap: Arc<Bootstrap>,
    pub catalog: Arc<Catalog>,
    pub connecting: Arc<Connecting>,
    pub connector_types: Arc<ConnectorTypes>,
    pub data: Arc<Data>,
    pub diagnostics: Arc<Diagnostics>,
    pub entities: Arc<Entities>,
    pub files: Arc<Files>,
    pub filter_plans: Arc<FilterPlans>,
    pub filters: Arc<Filters>,
    pub idempotency: Arc<Idempotency>,
    pub installing: Arc<Installing>,
    pub keys: Arc<Keys>,
    pub mappings: Arc<Mappings>,
    pub people: Arc<People>,
    pub provider_connectors: Arc<ProviderConnectors>,
    pub providers: Arc<Providers>,
    pub run_watch: Arc<RunWatch>,
    pub schedules: Arc<Schedules>,
    pub streams: Arc<Streams>,
    pub sync_targets: Arc<SyncTargets>,
    pub syncs: Arc<Syncs>,
    pub target_models: Arc<TargetModels>,
    pub visiting: Arc<Visiting>,
    pub workspaces: Arc<Workspaces>,
    pub snapshots: Arc<dyn Snapshots>,
    pub world: Arc<dyn World>,
    pub probes: Probes,
    pub limits: Limits,
    pub proxies: TrustedProxies,
}

/// How operators look into the running process.
#[derive(Clone)]
pub struct Probes {
    /// The metrics, as Prometheus reads them.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether the database answers.
    pub is_ready: Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>,
}

/// How much one request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// The most bytes that the target and the headers of a request may have together.
    pub head_bytes: usize,
    /// How long a request may take.
    pub request: Duration,
    /// How long a request may take that waits for a connected system.
    pub source: Duration,
    /// How long an upload may take.
    pub upload: Duration,
    /// How long a connection may be silent.
    pub idle: Duration,
    /// How long requests at work are waited for when the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    /// 1 MiB of body, 32 KiB of head, 30 s, 60 s with a connected system, 10 min for an upload, 75 s of silence, 20 s to drain.
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            head_bytes: 32 << 10,
            request: Duration::from_secs(30),
            source: Duration::from_mins(1),
            upload: Duration::from_mins(10),
            idle: Duration::from_secs(75),
            drain: Duration::from_secs(20),
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("limits", &self.limits).finish_non_exhaustive()
    }
}
