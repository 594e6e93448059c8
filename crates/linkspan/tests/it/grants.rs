//! Activations that say who they are with a grant or a digest, from outside: an authorization server of others, and a receiver
//! that lets nobody else in.

use std::{collections::BTreeSet, fs, time::Duration};

use http::{
    Method,
    header::{COOKIE, LOCATION, SET_COOKIE},
};
use linkspan_domain::ports::{Outbound, OutboundRequest, Redirects};
use linkspan_egress::{EgressPolicy, GuardedClient};
use linkspan_testkit::{ForeignServer, browse, client_keys::P256};
use serde_json::{Value, json};
use url::Url;

use crate::{
    program::{ADMIN_KEY, Program, Ran, Served},
    secrecy::{Api, assert_absent_in_files},
};

/// Where providers send people back to. Nobody listens there: the test takes them on to the server.
const PUBLIC: &str = "http://127.0.0.1:7777";

/// How long an access token lives, in seconds. It is exchanged after half of that.
const LIFE: u64 = 6;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A platform with the records of a file, and a receiver that they are pushed to.
struct Stage {
    program: Program,
    served: Served,
    remote: Program,
    receiver: ForeignServer,
    source: Value,
}

fn suite(script: &str, arguments: &[&str]) -> ForeignServer {
    ForeignServer::start(env!("CARGO_TARGET_TMPDIR"), script, arguments)
}

impl Stage {
    async fn open(receiver: ForeignServer) -> Self {
        let program = Program::new();
        let files = program.path().join("files");
        fs::create_dir(&files).unwrap();
        fs::write(files.join("people.csv"), "id,name\n1,Ada\n").unwrap();
        let program = program
            .with("LINKSPAN_EGRESS_ALLOW", "127.0.0.0/8")
            .with("LINKSPAN_PUBLIC_URL", PUBLIC)
            .with("LINKSPAN_FILE_ROOTS", files.to_str().unwrap());
        let served = program.serve();
        let remote = Program::new()
            .with("LINKSPAN_URL", &format!("http://{}", served.address))
            .with("LINKSPAN_API_KEY", ADMIN_KEY)
            .with("SIGNING", SECRET)
            .with("CLIENT_SECRET", "s3cret /%: of a machine")
            .with("PASSWORD", "s3cret")
            .with("WRONG", "s3cr3t");
        let mut api = Api::new(&served.address);
        let found = api.send("GET", "/v1/connectors?filter[connector_type]=csv", None).await;
        let people = json!({ "data": {
            "type": "workspace_connector",
            "attributes": {
                "name": "people",
                "config": { "path": files.join("people.csv") },
                "streams": [{ "primary_key": ["id"] }],
            },
            "relationships": { "connector": { "data": {
                "type": "connector", "id": found["data"][0]["id"],
            } } },
        } });
        let made = api.send("POST", "/v1/workspace-connectors", Some(people)).await;
        let source = made["data"]["id"].clone();
        assert!(source.is_string(), "{made}");
        remote.json(&["sync", "people", "--full"]);
        Self { program, served, remote, receiver, source }
    }

    /// Puts a connector of `kind` into the catalog, called like its service.
    async fn list(&self, service: &str, kind: &str, flow: &str, auth_config: Value) {
        let direction = if kind == "webhook" { "output" } else { "input" };
        let mut entry = json!({
            "name": service, "provider": "well", "category_id": "api", "service_id": service,
            "status": "available", "direction": direction, "transport": "api",
            "authorization_flow": flow, "connector_type": kind,
        });
        if !auth_config.is_null() {
            entry["auth_config"] = auth_config;
        }
        let body = json!({ "data": { "type": "connector", "attributes": entry } });
        let made = Api::new(&self.served.address).send("POST", "/v1/connectors", Some(body)).await;
        assert!(made["data"]["id"].is_string(), "{made}");
    }

