//! Records on SQLite.

mod reading;
mod writing;

use async_trait::async_trait;
use linkspan_domain::{RunCounts, SyncMode, WorkspaceConnectorId, ports::StoreError};
use linkspan_sdk::{
    Checkpoint, Committed, ContentHash, Finish, Held, HeldRun, Load, Opening, QuarantineQuery,
    Quarantined, Record, RecordQuery, RecordStore, Rejected, Rows, StreamCounts,
};
use sqlx::{Acquire, Sqlite, SqliteConnection, SqlitePool, Transaction};
use time::OffsetDateTime;

use self::writing::{Common, INSERT, REPLACE, STAGE, existing, write};
use super::{
    merge::{Plan, Unique},
    stream::{self, Leftovers, StreamColumns, StreamRow, count_columns},
};
use crate::{
    error::sqlx_error,
    instant::{microseconds, sqlite_text},
    number::signed,
};

/// Keeps records on SQLite, many to a statement: the cost is in the statements, not in the rows.
pub(crate) struct SqliteRecords {
    readers: SqlitePool,
    writer: SqlitePool,
}

impl SqliteRecords {
    pub(crate) const fn new(readers: SqlitePool, writer: SqlitePool) -> Self {
        Self { readers, writer }
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
        sqlx::query(stream::BEGIN)
            .bind(row.pk)
            .bind(row.generation)
            .bind(row.last_generation)
            .bind(row.loading.map(|it| it.0))
            .bind(row.loading.map(|it| it.1))
            .bind(&row.cursor_column)
            .bind(&row.cursor_after)
            .execute(&mut *tx)
            .await
            .map_err(sqlx_error)?;
        let is_filled: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM records WHERE stream_pk = $1)")
                .bind(row.pk)
                .fetch_one(&mut *tx)
                .await
                .map_err(sqlx_error)?;
        count(&mut tx, &row, opening.run, &RunCounts::default(), opening.now).await?;
        tx.commit().await.map_err(sqlx_error)?;
        Ok(Load {
            run: opening.run,
            activation: opening.activation,
            stream: opening.stream.clone(),
            mode: opening.mode,
            generation: i64::from(generation),
            held: if is_filled { Held::Anything } else { Held::Nothing },
        })
    }

    async fn commit(&self, checkpoint: &Checkpoint) -> Result<Committed, StoreError> {
        let load = &checkpoint.load;
        let mut tx = self.begin().await?;
        let row = find(&mut tx, load.run, load.activation, load.stream.as_str()).await?;
        let generation = row.generation_of(load)?;
        let mut commit = Commit { tx: &mut tx, row: &row, load, generation, now: checkpoint.now };
        let (plan, held) = match load.held {
            Held::Nothing => match commit.add_all(&checkpoint.rows).await? {
                Some(plan) => (plan, Held::Nothing),
                None => (commit.merge(&checkpoint.rows).await?, Held::Anything),
            },
            Held::Anything => (commit.merge(&checkpoint.rows).await?, Held::Anything),
        };
        let aside = commit.set_aside(&checkpoint.rejected).await?;
        let counts = plan.counts(&checkpoint.rows, aside);
        let (appearing, loaded) = match load.mode {
            SyncMode::Incremental => (plan.appearing, 0),
            SyncMode::Full => (0, plan.appearing),
        };
        sqlx::query(stream::ADVANCE)
            .bind(row.pk)
            .bind(checkpoint.mark.as_ref().map(ToString::to_string))
            .bind(appearing)
            .bind(loaded)
            .execute(&mut *tx)
            .await
            .map_err(sqlx_error)?;
        count(&mut tx, &row, load.run, &counts, checkpoint.now).await?;
        tx.commit().await.map_err(sqlx_error)?;
        Ok(Committed { counts, held })
    }

    async fn finish_stream(&self, finish: &Finish) -> Result<u64, StoreError> {
        let load = &finish.load;
        let mut tx = self.begin().await?;
        let row = find(&mut tx, load.run, load.activation, load.stream.as_str()).await?;
        let generation = row.generation_of(load)?;
        let deleted = match load.mode {
            SyncMode::Full => swap(&mut tx, &row, generation, finish.now).await?,
            SyncMode::Incremental => {
                sqlx::query(stream::END)
                    .bind(row.pk)
                    .bind(microseconds(finish.now))
                    .execute(&mut *tx)
                    .await
                    .map_err(sqlx_error)?;
                0
            }
        };
        let counts = RunCounts { deleted, ..RunCounts::default() };
        count(&mut tx, &row, load.run, &counts, finish.now).await?;
        tx.commit().await.map_err(sqlx_error)?;
        Ok(deleted)
    }

    async fn page(&self, query: &RecordQuery) -> Result<Vec<Record>, StoreError> {
        reading::page(&self.readers, query).await
    }

    async fn quarantined(&self, query: &QuarantineQuery) -> Result<Vec<Quarantined>, StoreError> {
        reading::quarantined(&self.readers, query).await
    }

    async fn counts(
        &self,
        activation: WorkspaceConnectorId,
    ) -> Result<Vec<StreamCounts>, StoreError> {
        reading::counts(&self.readers, activation).await
    }
}

/// One commit at work.
struct Commit<'a> {
    tx: &'a mut SqliteConnection,
    row: &'a StreamRow,
    load: &'a Load,
    generation: i32,
    now: OffsetDateTime,
}

