//! An engine over a real database, with one activation.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use linkspan_domain::{
    Condition, Connector, CursorType, Deleted, RunOutcome, Status, StreamName, StreamSettings,
    StreamSource, StreamState, SyncLog, SyncLogId, SyncMode, Trigger, Visible, Workspace,
    WorkspaceConnector,
    ports::{Change, Outbound, World},
};
use linkspan_engine::{
    Connection, Connections, Ended, Engine, EngineLimits, Models, Progress, RunEvent, Stop,
    SyncError,
};
use linkspan_persistence::{Database, connect};
use linkspan_sdk::{BatchLimits, Definition, Environment, OpenHosts, Record, RecordQuery};
use linkspan_testkit::{
    Answer, Answers, TestPostgres,
    fixtures::{Place, Specimen, id, receipt},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use uuid::Uuid;

/// The time as it is, and identifiers as they come.
pub(crate) struct RealWorld;

impl World for RealWorld {
    #[expect(clippy::disallowed_methods, reason = "this is the port")]
    fn now(&self) -> OffsetDateTime {
        let now = OffsetDateTime::now_utc();
        now.replace_nanosecond(now.nanosecond() / 1_000 * 1_000).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the port")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// Opens the one activation, with a definition that tests set.
pub(crate) struct Opener {
    db: Database,
    pub(crate) definition: Mutex<Definition>,
    pub(crate) filter: Mutex<Option<Condition>>,
    pub(crate) settings: Mutex<Value>,
    pub(crate) outbound: Mutex<Arc<dyn Outbound>>,
}

#[async_trait]
impl Connections for Opener {
    async fn open(&self, run: &SyncLog) -> Result<Connection, SyncError> {
        let store = self.db.workspace_connectors();
        let found = store.find(&Visible::only(run.workspace_id), run.workspace_connector_id).await;
        let activation = found.map_err(SyncError::Store)?.ok_or(SyncError::Gone)?;
        let definition = self.definition.lock().unwrap().clone();
        let outbound = Arc::clone(&self.outbound.lock().unwrap());
        let environment = Environment::new(outbound, Arc::new(OpenHosts));
        let filter = self.filter.lock().unwrap().clone();
        let settings = self.settings.lock().unwrap().clone();
        Ok(Connection { activation, definition, settings, environment, filter })
    }

    async fn admit(&self, _: &SyncLog, _: &StreamSource) -> Result<(), SyncError> {
        Ok(())
    }
}

/// Remembers what it was told.
#[derive(Default)]
pub(crate) struct Told(pub(crate) Mutex<Vec<RunEvent>>);

impl Progress for Told {
    fn report(&self, _: SyncLogId, event: &RunEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

pub(crate) struct Bench {
    pub(crate) db: Database,
    pub(crate) engine: Engine,
    pub(crate) opener: Arc<Opener>,
    pub(crate) told: Arc<Told>,
    pub(crate) activation: WorkspaceConnector,
}

/// Small and quick.
pub(crate) const LIMITS: EngineLimits = EngineLimits {
    lease: time::Duration::milliseconds(600),
    batch: BatchLimits { rows: 100, bytes: 1 << 20 },
    checkpoint_rows: 10,
    checkpoint_bytes: 1 << 20,
    checkpoint_age: Duration::from_millis(50),
    reads: 2,
    parts: 4,
    stall: Duration::from_secs(10),
    crashes: 100,
    retries: 2,
    retry_wait: Duration::from_millis(1),
    quarantine_few: 5,
    quarantine_floor: 10,
    quarantine_percent: 50,
};

impl Bench {
    /// A new database at `url`, with an activation that `definition` serves.
    pub(crate) async fn new(url: &str, definition: Definition) -> Self {
        let db = connect(url).await.unwrap();
        db.migrate().await.unwrap();
        let place = Place {
            organization: id(1),
            stranger: id(2),
            workspace: id(1),
            lower_workspace: id(1),
            foreign_workspace: id(3),
            person: id(1),
            connectors: vec![id(1)],
            provider: id(1),
            activation: id(4),
        };
        let first = Workspace { parent_id: None, ..Workspace::specimen(1, &place) };
        let first = db.access().bootstrap(&first).await.unwrap();
        let place = Place { workspace: first.id, lower_workspace: first.id, ..place };
        let connector = Connector::specimen(1, &place);
        let connectors = db.connectors();
        connectors.write(&[Change::Insert(connector)], &receipt(1, None)).await.unwrap();
        let activation = WorkspaceConnector {
            status: Status::Enabled,
            person_id: None,
            output_schemas: Vec::new(),
            streams: vec![settings(None)],
            ..WorkspaceConnector::specimen(4, &place)
        };
        let store = db.workspace_connectors();
        store.write(&[Change::Insert(activation.clone())], &receipt(2, None)).await.unwrap();
        Self::over(db, activation, definition)
    }

    /// What was set up before, by another process.
    pub(crate) async fn again(url: &str, definition: Definition) -> Self {
        let db = connect(url).await.unwrap();
        // Everything but the identifiers is read from the database.
        let place = Place {
            organization: id(1),
            stranger: id(2),
            workspace: id(1),
            lower_workspace: id(1),
            foreign_workspace: id(3),
            person: id(1),
            connectors: vec![id(1)],
            provider: id(1),
            activation: id(4),
        };
        Self::over(db, WorkspaceConnector::specimen(4, &place), definition)
    }

    fn over(db: Database, activation: WorkspaceConnector, definition: Definition) -> Self {
        let opener = Opener {
            db: db.clone(),
            definition: Mutex::new(definition),
            filter: Mutex::default(),
            settings: Mutex::new(json!({})),
            outbound: Mutex::new(Arc::new(Answers::always(Answer::Unreachable))),
        };
        let (opener, told) = (Arc::new(opener), Arc::new(Told::default()));
        let engine = Engine {
            syncs: db.syncs(),
            records: db.records(),
            entities: db.mapped(),
            models: Arc::new(models()),
            diagnostics: db.diagnostics(),
            connections: Arc::clone(&opener) as _,
            world: Arc::new(RealWorld),
            progress: Arc::clone(&told) as _,
            limits: LIMITS,
        };
        Self { db, engine, opener, told, activation }
    }

    /// From now on `definition` serves the activation.
    pub(crate) fn serve(&self, definition: Definition) {
        *self.opener.definition.lock().unwrap() = definition;
    }

    /// From now on the settings point at `host`.
    pub(crate) fn point_at(&self, host: &str) {
        *self.opener.settings.lock().unwrap() = json!({ "host": host });
    }

    /// What is remembered of a stream.
    pub(crate) async fn state(&self, stream: &str) -> Option<StreamState> {
        self.engine.syncs.stream(self.activation.id, &stream.parse().unwrap()).await.unwrap()
    }

    /// Starts a run. A worker is still to claim it.
    pub(crate) async fn start(&self, mode: SyncMode, streams: &[&str]) -> SyncLogId {
        let now = self.engine.world.now();
        let id = SyncLogId::from_uuid(self.engine.world.uuid());
        let WorkspaceConnector { id: activation, workspace_id, .. } = self.activation;
        let run = SyncLog {
            streams: streams.iter().map(|it| it.parse().unwrap()).collect(),
            ..SyncLog::waiting(id, activation, workspace_id, Trigger::Manual, mode, now)
        };
        let mut receipt = receipt(3, None);
        receipt.audit.id = linkspan_domain::AuditEventId::from_uuid(self.engine.world.uuid());
        self.engine.syncs.start(&run, &receipt).await.unwrap();
        run.id
    }

    /// Claims a run.
    pub(crate) async fn claim(&self, run: SyncLogId) -> SyncLog {
        self.engine.claim("worker", Some(run)).await.unwrap().unwrap()
    }

    /// Works a run off, to its end.
    pub(crate) async fn finish(&self, run: SyncLogId) -> RunOutcome {
        let run = self.claim(run).await;
        let ended = self.engine.run(run, &Stop::default()).await;
        let Ended::Finished(outcome) = ended else { panic!("{ended:?}") };
        outcome
    }

    /// Works on a run until something has happened, and gives it back.
    pub(crate) async fn give_back(&self, run: SyncLogId, happened: impl Future<Output = ()>) {
        let run = self.claim(run).await;
        let (engine, stop) = (self.engine.clone(), Stop::default());
        let working = tokio::spawn({
            let stop = stop.clone();
            async move { engine.run(run, &stop).await }
        });
        happened.await;
        stop.drain.cancel();
        assert_eq!(working.await.unwrap(), Ended::Released);
    }

    /// Waits until a run has written so many records.
    pub(crate) async fn written(&self, run: SyncLogId, records: u64) {
        while self.log(run).await.counts.written < records {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A whole run.
    pub(crate) async fn sync(&self, mode: SyncMode) -> RunOutcome {
        let id = self.start(mode, &[]).await;
        let outcome = self.finish(id).await;
        let log = self.log(id).await;
        assert_eq!(log.status, outcome.status());
        assert_eq!(log.error_code.zip(log.error), outcome.error);
        assert_eq!(log.counts, outcome.counts, "the log counts what the engine counts");
        outcome
    }

    pub(crate) async fn log(&self, run: SyncLogId) -> SyncLog {
        let visible = Visible::only(self.activation.workspace_id);
        self.engine.syncs.find(&visible, run).await.unwrap().unwrap()
    }

    pub(crate) async fn stored(&self) -> WorkspaceConnector {
        let visible = Visible::only(self.activation.workspace_id);
        let store = self.db.workspace_connectors();
        store.find(&visible, self.activation.id).await.unwrap().unwrap()
    }

    pub(crate) async fn status(&self) -> Status {
        self.stored().await.status
    }

    /// All records of a stream, or the live ones.
    pub(crate) async fn records(&self, stream: &str, deleted: Deleted) -> Vec<Record> {
        let stream: StreamName = stream.parse().unwrap();
        let mut all: Vec<Record> = Vec::new();
        loop {
            let query = RecordQuery {
                activation: self.activation.id,
                stream: stream.clone(),
                after: all.last().map(|it| it.key.clone()),
                limit: 500,
                deleted,
            };
            let page = self.engine.records.page(&query).await.unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// What the live records of a stream say.
    pub(crate) async fn texts(&self, stream: &str) -> Vec<String> {
        let records = self.records(stream, Deleted::Hidden).await;
        let text = |record: &Record| -> String {
            let payload: serde_json::Value = serde_json::from_str(record.payload.get()).unwrap();
            payload["text"].as_str().unwrap().to_owned()
        };
        records.iter().map(text).collect()
    }

    /// The mark of a stream.
    pub(crate) async fn mark(&self, stream: &str) -> Option<String> {
        self.state(stream).await.and_then(|it| it.cursor_after)
    }
}

/// The target models of the program.
pub(crate) fn models() -> Models {
    Models::parse(include_str!("../../../../seeds/models.json")).unwrap()
}

/// Settings that make `at` the cursor.
pub(crate) fn settings(cursor_after: Option<&str>) -> StreamSettings {
    StreamSettings {
        cursor_column: Some("at".to_owned()),
        cursor_type: Some(CursorType::Int),
        cursor_after: cursor_after.map(str::to_owned),
        ..StreamSettings::default()
    }
}

/// Runs `test` on an empty SQLite database.
pub(crate) async fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(String) -> F) {
    let folder = TempDir::new().unwrap();
    test(format!("sqlite://{}", folder.path().join("linkspan.db").display())).await;
}

/// Runs `test` on an empty PostgreSQL database.
pub(crate) async fn on_postgres<F: Future<Output = ()>>(test: impl FnOnce(String) -> F) {
    let database = TestPostgres::create().await;
    test(database.url()).await;
    database.remove().await;
}

pub(crate) async fn for_both<F: Future<Output = ()>>(test: impl Fn(String) -> F) {
    on_sqlite(&test).await;
    on_postgres(&test).await;
}
