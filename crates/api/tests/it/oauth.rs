//! Connecting what a person has to agree to.

use linkspan_testkit::client_keys::P256;
use poem::http::Method;
use serde_json::{Value, json};

use crate::platform::{Answer, Client, Platform};

/// A connector that somebody has to agree to.
async fn guarded(admin: &Client<'_>, service: &str) -> String {
    let connector = admin.make(
        "/v1/connectors",
        "connector",
        json!({
            "name": service, "provider": "well", "category_id": "test", "service_id": service,
            "slug": service, "connector_type": "shop", "status": "available",
            "authorization_flow": "oauth-manual",
            "auth_config": {
                "oauth_metadata_url": "https://id.example/metadata",
                "oauth_config": { "scopes": ["read"] },
            },
        }),
    );
    connector.await
}

/// An activation that waits for somebody to agree.
async fn waiting(admin: &Client<'_>, service: &str) -> String {
    let connector = guarded(admin, service).await;
    admin.activate(&connector, service).await
}

async fn linked(admin: &Client<'_>, id: &str, body: Value) -> Value {
    let path = format!("/v1/workspace-connectors/{id}/authorize");
    let link = admin.post(&path, body).await.expect(200);
    assert_eq!(link.body["connected"], false);
    link.body
}

/// A person at the provider, in the browser that they left in.
struct Away<'p> {
    browser: Client<'p>,
    state: String,
}

impl<'p> Away<'p> {
    /// Where `url` of `link` leads.
    async fn by(platform: &'p Platform, link: &Value) -> Self {
        let person = platform.anybody();
        let sent = person.get(&here(&link["url"])).await.expect(303);
        let state = sent.header("location").rsplit_once("state=").unwrap().1.to_owned();
        Self { browser: person.with("Cookie", &cookie_of(&sent)), state }
    }

    async fn of(platform: &'p Platform, id: &str, body: Value) -> Self {
        Self::by(platform, &linked(&platform.admin(), id, body).await).await
    }

    /// Comes back with what the provider says.
    async fn back(&self, said: &str) -> Answer {
        self.browser.get(&back(&self.state, said)).await
    }
}

/// Where a link leads, on the platform.
fn here(link: &Value) -> String {
    link.as_str().unwrap().strip_prefix("https://linkspan.example").unwrap().to_owned()
}

/// Where the connect page is that `link` leads to.
fn page_of(link: &Value) -> String {
    here(&link["connect_url"])
}

/// What a person takes along who goes on from the connect page.
fn taken_along(page: &Answer) -> String {
    let behind = page.text.split_once("state=").unwrap().1;
    behind.split_once('"').unwrap().0.to_owned()
}

/// The cookie that came with a page, as it is sent back.
fn cookie_of(page: &Answer) -> String {
    page.header("set-cookie").split_once(';').unwrap().0.to_owned()
}

fn back(state: &str, rest: &str) -> String {
    format!("/v1/oauth/callback?state={state}&iss=https%3A%2F%2Fprovider.example&{rest}")
}

async fn status(admin: &Client<'_>, id: &str) -> Value {
    let shown = admin.get(&format!("/v1/workspace-connectors/{id}")).await.expect(200);
    shown.attributes()["status"].clone()
}

#[tokio::test]
async fn a_person_agrees_and_the_activation_works() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = waiting(&admin, "books").await;
    assert_eq!(status(&admin, &id).await, "to_configure", "there is no grant");
    let person = Away::of(&platform, &id, json!({})).await;
    let page = person.back("code=good").await.expect(200);
    assert!(page.text.contains("books is connected"), "{}", page.text);
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(status(&admin, &id).await, "enabled");
    let again = person.back("code=good").await.expect(410);
    assert!(again.text.contains("used already"), "{}", again.text);

    let shown = admin.get(&format!("/v1/workspace-connectors/{id}")).await.expect(200);
    let events = admin.get("/v1/audit-events").await.expect(200);
    for text in [&shown.text, &events.text, &page.text] {
        for secret in ["access-planted", "refresh-planted", person.state.as_str()] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
    assert!(events.text.contains("workspace_connector.connected"), "{}", events.text);
    let test = admin.post(&format!("/v1/workspace-connectors/{id}/test"), json!({})).await;
    assert_eq!(test.expect(200).body["ok"], true);
}

