//! The row of a stream, which every write locks first, and the statements about it that both databases understand.

use super::{feed::FIRST, merge::Plan};
use crate::{
    error::{corrupt, unstorable},
    number::signed,
};
use linkspan_domain::{RunCounts, StreamMemory, SyncMode, ports::StoreError};
use linkspan_sdk::{Load, Opening};

/// What is known of a stream, and on whose account it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamRow {
    pub(super) pk: i32,
    pub(super) run_pk: i64,
    /// What readers see. 0: nothing yet.
    pub(super) generation: i32,
    /// The highest number ever given out.
    pub(super) last_generation: i32,
    /// What a full load is writing, and on whose account.
    pub(super) loading: Option<(i32, i64)>,
    /// What that is read under.
    pub(super) loading_basis: Option<String>,
    pub(super) cursor_column: Option<String>,
    pub(super) cursor_after: Option<String>,
}

/// What a commit does to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Advance {
    /// How many records there are more.
    pub(super) appearing: i64,
    /// How many there will be more with the swap.
    pub(super) loaded: i64,
    /// What readers see.
    pub(super) generation: i32,
    /// The highest number given out.
    pub(super) last_generation: i32,
    /// The generation that becomes visible with this commit.
    pub(super) published: Option<i32>,
}

/// The columns of a [`StreamRow`].
pub(super) type StreamColumns =
    (i64, i64, i32, i32, Option<i32>, Option<i64>, Option<String>, Option<String>, Option<String>);

/// What is to be done with what an earlier load left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leftovers {
    /// Nothing: there is nothing, or the load goes on with it.
    Keep,
    /// Readers see nothing beyond this generation, and never will see what is there.
    Discard { beyond: i32 },
}

/// Makes a stream known: name, run, fence, activation.
pub(super) const ADD: &str = "\
    INSERT INTO workspace_connector_streams (workspace_connector_pk, stream) \
    SELECT l.workspace_connector_pk, $1 \
    FROM workspace_connector_sync_logs l \
    JOIN workspace_connectors w ON w.pk = l.workspace_connector_pk \
    WHERE l.workspace_connector_sync_log_id = $2 AND l.fence = $3 AND l.status = 'in_progress' \
        AND w.workspace_connector_id = $4 \
    ON CONFLICT (workspace_connector_pk, stream) DO NOTHING";

/// Finds a stream on account of a run that is still held: name, run, fence, activation. PostgreSQL locks it as well.
macro_rules! find_sql {
    ($suffix:literal) => {
        concat!(
            "SELECT s.pk, l.pk, s.generation, s.last_generation, s.loading_generation, ",
            "s.loading_run_pk, s.loading_basis, s.cursor_column, s.cursor_after ",
            "FROM workspace_connector_streams s ",
            "JOIN workspace_connectors w ON w.pk = s.workspace_connector_pk ",
            "JOIN workspace_connector_sync_logs l ",
            "ON l.workspace_connector_pk = s.workspace_connector_pk ",
            "WHERE s.stream = $1 AND l.workspace_connector_sync_log_id = $2 AND l.fence = $3 ",
            "AND l.status = 'in_progress' AND w.workspace_connector_id = $4",
            $suffix
        )
    };
}

pub(super) const FIND: &str = find_sql!("");
pub(super) const FIND_AND_LOCK: &str = find_sql!(" FOR UPDATE OF s");

/// Whether something of the stream is kept aside.
pub(super) const HAS_QUARANTINED: &str =
    "SELECT 1 FROM quarantined_records WHERE stream_pk = $1 LIMIT 1";

/// Stores what [`StreamRow::begin`] made of it.
pub(super) const BEGIN: &str = "\
    UPDATE workspace_connector_streams SET generation = $2, last_generation = $3, \
        loading_generation = $4, loading_run_pk = $5, cursor_column = $6, cursor_after = $7, \
        loading_basis = $8 \
    WHERE pk = $1";

/// Keeps what is to be remembered of a stream: stream, memory.
pub(super) const REMEMBER_POSTGRES: &str =
    "UPDATE workspace_connector_streams SET memory = $2::jsonb WHERE pk = $1";
pub(super) const REMEMBER_SQLITE: &str =
    "UPDATE workspace_connector_streams SET memory = $2 WHERE pk = $1";

