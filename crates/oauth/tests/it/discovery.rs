//! Finding out who guards something.

use std::sync::Arc;

use linkspan_domain::{
    AuthConfig, AuthorizationFlow, ClientAuthentication, OauthConfig,
    ports::{AuthorizationServers, Discovery, OauthError, OauthTarget},
};
use serde_json::{Value, json};

use crate::site::{
    ISSUER, Page, RESOURCE, Site, client_on, guarded, resource_metadata, server_metadata, set,
    target, url,
};

async fn discover(site: &Arc<Site>, target: &OauthTarget) -> Result<Discovery, OauthError> {
    client_on(site).discover(target).await
}

fn changed(mut document: Value, name: &str, value: Value) -> Page {
    document[name] = value;
    Page::json(200, &document)
}

const RESOURCE_PLACE: &str = "GET https://files.test/.well-known/oauth-protected-resource/mcp";
const ROOT_PLACE: &str = "GET https://files.test/.well-known/oauth-protected-resource";
const SERVER_PLACE: &str = "GET https://login.test/.well-known/oauth-authorization-server";

#[tokio::test]
async fn a_resource_says_who_guards_it_and_the_guard_says_what_it_can() {
    let found = discover(&guarded(), &target()).await.unwrap();
    assert_eq!(found.resource.as_deref(), Some(RESOURCE));
    assert_eq!(found.scopes, set(&["files:read"]));
    let server = found.server;
    assert_eq!(server.issuer.as_str(), ISSUER);
    assert!(server.names_itself);
    assert_eq!(server.token_endpoint, url("https://login.test/token"));
    assert_eq!(
        server.authentications,
        [
            ClientAuthentication::None,
            ClientAuthentication::PrivateKeyJwt,
            ClientAuthentication::ClientSecretPost,
            ClientAuthentication::ClientSecretBasic
        ]
    );
    assert_eq!(server.challenge_methods, Some(set(&["S256", "plain"])));
    assert!(server.sends_issuer && server.reads_client_documents);
}

#[tokio::test]
async fn the_challenge_of_the_resource_is_asked_for_before_its_well_known_places() {
    let site = guarded();
    let challenge = r#"Basic realm="x", Bearer resource_metadata="https://files.test/meta.json""#;
    site.put(&format!("GET {RESOURCE}"), Page::status(401).with("www-authenticate", challenge));
    site.put("GET https://files.test/meta.json", Page::json(200, &resource_metadata()));
    discover(&site, &target()).await.unwrap();
    assert_eq!(
        site.asked()[..2],
        [format!("GET {RESOURCE}"), "GET https://files.test/meta.json".to_owned()]
    );
    // A challenge that is here already is not asked for again, and a document that is not there is not looked for elsewhere.
    let site = guarded();
    let target = OauthTarget { challenge: Some(challenge.to_owned()), ..target() };
    let failure = discover(&site, &target).await.unwrap_err();
    assert!(matches!(failure, OauthError::Unsound { .. }), "{failure}");
    assert_eq!(site.asked(), ["GET https://files.test/meta.json"]);
}

#[tokio::test]
async fn the_root_of_the_resource_is_asked_where_its_path_has_no_metadata() {
    let site = guarded();
    site.put(RESOURCE_PLACE, Page::status(404));
    site.put(ROOT_PLACE, changed(resource_metadata(), "resource", json!("https://files.test")));
    let found = discover(&site, &target()).await.unwrap();
    assert_eq!(found.resource.as_deref(), Some("https://files.test"));
    assert_eq!(site.asked()[1..3], [RESOURCE_PLACE, ROOT_PLACE]);
}

#[tokio::test]
async fn an_issuer_with_a_path_is_looked_for_in_the_order_of_the_specification() {
    let site = guarded();
    let issuer = json!("https://login.test/tenant1");
    site.put(
        RESOURCE_PLACE,
        changed(resource_metadata(), "authorization_servers", json!([issuer])),
    );
    site.put(
        "GET https://login.test/tenant1/.well-known/openid-configuration",
        changed(server_metadata(), "issuer", issuer),
    );
    // A server that is busy at one place may answer at the next, and a page for people is no metadata.
    site.put(
        "GET https://login.test/.well-known/oauth-authorization-server/tenant1",
        Page::status(502),
    );
    site.put(
        "GET https://login.test/.well-known/openid-configuration/tenant1",
        Page::json(200, &json!("hi")),
    );
    let found = discover(&site, &target()).await.unwrap();
    assert_eq!(found.server.issuer.as_str(), "https://login.test/tenant1");
    assert_eq!(
        site.asked()[2..],
        [
            "GET https://login.test/.well-known/oauth-authorization-server/tenant1",
            "GET https://login.test/.well-known/openid-configuration/tenant1",
            "GET https://login.test/tenant1/.well-known/openid-configuration",
        ]
    );
}

