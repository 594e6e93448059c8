//! Records on PostgreSQL.

mod copy;
mod lookup;
mod reading;

use std::mem::take;

use async_trait::async_trait;
use linkspan_domain::{RunCounts, SyncMode, WorkspaceConnectorId, ports::StoreError};
use linkspan_sdk::{
    Checkpoint, Committed, ContentHash, Finish, Held, HeldRun, Load, Opening, QuarantineQuery,
    Quarantined, Record, RecordQuery, RecordStore, Rejected, Rows, StreamCounts,
};
use sqlx::{Acquire, PgConnection, PgPool};
use time::OffsetDateTime;

use self::copy::{CopyFault, NewRecords, Target, copy};
use super::{
    merge::{Plan, Unique, refused},
    stream::{self, Leftovers, StreamColumns, StreamRow, count_columns},
};
use crate::{error::sqlx_error, instant::microseconds, number::signed};

/// Keeps records on PostgreSQL. New ones arrive by COPY straight into their table; changed ones by COPY into a
/// temporary table and one statement. Statements are unnamed and every call is one transaction, so PgBouncer may
/// stand in between.
pub(crate) struct PostgresRecords {
    pool: PgPool,
}

impl PostgresRecords {
    pub(crate) const fn new(pool: PgPool) -> Self {
        Self { pool }
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
        sqlx::query(stream::BEGIN)
            .bind(i64::from(row.pk))
            .bind(row.generation)
            .bind(row.last_generation)
            .bind(row.loading.map(|it| it.0))
            .bind(row.loading.map(|it| it.1))
            .bind(&row.cursor_column)
            .bind(&row.cursor_after)
            .persistent(false)
            .execute(&mut *tx)
            .await
            .map_err(sqlx_error)?;
        let is_filled: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM records WHERE stream_pk = $1)")
                .bind(row.pk)
                .persistent(false)
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
        let mut tx = self.pool.begin().await.map_err(sqlx_error)?;
        let row = lock(&mut tx, load.run, load.activation, load.stream.as_str()).await?;
        let generation = row.generation_of(load)?;
        let mut commit = Commit {
            tx: &mut tx,
            row: &row,
            load,
            generation,
            now: checkpoint.now,
            aside: Vec::new(),
        };
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
            .bind(i64::from(row.pk))
            .bind(checkpoint.mark.as_ref().map(ToString::to_string))
            .bind(appearing)
            .bind(loaded)
            .persistent(false)
            .execute(&mut *tx)
            .await
            .map_err(sqlx_error)?;
        count(&mut tx, &row, load.run, &counts, checkpoint.now).await?;
        tx.commit().await.map_err(sqlx_error)?;
        Ok(Committed { counts, held })
    }

    async fn finish_stream(&self, finish: &Finish) -> Result<u64, StoreError> {
        let load = &finish.load;
        let mut tx = self.pool.begin().await.map_err(sqlx_error)?;
        let row = lock(&mut tx, load.run, load.activation, load.stream.as_str()).await?;
        let generation = row.generation_of(load)?;
        let deleted = match load.mode {
            SyncMode::Full => swap(&mut tx, &row, generation, finish.now).await?,
            SyncMode::Incremental => {
                sqlx::query(stream::END)
                    .bind(i64::from(row.pk))
                    .bind(microseconds(finish.now))
                    .persistent(false)
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
        reading::page(&self.pool, query).await
    }

    async fn quarantined(&self, query: &QuarantineQuery) -> Result<Vec<Quarantined>, StoreError> {
        reading::quarantined(&self.pool, query).await
    }

    async fn counts(
        &self,
        activation: WorkspaceConnectorId,
    ) -> Result<Vec<StreamCounts>, StoreError> {
        reading::counts(&self.pool, activation).await
    }
}

/// One commit at work.
struct Commit<'a> {
    tx: &'a mut PgConnection,
    row: &'a StreamRow,
    load: &'a Load,
    generation: i32,
    now: OffsetDateTime,
    /// Rows that the database refused.
    aside: Vec<Rejected>,
}

