//! The client against authorization servers that others wrote.

use std::{sync::Arc, time::SystemTime};

use linkspan_domain::{
    AuthConfig, AuthorizationFlow, AuthorizationServer, ClientAuthentication, GivenProof, Grant,
    OauthClient, PendingAuthorization, Secret,
    ports::{
        AuthorizationAsk, AuthorizationServers, OauthError, OauthTarget, Outbound, TokenAsk,
        TokenRight,
    },
};
use linkspan_egress::{EgressPolicy, GuardedClient};
use linkspan_oauth::WebAuthorizationServers;
use linkspan_testkit::{
    ForeignServer, browse,
    client_keys::{P256, P256_OTHER, RSA},
};

use crate::site::{RESOURCE, key, secret, set, signer, url};

const BACK: &str = "http://127.0.0.1:7777/callback";

/// A server that runs as long as its test.
struct Foreign {
    server: ForeignServer,
    outbound: Arc<dyn Outbound>,
    oauth: WebAuthorizationServers,
}

impl Foreign {
    fn start(script: &str) -> Self {
        // Another test of the process may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = ForeignServer::start(env!("CARGO_TARGET_TMPDIR"), script, &[]);
        let loopback = EgressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let outbound: Arc<dyn Outbound> = Arc::new(GuardedClient::new(loopback).unwrap());
        Self {
            server,
            oauth: WebAuthorizationServers::new(Arc::clone(&outbound), signer()),
            outbound,
        }
    }

    async fn discovered(&self, well_known: &str) -> AuthorizationServer {
        let target = OauthTarget {
            flow: AuthorizationFlow::OauthDcr,
            config: AuthConfig {
                oauth_metadata_url: Some(format!(
                    "{}/.well-known/{well_known}",
                    self.server.origin
                )),
                ..AuthConfig::default()
            },
            resource: None,
            challenge: None,
        };
        self.oauth.discover(&target).await.unwrap().server
    }

    async fn registered(&self, server: &AuthorizationServer) -> OauthClient {
        let scopes = set(&["openid", "offline_access", "files:read"]);
        self.oauth.register(server, &url(BACK), &scopes).await.unwrap()
    }

    /// A person agrees; what came back with them, and what was remembered.
    async fn agreed(
        &self,
        server: &AuthorizationServer,
        client: &OauthClient,
        resource: Option<&str>,
    ) -> (Secret<String>, PendingAuthorization) {
        let ask = AuthorizationAsk {
            server: server.clone(),
            client: client.clone(),
            redirect_uri: url(BACK),
            resource: resource.map(str::to_owned),
            scopes: set(&["files:read", "offline_access"]),
            return_to: None,
        };
        let (agree, pending) = self.oauth.begin(ask, &secret("state-1")).unwrap();
        let back = browse(&*self.outbound, agree, BACK).await;
        let said = |name: &str| {
            back.query_pairs().find(|(it, _)| it == name).map(|(_, value)| value.into_owned())
        };
        assert_eq!(said("state").as_deref(), Some("state-1"), "{back}");
        pending.check_issuer(said("iss").as_deref()).unwrap();
        (Secret::new(said("code").unwrap_or_else(|| panic!("{back}"))), pending)
    }

    async fn granted(
        &self,
        pending: &PendingAuthorization,
        by: TokenRight<'_>,
    ) -> Result<Grant, OauthError> {
        let ask = TokenAsk {
            server: &pending.server,
            client: &pending.client,
            by,
            resource: pending.resource.as_deref(),
            scopes: &pending.scopes,
        };
        self.answered(&ask).await
    }

    async fn answered(&self, ask: &TokenAsk<'_>) -> Result<Grant, OauthError> {
        let reply = self.oauth.ask(ask).await?;
        self.oauth.read(ask, &reply, SystemTime::now().into())
    }
}