#[tokio::test]
async fn a_busy_server_is_busy_and_not_without_metadata() {
    let site = guarded();
    site.put(SERVER_PLACE, Page::status(503).with("retry-after", "9"));
    let failure = discover(&site, &target()).await.unwrap_err();
    assert!(matches!(failure, OauthError::Busy { status: 503, retry_after: Some(9), .. }));
    site.put(SERVER_PLACE, Page::status(404));
    let failure = discover(&site, &target()).await.unwrap_err();
    assert!(matches!(failure, OauthError::Unsupported { .. }));
}

/// Checklist 5.
#[tokio::test]
async fn metadata_of_another_issuer_is_refused_and_texts_are_not_normalized() {
    for issuer in
        ["https://evil.test", "https://login.test/", "https://LOGIN.test", "https://login.test:443"]
    {
        let site = guarded();
        site.put(SERVER_PLACE, changed(server_metadata(), "issuer", json!(issuer)));
        let failure = discover(&site, &target()).await.unwrap_err();
        assert_eq!(failure.to_string(), "login.test answers with metadata of another issuer");
    }
}

/// Checklist 6.
#[tokio::test]
async fn metadata_of_another_resource_is_refused() {
    for resource in ["https://evil.test/mcp", "https://files.test", "https://files.test/mcp/x"] {
        let site = guarded();
        site.put(RESOURCE_PLACE, changed(resource_metadata(), "resource", json!(resource)));
        let failure = discover(&site, &target()).await.unwrap_err();
        assert!(matches!(failure, OauthError::Unsound { .. }), "{resource}: {failure}");
        assert!(!site.asked().iter().any(|it| it.contains("login.test")), "{resource}");
    }
}

/// Checklist 1.
#[tokio::test]
async fn a_guard_that_is_silent_about_pkce_is_refused() {
    let site = guarded();
    site.put(
        SERVER_PLACE,
        changed(server_metadata(), "code_challenge_methods_supported", Value::Null),
    );
    let failure = discover(&site, &target()).await.unwrap_err();
    assert_eq!(failure.to_string(), "login.test offers no PKCE in its metadata");
    // Unless the connector knows better.
    let config = AuthConfig { pkce: vec!["S256".to_owned()], ..AuthConfig::default() };
    let found = discover(&site, &OauthTarget { config, ..target() }).await.unwrap();
    assert_eq!(found.server.challenge_methods, Some(set(&["S256"])));
}

#[tokio::test]
async fn what_a_server_names_is_never_a_script_and_never_in_the_clear() {
    for endpoint in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
        for hostile in ["javascript:alert(1)", "http://login.test/x", "file:///etc/passwd"] {
            let site = guarded();
            site.put(SERVER_PLACE, changed(server_metadata(), endpoint, json!(hostile)));
            let failure = discover(&site, &target()).await.unwrap_err();
            assert!(matches!(failure, OauthError::Unsound { .. }), "{endpoint} {hostile}");
        }
    }
    let site = guarded();
    let servers = json!(["http://login.test"]);
    site.put(RESOURCE_PLACE, changed(resource_metadata(), "authorization_servers", servers));
    assert!(matches!(discover(&site, &target()).await, Err(OauthError::Unsound { .. })));
}

#[tokio::test]
async fn a_server_that_takes_no_proof_of_ours_is_refused_and_not_guessed_at() {
    let site = guarded();
    let methods = json!(["client_secret_jwt", "tls_client_auth"]);
    site.put(
        SERVER_PLACE,
        changed(server_metadata(), "token_endpoint_auth_methods_supported", methods),
    );
    let failure = discover(&site, &target()).await.unwrap_err();
    assert!(matches!(failure, OauthError::Unsupported { .. }), "{failure}");
}

