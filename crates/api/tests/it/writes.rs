//! Writes: creation, change, deletion, and what keeps them from overwriting each other.

use serde_json::{Value, json};

use crate::platform::Platform;

fn document(kind: &str, id: &str, attributes: Value) -> Value {
    json!({ "data": { "type": kind, "id": id, "attributes": attributes } })
}

#[tokio::test]
async fn a_connector_lives_from_creation_to_purge() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let new = json!({ "data": { "type": "connector", "attributes": {
        "name": "Stripe", "provider": "well", "category_id": "finance", "service_id": "stripe", "connector_type": "shop",
        "auth_config": { "oauth_config": { "scopes": ["read"] } }, "supported_target_models": ["invoice"], "tags": ["b", "a"],
        "logo_url": "https://example.com/logo.svg", "version": "1.2.3", "data_domains": ["invoicing"],
    } } });
    let made = admin.post("/v1/connectors", new).await.expect(201);
    let place = made.header("location").to_owned();
    assert_eq!(made.body["links"]["self"], *place);
    assert_eq!(made.attributes()["status"], "unavailable");
    assert_eq!(made.attributes()["tags"], json!(["a", "b"]));
    let read = admin.get(&place).await.expect(200);
    assert_eq!(read.body["data"], made.body["data"]);
    assert_eq!(read.header("etag"), made.header("etag"));

    let id = made.body["data"]["id"].as_str().unwrap();
    let patch =
        document("connector", id, json!({ "status": "available", "version": null, "tags": [] }));
    let changed = admin.patch(&place, patch).await.expect(200);
    assert_eq!(changed.attributes()["status"], "available");
    assert!(changed.attributes()["version"].is_null());
    assert_eq!(changed.attributes()["name"], "Stripe", "what is left out stays");
    assert_ne!(changed.header("etag"), made.header("etag"));

    admin.post(&format!("{place}/restore"), json!({})).await.refused(409, "resource.not_deleted");
    admin.post(&format!("{place}/purge"), json!({})).await.refused(409, "resource.not_deleted");
    admin.delete(&place).await.expect(204);
    admin.get(&place).await.refused(404, "resource.not_found");
    admin.delete(&place).await.refused(404, "resource.not_found");
    let restored = admin.post(&format!("{place}/restore"), json!({})).await.expect(200);
    assert!(restored.attributes()["deleted_at"].is_null());
    admin.get(&place).await.expect(200);
    admin.delete(&place).await.expect(204);
    admin.send(poem::http::Method::POST, &format!("{place}/purge"), None).await.expect(204);
    admin.post(&format!("{place}/restore"), json!({})).await.refused(404, "resource.not_found");
}

#[tokio::test]
async fn a_write_of_what_changed_meanwhile_is_refused() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.connector("one").await;
    let path = format!("/v1/connectors/{id}");
    let stale = admin.get(&path).await.header("etag").to_owned();
    let note = |text: &str| document("connector", &id, json!({ "notes": text }));
    let fresh = admin.with("If-Match", &stale).patch(&path, note("first")).await.expect(200);
    admin
        .with("If-Match", &stale)
        .patch(&path, note("second"))
        .await
        .refused(412, "resource.stale");
    admin.with("If-Match", &stale).delete(&path).await.refused(412, "resource.stale");
    admin
        .with("If-Match", "\"foreign\"")
        .patch(&path, note("third"))
        .await
        .refused(412, "resource.stale");
    admin
        .with("If-Match", "no quotes")
        .patch(&path, note("third"))
        .await
        .refused(400, "request.invalid_header");
    assert_eq!(admin.get(&path).await.attributes()["notes"], "first");
    let both = format!("{stale}, {}", fresh.header("etag"));
    admin.with("If-Match", &both).patch(&path, note("fourth")).await.expect(200);
    admin.with("If-Match", "*").delete(&path).await.expect(204);
}

#[tokio::test]
async fn types_and_identifiers_must_agree() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.connector("one").await;
    let path = format!("/v1/connectors/{id}");
    let wrong = document("provider", &id, json!({}));
    assert_eq!(
        admin.patch(&path, wrong).await.refused(409, "resource.type_mismatch")["source"]["pointer"],
        "/data/type"
    );
    let other = document("connector", "00000000-0000-0000-0000-000000000001", json!({}));
    assert_eq!(
        admin.patch(&path, other).await.refused(409, "resource.type_mismatch")["source"]["pointer"],
        "/data/id"
    );
    let own = document("connector", &id, json!({ "name": "x" }));
    assert_eq!(
        admin.post("/v1/connectors", own).await.refused(403, "resource.client_id_forbidden")["source"]
            ["pointer"],
        "/data/id"
    );
    let linked = json!({ "data": { "type": "workspace_connector", "relationships": {
        "connector": { "data": { "type": "provider", "id": id } },
    } } });
    admin.post("/v1/workspace-connectors", linked).await.refused(409, "resource.type_mismatch");
}

