//! One commit: what is new, what changed, and what is still there.

use linkspan_domain::{SyncMode, ports::StoreError};
use linkspan_sdk::{ContentHash, Load, Rejected, Rows};
use sqlx::{Acquire, SqliteConnection};
use time::OffsetDateTime;

use super::{
    super::{
        merge::{Plan, Unique},
        stream::{self, StreamRow},
    },
    writing::{self, Common, INSERT, REPLACE, STAGE, existing, write},
};
use crate::{error::sqlx_error, instant::microseconds, number::signed};

/// One commit at work.
pub(super) struct Commit<'a> {
    pub(super) tx: &'a mut SqliteConnection,
    pub(super) row: &'a StreamRow,
    pub(super) load: &'a Load,
    pub(super) generation: i32,
    pub(super) now: OffsetDateTime,
}

impl Commit<'_> {
    /// Adds all rows, unless one of them is there already.
    pub(super) async fn add_all(&mut self, rows: &Rows) -> Result<Option<Plan>, StoreError> {
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
    pub(super) async fn merge(&mut self, rows: &Rows) -> Result<Plan, StoreError> {
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
        self.on_keys(REMEMBER, &writing::json_array(keys.iter().copied())).await.map(drop)
    }

    /// Runs a statement about the stream and the records called so. Answers how many rows it was about.
    async fn on_keys(&mut self, statement: &'static str, keys: &str) -> Result<u64, StoreError> {
        let done = sqlx::query(statement)
            .bind(self.row.pk)
            .bind(keys)
            .execute(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(done.rows_affected())
    }

    /// Those that were stale are not stale any more.
    async fn refresh(&mut self, keys: &[&str]) -> Result<(), StoreError> {
        sqlx::query(REFRESH)
            .bind(self.row.pk)
            .bind(microseconds(self.now))
            .bind(writing::json_array(keys.iter().copied()))
            .execute(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(())
    }

    /// Keeps aside what the source's reader rejected. Answers how many.
    pub(super) async fn set_aside(&mut self, rejected: &[Rejected]) -> Result<u64, StoreError> {
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

    /// Lets go of what was kept aside of records that an incremental load stores. Most streams have none, and need not be sent
    /// the keys.
    pub(super) async fn mend(&mut self, rows: &Rows) -> Result<(), StoreError> {
        let is_full = self.load.mode == SyncMode::Full;
        if is_full || rows.is_empty() || !self.has_aside().await? {
            return Ok(());
        }
        let keys: Vec<&str> = rows.iter().map(|it| it.key).collect();
        self.let_go(&keys).await
    }

    /// Lets go of what was kept aside of the records called so before this commit.
    pub(super) async fn release(&mut self, keys: &[&str]) -> Result<(), StoreError> {
        if keys.is_empty() || !self.has_aside().await? {
            return Ok(());
        }
        self.let_go(keys).await
    }

    /// Whether anything of the stream is kept aside.
    async fn has_aside(&mut self) -> Result<bool, StoreError> {
        let aside: Option<i32> = sqlx::query_scalar(stream::HAS_QUARANTINED)
            .bind(self.row.pk)
            .fetch_optional(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(aside.is_some())
    }

    async fn let_go(&mut self, keys: &[&str]) -> Result<(), StoreError> {
        sqlx::query(RELEASE)
            .bind(self.row.pk)
            .bind(microseconds(self.now))
            .bind(writing::json_array(keys.iter().copied()))
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
        let gone = writing::json_array(gone.iter().copied());
        let revived: i64 = sqlx::query_scalar(REVIVED)
            .bind(self.row.pk)
            .bind(&gone)
            .fetch_one(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        for statement in RETRACT {
            self.on_keys(statement, &gone).await?;
        }
        let new = sqlx::query(RETRACT_NEW)
            .bind(self.row.pk)
            .bind(&gone)
            .bind(self.generation)
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
            .bind(microseconds(self.now))
            .bind(writing::json_array(gone.iter().map(String::as_str)))
            .bind(self.generation)
            .execute(&mut *self.tx)
            .await
            .map_err(sqlx_error)?;
        Ok(done.rows_affected())
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

const REFRESH: &str = "\
    UPDATE records SET stale_since = NULL, last_seen_at = $2 \
    WHERE stream_pk = $1 AND stale_since IS NOT NULL AND key IN (SELECT value FROM json_each($3))";

/// What this commit itself keeps aside stays.
const RELEASE: &str = "\
    DELETE FROM quarantined_records WHERE stream_pk = $1 AND last_seen_at <> $2 \
        AND key IN (SELECT value FROM json_each($3))";

const BURY: &str = "\
    UPDATE records SET deleted_at = $3, stale_since = NULL, run_pk = $2, generation = $5 \
    WHERE stream_pk = $1 AND deleted_at IS NULL AND key IN (SELECT value FROM json_each($4))";

const REMEMBER: &str = "INSERT INTO seen_records (stream_pk, keys) VALUES ($1, $2)";

/// How many tombstones the swap would have brought back.
const REVIVED: &str = "\
    SELECT count(*) FROM staged_records s \
    JOIN records r ON r.stream_pk = s.stream_pk AND r.key = s.key \
    WHERE s.stream_pk = $1 AND s.key IN (SELECT value FROM json_each($2)) \
        AND r.deleted_at IS NOT NULL";

/// Neither is the new content of a record put in its place, nor was it met.
const RETRACT: [&str; 2] = [
    "DELETE FROM staged_records WHERE stream_pk = $1 AND key IN (SELECT value FROM json_each($2))",
    "UPDATE seen_records SET keys = (SELECT json_group_array(k.value) FROM json_each(keys) AS k \
        WHERE k.value NOT IN (SELECT value FROM json_each($2))) WHERE stream_pk = $1",
];

/// Nobody has seen it.
const RETRACT_NEW: &str = "\
    DELETE FROM records WHERE stream_pk = $1 AND generation = $3 \
        AND key IN (SELECT value FROM json_each($2))";

fn is_collision(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
