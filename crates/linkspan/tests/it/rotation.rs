//! Rotating the master key under load: nothing that is read fails, and nothing is left under the old key.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use linkspan_app::{KeyRotator, Keys, RotatorSettings};
use linkspan_domain::{
    Call, Caller, KeyRotationStatus, OrganizationId, Revision, SealedSecrets, Visible, Workspace,
    WorkspaceConnector, WorkspaceConnectorId, WorkspaceId,
    ports::{Change, KeyId, Purpose, SealContext, Sealed, Vault, World},
};
use linkspan_persistence::Database;
use linkspan_testkit::{TestPostgres, fixtures::receipt};
use linkspan_vault::{Keyring, KeyringVault, MasterKey};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::program::{ADMIN_KEY, Program};

/// How many sealed rows there are.
const ROWS: usize = 100_000;

const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [2; 32];

fn vault(current: [u8; 32], previous: Option<[u8; 32]>) -> Arc<KeyringVault> {
    let previous = previous.map(MasterKey::from_bytes);
    Arc::new(KeyringVault::new(Keyring::new(MasterKey::from_bytes(current), previous).unwrap()))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |it: u8| char::from_digit(u32::from(it), 16).unwrap();
    bytes.iter().flat_map(|it| [digit(it >> 4), digit(it & 15)]).collect()
}

struct Now;

impl World for Now {
    #[expect(clippy::disallowed_methods, reason = "leases run by the clock")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    #[expect(clippy::disallowed_methods, reason = "here is the world")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// An installation with one activation, whose password the old key sealed.
fn installation(url: Option<&str>) -> Program {
    let mut program = Program::new().with("LINKSPAN_MASTER_KEY", &hex(&OLD));
    if let Some(url) = url {
        program = program.with("LINKSPAN_DATABASE_URL", url);
    }
    let program = program.with("PASSWORD", "hunter2");
    let connect = ["connect", "postgresql", "--name", "crm", "--set", "host=127.0.0.1"];
    let rest = ["--set", "database=x", "--set", "username=u", "--set-env", "password=PASSWORD"];
    program.json(&[&connect[..], &rest].concat());
    program
}

fn database_url(program: &Program) -> String {
    format!("sqlite://{}", program.path().join("linkspan-data/linkspan.db").display())
}

fn context(id: WorkspaceConnectorId) -> SealContext {
    SealContext { purpose: Purpose::Credentials, row: id.uuid() }
}

fn plain(id: WorkspaceConnectorId) -> Vec<u8> {
    json!({ "/password": format!("secret of {id}") }).to_string().into_bytes()
}

fn sealed(vault: &dyn Vault, id: WorkspaceConnectorId) -> Sealed {
    vault.seal(context(id), &plain(id)).unwrap()
}

/// Adds `rows` activations like the first, each with a secret of its own under the old key.
async fn multiply(url: &str, rows: usize) -> Vec<WorkspaceConnectorId> {
    let vault = vault(OLD, None);
    let ids: Vec<_> = (0..rows).map(|_| WorkspaceConnectorId::from_uuid(Now.uuid())).collect();
    for chunk in ids.chunks(500) {
        let row = |id: &WorkspaceConnectorId| {
            let blob = sealed(&*vault, *id);
            let hex = hex(blob.as_bytes());
            if url.starts_with("sqlite") {
                format!("(x'{}', 'copy {id}', x'{hex}')", id.uuid().simple())
            } else {
                format!("('{id}'::uuid, 'copy {id}', '\\x{hex}'::bytea)")
            }
        };
        let values: Vec<_> = chunk.iter().map(row).collect();
        let same = "connector_pk, workspace_pk, person_pk, connector_type, connector_type_version, \
            description, status, config, secret_pointers, streams, output_schemas, labels, \
            mock_enabled, log_level, installed_capabilities, revision, created_at, updated_at";
        let first = "(SELECT * FROM workspace_connectors WHERE name = 'crm' LIMIT 1)";
        run(
            url,
            format!(
                "INSERT INTO workspace_connectors (workspace_connector_id, name, secrets, {same})
                 SELECT v.column1, v.column2, v.column3, {same} FROM {first} AS t, (VALUES {}) AS v",
                values.join(", ")
            ),
        )
        .await;
    }
    ids
}

async fn run(url: &str, sql: String) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql));
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sql.execute(&mut connection).await.unwrap();
    } else {
        sql.execute(&mut PgConnection::connect(url).await.unwrap()).await.unwrap();
    }
}