#[tokio::test]
async fn an_activation_without_a_grant_fails_its_test_and_is_not_switched_on() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = waiting(&admin, "books").await;
    let test = admin.post(&format!("/v1/workspace-connectors/{id}/test"), json!({})).await;
    let test = test.expect(200).body;
    assert_eq!((&test["ok"], &test["error"]), (&json!(false), &json!("source.need_reconnect")));
    assert!(test["message"].as_str().unwrap().contains("/authorize"), "{test}");
    for wanted in ["disabled", "enabled"] {
        let patch = json!({ "data": { "type": "workspace_connector", "id": id,
            "attributes": { "status": wanted } } });
        admin.patch(&format!("/v1/workspace-connectors/{id}"), patch).await.expect(200);
    }
    assert_eq!(status(&admin, &id).await, "to_configure");
}

#[tokio::test]
async fn a_test_that_passes_brings_back_what_was_refused_unless_there_is_no_grant() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let (connected, waiting) = (waiting(&admin, "books").await, waiting(&admin, "mail").await);
    Away::of(&platform, &connected, json!({})).await.back("code=good").await.expect(200);
    // As if the systems had refused what their last runs came with.
    platform.run("UPDATE workspace_connectors SET status = 'need_reconnect'").await;
    for (id, ok, after) in [(&connected, true, "enabled"), (&waiting, false, "need_reconnect")] {
        let test = admin.post(&format!("/v1/workspace-connectors/{id}/test"), json!({})).await;
        assert_eq!(test.expect(200).body["ok"], ok);
        assert_eq!(status(&admin, id).await, after);
    }
    let filter =
        format!("filter[resource_id]={connected}&filter[action]=workspace_connector.updated");
    let events = admin.get(&format!("/v1/audit-events?{filter}")).await.expect(200);
    assert_eq!(events.body["data"][0]["attributes"]["details"]["changed"], json!(["status"]));
}

#[tokio::test]
async fn whatever_comes_back_has_a_page() {
    let platform = Platform::start().await;
    let (admin, person) = (platform.admin(), platform.anybody());
    let id = waiting(&admin, "books").await;
    let unknown = person.get("/v1/oauth/callback").await.expect(404);
    assert!(unknown.text.contains("not known"), "{}", unknown.text);
    for (rest, status, says) in [
        ("error=access_denied&error_description=%3Cscript%3E", 403, "&lt;script&gt;"),
        ("code=bad", 424, "did not finish"),
        ("", 400, "cannot be read"),
    ] {
        let page = Away::of(&platform, &id, json!({})).await.back(rest).await.expect(status);
        assert!(page.text.contains(says) && !page.text.contains("<script"), "{}", page.text);
    }
    let Away { browser, state } = Away::of(&platform, &id, json!({})).await;
    let elsewhere = format!("/v1/oauth/callback?state={state}&code=good&iss=https%3A%2F%2Fevil");
    browser.get(&elsewhere).await.expect(400);
    assert_eq!(status(&admin, &id).await, "to_configure");
}

/// No database has a place for what some of these say.
#[tokio::test]
async fn why_nothing_came_of_an_authorization_is_in_the_audit_trail() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = waiting(&admin, "books").await;
    for (rest, reason, code) in [
        (
            "error=access_denied&error_description=no%00thing%20%1B%5B1mdoing",
            "the provider says: nothing [1mdoing",
            json!("access_denied"),
        ),
        ("error=%00", "the provider says: no reason given", json!("no reason given")),
        (
            "code=bad",
            "https://provider.example does not accept the authorization any more: the code is bad",
            json!("invalid_grant"),
        ),
    ] {
        Away::of(&platform, &id, json!({})).await.back(rest).await;
        let failed = "workspace_connector.authorization_failed";
        let trail = format!("/v1/audit-events?filter[action]={failed}&sort=-created_at");
        let events = admin.get(&trail).await.expect(200);
        let details = &events.body["data"][0]["attributes"]["details"];
        assert_eq!(details["reason"], reason, "{details}");
        assert_eq!(details["provider_error"], code, "{details}");
    }
}

