//! The token endpoint and the revocation endpoint.

use std::sync::Arc;

use linkspan_domain::{
    ClientProof, Grant, OauthClient, PendingAuthorization, Secret,
    ports::{AuthorizationServers, OauthError, TokenAsk, TokenReply, TokenRight},
};
use linkspan_oauth::WebAuthorizationServers;
use proptest::prelude::*;
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};

use crate::site::{
    Page, RESOURCE, Site, authorization, client_on, confidential, secret, server, set, with,
};

const NOW: OffsetDateTime = datetime!(2026-05-12 10:30 UTC);

fn pending() -> PendingAuthorization {
    let client = client_on(&Arc::new(Site::default()));
    client.begin(authorization(), &secret("state")).unwrap().1
}

fn granted() -> Value {
    json!({ "access_token": "at-1", "token_type": "Bearer", "expires_in": 3600 })
}

fn reply(status: u16, body: &Value) -> TokenReply {
    TokenReply { status, body: Secret::new(body.to_string().into_bytes()), retry_after: None }
}

/// What `reply` grants to whoever shows the refresh token `rt-1`, asked for `a b`.
fn read(reply: &TokenReply) -> Result<Grant, OauthError> {
    let (server, client, token) = (server(), confidential(), secret("rt-1"));
    let scopes = set(&["a", "b"]);
    let ask = TokenAsk {
        server: &server,
        client: &client,
        by: TokenRight::Refresh(&token),
        resource: Some(RESOURCE),
        scopes: &scopes,
    };
    client_on(&Arc::new(Site::default())).read(&ask, reply, NOW)
}

