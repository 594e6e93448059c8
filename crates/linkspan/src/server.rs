//! The server: the API, a scheduler and a worker, over one platform, until somebody stops them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::FutureExt;
use linkspan_api::{Limits, Probes, ServeError};
use linkspan_domain::SyncLogId;
use linkspan_sdk::RecordStore;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{compose::Platform, role::Roles, settings::Settings, workshop::Workshop};

/// A server at work.
pub(crate) struct Server {
    platform: Arc<Platform>,
    address: SocketAddr,
    stop: CancellationToken,
    api: JoinHandle<Result<(), ServeError>>,
    worker: JoinHandle<()>,
    asked: UnboundedSender<SyncLogId>,
    patience: Duration,
}

/// A place to listen, which nobody else has. Requests wait there until a server starts.
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Which runs the worker of a server takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Any that waits, and those whose time has come by their schedule, as far as it is a worker and a scheduler.
    As(Roles),
    /// Those it is [asked](Server::work_on) for. Whoever may read more files than others leaves the runs of others alone.
    Asked,
}

/// Why a server did not start, or did not stop as it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on; choose another with --listen")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The API ended with an error.
    #[error("the API ended with an error")]
    Api(#[source] ServeError),
    /// A part of the server ended though nobody stopped it.
    #[error("the {part} ended though nobody stopped it; see the log, and start the server again")]
    Ended {
        /// Which part.
        part: &'static str,
    },
    /// A part of the server did not end in time, or crashed.
    #[error("the {part} did not stop in time")]
    Stuck {
        /// Which part.
        part: &'static str,
    },
}

impl Listener {
    /// Takes `address`. To be done before anything else: a server that cannot listen makes and says nothing.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Listen { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }
}

impl Server {
    /// Starts behind `listener`.
    pub(crate) fn start(
        settings: &Settings,
        platform: Platform,
        listener: Listener,
        work: Work,
    ) -> Self {
        let Listener { socket, address } = listener;
        let platform = Arc::new(platform);
        let stop = CancellationToken::new();
        let patience = Duration::from_secs(settings.shutdown_secs);
        let limits = Limits { drain: patience, ..Limits::default() };
        let api = platform.api(probes(&platform, &stop), limits, stop.clone());
        let api = tokio::spawn(linkspan_api::serve(socket, api, stop.clone().cancelled_owned()));
        let (asked, runs) = mpsc::unbounded_channel();
        let worker = tokio::spawn(work.go_on(Arc::clone(&platform), runs, stop.clone()));
        Self { platform, address, stop, api, worker, asked, patience }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has the worker take `run`, if it does not take any run by itself.
    pub(crate) fn work_on(&self, run: SyncLogId) {
        // Without a worker there is nobody to ask, and whoever waits for the run is told of that.
        let _ = self.asked.send(run);
    }

    /// Goes on until somebody asks the process to stop, or a part of the server ends by itself.
    pub(crate) async fn run(mut self) -> Result<(), ServerError> {
        tokio::select! {
            () = stop_signal() => {
                tracing::info!("stopping: requests and checkpoints in flight are finished first");
                self.stop().await
            }
            broken = self.broken() => Err(broken),
        }
    }

    async fn broken(&mut self) -> ServerError {
        tokio::select! {
            api = &mut self.api => match api {
                Ok(Err(source)) => ServerError::Api(source),
                Ok(Ok(())) | Err(_) => ServerError::Ended { part: "API" },
            },
            _ = &mut self.worker => ServerError::Ended { part: "worker" },
        }
    }

    /// The records that its runs brought in.
    pub(crate) fn records(&self) -> Arc<dyn RecordStore> {
        self.platform.workshop.records()
    }

    /// Stops: takes nothing new, finishes requests and checkpoints in flight, and closes the database.
    pub(crate) async fn stop(self) -> Result<(), ServerError> {
        self.stop.cancel();
        // The parts have the same time to finish; what they take beyond it is being stuck.
        let patience = self.patience + GRACE;
        let api = tokio::time::timeout(patience, self.api).await;
        let worker = tokio::time::timeout(patience, self.worker).await;
        self.platform.close().await;
        match (api, worker) {
            (Ok(Ok(ended)), Ok(Ok(()))) => ended.map_err(ServerError::Api),
            (Ok(Ok(_)), _) => Err(ServerError::Stuck { part: "worker" }),
            _ => Err(ServerError::Stuck { part: "API" }),
        }
    }
}

impl Work {
    async fn go_on(
        self,
        platform: Arc<Platform>,
        mut runs: UnboundedReceiver<SyncLogId>,
        stop: CancellationToken,
    ) {
        match self {
            Self::As(roles) => platform.workshop.work(&roles, &stop).await,
            Self::Asked => {
                let (worker, rotator) = (platform.workshop.worker(), platform.workshop.rotator());
                let expiry = platform.workshop.credential_expiry();
                let working = async {
                    while let Some(Some(run)) = stop.run_until_cancelled(runs.recv()).await {
                        worker.run_only(run, &stop).await;
                    }
                };
                // There may be nobody else to do it.
                let granting = platform.workshop.granting(&stop);
                tokio::join!(working, rotator.run(&stop), expiry.run(&stop), granting);
            }
        }
    }
}

/// Does what `roles` say without an API, until somebody asks the process to stop.
pub(crate) async fn work_alone(
    workshop: &Workshop,
    roles: &Roles,
    settings: &Settings,
) -> Result<(), ServerError> {
    let stop = CancellationToken::new();
    let mut work = std::pin::pin!(workshop.work(roles, &stop));
    tokio::select! {
        () = stop_signal() => {}
        () = &mut work => return Err(ServerError::Ended { part: "worker" }),
    }
    tracing::info!("stopping: checkpoints in flight are finished first");
    stop.cancel();
    let patience = Duration::from_secs(settings.shutdown_secs) + GRACE;
    let worked = tokio::time::timeout(patience, work).await;
    workshop.close().await;
    worked.map_err(|_| ServerError::Stuck { part: "worker" })
}

/// What the parts of a process may take to stop beyond the time they have to finish.
const GRACE: Duration = Duration::from_secs(5);

/// How often measurements are folded into the histograms that are shown.
const UPKEEP: Duration = Duration::from_secs(5);

/// How operators look into the process. Nothing is measured if another part of the process measures already.
fn probes(platform: &Arc<Platform>, stop: &CancellationToken) -> Probes {
    let metrics: Arc<dyn Fn() -> String + Send + Sync> =
        match PrometheusBuilder::new().install_recorder() {
            Ok(handle) => {
                let (upkeep, stop) = (handle.clone(), stop.clone());
                tokio::spawn(stop.run_until_cancelled_owned(async move {
                    loop {
                        tokio::time::sleep(UPKEEP).await;
                        upkeep.run_upkeep();
                    }
                }));
                Arc::new(move || handle.render())
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "nothing is measured");
                Arc::new(String::new)
            }
        };
    let (platform, stop) = (Arc::clone(platform), stop.clone());
    let is_ready = move || {
        let (platform, stop) = (Arc::clone(&platform), stop.clone());
        async move { !stop.is_cancelled() && platform.workshop.database.ping().await.is_ok() }
            .boxed()
    };
    Probes { metrics, is_ready: Arc::new(is_ready) }
}

/// Comes when somebody asks the process to stop: Ctrl-C, or the signal of a service manager.
pub(crate) async fn stop_signal() {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be listened to; only Ctrl-C stops the server");
            let _ = tokio::signal::ctrl_c().await;
            return;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
