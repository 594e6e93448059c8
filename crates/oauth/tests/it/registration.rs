//! Registering, and keeping the registration up.

use std::sync::Arc;

use linkspan_domain::{
    AuthorizationServer, ClientAuthentication, ClientOrigin, ClientProof, OauthClient,
    ports::{AuthorizationServers, OauthError},
};
use serde_json::{Value, json};
use time::macros::datetime;

use crate::site::{BACK, ISSUER, Page, Site, client_on, secret, server, set, url};

const PLACE: &str = "POST https://login.test/register";
const UPKEEP: &str = "https://login.test/register/c-1";

fn registered() -> Value {
    json!({
        "client_id": "c-1",
        "client_secret": "s-1",
        "client_secret_expires_at": 1_900_000_000,
        "token_endpoint_auth_method": "client_secret_basic",
        "redirect_uris": [BACK],
        "registration_client_uri": UPKEEP,
        "registration_access_token": "r-1",
    })
}

async fn register(
    site: &Arc<Site>,
    server: &AuthorizationServer,
) -> Result<OauthClient, OauthError> {
    client_on(site).register(server, &url(BACK), &set(&["a", "b"])).await
}

fn site(status: u16, body: &Value) -> Arc<Site> {
    let site = Site::default();
    site.put(PLACE, Page::json(status, body));
    Arc::new(site)
}

async fn kept() -> OauthClient {
    register(&site(201, &registered()), &server()).await.unwrap()
}

/// Checklist 10, 22.
#[tokio::test]
async fn a_registration_says_what_we_are_and_the_client_what_the_server_made_of_it() {
    let site = site(201, &registered());
    let client = register(&site, &server()).await.unwrap();
    assert_eq!(
        site.last().json(),
        json!({
            "client_name": "Linkspan",
            "redirect_uris": [BACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "client_secret_basic",
            "application_type": "web",
            "scope": "a b",
        })
    );
    let expected = OauthClient {
        issuer: server().issuer,
        origin: ClientOrigin::Dynamic,
        client_id: "c-1".to_owned(),
        proof: ClientProof::SecretBasic(secret("s-1")),
        secret_expires_at: Some(datetime!(2030-03-17 17:46:40 UTC)),
        redirect_uri: Some(url(BACK)),
        registration_uri: Some(url(UPKEEP)),
        registration_token: Some(secret("r-1")),
    };
    assert_eq!(client, expected);
    assert_eq!(client.issuer.as_str(), ISSUER);
}

/// Checklist 15.
#[tokio::test]
async fn the_way_to_say_who_we_are_comes_from_the_metadata_and_then_from_the_answer() {
    use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, None};
    let table = [
        (vec![], ClientSecretBasic),
        (vec![None, ClientSecretPost, ClientSecretBasic], ClientSecretBasic),
        (vec![ClientSecretPost], ClientSecretPost),
        (vec![None], None),
    ];
    for (authentications, wanted) in table {
        let mut body = registered();
        body.as_object_mut().unwrap().remove("token_endpoint_auth_method");
        let site = site(201, &body);
        let server = AuthorizationServer { authentications, ..server() };
        let client = register(&site, &server).await.unwrap();
        assert_eq!(site.last().json()["token_endpoint_auth_method"], wanted.to_string());
        assert_eq!(client.proof.way(), wanted);
    }
    let mut body = registered();
    body["token_endpoint_auth_method"] = json!("client_secret_post");
    assert_eq!(register(&site(201, &body), &server()).await.unwrap().proof.way(), ClientSecretPost);
    // Who got no secret shows none.
    body["client_secret"] = Value::Null;
    assert_eq!(register(&site(201, &body), &server()).await.unwrap().proof.way(), None);
    body["token_endpoint_auth_method"] = json!("private_key_jwt");
    assert!(matches!(
        register(&site(201, &body), &server()).await,
        Err(OauthError::Unsound { .. })
    ));
}

#[tokio::test]
async fn a_secret_ends_when_the_server_says_and_zero_is_never() {
    for (end, expected) in [
        (json!(0), None),
        (Value::Null, None),
        (json!(1_900_000_000), Some(datetime!(2030-03-17 17:46:40 UTC))),
    ] {
        let mut body = registered();
        body["client_secret_expires_at"] = end;
        let client = register(&site(201, &body), &server()).await.unwrap();
        assert_eq!(client.secret_expires_at, expected);
    }
    let client = kept().await;
    assert!(client.is_valid(datetime!(2030-03-17 17:46:39 UTC)));
    assert!(!client.is_valid(datetime!(2030-03-17 17:46:40 UTC)));
}

#[tokio::test]
async fn a_registration_with_another_redirect_uri_is_refused() {
    for uris in [json!(["https://evil.test/back"]), json!([format!("{BACK}/")]), json!([])] {
        let mut body = registered();
        body["redirect_uris"] = uris;
        let failure = register(&site(201, &body), &server()).await.unwrap_err();
        assert!(matches!(failure, OauthError::Unsound { .. }), "{failure}");
    }
    let clear = client_on(&site(201, &registered()))
        .register(&server(), &url("http://link.test/back"), &set(&[]))
        .await;
    assert!(matches!(clear, Err(OauthError::Unsound { .. })));
}