/// Remembers where a push takes its records from: stream, activation and name of that.
pub(super) const FOLLOW: &str = "\
    UPDATE workspace_connector_streams SET source_stream_pk = (\
        SELECT s.pk FROM workspace_connector_streams s \
        JOIN workspace_connectors w ON w.pk = s.workspace_connector_pk \
        WHERE w.workspace_connector_id = $2 AND s.stream = $3) \
    WHERE pk = $1";

/// Finds a row if the stream has any record, whoever can see it.
pub(super) const IS_FILLED: &str = "SELECT 1 FROM records WHERE stream_pk = $1 LIMIT 1";

/// Removes what is beyond a generation: stream, generation.
pub(super) const fn discard_sql(beyond: i32) -> &'static str {
    if beyond < FIRST {
        "DELETE FROM records WHERE stream_pk = $1 AND generation > $2"
    } else {
        // Said again, for the index of changes to be taken.
        "DELETE FROM records WHERE stream_pk = $1 AND generation > 1 AND generation > $2"
    }
}

/// Forgets how many records an unfinished load had added.
pub(super) const FORGET_LOADED: &str =
    "UPDATE workspace_connector_streams SET loaded = 0 WHERE pk = $1";

/// What a commit does to the stream: mark, records that appear, records that will appear with the swap, what readers see
/// now, the highest number given out.
pub(super) const ADVANCE: &str = "\
    UPDATE workspace_connector_streams SET cursor_after = coalesce($2, cursor_after), \
        records = records + $3, loaded = loaded + $4, generation = $5, last_generation = $6 \
    WHERE pk = $1";

/// Forgets the mark of a stream whose new records are of another place: that place.
pub(super) const LEAVE_PLACE: &str = "\
    UPDATE workspace_connector_streams SET cursor_after = NULL \
    WHERE pk = $1 AND memory->>'place' <> $2";

/// Swaps the generations: the new one, how many records went, when, the run.
pub(super) const SWAP: &str = "\
    UPDATE workspace_connector_streams SET generation = $2, loading_generation = NULL, \
        loading_run_pk = NULL, loading_basis = NULL, loaded_by_run_pk = $5, \
        loaded_basis = loading_basis, \
        records = records + loaded - $3, loaded = 0, \
        synced_at = $4, met_all_at = $4 \
    WHERE pk = $1";

/// Ends an incremental load.
pub(super) const END: &str = "UPDATE workspace_connector_streams SET synced_at = $2 WHERE pk = $1";

/// Adds to the counters of a run, if it is still held. The last statement of every write: should the run have been taken
/// over meanwhile, nothing of it happened.
pub(super) const COUNT: &str = "\
    UPDATE workspace_connector_sync_logs SET records_read = records_read + $3, \
        records_written = records_written + $4, records_unchanged = records_unchanged + $5, \
        records_deleted = records_deleted + $6, records_quarantined = records_quarantined + $7, \
        bytes_read = bytes_read + $8, crashes = CASE WHEN $3 > 0 THEN 0 ELSE crashes END, \
        revision = revision + 1, updated_at = $9 \
    WHERE pk = $1 AND fence = $2 AND status = 'in_progress'";

/// Keeps a record aside, once: run, when, stream, hash, key, payload, reason.
pub(super) const QUARANTINE: &str = "\
    INSERT INTO quarantined_records \
        (run_pk, first_seen_at, last_seen_at, stream_pk, hash, key, payload, reason) \
    VALUES ($1, $2, $2, $3, $4, $5, $6, $7) \
    ON CONFLICT (stream_pk, hash) DO UPDATE SET run_pk = excluded.run_pk, \
        last_seen_at = excluded.last_seen_at, key = excluded.key, reason = excluded.reason";

/// Lets go of what was kept aside by other runs.
pub(super) const RELEASE: &str =
    "DELETE FROM quarantined_records WHERE stream_pk = $1 AND run_pk <> $2";

/// Finds a stream for reading: activation, name.
pub(super) const LOOK: &str = "\
    SELECT s.pk, s.generation, s.met_all_at FROM workspace_connector_streams s \
    JOIN workspace_connectors w ON w.pk = s.workspace_connector_pk \
    WHERE w.workspace_connector_id = $1 AND s.stream = $2";

