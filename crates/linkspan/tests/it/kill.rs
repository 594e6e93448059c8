//! Workers that are killed in the middle of a run: another goes on with it, nothing is lost, nothing is there twice.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};

use linkspan_domain::{Deleted, WorkspaceConnectorId};
use linkspan_persistence::Database;
use linkspan_sdk::RecordQuery;
use linkspan_testkit::TestPostgres;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};

use crate::program::{ADMIN_KEY, Program, Served};

/// How many workers die on each database.
const KILLS: u32 = 25;

/// How many orders there are in the beginning.
const ORDERS: u32 = 12_000;

/// Random enough, and the same in each run of the tests.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn up_to(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A shop whose orders change.
pub(crate) struct Shop {
    pub(crate) database: TestPostgres,
    connection: PgConnection,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let database = TestPostgres::create().await;
        let connection = database.connect().await;
        let mut shop = Self { database, connection };
        shop.run(format!(
            "create table orders (id int primary key, at bigint not null, note text not null);
             insert into orders select g, 0, 'new ' || repeat('x', 200) from generate_series(1, {ORDERS}) g"
        ))
        .await;
        shop
    }

    /// A day of business. Orders are withdrawn only before a full sync, which alone can see it.
    pub(crate) async fn trade(&mut self, day: u32, load: Load) {
        let first = ORDERS + day * 50;
        self.run(format!(
            "update orders set at = {day}, note = 'of day {day} ' || repeat('y', 200)
                 where (id * 31 + {day} * 17) % 3 = 0;
             insert into orders select g, {day}, 'new ' || repeat('x', 200)
                 from generate_series({first} + 1, {first} + 50) g"
        ))
        .await;
        if load == Load::Full {
            self.run(format!("delete from orders where (id + {day}) % 29 = 0")).await;
        }
    }

    async fn run(&mut self, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await.unwrap();
    }

    /// What a mirror of the orders has to hold.
    pub(crate) async fn orders(&mut self) -> Records {
        orders(&mut self.connection).await
    }

    pub(crate) async fn close(self) {
        drop(self.connection);
        self.database.remove().await;
    }
}

/// The orders that a database has.
pub(crate) async fn orders(connection: &mut PgConnection) -> Records {
    let rows = sqlx::query("select id::int, at, note from orders").fetch_all(connection);
    let row = |row: &sqlx::postgres::PgRow| {
        let (id, at, note): (i32, i64, String) = (row.get(0), row.get(1), row.get(2));
        order(id.into(), at, &note)
    };
    rows.await.unwrap().iter().map(row).collect()
}

