//! Clients that are known by a private key (RFC 7523 §2.2, §3).

use std::{collections::BTreeSet, sync::Arc};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use linkspan_domain::{
    AuthorizationServer, ClientAuthentication, ClientKeyError, ClientProof, GivenProof, Grant,
    OauthClient, UnfitProof,
    ports::{AuthorizationAsk, AuthorizationServers, OauthError, TokenAsk, TokenReply, TokenRight},
};
use linkspan_testkit::client_keys::{P256, RSA};
use serde_json::{Value, json};

use crate::site::{
    ISSUER, Page, Seen, Site, authorization, client_on, key, secret, server, set, with,
};

fn by_key() -> OauthClient {
    with(ClientProof::PrivateKey(key(P256, Some("key-1"))))
}

/// A site with both endpoints that clients say at who they are.
fn site() -> Arc<Site> {
    let site = Site::default();
    let granted = json!({ "access_token": "at-1", "token_type": "Bearer" });
    site.put("POST https://login.test/token", Page::json(200, &granted));
    site.put("POST https://login.test/revoke", Page::status(200));
    Arc::new(site)
}

fn grant() -> Grant {
    Grant {
        issuer: server().issuer,
        access_token: secret("at-1"),
        refresh_token: Some(secret("rt-1")),
        expires_at: None,
        scopes: BTreeSet::new(),
        resource: None,
    }
}

/// Has `client` ask `server` for a token.
async fn ask(
    site: &Arc<Site>,
    server: &AuthorizationServer,
    client: &OauthClient,
    by: TokenRight<'_>,
) -> Result<TokenReply, OauthError> {
    let scopes = set(&["a"]);
    let ask = TokenAsk { server, client, by, resource: None, scopes: &scopes };
    client_on(site).ask(&ask).await
}

/// What the assertion of a request says.
fn claims(seen: &Seen) -> Value {
    let assertion = seen.field("client_assertion").unwrap();
    let claims = assertion.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// Checklist 23.
#[tokio::test]
async fn each_request_has_an_assertion_of_its_own_for_the_issuer_alone() {
    let (site, server, client) = (site(), server(), by_key());
    let (_, pending) = client_on(&site).begin(authorization(), &secret("state")).unwrap();
    let (code, token) = (secret("code-1"), secret("rt-1"));
    let by = TokenRight::Code { code: &code, pending: &pending };
    for by in [by, TokenRight::Refresh(&token), TokenRight::ClientCredentials] {
        ask(&site, &server, &client, by).await.unwrap();
    }
    client_on(&site).revoke(&server, &client, &grant()).await.unwrap();
    let mut names = BTreeSet::new();
    for seen in site.seen() {
        let said = claims(&seen);
        assert_eq!((&said["iss"], &said["sub"]), (&json!("us"), &json!("us")));
        assert_eq!(said["aud"], json!(ISSUER), "{}", seen.url);
        assert!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap() <= 60);
        let names_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert_eq!(seen.field("client_assertion_type").as_deref(), Some(names_type));
        assert_eq!(seen.field("client_id").as_deref(), Some("us"));
        assert_eq!((seen.field("client_secret"), seen.authorization()), (None, None));
        let body = format!("{:?}", seen.form());
        assert!(!body.contains("PRIVATE") && names.insert(said["jti"].to_string()), "{said}");
    }
    assert_eq!(names.len(), 5, "three for tokens, and one for each token that is revoked");
}

/// Nobody knows what a server calls itself whose endpoints an operator wrote down.
#[tokio::test]
async fn a_server_without_a_name_is_asked_by_its_token_endpoint() {
    let (site, nameless) = (site(), AuthorizationServer { names_itself: false, ..server() });
    ask(&site, &nameless, &by_key(), TokenRight::ClientCredentials).await.unwrap();
    client_on(&site).revoke(&nameless, &by_key(), &grant()).await.unwrap();
    for seen in site.seen() {
        assert_eq!(claims(&seen)["aud"], json!("https://login.test/token"), "{}", seen.url);
    }
}