    /// Activates `service` under the name `out`, which posts to `path` of the receiver and is to push the people.
    async fn connect(&self, service: &str, path: &str) {
        let url = format!("url={}{path}", self.receiver.origin);
        let connect = ["connect", service, "--name", "out", "--set", &url];
        self.remote.json(&[&connect[..], &["--set-env", "secret=SIGNING"]].concat());
        let mut api = Api::new(&self.served.address);
        let id = self.show()["id"].as_str().unwrap().to_owned();
        let source = json!({ "workspace_connector_id": self.source, "stream": "people" });
        let streams = json!([{ "stream": "people", "source": source }]);
        let body = json!({ "data": {
            "type": "workspace_connector", "id": id, "attributes": { "streams": streams },
        } });
        let path = format!("/v1/workspace-connectors/{id}");
        let changed = api.send("PATCH", &path, Some(body)).await;
        assert!(changed["data"]["id"].is_string(), "{changed}");
    }

    fn show(&self) -> Value {
        self.remote.json(&["activations", "show", "out"])
    }

    fn status(&self) -> String {
        self.show()["status"].as_str().unwrap().to_owned()
    }

    /// Has a person agree at the provider, and come back.
    async fn agree(&self, scopes: &[&str]) {
        let link = self.remote.json(&[&["authorize", "out"][..], scopes].concat());
        let loopback = EgressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let browser = GuardedClient::new(loopback).unwrap();
        let here = |url: &str| -> Url {
            let path = url.strip_prefix(PUBLIC).unwrap();
            format!("http://{}{path}", self.served.address).parse().unwrap()
        };
        let get = async |url: Url, cookie: &str| {
            let mut request = OutboundRequest::new(Method::GET, url);
            request.redirects = Redirects::HandBack;
            request.headers.insert(COOKIE, cookie.parse().unwrap());
            browser.send(request).await.unwrap()
        };
        let sent = get(here(link["url"].as_str().unwrap()), "").await;
        let header = |name| sent.headers.get(name).unwrap().to_str().unwrap();
        let cookie = header(SET_COOKIE).split(';').next().unwrap();
        let back = browse(&browser, header(LOCATION).parse().unwrap(), PUBLIC).await;
        assert_eq!(get(here(back.as_str()), cookie).await.status, 200);
    }

    /// Another person is there, and everything is brought in.
    fn add(&self, id: u32) {
        let file = self.program.path().join("files/people.csv");
        let before = fs::read_to_string(&file).unwrap();
        fs::write(file, format!("{before}{id},Somebody\n")).unwrap();
        self.remote.json(&["sync", "people", "--full"]);
    }

    fn push(&self) -> Ran {
        self.remote.run(&["sync", "out", "--incremental", "--json"])
    }

    /// Pushes so many records. Answers the token that the last message carried.
    async fn pushes(&self, written: u64) -> String {
        let ran = self.push();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(ran.last_line()["written"], written, "{}", ran.stdout);
        self.seen().await.last().unwrap()["credentials"].as_str().unwrap().to_owned()
    }

    /// What the receiver saw.
    async fn seen(&self) -> Vec<Value> {
        let address = self.receiver.origin.strip_prefix("http://").unwrap();
        let seen = Api::new(address).send("GET", "/seen", None).await;
        seen.as_array().unwrap().clone()
    }

    /// The numbers of the people who arrived.
    async fn arrived(&self) -> BTreeSet<i64> {
        let mut arrived = BTreeSet::new();
        for it in self.seen().await {
            if it["method"] == "POST" && it["status"] == 204 {
                let message: Value = serde_json::from_str(it["body"].as_str().unwrap()).unwrap();
                let records = message["data"]["records"].as_array().unwrap();
                arrived.extend(records.iter().map(|it| it["id"].as_i64().unwrap()));
            }
        }
        arrived
    }

    /// What the audit trail tells of `action`.
    async fn audited(&self, action: &str) -> Value {
        let path = format!("/v1/audit-events?filter[action]={action}");
        Api::new(&self.served.address).send("GET", &path, None).await["data"].take()
    }

    /// Nothing that opens anything is in what the server wrote down.
    async fn close(self) {
        let seen = self.seen().await;
        assert_eq!(self.served.stop(), 0);
        let log = fs::read_to_string(self.program.path().join("serve.log")).unwrap();
        for it in seen.iter().filter_map(|it| it["credentials"].as_str()) {
            let token = it.trim_start_matches("Bearer ");
            assert!(!log.contains(token), "the log has what was sent to the receiver");
        }
    }
}

