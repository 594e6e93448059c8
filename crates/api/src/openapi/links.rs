//! Where one operation leads to another: what was made can be read, changed and deleted.

use serde_json::{Map, Value, json};

/// Where the identifier of a thing stands in the answer that made it.
const ID: &str = "$response.body#/data/id";

/// Where what is made does not live below where it is made.
const ELSEWHERE: [(&str, &str); 2] = [
    ("/v1/workspace-connectors/{id}/syncs", "/v1/workspace-connector-sync-logs/{id}"),
    ("/v1/workspace-connectors/bootstrap", "/v1/workspace-connectors/{id}"),
];

/// Links what makes a thing to the operations on that thing.
pub(super) fn add(document: &mut Value) {
    let Some(paths) = document["paths"].as_object_mut() else { return };
    let made: Vec<_> = paths.keys().map(|path| (path.clone(), operations(paths, path))).collect();
    for (path, links) in made {
        let post = paths.get_mut(&path).and_then(|it| it.get_mut("post"));
        let responses = post.and_then(|it| it.get_mut("responses")?.as_object_mut());
        for (status, response) in responses.into_iter().flatten() {
            if ["201", "202"].contains(&status.as_str()) && !links.is_empty() {
                response["links"] = links.clone().into();
            }
        }
    }
}

/// Links to the operations on what is made at `path`.
fn operations(paths: &Map<String, Value>, path: &str) -> Map<String, Value> {
    let elsewhere = ELSEWHERE.iter().find(|(made, _)| *made == path);
    let thing = elsewhere.map_or_else(|| format!("{path}/{{id}}"), |(_, it)| (*it).to_owned());
    let below = paths.iter().filter(|(it, _)| {
        it.strip_prefix(&thing).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let operations = below.filter_map(|(_, methods)| methods.as_object()).flat_map(Map::values);
    let names = operations.filter_map(|it| it["operationId"].as_str());
    names
        .map(|it| (it.to_owned(), json!({ "operationId": it, "parameters": { "id": ID } })))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_leads_to_what_can_be_done_with_it() {
        let document: Value = serde_json::from_str(&crate::openapi()).unwrap();
        let links = |path: &str, status: &str| {
            let links = document["paths"][path]["post"]["responses"][status]["links"].clone();
            serde_json::from_value::<Map<String, Value>>(links).unwrap()
        };
        let provider = links("/v1/providers", "201");
        let names: Vec<_> = provider.keys().map(String::as_str).collect();
        let all =
            ["get", "update", "delete", "restore", "purge"].map(|it| format!("{it}_provider"));
        assert!(names.len() == 5 && all.iter().all(|it| names.contains(&it.as_str())), "{names:?}");
        let run = links("/v1/workspace-connectors/{id}/syncs", "202");
        let follow = json!({
            "operationId": "get_workspace_connector_sync_log",
            "parameters": { "id": "$response.body#/data/id" },
        });
        assert_eq!(run["get_workspace_connector_sync_log"], follow);
        for operation in document["paths"].as_object().unwrap().values() {
            for operation in operation.as_object().unwrap().values() {
                assert!(operation["operationId"].is_string(), "{operation}");
            }
        }
    }
}