/// An order, by its key.
pub(crate) fn order(id: i64, at: i64, note: &str) -> (String, Value) {
    (id.to_string(), json!({ "id": id, "at": at, "note": note }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    Incremental,
    Full,
}

/// The platform: a server that only serves, and two workers beside it.
pub(crate) struct Plant {
    program: Program,
    pub(crate) remote: Program,
    url: String,
    store: Database,
    pub(crate) activation: WorkspaceConnectorId,
    workers: Vec<Served>,
    pub(crate) server: Served,
}

impl Plant {
    pub(crate) async fn open(url: &str, shop: &Shop) -> Self {
        let program = Program::new();
        let lake = program.path().join("lake");
        std::fs::create_dir(&lake).unwrap();
        let program = program
            .with("LINKSPAN_FILE_TARGETS", lake.to_str().unwrap())
            .with("LINKSPAN_DATABASE_URL", url)
            .with("LINKSPAN_LEASE_SECS", "1")
            .with("LINKSPAN_LOG", "error");
        let server = program.serve_as("api,scheduler");
        let remote = Program::new()
            .with("LINKSPAN_URL", &format!("http://{}", server.address))
            .with("LINKSPAN_API_KEY", ADMIN_KEY)
            .with("SOURCE", &shop.database.url());
        let made = remote.json(&[
            "connect",
            "postgresql",
            "--name",
            "shop",
            "--set-env",
            "connection_string=SOURCE",
            "--set",
            "cursor_column=at",
            "--set",
            "cursor_type=int",
        ]);
        let activation = made["id"].as_str().unwrap().parse().unwrap();
        let store = linkspan_persistence::connect(url).await.unwrap();
        let workers = vec![program.work(), program.work()];
        Self { program, remote, url: url.to_owned(), store, activation, workers, server }
    }

    /// The folder that connectors may write to.
    pub(crate) fn lake(&self) -> PathBuf {
        self.program.path().join("lake")
    }

    /// Syncs, and kills the worker at it if there is `time` to. Answers what the sync came to, and whether a worker died.
    pub(crate) async fn sync(
        &mut self,
        name: &str,
        load: Load,
        time: Option<Duration>,
    ) -> (Value, bool) {
        let mode = if load == Load::Full { "--full" } else { "--incremental" };
        let mut command = self.remote.command(&["sync", name, mode, "--json"]);
        let mut waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let killed = match time {
            Some(time) => self.kill_after(time, &mut waiting).await,
            None => false,
        };
        let Output { status, stdout, stderr } = waiting.wait_with_output().unwrap();
        let text = |it| String::from_utf8(it).unwrap();
        let (stdout, stderr) = (text(stdout), text(stderr));
        assert!(status.success(), "{stdout}{stderr}");
        (serde_json::from_str(stdout.lines().last().unwrap()).unwrap(), killed)
    }

    /// Kills the worker at the run that `waiting` waits for, some `time` after it took it. Answers whether it was still at
    /// it.
    async fn kill_after(&mut self, time: Duration, waiting: &mut Child) -> bool {
        let patience = Instant::now();
        let holder = loop {
            if let Some(holder) = self.holder().await {
                break holder;
            }
            if waiting.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(patience.elapsed() < Duration::from_secs(30), "no worker takes the run");
            tokio::time::sleep(Duration::from_millis(3)).await;
        };
        tokio::time::sleep(time).await;
        let place = self.workers.iter().position(|it| it.id() == holder).unwrap();
        self.workers.remove(place).kill();
        let was_at_it = self.holder().await == Some(holder);
        // Another comes for the one that died, as a service manager sees to it.
        self.workers.push(self.program.work());
        was_at_it
    }

    /// The process that holds the run, if any does: it is part of the name of a worker.
    async fn holder(&self) -> Option<u32> {
        let sql = "select worker from workspace_connector_sync_logs where status = 'in_progress'";
        let worker: Option<String> = if self.url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_optional(&mut connection).await.unwrap()
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_optional(&mut connection).await.unwrap()
        };
        worker.map(|it| it.split('-').nth(1).unwrap().parse().unwrap())
    }

    /// What the platform keeps of the orders.
    async fn kept(&self) -> Records {
        let records = self.store.records();
        let mut query = RecordQuery {
            activation: self.activation,
            stream: "public.orders".parse().unwrap(),
            after: None,
            limit: 500,
            deleted: Deleted::Hidden,
        };
        let mut all = BTreeMap::new();
        loop {
            let page = records.page(&query).await.unwrap();
            let Some(last) = page.last() else { return all };
            query.after = Some(last.key.clone());
            for record in page {
                let payload = serde_json::from_str(record.payload.get()).unwrap();
                assert_eq!(all.insert(record.key, payload), None, "a record is there twice");
            }
        }
    }

    pub(crate) async fn stop(self) {
        self.store.close().await;
        for it in self.workers.into_iter().chain([self.server]) {
            assert_eq!(it.stop(), 0);
        }
    }
}

/// Records by their keys.
pub(crate) type Records = BTreeMap<String, Value>;

/// What the sync counted is what changed, once each.
fn check(counted: &Value, (before, expected, kept): (&Records, &Records, &Records)) {
    let lost: Vec<_> = expected.keys().filter(|it| !kept.contains_key(*it)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(kept == expected, "the records are not what the shop has");
    let changed = expected.iter().filter(|(key, it)| before.get(*key) != Some(it)).count();
    let gone = before.keys().filter(|it| !expected.contains_key(*it)).count();
    let counts = |kind: &str| counted[kind].as_u64().unwrap();
    assert_eq!((counts("written"), counts("deleted")), (changed as u64, gone as u64), "{counted}");
    assert_eq!((counted["status"].as_str(), counts("quarantined")), (Some("success"), 0));
}

async fn killed_workers_lose_nothing(url: &str, seed: u64) {
    let mut shop = Shop::open().await;
    let mut plant = Plant::open(url, &shop).await;
    let mut dice = Dice(seed);
    // How long a full load takes without a worker that dies: they die somewhere within.
    let began = Instant::now();
    plant.sync("shop", Load::Full, None).await;
    let whole = u64::try_from(began.elapsed().as_millis()).unwrap();
    let mut before = shop.orders().await;
    assert!(plant.kept().await == before);

    let (mut kills, mut day) = (0, 0);
    while kills < KILLS {
        day += 1;
        assert!(day <= KILLS * 4, "the workers are too fast to be caught at work");
        let load = if day.is_multiple_of(2) { Load::Full } else { Load::Incremental };
        shop.trade(day, load).await;
        let time =
            Duration::from_millis(dice.up_to(if load == Load::Full { whole } else { whole / 2 }));
        let (counted, killed) = plant.sync("shop", load, Some(time)).await;
        kills += u32::from(killed);
        let expected = shop.orders().await;
        check(&counted, (&before, &expected, &plant.kept().await));
        before = expected;
    }
    plant.stop().await;
    shop.close().await;
}

#[tokio::test]
async fn killed_workers_lose_nothing_on_sqlite() {
    let folder = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("linkspan.db").display());
    killed_workers_lose_nothing(&url, 3).await;
}

#[tokio::test]
async fn killed_workers_lose_nothing_on_postgres() {
    let store = TestPostgres::create().await;
    killed_workers_lose_nothing(&store.url(), 4).await;
    store.remove().await;
}
