//! Asking connected systems, while a caller waits.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{Method, StatusCode};
use linkspan_domain::{
    AuthorizationFlow, Caller, Condition, Connector, Denied, Direction, Permission, Platform,
    Secret, StreamName, StreamSpec, WorkspaceConnector, WorkspaceConnectorId, WorkspaceId,
    ports::Store,
};
use linkspan_sdk::{
    Definition, Discovered, Environment, Failure, Http, Pushed, TokenRefusal, TokenSource,
};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use crate::{
    AccessTokens, ActivationSettings, SettingsError, TokenError,
    grants::{authorize_with, reconnect},
};

/// Asks connected systems, each time for no longer than a caller waits.
pub struct Sources {
    settings: Arc<ActivationSettings>,
    environment: Environment,
    grants: Option<Grants>,
}

/// What connectors say of authorizing, and what came of it.
struct Grants {
    tokens: AccessTokens,
    connectors: Arc<dyn Store<Connector>>,
}

/// The tokens of one activation.
struct TokensOf {
    tokens: AccessTokens,
    activation: WorkspaceConnectorId,
}

impl TokensOf {
    /// Whether all of `scope` was granted.
    async fn has(&self, scope: &str) -> bool {
        let granted = self.tokens.granted(self.activation).await;
        scope.split_whitespace().all(|it| granted.contains(it))
    }
}

#[async_trait]
impl TokenSource for TokensOf {
    async fn bearer(&self) -> Result<Secret<String>, Failure> {
        Ok(self.tokens.ensure_fresh(self.activation).await?)
    }

    async fn another(&self, refused: &Secret<String>) -> Result<Secret<String>, Failure> {
        Ok(self.tokens.another(self.activation, refused).await?)
    }

    async fn refused(&self, host: &str, refusal: TokenRefusal) -> Failure {
        let id = &self.activation;
        Failure::NeedReconnect(match refusal {
            TokenRefusal::Invalid => {
                format!("{host} does not accept the token of the grant; {}", reconnect(id))
            }
            TokenRefusal::InsufficientScope { scope: Some(scope) } if self.has(&scope).await => {
                // Who asked for it once more would be sent round in circles.
                format!(
                    "{host} asks for the scope `{scope}`, which the grant has already: to ask for it once more is of no use; find \
                     out what its account may do there, take the grant back at the provider, and {}",
                    reconnect(id)
                )
            }
            TokenRefusal::InsufficientScope { scope: Some(scope) } => format!(
                "{host} asks for the scope `{scope}`, which the grant does not have; {}",
                authorize_with(id, &scope)
            ),
            TokenRefusal::InsufficientScope { scope: None } => format!(
                "{host} asks for more than the grant allows, and does not say for which scope; ask its provider which, and {}",
                reconnect(id)
            ),
        })
    }
}

/// Whether an activation may do what needs a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HasGrant {
    /// It has one, or needs none.
    Connected,
    /// Somebody has to agree first.
    NotConnected,
}

/// What came of trying settings.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) ok: bool,
    pub(crate) latency: Duration,
    pub(crate) message: String,
    pub(crate) error: Option<String>,
}

/// How long a caller waits for a connected system.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

impl Sources {
    /// Asks by way of `environment`.
    pub const fn new(settings: Arc<ActivationSettings>, environment: Environment) -> Self {
        Self { settings, environment, grants: None }
    }

    /// Lends activations the tokens of their grants, too, where `connectors` say that they need one.
    #[must_use]
    pub fn with_grants(self, tokens: AccessTokens, connectors: Arc<dyn Store<Connector>>) -> Self {
        Self { grants: Some(Grants { tokens, connectors }), ..self }
    }

    pub(crate) fn settings(&self) -> &ActivationSettings {
        &self.settings
    }

    /// Tries settings by way of `environment`. A failure is an answer here, not an error.
    pub(crate) async fn check(
        &self,
        definition: &Definition,
        settings: Value,
        environment: Environment,
    ) -> Checked {
        let start = Instant::now();
        let checking = definition.check(settings, environment);
        let answer = timeout(PATIENCE, checking).await.unwrap_or_else(|_| Err(too_slow()));
        let latency = start.elapsed();
        match answer {
            Ok(outcome) => Checked { ok: true, latency, message: outcome.message, error: None },
            Err(failure) => {
                tracing::debug!(
                    error = &failure as &dyn std::error::Error,
                    connector_type = %definition.manifest.key,
                    "settings do not work"
                );
                let error = Some(failure.code().to_owned());
                Checked { ok: false, latency, message: failure.to_string(), error }
            }
        }
    }

    /// Whether the activation `id`, whose connector authorizes by `flow`, has the grant that it needs.
    pub(crate) async fn grant_of(
        &self,
        id: WorkspaceConnectorId,
        flow: AuthorizationFlow,
    ) -> Result<HasGrant, TokenError> {
        let has_grant = match &self.grants {
            _ if !flow.needs_grant() => true,
            Some(grants) => grants.tokens.is_connected(id).await?,
            None => false,
        };
        Ok(if has_grant { HasGrant::Connected } else { HasGrant::NotConnected })
    }

