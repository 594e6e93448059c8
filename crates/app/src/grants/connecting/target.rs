//! What a connector says about authorizing, for one activation.

use linkspan_domain::{
    AuthConfig, Connector, OauthConfig, OauthGrantType, WorkspaceConnector, ports::OauthTarget,
};
use serde_json::{Map, Value};
use url::Url;

use super::ConnectError;

/// Where to authorize, and how.
pub(super) struct Target {
    pub(super) oauth: OauthTarget,
}

impl Target {
    /// Whether no person is asked.
    pub(super) fn is_client_alone(&self) -> bool {
        let config = self.oauth.config.oauth_config.as_ref();
        config.is_some_and(|it| it.grant_type == OauthGrantType::ClientCredentials)
    }
}

/// What `connector` says, with the settings of `activation` in the places of its placeholders.
pub(super) fn of(
    connector: &Connector,
    activation: &WorkspaceConnector,
) -> Result<Target, ConnectError> {
    let said = connector.entry.auth_config.clone();
    let said = said.ok_or(ConnectError::NotConfigured { connector: connector.id })?;
    let config = filled(said, &activation.config)?;
    let flow = connector.entry.authorization_flow;
    let resource = config.mcp_server_url.as_deref().map(Url::parse).transpose();
    let resource = resource.map_err(|_| ConnectError::NotAUrl { what: "mcp_server_url" })?;
    Ok(Target { oauth: OauthTarget { flow, config, resource, challenge: None } })
}

/// `config`, its placeholders filled in.
fn filled(config: AuthConfig, settings: &Map<String, Value>) -> Result<AuthConfig, ConnectError> {
    let fill = |text: Option<String>| text.map(|it| fill(&it, settings)).transpose();
    let oauth_config = config.oauth_config.map(|it| -> Result<_, ConnectError> {
        Ok(OauthConfig {
            authorization_endpoint: fill(it.authorization_endpoint)?,
            token_endpoint: fill(it.token_endpoint)?,
            revocation_endpoint: fill(it.revocation_endpoint)?,
            registration_endpoint: fill(it.registration_endpoint)?,
            ..it
        })
    });
    Ok(AuthConfig {
        oauth_metadata_url: fill(config.oauth_metadata_url)?,
        authorization_endpoint: fill(config.authorization_endpoint)?,
        oauth_config: oauth_config.transpose()?,
        mcp_server_url: fill(config.mcp_server_url)?,
        token_test_url: fill(config.token_test_url)?,
        ..config
    })
}

/// `text` with the settings that its placeholders name: `https://{subdomain}.example.com`. A setting that could turn one host
/// into another is refused.
pub(super) fn fill(text: &str, settings: &Map<String, Value>) -> Result<String, ConnectError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((name, behind)) = behind.split_once('}') else { break };
        let value = settings.get(name).and_then(Value::as_str).unwrap_or_default();
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "-._~".contains(it);
        if value.is_empty() || !value.chars().all(is_plain) {
            return Err(ConnectError::Placeholder { name: name.to_owned() });
        }
        filled.push_str(before);
        filled.push_str(value);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Where a token of `activation` is tried, if `connector` says so.
pub(crate) fn token_test_url(
    connector: &Connector,
    activation: &WorkspaceConnector,
) -> Result<Option<Url>, ConnectError> {
    let said = connector.entry.auth_config.as_ref().and_then(|it| it.token_test_url.as_deref());
    let Some(said) = said else { return Ok(None) };
    let url = fill(said, &activation.config)?.parse();
    url.map(Some).map_err(|_| ConnectError::NotAUrl { what: "token_test_url" })
}