#[tokio::test]
async fn a_person_ends_up_where_they_came_from() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    waiting(&admin, "books").await;
    let path = format!(
        "/v1/workspaces/{}/connectors/books/access?redirect_url=https%3A%2F%2Fapp.example%2Fdone&state=abc",
        platform.workspace.id
    );
    let link = admin.get(&path).await.expect(200).body;
    let sent = Away::by(&platform, &link).await.back("code=good").await.expect(303);
    assert_eq!(sent.header("location"), "https://app.example/done?state=abc");
    let asked = async |query: &str| {
        let path = format!("/v1/workspaces/{}/connectors/books/access", platform.workspace.id);
        admin.get(&format!("{path}?{query}")).await
    };
    let elsewhere = asked("redirect_url=https%3A%2F%2Fevil.example").await;
    let refused = elsewhere.refused(422, "oauth.return_not_allowed");
    assert_eq!(refused["source"]["parameter"], "redirect_url", "{refused}");
    let long = format!("state={}", "x".repeat(2_001));
    for (query, status, code) in [
        ("redirect_url=nowhere", 400, "request.invalid_parameter"),
        ("state=%00", 400, "request.invalid_parameter"),
        ("color=red", 400, "request.invalid_parameter"),
        (&long, 422, "resource.invalid"),
    ] {
        asked(query).await.refused(status, code);
    }
    let all = admin.get("/v1/workspace-connectors").await.expect(200);
    assert_eq!(all.body["data"].as_array().unwrap().len(), 1, "the one that was there was taken");
}