/// The workspace of the installation.
async fn workspace(database: &Database) -> Workspace {
    let now = Now.now();
    let other = Workspace {
        id: WorkspaceId::from_uuid(Now.uuid()),
        revision: Revision::FIRST,
        organization_id: OrganizationId::from_uuid(Now.uuid()),
        parent_id: None,
        name: "Other".parse().unwrap(),
        slug: "other".parse().unwrap(),
        external_workspace_id: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    database.access().bootstrap(&other).await.unwrap()
}

/// What goes on in the database while the key is rotated.
#[derive(Clone)]
struct Load {
    database: Database,
    tenancy: Visible,
    organization: OrganizationId,
    ids: Arc<Vec<WorkspaceConnectorId>>,
    reads: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
}

impl Load {
    fn pick(&self, number: u64) -> WorkspaceConnectorId {
        let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        self.ids[usize::try_from(number).unwrap() % self.ids.len()]
    }

    async fn find(&self, id: WorkspaceConnectorId) -> Option<WorkspaceConnector> {
        self.database.workspace_connectors().find(&self.tenancy, id).await.ok().flatten()
    }

    /// Reads and opens one after the other until `stop`.
    async fn read(self, part: u64, stop: CancellationToken) {
        let vault = vault(NEW, Some(OLD));
        let mut number = part << 32;
        while !stop.is_cancelled() {
            number += 1;
            let id = self.pick(number);
            let opened = self
                .find(id)
                .await
                .and_then(|it| it.secrets)
                .and_then(|it| vault.open(context(id), &it.blob).ok());
            let is_right = opened.is_some_and(|it| *it.expose() == plain(id));
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.failed.fetch_add(u64::from(!is_right), Ordering::Relaxed);
        }
    }

    /// Writes activations anew, sealed with the key of `vault`: `times`, or until `stop`.
    async fn write(self, vault: Arc<KeyringVault>, times: u64, stop: CancellationToken) {
        let store = self.database.workspace_connectors();
        for number in 0..times {
            if stop.is_cancelled() {
                return;
            }
            let id = self.pick(number + (times << 20));
            let mut it = self.find(id).await.unwrap();
            let pointers = it.secrets.unwrap().pointers;
            it.secrets = Some(SealedSecrets { blob: sealed(&*vault, id), pointers });
            let mut receipt = receipt(0, None);
            receipt.audit.id = linkspan_domain::AuditEventId::from_uuid(Now.uuid());
            receipt.audit.organization_id = self.organization;
            // Somebody else may have been faster.
            if store.write(&[Change::Update(it)], &receipt).await.is_ok() {
                self.writes.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

async fn a_hundred_thousand_secrets(url: &str) {
    let ids = Arc::new(multiply(url, ROWS).await);
    let database = linkspan_persistence::connect(url).await.unwrap();
    let workspace = workspace(&database).await;
    let tenancy = Visible::only(workspace.id);
    let load = Load {
        database: database.clone(),
        tenancy: tenancy.clone(),
        organization: workspace.organization_id,
        ids,
        reads: Arc::default(),
        failed: Arc::default(),
        writes: Arc::default(),
    };
    let stop = CancellationToken::new();
    let new: Arc<dyn Vault> = vault(NEW, Some(OLD));
    let world: Arc<dyn World> = Arc::new(Now);
    let rotator = |number: u32| {
        let settings = RotatorSettings {
            name: format!("rotator-{number}"),
            lease: time::Duration::seconds(60),
            started: Arc::default(),
        };
        let (vault, world) = (Arc::clone(&new), Arc::clone(&world));
        KeyRotator::new(database.key_rotations(), database.keys(), vault, world, settings)
    };
    let mut tasks = Vec::new();
    for number in 0..4 {
        tasks.push(tokio::spawn(load.clone().read(number, stop.clone())));
    }
    // One as after the restart, and one that is still to be restarted.
    tasks.push(tokio::spawn(load.clone().write(
        vault(NEW, Some(OLD)),
        u64::MAX >> 24,
        stop.clone(),
    )));
    tasks.push(tokio::spawn(load.clone().write(vault(OLD, None), 50, stop.clone())));
    for number in 0..2 {
        let (rotator, stop) = (rotator(number), stop.clone());
        tasks.push(tokio::spawn(async move { rotator.run(&stop).await }));
    }
    let keys = Keys::new(
        database.key_rotations(),
        database.keys(),
        Arc::clone(&new),
        Arc::clone(&world),
        Arc::default(),
    );
    let call = Call {
        caller: Caller::system(workspace.organization_id, tenancy),
        ip_address: None,
        trace_id: "rotation".to_owned(),
        claim: None,
    };
    let began = Instant::now();
    let mut rotation = keys.rotate(&call).await.unwrap();
    assert!(rotation.counts.total > ROWS as u64 / 2, "{rotation:?}");
    let again = keys.rotate(&call).await.unwrap();
    assert_eq!(again.id, rotation.id, "one at a time");
    while rotation.status == KeyRotationStatus::Running {
        assert!(began.elapsed() < Duration::from_mins(10), "{:?}", rotation.counts);
        tokio::time::sleep(Duration::from_millis(50)).await;
        rotation = keys.records().get(&call.caller, rotation.id).await.unwrap();
    }
    let took = began.elapsed();
    stop.cancel();
    for task in tasks {
        task.await.unwrap();
    }
    let (reads, writes) = (load.reads.load(Ordering::Relaxed), load.writes.load(Ordering::Relaxed));
    eprintln!("{:?} in {took:?}, with {reads} reads and {writes} writes", rotation.counts);
    assert_eq!(rotation.status, KeyRotationStatus::Done, "{rotation:?}");
    assert_eq!(load.failed.load(Ordering::Relaxed), 0, "of {reads} reads");
    assert!(reads > 100 && writes > 10, "there was no load: {reads} reads, {writes} writes");
    let counts = rotation.counts;
    assert_eq!(counts.total, counts.rotated + counts.skipped + counts.failed);
    let under: Vec<KeyId> =
        database.keys().census().await.unwrap().into_iter().filter_map(|it| it.key).collect();
    assert_eq!(under, [new.current()], "nothing is left under the old key");
    let nothing = keys.rotate(&call).await.unwrap();
    assert_eq!((nothing.status, nothing.counts.total), (KeyRotationStatus::Done, 0));
    database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_read_fails_while_a_hundred_thousand_secrets_are_sealed_anew_on_sqlite() {
    let program = installation(None);
    a_hundred_thousand_secrets(&database_url(&program)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_read_fails_while_a_hundred_thousand_secrets_are_sealed_anew_on_postgres() {
    let database = TestPostgres::create().await;
    let _program = installation(Some(&database.url()));
    a_hundred_thousand_secrets(&database.url()).await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_whose_server_is_killed_is_finished_by_another_and_followed_to_its_end() {
    const MANY: usize = 60_000;
    let program = installation(None);
    multiply(&database_url(&program), MANY).await;
    // What comes later wins.
    let program = program
        .with("LINKSPAN_MASTER_KEY", &hex(&NEW))
        .with("LINKSPAN_MASTER_KEY_PREVIOUS", &hex(&OLD))
        .with("LINKSPAN_LEASE_SECS", "1");
    let server = program.serve_as("api");
    let remote = Program::new()
        .with("LINKSPAN_URL", &format!("http://{}", server.address))
        .with("LINKSPAN_API_KEY", ADMIN_KEY);
    let mut following = remote.command(&["keys", "rotate", "--json"]);
    let following = following.stdout(Stdio::piped()).spawn().unwrap();
    let current = |program: &Program| {
        let status = program.json(&["keys", "status"]);
        status["keys"][0]["sealed"].as_u64().unwrap()
    };
    while current(&remote) == 0 {}
    let address = server.address.clone();
    server.kill();

    let server = program.serve_at(&address);
    let before = current(&remote);
    assert!(before > 0 && before < MANY as u64, "it was killed in the middle: {before}");
    let followed = following.wait_with_output().unwrap();
    assert!(followed.status.success(), "it waited for the other server: {followed:?}");
    let counts: Value = serde_json::from_slice(&followed.stdout).unwrap();
    assert_eq!((&counts["failed"], &counts["skipped"]), (&json!(0), &json!(0)));
    assert_eq!(counts["rotated"], json!(MANY + 1), "what the first had done counts");
    assert_eq!(current(&remote), MANY as u64 + 1);
    assert_eq!(server.stop(), 0);
}
