//! What a connector works with while it runs.

use std::{path::Path, sync::Arc};

use linkspan_domain::{
    AuthorizationFlow, Direction, Secret,
    ports::{OutboundRequest, OutboundResponse},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    ConnectorType, Environment, Failure, FileAccess, HostGuard, Http, PoolKey, SourceLimits,
    TokenSource,
};

/// What one use of connector type `T` works with: its settings, and the only ways out of the process.
pub struct Cx<T: ConnectorType> {
    /// What the activation supplied.
    pub settings: T::Settings,
    /// What all uses of the type share.
    pub shared: Arc<T::Shared>,
    /// Requests over HTTP.
    pub http: Http,
    /// Files in the folders that the operator opened, and uploads.
    pub files: FileAccess,
    /// A folder for files that are gone when the use ends.
    pub scratch: Arc<Path>,
    /// Asked before a connection that is not HTTP is opened.
    pub database_hosts: Arc<dyn HostGuard>,
    /// What the operator allows.
    pub limits: SourceLimits,
    /// Names the pool of connections to keep for this activation; `None` for settings that are only
    /// being tried.
    pub pool_key: Option<PoolKey>,
    /// Whether records are to be read or written. Only a check needs to know.
    pub direction: Direction,
    /// How the connector authorizes. Where that needs a grant, requests carry its token.
    pub flow: AuthorizationFlow,
    /// What an OAuth grant opens.
    pub tokens: Option<Arc<dyn TokenSource>>,
    /// Cancelled when nobody waits for the result any more. Waiting at an `await` needs no look at
    /// it: the work is dropped there. Long computations should ask.
    pub cancel: CancellationToken,
}

impl<T: ConnectorType> Cx<T> {
    /// Has `read` make sense of `settings` and opens `environment` for them.
    pub(crate) fn open(
        read: fn(Value) -> Result<T::Settings, Failure>,
        settings: Value,
        environment: Environment,
        shared: Arc<T::Shared>,
    ) -> Result<Self, Failure> {
        let Environment {
            outbound,
            files,
            scratch,
            database_hosts,
            limits,
            paces,
            activation,
            direction,
            flow,
            tokens,
            cancel,
        } = environment;
        let pool_key = activation.map(|activation| PoolKey::of(activation, &settings));
        let settings = read(settings)?;
        let http = Http::paced(outbound, limits.exchange, paces);
        Ok(Self {
            settings,
            shared,
            http,
            files,
            scratch,
            database_hosts,
            limits,
            pool_key,
            direction,
            flow,
            tokens,
            cancel,
        })
    }

    /// An access token of the activation that works for a while yet.
    pub async fn bearer(&self) -> Result<Secret<String>, Failure> {
        self.grant()?.bearer().await
    }

    /// Sends the request that `make` makes with the token of the activation's grant; see [`Http::exchange_with`].
    pub async fn exchange_with_grant(
        &self,
        make: impl Fn() -> Result<OutboundRequest, Failure> + Send + Sync,
    ) -> Result<OutboundResponse, Failure> {
        self.http.exchange_with(self.grant()?, make).await
    }

    fn grant(&self) -> Result<&dyn TokenSource, Failure> {
        self.tokens.as_deref().ok_or_else(|| {
            Failure::NeedReconnect(
                "these settings are of no activation that was authorized; activate the connector, and authorize it".to_owned(),
            )
        })
    }
}
