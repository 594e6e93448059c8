//! One commit: new rows by COPY, changed ones by way of a temporary table.

use std::mem::take;

use linkspan_domain::{SyncMode, ports::StoreError};
use linkspan_sdk::{ContentHash, Load, Rejected, Rows};
use sqlx::{Acquire, PgConnection};
use time::OffsetDateTime;

use super::{
    super::{
        merge::{Plan, Unique, refused},
        stream::{self, StreamRow},
    },
    copy::{CopyFault, NewRecords, Target, copy},
    lookup,
};
use crate::{error::sqlx_error, instant::microseconds, number::signed};

/// One commit at work.
pub(super) struct Commit<'a> {
    pub(super) tx: &'a mut PgConnection,
    pub(super) row: &'a StreamRow,
    pub(super) load: &'a Load,
    pub(super) generation: i32,
    pub(super) now: OffsetDateTime,
    /// Rows that the database refused.
    pub(super) aside: Vec<Rejected>,
}

/// Rows that are in a table of their own, which the transaction sees until it ends.
#[derive(Debug)]
pub(super) struct Sent {
    unique: Unique,
    /// Those that the database refused, and why.
    culprits: Vec<(usize, String)>,
}

impl Sent {
    /// Sends all rows there, each key once.
    pub(super) async fn all(tx: &mut PgConnection, rows: &Rows) -> Result<Self, StoreError> {
        let unique = Unique::of(rows);
        let culprits = stage(tx, rows, &unique.indices).await?;
        Ok(Self { unique, culprits })
    }
}

