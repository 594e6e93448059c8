//! A platform with two organizations, and clients of it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use linkspan_api::{App, Limits};
use linkspan_app::Seeding;
use linkspan_domain::{
    Act, Action, ApiKey, AuditEventId, Call, Caller, KeyHash, OrganizationId, Receipt, Resource,
    Revision, Role, Secret, Visible, Workspace,
    ports::{Change, Store, World},
};
use linkspan_persistence::Database;
use poem::{
    Endpoint, EndpointExt, Request,
    endpoint::BoxEndpoint,
    http::{HeaderMap, Method},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};
use tempfile::TempDir;
use time::{OffsetDateTime, macros::datetime};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{composition::app, contract};

/// The secret that must not be seen anywhere.
pub(crate) const PLANTED: &str = "hunter22-planted";

/// Time goes on by a second with each look at the clock, and identifiers count.
#[derive(Default)]
struct Clockwork {
    seconds: AtomicU64,
    ids: AtomicU64,
}

impl World for Clockwork {
    fn now(&self) -> OffsetDateTime {
        let passed = self.seconds.fetch_add(1, Ordering::Relaxed);
        datetime!(2026-05-01 12:00 UTC) + Duration::from_millis(passed)
    }

    fn uuid(&self) -> Uuid {
        let next = self.ids.fetch_add(1, Ordering::Relaxed);
        Uuid::from_u128(0x0196_0000_0000_7000_8000_0000_0000_0000 | u128::from(next))
    }
}

/// A running API, and what it runs on.
pub(crate) struct Platform {
    endpoint: BoxEndpoint<'static>,
    pub(crate) app: App,
    pub(crate) database: Database,
    pub(crate) home: TempDir,
    url: String,
    pub(crate) workspace: Workspace,
    /// Ends what is sent as it happens.
    pub(crate) closing: CancellationToken,
}

/// The key of the operator.
pub(crate) const ADMIN: &str = "lsk_the-key-of-the-operator";
/// The key of an admin of another organization.
pub(crate) const STRANGER: &str = "lsk_the-key-of-a-stranger";

impl Platform {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let home = TempDir::new().unwrap();
        let url = format!("sqlite://{}?mode=rwc", home.path().join("linkspan.db").display());
        let database = linkspan_persistence::connect(&url).await.unwrap();
        database.migrate().await.unwrap();
        let world: Arc<dyn World> = Arc::new(Clockwork::default());
        let seeding = Seeding::new(database.connectors(), database.access(), Arc::clone(&world));
        let workspace = seeding.bootstrap().await.unwrap();
        let closing = CancellationToken::new();
        let app = app(&database, &home, &world, limits, &closing);
        let admin = Secret::new(ADMIN.to_owned());
        app.access.ensure_admin_key(&workspace, &admin).await.unwrap();
        add_stranger(&url, &database, &world).await;
        let endpoint = linkspan_api::endpoint(app.clone()).boxed();
        Self { endpoint, app, database, home, url, workspace, closing }
    }

    /// A client with the key of the operator.
    pub(crate) fn admin(&self) -> Client<'_> {
        self.client(ADMIN)
    }

    /// A client with this key.
    pub(crate) fn client(&self, key: &str) -> Client<'_> {
        Client {
            platform: self,
            headers: vec![("Authorization".to_owned(), format!("Bearer {key}"))],
        }
    }

    /// Keeps a thing as a run would.
    pub(crate) async fn keep<R: Resource>(&self, store: &dyn Store<R>, thing: R) {
        let caller =
            Caller::system(self.workspace.organization_id, Visible::only(self.workspace.id));
        let call = Call { caller, ip_address: None, trace_id: "t".to_owned(), claim: None };
        let event = self.app.world.uuid().as_u128();
        let receipt = receipt_of(&call, &thing, event);
        store.write(&[Change::Insert(thing)], &receipt).await.unwrap();
    }

    /// Runs a statement as another process would.
    pub(crate) async fn run(&self, sql: &str) {
        run(&self.url, sql.to_owned()).await;
    }

    /// The number that a statement finds.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }

    /// The answer to any request at all.
    pub(crate) async fn raw(&self, request: Request) -> poem::Response {
        self.endpoint.get_response(request).await
    }

    /// A client that says nothing of itself.
    pub(crate) fn anybody(&self) -> Client<'_> {
        Client { platform: self, headers: Vec::new() }
    }
}