#[tokio::test]
async fn oidc_provider_registers_us_grants_rotates_and_revokes() {
    let foreign = Foreign::start("oidc_provider.mjs");
    let server = foreign.discovered("oauth-authorization-server").await;
    assert_eq!(server.issuer.as_str(), foreign.server.origin);
    let client = foreign.registered(&server).await;
    assert_eq!(client.proof.way(), ClientAuthentication::ClientSecretBasic);
    assert_eq!(client.secret_expires_at, None);

    let (code, pending) = foreign.agreed(&server, &client, Some(RESOURCE)).await;
    let by = TokenRight::Code { code: &code, pending: &pending };
    let first = foreign.granted(&pending, by).await.unwrap();
    assert_eq!(first.scopes, set(&["files:read"]), "granted, not asked");
    assert!(first.expires_at.is_some());

    let token = first.refresh_token.clone().unwrap();
    let second = foreign.granted(&pending, TokenRight::Refresh(&token)).await.unwrap();
    let next = second.refresh_token.clone().unwrap();
    assert_ne!(next, token, "it rotates");
    foreign.oauth.revoke(&server, &client, &second).await.unwrap();
    let failure = foreign.granted(&pending, TokenRight::Refresh(&next)).await.unwrap_err();
    assert!(matches!(failure, OauthError::InvalidGrant { .. }), "{failure}");

    // A code is good once.
    let failure = foreign.granted(&pending, by).await.unwrap_err();
    assert!(matches!(failure, OauthError::InvalidGrant { .. }), "{failure}");
}

#[tokio::test]
async fn oidc_provider_takes_no_token_twice_and_no_code_without_its_verifier() {
    let foreign = Foreign::start("oidc_provider.mjs");
    let server = foreign.discovered("openid-configuration").await;
    let client = foreign.registered(&server).await;
    let (code, mut pending) = foreign.agreed(&server, &client, Some(RESOURCE)).await;
    pending.verifier = secret(&"x".repeat(43));
    let by = TokenRight::Code { code: &code, pending: &pending };
    let failure = foreign.granted(&pending, by).await.unwrap_err();
    assert!(matches!(failure, OauthError::InvalidGrant { .. }), "{failure}");

    let (code, pending) = foreign.agreed(&server, &client, Some(RESOURCE)).await;
    let by = TokenRight::Code { code: &code, pending: &pending };
    let token = foreign.granted(&pending, by).await.unwrap().refresh_token.unwrap();
    foreign.granted(&pending, TokenRight::Refresh(&token)).await.unwrap();
    let failure = foreign.granted(&pending, TokenRight::Refresh(&token)).await.unwrap_err();
    assert!(matches!(failure, OauthError::InvalidGrant { .. }), "{failure}");
}

#[tokio::test]
async fn oidc_provider_renews_and_removes_our_registration() {
    let foreign = Foreign::start("oidc_provider.mjs");
    let server = foreign.discovered("oauth-authorization-server").await;
    let client = foreign.registered(&server).await;
    let scopes = set(&["openid", "offline_access", "files:read"]);
    let renewed = foreign.oauth.renew(&client, &url(BACK), &scopes).await.unwrap();
    assert_eq!(renewed.client_id, client.client_id);
    assert_ne!(renewed.registration_token, client.registration_token, "it rotates");
    let again = foreign.oauth.renew(&renewed, &url(BACK), &scopes).await.unwrap();
    let (code, pending) = foreign.agreed(&server, &again, Some(RESOURCE)).await;
    let by = TokenRight::Code { code: &code, pending: &pending };
    let token = foreign.granted(&pending, by).await.unwrap().refresh_token.unwrap();
    foreign.oauth.unregister(&again).await.unwrap();
    let failure = foreign.oauth.renew(&again, &url(BACK), &scopes).await.unwrap_err();
    assert!(matches!(failure, OauthError::InvalidClient { .. }), "{failure}");
    let failure = foreign.granted(&pending, TokenRight::Refresh(&token)).await.unwrap_err();
    assert!(matches!(failure, OauthError::InvalidClient { .. }), "{failure}");
}

#[tokio::test]
async fn oidc_provider_knows_a_machine_by_its_secret() {
    let foreign = Foreign::start("oidc_provider.mjs");
    let server = foreign.discovered("oauth-authorization-server").await;
    let machine = |secret_text: &str| {
        let given = GivenProof::Secret(secret(secret_text));
        foreign.oauth.preregistered(&server, "machine:1".to_owned(), given).unwrap()
    };
    let (known, unknown) = (machine("s3cret /%: of a machine"), machine("other"));
    let scopes = set(&["files:read"]);
    let ask = |client, resource| TokenAsk {
        server: &server,
        client,
        by: TokenRight::ClientCredentials,
        resource: Some(resource),
        scopes: &scopes,
    };
    let grant = foreign.answered(&ask(&known, RESOURCE)).await.unwrap();
    assert_eq!(grant.refresh_token, None);
    let failure = foreign.answered(&ask(&unknown, RESOURCE)).await.unwrap_err();
    assert!(matches!(failure, OauthError::InvalidClient { .. }), "{failure}");
    let failure = foreign.answered(&ask(&known, "https://other.test")).await.unwrap_err();
    assert!(matches!(failure, OauthError::Refused { .. }), "{failure}");
}

