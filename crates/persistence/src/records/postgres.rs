//! Records on PostgreSQL.

mod commit;
mod copy;
mod lookup;
mod swap;

use std::sync::Arc;

use async_trait::async_trait;
use linkspan_domain::{Condition, RunCounts, SyncMode, WorkspaceConnectorId, ports::StoreError};
use linkspan_sdk::{
    ChangesQuery, Checkpoint, Committed, FeedPage, FeedQuery, Finish, Held, HeldRun, Load,
    LoadPart, Opening, QuarantineQuery, Quarantined, Record, RecordChange, RecordQuery,
    RecordSearch, RecordStore, Rows, SearchPage, SentAhead, StreamCounts,
};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::{
    commit::{Commit, Sent},
    swap::{discard, swap},
};
use super::{
    changes, lifecycle,
    merge::names,
    parts, reading, search,
    stream::{self, Leftovers, StreamColumns, StreamRow},
};
use crate::{database::Database, error::sqlx_error, session::Session};

/// Keeps records on PostgreSQL. New ones arrive by COPY straight into their table; changed ones by COPY into a
/// temporary table and one statement. Statements are unnamed and every call is one transaction, so PgBouncer may
/// stand in between.
pub(crate) struct PostgresRecords {
    db: Database,
    pool: PgPool,
    /// The connections on which rows may be sent ahead. They wait for other commits, so some must be left for those.
    ahead: Arc<Semaphore>,
}

impl PostgresRecords {
    pub(crate) fn new(db: Database, pool: PgPool) -> Self {
        let half = pool.options().get_max_connections() / 2;
        let ahead = Arc::new(Semaphore::new(half as usize));
        Self { db, pool, ahead }
    }
}

/// Rows in a table of their own, in the transaction that is to commit them.
#[derive(Debug)]
struct Ahead {
    tx: Transaction<'static, Postgres>,
    pool: PgPool,
    sent: Sent,
    _permit: OwnedSemaphorePermit,
}

#[async_trait]
impl SentAhead for Ahead {
    async fn commit(self: Box<Self>, checkpoint: &Checkpoint) -> Result<Committed, StoreError> {
        let Self { tx, pool, sent, _permit } = *self;
        commit(tx, &pool, checkpoint, Some(sent)).await
    }
}

#[async_trait]
impl RecordStore for PostgresRecords {
    async fn open_stream(&self, opening: &Opening) -> Result<Load, StoreError> {
        let mut tx = self.pool.begin().await.map_err(sqlx_error)?;
        sqlx::query(stream::ADD)
            .bind(opening.stream.as_str())
            .bind(opening.run.id.uuid())
            .bind(opening.run.fence.0)
            .bind(opening.activation.uuid())
            .persistent(false)
            .execute(&mut *tx)
            .await
            .map_err(sqlx_error)?;
        let mut row =
            lock(&mut tx, opening.run, opening.activation, opening.stream.as_str()).await?;
        let (generation, leftovers) = row.begin(opening);
        if let Leftovers::Discard { beyond } = leftovers {
            discard(&mut tx, &row, beyond).await?;
        }
        lifecycle::open(Session::postgres(tx, &self.pool), &row, opening, generation).await
    }

    async fn commit(&self, checkpoint: &Checkpoint) -> Result<Committed, StoreError> {
        let mut tx = self.pool.begin().await.map_err(sqlx_error)?;
        let sent = match checkpoint.load.held {
            Held::Versions => Some(Sent::all(&mut tx, &checkpoint.rows).await?),
            Held::Nothing | Held::Anything => None,
        };
        commit(tx, &self.pool, checkpoint, sent).await
    }

    async fn send_ahead(
        &self,
        load: &Load,
        rows: &Rows,
    ) -> Result<Option<Box<dyn SentAhead>>, StoreError> {
        if load.held != Held::Versions {
            return Ok(None);
        }
        let Ok(permit) = Arc::clone(&self.ahead).try_acquire_owned() else { return Ok(None) };
        let mut tx = self.pool.begin().await.map_err(sqlx_error)?;
        let sent = Sent::all(&mut tx, rows).await?;
        Ok(Some(Box::new(Ahead { tx, pool: self.pool.clone(), sent, _permit: permit })))
    }

