//! A planted secret is found nowhere: not in the database, not in the log, not in an answer.

use std::{fmt::Write, fs, path::Path};

use linkspan_domain::{
    Secret,
    ports::{Outbound, OutboundBody, OutboundRequest},
};
use linkspan_egress::{EgressPolicy, GuardedClient};
use linkspan_testkit::TestPostgres;
use serde_json::{Value, json};

use crate::program::{ADMIN_KEY, Program};

const PLANTED: &str = "pl4nted-s3cret-0123456789";

/// Speaks to the server, and keeps every answer.
pub(crate) struct Api {
    base: String,
    key: Secret<String>,
    client: GuardedClient,
    answers: String,
}

impl Api {
    pub(crate) fn new(address: &str) -> Self {
        Self::with_key(address, ADMIN_KEY)
    }

    pub(crate) fn with_key(address: &str, key: &str) -> Self {
        // The first of the test process to need it; another test may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let loopback = EgressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let client = GuardedClient::new(loopback).unwrap();
        let key = Secret::new(format!("Bearer {key}"));
        Self { base: format!("http://{address}"), key, client, answers: String::new() }
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.base).parse().unwrap();
        let mut request = OutboundRequest::new(method.parse().unwrap(), url);
        request.headers.insert("authorization", self.key.expose().parse().unwrap());
        request.headers.insert("content-type", "application/vnd.api+json".parse().unwrap());
        if let Some(body) = body {
            request.body = OutboundBody::Bytes(body.to_string().into());
        }
        let response = self.client.send(request).await.unwrap();
        writeln!(self.answers, "{method} {path} {} {:?}", response.status, response.headers)
            .unwrap();
        let bytes = response.bytes().await.unwrap();
        self.answers += &String::from_utf8_lossy(&bytes);
        serde_json::from_slice(&bytes).unwrap_or_default()
    }
}

fn activation(connector: &Value, name: &str, config: &Value) -> Value {
    json!({ "data": {
        "type": "workspace_connector",
        "attributes": { "name": name, "config": config },
        "relationships": { "connector": { "data": { "type": "connector", "id": connector } } },
    } })
}

