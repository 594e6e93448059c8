//! Finding out who guards something.

use std::collections::BTreeSet;

use linkspan_domain::{
    AuthConfig, AuthorizationFlow, AuthorizationServer, OauthConfig,
    ports::{Discovery, OauthError, OauthTarget},
};
use url::Url;

use crate::{
    metadata,
    protected_resource::{Hint, ProtectedResource},
    wire::{Wire, host, origin},
};

/// Where it is said who guards a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source<'t> {
    /// In the endpoints that the connector lists.
    Endpoints(&'t OauthConfig),
    /// In the discovery document that the connector names.
    Document(&'t str),
    /// At the resource itself.
    Resource(&'t Url),
}

/// Who guards `target`, and what to ask them for.
pub(crate) async fn discover(wire: &Wire, target: &OauthTarget) -> Result<Discovery, OauthError> {
    let config = &target.config;
    let source = Source::of(target)?;
    let hint = match (&target.challenge, source) {
        (Some(header), _) => Hint::of(header),
        (None, Source::Resource(url)) => {
            wire.challenge(url).await?.as_deref().map(Hint::of).unwrap_or_default()
        }
        (None, _) => Hint::default(),
    };
    let (mut server, resource) = find(wire, source, config, &hint).await?;
    overrule(&mut server, config)?;
    let silent = server.authorization_endpoint.is_some() && server.challenge_methods.is_none();
    if silent && target.resource.is_some() {
        let host = host(&server.token_endpoint);
        return Err(OauthError::Unsupported { host, what: "PKCE in its metadata" });
    }
    let own = config.oauth_config.iter().flat_map(|it| it.scopes.iter().cloned()).collect();
    let (name, known) = match resource {
        Some(it) => (Some(it.name), it.scopes),
        None => (target.resource.as_ref().map(canonical), BTreeSet::new()),
    };
    let scopes = [hint.scopes, own, known].into_iter().find(|it| !it.is_empty());
    Ok(Discovery { server, resource: name, scopes: scopes.unwrap_or_default() })
}

impl<'t> Source<'t> {
    /// What the connector says goes before what servers say: its endpoints where its flow knows no discovery, then its document.
    fn of(target: &'t OauthTarget) -> Result<Self, OauthError> {
        let discovers =
            matches!(target.flow, AuthorizationFlow::OauthDcr | AuthorizationFlow::OauthCimd);
        let endpoints = listed(&target.config);
        let by_hand = endpoints.filter(|_| !discovers);
        let document = target.config.oauth_metadata_url.as_deref().map(Self::Document);
        by_hand
            .map(Self::Endpoints)
            .or(document)
            .or(target.resource.as_ref().map(Self::Resource))
            .or(endpoints.map(Self::Endpoints))
            .ok_or(OauthError::Unconfigured(
                "its auth_config has neither oauth_config.token_endpoint nor oauth_metadata_url, and it has no resource to ask",
            ))
    }
}

/// The name of a resource that does not name itself: without the slash that a URL has where there is no path (MCP, "Canonical
/// Server URI").
fn canonical(url: &Url) -> String {
    let bare = url.path() == "/" && url.query().is_none();
    let text = url.as_str();
    text.strip_suffix('/').filter(|_| bare).unwrap_or(text).to_owned()
}

async fn find(
    wire: &Wire,
    source: Source<'_>,
    config: &AuthConfig,
    hint: &Hint,
) -> Result<(AuthorizationServer, Option<ProtectedResource>), OauthError> {
    let server = match source {
        Source::Endpoints(endpoints) => written_down(endpoints)?,
        Source::Document(place) => {
            metadata::at(wire, &configured(place, "oauth_metadata_url is no https URL")?).await?
        }
        Source::Resource(url) => {
            if let Some(resource) = ProtectedResource::find(wire, url, hint).await? {
                let server = metadata::of_issuer(wire, &resource.issuer).await?;
                return Ok((server, Some(resource)));
            }
            match listed(config) {
                Some(endpoints) => written_down(endpoints)?,
                None => metadata::of_origin(wire, url).await?,
            }
        }
    };
    Ok((server, None))
}

/// The endpoints that the connector lists, if they are enough to get tokens.
fn listed(config: &AuthConfig) -> Option<&OauthConfig> {
    config.oauth_config.as_ref().filter(|it| it.token_endpoint.is_some())
}

/// The server whose endpoints an operator wrote down.
fn written_down(endpoints: &OauthConfig) -> Result<AuthorizationServer, OauthError> {
    let optional =
        |it: &Option<String>, why| it.as_deref().map(|it| configured(it, why)).transpose();
    let token_endpoint = endpoints.token_endpoint.as_deref().unwrap_or_default();
    let token_endpoint = configured(token_endpoint, "its token_endpoint is no https URL")?;
    Ok(AuthorizationServer {
        authorization_endpoint: optional(
            &endpoints.authorization_endpoint,
            "its authorization_endpoint is no https URL",
        )?,
        registration_endpoint: optional(
            &endpoints.registration_endpoint,
            "its registration_endpoint is no https URL",
        )?,
        revocation_endpoint: optional(
            &endpoints.revocation_endpoint,
            "its revocation_endpoint is no https URL",
        )?,
        // There is no metadata in which it could say so, and a server that does not know PKCE passes over it (RFC 6749 §3.1).
        challenge_methods: Some(BTreeSet::from(["S256".to_owned()])),
        ..metadata::bare(origin(&token_endpoint), token_endpoint)
    })
}

/// What the connector says goes before what the server says.
fn overrule(server: &mut AuthorizationServer, config: &AuthConfig) -> Result<(), OauthError> {
    if let Some(endpoint) = &config.authorization_endpoint {
        let why = "its authorization_endpoint is no https URL";
        server.authorization_endpoint = Some(configured(endpoint, why)?);
    }
    if let Some(supported) = config.cimd_supported {
        server.reads_client_documents = supported;
    }
    if !config.pkce.is_empty() {
        server.challenge_methods = Some(config.pkce.iter().cloned().collect());
    }
    Ok(())
}

fn configured(text: &str, why: &'static str) -> Result<Url, OauthError> {
    metadata::endpoint(text, "").map_err(|_unsound| OauthError::Unconfigured(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(flow: AuthorizationFlow, config: AuthConfig) -> OauthTarget {
        OauthTarget {
            flow,
            config,
            resource: Some("https://a.test/mcp".parse().unwrap()),
            challenge: None,
        }
    }

    fn everything() -> AuthConfig {
        AuthConfig {
            oauth_metadata_url: Some("https://a.test/.well-known/openid-configuration".to_owned()),
            oauth_config: Some(OauthConfig {
                token_endpoint: Some("https://a.test/token".to_owned()),
                ..OauthConfig::default()
            }),
            ..AuthConfig::default()
        }
    }

    #[test]
    fn endpoints_that_are_written_down_go_first_only_without_discovery() {
        for flow in [AuthorizationFlow::OauthManual, AuthorizationFlow::Redirect] {
            let target = target(flow, everything());
            assert!(matches!(Source::of(&target), Ok(Source::Endpoints(_))), "{flow}");
        }
        for flow in [AuthorizationFlow::OauthDcr, AuthorizationFlow::OauthCimd] {
            let target = target(flow, everything());
            assert!(matches!(Source::of(&target), Ok(Source::Document(_))), "{flow}");
        }
    }

    #[test]
    fn the_resource_is_asked_where_the_connector_names_no_document() {
        let config = AuthConfig { oauth_metadata_url: None, ..everything() };
        let mut target = target(AuthorizationFlow::OauthDcr, config);
        assert!(matches!(Source::of(&target), Ok(Source::Resource(_))));
        target.resource = None;
        assert!(matches!(Source::of(&target), Ok(Source::Endpoints(_))));
        target.config = AuthConfig::default();
        assert!(matches!(Source::of(&target), Err(OauthError::Unconfigured(_))));
    }

    #[test]
    fn a_resource_without_a_path_is_named_without_a_slash() {
        for (url, name) in [
            ("https://a.test", "https://a.test"),
            ("https://a.test/mcp/", "https://a.test/mcp/"),
            ("https://a.test/?x=/", "https://a.test/?x=/"),
        ] {
            assert_eq!(canonical(&url.parse().unwrap()), name);
        }
    }

    #[test]
    fn a_placeholder_that_nobody_filled_in_is_no_endpoint() {
        let config = OauthConfig {
            token_endpoint: Some("https://{subdomain}.a.test/token".to_owned()),
            ..OauthConfig::default()
        };
        assert!(matches!(written_down(&config), Err(OauthError::Unconfigured(_))));
    }
}
