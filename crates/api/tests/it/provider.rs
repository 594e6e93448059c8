//! A provider that takes any code but `bad`, and knows nobody.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use linkspan_app::{AccessTokens, Addresses, Connecting, GrantStores, Refresher, Sources};
use linkspan_domain::{
    AuthorizationServer, GivenProof, Grant, Issuer, OauthClient, PendingAuthorization, Secret,
    UnfitProof,
    ports::{
        AuthorizationAsk, AuthorizationServers, ClientSigner, Discovery, OauthError, OauthTarget,
        TokenAsk, TokenReply, TokenRight, Vault, World,
    },
};
use linkspan_persistence::Database;
use linkspan_testkit::RealTime;
use linkspan_vault::ClientKeys;
use time::{Duration, OffsetDateTime};
use url::Url;

struct Provider;

fn server() -> AuthorizationServer {
    AuthorizationServer {
        issuer: Issuer::new("https://provider.example".to_owned()),
        names_itself: true,
        authorization_endpoint: Some("https://provider.example/authorize".parse().unwrap()),
        token_endpoint: "https://provider.example/token".parse().unwrap(),
        registration_endpoint: None,
        revocation_endpoint: None,
        authentications: Vec::new(),
        scopes: None,
        challenge_methods: None,
        sends_issuer: true,
        reads_client_documents: true,
    }
}

fn refused() -> OauthError {
    OauthError::InvalidGrant { issuer: server().issuer, said: Some("the code is bad".to_owned()) }
}

#[async_trait]
impl AuthorizationServers for Provider {
    async fn discover(&self, _: &OauthTarget) -> Result<Discovery, OauthError> {
        Ok(Discovery { server: server(), resource: None, scopes: BTreeSet::new() })
    }

    fn preregistered(
        &self,
        server: &AuthorizationServer,
        client_id: String,
        given: GivenProof,
    ) -> Result<OauthClient, UnfitProof> {
        if let GivenProof::PrivateKey(key) = &given {
            ClientKeys::new(Arc::new(RealTime)).check(key)?;
        }
        OauthClient::preregistered(server, client_id, given)
    }

    async fn register(
        &self,
        _: &AuthorizationServer,
        _: &Url,
        _: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError> {
        Err(refused())
    }

    async fn renew(
        &self,
        _: &OauthClient,
        _: &Url,
        _: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError> {
        Err(refused())
    }

    async fn unregister(&self, _: &OauthClient) -> Result<(), OauthError> {
        Err(refused())
    }

    fn begin(
        &self,
        ask: AuthorizationAsk,
        state: &Secret<String>,
    ) -> Result<(Url, PendingAuthorization), OauthError> {
        let mut url: Url = "https://provider.example/authorize".parse().unwrap();
        url.query_pairs_mut()
            .append_pair("client_id", &ask.client.client_id)
            .append_pair("state", state.expose());
        let pending = PendingAuthorization {
            server: ask.server,
            client: ask.client,
            verifier: Secret::new("verifier".to_owned()),
            redirect_uri: ask.redirect_uri,
            resource: ask.resource,
            scopes: ask.scopes,
            return_to: ask.return_to,
            url: Secret::new(url.to_string()),
        };
        Ok((url, pending))
    }

    async fn ask(&self, ask: &TokenAsk<'_>) -> Result<TokenReply, OauthError> {
        match ask.by {
            TokenRight::Code { code, .. } if code.expose() == "bad" => Err(refused()),
            _ => Ok(TokenReply { status: 200, body: Secret::new(Vec::new()), retry_after: None }),
        }
    }

    fn read(
        &self,
        ask: &TokenAsk<'_>,
        _: &TokenReply,
        now: OffsetDateTime,
    ) -> Result<Grant, OauthError> {
        Ok(Grant {
            issuer: ask.server.issuer.clone(),
            access_token: Secret::new("access-planted".to_owned()),
            refresh_token: Some(Secret::new("refresh-planted".to_owned())),
            expires_at: Some(now + Duration::HOUR),
            scopes: BTreeSet::from(["read".to_owned()]),
            resource: None,
        })
    }

    async fn revoke(
        &self,
        _: &AuthorizationServer,
        _: &OauthClient,
        _: &Grant,
    ) -> Result<(), OauthError> {
        Ok(())
    }
}

pub(crate) fn tokens(db: &Database, vault: Arc<dyn Vault>, world: Arc<dyn World>) -> AccessTokens {
    AccessTokens::new(Refresher::new(
        db.grants(),
        db.oauth_clients(),
        db.workspace_connectors(),
        Arc::new(Provider),
        vault,
        world,
        None,
    ))
}

pub(crate) fn connecting(
    db: &Database,
    vault: Arc<dyn Vault>,
    sources: &Arc<Sources>,
    tokens: AccessTokens,
    world: Arc<dyn World>,
) -> Connecting {
    let stores = GrantStores {
        grants: db.grants(),
        clients: db.oauth_clients(),
        authorizations: db.authorizations(),
    };
    Connecting::new(
        stores,
        db.workspace_connectors(),
        db.connectors(),
        Arc::new(Provider),
        vault,
        Arc::clone(sources),
        tokens,
        linkspan_vault::random_token,
        Addresses {
            public: Some("https://linkspan.example".parse().unwrap()),
            returns: vec!["https://app.example/".parse().unwrap()],
        },
        world,
    )
}