/// Access tokens end before their time is over for whoever waits so long.
async fn outlive_a_token() {
    tokio::time::sleep(Duration::from_secs(LIFE + 1)).await;
}

/// A provider whose tokens do not live long, a receiver that asks it, and a connector whose clients register by themselves.
async fn with_a_person(path: &str) -> (ForeignServer, Stage) {
    let provider = suite("oidc_provider.mjs", &[&LIFE.to_string()]);
    let receiver = suite("receiver.mjs", &["bearer", &provider.origin]);
    let stage = Stage::open(receiver).await;
    let auth_config = json!({
        "oauth_metadata_url": format!("{}/.well-known/openid-configuration", provider.origin),
        "oauth_config": { "scopes": ["openid", "files:read"] },
        "token_test_url": format!("{}/me", stage.receiver.origin),
    });
    stage.list("orders", "webhook", "oauth-dcr", auth_config.clone()).await;
    stage.list("files", "csv_url", "oauth-dcr", auth_config).await;
    stage.connect("orders", path).await;
    (provider, stage)
}

#[tokio::test]
async fn a_push_carries_a_grant_through_its_whole_life() {
    let (provider, stage) = with_a_person("/people").await;
    assert_eq!(stage.status(), "to_configure");
    let check = stage.remote.run(&["check", "out", "--json"]);
    let says = check.last_line()["message"].as_str().unwrap().to_owned();
    assert!(check.code == 3 && says.contains("not connected"), "{says}");
    assert!(stage.seen().await.is_empty(), "nothing is sent without a token");

    stage.agree(&[]).await;
    assert_eq!(stage.status(), "enabled");
    let first = stage.pushes(1).await;
    assert!(first.starts_with("Bearer "), "{first}");
    assert_eq!(stage.remote.json(&["check", "out"])["ok"], true);
    let tried = stage.seen().await.pop().unwrap();
    assert_eq!((&tried["url"], &tried["status"]), (&json!("/me"), &json!(200)), "{tried}");

    outlive_a_token().await;
    stage.add(2);
    assert_ne!(stage.pushes(1).await, first, "it is refreshed");

    let mut person = Api::new(provider.origin.strip_prefix("http://").unwrap());
    person.send("POST", "/take-back", None).await;
    stage.add(3);
    let ran = stage.push();
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    let says =
        format!("POST /v1/workspace-connectors/{}/authorize", stage.show()["id"].as_str().unwrap());
    assert!(
        ran.stderr.contains(&says) && ran.stderr.contains("does not accept the grant"),
        "{}",
        ran.stderr
    );
    assert_eq!(stage.status(), "need_reconnect");
    let lost = stage.audited("workspace_connector.grant_lost").await;
    assert_eq!(lost.as_array().unwrap().len(), 1, "{lost}");
    let refused = stage.push();
    assert!(
        refused.code != 0 && refused.stderr.contains("linkspan authorize"),
        "{}",
        refused.stderr
    );

    stage.agree(&[]).await;
    stage.pushes(1).await;
    assert_eq!(stage.arrived().await, BTreeSet::from([1, 2, 3]));
    stage.close().await;
}

