//! Uploads: from the client to a connector that reads them.

use std::{fs, io, path::Path};

use futures_util::stream;
use poem::{
    Body, Request,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};

use crate::{
    composition::UPLOAD_BYTES,
    platform::{ADMIN, Client, Platform, STRANGER},
};

const PEOPLE: &str = "id,name\n1,Ada\n2,Grace\n";

async fn upload(client: &Client<'_>, name: &str, text: &str) -> Value {
    let client = client.with("Content-Type", "text/csv");
    let path = format!("/v1/files?name={name}");
    let answer = client.send(Method::POST, &path, Some(text.to_owned())).await;
    answer.expect(201).body["data"].clone()
}

/// What a csv connector finds at `path`, with settings that are only tried.
async fn check(client: &Client<'_>, path: &Value) -> Value {
    let draft = json!({ "connector_type": "csv", "config": { "path": path } });
    client.post("/v1/workspace-connectors/test", draft).await.expect(200).body
}

/// All files that lie in the data folder, wherever.
fn lying(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    entries.map(|it| if it.is_dir() { lying(&it) } else { 1 }).sum()
}

#[tokio::test]
async fn an_uploaded_file_is_what_a_csv_activation_reads() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let made = upload(&admin, "people.csv", PEOPLE).await;
    let attributes = &made["attributes"];
    assert_eq!(attributes["name"], "people.csv");
    assert_eq!(attributes["bytes"], PEOPLE.len());
    let sha256 = "9141c69637e955662df54df4b8aa9b41149de2fd7b19b532ec142ef114049619";
    assert_eq!(attributes["sha256"], sha256);
    let found = check(&admin, &attributes["path"]).await;
    assert_eq!(found["message"], "found `people` with 2 columns");

    let connector = admin.make(
        "/v1/connectors",
        "connector",
        json!({
            "name": "Files", "provider": "well", "category_id": "files", "service_id": "files",
            "status": "available", "connector_type": "csv",
        }),
    );
    let connector = connector.await;
    let activation = admin.make(
        "/v1/workspace-connectors",
        "workspace_connector",
        json!({
            "connector_id": connector, "name": "People", "config": { "path": attributes["path"] },
        }),
    );
    let activation = activation.await;
    let at = |what: &str| format!("/v1/workspace-connectors/{activation}/{what}");
    let tested = admin.post(&at("test"), json!({})).await.expect(200).body;
    assert_eq!(tested["ok"], true, "{tested}");
    let models = admin.get(&at("models")).await.expect(200).body;
    assert_eq!(models["data"][0]["attributes"]["name"], "people");

    let id = made["id"].as_str().unwrap();
    admin.delete(&format!("/v1/files/{id}")).await.expect(204);
    admin.get(&at("models")).await.expect(424);
    let tested = admin.post(&at("test"), json!({})).await.expect(200).body;
    assert_eq!(tested["ok"], false, "{tested}");
}

#[tokio::test]
async fn files_are_listed_and_a_deleted_one_leaves_no_bytes_but_a_trace() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let first = upload(&admin, "a.csv", "a\n1\n").await;
    // Two files may have one name, and keep apart.
    let second = upload(&admin, "a.csv", "b\n2\n").await;
    assert_ne!(first["attributes"]["path"], second["attributes"]["path"]);
    upload(&admin, "Zahlen%20%C3%BC.csv", "").await;
    let list = admin.get("/v1/files?sort=-created_at&filter[name]=a.csv").await.expect(200).body;
    assert_eq!(list["meta"]["page"]["total"], 2);
    assert_eq!(list["data"][0]["id"], second["id"]);

    let folder = platform.home.path().join("files");
    assert_eq!(lying(&folder), 3);
    let place = format!("/v1/files/{}", first["id"].as_str().unwrap());
    admin.get(&place).await.expect(200);
    admin.delete(&place).await.expect(204);
    assert_eq!(lying(&folder), 2);
    admin.get(&place).await.expect(404);
    admin.delete(&place).await.expect(404);
    let trail = admin.get("/v1/audit-events?filter[resource_type]=file&sort=created_at").await;
    let trail = trail.expect(200).body;
    let actions: Vec<_> =
        trail["data"].as_array().unwrap().iter().map(|it| &it["attributes"]["action"]).collect();
    assert_eq!(actions, ["file.created", "file.created", "file.created", "file.deleted"]);
}

