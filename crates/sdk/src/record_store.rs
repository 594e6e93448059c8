//! Keeping records.

use std::fmt;

use async_trait::async_trait;
use linkspan_domain::{
    Condition, Cursor, Deleted, Fence, Retention, RunCounts, StreamMemory, StreamName,
    StreamSource, SyncLogId, SyncMode, WorkspaceConnectorId, ports::StoreError,
};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::{
    ChangesQuery, ContentHash, FeedPage, FeedQuery, RecordChange, RecordSearch, Rows, SearchPage,
};

/// Keeps the records that runs bring in.
///
/// # Contract
///
/// - Every write is one database transaction: records, tombstones, the stream's mark and the run's counters
///   change together or not at all. A write for a run that is held under a newer fencing token, or is over,
///   is [`StoreError::Stale`] and changes nothing.
/// - A record is named by stream and key. One whose content hash did not change is not written again, and counts as
///   unchanged; making the same commit twice is therefore harmless.
/// - `read = written + unchanged + quarantined`. Of several rows with one key in one commit the last is kept;
///   the others count as written, or as unchanged if they say the same.
/// - In incremental loads records are visible as soon as they are committed.
/// - A full load writes a new generation: nobody sees anything of it until
///   [`finish_stream`](Self::finish_stream), which swaps the generations. Then records that the load did not
///   meet become tombstones. A load that is opened again by its run on the same [basis](Opening::basis) goes on where it was;
///   one opened by another run, or on another basis, begins anew, and so does its plan.
/// - What becomes visible together, a commit of an incremental load that writes anything or a full load, is one generation of its
///   stream and one entry of the change feed of its workspace. Neither the generations of a stream nor the entries of a feed are ever
///   visible before an earlier one is: who reads on from where they stand misses nothing.
/// - Tombstones are forgotten after their [retention](Finish::retention), but not before the mappings and pushes of their stream have
///   met them. A reader of a feed who has not, and began before they were made, is told [`StoreError::Expired`].
/// - In incremental loads the records that [`Checkpoint::gone`] names become tombstones, behind the rows of the commit,
///   and count as deleted.
/// - What is [remembered](StreamMemory) of a stream is what its visible records were read with: an incremental load
///   leaves it when it is opened, a full load with the swap. A swap to records of another place forgets the mark, which is of the
///   place before.
/// - Records that cannot be stored are kept aside, with the reason: those in [`Checkpoint::rejected`], and
///   rows that the database itself refuses. A load that ends with the [extent](Finish::extent) of all lets go of those
///   that its run did not meet again; a commit, of earlier versions of the records that [`Checkpoint::released`] names and, in
///   an incremental load, of those that it stores.
#[async_trait]
pub trait RecordStore: Send + Sync {
    /// Begins to load a stream, or goes on with it, and makes the stream known.
    async fn open_stream(&self, opening: &Opening) -> Result<Load, StoreError>;

    /// Keeps some records and how far the reading has come.
    async fn commit(&self, checkpoint: &Checkpoint) -> Result<Committed, StoreError>;

    /// Sends the rows of the next commit of `load` to the database while the one before is still at work. `None` if that would gain
    /// nothing, or take what commits need.
    async fn send_ahead(
        &self,
        _load: &Load,
        _rows: &Rows,
    ) -> Result<Option<Box<dyn SentAhead>>, StoreError> {
        Ok(None)
    }

    /// The parts of a full load that are still to be read; `None` if it is read in one go. What the run plans first counts: a run that
    /// is taken over goes on with that, whatever it `proposes` then.
    async fn plan_parts(
        &self,
        load: &Load,
        proposes: &[Condition],
    ) -> Result<Option<Vec<LoadPart>>, StoreError>;

    /// Remembers that a part was read to its end, and all of it is kept.
    async fn finish_part(&self, load: &Load, number: i32) -> Result<(), StoreError>;

