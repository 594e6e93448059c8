//! An activation whose runs are started, claimed and ended by hand.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use linkspan_domain::{
    AuditEventId, Deleted, Receipt, Retention, RunCounts, RunEnd, RunOutcome, Status, StreamMemory,
    SyncLog, SyncLogId, SyncMode, Trigger, Visible, WorkspaceConnector,
    ports::{StoreError, SyncStore},
};
use linkspan_persistence::Database;
use linkspan_sdk::{
    Checkpoint, Committed, ContentHash, Finish, HeldRun, Load, Opening, Record, RecordQuery,
    RecordStore, Rejected, Rows,
};
use linkspan_testkit::fixtures::{EPOCH, Place, Specimen, id, receipt};
use time::{Duration, OffsetDateTime};

use crate::place::{furnished, keep};

/// An activation, and everything that its runs need.
pub(crate) struct Bench {
    pub(crate) db: Database,
    pub(crate) place: Place,
    pub(crate) activation: WorkspaceConnector,
    pub(crate) syncs: Arc<dyn SyncStore>,
    pub(crate) records: Arc<dyn RecordStore>,
    pub(crate) runs: AtomicU32,
    /// What is remembered of its stream.
    pub(crate) memory: StreamMemory,
}

/// The event that says that a run ended.
pub(crate) fn end_of(run: SyncLogId) -> AuditEventId {
    AuditEventId::from_uuid(run.uuid())
}

/// So long does a worker of these tests hold a run.
pub(crate) const LEASE: Duration = Duration::minutes(1);

impl Bench {
    /// A new database at `url`, with an activation that is ready.
    pub(crate) async fn new(url: &str) -> Self {
        let (db, place) = furnished(url).await;
        let activation = WorkspaceConnector {
            status: Status::Enabled,
            ..WorkspaceConnector::specimen(1, &place)
        };
        keep(&*db.workspace_connectors(), [activation.clone()]).await;
        let (syncs, records) = (db.syncs(), db.records());
        let (runs, memory) = (AtomicU32::new(1), StreamMemory::default());
        Self { db, place, activation, syncs, records, runs, memory }
    }

    /// Another activation in the same place. Numbers are not used twice.
    pub(crate) async fn another(&self, number: u32) -> Self {
        let activation = WorkspaceConnector {
            status: Status::Enabled,
            workspace_id: self.activation.workspace_id,
            ..WorkspaceConnector::specimen(number, &self.place)
        };
        keep(&*self.db.workspace_connectors(), [activation.clone()]).await;
        let (db, place) = (self.db.clone(), self.place.clone());
        let (syncs, records) = (Arc::clone(&self.syncs), Arc::clone(&self.records));
        let (runs, memory) = (AtomicU32::new(number * 1_000), StreamMemory::default());
        Self { db, place, activation, syncs, records, runs, memory }
    }

    /// The time when the run with this number is at work.
    pub(crate) fn at(run: u32) -> OffsetDateTime {
        EPOCH + Duration::hours(run.into())
    }

    /// The next run, with the receipt of its start.
    pub(crate) fn next_run(&self, mode: SyncMode) -> (SyncLog, Receipt) {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let WorkspaceConnector { id: activation, workspace_id, .. } = self.activation;
        let (id, now) = (id(900_000 + number), Self::at(number));
        let run = SyncLog {
            streams: vec!["orders".parse().unwrap()],
            ..SyncLog::waiting(id, activation, workspace_id, Trigger::Manual, mode, now)
        };
        (run, receipt(900_000 + number, None))
    }

    /// Starts a run, and claims it.
    pub(crate) async fn begin(&self, mode: SyncMode) -> HeldRun {
        let (run, receipt) = self.next_run(mode);
        self.syncs.start(&run, &receipt).await.unwrap();
        self.take(run.id, run.created_at).await
    }

    /// Claims a run.
    pub(crate) async fn take(&self, run: SyncLogId, now: OffsetDateTime) -> HeldRun {
        let claimed = self.syncs.claim("worker", Some(run), now, now + LEASE).await.unwrap();
        let claimed = claimed.unwrap();
        HeldRun { id: claimed.id, fence: claimed.fence }
    }

    /// Ends a run.
    pub(crate) async fn end(&self, run: HeldRun, end: RunEnd) -> Result<(), StoreError> {
        let error = match end {
            RunEnd::Clean | RunEnd::Lossy => None,
            _ => Some(("source.unavailable".to_owned(), "it rained".to_owned())),
        };
        let outcome = RunOutcome { end, counts: RunCounts::default(), error };
        let now = self.log(run.id).await.created_at + Duration::minutes(1);
        self.syncs.finish(run.id, run.fence, &outcome, end_of(run.id), now).await
    }

    /// A run as it is stored.
    pub(crate) async fn log(&self, run: SyncLogId) -> SyncLog {
        self.syncs.find(&self.visible(), run).await.unwrap().unwrap()
    }

    /// The status of the activation as it is stored.
    pub(crate) async fn status(&self) -> Status {
        self.stored().await.status
    }