/// RFC 6749 §10.12, RFC 9700 §4.7: the state is bound to the browser of the person.
#[tokio::test]
async fn whoever_leaves_comes_back_in_the_same_browser() {
    let platform = Platform::start().await;
    let (admin, person) = (platform.admin(), platform.anybody());
    let id = waiting(&admin, "books").await;
    let link = linked(&admin, &id, json!({})).await;
    let path = page_of(&link);
    let page = person.get(&path).await.expect(200);
    for said in ["<h1>Connect books</h1>", "Continue to provider.example", "<dd>Main</dd>"] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.header(name), value);
    }
    let set = page.header("set-cookie");
    assert!(set.starts_with("__Host-linkspan-browser=") && set.ends_with("; Secure"), "{set}");
    let (state, cookie) = (taken_along(&page), cookie_of(&page));
    let other = cookie_of(&person.get(&path).await.expect(200));
    assert_ne!(cookie, other);
    for elsewhere in [person.clone(), person.with("Cookie", &other)] {
        let refused = elsewhere.get(&back(&state, "code=good")).await.expect(403);
        assert!(refused.text.contains("another browser"), "{}", refused.text);
    }
    let ticket = path.split_once("ticket=").unwrap().1;
    let (proof, _) = state.split_once('.').unwrap();
    for shown in [ticket, proof] {
        person.get(&back(shown, "code=good")).await.expect(404);
    }
    assert_eq!(status(&admin, &id).await, "to_configure");
    let same = person.with("Cookie", &format!("a=b; {cookie}"));
    let sent = same.get(&here(&link["url"])).await.expect(303);
    assert_eq!(cookie_of(&sent), cookie, "a browser keeps its name, whichever link it opens");
    for (name, value) in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
        assert_eq!(sent.header(name), value);
    }
    assert!(sent.header("location").ends_with(&state), "{}", sent.header("location"));
    same.get(&back(&state, "code=good")).await.expect(200);
    assert_eq!(status(&admin, &id).await, "enabled");
    assert!(same.get(&path).await.expect(410).text.contains("used already"));
    let events = admin.get("/v1/audit-events").await.expect(200);
    for secret in [ticket, proof, &state] {
        assert!(!events.text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn whoever_cancels_uses_the_link_up() {
    let platform = Platform::start().await;
    let (admin, person) = (platform.admin(), platform.anybody());
    let id = waiting(&admin, "books").await;
    let path = format!(
        "/v1/workspaces/{}/connectors/books/access?redirect_url=https%3A%2F%2Fapp.example%2Fdone&state=abc",
        platform.workspace.id
    );
    let link = admin.get(&path).await.expect(200).body;
    let (path, away) = (page_of(&link), Away::by(&platform, &link).await);
    let page = person.send(Method::POST, &path, None).await.expect(200);
    let way_back = "https://app.example/done?state=abc&amp;error=access_denied";
    assert!(page.text.contains("You cancelled") && page.text.contains(way_back), "{}", page.text);
    person.get(&path).await.expect(410);
    person.send(Method::POST, &path, None).await.expect(410);
    away.back("code=good").await.expect(410);
    person.get(&here(&link["url"])).await.expect(410);
    assert_eq!(status(&admin, &id).await, "to_configure");
    let events = admin.get("/v1/audit-events").await.expect(200);
    assert!(events.text.contains("workspace_connector.authorization_failed"), "{}", events.text);
}

#[tokio::test]
async fn whoever_connects_nothing_has_a_way_back() {
    let platform = Platform::start().await;
    let id = waiting(&platform.admin(), "books").await;
    let body = json!({ "redirect_url": "https://app.example/done", "state": "abc" });
    for (said, status, told) in [
        ("error=access_denied", 403, "access_denied"),
        ("code=bad", 424, "server_error"),
        ("", 400, "server_error"),
    ] {
        let page = Away::of(&platform, &id, body.clone()).await.back(said).await.expect(status);
        let way_back =
            format!("https://app.example/done?state=abc&amp;error={told}\">Back to app.example");
        assert!(page.text.contains(&way_back), "{}", page.text);
    }
    let person = Away::of(&platform, &id, json!({})).await;
    let page = person.back("error=access_denied").await.expect(403);
    assert!(!page.text.contains("Back to"), "nobody sent them: {}", page.text);
}

#[tokio::test]
async fn a_link_that_does_not_work_shows_nothing() {
    let platform = Platform::start().await;
    let (admin, person) = (platform.admin(), platform.anybody());
    let id = waiting(&admin, "books").await;
    let guess = format!("?ticket={}", "0".repeat(64));
    for unknown in ["", &guess] {
        for way in ["start", "connect"] {
            let page = person.get(&format!("/v1/oauth/{way}{unknown}")).await.expect(404);
            assert!(page.text.contains("not known") && page.header("set-cookie").is_empty());
        }
        let cancelled = format!("/v1/oauth/connect{unknown}");
        person.send(Method::POST, &cancelled, None).await.expect(404);
    }
    let late = page_of(&linked(&admin, &id, json!({})).await);
    platform.run("UPDATE authorizations SET expires_at = created_at").await;
    let page = person.get(&late).await.expect(410);
    assert!(page.text.contains("expired") && !page.text.contains("books"), "{}", page.text);
    let orphan = page_of(&linked(&admin, &id, json!({})).await);
    admin.delete(&format!("/v1/workspace-connectors/{id}")).await.expect(204);
    let page = person.get(&orphan).await.expect(410);
    assert!(page.text.contains("nothing to connect") && !page.text.contains("books"));
}

#[tokio::test]
async fn all_who_ask_for_access_at_once_get_the_same_activation() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    guarded(&admin, "books").await;
    let path = format!("/v1/workspaces/{}/connectors/books/access", platform.workspace.id);
    let asked = futures_util::future::join_all((0..8).map(|_| admin.get(&path))).await;
    for answer in asked {
        assert_eq!(answer.expect(200).body["connected"], false);
    }
    let all = admin.get("/v1/workspace-connectors").await.expect(200);
    assert_eq!(all.body["data"].as_array().unwrap().len(), 1, "{}", all.text);
}

#[tokio::test]
async fn whoever_asks_again_gets_another_link_unless_the_activation_changed_meanwhile() {
    let platform = Platform::start().await;
    let admin = platform.admin().with("Idempotency-Key", "once");
    let id = waiting(&platform.admin(), "books").await;
    let [one, other] = [linked(&admin, &id, json!({})).await, linked(&admin, &id, json!({})).await];
    assert_ne!(one["url"], other["url"]);
    let path = format!("/v1/workspace-connectors/{id}/authorize");
    let stale = platform.admin().with("If-Match", "\"another\"");
    stale.post(&path, json!({})).await.expect(412);
}

#[tokio::test]
async fn access_goes_by_what_is_activated_and_around_a_name_that_is_taken() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let connector = async |service: &str, name: &str| {
        let attributes = json!({
            "name": name, "provider": "well", "category_id": "test", "service_id": service,
            "slug": "books", "connector_type": "shop", "status": "available",
            "authorization_flow": "oauth-manual",
            "auth_config": { "oauth_metadata_url": "https://provider.example/metadata" },
        });
        admin.make("/v1/connectors", "connector", attributes).await
    };
    let names = async || {
        let all = admin.get("/v1/workspace-connectors?sort=created_at").await.expect(200);
        let data = all.body["data"].as_array().unwrap().clone();
        data.iter()
            .map(|it| it["attributes"]["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let path = format!("/v1/workspaces/{}/connectors/books/access", platform.workspace.id);
    admin.activation("Books").await;
    connector("first", "Books").await;
    admin.get(&path).await.expect(200);
    assert_eq!(names().await, ["Books", "Books (books)"], "the name is taken by another connector");
    let second = connector("second", "Ledger").await;
    admin.get(&path).await.expect(200);
    assert_eq!(names().await.len(), 2, "the one that is activated");
    admin.activate(&second, "Ledger").await;
    admin.get(&path).await.expect(200);
    assert_eq!(names().await.len(), 3, "nothing more is made");
}

#[tokio::test]
async fn what_is_not_connected_that_way_says_so() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.activation("plain").await;
    let path = format!("/v1/workspace-connectors/{id}/authorize");
    admin.post(&path, json!({})).await.refused(422, "connector_type.unsupported");
    for bad in [
        json!({ "client_secret": "x" }),
        json!({ "client_id": "" }),
        json!({ "scopes": [""] }),
        json!({ "scopes": ["a b"] }),
        json!({ "scopes": ["é"] }),
        json!({ "redirect_url": "https://app.example", "state": "x".repeat(2_001) }),
    ] {
        admin.post(&path, bad).await.refused(422, "resource.invalid");
    }
}

#[tokio::test]
async fn a_client_has_a_secret_or_a_key_that_can_sign_or_nobody_is_sent_anywhere() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = waiting(&admin, "books").await;
    let path = format!("/v1/workspace-connectors/{id}/authorize");
    let encrypted = P256.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE");
    for (given, about, told) in [
        (json!({ "client_private_key": P256, "client_secret": "s" }), "client_private_key", "or"),
        (json!({ "client_key_id": "1" }), "client_key_id", "client_private_key"),
        (json!({ "client_private_key": "s3cret" }), "client_private_key", "BEGIN PRIVATE KEY"),
        (json!({ "client_private_key": encrypted }), "client_private_key", "-nocrypt"),
        (json!({ "client_private_key": "k".repeat(16_001) }), "client_private_key", "16,000"),
    ] {
        let mut body = given;
        body["client_id"] = json!("ours");
        let error = admin.post(&path, body).await.refused(422, "resource.invalid");
        assert_eq!(error["source"]["pointer"], format!("/{about}"), "{error}");
        assert!(error["detail"].as_str().unwrap().contains(told), "{error}");
        let text = error.to_string();
        assert!(!text.contains("s3cret") && !text.contains("MIGH"), "{text}");
    }
    let nobody = json!({ "client_private_key": P256 });
    admin.post(&path, nobody).await.refused(422, "resource.invalid");
    for (given, told) in [
        (json!({ "client_id": "" }), "leave it out"),
        (json!({ "client_id": "", "client_secret": "s" }), "the secret or the key belongs to"),
    ] {
        let error = admin.post(&path, given).await.refused(422, "resource.invalid");
        assert_eq!(error["source"]["pointer"], "/client_id", "{error}");
        assert!(error["detail"].as_str().unwrap().contains(told), "{error}");
    }

    let ours = json!({ "client_id": "ours", "client_private_key": P256, "client_key_id": "1" });
    let link = linked(&admin, &id, ours).await;
    assert!(!link.to_string().contains("PRIVATE"), "{link}");
    Away::by(&platform, &link).await.back("code=good").await.expect(200);
    let link = linked(&admin, &id, json!({})).await;
    let sent = platform.anybody().get(&here(&link["url"])).await.expect(303);
    assert!(sent.header("location").contains("client_id=ours"), "it is kept");
}

#[tokio::test]
async fn programs_that_look_at_a_link_use_nothing_up() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = waiting(&admin, "books").await;
    let Away { browser, state } = Away::of(&platform, &id, json!({})).await;
    let here = back(&state, "code=good");
    browser.send(Method::HEAD, &here, None).await.expect(200);
    assert_eq!(status(&admin, &id).await, "to_configure");
    browser.get(&here).await.expect(200);
    assert_eq!(status(&admin, &id).await, "enabled");
}

/// Checklist 19.
#[tokio::test]
async fn the_document_about_us_is_its_own_name() {
    let platform = Platform::start().await;
    let document = platform.anybody().get("/v1/oauth/client-metadata.json").await.expect(200).body;
    assert_eq!(document["client_id"], "https://linkspan.example/v1/oauth/client-metadata.json");
    assert_eq!(document["redirect_uris"], json!(["https://linkspan.example/v1/oauth/callback"]));
    assert!(document.get("client_secret").is_none(), "{document}");
}