    /// Ends a load of which everything was read. Answers how many records are gone from the source.
    async fn finish_stream(&self, finish: &Finish) -> Result<u64, StoreError>;

    /// Some records of a stream, ordered by key.
    async fn page(&self, query: &RecordQuery) -> Result<Vec<Record>, StoreError>;

    /// What changed in a stream behind a position, in order.
    async fn changes(&self, query: &ChangesQuery) -> Result<Vec<RecordChange>, StoreError>;

    /// What changed in a workspace behind a position, in order.
    async fn feed(&self, query: &FeedQuery) -> Result<FeedPage, StoreError>;

    /// Some records of whichever stream of which a condition [holds](linkspan_domain::Condition::holds).
    async fn search(&self, search: &RecordSearch) -> Result<SearchPage, StoreError>;

    /// The keys of some records, live or kept aside, that are behind the end of their group.
    async fn behind(&self, query: &BehindQuery) -> Result<Vec<String>, StoreError>;

    /// Some records of a stream that were kept aside, the oldest first.
    async fn quarantined(&self, query: &QuarantineQuery) -> Result<Vec<Quarantined>, StoreError>;

    /// How many records the streams of an activation have, ordered by name.
    async fn counts(
        &self,
        activation: WorkspaceConnectorId,
    ) -> Result<Vec<StreamCounts>, StoreError>;
}

/// Rows that the database has before their commit begins. Dropping it takes them back.
#[async_trait]
pub trait SentAhead: fmt::Debug + Send + Sync {
    /// Does what [`RecordStore::commit`] does, for a checkpoint of exactly these rows.
    async fn commit(self: Box<Self>, checkpoint: &Checkpoint) -> Result<Committed, StoreError>;
}

/// That a worker holds a run: without the newest token nothing can be written for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldRun {
    /// The run.
    pub id: SyncLogId,
    /// The token that came with the claim.
    pub fence: Fence,
}

/// The beginning of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// On whose account.
    pub run: HeldRun,
    /// Of which activation.
    pub activation: WorkspaceConnectorId,
    /// Which stream.
    pub stream: StreamName,
    /// All of it, or what is new.
    pub mode: SyncMode,
    /// The column that the marks to come are of.
    pub cursor_column: Option<String>,
    /// What to remember of the stream, if the load is an incremental one.
    pub memory: StreamMemory,
    /// Where a push takes its records from: its marks are positions among the changes of that stream.
    pub source: Option<StreamSource>,
    /// What the records are read under: memory and settings. A full load that its run began under something else begins anew.
    pub basis: ContentHash,
    /// When.
    pub now: OffsetDateTime,
}

/// One load of one stream, under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// On whose account.
    pub run: HeldRun,
    /// Of which activation.
    pub activation: WorkspaceConnectorId,
    /// Which stream.
    pub stream: StreamName,
    /// All of it, or what is new.
    pub mode: SyncMode,
    /// The generation that it writes.
    pub generation: i64,
    /// What the stream may hold of the rows to come.
    pub held: Held,
}

/// A part of a full load that is read by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadPart {
    /// Its place in the plan.
    pub number: i32,
    /// What holds of its records, and of no others.
    pub condition: Condition,
}

/// What a stream may hold of the rows to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing, most likely: rows can be added without a look, as long as none turns out to be there.
    Nothing,
    /// Other versions of them, most likely: rows can be written over what is there without a look.
    Versions,
    /// Anything.
    Anything,
}

/// Some records, and how far the reading has come with them.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Of which load.
    pub load: Load,
    /// The records.
    pub rows: Rows,
    /// Those that cannot be stored.
    pub rejected: Vec<Rejected>,
    /// The keys of records of which versions that were kept aside before matter no longer.
    pub released: Vec<String>,
    /// The keys of records that the source has, and that stay as they are: a full load does not bury them.
    pub met: Vec<String>,
    /// The keys of records that are to be kept no longer. In full loads what is not met goes anyway: these are not, whatever the
    /// load brought in of them before.
    pub gone: Vec<String>,
    /// The stream's new mark: everything below it was read.
    pub mark: Option<Cursor>,
    /// What was done besides, and counts for the run: records that were pushed into another system.
    pub pushed: RunCounts,
    /// When.
    pub now: OffsetDateTime,
}

