//! What a connector says about authorizing, for one activation.

use linkspan_domain::{
    Connector, InvalidAuthConfig, WorkspaceConnector, filled_in,
    ports::{OauthError, OauthTarget},
};
use url::Url;

use super::ConnectError;

/// What `connector` says, with the settings of `activation` in the places of its placeholders.
pub(super) fn of(
    connector: &Connector,
    activation: &WorkspaceConnector,
) -> Result<OauthTarget, ConnectError> {
    let said = connector.entry.auth_config.clone();
    let said = said.ok_or(ConnectError::NotConfigured { connector: connector.id })?;
    let flow = connector.entry.authorization_flow;
    let refused = |error| refused(connector, error);
    let config = said.filled(flow, &activation.config).map_err(refused)?;
    let resource = config.mcp_server_url.as_deref().map(Url::parse).transpose();
    let resource = resource.map_err(|_| ConnectError::NotAUrl { what: "mcp_server_url" })?;
    Ok(OauthTarget { flow, config, resource, challenge: None })
}

fn refused(connector: &Connector, error: InvalidAuthConfig) -> ConnectError {
    match error {
        InvalidAuthConfig::Missing(_) => ConnectError::NotConfigured { connector: connector.id },
        InvalidAuthConfig::NoSuchSetting { name } | InvalidAuthConfig::Placeholder { name } => {
            ConnectError::Placeholder { name }
        }
        InvalidAuthConfig::Unusable(why) => ConnectError::Server(OauthError::Unconfigured(why)),
    }
}

/// Where a token of `activation` is tried, if `connector` says so.
pub(crate) fn token_test_url(
    connector: &Connector,
    activation: &WorkspaceConnector,
) -> Result<Option<Url>, ConnectError> {
    let said = connector.entry.auth_config.as_ref().and_then(|it| it.token_test_url.as_deref());
    let Some(said) = said else { return Ok(None) };
    let url = filled_in(said, &activation.config).map_err(|error| refused(connector, error))?;
    let url = url.parse();
    url.map(Some).map_err(|_| ConnectError::NotAUrl { what: "token_test_url" })
}
