//! How filters are explained.

use poem::http::Method;
use serde_json::json;

use crate::platform::Platform;

#[tokio::test]
async fn a_filter_is_explained_stream_by_stream_and_part_by_part() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let uploading = admin.with("Content-Type", "text/csv");
    let rows = "id,name\n1,Ada\n2,Grace\n".to_owned();
    let file = uploading.send(Method::POST, "/v1/files?name=people.csv", Some(rows)).await;
    let path = file.expect(201).body["data"]["attributes"]["path"].clone();
    let connector = json!({
        "name": "Files", "provider": "well", "category_id": "files", "service_id": "files",
        "status": "available", "connector_type": "csv",
    });
    let connector = admin.make("/v1/connectors", "connector", connector).await;
    let activation =
        json!({ "connector_id": connector, "name": "People", "config": { "path": path } });
    let activation =
        admin.make("/v1/workspace-connectors", "workspace_connector", activation).await;
    let plan = format!("/v1/workspace-connectors/{activation}/filter-plan");
    let explained = admin.get(&plan).await.expect(200).body;
    assert_eq!(explained["data"], json!([]), "nothing is filtered without a filter");

    let config = json!({ "id": { "_gt": 1 }, "age": { "_eq": 3 } });
    let filter = json!({ "connector_id": connector, "template": true, "config": config });
    admin.make("/v1/connector-filters", "connector_filter", filter).await;
    let mut explained = admin.get(&plan).await.expect(200).body;
    let error = explained["data"][0]["attributes"]["error"].take();
    let error = error.as_str().unwrap();
    assert!(error.contains("age"), "no stream has it, and runs fail: {error}");
    let expected = json!({
        "stream": "people", "missing": ["age"], "error": null,
        "parts": [
            {
                "condition": { "id": { "_gt": 1 } }, "place": "here", "statement": null, "values": [],
                "held_back_by": [],
            },
            {
                "condition": { "age": { "_eq": 3 } }, "place": "nowhere", "statement": null, "values": [],
                "held_back_by": [],
            },
        ],
    });
    assert_eq!(explained["data"][0]["attributes"], expected);

    let config = json!({ "id": { "_like": "1%" } });
    let filter = json!({ "connector_id": connector, "template": false, "config": config });
    admin.make("/v1/connector-filters", "connector_filter", filter).await;
    let explained = admin.get(&plan).await.expect(200).body;
    let error = explained["data"][0]["attributes"]["error"].as_str().unwrap();
    assert!(error.contains("`_like` does not apply"), "{error}");
}