/// A record that cannot be stored as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its key, if it has one: the record is still there, whatever is wrong with it.
    pub key: Option<String>,
    /// What it looks like: JSON, as far as it can be said.
    pub payload: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What came of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// What this commit did. Nothing that is not named is deleted before the end of a load.
    pub counts: RunCounts,
    /// What the stream may hold of the rows that follow.
    pub held: Held,
}

/// The end of a load.
#[derive(Clone, Debug)]
pub struct Finish {
    /// Which load.
    pub load: Load,
    /// What to remember of the stream, if the load is a full one.
    pub memory: StreamMemory,
    /// What becomes of records that a full load did not meet, and of tombstones.
    pub retention: Retention,
    /// How much was read. After all of it, what other runs kept aside is let go.
    pub extent: SyncMode,
    /// When.
    pub now: OffsetDateTime,
}

/// Which records to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordQuery {
    /// Of which activation.
    pub activation: WorkspaceConnectorId,
    /// Of which stream.
    pub stream: StreamName,
    /// Only those whose key is behind this one.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// Whether tombstones are among them.
    pub deleted: Deleted,
}

/// One record as it is kept.
#[derive(Clone, Debug)]
pub struct Record {
    /// What names it within its stream: the value of its primary key; several values as a JSON array of texts; the
    /// content hash in a stream without a primary key. Keys are compared byte by byte.
    pub key: String,
    /// What it says. PostgreSQL keeps no order of fields.
    pub payload: Box<RawValue>,
    /// The hash of what it says.
    pub hash: ContentHash,
    /// The run that last wrote it, as long as its log is kept.
    pub run: Option<SyncLogId>,
    /// When it was first written.
    pub first_seen_at: OffsetDateTime,
    /// When it was last known to be in the source: when it was written, or at the end of the last full load, which meets
    /// every live record that is not stale. Incremental runs that read it unchanged leave no trace.
    pub last_seen_at: OffsetDateTime,
    /// Since when full loads have not met it, if it is to stay for a while nevertheless. Not of tombstones.
    pub stale_since: Option<OffsetDateTime>,
    /// When it was found to be gone from the source.
    pub deleted_at: Option<OffsetDateTime>,
}

/// Which records are behind the end of their group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BehindQuery {
    /// Of which activation.
    pub activation: WorkspaceConnectorId,
    /// Of which stream.
    pub stream: StreamName,
    /// What the keys of the group begin with, up to the numbers in which they differ.
    pub prefix: String,
    /// The key of the last record of the group: those that are longer are behind it, and those that are as long and greater.
    pub last: String,
    /// At most so many.
    pub limit: u32,
}

/// Which of the records that were kept aside to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineQuery {
    /// Of which activation.
    pub activation: WorkspaceConnectorId,
    /// Of which stream.
    pub stream: StreamName,
    /// Only those behind this one.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// A record that was kept aside. One that is met again and again is kept once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its place in the order of the list.
    pub position: i64,
    /// Its key, if it has one.
    pub key: Option<String>,
    /// What it looks like.
    pub payload: String,
    /// What is wrong with it.
    pub reason: String,
    /// The run that last met it, as long as its log is kept.
    pub run: Option<SyncLogId>,
    /// When it was first met.
    pub first_seen_at: OffsetDateTime,
    /// When it was last met.
    pub last_seen_at: OffsetDateTime,
}

/// How many records a stream has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCounts {
    /// Which stream.
    pub stream: StreamName,
    /// Live records that readers see.
    pub records: u64,
    /// Records that were kept aside.
    pub quarantined: u64,
}