#[tokio::test]
async fn a_reply_is_answered_as_it_came_and_is_read_later() {
    let site = Arc::new(Site::default());
    let page = Page::json(503, &json!({ "error": "invalid_grant" })).with("retry-after", "30");
    site.put("POST https://login.test/token", page);
    let (server, client, token, scopes) = (server(), confidential(), secret("rt-1"), set(&[]));
    let ask = TokenAsk {
        server: &server,
        client: &client,
        by: TokenRight::Refresh(&token),
        resource: None,
        scopes: &scopes,
    };
    let oauth = client_on(&site);
    let reply = oauth.ask(&ask).await.unwrap();
    assert_eq!(site.asked().len(), 1);
    assert_eq!((reply.status, reply.retry_after), (503, Some(30)));
    assert_eq!(reply.body.expose(), br#"{"error":"invalid_grant"}"#);
    let failure = oauth.read(&ask, &reply, NOW).unwrap_err();
    assert!(matches!(failure, OauthError::Busy { status: 503, retry_after: Some(30), .. }));
}

/// Checklist 14.
#[test]
fn a_grant_holds_what_was_granted_and_not_what_was_asked_for() {
    let mut body = granted();
    let grant = read(&reply(200, &body)).unwrap();
    assert_eq!(grant.access_token, secret("at-1"));
    assert_eq!(grant.expires_at, Some(NOW + time::Duration::HOUR));
    assert_eq!(grant.scopes, set(&["a", "b"]));
    assert_eq!(grant.resource.as_deref(), Some(RESOURCE));
    let table = [
        (json!("a"), set(&["a"])),
        (json!("a  c"), set(&["a", "c"])),
        (json!("a,c"), set(&["a", "c"])),
        (json!(["a", "c"]), set(&["a", "c"])),
        (json!(""), set(&[])),
    ];
    for (scope, expected) in table {
        body["scope"] = scope;
        assert_eq!(read(&reply(200, &body)).unwrap().scopes, expected);
    }
}

#[test]
fn a_refresh_token_that_is_left_out_stays() {
    for (next, expected) in [(Value::Null, "rt-1"), (json!(""), "rt-1"), (json!("rt-2"), "rt-2")] {
        let mut body = granted();
        body["refresh_token"] = next;
        assert_eq!(read(&reply(200, &body)).unwrap().refresh_token, Some(secret(expected)));
    }
}

#[test]
fn a_lifetime_is_a_number_however_it_is_written() {
    let table = [
        (json!(60), Some(60)),
        (json!("60"), Some(60)),
        (json!(60.9), Some(60)),
        (json!(0), Some(0)),
        (json!(-5), Some(-5)),
        (json!("soon"), None),
        (json!(1e300), None),
        (Value::Null, None),
    ];
    for (lifetime, expected) in table {
        let mut body = granted();
        body["expires_in"] = lifetime.clone();
        let end = read(&reply(200, &body)).unwrap().expires_at;
        assert_eq!(end, expected.map(|it| NOW + time::Duration::seconds(it)), "{lifetime}");
    }
}

/// Checklist 14.
#[test]
fn only_a_bearer_token_is_a_token() {
    for (token_type, fits) in [
        (json!("bearer"), true),
        (json!("BEARER"), true),
        (json!("DPoP"), false),
        (json!("mac"), false),
    ] {
        let mut body = granted();
        body["token_type"] = token_type.clone();
        assert_eq!(read(&reply(200, &body)).is_ok(), fits, "{token_type}");
    }
    let mut body = granted();
    body.as_object_mut().unwrap().remove("access_token");
    let failure = read(&reply(200, &body)).unwrap_err();
    assert!(matches!(failure, OauthError::Unsound { .. }), "{failure:?}");
    body["access_token"] = json!("");
    assert!(read(&reply(200, &body)).is_err());
}

/// RFC 6749 §5.1 requires it, and the tokens are spent whether it is there or not.
#[test]
fn a_reply_that_names_no_type_of_token_loses_nothing_of_what_it_brought() {
    for token_type in [None, Some(Value::Null), Some(json!(""))] {
        let mut body = granted();
        body["refresh_token"] = json!("rt-2");
        body.as_object_mut().unwrap().remove("token_type");
        if let Some(token_type) = token_type {
            body["token_type"] = token_type;
        }
        let grant = read(&reply(200, &body)).unwrap();
        assert_eq!(grant.access_token, secret("at-1"));
        assert_eq!(grant.refresh_token, Some(secret("rt-2")), "{body}");
    }
}

#[test]
fn a_lifetime_or_a_scope_that_cannot_be_read_loses_no_token() {
    for odd in [json!({}), json!([7]), json!(true)] {
        for name in ["expires_in", "scope"] {
            let mut body = granted();
            (body["refresh_token"], body[name]) = (json!("rt-2"), odd.clone());
            let grant = read(&reply(200, &body)).unwrap();
            assert_eq!(grant.refresh_token, Some(secret("rt-2")), "{body}");
            assert_eq!(grant.scopes, set(&["a", "b"]), "{body}");
        }
    }
}

#[test]
fn a_scope_that_no_database_takes_is_none() {
    for scope in [json!("a b\u{0}"), json!(["a", "b\u{0}", "\u{7}"])] {
        let mut body = granted();
        body["scope"] = scope;
        assert_eq!(read(&reply(200, &body)).unwrap().scopes, set(&["a"]));
    }
}

#[test]
fn a_refusal_is_one_whatever_its_status() {
    let refusal = json!({ "error": "invalid_grant", "error_description": "token was revoked" });
    for status in [200, 400, 401] {
        let failure = read(&reply(status, &refusal)).unwrap_err();
        let OauthError::InvalidGrant { said, .. } = failure else { panic!("{failure}") };
        assert_eq!(said.as_deref(), Some("token was revoked"));
    }
    let slack = json!({ "ok": false, "error": "invalid_refresh_token" });
    assert!(matches!(read(&reply(200, &slack)), Err(OauthError::InvalidGrant { .. })));
    let github = json!({ "error": "incorrect_client_credentials" });
    assert!(matches!(read(&reply(200, &github)), Err(OauthError::InvalidClient { .. })));
}

#[test]
fn a_server_that_is_busy_ends_no_grant() {
    let refusal = json!({ "error": "invalid_grant" });
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        let failure = read(&reply(status, &refusal)).unwrap_err();
        assert!(failure.is_transient(), "{status}: {failure}");
    }
    for body in [json!({}), json!("<html>"), json!({ "error": "invalid_request" })] {
        let failure = read(&reply(400, &body)).unwrap_err();
        assert!(!matches!(failure, OauthError::InvalidGrant { .. }), "{body}");
    }
}

#[test]
fn neither_errors_nor_debug_output_repeat_a_secret() {
    for shown in ["rt-1", "client-s3cret"] {
        for field in ["error", "error_description"] {
            let body = json!({ field: format!("{shown} is not known") });
            let failure = read(&reply(400, &body)).unwrap_err();
            assert!(!format!("{failure} {failure:?}").contains(shown), "{failure:?}");
        }
    }
    let bodies = [json!({ "access_token": "at-9", "token_type": 7 }), json!(["at-9"])];
    for body in bodies {
        let reply = reply(200, &body);
        let failure = read(&reply).unwrap_err();
        assert!(!format!("{failure} {failure:?} {reply:?}").contains("at-9"), "{failure:?}");
    }
}

/// What the token endpoint is sent by `client`, and by what right.
async fn sent(client: &OauthClient, by: TokenRight<'_>) -> crate::site::Seen {
    let site = Arc::new(Site::default());
    site.put("POST https://login.test/token", Page::json(200, &granted()));
    let (server, scopes) = (server(), set(&["a", "b"]));
    let ask = TokenAsk { server: &server, client, by, resource: Some(RESOURCE), scopes: &scopes };
    client_on(&site).ask(&ask).await.unwrap();
    site.last()
}