#[tokio::test]
async fn a_registration_under_a_name_that_no_client_can_have_is_refused() {
    for name in ["", "a\u{0}b", "é", "a\nb"] {
        let mut body = registered();
        body["client_id"] = json!(name);
        let failure = register(&site(201, &body), &server()).await.unwrap_err();
        assert!(matches!(failure, OauthError::Unsound { .. }), "{name:?}: {failure}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_register_says_so() {
    let silent = AuthorizationServer { registration_endpoint: None, ..server() };
    let failure = register(&site(201, &registered()), &silent).await.unwrap_err();
    assert!(failure.to_string().contains("enter its client id"), "{failure}");
    for status in [404, 405, 501] {
        let failure = register(&site(status, &json!({})), &server()).await.unwrap_err();
        assert!(matches!(failure, OauthError::Unsupported { .. }), "{status}: {failure}");
    }
    let refusal = json!({ "error": "invalid_redirect_uri", "error_description": "not yours" });
    let failure = register(&site(400, &refusal), &server()).await.unwrap_err();
    assert_eq!(failure.to_string(), "https://login.test refused: invalid_redirect_uri: not yours");
    assert!(register(&site(503, &json!({})), &server()).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_renewal_replaces_what_the_server_replaced_and_keeps_the_rest() {
    let site = Arc::new(Site::default());
    let answer = json!({
        "client_id": "c-1",
        "client_secret": "s-2",
        "client_secret_expires_at": 0,
        "registration_access_token": "r-2",
    });
    site.put(&format!("PUT {UPKEEP}"), Page::json(200, &answer));
    let before = kept().await;
    let renewed = client_on(&site).renew(&before, &url(BACK), &set(&["a"])).await.unwrap();
    let seen = site.last();
    assert_eq!(seen.authorization(), Some("Bearer r-1"));
    let sent = seen.json();
    assert_eq!((&sent["client_id"], &sent["client_secret"]), (&json!("c-1"), &json!("s-1")));
    assert_eq!((&sent["scope"], &sent["redirect_uris"]), (&json!("a"), &json!([BACK])));
    let expected = OauthClient {
        proof: ClientProof::SecretBasic(secret("s-2")),
        secret_expires_at: None,
        registration_token: Some(secret("r-2")),
        ..before.clone()
    };
    assert_eq!(renewed, expected);
    // An answer without a secret leaves the old one, and how it is shown.
    site.put(&format!("PUT {UPKEEP}"), Page::json(200, &json!({ "client_id": "c-1" })));
    let renewed = client_on(&site).renew(&before, &url(BACK), &set(&[])).await.unwrap();
    assert_eq!(renewed.proof, ClientProof::SecretBasic(secret("s-1")));
    site.put(&format!("PUT {UPKEEP}"), Page::json(200, &json!({ "client_id": "c-2" })));
    let failure = client_on(&site).renew(&before, &url(BACK), &set(&[])).await.unwrap_err();
    assert!(matches!(failure, OauthError::Unsound { .. }));
}

#[tokio::test]
async fn a_registration_that_cannot_be_changed_is_read() {
    let site = Arc::new(Site::default());
    site.put(&format!("PUT {UPKEEP}"), Page::status(405));
    let mut body = registered();
    body["client_secret"] = json!("s-2");
    site.put(&format!("GET {UPKEEP}"), Page::json(200, &body));
    let renewed = client_on(&site).renew(&kept().await, &url(BACK), &set(&[])).await.unwrap();
    assert_eq!(renewed.proof.secret(), Some(&secret("s-2")));
}

#[tokio::test]
async fn a_registration_that_is_gone_is_an_invalid_client() {
    let site = Arc::new(Site::default());
    let refusal = json!({ "error": "invalid_token", "error_description": "r-1 is unknown" });
    for method in ["PUT", "DELETE"] {
        site.put(&format!("{method} {UPKEEP}"), Page::json(401, &refusal));
    }
    let (oauth, client) = (client_on(&site), kept().await);
    let renewed = oauth.renew(&client, &url(BACK), &set(&[])).await.unwrap_err();
    let removed = oauth.unregister(&client).await.unwrap_err();
    for failure in [renewed, removed] {
        assert!(matches!(failure, OauthError::InvalidClient { said: None, .. }), "{failure:?}");
    }
    site.put(&format!("DELETE {UPKEEP}"), Page::status(204));
    oauth.unregister(&client).await.unwrap();
    assert_eq!(site.last().authorization(), Some("Bearer r-1"));
    let by_hand = OauthClient { registration_uri: None, ..client };
    assert!(matches!(oauth.unregister(&by_hand).await, Err(OauthError::Unsupported { .. })));
}