/// Checklist 23.
#[tokio::test]
async fn a_server_that_takes_no_key_is_sent_none() {
    let authentications = vec![
        ClientAuthentication::None,
        ClientAuthentication::ClientSecretBasic,
        ClientAuthentication::ClientSecretPost,
    ];
    let (site, closed) = (site(), AuthorizationServer { authentications, ..server() });
    let way = ClientAuthentication::PrivateKeyJwt;
    let unfit = UnfitProof::NotTaken { issuer: server().issuer, way };
    let asked = ask(&site, &closed, &by_key(), TokenRight::ClientCredentials).await;
    assert!(matches!(asked, Err(OauthError::Unfit(it)) if it == unfit));
    // Nobody agrees to what comes to nothing, and no such client is kept.
    let authorization =
        AuthorizationAsk { server: closed.clone(), client: by_key(), ..authorization() };
    let begun = client_on(&site).begin(authorization, &secret("state"));
    assert!(matches!(begun, Err(OauthError::Unfit(it)) if it == unfit));
    let given = GivenProof::PrivateKey(key(RSA, None));
    let kept = client_on(&site).preregistered(&closed, "us".to_owned(), given);
    assert_eq!(kept, Err(unfit));
    assert_eq!(site.asked(), [""; 0]);
}

#[tokio::test]
async fn a_server_that_takes_keys_alone_is_offered_nothing_else() {
    let authentications = vec![ClientAuthentication::PrivateKeyJwt];
    let (site, strict) = (site(), AuthorizationServer { authentications, ..server() });
    let oauth = client_on(&site);
    for given in [GivenProof::None, GivenProof::Secret(secret("s"))] {
        let kept = oauth.preregistered(&strict, "us".to_owned(), given);
        assert!(matches!(kept, Err(UnfitProof::NotTaken { .. })), "{kept:?}");
    }
    let back = "https://link.test/v1/oauth/callback".parse().unwrap();
    let registered = oauth.register(&strict, &back, &set(&[])).await;
    assert!(matches!(registered, Err(OauthError::Unfit(_))), "{registered:?}");
    assert_eq!(site.asked(), [""; 0]);
    for pem in [P256, RSA] {
        let given = GivenProof::PrivateKey(key(pem, None));
        let client = oauth.preregistered(&strict, "us".to_owned(), given).unwrap();
        ask(&site, &strict, &client, TokenRight::ClientCredentials).await.unwrap();
    }
}

#[test]
fn a_key_that_cannot_sign_is_not_kept() {
    let given = GivenProof::PrivateKey(key("-----BEGIN PRIVATE KEY-----", None));
    let kept = client_on(&site()).preregistered(&server(), "us".to_owned(), given);
    assert_eq!(kept, Err(UnfitProof::Key(ClientKeyError::NoKey)));
}

#[tokio::test]
async fn neither_the_key_nor_what_it_signed_is_repeated() {
    let site = site();
    let client = by_key();
    ask(&site, &server(), &client, TokenRight::ClientCredentials).await.unwrap();
    let assertion = site.last().field("client_assertion").unwrap();
    let refusal =
        json!({ "error": "invalid_client", "error_description": format!("no: {assertion}") });
    let (server, scopes) = (server(), set(&[]));
    let by = TokenRight::ClientCredentials;
    let ask = TokenAsk { server: &server, client: &client, by, resource: None, scopes: &scopes };
    site.put("POST https://login.test/token", Page::json(401, &refusal));
    let oauth = client_on(&site);
    let reply = oauth.ask(&ask).await.unwrap();
    let failure = oauth.read(&ask, &reply, std::time::SystemTime::now().into()).unwrap_err();
    assert!(matches!(failure, OauthError::InvalidClient { said: None, .. }), "{failure:?}");
    let shown = format!("{failure} {failure:?} {client:?} {ask:?}");
    assert!(!shown.contains(&assertion[..8]) && !shown.contains("PRIVATE"), "{shown}");
}