#[tokio::test]
async fn the_code_goes_with_its_verifier_its_redirect_uri_and_its_resource() {
    let (code, pending) = (secret("code-1"), pending());
    let client = with(ClientProof::None);
    let seen = sent(&client, TokenRight::Code { code: &code, pending: &pending }).await;
    let expected = [
        ("client_id", "us"),
        ("code", "code-1"),
        ("code_verifier", pending.verifier.expose().as_str()),
        ("grant_type", "authorization_code"),
        ("redirect_uri", "https://link.test/v1/oauth/callback"),
        ("resource", RESOURCE),
    ];
    assert_eq!(seen.form(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(seen.authorization(), None);
    assert_eq!(seen.url.query(), None);
}

/// Checklist 15.
#[tokio::test]
async fn a_client_says_who_it_is_in_its_own_way_and_in_no_other() {
    let token = secret("rt-1");
    let seen =
        sent(&with(ClientProof::SecretBasic(secret("client-s3cret"))), TokenRight::Refresh(&token))
            .await;
    assert_eq!(seen.authorization(), Some("Basic dXM6Y2xpZW50LXMzY3JldA=="));
    assert_eq!((seen.field("client_id"), seen.field("client_secret")), (None, None));
    let seen =
        sent(&with(ClientProof::SecretPost(secret("client-s3cret"))), TokenRight::Refresh(&token))
            .await;
    assert_eq!(seen.authorization(), None);
    assert_eq!(seen.field("client_secret").as_deref(), Some("client-s3cret"));
    let seen = sent(&with(ClientProof::None), TokenRight::Refresh(&token)).await;
    assert_eq!(seen.authorization(), None);
    assert_eq!(seen.field("client_id").as_deref(), Some("us"));
    assert_eq!(seen.field("client_secret"), None);
    // Identifier and secret are encoded each by itself: `a:b` and `c d/%`.
    let odd = OauthClient {
        client_id: "a:b".to_owned(),
        ..with(ClientProof::SecretBasic(secret("c d/%")))
    };
    let seen = sent(&odd, TokenRight::ClientCredentials).await;
    assert_eq!(seen.authorization(), Some("Basic YSUzQWI6YytkJTJGJTI1"));
    assert_eq!(seen.field("scope").as_deref(), Some("a b"));
}

fn grant(refresh_token: Option<&str>) -> Grant {
    Grant {
        issuer: server().issuer,
        access_token: secret("at-1"),
        refresh_token: refresh_token.map(secret),
        expires_at: None,
        scopes: set(&[]),
        resource: None,
    }
}

async fn revoke(oauth: &WebAuthorizationServers, refresh: Option<&str>) -> Result<(), OauthError> {
    oauth.revoke(&server(), &confidential(), &grant(refresh)).await
}

#[tokio::test]
async fn both_tokens_are_revoked_the_one_that_lives_longer_first() {
    let site = Arc::new(Site::default());
    site.put("POST https://login.test/revoke", Page::status(200));
    revoke(&client_on(&site), Some("rt-1")).await.unwrap();
    let fields = |name| site.seen().iter().map(|it| it.field(name).unwrap()).collect::<Vec<_>>();
    assert_eq!(fields("token"), ["rt-1", "at-1"]);
    assert_eq!(fields("token_type_hint"), ["refresh_token", "access_token"]);
    assert!(site.seen().iter().all(|it| it.authorization().is_some()));
}

#[tokio::test]
async fn a_revocation_that_fails_says_so_after_both_were_tried() {
    let site = Arc::new(Site::default());
    let refusal = json!({ "error": "unsupported_token_type", "error_description": "not rt-1" });
    site.put("POST https://login.test/revoke", Page::json(400, &refusal));
    let failure = revoke(&client_on(&site), Some("rt-1")).await.unwrap_err();
    assert_eq!(failure.to_string(), "https://login.test refused: unsupported_token_type");
    assert_eq!(site.asked().len(), 2);
    site.put("POST https://login.test/revoke", Page::status(503));
    assert!(revoke(&client_on(&site), None).await.unwrap_err().is_transient());
    let none = linkspan_domain::AuthorizationServer { revocation_endpoint: None, ..server() };
    let failure = client_on(&site).revoke(&none, &confidential(), &grant(None)).await;
    assert!(matches!(failure, Err(OauthError::Unsupported { .. })));
}

proptest! {
    #[test]
    fn whatever_a_server_answers_is_a_grant_or_an_error(
        status in 200u16..600,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let read = read(&TokenReply { status, body: Secret::new(body), retry_after: None });
        prop_assert!(read.is_err());
    }
}