    /// The activation as it is stored.
    pub(crate) async fn stored(&self) -> WorkspaceConnector {
        let store = self.db.workspace_connectors();
        store.find(&self.visible(), self.activation.id).await.unwrap().unwrap()
    }

    pub(crate) fn visible(&self) -> Visible {
        Visible::only(self.activation.workspace_id)
    }

    /// Opens the stream `orders` for a load.
    pub(crate) async fn open(&self, run: HeldRun, mode: SyncMode) -> Result<Load, StoreError> {
        self.open_on("basis", run, mode).await
    }

    /// The same, on a basis.
    pub(crate) async fn open_on(
        &self,
        basis: &str,
        run: HeldRun,
        mode: SyncMode,
    ) -> Result<Load, StoreError> {
        let basis = ContentHash::of(basis);
        let opening = Opening { basis, ..self.opening(run, mode) };
        self.records.open_stream(&opening).await
    }

    /// What opens the stream `orders`.
    pub(crate) fn opening(&self, run: HeldRun, mode: SyncMode) -> Opening {
        Opening {
            basis: ContentHash::of("basis"),
            run,
            activation: self.activation.id,
            stream: "orders".parse().unwrap(),
            mode,
            cursor_column: (mode == SyncMode::Incremental).then(|| "id".to_owned()),
            memory: self.memory.clone(),
            source: None,
            now: EPOCH,
        }
    }

    /// Commits rows of key and payload.
    pub(crate) async fn commit(
        &self,
        load: &Load,
        rows: &[(&str, &str)],
    ) -> Result<Committed, StoreError> {
        self.records.commit(&checkpoint(load, rows)).await
    }

    /// Ends a load.
    pub(crate) async fn finish(&self, load: Load) -> Result<u64, StoreError> {
        self.records
            .finish_stream(&Finish {
                extent: load.mode,
                load,
                memory: self.memory.clone(),
                retention: Retention::default(),
                now: EPOCH + Duration::days(1),
            })
            .await
    }

    /// A whole full load in a run of its own. Answers what each commit did, and how many went.
    pub(crate) async fn full(&self, rows: &[(&str, &str)]) -> (RunCounts, u64) {
        let run = self.begin(SyncMode::Full).await;
        let load = self.open(run, SyncMode::Full).await.unwrap();
        let counts = self.commit(&load, rows).await.unwrap().counts;
        let deleted = self.finish(load).await.unwrap();
        self.end(run, RunEnd::Clean).await.unwrap();
        (counts, deleted)
    }

    /// What readers see: key and payload.
    pub(crate) async fn seen(&self) -> Vec<(String, String)> {
        let records = self.page(Deleted::Hidden).await;
        records.into_iter().map(|it| (it.key, it.payload.get().replace(": ", ":"))).collect()
    }

    /// An incremental load of a run of its own.
    pub(crate) async fn incremental(&self) -> Load {
        let run = self.begin(SyncMode::Incremental).await;
        self.open(run, SyncMode::Incremental).await.unwrap()
    }

    /// All records, with or without tombstones.
    pub(crate) async fn page(&self, deleted: Deleted) -> Vec<Record> {
        let query = RecordQuery {
            activation: self.activation.id,
            stream: "orders".parse().unwrap(),
            after: None,
            limit: 1_000,
            deleted,
        };
        self.records.page(&query).await.unwrap()
    }

    /// How many records the stream says that it has, which must be as many as there are.
    pub(crate) async fn count(&self) -> u64 {
        let counts = self.records.counts(self.activation.id).await.unwrap();
        assert_eq!(counts.len(), 1);
        let state = self.syncs.streams(self.activation.id).await.unwrap();
        assert_eq!(state[0].records, counts[0].records);
        assert_eq!(counts[0].records, self.seen().await.len() as u64);
        counts[0].records
    }
}

/// A checkpoint of rows of key and payload.
pub(crate) fn checkpoint(load: &Load, rows: &[(&str, &str)]) -> Checkpoint {
    let mut packed = Rows::default();
    for (key, payload) in rows {
        packed.push(key, payload, ContentHash::of(payload));
    }
    let rejected: Vec<Rejected> = Vec::new();
    Checkpoint {
        load: load.clone(),
        rows: packed,
        rejected,
        released: Vec::new(),
        met: Vec::new(),
        gone: Vec::new(),
        mark: None,
        pushed: RunCounts::default(),
        now: EPOCH,
    }
}

/// `written`, `unchanged` and `quarantined` of a commit, whose `read` must be their sum.
pub(crate) fn did(counts: RunCounts) -> (u64, u64, u64) {
    let RunCounts { read, written, unchanged, quarantined, .. } = counts;
    assert_eq!(read, written + unchanged + quarantined);
    (written, unchanged, quarantined)
}

/// How many rows a table has, past the stores.
pub(crate) async fn rows(url: &str, table: &str) -> i64 {
    use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection, query_scalar};
    let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }
}
