//! Activations that push what others brought in, from outside: into PostgreSQL, into Parquet in a folder and in a bucket.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
};

use arrow_array::{RecordBatch, cast::AsArray, types::Int64Type};
use linkspan_domain::ports::{Outbound, OutboundBody, OutboundRequest};
use linkspan_egress::{EgressPolicy, GuardedClient};
use linkspan_testkit::{TestPostgres, journal};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::{
    program::{ADMIN_KEY, Program, Served},
    secrecy::Api,
};

/// Makes the activation `name` of `service`, which pushes the records of `source` into its stream `orders`.
pub(crate) async fn activate(
    address: &str,
    name: &str,
    service: &str,
    config: Value,
    source: Value,
) {
    let mut api = Api::new(address);
    let path = format!("/v1/connectors?filter[service_id]={service}");
    let connector = api.send("GET", &path, None).await["data"][0]["id"].take();
    let body = json!({ "data": {
        "type": "workspace_connector",
        "attributes": {
            "name": name,
            "config": config,
            "streams": [{
                "stream": "orders",
                "source": { "workspace_connector_id": source, "stream": "public.orders" },
            }],
        },
        "relationships": { "connector": { "data": { "type": "connector", "id": connector } } },
    } });
    let made = api.send("POST", "/v1/workspace-connectors", Some(body)).await;
    assert_eq!(made["data"]["attributes"]["name"], name, "{made}");
}

/// Notes of orders, by the number of the order.
type Notes = BTreeMap<i64, String>;

async fn notes_of(connection: &mut PgConnection) -> Notes {
    let rows = sqlx::query("select id::bigint, note from orders").fetch_all(connection);
    rows.await.unwrap().iter().map(|it| (it.get(0), it.get(1))).collect()
}

/// A platform, and a shop whose orders it reads.
struct Stage {
    shop: TestPostgres,
    connection: PgConnection,
    program: Program,
    served: Served,
    remote: Program,
    source: Value,
}

impl Stage {
    async fn open() -> Self {
        let shop = TestPostgres::create().await;
        let mut connection = shop.connect().await;
        let orders =
            "create table orders (id int primary key, note text not null, total numeric(9, 2));
            insert into orders select g, 'new', g / 4.0 from generate_series(1, 1500) g";
        sqlx::raw_sql(orders).execute(&mut connection).await.unwrap();
        let program = Program::new();
        let lake = program.path().join("lake");
        fs::create_dir(&lake).unwrap();
        let program = program
            .with("LINKSPAN_FILE_TARGETS", lake.to_str().unwrap())
            .with("LINKSPAN_EGRESS_ALLOW", "127.0.0.0/8");
        let served = program.serve();
        let remote = Program::new()
            .with("LINKSPAN_URL", &format!("http://{}", served.address))
            .with("LINKSPAN_API_KEY", ADMIN_KEY)
            .with("LINKSPAN_EGRESS_ALLOW", "127.0.0.0/8")
            .with("SOURCE", &shop.url());
        let connect = ["connect", "postgresql", "--name", "shop"];
        let setting = ["--set-env", "connection_string=SOURCE"];
        let source = remote.json(&[&connect[..], &setting].concat())["id"].take();
        Self { shop, connection, program, served, remote, source }
    }