/// What is kept aside: stream, position, how many.
pub(super) const QUARANTINED: &str = "\
    SELECT q.pk, q.key, q.payload, q.reason, l.workspace_connector_sync_log_id AS run, \
        q.first_seen_at, q.last_seen_at \
    FROM quarantined_records q LEFT JOIN workspace_connector_sync_logs l ON l.pk = q.run_pk \
    WHERE q.stream_pk = $1 AND q.pk > $2 ORDER BY q.pk LIMIT $3";

/// Which records are behind the end of their group: stream, beginning of the keys, beyond it, length and text of the last key,
/// how many.
pub(super) const BEHIND: &str = "\
    SELECT key FROM records WHERE stream_pk = $1 AND deleted_at IS NULL AND key > $2 AND key < $3 \
        AND (length(key) > $4 OR length(key) = $4 AND key > $5) \
    UNION SELECT key FROM quarantined_records WHERE stream_pk = $1 AND key > $2 AND key < $3 \
        AND (length(key) > $4 OR length(key) = $4 AND key > $5) \
    ORDER BY key LIMIT $6";

/// The sizes of an activation's streams.
pub(super) const COUNTS: &str = "\
    SELECT s.stream, s.records, \
        (SELECT count(*) FROM quarantined_records q WHERE q.stream_pk = s.pk) AS quarantined \
    FROM workspace_connector_streams s \
    JOIN workspace_connectors w ON w.pk = s.workspace_connector_pk \
    WHERE w.workspace_connector_id = $1 ORDER BY s.stream";

impl StreamRow {
    pub(super) fn from_columns(columns: StreamColumns) -> Result<Self, StoreError> {
        let (pk, run_pk, generation, last_generation, loading_generation, loading_run_pk, ..) =
            columns;
        let (.., loading_basis, cursor_column, cursor_after) = columns;
        Ok(Self {
            pk: small(pk)?,
            run_pk,
            generation,
            last_generation,
            loading: loading_generation.zip(loading_run_pk),
            loading_basis,
            cursor_column,
            cursor_after,
        })
    }

    /// Prepares for a load, and says which generation it writes and what to do with the leftovers of another.
    pub(super) fn begin(&mut self, opening: &Opening) -> (i32, Leftovers) {
        let basis = opening.basis.to_string();
        if opening.mode == SyncMode::Full
            && let Some((generation, run_pk)) = self.loading
            && run_pk == self.run_pk
            && self.loading_basis.as_deref() == Some(basis.as_str())
        {
            return (generation, Leftovers::Keep);
        }
        self.loading_basis = None;
        let leftovers = match self.loading.take() {
            Some(_) => Leftovers::Discard { beyond: self.generation },
            None => Leftovers::Keep,
        };
        let generation = match opening.mode {
            SyncMode::Full => {
                // What nobody has seen can be loaded again under the same number.
                let generation = if self.has_readers() { self.last_generation + 1 } else { FIRST };
                self.last_generation = self.last_generation.max(generation);
                self.loading = Some((generation, self.run_pk));
                self.loading_basis = Some(basis);
                generation
            }
            SyncMode::Incremental => {
                if self.cursor_column != opening.cursor_column {
                    // The mark says nothing about another column.
                    self.cursor_after = None;
                    self.cursor_column.clone_from(&opening.cursor_column);
                }
                self.generation
            }
        };
        (generation, leftovers)
    }

    /// The generation that a commit of `load` writes, unless another load has taken its place.
    pub(super) fn generation_of(&self, load: &Load) -> Result<i32, StoreError> {
        match (load.mode, self.loading) {
            (SyncMode::Full, Some((generation, run_pk)))
                if i64::from(generation) == load.generation && run_pk == self.run_pk =>
            {
                Ok(generation)
            }
            (SyncMode::Incremental, None) => Ok(self.last_generation.max(FIRST) + 1),
            _ => Err(StoreError::Stale),
        }
    }

    /// What a commit of `load` that follows `plan` and buries so many records does to the stream.
    pub(super) fn advance(
        &self,
        load: &Load,
        plan: &Plan,
        deleted: u64,
        generation: i32,
    ) -> Advance {
        let stays = Advance {
            appearing: 0,
            loaded: 0,
            generation: self.generation,
            last_generation: self.last_generation,
            published: None,
        };
        let appearing = plan.appearing - signed(deleted);
        match load.mode {
            SyncMode::Full => Advance { loaded: plan.appearing, ..stays },
            SyncMode::Incremental if plan.written == 0 && deleted == 0 => {
                Advance { appearing, ..stays }
            }
            SyncMode::Incremental => Advance {
                appearing,
                generation,
                last_generation: generation,
                published: Some(generation),
                ..stays
            },
        }
    }