impl Commit<'_> {
    /// Adds all rows, unless one of them is there already.
    async fn add_all(&mut self, rows: &Rows) -> Result<Option<Plan>, StoreError> {
        let mut plan = Plan::all_new(rows);
        let target = self.records();
        let mut attempt = self.tx.begin().await.map_err(sqlx_error)?;
        match copy(&mut attempt, &target, rows, &plan.insert).await {
            Ok(culprits) => {
                attempt.commit().await.map_err(sqlx_error)?;
                plan.refuse(culprits.len(), culprits.len());
                self.put_aside(rows, culprits);
                Ok(Some(plan))
            }
            Err(CopyFault::Collision(_)) => {
                attempt.rollback().await.map_err(sqlx_error)?;
                Ok(None)
            }
            Err(CopyFault::Failed(error)) => Err(sqlx_error(error)),
        }
    }

    /// Looks what is there, and writes only what is new or changed.
    async fn merge(&mut self, rows: &Rows) -> Result<Plan, StoreError> {
        let unique = Unique::of(rows);
        let existing = lookup::existing(self.tx, self.row, rows, &unique.indices).await?;
        let mut plan = Plan::of(self.load.mode, &unique, &existing);

        let target = self.records();
        let culprits = copy(self.tx, &target, rows, &plan.insert).await.map_err(failed)?;
        plan.refuse(culprits.len(), culprits.len());
        self.put_aside(rows, culprits);
        let changed = [(take(&mut plan.replace), REPLACE), (take(&mut plan.stage), STAGE)];
        for (indices, statement) in changed.into_iter().filter(|(it, _)| !it.is_empty()) {
            let culprits = self.take_on(rows, &indices, statement).await?;
            let appearing = culprits.iter().filter(|(index, _)| existing[index].appears()).count();
            plan.refuse(culprits.len(), appearing);
            self.put_aside(rows, culprits);
        }
        let seen: Vec<&str> = plan.see.iter().map(|&index| rows.row(index).key).collect();
        self.see(&seen).await?;
        Ok(plan)
    }

    /// Copies rows into a table of their own, and runs a statement that takes them on from there.
    async fn take_on(
        &mut self,
        rows: &Rows,
        indices: &[usize],
        statement: &'static str,
    ) -> Result<Vec<(usize, String)>, StoreError> {
        sqlx::raw_sql(CHANGED).execute(&mut *self.tx).await.map_err(sqlx_error)?;
        let culprits = copy(self.tx, &Target::Changed, rows, indices).await.map_err(failed)?;
        sqlx::query(statement)
            .bind(self.row.pk)
            .bind(self.row.run_pk)
            .bind(self.generation)
            .bind(self.now)
            .persistent(false)
            .execute(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(culprits)
    }

    /// Remembers until the swap that the source still has these.
    async fn see(&mut self, keys: &[&str]) -> Result<(), StoreError> {
        if keys.is_empty() || self.load.mode == SyncMode::Incremental || !self.row.has_readers() {
            return Ok(());
        }
        sqlx::query("INSERT INTO seen_records (stream_pk, keys) VALUES ($1, $2)")
            .bind(self.row.pk)
            .bind(keys)
            .persistent(false)
            .execute(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(())
    }

    /// Keeps aside what the source's reader rejected and what the database refused. Answers how many.
    async fn set_aside(&mut self, rejected: &[Rejected]) -> Result<u64, StoreError> {
        let refused = take(&mut self.aside);
        let all = || rejected.iter().chain(&refused);
        for it in all() {
            sqlx::query(stream::QUARANTINE)
                .bind(self.row.run_pk)
                .bind(microseconds(self.now))
                .bind(self.row.pk)
                .bind(ContentHash::of(&it.payload).as_bytes().as_slice())
                .bind(&it.key)
                .bind(&it.payload)
                .bind(&it.reason)
                .persistent(false)
                .execute(&mut *self.tx)
                .await
                .map_err(sqlx_error)?;
        }
        let keys: Vec<&str> = all().filter_map(|it| it.key.as_deref()).collect();
        self.see(&keys).await?;
        Ok(all().count() as u64)
    }

    fn put_aside(&mut self, rows: &Rows, culprits: Vec<(usize, String)>) {
        let refused = culprits.into_iter().map(|(index, reason)| refused(rows, index, reason));
        self.aside.extend(refused);
    }

    const fn records(&self) -> Target {
        Target::Records(NewRecords {
            stream_pk: self.row.pk,
            run_pk: self.row.run_pk,
            generation: self.generation,
            now: self.now,
        })
    }
}

const CHANGED: &str = "\
    CREATE TEMPORARY TABLE IF NOT EXISTS changed_records \
        (hash bytea, key text COLLATE \"C\", payload jsonb) ON COMMIT DROP; \
    TRUNCATE changed_records";

const REPLACE: &str = "\
    UPDATE records r SET payload = c.payload, hash = c.hash, run_pk = $2, generation = $3, \
        last_seen_at = $4, deleted_at = NULL \
    FROM changed_records c WHERE r.stream_pk = $1 AND r.key = c.key";

const STAGE: &str = "\
    INSERT INTO staged_records (stream_pk, hash, key, payload) \
    SELECT $1, c.hash, c.key, c.payload FROM changed_records c \
    ON CONFLICT (stream_pk, key) DO UPDATE SET hash = excluded.hash, payload = excluded.payload";

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

async fn count(
    tx: &mut PgConnection,
    row: &StreamRow,
    run: HeldRun,
    counts: &RunCounts,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let mut statement = sqlx::query(stream::COUNT).bind(row.run_pk).bind(run.fence.0);
    for count in count_columns(counts) {
        statement = statement.bind(count);
    }
    let done = statement.bind(now).persistent(false).execute(tx).await.map_err(sqlx_error)?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
}

/// Removes what an unfinished load of another run left: nobody has seen it.
async fn discard(tx: &mut PgConnection, row: &StreamRow, beyond: i32) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM records WHERE stream_pk = $1 AND generation > $2")
        .bind(row.pk)
        .bind(beyond)
        .persistent(false)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    clear(tx, row).await?;
    run_on_stream(tx, row, stream::FORGET_LOADED).await
}