impl Commit<'_> {
    /// Adds all rows, unless one of them is there already.
    async fn add_all(&mut self, rows: &Rows) -> Result<Option<Plan>, StoreError> {
        let plan = Plan::all_new(rows);
        let common = self.common();
        let mut attempt = self.tx.begin().await.map_err(sqlx_error)?;
        match write(&mut attempt, &INSERT, &common, rows, &plan.insert).await {
            Ok(()) => {
                attempt.commit().await.map_err(sqlx_error)?;
                Ok(Some(plan))
            }
            Err(error) if is_collision(&error) => {
                attempt.rollback().await.map_err(sqlx_error)?;
                Ok(None)
            }
            Err(error) => Err(sqlx_error(error)),
        }
    }

    /// Looks what is there, and writes only what is new or changed.
    async fn merge(&mut self, rows: &Rows) -> Result<Plan, StoreError> {
        let unique = Unique::of(rows);
        let existing = existing(self.tx, self.row, rows, &unique.indices).await?;
        let plan = Plan::of(self.load.mode, &unique, &existing);
        let common = self.common();
        let parts = [(&INSERT, &plan.insert), (&REPLACE, &plan.replace), (&STAGE, &plan.stage)];
        for (statement, indices) in parts {
            write(self.tx, statement, &common, rows, indices).await.map_err(sqlx_error)?;
        }
        let seen: Vec<&str> = plan.see.iter().map(|&index| rows.row(index).key).collect();
        self.see(&seen).await?;
        Ok(plan)
    }

    /// Remembers until the swap that the source still has these.
    async fn see(&mut self, keys: &[&str]) -> Result<(), StoreError> {
        if keys.is_empty() || self.load.mode == SyncMode::Incremental || !self.row.has_readers() {
            return Ok(());
        }
        sqlx::query("INSERT INTO seen_records (stream_pk, keys) VALUES ($1, $2)")
            .bind(self.row.pk)
            .bind(writing::json_array(keys.iter().copied()))
            .execute(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(())
    }

    /// Keeps aside what the source's reader rejected. Answers how many.
    async fn set_aside(&mut self, rejected: &[Rejected]) -> Result<u64, StoreError> {
        for it in rejected {
            sqlx::query(stream::QUARANTINE)
                .bind(self.row.run_pk)
                .bind(microseconds(self.now))
                .bind(self.row.pk)
                .bind(ContentHash::of(&it.payload).as_bytes().as_slice())
                .bind(&it.key)
                .bind(&it.payload)
                .bind(&it.reason)
                .execute(&mut *self.tx)
                .await
                .map_err(sqlx_error)?;
        }
        let keys: Vec<&str> = rejected.iter().filter_map(|it| it.key.as_deref()).collect();
        self.see(&keys).await?;
        Ok(rejected.len() as u64)
    }

    fn common(&self) -> Common {
        Common {
            stream_pk: self.row.pk,
            run_pk: self.row.run_pk,
            generation: self.generation,
            now: microseconds(self.now),
        }
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

async fn count(
    tx: &mut SqliteConnection,
    row: &StreamRow,
    run: HeldRun,
    counts: &RunCounts,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let mut statement = sqlx::query(stream::COUNT).bind(row.run_pk).bind(run.fence.0);
    for count in count_columns(counts) {
        statement = statement.bind(count);
    }
    let done = statement.bind(sqlite_text(now)).execute(tx).await.map_err(sqlx_error)?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
}

/// Removes what an unfinished load of another run left: nobody has seen it.
async fn discard(
    tx: &mut SqliteConnection,
    row: &StreamRow,
    beyond: i32,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM records WHERE stream_pk = $1 AND generation > $2")
        .bind(row.pk)
        .bind(beyond)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    clear(tx, row).await?;
    run_on_stream(tx, row, stream::FORGET_LOADED).await
}

/// Forgets what waited for a swap.
async fn clear(tx: &mut SqliteConnection, row: &StreamRow) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM staged_records WHERE stream_pk = $1",
        "DELETE FROM seen_records WHERE stream_pk = $1",
    ] {
        run_on_stream(tx, row, statement).await?;
    }
    Ok(())
}

async fn run_on_stream(
    tx: &mut SqliteConnection,
    row: &StreamRow,
    statement: &'static str,
) -> Result<(), StoreError> {
    sqlx::query(statement).bind(row.pk).execute(tx).await.map_err(sqlx_error)?;
    Ok(())
}

/// Lets readers see `generation`, and buries what it does not have.
async fn swap(
    tx: &mut SqliteConnection,
    row: &StreamRow,
    generation: i32,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    let mut deleted = 0;
    if row.has_readers() {
        // What is buried is counted: it comes last.
        for statement in [APPLY, BURY] {
            let done = sqlx::query(statement)
                .bind(row.pk)
                .bind(row.run_pk)
                .bind(generation)
                .bind(microseconds(now))
                .execute(&mut *tx)
                .await
                .map_err(sqlx_error)?;
            deleted = done.rows_affected();
        }
        clear(tx, row).await?;
    }
    sqlx::query(stream::RELEASE)
        .bind(row.pk)
        .bind(row.run_pk)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    sqlx::query(stream::SWAP)
        .bind(row.pk)
        .bind(generation)
        .bind(signed(deleted))
        .bind(microseconds(now))
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    Ok(deleted)
}

const APPLY: &str = "\
    UPDATE records SET payload = c.payload, hash = c.hash, run_pk = $2, generation = $3, \
        last_seen_at = $4, deleted_at = NULL \
    FROM staged_records c \
    WHERE c.stream_pk = $1 AND records.stream_pk = $1 AND records.key = c.key";

const BURY: &str = "\
    UPDATE records SET deleted_at = $4, run_pk = $2 \
    WHERE stream_pk = $1 AND generation < $3 AND deleted_at IS NULL AND key NOT IN (\
        SELECT seen.value FROM seen_records s, json_each(s.keys) seen WHERE s.stream_pk = $1)";

fn is_collision(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