#[tokio::test]
async fn a_resource_older_than_its_metadata_is_guarded_by_its_own_origin() {
    let site = Arc::new(Site::default());
    let found = discover(&site, &target()).await.unwrap();
    assert_eq!(found.server.issuer.as_str(), "https://files.test");
    assert_eq!(found.server.authorization_endpoint, Some(url("https://files.test/authorize")));
    assert_eq!(found.server.token_endpoint, url("https://files.test/token"));
    assert_eq!(found.server.registration_endpoint, Some(url("https://files.test/register")));
    assert_eq!(found.resource.as_deref(), Some(RESOURCE));
    let mut metadata = server_metadata();
    metadata["issuer"] = json!("https://files.test/");
    metadata["code_challenge_methods_supported"] = Value::Null;
    site.put(
        "GET https://files.test/.well-known/oauth-authorization-server",
        Page::json(200, &metadata),
    );
    let found = discover(&site, &target()).await.unwrap();
    assert_eq!(found.server.token_endpoint, url("https://login.test/token"));
    metadata["issuer"] = json!("https://evil.test");
    site.put(
        "GET https://files.test/.well-known/oauth-authorization-server",
        Page::json(200, &metadata),
    );
    assert!(matches!(discover(&site, &target()).await, Err(OauthError::Unsound { .. })));
}

#[tokio::test]
async fn scopes_come_from_the_challenge_then_the_connector_then_the_resource() {
    let site = guarded();
    let scoped = AuthConfig {
        oauth_config: Some(OauthConfig {
            scopes: vec!["ours".to_owned()],
            ..OauthConfig::default()
        }),
        ..AuthConfig::default()
    };
    let challenge = Some(
        r#"Bearer error="insufficient_scope", scope="files:write files:read", resource_metadata="https://files.test/.well-known/oauth-protected-resource/mcp""#.to_owned(),
    );
    let table = [
        (scoped.clone(), challenge, set(&["files:read", "files:write"])),
        (scoped, None, set(&["ours"])),
        (AuthConfig::default(), None, set(&["files:read"])),
    ];
    for (config, challenge, expected) in table {
        let target = OauthTarget { config, challenge, ..target() };
        assert_eq!(discover(&site, &target).await.unwrap().scopes, expected);
    }
    site.put(RESOURCE_PLACE, changed(resource_metadata(), "scopes_supported", json!([])));
    assert!(discover(&site, &target()).await.unwrap().scopes.is_empty());
}

#[tokio::test]
async fn the_document_that_a_connector_names_is_that_of_its_issuer() {
    let site = guarded();
    let place = "https://login.test/.well-known/oauth-authorization-server";
    let named = |place: &str| OauthTarget {
        resource: None,
        config: AuthConfig {
            oauth_metadata_url: Some(place.to_owned()),
            authorization_endpoint: Some("https://other.test/agree".to_owned()),
            cimd_supported: Some(false),
            ..AuthConfig::default()
        },
        ..target()
    };
    let found = discover(&site, &named(place)).await.unwrap();
    assert_eq!(site.asked(), [format!("GET {place}")]);
    assert_eq!(found.resource, None);
    assert_eq!(found.server.authorization_endpoint, Some(url("https://other.test/agree")));
    assert!(!found.server.reads_client_documents);
    let elsewhere = "https://evil.test/.well-known/oauth-authorization-server";
    site.put(&format!("GET {elsewhere}"), Page::json(200, &server_metadata()));
    let failure = discover(&site, &named(elsewhere)).await.unwrap_err();
    assert!(matches!(failure, OauthError::Unsound { .. }), "{failure}");
}

#[tokio::test]
async fn endpoints_that_are_written_down_are_taken_as_they_are() {
    let site = Arc::new(Site::default());
    let config = OauthConfig {
        authorization_endpoint: Some("https://login.test/authorize?tenant=7".to_owned()),
        token_endpoint: Some("https://api.login.test/token".to_owned()),
        revocation_endpoint: Some("https://login.test/revoke".to_owned()),
        scopes: vec!["offline_access".to_owned()],
        ..OauthConfig::default()
    };
    let target = OauthTarget {
        flow: AuthorizationFlow::OauthManual,
        config: AuthConfig { oauth_config: Some(config), ..AuthConfig::default() },
        ..target()
    };
    let found = discover(&site, &target).await.unwrap();
    assert!(site.asked().is_empty());
    assert_eq!(found.server.issuer.as_str(), "https://api.login.test");
    assert_eq!(found.server.revocation_endpoint, Some(url("https://login.test/revoke")));
    assert_eq!(found.scopes, set(&["offline_access"]));
}
