//! The master keys, and rotating them.

use serde_json::json;

use crate::platform::{Answer, Client, Platform};

/// As if the master key had been exchanged, and the one before were gone: the header of the blob names another key.
const OTHER_KEY: &str = "UPDATE workspace_connectors SET secrets = CAST(x'01a1a1a1a1' || substr(secrets, 6) AS BLOB) \
     WHERE secrets IS NOT NULL";

async fn rotate(client: &Client<'_>) -> Answer {
    client.post("/v1/keys/rotate", json!({})).await.expect(202)
}

#[tokio::test]
async fn with_nothing_to_do_a_rotation_is_done_at_once() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    admin.activation("one").await;
    let keys = admin.get("/v1/keys").await.expect(200);
    assert_eq!(keys.body["data"][0]["attributes"]["role"], "current");
    assert_eq!(keys.body["data"][0]["attributes"]["sealed"], 1);
    let done = rotate(&admin).await;
    assert_eq!(done.attributes()["status"], "done");
    let counts = json!({ "total": 0, "rotated": 0, "skipped": 0, "failed": 0 });
    assert_eq!(done.attributes()["counts"], counts);
    let place = done.header("location").to_owned();
    assert_eq!(admin.get(&place).await.expect(200).body["data"], done.body["data"]);
    let trail = async |action: &str| {
        let path = format!("/v1/audit-events?filter[action]={action}");
        admin.get(&path).await.expect(200).body["meta"]["page"]["total"].clone()
    };
    assert_eq!(trail("keys.rotated").await, 0, "no key has changed");
    assert_eq!(trail("keys.rotation_unneeded").await, 1);
}

#[tokio::test]
async fn a_rotation_takes_no_body_and_says_so_of_one_that_means_something() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let odd = [
        (json!({ "to_key": "a1a1a1a1" }), "/to_key"),
        (json!({ "data": { "type": "key_rotation", "attributes": { "to_key": "x" } } }), "/data"),
        (json!({ "data": "key_rotation" }), "/data"),
        (json!({ "a/b~c": true }), "/a~1b~0c"),
    ];
    for (body, pointer) in odd {
        let error = admin.post("/v1/keys/rotate", body).await.refused(422, "resource.invalid");
        assert_eq!(error["source"]["pointer"], pointer, "{error}");
    }
    for body in [json!([]), json!("now")] {
        admin.post("/v1/keys/rotate", body).await.refused(400, "request.malformed");
    }
    let rotations = admin.get("/v1/key-rotations").await.expect(200);
    assert_eq!(rotations.body["meta"]["page"]["total"], 0, "what is refused begins nothing");
    rotate(&admin).await;
    let named = json!({ "data": { "type": "key_rotation" } });
    admin.post("/v1/keys/rotate", named).await.expect(202);
    // What says nothing of the kind elsewhere takes no body either.
    let id = admin.activation("one").await;
    let disabled = format!("/v1/workspace-connectors/{id}/restore");
    let error = admin.post(&disabled, json!({ "name": "two" })).await;
    error.refused(422, "resource.invalid");
}

#[tokio::test]
async fn while_a_rotation_runs_it_is_the_one_that_is_answered() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    admin.activation("one").await;
    platform.run(OTHER_KEY).await;
    let keys = admin.get("/v1/keys").await.expect(200);
    assert_eq!(keys.listed("role"), ["current", "unknown"]);
    let first = rotate(&admin).await;
    assert_eq!(first.attributes()["status"], "running");
    assert_eq!(first.attributes()["from_keys"], json!(["a1a1a1a1"]));
    let named = admin.with("Idempotency-Key", "again");
    for _ in 0..2 {
        assert_eq!(rotate(&named).await.body["data"]["id"], first.body["data"]["id"]);
    }
    let listed = admin.get("/v1/key-rotations?filter[status]=running").await.expect(200);
    assert_eq!(listed.body["meta"]["page"]["total"], 1);
    let trail = admin.get("/v1/audit-events?filter[action]=keys.rotated").await.expect(200);
    assert_eq!(trail.body["meta"]["page"]["total"], 1);
}

#[tokio::test]
async fn secrets_whose_key_is_gone_are_refused_by_name() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.activation("one").await;
    let path = format!("/v1/workspace-connectors/{id}");
    platform.run(OTHER_KEY).await;
    admin.get(&path).await.expect(200);
    let test = admin.post(&format!("{path}/test"), json!({})).await;
    test.refused(409, "secrets.key_unknown");
    let error = admin.get(&format!("{path}/models")).await.refused(409, "secrets.key_unknown");
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.contains("a1a1a1a1") && detail.contains("/password"), "{detail}");
}