#[tokio::test]
async fn what_is_wrong_is_pointed_at() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let connector = admin.connector("one").await;
    let entry = |change: Value| {
        let mut entry = json!({
            "name": "Stripe", "provider": "well", "category_id": "finance", "service_id": "s", "connector_type": "shop",
        });
        entry.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "data": { "type": "connector", "attributes": entry } })
    };
    for (change, pointer) in [
        (json!({ "name": "" }), "/data/attributes/name"),
        (json!({ "name": 7 }), "/data/attributes/name"),
        (json!({ "status": "perhaps" }), "/data/attributes/status"),
        (json!({ "auth_config": { "pkce": "S256" } }), "/data/attributes/auth_config/pkce"),
        (json!({ "authorization_flow": "oauth-dcr" }), "/data/attributes/auth_config"),
        (json!({ "logo_url": "no url" }), "/data/attributes/logo_url"),
        (json!({ "version": "one" }), "/data/attributes/version"),
        (json!({ "created_at": "2026-01-01T00:00:00Z" }), "/data/attributes/created_at"),
    ] {
        let error =
            admin.post("/v1/connectors", entry(change)).await.refused(422, "resource.invalid");
        assert_eq!(error["source"]["pointer"], pointer);
    }
    let activation = json!({ "connector_id": connector, "streams": [{}, { "stream": "a", "source": { "stream": "b" } }] });
    for (path, kind, attributes, pointer) in [
        ("connectors", "connector", json!({}), "name"),
        (
            "workspace-connectors",
            "workspace_connector",
            activation,
            "streams/1/source/workspace_connector_id",
        ),
    ] {
        let missing = json!({ "data": { "type": kind, "attributes": attributes } });
        let missing = admin.post(&format!("/v1/{path}"), missing).await;
        let missing = missing.refused(422, "resource.invalid");
        assert_eq!(missing["detail"], "is required");
        assert_eq!(missing["source"]["pointer"], format!("/data/attributes/{pointer}"));
    }
    let bare = admin.post("/v1/connectors", json!({ "data": {} })).await;
    let bare = bare.refused(400, "request.malformed");
    assert_eq!(
        (&bare["detail"], &bare["source"]["pointer"]),
        (&json!("is required"), &json!("/data/type"))
    );
    let taken = entry(json!({ "service_id": "one" }));
    admin.post("/v1/connectors", taken).await.refused(409, "resource.name_taken");

    let condition = json!({ "data": { "type": "connector_filter", "attributes": {
        "connector_id": connector, "config": { "total": { "_bigger": 5 } },
    } } });
    let error = admin
        .post("/v1/connector-filters", condition)
        .await
        .refused(422, "connector_filter.invalid_condition");
    assert!(error["source"]["pointer"].as_str().unwrap().starts_with("/data/attributes/config"));
    let both = json!({ "data": { "type": "connector_filter",
        "attributes": { "connector_id": connector, "config": {} },
        "relationships": { "connector": { "data": { "type": "connector", "id": platform.workspace.id } } },
    } });
    admin.post("/v1/connector-filters", both).await.refused(422, "resource.invalid");
    let unknown = json!({ "data": { "type": "connector", "id": connector, "relationships": {
        "owner": { "data": null },
    } } });
    admin
        .patch(&format!("/v1/connectors/{connector}"), unknown)
        .await
        .refused(422, "resource.invalid");
}

#[tokio::test]
async fn relationships_and_attributes_say_the_same() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let parent = platform.workspace.id.to_string();
    let child = json!({ "data": { "type": "workspace",
        "attributes": { "name": "Child", "slug": "child" },
        "relationships": { "parent": { "data": { "type": "workspace", "id": parent } } },
    } });
    let child = admin.post("/v1/workspaces?include=parent", child).await.expect(201);
    assert_eq!(child.attributes()["parent_id"], *parent);
    assert_eq!(child.body["included"][0]["id"], *parent);
    let id = child.body["data"]["id"].as_str().unwrap();
    let orphan = json!({ "data": { "type": "workspace", "id": id, "relationships": { "parent": { "data": null } } } });
    let orphan = admin.patch(&format!("/v1/workspaces/{id}"), orphan).await.expect(200);
    assert!(orphan.attributes()["parent_id"].is_null());

    let person = json!({ "data": { "type": "person",
        "attributes": { "name": "Ada", "email": "ada@example.com", "role": "designer" },
        "relationships": { "workspaces": { "data": [{ "type": "workspace", "id": id }] } },
    } });
    let person = admin.post("/v1/people?include=workspaces", person).await.expect(201);
    assert_eq!(person.attributes()["workspaces"], json!([id]));
    let missing = json!({ "data": { "type": "person", "attributes": {
        "name": "Bob", "email": "bob@example.com", "role": "designer", "workspaces": [uuid::Uuid::nil()],
    } } });
    admin.post("/v1/people", missing).await.refused(409, "resource.dangling");
}

