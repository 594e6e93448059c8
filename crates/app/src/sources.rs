//! Asking connected systems, while a caller waits.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderValue, Method, StatusCode, header::AUTHORIZATION};
use linkspan_domain::{
    AuthorizationFlow, Caller, Condition, Denied, Direction, Permission, Secret, StreamName,
    StreamSpec, WorkspaceConnector, WorkspaceConnectorId, WorkspaceId, ports::OutboundRequest,
};
use linkspan_sdk::{Definition, Discovered, Environment, Failure, Pushed, TokenSource};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use crate::{AccessTokens, ActivationSettings, SettingsError, TokenError, grants::reconnect};

/// Asks connected systems, each time for no longer than a caller waits.
pub struct Sources {
    settings: Arc<ActivationSettings>,
    environment: Environment,
    tokens: Option<AccessTokens>,
}

/// The tokens of one activation.
struct TokensOf {
    tokens: AccessTokens,
    activation: WorkspaceConnectorId,
}

#[async_trait]
impl TokenSource for TokensOf {
    async fn bearer(&self) -> Result<Secret<String>, Failure> {
        Ok(self.tokens.ensure_fresh(self.activation).await?)
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
        Self { settings, environment, tokens: None }
    }

    /// Lends activations the tokens of their grants, too.
    #[must_use]
    pub fn with_tokens(self, tokens: AccessTokens) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    pub(crate) fn settings(&self) -> &ActivationSettings {
        &self.settings
    }

    /// Tries settings in `workspace`, to read or to write. A failure is an answer here, not an error.
    pub(crate) async fn check(
        &self,
        workspace: WorkspaceId,
        direction: Direction,
        definition: &Definition,
        settings: Value,
    ) -> Checked {
        let start = Instant::now();
        // No activation: settings that are only being tried keep no connections.
        let environment = Environment { direction, ..self.lend_to(workspace) };
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
        let has_grant = match &self.tokens {
            _ if !flow.needs_grant() => true,
            Some(tokens) => tokens.is_connected(id).await?,
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
        let token = tokens.bearer().await?;
        let Some(url) = test_url else { return Ok(()) };
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut request = OutboundRequest::new(Method::GET, url);
        let bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut bearer = bearer.map_err(|_| Failure::Unauthorized)?;
        bearer.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, bearer);
        let answer = timeout(PATIENCE, self.environment.outbound.send(request)).await;
        let answer = answer.map_err(|_| too_slow())?;
        let answer = answer.map_err(|error| Failure::unavailable(host.clone(), error))?;
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Failure::NeedReconnect(format!(
                    "{host} does not accept the token of the grant; {}",
                    reconnect(&activation.id)
                )))
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Failure::Unavailable { system: host, source: None })
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
        let discovering = definition.discover(settings, self.lend(activation));
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
        // No activation: what may not be kept keeps no connections.
        let tokens = self.tokens_of(activation.id);
        let environment = Environment { tokens, ..self.lend_to(activation.workspace_id) };
        let asking = definition.discover(settings, environment);
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
        let asking = definition.push_down(settings, stream, parts, self.lend(activation));
        Ok(timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(too_slow())))
    }

    /// The environment, for one use by an activation.
    pub(crate) fn lend(&self, activation: &WorkspaceConnector) -> Environment {
        let lent = self.lend_to(activation.workspace_id);
        let tokens = self.tokens_of(activation.id);
        Environment { activation: Some(activation.id), tokens, ..lent }
    }

    /// What the grant of an activation opens, if it has one.
    fn tokens_of(&self, activation: WorkspaceConnectorId) -> Option<Arc<dyn TokenSource>> {
        let tokens = self.tokens.clone()?;
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