    async fn change(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.connection).await.unwrap();
    }

    /// Brings in what the shop has, and pushes it on. Answers what the push read, wrote and deleted.
    fn sync(&self) -> [u64; 3] {
        self.remote.json(&["sync", "shop", "--full"]);
        self.push("--incremental")
    }

    fn push(&self, mode: &str) -> [u64; 3] {
        let counts = self.remote.json(&["sync", "out", mode]);
        ["read", "written", "deleted"].map(|it| counts[it].as_u64().unwrap())
    }

    /// Pushes into `service`, of which `held` tells what it has: all of it, what changed, nothing.
    async fn arrives(&mut self, service: &str, config: Value, held: impl AsyncFn(&Self) -> Notes) {
        activate(&self.served.address, "out", service, config, self.source.clone()).await;
        assert_eq!(self.sync(), [1_500, 1_500, 0]);
        assert_eq!(held(self).await, notes_of(&mut self.connection).await);
        assert_eq!(self.sync(), [0, 0, 0], "nothing changed");

        self.change(
            "update orders set note = 'paid' where id % 500 = 0;
             delete from orders where id in (7, 8); insert into orders values (2000, 'late', 1)",
        )
        .await;
        assert_eq!(self.sync(), [4, 4, 2]);
        let expected = notes_of(&mut self.connection).await;
        assert_eq!(held(self).await, expected);
        assert_eq!(self.sync(), [0, 0, 0]);

        // What came back is there again, and a full push leaves everything as it is.
        self.change("insert into orders values (7, 'again', 2)").await;
        assert_eq!(self.sync(), [1, 1, 0]);
        let expected = notes_of(&mut self.connection).await;
        assert_eq!(held(self).await, expected);
        assert_eq!(self.push("--full"), [1_500, 1_500, 1]);
        assert_eq!(held(self).await, expected);
    }

    async fn close(self) {
        assert_eq!(self.served.stop(), 0);
        drop(self.connection);
        self.shop.remove().await;
    }
}

#[tokio::test]
async fn additions_updates_and_deletions_arrive_in_postgresql() {
    let mut stage = Stage::open().await;
    let warehouse = TestPostgres::create().await;
    let held = async |_: &Stage| notes_of(&mut warehouse.connect().await).await;
    let config = json!({ "connection_string": warehouse.url() });
    stage.arrives("postgresql", config, held).await;
    let kind = "select data_type from information_schema.columns where table_name = 'orders' and column_name = 'total'";
    let kind: String =
        sqlx::query_scalar(kind).fetch_one(&mut warehouse.connect().await).await.unwrap();
    assert_eq!(kind, "numeric", "the table is typed");
    stage.close().await;
    warehouse.remove().await;
}

/// What is in the files of a folder that are complete.
pub(crate) fn journal_in(folder: &Path) -> Vec<RecordBatch> {
    let complete = files(folder).into_iter().filter(|it| it.ends_with(".parquet"));
    let read = |name: String| {
        let file = File::open(folder.join(name)).unwrap();
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap)
    };
    complete.flat_map(read).collect()
}

