//! Records on SQLite.

mod commit;
mod swap;
mod writing;

use async_trait::async_trait;
use linkspan_domain::{Condition, RunCounts, SyncMode, WorkspaceConnectorId, ports::StoreError};
use linkspan_sdk::{
    ChangesQuery, Checkpoint, Committed, FeedPage, FeedQuery, Finish, Held, HeldRun, Load,
    LoadPart, Opening, QuarantineQuery, Quarantined, Record, RecordChange, RecordQuery,
    RecordSearch, RecordStore, SearchPage, StreamCounts,
};
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};

use self::{
    commit::Commit,
    swap::{discard, swap},
};
use super::{
    changes, lifecycle,
    merge::names,
    parts, reading, search,
    stream::{self, Leftovers, StreamColumns, StreamRow},
};
use crate::{database::Database, error::sqlx_error, session::Session};

/// Keeps records on SQLite, many to a statement: the cost is in the statements, not in the rows.
pub(crate) struct SqliteRecords {
    db: Database,
    writer: SqlitePool,
}

impl SqliteRecords {
    pub(crate) const fn new(db: Database, writer: SqlitePool) -> Self {
        Self { db, writer }
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(sqlx_error)
    }
}

#[async_trait]
impl RecordStore for SqliteRecords {
    async fn open_stream(&self, opening: &Opening) -> Result<Load, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(stream::ADD)
            .bind(opening.stream.as_str())
            .bind(opening.run.id.uuid())
            .bind(opening.run.fence.0)
            .bind(opening.activation.uuid())
            .execute(&mut *tx)
            .await
            .map_err(sqlx_error)?;
        let mut row =
            find(&mut tx, opening.run, opening.activation, opening.stream.as_str()).await?;
        let (generation, leftovers) = row.begin(opening);
        if let Leftovers::Discard { beyond } = leftovers {
            discard(&mut tx, &row, beyond).await?;
        }
        lifecycle::open(Session::sqlite(tx), &row, opening, generation).await
    }

    async fn commit(&self, checkpoint: &Checkpoint) -> Result<Committed, StoreError> {
        let load = &checkpoint.load;
        let mut tx = self.begin().await?;
        let row = find(&mut tx, load.run, load.activation, load.stream.as_str()).await?;
        let generation = row.generation_of(load)?;
        let mut commit = Commit { tx: &mut tx, row: &row, load, generation, now: checkpoint.now };
        let (mut plan, held) = match load.held {
            Held::Nothing => match commit.add_all(&checkpoint.rows).await? {
                Some(plan) => (plan, Held::Nothing),
                None => (commit.merge(&checkpoint.rows).await?, Held::Anything),
            },
            // Here a look costs next to nothing.
            Held::Versions | Held::Anything => {
                (commit.merge(&checkpoint.rows).await?, Held::Anything)
            }
        };
        let aside = commit.set_aside(&checkpoint.rejected).await?;
        commit.see(&names(&checkpoint.met)).await?;
        commit.release(&names(&checkpoint.released)).await?;
        commit.mend(&checkpoint.rows).await?;
        plan.appearing -= commit.retract(&names(&checkpoint.gone)).await?;
        let deleted = commit.bury(&checkpoint.gone).await?;
        let counts = RunCounts { deleted, ..plan.counts(&checkpoint.rows, aside) };
        let counts = counts.plus(checkpoint.pushed);
        let advance = row.advance(load, &plan, deleted, generation);
        let session = Session::sqlite(tx);
        lifecycle::commit(session, &row, checkpoint, &advance, &counts).await?;
        Ok(Committed { counts, held })
    }

    async fn plan_parts(
        &self,
        load: &Load,
        proposes: &[Condition],
    ) -> Result<Option<Vec<LoadPart>>, StoreError> {
        let mut tx = self.begin().await?;
        let row = find(&mut tx, load.run, load.activation, load.stream.as_str()).await?;
        row.generation_of(load)?;
        let session = Session::sqlite(tx);
        let left = parts::plan(&session, &row, proposes).await?;
        session.commit().await?;
        Ok(left)
    }

    async fn finish_part(&self, load: &Load, number: i32) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = find(&mut tx, load.run, load.activation, load.stream.as_str()).await?;
        row.generation_of(load)?;
        let session = Session::sqlite(tx);
        parts::finish(&session, &row, number).await?;
        session.commit().await
    }

    async fn finish_stream(&self, finish: &Finish) -> Result<u64, StoreError> {
        let load = &finish.load;
        let mut tx = self.begin().await?;
        let row = find(&mut tx, load.run, load.activation, load.stream.as_str()).await?;
        let generation = row.generation_of(load)?;
        let buried = match load.mode {
            SyncMode::Full => swap(&mut tx, &row, generation, finish).await?,
            SyncMode::Incremental => 0,
        };
        lifecycle::finish(Session::sqlite(tx), &row, finish, generation, buried).await
    }

    async fn page(&self, query: &RecordQuery) -> Result<Vec<Record>, StoreError> {
        reading::page(&self.db.read().await?, query).await
    }

    async fn changes(&self, query: &ChangesQuery) -> Result<Vec<RecordChange>, StoreError> {
        changes::of_stream(&self.db.read().await?, query).await
    }

    async fn feed(&self, query: &FeedQuery) -> Result<FeedPage, StoreError> {
        changes::of_workspace(&self.db.read().await?, query).await
    }

    async fn search(&self, search: &RecordSearch) -> Result<SearchPage, StoreError> {
        search::search(&self.db.read().await?, self.db.search_time(), search).await
    }

    async fn quarantined(&self, query: &QuarantineQuery) -> Result<Vec<Quarantined>, StoreError> {
        reading::quarantined(&self.db.read().await?, query).await
    }

    async fn counts(
        &self,
        activation: WorkspaceConnectorId,
    ) -> Result<Vec<StreamCounts>, StoreError> {
        reading::counts(&self.db.read().await?, activation).await
    }
}

async fn find(
    tx: &mut SqliteConnection,
    run: HeldRun,
    activation: WorkspaceConnectorId,
    name: &str,
) -> Result<StreamRow, StoreError> {
    let found: Option<StreamColumns> = sqlx::query_as(stream::FIND)
        .bind(name)
        .bind(run.id.uuid())
        .bind(run.fence.0)
        .bind(activation.uuid())
        .fetch_optional(tx)
        .await
        .map_err(sqlx_error)?;
    StreamRow::from_columns(found.ok_or(StoreError::Stale)?)
}
