//! Failures: their shape, and that they tell nothing they should not.

use std::time::Duration;

use linkspan_api::Limits;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    contract::JSON_API,
    platform::{PLANTED, Platform},
};

#[tokio::test]
async fn what_nobody_here_wrote_has_the_same_shape() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    admin.get("/v1/nothing").await.refused(404, "request.no_route");
    admin.get("/nothing").await.refused(404, "request.no_route");
    admin.get("/v1/connectors/not-a-uuid").await.refused(400, "request.malformed");
    admin
        .post("/v1/workspace-connectors/not-a-uuid/test", json!({}))
        .await
        .refused(400, "request.malformed");
    admin.get("/v1/workspace-connectors/not-a-uuid/tests").await.refused(400, "request.malformed");
    admin.get("/v1/workspace-connectors/not-a-uuid/models").await.refused(400, "request.malformed");
    for (path, allow) in [
        ("/v1/connectors", "GET, POST, HEAD"),
        ("/v1/connectors/00000000-0000-0000-0000-000000000000", "GET, PATCH, DELETE, HEAD"),
        ("/v1/workspace-connectors/test", "POST"),
        ("/healthz", "GET, HEAD"),
    ] {
        let answer = admin.send(Method::PUT, path, None).await;
        assert_eq!(answer.header("allow"), allow, "{path}");
        answer.refused(405, "request.method_not_allowed");
    }
    let head = admin.send(Method::HEAD, "/v1/connectors", None).await.expect(200);
    assert!(head.text.is_empty());
}

#[tokio::test]
async fn malformed_bodies_are_refused_without_quoting_them() {
    let platform = Platform::start().await;
    let admin = platform.admin().with("Content-Type", JSON_API);
    for body in [
        "",
        "{",
        "[]",
        "null",
        &format!("\"{PLANTED}\""),
        &format!("{{\"data\": \"{PLANTED}\"}}"),
        &format!("{{\"data\": {{\"type\": \"{PLANTED}\"}}"),
        "{\"data\": {\"type\": \"connector\"}} trailing",
        "{\"data\": {\"type\": \"connector\", \"attributes\": 5}}",
        "{\"data\": {\"type\": \"connector\", \"attributes\": {}, \"relationships\": []}}",
        "\u{0}",
    ] {
        let error = admin
            .send(Method::POST, "/v1/connectors", Some(body.to_owned()))
            .await
            .refused(400, "request.malformed");
        assert!(!error.to_string().contains("serde"), "{error}");
    }
    let wrong = json!({ "data": { "type": PLANTED } });
    admin.post("/v1/connectors", wrong).await.refused(409, "resource.type_mismatch");
    let wrong = json!({ "data": { "type": "connector", "attributes": { "name": "x", "provider": PLANTED } } });
    admin.post("/v1/connectors", wrong).await.refused(422, "resource.invalid");
    admin
        .get(&format!("/v1/connectors?filter[status]={PLANTED}"))
        .await
        .refused(400, "request.invalid_parameter");
}

#[tokio::test]
async fn too_much_is_refused() {
    let limits = Limits { body_bytes: 1_000, head_bytes: 2_000, ..Limits::default() };
    let platform = Platform::with(limits).await;
    let admin = platform.admin();
    let large = json!({ "data": { "type": "provider", "attributes": { "name": "A", "slug": "a", "skill": "x".repeat(2_000) } } });
    admin.post("/v1/providers", large).await.refused(413, "request.too_large");
    let mut deep = json!(1);
    for _ in 0..70 {
        deep = json!([deep]);
    }
    let deep = json!({ "data": { "type": "provider", "attributes": { "name": "A", "slug": "a", "blueprint": deep } } });
    admin.post("/v1/providers", deep).await.refused(413, "request.too_large");
    admin
        .get(&format!("/v1/connectors?sort={}", "a".repeat(2_000)))
        .await
        .refused(413, "request.too_large");
    admin
        .with("X-Long", &"x".repeat(2_000))
        .get("/v1/connectors")
        .await
        .refused(413, "request.too_large");
}