impl Commit<'_> {
    /// Adds all rows, unless one of them is there already.
    pub(super) async fn add_all(&mut self, rows: &Rows) -> Result<Option<Plan>, StoreError> {
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
    pub(super) async fn merge(&mut self, rows: &Rows) -> Result<Plan, StoreError> {
        let unique = Unique::of(rows);
        let existing =
            lookup::existing(self.tx, self.load.mode, self.row, rows, &unique.indices).await?;
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

    /// Writes the rows of an incremental load over what is there, without a look: for loads of which most rows changed. Those
    /// that did not are locked for it, which costs more than the look.
    pub(super) async fn overwrite(&mut self, rows: &Rows, sent: Sent) -> Result<Plan, StoreError> {
        let Sent { unique, culprits } = sent;
        let (written, appearing): (i64, i64) = sqlx::query_as(OVERWRITE)
            .bind(self.row.pk)
            .bind(self.row.run_pk)
            .bind(self.generation)
            .bind(self.now)
            .persistent(false)
            .fetch_one(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        let written = written.unsigned_abs();
        let stored = (unique.indices.len() - culprits.len()) as u64;
        let keys: Vec<&str> = unique.indices.iter().map(|&it| rows.row(it).key).collect();
        self.put_aside(rows, culprits);
        self.see(&keys).await?;
        Ok(Plan {
            appearing,
            written: written + unique.overwritten,
            unchanged: stored - written + unique.repeated,
            ..Plan::default()
        })
    }

    /// Copies rows into a table of their own, and runs a statement that takes them on from there.
    async fn take_on(
        &mut self,
        rows: &Rows,
        indices: &[usize],
        statement: &'static str,
    ) -> Result<Vec<(usize, String)>, StoreError> {
        let culprits = stage(self.tx, rows, indices).await?;
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

    /// The source still has these. What is to be made of it in a full load waits for the swap.
    pub(super) async fn see(&mut self, keys: &[&str]) -> Result<(), StoreError> {
        if keys.is_empty() || !self.row.has_readers() {
            return Ok(());
        }
        match self.load.mode {
            SyncMode::Full => self.remember(keys).await,
            SyncMode::Incremental => self.refresh(keys).await,
        }
    }

    async fn remember(&mut self, keys: &[&str]) -> Result<(), StoreError> {
        self.on_keys(REMEMBER, keys).await.map(drop)
    }

    /// Runs a statement about the stream and the records called so. Answers how many rows it was about.
    async fn on_keys(&mut self, statement: &'static str, keys: &[&str]) -> Result<u64, StoreError> {
        let done = sqlx::query(statement)
            .bind(self.row.pk)
            .bind(keys)
            .persistent(false)
            .execute(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(done.rows_affected())
    }

    /// Those that were stale are not stale any more. Most streams have none, and need not be sent the keys.
    async fn refresh(&mut self, keys: &[&str]) -> Result<(), StoreError> {
        if !self.finds(STALE).await? {
            return Ok(());
        }
        sqlx::query(REFRESH)
            .bind(self.row.pk)
            .bind(self.now)
            .bind(keys)
            .persistent(false)
            .execute(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(())
    }

    /// Keeps aside what the source's reader rejected and what the database refused. Answers how many.
    pub(super) async fn set_aside(&mut self, rejected: &[Rejected]) -> Result<u64, StoreError> {
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

    /// Lets go of what was kept aside of records that an incremental load stores. Most streams have none, and need not be sent
    /// the keys.
    pub(super) async fn mend(&mut self, rows: &Rows) -> Result<(), StoreError> {
        let is_full = self.load.mode == SyncMode::Full;
        if is_full || rows.is_empty() || !self.finds(stream::HAS_QUARANTINED).await? {
            return Ok(());
        }
        let keys: Vec<&str> = rows.iter().map(|it| it.key).collect();
        self.let_go(&keys).await
    }

    /// Lets go of what was kept aside of the records called so before this commit.
    pub(super) async fn release(&mut self, keys: &[&str]) -> Result<(), StoreError> {
        if keys.is_empty() || !self.finds(stream::HAS_QUARANTINED).await? {
            return Ok(());
        }
        self.let_go(keys).await
    }

    /// Whether `probe` finds anything of the stream.
    async fn finds(&mut self, probe: &'static str) -> Result<bool, StoreError> {
        let found: Option<i32> = sqlx::query_scalar(probe)
            .bind(self.row.pk)
            .persistent(false)
            .fetch_optional(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(found.is_some())
    }

    async fn let_go(&mut self, keys: &[&str]) -> Result<(), StoreError> {
        sqlx::query(RELEASE)
            .bind(self.row.pk)
            .bind(microseconds(self.now))
            .bind(keys)
            .persistent(false)
            .execute(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(())
    }

    /// Takes back what a full load has of the records called so: the last that the source says of them is that they are not
    /// wanted. Answers how many records there are less.
    pub(super) async fn retract(&mut self, gone: &[&str]) -> Result<i64, StoreError> {
        if gone.is_empty() || self.load.mode == SyncMode::Incremental {
            return Ok(0);
        }
        let revived: i64 = sqlx::query_scalar(REVIVED)
            .bind(self.row.pk)
            .bind(gone)
            .persistent(false)
            .fetch_one(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        for statement in RETRACT {
            self.on_keys(statement, gone).await?;
        }
        let new = sqlx::query(RETRACT_NEW)
            .bind(self.row.pk)
            .bind(gone)
            .bind(self.generation)
            .persistent(false)
            .execute(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(revived + signed(new.rows_affected()))
    }

    /// Makes tombstones of the records called so, and answers how many there were.
    pub(super) async fn bury(&mut self, gone: &[String]) -> Result<u64, StoreError> {
        if gone.is_empty() || self.load.mode == SyncMode::Full {
            return Ok(0);
        }
        let done = sqlx::query(BURY)
            .bind(self.row.pk)
            .bind(self.row.run_pk)
            .bind(self.now)
            .bind(gone)
            .bind(self.generation)
            .persistent(false)
            .execute(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(done.rows_affected())
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

/// Copies rows into a table of their own. Answers which the database refused.
async fn stage(
    tx: &mut PgConnection,
    rows: &Rows,
    indices: &[usize],
) -> Result<Vec<(usize, String)>, StoreError> {
    sqlx::raw_sql(CHANGED).execute(&mut *tx).await.map_err(sqlx_error)?;
    copy(tx, &Target::Changed, rows, indices).await.map_err(failed)
}

const CHANGED: &str = "\
    CREATE TEMPORARY TABLE IF NOT EXISTS changed_records \
        (hash bytea, key text COLLATE \"C\", payload jsonb) ON COMMIT DROP; \
    TRUNCATE changed_records";

/// What an insert does to a record that is there.
macro_rules! over_sql {
    () => {
        "ON CONFLICT (stream_pk, key) DO UPDATE SET payload = excluded.payload, \
        hash = excluded.hash, run_pk = excluded.run_pk, generation = excluded.generation, \
        added_generation = CASE WHEN records.deleted_at IS NULL \
            THEN records.added_generation ELSE excluded.added_generation END, \
        last_seen_at = excluded.last_seen_at, stale_since = NULL, deleted_at = NULL"
    };
}
pub(super) use over_sql;

/// An insert whose rows are all there: unlike an update it is no join, which the planner could get wrong.
const REPLACE: &str = concat!(
    "INSERT INTO records ",
    "(run_pk, first_seen_at, last_seen_at, stream_pk, generation, added_generation, hash, key, ",
    "payload) ",
    "SELECT $2, $4, $4, $1, $3, $3, c.hash, c.key, c.payload FROM changed_records c ",
    over_sql!()
);

/// Answers how many rows were written, and how many records there are more: those that appeared in this generation.
const OVERWRITE: &str = concat!(
    "WITH written AS (INSERT INTO records ",
    "(run_pk, first_seen_at, last_seen_at, stream_pk, generation, added_generation, hash, key, ",
    "payload) ",
    "SELECT $2, $4, $4, $1, $3, $3, c.hash, c.key, c.payload FROM changed_records c ",
    over_sql!(),
    " WHERE records.hash <> excluded.hash OR records.deleted_at IS NOT NULL ",
    "RETURNING added_generation) ",
    "SELECT count(*), count(*) FILTER (WHERE added_generation = $3) FROM written"
);

const STALE: &str =
    "SELECT 1 FROM records WHERE stream_pk = $1 AND stale_since IS NOT NULL LIMIT 1";

const REFRESH: &str = "\
    UPDATE records SET stale_since = NULL, last_seen_at = $2 \
    WHERE stream_pk = $1 AND stale_since IS NOT NULL AND key = ANY ($3)";

/// What this commit itself keeps aside stays.
const RELEASE: &str = "\
    DELETE FROM quarantined_records \
    WHERE stream_pk = $1 AND last_seen_at <> $2 AND key = ANY ($3)";

const BURY: &str = "\
    UPDATE records SET deleted_at = $3, stale_since = NULL, run_pk = $2, generation = $5 \
    WHERE stream_pk = $1 AND deleted_at IS NULL AND key = ANY ($4)";

const REMEMBER: &str = "INSERT INTO seen_records (stream_pk, keys) VALUES ($1, $2)";

/// How many tombstones the swap would have brought back.
const REVIVED: &str = "\
    SELECT count(*) FROM staged_records s \
    JOIN records r ON r.stream_pk = s.stream_pk AND r.key = s.key \
    WHERE s.stream_pk = $1 AND s.key = ANY ($2) AND r.deleted_at IS NOT NULL";

/// Neither is the new content of a record put in its place, nor was it met.
const RETRACT: [&str; 2] = [
    "DELETE FROM staged_records WHERE stream_pk = $1 AND key = ANY ($2)",
    "UPDATE seen_records SET keys = ARRAY(SELECT k FROM unnest(keys) AS k WHERE k <> ALL ($2)) \
     WHERE stream_pk = $1 AND keys && $2",
];

/// Nobody has seen it.
const RETRACT_NEW: &str =
    "DELETE FROM records WHERE stream_pk = $1 AND key = ANY ($2) AND generation = $3";

const STAGE: &str = "\
    INSERT INTO staged_records (stream_pk, hash, key, payload) \
    SELECT $1, c.hash, c.key, c.payload FROM changed_records c \
    ON CONFLICT (stream_pk, key) DO UPDATE SET hash = excluded.hash, payload = excluded.payload";

fn failed(fault: CopyFault) -> StoreError {
    match fault {
        CopyFault::Collision(error) | CopyFault::Failed(error) => sqlx_error(error),
    }
}