    async fn plan_parts(
        &self,
        load: &Load,
        proposes: &[Condition],
    ) -> Result<Option<Vec<LoadPart>>, StoreError> {
        let mut tx = self.pool.begin().await.map_err(sqlx_error)?;
        let row = lock(&mut tx, load.run, load.activation, load.stream.as_str()).await?;
        row.generation_of(load)?;
        let session = Session::postgres(tx, &self.pool);
        let left = parts::plan(&session, &row, proposes).await?;
        session.commit().await?;
        Ok(left)
    }

    async fn finish_part(&self, load: &Load, number: i32) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await.map_err(sqlx_error)?;
        let row = lock(&mut tx, load.run, load.activation, load.stream.as_str()).await?;
        row.generation_of(load)?;
        let session = Session::postgres(tx, &self.pool);
        parts::finish(&session, &row, number).await?;
        session.commit().await
    }

    async fn finish_stream(&self, finish: &Finish) -> Result<u64, StoreError> {
        let load = &finish.load;
        let mut tx = self.pool.begin().await.map_err(sqlx_error)?;
        let row = lock(&mut tx, load.run, load.activation, load.stream.as_str()).await?;
        let generation = row.generation_of(load)?;
        let buried = match load.mode {
            SyncMode::Full => swap(&mut tx, &row, generation, finish).await?,
            SyncMode::Incremental => 0,
        };
        lifecycle::finish(Session::postgres(tx, &self.pool), &row, finish, generation, buried).await
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

/// Commits a checkpoint whose rows may have been sent already.
async fn commit(
    mut tx: Transaction<'static, Postgres>,
    pool: &PgPool,
    checkpoint: &Checkpoint,
    sent: Option<Sent>,
) -> Result<Committed, StoreError> {
    let Checkpoint { load, rows, .. } = checkpoint;
    let row = lock(&mut tx, load.run, load.activation, load.stream.as_str()).await?;
    let generation = row.generation_of(load)?;
    let now = checkpoint.now;
    let mut commit = Commit { tx: &mut tx, row: &row, load, generation, now, aside: Vec::new() };
    let (mut plan, held) = match (sent, load.held) {
        (Some(sent), _) => commit.overwrite(rows, sent).await?.with_held_next(load.mode),
        (None, Held::Nothing) => match commit.add_all(rows).await? {
            Some(plan) => (plan, Held::Nothing),
            None => (commit.merge(rows).await?, Held::Anything),
        },
        (None, _) => commit.merge(rows).await?.with_held_next(load.mode),
    };
    let aside = commit.set_aside(&checkpoint.rejected).await?;
    commit.see(&names(&checkpoint.met)).await?;
    commit.release(&names(&checkpoint.released)).await?;
    commit.mend(rows).await?;
    plan.appearing -= commit.retract(&names(&checkpoint.gone)).await?;
    let deleted = commit.bury(&checkpoint.gone).await?;
    let counts = RunCounts { deleted, ..plan.counts(rows, aside) };
    let counts = counts.plus(checkpoint.pushed);
    let advance = row.advance(load, &plan, deleted, generation);
    let session = Session::postgres(tx, pool);
    lifecycle::commit(session, &row, checkpoint, &advance, &counts).await?;
    Ok(Committed { counts, held })
}

async fn lock(
    tx: &mut PgConnection,
    run: HeldRun,
    activation: WorkspaceConnectorId,
    name: &str,
) -> Result<StreamRow, StoreError> {
    let found: Option<StreamColumns> = sqlx::query_as(stream::FIND_AND_LOCK)
        .bind(name)
        .bind(run.id.uuid())
        .bind(run.fence.0)
        .bind(activation.uuid())
        .persistent(false)
        .fetch_optional(tx)
        .await
        .map_err(sqlx_error)?;
    StreamRow::from_columns(found.ok_or(StoreError::Stale)?)
}
