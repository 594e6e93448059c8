//! What a client promises, after RFC 9700, OAuth 2.1 and MCP 2026-07-28.
//!
//! Beside the tests here, each promise that concerns the protocol has its own in the other files of this folder, or beside its
//! code: metadata of another issuer or resource, `WWW-Authenticate` by grammar, the ways to say who we are, refusals,
//! registrations, revocation, and in the domain the client metadata document and `iss`.
//!
//! A test that keeps a line of the checklist for OAuth clients says which, wherever it is: `Checklist 4`. All are listed in
//! docs/oauth-checklist.md.
//!
//! What this crate cannot keep, because it knows no store, no person and no activation:
//!
//! - `state` has at least 128 bits, is good once, for a while, and for one session and one activation.
//! - what is remembered of an authorization is compared and deleted before the code is exchanged.
//! - clients are kept by issuer, and a change of the issuer makes a new one.
//! - one refresh at a time over all processes; the new refresh token is kept before its access token is used, the old one
//!   until the new one is proven; `invalid_grant` asks for a person, a busy server does not.
//! - `invalid_client` registers once more, once.
//! - tokens are revoked when an activation is disconnected, and that is audited.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use linkspan_domain::{
    AuthorizationServer, IssuerCheck, PendingAuthorization,
    ports::{AuthorizationAsk, AuthorizationServers, OauthError, Redirects, TokenAsk, TokenRight},
};
use url::Url;

use crate::site::{
    BACK, ISSUER, Page, RESOURCE, Site, authorization, client_on, confidential, guarded, parameter,
    secret, server, set, target, url,
};

fn begin(ask: AuthorizationAsk) -> Result<(Url, PendingAuthorization), OauthError> {
    client_on(&Arc::new(Site::default())).begin(ask, &secret("state-1"))
}

fn knowing(methods: Option<BTreeSet<String>>) -> AuthorizationAsk {
    let server = AuthorizationServer { challenge_methods: methods, ..server() };
    AuthorizationAsk { server, ..authorization() }
}

/// Checklist 1.
#[test]
fn s256_goes_with_every_authorization_and_plain_with_none() {
    for methods in [None, Some(set(&["S256"])), Some(set(&["plain", "S256"]))] {
        let (url, pending) = begin(knowing(methods)).unwrap();
        assert_eq!(parameter(&url, "code_challenge_method").as_deref(), Some("S256"));
        assert_eq!(parameter(&url, "code_challenge").unwrap().len(), 43);
        assert!(pending.verifier.expose().len() >= 43);
        assert!(!url.as_str().contains(pending.verifier.expose()));
    }
    for methods in [set(&["plain"]), set(&[])] {
        let failure = begin(knowing(Some(methods))).unwrap_err();
        assert_eq!(failure.to_string(), "login.test offers no PKCE with S256");
    }
    let verifiers: BTreeSet<String> =
        (0..20).map(|_| begin(authorization()).unwrap().1.verifier.expose().clone()).collect();
    assert_eq!(verifiers.len(), 20);
}

#[test]
fn a_person_is_sent_with_state_and_comes_back_exactly_where_we_said() {
    let (url, _) = begin(authorization()).unwrap();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "us"),
        ("state", "state-1"),
        ("redirect_uri", BACK),
        ("scope", "files:read"),
        ("resource", RESOURCE),
    ] {
        assert_eq!(parameter(&url, name).as_deref(), Some(value), "{name}");
    }
    // What the operator put into the URL of the endpoint stays.
    let endpoint = Some("https://login.test/authorize?access_type=offline".parse().unwrap());
    let server = AuthorizationServer { authorization_endpoint: endpoint, ..server() };
    let (url, _) = begin(AuthorizationAsk { server, ..authorization() }).unwrap();
    assert_eq!(parameter(&url, "access_type").as_deref(), Some("offline"));
}

#[test]
fn a_person_comes_back_over_https_or_to_their_own_machine() {
    for safe in [BACK, "http://127.0.0.1:7777/back", "http://[::1]/back"] {
        let ask = AuthorizationAsk { redirect_uri: url(safe), ..authorization() };
        assert!(begin(ask).is_ok(), "{safe}");
    }
    for unsafe_uri in ["http://link.test/back", "ftp://link.test/back", "https://link.test/back#x"]
    {
        let ask = AuthorizationAsk { redirect_uri: url(unsafe_uri), ..authorization() };
        assert!(matches!(begin(ask), Err(OauthError::Unsound { .. })), "{unsafe_uri}");
    }
}

#[test]
fn all_that_the_exchange_needs_is_remembered() {
    let ask = AuthorizationAsk { return_to: Some(url("https://app.test/done")), ..authorization() };
    let (sent_to, pending) = begin(ask.clone()).unwrap();
    let verifier = pending.verifier.clone();
    let AuthorizationAsk { server, client, redirect_uri, resource, scopes, return_to } = ask;
    let expected = PendingAuthorization {
        server,
        client,
        verifier,
        redirect_uri,
        resource,
        scopes,
        return_to,
        url: secret(sent_to.as_str()),
    };
    assert_eq!(pending, expected);
}

/// Checklist 4.
#[test]
fn a_redirect_comes_from_the_issuer_that_was_asked_letter_by_letter() {
    let table = [
        (true, Some(ISSUER), Ok(())),
        (true, None, Err(IssuerCheck::Missing)),
        (true, Some("https://evil.test"), Err(IssuerCheck::Mismatch)),
        (false, Some(ISSUER), Ok(())),
        (false, Some("https://evil.test"), Err(IssuerCheck::Mismatch)),
        (false, None, Ok(())),
        (true, Some("https://login.test/"), Err(IssuerCheck::Mismatch)),
        (true, Some("https://LOGIN.test"), Err(IssuerCheck::Mismatch)),
        (true, Some("https://login.test:443"), Err(IssuerCheck::Mismatch)),
    ];
    for (sends_issuer, iss, expected) in table {
        let server = AuthorizationServer { sends_issuer, ..server() };
        let (_, pending) = begin(AuthorizationAsk { server, ..authorization() }).unwrap();
        assert_eq!(pending.check_issuer(iss), expected, "{sends_issuer} {iss:?}");
    }
}