    /// Whether readers see records that a full load must leave alone until the swap.
    pub(super) const fn has_readers(&self) -> bool {
        self.generation > 0
    }
}

/// The counts of a run as its columns have them.
pub(super) fn count_columns(counts: &RunCounts) -> [i64; 6] {
    [
        counts.read,
        counts.written,
        counts.unchanged,
        counts.deleted,
        counts.quarantined,
        counts.bytes,
    ]
    .map(signed)
}

/// What is remembered of a stream as its column has it.
pub(super) fn memory_column(memory: &StreamMemory) -> Result<String, StoreError> {
    serde_json::to_string(memory).map_err(unstorable)
}

/// The key of a stream as records have it.
pub(super) fn small(pk: i64) -> Result<i32, StoreError> {
    i32::try_from(pk).map_err(corrupt)
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{Fence, StreamMemory, SyncLogId, SyncMode, WorkspaceConnectorId};
    use linkspan_sdk::{ContentHash, Held, HeldRun, Load, Opening};
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::{Leftovers, StreamRow};

    fn row() -> StreamRow {
        StreamRow {
            pk: 1,
            run_pk: 7,
            generation: 0,
            last_generation: 0,
            loading: None,
            loading_basis: None,
            cursor_column: None,
            cursor_after: None,
        }
    }

    fn opening(mode: SyncMode, cursor_column: Option<&str>) -> Opening {
        Opening {
            run: HeldRun { id: SyncLogId::from_uuid(Uuid::nil()), fence: Fence(1) },
            activation: WorkspaceConnectorId::from_uuid(Uuid::nil()),
            stream: "s".parse().unwrap(),
            mode,
            cursor_column: cursor_column.map(str::to_owned),
            memory: StreamMemory::default(),
            source: None,
            basis: ContentHash::of("basis"),
            now: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_full_load_goes_on_for_its_own_run_and_begins_anew_for_another() {
        let mut row = row();
        assert_eq!(row.begin(&opening(SyncMode::Full, None)), (1, Leftovers::Keep));
        assert_eq!(row.begin(&opening(SyncMode::Full, None)), (1, Leftovers::Keep));
        row.run_pk = 8;
        assert_eq!(
            row.begin(&opening(SyncMode::Full, None)),
            (1, Leftovers::Discard { beyond: 0 })
        );
        row.run_pk = 9;
        assert_eq!(
            row.begin(&opening(SyncMode::Incremental, None)),
            (0, Leftovers::Discard { beyond: 0 })
        );
        assert_eq!((row.generation, row.last_generation, row.loading), (0, 1, None));
    }

    #[test]
    fn a_full_load_that_its_run_began_on_another_basis_begins_anew() {
        let mut row = row();
        row.begin(&opening(SyncMode::Full, None));
        let other = Opening { basis: ContentHash::of("other"), ..opening(SyncMode::Full, None) };
        assert_eq!(row.begin(&other), (1, Leftovers::Discard { beyond: 0 }));
        assert_eq!(row.begin(&other), (1, Leftovers::Keep));
    }

    #[test]
    fn only_a_first_full_load_is_of_the_first_generation() {
        let mut row = row();
        let Opening { run, activation, stream, mode, .. } = opening(SyncMode::Incremental, None);
        let load = Load { run, activation, stream, mode, generation: 0, held: Held::Nothing };
        assert_eq!(row.generation_of(&load).unwrap(), 2);
        row.generation = 2;
        row.last_generation = 2;
        assert_eq!(row.begin(&opening(SyncMode::Full, None)).0, 3);
    }

    #[test]
    fn a_mark_belongs_to_its_column() {
        let mut row = row();
        row.begin(&opening(SyncMode::Incremental, Some("id")));
        row.cursor_after = Some("9".to_owned());
        row.begin(&opening(SyncMode::Incremental, Some("id")));
        assert_eq!(row.cursor_after.as_deref(), Some("9"));
        row.begin(&opening(SyncMode::Full, None));
        assert_eq!(row.cursor_after.as_deref(), Some("9"), "a full load leaves the mark alone");
        row.begin(&opening(SyncMode::Incremental, Some("updated_at")));
        assert_eq!(row.cursor_after, None);
    }
}
