//! Documents: fields, relationships, what comes along, entity tags.

use serde_json::{Value, json};

use crate::platform::Platform;

#[tokio::test]
async fn a_document_has_what_json_api_wants() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.connector("one").await;
    let answer = admin.get(&format!("/v1/connectors/{id}")).await.expect(200);
    assert_eq!(answer.body["jsonapi"], json!({ "version": "1.1" }));
    let place = format!("/v1/connectors/{id}");
    assert_eq!(answer.body["links"]["self"], place);
    assert_eq!(answer.body["data"]["links"]["self"], place);
    assert_eq!(answer.body["data"]["type"], "connector");
    assert_eq!(answer.attributes()["connector_id"], *id);
    assert_eq!(answer.attributes()["created_at"], answer.attributes()["updated_at"]);
    assert!(answer.attributes()["deleted_at"].is_null());
    assert_eq!(answer.header("content-type"), "application/vnd.api+json");
    assert_eq!(answer.header("vary"), "Accept, Accept-Encoding");
}

#[tokio::test]
async fn only_the_fields_that_are_wanted_are_sent() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.activation("one").await;
    let names = |it: &Value| it.as_object().map(|it| it.keys().cloned().collect::<Vec<_>>());
    let path =
        format!("/v1/workspace-connectors/{id}?fields[workspace_connector]=status,name,connector");
    let data = &admin.get(&path).await.expect(200).body["data"];
    assert_eq!(names(&data["attributes"]).unwrap(), ["name", "status"]);
    assert_eq!(names(&data["relationships"]).unwrap(), ["connector"]);

    let path = format!(
        "/v1/workspace-connectors/{id}?fields[workspace_connector]=&include=connector&fields[connector]=name"
    );
    let body = admin.get(&path).await.expect(200).body;
    assert_eq!(body["data"]["attributes"], json!({}));
    assert!(body["data"]["relationships"].is_null());
    assert_eq!(names(&body["included"][0]["attributes"]).unwrap(), ["name"]);
}

#[tokio::test]
async fn what_is_included_comes_once() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let connector = admin.connector("one").await;
    admin.activate(&connector, "first").await;
    admin.activate(&connector, "second").await;
    let path = "/v1/workspace-connectors?include=connector,workspace,person,connector_type,filter";
    let body = admin.get(path).await.expect(200).body;
    let kinds: Vec<_> = body["included"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["connector", "connector_type", "workspace"]);
    let without = admin.get("/v1/workspace-connectors").await.expect(200).body;
    assert!(without.get("included").is_none());
    let none = admin.get("/v1/workspace-connectors?include=person").await.expect(200).body;
    assert_eq!(none["included"], json!([]));
}

#[tokio::test]
async fn the_filter_of_an_activation_is_its_own_else_the_template() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let connector = admin.connector("one").await;
    let activation = admin.activate(&connector, "first").await;
    let path = format!("/v1/workspace-connectors/{activation}?include=filter");
    assert!(admin.get(&path).await.body["data"]["relationships"]["filter"]["data"].is_null());

    let filter = |template: bool| {
        json!({
            "connector_id": connector, "template": template, "config": { "total": { "_gt": 5 } },
        })
    };
    let template = admin.make("/v1/connector-filters", "connector_filter", filter(true)).await;
    let answer = admin.get(&path).await.expect(200);
    assert_eq!(answer.body["data"]["relationships"]["filter"]["data"]["id"], *template);
    assert_eq!(
        answer.body["included"][0]["attributes"]["config"],
        json!({ "total": { "_gt": 5 } })
    );

    let own = admin.make("/v1/connector-filters", "connector_filter", filter(false)).await;
    let answer = admin.get(&path).await.expect(200);
    assert_eq!(answer.body["data"]["relationships"]["filter"]["data"]["id"], *own);
    let listed = admin.get("/v1/workspace-connectors?include=filter").await.expect(200);
    assert_eq!(listed.body["included"][0]["id"], *own);
}

#[tokio::test]
async fn a_catalog_entry_brings_its_pairing_and_filters() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let connector = admin.connector("one").await;
    let provider = admin
        .make(
            "/v1/providers",
            "provider",
            json!({ "name": "Acme", "slug": "acme", "countries": ["FR"] }),
        )
        .await;
    let pairing = admin
        .post(
            "/v1/provider-connectors",
            json!({ "data": { "type": "provider_connector", "relationships": {
            "provider": { "data": { "type": "provider", "id": provider } },
            "connector": { "data": { "type": "connector", "id": connector } },
        } } }),
        )
        .await
        .expect(201);
    let pairing = pairing.body["data"]["id"].as_str().unwrap();
    let bare = admin.get(&format!("/v1/connectors/{connector}")).await;
    let related = bare.body["data"]["relationships"]["provider_connector"]["links"]["related"]
        .as_str()
        .unwrap();
    assert_eq!(admin.get(related).await.expect(200).body["data"][0]["id"], *pairing);

    let path = format!(
        "/v1/connectors/{connector}?include=provider_connector,connector_filters,connector_type"
    );
    let answer = admin.get(&path).await.expect(200);
    assert_eq!(answer.body["data"]["relationships"]["provider_connector"]["data"]["id"], *pairing);
    assert_eq!(answer.body["data"]["relationships"]["connector_filters"]["data"], json!([]));
    let provider = admin
        .get(&format!("/v1/providers/{provider}?include=provider_connectors"))
        .await
        .expect(200);
    assert_eq!(provider.body["included"][0]["id"], *pairing);
    let both = admin.get("/v1/provider-connectors?include=provider,connector").await.expect(200);
    assert_eq!(both.body["included"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_client_that_has_it_gets_304() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.connector("one").await;
    let path = format!("/v1/connectors/{id}");
    let first = admin.get(&path).await.expect(200);
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("\"1-") && !tag.starts_with("W/"), "{tag}");
    let again = admin.with("If-None-Match", &tag).get(&path).await.expect(304);
    assert!(again.text.is_empty());
    assert_eq!(again.header("etag"), tag);
    // Another representation has another tag.
    let other = admin
        .with("If-None-Match", &tag)
        .get(&format!("{path}?fields[connector]=name"))
        .await
        .expect(200);
    assert_ne!(other.header("etag"), tag);
    let patch =
        json!({ "data": { "type": "connector", "id": id, "attributes": { "notes": "new" } } });
    admin.patch(&path, patch).await.expect(200);
    admin.with("If-None-Match", &tag).get(&path).await.expect(200);
}

#[tokio::test]
async fn compressed_representations_have_tags_of_their_own() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.connector("one").await;
    let path = format!("/v1/connectors/{id}");
    let plain = admin.get(&path).await.header("etag").to_owned();
    let request = poem::Request::builder()
        .uri_str(&path)
        .header("Authorization", format!("Bearer {}", crate::platform::ADMIN))
        .header("Accept-Encoding", "gzip")
        .finish();
    let response = platform.raw(request).await;
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(tag, format!("{};gzip\"", plain.strip_suffix('"').unwrap()));
    admin.with("If-None-Match", &tag).get(&path).await.expect(304);
    admin.with("If-Match", &tag).delete(&path).await.expect(204);
}