/// Another organization on the same database, with a workspace and an admin.
async fn add_stranger(url: &str, database: &Database, world: &Arc<dyn World>) {
    let organization = OrganizationId::from_uuid(Uuid::from_u128(0xdead));
    // There is no port for a second organization: an installation has one.
    let row = format!(
        "INSERT INTO organizations (organization_id, name, created_at, updated_at)
         VALUES (x'{}', 'Elsewhere', '2026-05-01T12:00:00.000000Z', '2026-05-01T12:00:00.000000Z')",
        organization.uuid().simple()
    );
    run(url, row).await;
    let now = world.now();
    let workspace = Workspace {
        id: linkspan_domain::WorkspaceId::from_uuid(Uuid::from_u128(0xbeef)),
        revision: Revision::FIRST,
        organization_id: organization,
        parent_id: None,
        name: "Elsewhere".parse().unwrap(),
        slug: "elsewhere".parse().unwrap(),
        external_workspace_id: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let key = Secret::new(STRANGER.to_owned());
    let kept = ApiKey {
        id: linkspan_domain::ApiKeyId::from_uuid(Uuid::from_u128(0xcafe)),
        revision: Revision::FIRST,
        organization_id: organization,
        person_id: None,
        name: "A stranger".parse().unwrap(),
        prefix: ApiKey::visible_prefix(&key),
        hash: KeyHash::of(&key),
        permissions: Role::Admin.permissions(),
        workspaces: BTreeSet::new(),
        expires_at: None,
        last_used_at: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let caller = Caller::system(organization, Visible::only(workspace.id));
    let call = Call { caller, ip_address: None, trace_id: "t".to_owned(), claim: None };
    let receipt = |event| Receipt { reply: None, ..receipt_of(&call, &workspace, event) };
    database.workspaces().write(&[Change::Insert(workspace.clone())], &receipt(1)).await.unwrap();
    database.api_keys().write(&[Change::Insert(kept)], &receipt(2)).await.unwrap();
}

async fn run(url: &str, sql: String) {
    let mut connection = SqliteConnection::connect(url).await.unwrap();
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

fn receipt_of<R: Resource>(call: &Call, thing: &R, event: u128) -> Receipt {
    let id = AuditEventId::from_uuid(Uuid::from_u128(event));
    call.receipt(Act::new(Action::Created), thing, id, datetime!(2026-05-01 12:00 UTC))
}

/// Somebody who talks to the API.
#[derive(Clone)]
pub(crate) struct Client<'a> {
    platform: &'a Platform,
    headers: Vec<(String, String)>,
}

/// What the API answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Client<'_> {
    /// The same client, saying this too.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        headers.push((name.to_owned(), value.to_owned()));
        Self { platform: self.platform, headers }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, &body).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PUT, path, &body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PATCH, path, &body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        let has_type =
            self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Content-Type"));
        let client =
            if has_type { self.clone() } else { self.with("Content-Type", contract::JSON_API) };
        client.send(method, path, Some(body.to_string())).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        let mut request = Request::builder().method(method.clone()).uri_str(path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = match body {
            Some(body) => request.body(body),
            None => request.finish(),
        };
        let response = self.platform.endpoint.get_response(request).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.into_body().into_string().await.unwrap();
        assert!(!text.contains(PLANTED), "{method} {path} shows a secret: {text}");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let answer = Answer { status, headers, text, body };
        contract::check(&method, path, &answer);
        answer
    }

    /// Makes something, and answers its identifier.
    pub(crate) async fn make(&self, path: &str, kind: &str, attributes: Value) -> String {
        let answer =
            self.post(path, json!({ "data": { "type": kind, "attributes": attributes } })).await;
        answer.expect(201).body["data"]["id"].as_str().unwrap().to_owned()
    }

    /// Adds a connector for the shop to the catalog.
    pub(crate) async fn connector(&self, service: &str) -> String {
        self.make("/v1/connectors", "connector", json!({
            "name": format!("Shop {service}"), "provider": "well", "category_id": "commerce", "service_id": service,
            "status": "available", "connector_type": "shop", "authorization_flow": "external-api-key",
        })).await
    }

    /// Activates a new connector for the shop.
    pub(crate) async fn activation(&self, service: &str) -> String {
        let connector = self.connector(service).await;
        self.activate(&connector, service).await
    }

    pub(crate) async fn activate(&self, connector: &str, name: &str) -> String {
        self.make("/v1/workspace-connectors", "workspace_connector", json!({
            "name": name, "connector_id": connector, "config": { "host": "shop", "password": PLANTED },
        })).await
    }
}

impl Answer {
    /// Passes if the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Passes if it is this failure, and answers the error object.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        let answer = self.expect(status);
        let error = answer.body["errors"][0].clone();
        assert_eq!(error["code"], code, "{}", answer.text);
        error
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    /// The attributes of the thing it is about.
    pub(crate) fn attributes(&self) -> &Value {
        &self.body["data"]["attributes"]
    }

    /// One attribute of each of the things it lists.
    pub(crate) fn listed(&self, attribute: &str) -> Vec<String> {
        let things = self.body["data"].as_array().unwrap().iter();
        let text = |it: &Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
        things.map(|it| text(&it["attributes"][attribute])).collect()
    }
}