#[tokio::test]
async fn files_of_one_workspace_are_not_there_for_another() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let made = upload(&admin, "people.csv", PEOPLE).await;
    let place = format!("/v1/files/{}", made["id"].as_str().unwrap());
    let path = &made["attributes"]["path"];
    let whole = format!("{}/{}", platform.workspace.id, path.as_str().unwrap());
    let absolute = platform.home.path().canonicalize().unwrap().join("files").join(&whole);

    let sibling = json!({ "name": "Other", "slug": "other" });
    admin.make("/v1/workspaces", "workspace", sibling).await;
    for other in [platform.client(STRANGER), admin.with("Linkspan-Workspace", "other")] {
        other.get(&place).await.expect(404);
        other.delete(&place).await.expect(404);
        assert_eq!(other.get("/v1/files").await.expect(200).body["meta"]["page"]["total"], 0);
        for path in [path, &json!(whole), &json!(absolute), &json!(format!("../{whole}"))] {
            let found = check(&other, path).await;
            assert_eq!(found["ok"], false, "{path}: {found}");
        }
    }
    assert_eq!(check(&admin, &json!(absolute)).await["ok"], true);
    // A workspace above sees that it is there, and leaves it alone.
    let child = json!({ "name": "Child", "slug": "child", "parent_id": platform.workspace.id });
    admin.make("/v1/workspaces", "workspace", child).await;
    let below = upload(&admin.with("Linkspan-Workspace", "child"), "b.csv", "b\n").await;
    let place = format!("/v1/files/{}", below["id"].as_str().unwrap());
    admin.get(&place).await.expect(200);
    admin.delete(&place).await.refused(403, "permission.denied");
    assert_eq!(check(&admin, &below["attributes"]["path"]).await["ok"], false);
}

#[tokio::test]
async fn a_purged_workspace_leaves_no_files() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.make("/v1/workspaces", "workspace", json!({ "name": "Gone", "slug": "gone" }));
    let id = id.await;
    upload(&admin, "kept.csv", "a\n").await;
    upload(&admin.with("Linkspan-Workspace", "gone"), "gone.csv", "a\n").await;
    let folder = platform.home.path().join("files");
    assert_eq!(lying(&folder), 2);
    admin.delete(&format!("/v1/workspaces/{id}")).await.expect(204);
    assert_eq!(lying(&folder), 2, "it can be restored");
    admin.post(&format!("/v1/workspaces/{id}/purge"), json!({})).await.expect(204);
    assert_eq!(lying(&folder), 1);
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_and_leaves_nothing_behind() {
    let platform = Platform::start().await;
    let admin = platform.admin().with("Content-Type", "application/octet-stream");
    let limit = usize::try_from(UPLOAD_BYTES).unwrap();
    let place = "/v1/files?name=a.csv";
    admin.send(Method::POST, place, Some("x".repeat(limit))).await.expect(201);
    let refused = admin.send(Method::POST, place, Some("x".repeat(limit + 1))).await;
    refused.refused(413, "request.too_large");
    // One that does not say how long it is, and one that breaks off.
    let piece = || Ok::<_, io::Error>("x".repeat(1_000));
    let endless = Body::from_bytes_stream(stream::repeat_with(piece));
    let broken = [piece(), Err(io::Error::other("gone"))];
    let broken = Body::from_bytes_stream(stream::iter(broken));
    for (body, status) in [(endless, 413), (broken, 400)] {
        let request = Request::builder().method(Method::POST).uri_str(place);
        let request = request
            .header("Authorization", format!("Bearer {ADMIN}"))
            .header("Content-Type", "text/csv");
        let answer = platform.raw(request.body(body)).await;
        assert_eq!(answer.status(), StatusCode::from_u16(status).unwrap());
    }
    assert_eq!(lying(&platform.home.path().join("files")), 1);
    assert_eq!(admin.get("/v1/files").await.expect(200).body["meta"]["page"]["total"], 1);
}

#[tokio::test]
async fn what_is_no_plain_file_name_is_refused() {
    let platform = Platform::start().await;
    let admin = platform.admin().with("Content-Type", "text/csv");
    let long = "x".repeat(201);
    for name in
        ["", "..", ".hidden", "..%2Fa.csv", "a%2Fb.csv", "a%5Cb.csv", "a%0Ab", "a%00b", &long]
    {
        let path = format!("/v1/files?name={name}");
        let answer = admin.send(Method::POST, &path, Some("a\n".to_owned())).await;
        answer.refused(400, "request.invalid_parameter");
    }
    for path in ["/v1/files", "/v1/files?name=a.csv&colour=red"] {
        let answer = admin.send(Method::POST, path, Some("a\n".to_owned())).await;
        answer.refused(400, "request.invalid_parameter");
    }
    for media_type in ["application/json", "multipart/form-data; boundary=x", "image/png"] {
        let client = admin.with("Content-Type", media_type);
        let answer = client.send(Method::POST, "/v1/files?name=a", Some("a".to_owned())).await;
        answer.refused(415, "request.unsupported_media_type");
    }
    assert_eq!(lying(&platform.home.path().join("files")), 0);
}

#[tokio::test]
async fn an_upload_that_is_sent_again_makes_one_file() {
    let platform = Platform::start().await;
    let admin = platform.admin().with("Idempotency-Key", "once");
    let first = upload(&admin, "a.csv", "a\n1\n").await;
    let again = upload(&admin, "a.csv", "a\n1\n").await;
    assert_eq!(first["id"], again["id"]);
    let other = admin.with("Content-Type", "text/csv");
    let other = other.send(Method::POST, "/v1/files?name=a.csv", Some("b\n".to_owned())).await;
    other.refused(422, "idempotency.mismatch");
    assert_eq!(lying(&platform.home.path().join("files")), 1);
}
