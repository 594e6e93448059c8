//! The same request, sent again.

use serde_json::{Value, json};

use crate::platform::Platform;

fn provider(slug: &str) -> Value {
    json!({ "data": { "type": "provider", "attributes": { "name": "Acme", "slug": slug } } })
}

#[tokio::test]
async fn the_same_request_has_its_effect_once() {
    let platform = Platform::start().await;
    let admin = platform.admin().with("Idempotency-Key", "one");
    let first = admin.post("/v1/providers", provider("acme")).await.expect(201);
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = admin.post("/v1/providers", provider("acme")).await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(admin.get("/v1/providers").await.body["meta"]["page"]["total"], 1);
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let platform = Platform::start().await;
    let admin = platform.admin().with("Idempotency-Key", "one");
    admin.post("/v1/providers", provider("acme")).await.expect(201);
    let error =
        admin.post("/v1/providers", provider("other")).await.refused(422, "idempotency.mismatch");
    assert_eq!(error["source"]["header"], "Idempotency-Key");
    // Another route, another tenant: another key.
    let workspace =
        json!({ "data": { "type": "workspace", "attributes": { "name": "W", "slug": "w" } } });
    admin.post("/v1/workspaces", workspace).await.expect(201);
    let stranger = platform.client(crate::platform::STRANGER).with("Idempotency-Key", "one");
    stranger.post("/v1/providers", provider("elsewhere")).await.expect(201);
}

#[tokio::test]
async fn while_the_first_is_at_work_the_second_waits() {
    let platform = Platform::start().await;
    let world = &platform.app.world;
    let store = platform.database.idempotency();
    let call = |key: &'static str| {
        let admin = platform.admin().with("Idempotency-Key", key);
        async move { admin.post("/v1/providers", provider("acme")).await }
    };
    // The claim of another process, under the scope that the API uses.
    let key = linkspan_domain::Secret::new(crate::platform::ADMIN.to_owned());
    let caller = platform.app.access.authenticate(&key, None, None).await.unwrap();
    let scope = format!(
        "{} {} {} {} POST /v1/providers",
        caller.organization,
        caller.actor.actor_type(),
        caller.actor.id().unwrap(),
        caller.visible.workspace,
    );
    let body = provider("acme").to_string();
    let fingerprint = fingerprint(&body);
    store.claim(&scope, "busy", &fingerprint, world.uuid(), world.now()).await.unwrap();
    let answer = call("busy").await;
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.refused(409, "idempotency.in_flight")["meta"]["retryable"], true);
    call("free").await.expect(201);
}

fn fingerprint(body: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new().chain_update([0]).chain_update(body).finalize();
    digest.iter().fold(String::new(), |hex, it| format!("{hex}{it:02x}"))
}

#[tokio::test]
async fn a_request_that_failed_can_be_sent_again() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id =
        admin.make("/v1/providers", "provider", json!({ "name": "Acme", "slug": "acme" })).await;
    let keyed = admin.with("Idempotency-Key", "one");
    keyed.post("/v1/providers", provider("acme")).await.refused(409, "resource.name_taken");
    admin.delete(&format!("/v1/providers/{id}")).await.expect(204);
    keyed.post("/v1/providers", provider("acme")).await.expect(201);
}

#[tokio::test]
async fn actions_are_repeated_as_they_were_answered() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let keyed = admin.with("Idempotency-Key", "one");
    let id = admin.activation("one").await;
    let place = format!("/v1/workspace-connectors/{id}");
    let test = keyed.post(&format!("{place}/test"), json!({})).await.expect(200);
    let again = keyed.post(&format!("{place}/test"), json!({})).await.expect(200);
    assert_eq!((again.header("idempotent-replayed"), &again.body), ("true", &test.body));
    let sync = keyed.post(&format!("{place}/syncs"), json!({})).await.expect(202);
    let again = keyed.post(&format!("{place}/syncs"), json!({})).await.expect(202);
    assert_eq!((again.header("idempotent-replayed"), &again.body), ("true", &sync.body));
    let provider =
        admin.make("/v1/providers", "provider", json!({ "name": "Acme", "slug": "acme" })).await;
    let place = format!("/v1/providers/{provider}");
    admin.delete(&place).await.expect(204);
    keyed.post(&format!("{place}/purge"), json!({})).await.expect(204);
    keyed.post(&format!("{place}/purge"), json!({})).await.expect(204);
}

#[tokio::test]
async fn a_new_key_is_not_shown_again() {
    let platform = Platform::start().await;
    let admin = platform.admin().with("Idempotency-Key", "one");
    let new = json!({ "data": { "type": "api_key", "attributes": { "name": "CI", "permissions": ["connector:read"] } } });
    let made = admin.post("/v1/api-keys", new.clone()).await.expect(201);
    assert!(made.attributes()["key"].is_string());
    let again = admin.post("/v1/api-keys", new).await.expect(201);
    assert!(again.attributes()["key"].is_null());
    assert_eq!(again.body["data"]["id"], made.body["data"]["id"]);
}

#[tokio::test]
async fn impossible_keys_are_refused() {
    let platform = Platform::start().await;
    for key in ["", &"k".repeat(256), "clé"] {
        let admin = platform.admin().with("Idempotency-Key", key);
        let error = admin
            .post("/v1/providers", provider("acme"))
            .await
            .refused(400, "request.invalid_header");
        assert_eq!(error["source"]["header"], "Idempotency-Key");
    }
}