/// The notes of a journal that was read.
fn notes(rows: &[RecordBatch]) -> Notes {
    let rows = journal::last_of_each(rows);
    let note = |it: &RecordBatch| {
        let (id, note) = (it["id"].as_primitive::<Int64Type>(), it["note"].as_string::<i32>());
        (id.value(0), note.value(0).to_owned())
    };
    rows.iter().map(note).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn additions_updates_and_deletions_arrive_in_parquet_files_of_a_folder() {
    let mut stage = Stage::open().await;
    let folder = stage.program.path().join("lake/orders");
    let held = async |_: &Stage| notes(&journal_in(&folder));
    stage.arrives("parquet", json!({ "folder": "." }), held).await;

    // Under another filter everything is pushed anew, and counts more than what was pushed before.
    let before = files(&folder);
    let mut api = Api::new(&stage.served.address);
    let found = api.send("GET", "/v1/connectors?filter[service_id]=parquet", None).await;
    let filter = json!({ "data": { "type": "connector_filter", "attributes": {
        "connector_id": found["data"][0]["id"], "config": { "note": { "_eq": "paid" } },
    } } });
    let made = api.send("POST", "/v1/connector-filters", Some(filter)).await;
    assert!(made["data"]["id"].is_string(), "{made}");
    let out = api.send("GET", "/v1/workspace-connectors?filter[name]=out", None).await;
    let plan =
        format!("/v1/workspace-connectors/{}/filter-plan", out["data"][0]["id"].as_str().unwrap());
    let plan = api.send("GET", &plan, None).await["data"][0]["attributes"].take();
    assert_eq!((&plan["stream"], &plan["error"]), (&json!("orders"), &json!(null)), "{plan}");
    assert_eq!(plan["parts"][0]["place"], "here", "by the fields of what was brought in: {plan}");
    assert_eq!(stage.push("--incremental"), [3, 3, 1_498]);
    let paid = [500, 1_000, 1_500].map(|it| (it, "paid".to_owned()));
    assert_eq!(notes(&journal_in(&folder)), paid.into());
    let after = files(&folder);
    assert!(before.iter().all(|it| after.contains(it)), "what is there stays: {after:?}");

    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(stage.push("--incremental"), [3, 3, 1_498], "what is gone is pushed anew");
    assert_eq!(notes(&journal_in(&folder)).len(), 3);
    stage.close().await;
}

#[expect(clippy::disallowed_methods, reason = "tests find their server by themselves")]
fn s3_server() -> String {
    let server = std::env::var("LINKSPAN_TEST_S3_ENDPOINT");
    server.unwrap_or_else(|_| "http://127.0.0.1:5555".to_owned())
}

/// Makes a bucket on the tests' S3 server, and answers its settings.
pub(crate) async fn bucket() -> Value {
    let name = format!("linkspan-{}", uuid::Uuid::new_v4().simple());
    put(&name, OutboundBody::Empty).await;
    json!({
        "bucket": name, "endpoint": s3_server(), "prefix": "lake/",
        "access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI-s3cr3t",
    })
}

/// Puts a bucket or an object onto the tests' S3 server.
pub(crate) async fn put(path: &str, body: OutboundBody) {
    let endpoint = s3_server();
    // Another test of the process may have been faster.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let loopback = EgressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let url = format!("{endpoint}/{path}").parse().unwrap();
    let mut request = OutboundRequest::new("PUT".parse().unwrap(), url);
    let anybody = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/s3/aws4_request, \
                   SignedHeaders=host, Signature=0";
    request.headers.insert("authorization", anybody.parse().unwrap());
    request.body = body;
    let made = GuardedClient::new(loopback).unwrap().send(request).await;
    let made = made.unwrap_or_else(|error| panic!("an S3 server is needed at {endpoint}: {error}"));
    assert!(made.status.is_success(), "{}", made.status);
}

/// The notes of the journal below the prefix, as `linkspan read` reads its objects.
fn notes_in(config: &Value, remote: &Program) -> Notes {
    let mut arguments = vec!["read".to_owned(), "s3_storage".to_owned()];
    for name in ["bucket", "endpoint", "access_key_id"] {
        arguments
            .extend(["--set".to_owned(), format!("{name}={}", config[name].as_str().unwrap())]);
    }
    let secret = remote.path().join("secret");
    fs::write(&secret, config["secret_access_key"].as_str().unwrap()).unwrap();
    arguments.extend(["--set-file".to_owned(), "secret_access_key=secret".to_owned()]);
    arguments.extend(["--set".to_owned(), "path=lake/orders/*.parquet".to_owned()]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let ran = remote.run(&arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut last: BTreeMap<String, (String, Value)> = BTreeMap::new();
    for line in ran.stdout.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let (key, position) = (text("_linkspan_key"), text("_linkspan_position"));
        if last.get(&key).is_none_or(|it| it.0 < position) {
            last.insert(key, (position, row));
        }
    }
    let kept = last.into_values().map(|it| it.1).filter(|it| it["_linkspan_change"] != "DELETED");
    kept.map(|it| (it["id"].as_i64().unwrap(), it["note"].as_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn additions_updates_and_deletions_arrive_in_parquet_files_of_a_bucket() {
    let mut stage = Stage::open().await;
    let config = bucket().await;
    let held = async |it: &Stage| notes_in(&config, &it.remote);
    stage.arrives("s3-storage", config.clone(), held).await;
    stage.close().await;
}