/// Everything that the API does with an activation's secrets, some of it wrong.
async fn use_secrets(api: &mut Api) {
    let found = api.send("GET", "/v1/connectors?filter[service_id]=http", None).await;
    let http = found["data"][0]["id"].clone();
    let found = api.send("GET", "/v1/connectors?filter[service_id]=postgresql", None).await;
    let postgresql = found["data"][0]["id"].clone();
    let bearer = json!({ "base_url": "https://api.example.com", "auth": { "type": "bearer", "token": PLANTED } });
    let made = api
        .send("POST", "/v1/workspace-connectors", Some(activation(&http, "planted", &bearer)))
        .await;
    assert_eq!(made["data"]["attributes"]["config"]["auth"]["token"], "••••••••", "{made}");
    let id = made["data"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/workspace-connectors/{id}");
    let text = format!("postgresql://ann:{PLANTED}@127.0.0.1:1/nothing");
    let database = json!({ "connection_string": text });
    let second = api
        .send(
            "POST",
            "/v1/workspace-connectors",
            Some(activation(&postgresql, "database", &database)),
        )
        .await;
    let second = format!("/v1/workspace-connectors/{}", second["data"]["id"].as_str().unwrap());

    // Right, and wrong in every way that could make somebody quote the secret.
    api.send("POST", "/v1/workspace-connectors", Some(activation(&http, "planted", &bearer))).await;
    for config in [
        json!({ "base_url": PLANTED, "auth": { "type": "bearer", "token": [PLANTED] } }),
        json!({ "base_url": "https://x", "api_key": PLANTED }),
        json!({ "base_url": "https://x", "auth": { "type": PLANTED, "token": PLANTED } }),
        json!(PLANTED),
    ] {
        api.send("POST", "/v1/workspace-connectors", Some(activation(&http, "other", &config)))
            .await;
    }
    for target in [&path, &second] {
        api.send("GET", &format!("{target}?include=connector,workspace"), None).await;
        api.send("POST", &format!("{target}/test"), Some(json!({}))).await;
        api.send("GET", &format!("{target}/models"), None).await;
        api.send(
            "POST",
            &format!("{target}/syncs"),
            Some(json!({ "data": { "type": "workspace_connector_sync_log", "attributes": {} } })),
        )
        .await;
        let masked = json!({ "data": { "type": "workspace_connector", "id": target.rsplit('/').next(), "attributes": { "config": {
            "auth": { "type": "bearer", "token": "••••••••" } } } } });
        api.send("PATCH", target, Some(masked)).await;
    }
    rotate_secrets(api, &path).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    for path in [
        "/v1/workspace-connectors",
        "/v1/workspace-connector-sync-logs",
        "/v1/audit-events?page[size]=100",
        "/v1/connector-types",
        "/metrics",
        "/openapi.json",
        "/v1/api-keys",
    ] {
        api.send("GET", path, None).await;
    }
    api.send("DELETE", &path, None).await;
    api.send("POST", &format!("{path}/restore"), Some(json!({}))).await;
}

/// Rotates the token of the activation at `path`, rightly and wrongly, and looks at what is kept of it.
async fn rotate_secrets(api: &mut Api, path: &str) {
    let fresh = format!("{PLANTED}-fresh");
    for force in [false, true] {
        let config = json!({ "auth": { "token": fresh } });
        let body = json!({ "config": config, "reason": fresh, "force_save": force });
        api.send("POST", &format!("{path}/rotate"), Some(body)).await;
    }
    for config in [json!({ "auth": { "token": [PLANTED] } }), json!({ "api_key": PLANTED })] {
        api.send("POST", &format!("{path}/rotate"), Some(json!({ "config": config }))).await;
    }
    let kept = api.send("GET", &format!("{path}/secret-history?sort=number"), None).await;
    assert_eq!(kept["data"][1]["attributes"]["test_status"], "failed", "{kept}");
    let first = kept["data"][0]["id"].as_str().unwrap();
    api.send("POST", &format!("{path}/rollback/{first}"), Some(json!({ "reason": PLANTED }))).await;
    api.send("POST", &format!("{path}/secret-history/{first}/revoke"), None).await;
}

fn assert_absent(secret: &str, what: &str, bytes: &[u8]) {
    let found = bytes.windows(secret.len()).position(|it| it == secret.as_bytes());
    let around =
        found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(300)..at]).into_owned());
    assert_eq!(around, None, "the planted secret is in {what}, behind this");
}

pub(crate) fn assert_absent_in_files(secret: &str, folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_absent_in_files(secret, &path);
        } else {
            assert_absent(secret, &path.display().to_string(), &fs::read(&path).unwrap());
        }
    }
}

#[tokio::test]
async fn with_sqlite_it_is_in_no_file_and_no_answer() {
    let program = Program::new();
    let served = program.serve();
    let mut api = Api::new(&served.address);
    use_secrets(&mut api).await;
    assert_absent(PLANTED, "an answer", api.answers.as_bytes());
    // While the server runs, what is not yet folded into the database is in files beside it.
    assert_absent_in_files(PLANTED, program.path());
    assert_eq!(served.stop(), 0);
    assert_absent_in_files(PLANTED, program.path());
}

#[tokio::test]
async fn with_postgresql_it_is_in_no_table_and_no_answer() {
    let store = TestPostgres::create().await;
    let program = Program::new().with("LINKSPAN_DATABASE_URL", &store.url());
    let served = program.serve();
    let mut api = Api::new(&served.address);
    use_secrets(&mut api).await;
    assert_absent(PLANTED, "an answer", api.answers.as_bytes());
    assert_eq!(served.stop(), 0);
    assert_absent_in_files(PLANTED, program.path());
    let dump = std::process::Command::new("pg_dump").arg(store.url()).output().unwrap();
    assert!(
        dump.status.success() && dump.stdout.len() > 100_000,
        "the whole database is looked at"
    );
    assert_absent(PLANTED, "the database", &dump.stdout);
    store.remove().await;
}