    /// Tries the grant of an activation: a token is had, and `test_url` takes it.
    pub(crate) async fn check_grant(
        &self,
        activation: &WorkspaceConnector,
        test_url: Option<Url>,
    ) -> Result<(), Failure> {
        let Some(tokens) = self.tokens_of(activation.id) else { return Ok(()) };
        let Some(url) = test_url else { return tokens.bearer().await.map(drop) };
        let Environment { outbound, limits, .. } = &self.environment;
        let http = Http::new(Arc::clone(outbound), limits.exchange);
        let trying = http.exchange_with(&*tokens, || Ok(http.request(Method::GET, url.clone())));
        let answer = timeout(PATIENCE, trying).await.unwrap_or_else(|_| Err(too_slow()))?;
        let host = url.host_str().unwrap_or_default();
        match answer.status {
            StatusCode::FORBIDDEN => Err(tokens.refused(host, TokenRefusal::Invalid).await),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Failure::Unavailable { system: host.to_owned(), source: None })
            }
            _ => Ok(()),
        }
    }

    /// The streams behind an activation that it may show, and what is none. Waits for `patience` at most.
    pub(crate) async fn discover(
        &self,
        activation: &WorkspaceConnector,
        patience: Duration,
    ) -> Result<Result<Discovered, Failure>, SettingsError> {
        let (definition, settings) = self.settings.of(activation)?;
        let discovering =
            async { definition.discover(settings, self.lend(activation).await?).await };
        let answer = timeout(patience, discovering).await.unwrap_or_else(|_| Err(too_slow()));
        Ok(answer.map(|mut found| {
            found.streams.retain(|it| activation.shows(it.name.as_str()));
            found.left_out.0.retain(|it| activation.shows(&it.name));
            found
        }))
    }

    /// The streams behind an activation, which need not be kept yet. None where its system does not say them by `until`, or
    /// `caller` may not ask it.
    pub(crate) async fn streams(
        &self,
        caller: &Caller,
        activation: &WorkspaceConnector,
        until: Instant,
    ) -> Option<Vec<StreamSpec>> {
        let (definition, settings) = self.settings.of(activation).ok()?;
        may_run(caller, definition).ok()?;
        let asking =
            async { definition.discover(settings, self.lend_for_trial(activation).await?).await };
        Some(timeout_at(until, asking).await.ok()?.ok()?.streams)
    }

    /// Which parts of a filter the source takes over in a read of `stream`.
    pub(crate) async fn push_down(
        &self,
        activation: &WorkspaceConnector,
        stream: StreamName,
        parts: Vec<Condition>,
    ) -> Result<Result<Vec<Pushed>, Failure>, SettingsError> {
        let (definition, settings) = self.settings.of(activation)?;
        let asking = async {
            let environment = self.lend(activation).await?;
            definition.push_down(settings, stream, parts, environment).await
        };
        Ok(timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(too_slow())))
    }

    /// The environment, for one use by an activation.
    pub(crate) async fn lend(
        &self,
        activation: &WorkspaceConnector,
    ) -> Result<Environment, Failure> {
        let lent = self.lend_to(activation.workspace_id);
        Ok(Environment {
            activation: Some(activation.id),
            flow: self.flow_of(activation).await?,
            tokens: self.tokens_of(activation.id),
            ..lent
        })
    }

    /// The same, for settings of an activation that are only being tried, or may not be kept: they keep no connections.
    pub(crate) async fn lend_for_trial(
        &self,
        activation: &WorkspaceConnector,
    ) -> Result<Environment, Failure> {
        let direction = activation.direction();
        Ok(Environment { activation: None, direction, ..self.lend(activation).await? })
    }

    /// The environment, to try settings of no activation, to read or to write, of a connector that authorizes by `flow`.
    pub(crate) fn lend_for_draft(
        &self,
        workspace: WorkspaceId,
        direction: Direction,
        flow: AuthorizationFlow,
    ) -> Environment {
        Environment { direction, flow, ..self.lend_to(workspace) }
    }

    /// How the connector of an activation authorizes.
    async fn flow_of(&self, activation: &WorkspaceConnector) -> Result<AuthorizationFlow, Failure> {
        let Some(grants) = &self.grants else { return Ok(AuthorizationFlow::None) };
        let found = grants.connectors.find(&Platform, activation.connector_id).await;
        let found = found.map_err(|error| Failure::unavailable("the catalog", error))?;
        Ok(found.map(|it| it.entry.authorization_flow).unwrap_or_default())
    }

    /// What the grant of an activation opens, if it has one.
    fn tokens_of(&self, activation: WorkspaceConnectorId) -> Option<Arc<dyn TokenSource>> {
        let tokens = self.grants.as_ref()?.tokens.clone();
        Some(Arc::new(TokensOf { tokens, activation }))
    }

    /// The environment, for one use in a workspace.
    fn lend_to(&self, workspace: WorkspaceId) -> Environment {
        let cancel = self.environment.cancel.child_token();
        let files = self.environment.files.of_workspace(workspace);
        Environment { files, cancel, ..self.environment.clone() }
    }
}

/// Doubles for trials are run by admins only.
pub(crate) fn may_run(caller: &Caller, definition: &Definition) -> Result<(), Denied> {
    if definition.manifest.is_mock { caller.require(Permission::OrgAdmin) } else { Ok(()) }
}

fn too_slow() -> Failure {
    Failure::Unavailable { system: "the system".to_owned(), source: None }
}

#[cfg(test)]
mod tests;