#[tokio::test]
async fn what_may_be_written_instead_is_said_in_the_words_of_the_api() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let key = |member: &str, value: Value| {
        let mut attributes = json!({ "name": "k", "permissions": ["connector:read"] });
        attributes[member] = value;
        json!({ "data": { "type": "api_key", "attributes": attributes } })
    };
    let rotate = format!("/v1/workspace-connectors/{activation}/rotate");
    let secs = |it: Value| json!({ "config": { "password": "x" }, "overlap_secs": it });
    let instant = "must be an instant such as 2026-05-01T12:00:00Z, as RFC 3339 says";
    let overlap = "must be a whole number of seconds from 0 to 7776000, which is 90 days";
    for (path, body, says) in [
        ("/v1/api-keys", key("expires_at", json!("tomorrow")), instant),
        ("/v1/api-keys", key("expires_at", json!("2026-05-01")), instant),
        (
            "/v1/api-keys",
            key("permissions", json!(["connector:edit"])),
            "must be one of connector:read, connector:manage, org:admin",
        ),
        (&rotate, secs(json!(7_776_001)), overlap),
        (&rotate, secs(json!(-1)), overlap),
    ] {
        let refused = admin.post(path, body).await.refused(422, "resource.invalid");
        assert_eq!(refused["detail"], says);
    }
    let shape = json!({ "config": { "password": 7 } });
    let refused = admin.post(&rotate, shape).await;
    let refused = refused.refused(422, "workspace_connector.invalid_config");
    assert_eq!(refused["source"]["pointer"], "/config/password");
}

#[tokio::test]
async fn what_takes_too_long_ends() {
    let limits = Limits { source: Duration::from_millis(200), ..Limits::default() };
    let platform = Platform::with(limits).await;
    let admin = platform.admin();
    let draft = json!({ "connector_type": "shop", "config": { "host": "slow", "password": "x" } });
    let answer = admin.post("/v1/workspace-connectors/test", draft).await;
    assert_eq!(answer.header("retry-after"), "1");
    answer.refused(503, "request.timed_out");
}

#[tokio::test]
async fn who_does_not_say_who_they_are_gets_in_nowhere() {
    let platform = Platform::start().await;
    for client in [
        platform.anybody(),
        platform.client("lsk_wrong"),
        platform.anybody().with("Authorization", "Basic YTpi"),
        platform.anybody().with("Authorization", "Bearer "),
        platform.anybody().with("Authorization", "Bearer é"),
    ] {
        let answer = client.get("/v1/connectors").await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        answer.refused(401, "request.unauthenticated");
        // Who is not let in is not told what a body should look like either.
        client.post("/v1/connectors", json!({})).await.refused(401, "request.unauthenticated");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_pointed_at_where_it_stands_and_said_in_plain_words() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let schedule = format!("/v1/workspace-connectors/{activation}/schedule");
    let never = json!({ "cron": "0 0 30 2 *", "mode": "full" });
    let text = json!({ "interval_secs": "hourly", "mode": "full" });
    let unknown = json!({ "interval_secs": 3600, "mode": "full", "colour": "red" });
    let short = json!({ "interval_secs": 59, "mode": "full" });
    let negative = json!({ "interval_secs": -60, "mode": "full" });
    let range = "must be a whole number from 60 to 31622400";
    for (attributes, member, says) in [
        (never, "/cron", ""),
        (text, "/interval_secs", range),
        (short, "/interval_secs", range),
        (negative, "/interval_secs", range),
        (unknown, "/colour", "does not exist"),
    ] {
        let flat = admin.put(&schedule, attributes.clone()).await.refused(422, "resource.invalid");
        assert_eq!(flat["source"]["pointer"], member);
        let enveloped = json!({ "data": { "type": "schedule", "attributes": attributes } });
        let enveloped = admin.put(&schedule, enveloped).await.refused(422, "resource.invalid");
        assert_eq!(enveloped["source"]["pointer"], format!("/data/attributes{member}"));
        for refused in [flat, enveloped] {
            let detail = refused["detail"].as_str().unwrap();
            assert!(detail.contains(says) && !detail.contains("u32"), "{detail}");
        }
    }
}