/// Forgets what waited for a swap.
async fn clear(tx: &mut PgConnection, row: &StreamRow) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM staged_records WHERE stream_pk = $1",
        "DELETE FROM seen_records WHERE stream_pk = $1",
    ] {
        run_on_stream(tx, row, statement).await?;
    }
    Ok(())
}

async fn run_on_stream(
    tx: &mut PgConnection,
    row: &StreamRow,
    statement: &'static str,
) -> Result<(), StoreError> {
    sqlx::query(statement)
        .bind(i64::from(row.pk))
        .persistent(false)
        .execute(tx)
        .await
        .map_err(sqlx_error)?;
    Ok(())
}

/// Lets readers see `generation`, and buries what it does not have.
async fn swap(
    tx: &mut PgConnection,
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
                .bind(now)
                .persistent(false)
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
        .persistent(false)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    sqlx::query(stream::SWAP)
        .bind(i64::from(row.pk))
        .bind(generation)
        .bind(signed(deleted))
        .bind(microseconds(now))
        .persistent(false)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    Ok(deleted)
}

const APPLY: &str = "\
    UPDATE records r SET payload = c.payload, hash = c.hash, run_pk = $2, generation = $3, \
        last_seen_at = $4, deleted_at = NULL \
    FROM staged_records c WHERE c.stream_pk = $1 AND r.stream_pk = $1 AND r.key = c.key";

const BURY: &str = "\
    UPDATE records r SET deleted_at = $4, run_pk = $2 \
    WHERE r.stream_pk = $1 AND r.generation < $3 AND r.deleted_at IS NULL AND NOT EXISTS (\
        SELECT FROM (SELECT unnest(s.keys) AS key FROM seen_records s WHERE s.stream_pk = $1) AS seen \
        WHERE seen.key = r.key)";

fn failed(fault: CopyFault) -> StoreError {
    match fault {
        CopyFault::Collision(error) | CopyFault::Failed(error) => sqlx_error(error),
    }
}