/// Checklist 7.
#[tokio::test]
async fn the_resource_is_named_to_authorize_for_tokens_and_to_refresh() {
    let site = Arc::new(Site::default());
    let oauth = client_on(&site);
    let (url, pending) = oauth.begin(authorization(), &secret("state-1")).unwrap();
    assert_eq!(parameter(&url, "resource").as_deref(), Some(RESOURCE));
    let (code, token) = (secret("code-1"), secret("rt-1"));
    let rights = [
        TokenRight::Code { code: &code, pending: &pending },
        TokenRight::Refresh(&token),
        TokenRight::ClientCredentials,
    ];
    for by in rights {
        let ask = TokenAsk {
            server: &pending.server,
            client: &pending.client,
            by,
            resource: pending.resource.as_deref(),
            scopes: &pending.scopes,
        };
        oauth.ask(&ask).await.unwrap();
        assert_eq!(site.last().field("resource").as_deref(), Some(RESOURCE));
    }
}

/// Checklist 17.
#[test]
fn offline_access_is_asked_for_with_consent_where_it_is_advertised() {
    let knows = |scopes: &[&str]| {
        let server = AuthorizationServer { scopes: Some(set(scopes)), ..server() };
        begin(AuthorizationAsk { server, ..authorization() }).unwrap()
    };
    let (url, pending) = knows(&["files:read", "offline_access"]);
    assert_eq!(parameter(&url, "scope").as_deref(), Some("files:read offline_access"));
    assert_eq!(parameter(&url, "prompt").as_deref(), Some("consent"));
    assert_eq!(pending.scopes, set(&["files:read", "offline_access"]));
    let (url, _) = knows(&["files:read"]);
    assert_eq!(parameter(&url, "scope").as_deref(), Some("files:read"));
    assert_eq!(parameter(&url, "prompt"), None);
    let (url, _) = begin(AuthorizationAsk { scopes: set(&[]), ..authorization() }).unwrap();
    assert_eq!(parameter(&url, "scope"), None);
}

/// Checklist 18.
#[tokio::test]
async fn no_request_follows_a_redirect_and_each_has_bounds() {
    let site = guarded();
    let oauth = client_on(&site);
    let server = oauth.discover(&target()).await.unwrap().server;
    let client = confidential();
    let scopes = set(&[]);
    let token = secret("rt-1");
    let ask = TokenAsk {
        server: &server,
        client: &client,
        by: TokenRight::Refresh(&token),
        resource: None,
        scopes: &scopes,
    };
    for endpoint in ["token", "register", "revoke"] {
        let moved = Page::status(307).with("location", "https://evil.test/");
        site.put(&format!("POST https://login.test/{endpoint}"), moved);
    }
    let grant = linkspan_domain::Grant {
        issuer: server.issuer.clone(),
        access_token: secret("at-1"),
        refresh_token: None,
        expires_at: None,
        scopes: set(&[]),
        resource: None,
    };
    let failures = [
        oauth.ask(&ask).await.unwrap_err(),
        oauth.register(&server, &url(BACK), &scopes).await.unwrap_err(),
        oauth.revoke(&server, &client, &grant).await.unwrap_err(),
    ];
    for failure in failures {
        assert_eq!(
            failure.to_string(),
            "login.test answers with a redirect, which is never followed"
        );
    }
    for seen in site.seen() {
        assert_eq!(seen.redirects, Redirects::HandBack, "{}", seen.url);
        assert!(seen.limits.body_bytes <= 1024 * 1024, "{}", seen.url);
        assert!(seen.limits.total <= Duration::from_secs(30), "{}", seen.url);
        assert_ne!(seen.url.host_str(), Some("evil.test"));
    }
    // Nor is what another URL answers.
    let elsewhere = Page::json(200, &serde_json::json!({})).answered_by("https://evil.test/token");
    site.put("POST https://login.test/token", elsewhere);
    assert!(matches!(oauth.ask(&ask).await, Err(OauthError::Unsound { .. })));
}

#[tokio::test]
async fn metadata_that_moved_is_no_metadata() {
    let site = guarded();
    let moved = Page::status(302).with("location", "https://evil.test/metadata");
    site.put("GET https://login.test/.well-known/oauth-authorization-server", moved);
    let failure = client_on(&site).discover(&target()).await.unwrap_err();
    assert!(matches!(failure, OauthError::Unsupported { .. }), "{failure}");
    assert!(!site.asked().iter().any(|it| it.contains("evil.test")));
}

#[tokio::test]
async fn no_secret_travels_in_a_url() {
    let site = guarded();
    let oauth = client_on(&site);
    let (agree, pending) = oauth.begin(authorization(), &secret("state-1")).unwrap();
    let code = secret("code-1");
    let ask = TokenAsk {
        server: &pending.server,
        client: &pending.client,
        by: TokenRight::Code { code: &code, pending: &pending },
        resource: None,
        scopes: &pending.scopes,
    };
    oauth.ask(&ask).await.unwrap();
    let mut urls = site.asked();
    urls.push(agree.to_string());
    for url in urls {
        for text in ["client-s3cret", "code-1", pending.verifier.expose().as_str()] {
            assert!(!url.contains(text), "{url}");
        }
    }
    assert!(!format!("{pending:?} {ask:?}").contains("client-s3cret"));
}
