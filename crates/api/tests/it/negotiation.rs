//! What is sent and taken as what.

use poem::http::Method;
use serde_json::json;

use crate::{contract::JSON_API, platform::Platform};

#[tokio::test]
async fn documents_come_as_the_client_wants_them() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    for (accept, status, content_type) in [
        ("*/*", 200, JSON_API),
        (JSON_API, 200, JSON_API),
        ("application/vnd.api+json;profile=\"https://example.com/p\"", 200, JSON_API),
        ("application/json", 200, "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", 200, JSON_API),
        ("application/vnd.api+json;ext=\"https://jsonapi.org/ext/atomic\"", 406, JSON_API),
        ("application/vnd.api+json;charset=utf-8", 406, JSON_API),
        ("text/csv", 406, JSON_API),
        ("application/problem+json", 406, "application/problem+json"),
    ] {
        let answer = admin.with("Accept", accept).get("/v1/connectors").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, content_type),
            "{accept}"
        );
    }
}

#[tokio::test]
async fn errors_come_as_the_client_wants_them() {
    let platform = Platform::start().await;
    let admin = platform.admin().with("X-Request-Id", "order-7");
    let path = "/v1/connectors/00000000-0000-0000-0000-000000000000";
    let errors = admin.get(path).await;
    assert_eq!(errors.header("x-request-id"), "order-7");
    let error = errors.refused(404, "resource.not_found");
    assert_eq!((&error["id"], &error["status"]), (&json!("order-7"), &json!("404")));
    assert_eq!(error["links"]["type"], "urn:linkspan:problem:resource.not_found");

    let problem = admin
        .with("Accept", "application/json, application/problem+json")
        .get(path)
        .await
        .expect(404);
    assert_eq!(problem.header("content-type"), "application/problem+json");
    assert_eq!(problem.body["code"], "resource.not_found");
    assert_eq!(problem.body["status"], 404);
    assert_eq!(problem.body["trace_id"], "order-7");
    let plain = admin.with("Accept", "application/json").get(path).await;
    assert_eq!(plain.header("content-type"), "application/json");
    plain.refused(404, "resource.not_found");
    let wrong = admin
        .with("Accept", "application/problem+json, application/json")
        .get("/v1/connectors?sort=x")
        .await;
    assert_eq!(wrong.body["errors"], json!([{ "parameter": "sort" }]));
}

#[tokio::test]
async fn bodies_are_taken_as_json_api_or_json() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let body = |slug: &str| json!({ "data": { "type": "provider", "attributes": { "name": "A", "slug": slug } } });
    for (content_type, status) in [
        (JSON_API, 201),
        ("application/vnd.api+json; profile=\"https://example.com/p\"", 201),
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("application/vnd.api+json; charset=utf-8", 415),
        ("application/vnd.api+json; ext=\"https://jsonapi.org/ext/atomic\"", 415),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
    ] {
        let slug = content_type.replace(|it: char| !it.is_ascii_lowercase(), "-");
        let answer =
            admin.with("Content-Type", content_type).post("/v1/providers", body(&slug)).await;
        assert_eq!(answer.status, status, "{content_type}: {}", answer.text);
    }
    let bare = admin.send(Method::POST, "/v1/providers", Some(body("bare").to_string())).await;
    assert_eq!(
        bare.refused(415, "request.unsupported_media_type")["source"]["header"],
        "Content-Type"
    );
}

#[tokio::test]
async fn the_pages_for_operators_and_readers_are_open() {
    let platform = Platform::start().await;
    let anybody = platform.anybody().with("Accept", "text/html");
    assert_eq!(anybody.get("/healthz").await.expect(200).body["status"], "ok");
    assert_eq!(anybody.get("/readyz").await.expect(200).body["status"], "ok");
    assert_eq!(anybody.get("/metrics").await.expect(200).text, "linkspan_up 1\n");
    let document = anybody.get("/openapi.json").await.expect(200);
    assert_eq!(document.body["info"]["title"], "Linkspan");
    let docs = anybody.get("/docs").await.expect(200);
    assert!(docs.header("content-type").starts_with("text/html"));
    for loaded in ["src=\"http", "href=\"http", "src='http", "url(http"] {
        assert!(!docs.text.contains(loaded), "the page loads something from elsewhere");
    }
    platform.database.close().await;
    anybody.get("/readyz").await.expect(503);
    anybody.get("/healthz").await.expect(200);
    platform.admin().get("/v1/connectors").await.refused(503, "platform.unavailable");
}