/// Checklist 23.
#[tokio::test]
async fn oidc_provider_knows_a_client_by_its_key_grants_rotates_and_revokes() {
    let foreign = Foreign::start("oidc_provider.mjs");
    let server = foreign.discovered("openid-configuration").await;
    let client = |pem, id| {
        let given = GivenProof::PrivateKey(key(pem, id));
        foreign.oauth.preregistered(&server, "machine:2".to_owned(), given).unwrap()
    };
    for (pem, id) in [(P256, Some("p256")), (RSA, Some("rsa")), (RSA, None)] {
        let client = client(pem, id);
        let (code, pending) = foreign.agreed(&server, &client, Some(RESOURCE)).await;
        let by = TokenRight::Code { code: &code, pending: &pending };
        let token = foreign.granted(&pending, by).await.unwrap().refresh_token.unwrap();
        let second = foreign.granted(&pending, TokenRight::Refresh(&token)).await.unwrap();
        let next = second.refresh_token.clone().unwrap();
        assert_ne!(next, token, "it rotates");
        foreign.oauth.revoke(&server, &client, &second).await.unwrap();
        let failure = foreign.granted(&pending, TokenRight::Refresh(&next)).await.unwrap_err();
        assert!(matches!(failure, OauthError::InvalidGrant { .. }), "{failure}");
    }
    // Somebody else's key, under whatever name.
    let scopes = set(&["files:read"]);
    for id in [Some("p256"), Some("rsa"), None] {
        let by = TokenRight::ClientCredentials;
        let (client, resource) = (client(P256_OTHER, id), Some(RESOURCE));
        let ask = TokenAsk { server: &server, client: &client, by, resource, scopes: &scopes };
        let failure = foreign.answered(&ask).await.unwrap_err();
        assert!(matches!(failure, OauthError::InvalidClient { .. }), "{failure}");
    }
}

#[tokio::test]
async fn oauth2_mock_server_is_found_by_openid_connect_and_grants_to_a_public_client() {
    let foreign = Foreign::start("oauth2_mock_server.mjs");
    let server = foreign.discovered("openid-configuration").await;
    let client = OauthClient::preregistered(&server, "us".to_owned(), GivenProof::None).unwrap();
    let (code, pending) = foreign.agreed(&server, &client, None).await;
    let by = TokenRight::Code { code: &code, pending: &pending };
    let grant = foreign.granted(&pending, by).await.unwrap();
    assert_eq!(grant.issuer.as_str(), foreign.server.origin);
    assert!(grant.expires_at.is_some());
    foreign.oauth.revoke(&server, &client, &grant).await.unwrap();
}

#[tokio::test]
async fn authlib_grants_less_than_was_asked_for_and_takes_a_refresh_token_once() {
    let foreign = Foreign::start("authlib_server.py");
    let server = foreign.discovered("oauth-authorization-server").await;
    let given = GivenProof::Secret(secret("s3cret & of a client"));
    let client = OauthClient::preregistered(&server, "us".to_owned(), given).unwrap();
    assert_eq!(client.proof.way(), ClientAuthentication::ClientSecretPost);
    let (code, pending) = foreign.agreed(&server, &client, None).await;
    let by = TokenRight::Code { code: &code, pending: &pending };
    let first = foreign.granted(&pending, by).await.unwrap();
    assert_eq!(first.scopes, set(&["files:read"]));
    let token = first.refresh_token.unwrap();
    let second = foreign.granted(&pending, TokenRight::Refresh(&token)).await.unwrap();
    let failure = foreign.granted(&pending, TokenRight::Refresh(&token)).await.unwrap_err();
    assert!(matches!(failure, OauthError::InvalidGrant { .. }), "{failure}");
    foreign.oauth.revoke(&server, &client, &second).await.unwrap();
    let next = second.refresh_token.unwrap();
    let failure = foreign.granted(&pending, TokenRight::Refresh(&next)).await.unwrap_err();
    assert!(matches!(failure, OauthError::InvalidGrant { .. }), "{failure}");
}