#[tokio::test]
async fn every_kind_can_be_written_and_removed() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let connector = admin.connector("one").await;
    let provider =
        admin.make("/v1/providers", "provider", json!({ "name": "Acme", "slug": "acme" })).await;
    for (path, kind, new, patch) in [
        (
            "/v1/connector-filters",
            "connector_filter",
            json!({ "connector_id": connector, "config": {} }),
            json!({ "config": { "a": { "_eq": 1 } }, "natural_language": "a is one" }),
        ),
        (
            "/v1/providers",
            "provider",
            json!({ "name": "Other", "slug": "other", "blueprint": { "data": [] } }),
            json!({ "url": "https://example.com/", "category": "bank", "countries": ["DE"], "blueprint": null, "skill": "s" }),
        ),
        (
            "/v1/provider-connectors",
            "provider_connector",
            json!({ "provider_id": provider, "connector_id": connector }),
            json!({ "provider_id": provider }),
        ),
        (
            "/v1/workspaces",
            "workspace",
            json!({ "name": "Second", "slug": "second", "external_workspace_id": "x" }),
            json!({ "name": "Third", "external_workspace_id": null }),
        ),
        (
            "/v1/people",
            "person",
            json!({ "name": "Ada", "email": "ada@example.com", "role": "viewer" }),
            json!({ "role": "analyst", "workspaces": [platform.workspace.id] }),
        ),
    ] {
        let id = admin.make(path, kind, new).await;
        let place = format!("{path}/{id}");
        let changed = admin.patch(&place, document(kind, &id, patch.clone())).await.expect(200);
        for (name, value) in patch.as_object().unwrap() {
            assert_eq!(changed.attributes()[name], *value, "{kind} {name}");
        }
        assert_eq!(
            admin.get(&place).await.expect(200).body["data"],
            changed.body["data"],
            "{kind}"
        );
        admin.delete(&place).await.expect(204);
        admin.post(&format!("{place}/restore"), json!({})).await.expect(200);
        admin.delete(&place).await.expect(204);
        admin.post(&format!("{place}/purge"), json!({})).await.expect(204);
    }
}

#[tokio::test]
async fn a_key_is_shown_once_and_works_until_it_is_revoked() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let new = json!({ "data": { "type": "api_key", "attributes": {
        "name": "CI", "permissions": ["connector.read"], "expires_at": "2030-01-01T00:00:00Z",
    } } });
    let made = admin.post("/v1/api-keys", new).await.expect(201);
    let key = made.attributes()["key"].as_str().unwrap().to_owned();
    assert!(
        key.starts_with("lsk_") && key.starts_with(made.attributes()["prefix"].as_str().unwrap())
    );
    assert_eq!(made.attributes()["permissions"], json!(["connector:read"]));
    let place = made.header("location").to_owned();
    assert!(admin.get(&place).await.attributes()["key"].is_null());
    platform.client(&key).get("/v1/connectors").await.expect(200);
    admin.delete(&place).await.expect(204);
    platform.client(&key).get("/v1/connectors").await.refused(401, "request.unauthenticated");
}

#[tokio::test]
async fn nobody_locks_themself_out() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let own = admin.get("/v1/api-keys").await.body["data"][0]["id"].as_str().unwrap().to_owned();
    admin.delete(&format!("/v1/api-keys/{own}")).await.refused(409, "resource.dangling");
    admin.get("/v1/api-keys").await.expect(200);
}

#[tokio::test]
async fn what_was_done_is_in_the_audit_trail() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traced = admin.with("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    let id = traced.connector("one").await;
    let events = admin
        .get("/v1/audit-events?filter[action]=connector.created&include=workspace")
        .await
        .expect(200);
    let event = &events.body["data"][0];
    assert_eq!(event["attributes"]["resource_id"], *id);
    assert_eq!(event["attributes"]["trace_id"], trace);
    let path = event["links"]["self"].as_str().unwrap();
    admin.get(path).await.expect(200);
    admin.delete(path).await.expect(405);
}

#[tokio::test]
async fn a_workspace_has_one_live_filter_of_a_connector() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let (kind, all) = ("connector_filter", "/v1/connector-filters");
    for template in [true, false] {
        let connector = admin.connector(if template { "one" } else { "other" }).await;
        let new = json!({ "connector_id": connector, "template": template, "config": {} });
        let first = admin.make(all, kind, new.clone()).await;
        let again = json!({ "data": { "type": kind, "attributes": new } });
        let problem = admin.post(all, again).await.refused(409, "resource.name_taken");
        assert_eq!(problem["source"]["pointer"], "/data/attributes/connector_id");
        admin.delete(&format!("{all}/{first}")).await.expect(204);
        admin.make(all, kind, new).await;
        let back = admin.post(&format!("{all}/{first}/restore"), json!({})).await;
        back.refused(409, "resource.name_taken");
    }
}