#[tokio::test]
async fn a_scope_that_the_receiver_asks_for_is_named_and_can_be_had() {
    let (_provider, stage) = with_a_person("/write").await;
    stage.agree(&[]).await;
    let ran = stage.push();
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    for says in ["the scope `files:write`", r#"{"scopes":["files:write"]}"#] {
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    assert_eq!(stage.status(), "need_reconnect");
    stage.agree(&["--scope", "files:write"]).await;
    stage.pushes(1).await;
    stage.close().await;
}

#[tokio::test]
async fn a_file_is_fetched_with_a_grant() {
    let (_provider, stage) = with_a_person("/people").await;
    stage.remote.json(&["activations", "set", "out", "--name", "in the way"]);
    let url = format!("url={}/wiki.csv", stage.receiver.origin);
    stage.remote.json(&["connect", "files", "--name", "out", "--set", &url]);
    stage.agree(&[]).await;
    assert_eq!(stage.remote.json(&["sync", "out", "--full"])["read"], 1);
    let seen = stage.seen().await;
    assert!(seen.iter().all(|it| it["url"] == "/wiki.csv" && it["status"] == 200), "{seen:?}");
    stage.close().await;
}

#[tokio::test]
async fn a_push_of_a_client_that_needs_no_person_goes_on_when_its_token_ends() {
    let flags = ["--client-id", "machine:1", "--client-secret-env", "CLIENT_SECRET"];
    goes_on_alone(&flags, "s3cret /%: of a machine").await;
}

/// Checklist 23.
#[tokio::test]
async fn a_push_of_a_client_that_has_a_private_key_goes_on_when_its_token_ends() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    fs::write(&key, P256).unwrap();
    let key = ["--client-key", key.to_str().unwrap(), "--client-key-id", "p256"];
    let line = P256.lines().nth(1).unwrap();
    goes_on_alone(&[&["--client-id", "machine:2"], &key[..]].concat(), line).await;
}

/// Pushes as the client that `flags` give, which needs no person, until its token has ended and a while on. What proves who it
/// is, of which `secret` is a part, is in no file.
async fn goes_on_alone(flags: &[&str], secret: &str) {
    let provider = suite("oidc_provider.mjs", &[&LIFE.to_string()]);
    let stage = Stage::open(suite("receiver.mjs", &["bearer", &provider.origin])).await;
    let auth_config = json!({ "oauth_config": {
        "token_endpoint": format!("{}/token", provider.origin),
        "grant_type": "client_credentials",
        "scopes": ["files:read"],
    } });
    stage.list("orders", "webhook", "oauth-manual", auth_config).await;
    stage.connect("orders", "/people").await;
    let authorize = [&["authorize", "out"], flags].concat();
    assert_eq!(stage.remote.json(&authorize)["connected"], true);
    let first = stage.pushes(1).await;
    outlive_a_token().await;
    stage.add(2);
    assert_ne!(stage.pushes(1).await, first);
    assert_eq!(stage.arrived().await, BTreeSet::from([1, 2]));
    assert_absent_in_files(secret, stage.program.path());
    stage.close().await;
}

#[tokio::test]
async fn a_push_with_a_digest_is_let_in_and_sends_none_twice() {
    let stage = Stage::open(suite("receiver.mjs", &["wsse", "customer001", "s3cret"])).await;
    stage.list("orders", "webhook", "wsse", Value::Null).await;
    stage.connect("orders", "/flaky").await;
    assert_eq!(stage.status(), "to_configure", "how it authenticates is missing");
    let set = |user: &'static str, password: &'static str| {
        let who = ["activations", "set", "out", "--set", "auth.type=wsse", "--set", user];
        stage.remote.run(&[&who[..], &["--set-env", password]].concat())
    };
    let bearer = ["activations", "set", "out", "--set", "auth.type=bearer"];
    let other = stage.remote.run(&[&bearer[..], &["--set-env", "auth.token=PASSWORD"]].concat());
    assert!(other.code == 2 && other.stderr.contains("`wsse`"), "{}", other.stderr);

    assert_eq!(set("auth.username=customer001", "auth.password=WRONG").code, 0);
    let check = stage.remote.run(&["check", "out", "--json"]);
    let says = check.last_line()["message"].as_str().unwrap().to_owned();
    assert!(says.contains("refused the credentials"), "{says}");

    assert_eq!(set("auth.username=customer001", "auth.password=PASSWORD").code, 0);
    assert_eq!(stage.status(), "enabled");
    assert_eq!(stage.remote.json(&["check", "out"])["ok"], true);
    stage.pushes(1).await;
    let seen = stage.seen().await;
    let answered = seen.iter().filter(|it| it["method"] == "POST").map(|it| &it["status"]);
    assert_eq!(answered.collect::<Vec<_>>(), [503, 204], "tried again, with another digest");
    let credentials: BTreeSet<_> = seen.iter().map(|it| it["credentials"].as_str()).collect();
    assert_eq!(credentials.len(), seen.len());
    stage.close().await;
}
