//! What streams forget: tombstones that were kept for long enough, and entries of the feed that nothing is left of.

use std::ops::ControlFlow;

use linkspan_domain::{Diagnostic, ports::StoreError};
use linkspan_sdk::{FeedPosition, FeedQuery, Position};
use sea_orm::{ConnectionTrait, DbBackend, Value};
use time::OffsetDateTime;

use super::{
    feed::{Paging, feed_values, of_feed_sql},
    stream::StreamRow,
};
use crate::{
    error::{corrupt, store_error},
    instant::microseconds,
    session::Session,
};

/// How many entries of a stream are looked at each time.
const LOOK: i64 = 1_000;

/// Forgets tombstones that were made until then, and remembers which entry of the feed the newest of them was in. Those that a
/// mapping or a push of the stream has yet to meet stay: what was made of the record would never go.
pub(super) async fn purge(
    session: &Session,
    row: &StreamRow,
    until: OffsetDateTime,
) -> Result<(), StoreError> {
    let until: Value = match session.get_database_backend() {
        DbBackend::Postgres => until.into(),
        _ => microseconds(until).into(),
    };
    let Pushed { whole, key } = pushed(session, row).await?;
    let values = vec![row.pk.into(), until, whole.into(), key.into()];
    let mut newest: Option<i32> = None;
    let gone = session.each(PURGE.to_owned(), values, |row| {
        newest = newest.max(Some(row.try_get_by_index(0).map_err(store_error)?));
        Ok(ControlFlow::Continue(()))
    });
    gone.await?;
    if let Some(newest) = newest {
        session.run(NOTE_PURGED, vec![i64::from(row.pk).into(), newest.into()]).await?;
    }
    Ok(())
}

/// A proposal that was never used waits for nothing: stream, until when, and what every push has met.
const PURGE: &str = "\
    DELETE FROM records WHERE stream_pk = $1 AND deleted_at <= $2 \
        AND (generation <= $3 OR (generation = $3 + 1 AND key <= $4)) AND NOT EXISTS (\
        SELECT 1 FROM workspace_connector_streams s \
        JOIN connector_mappings m \
            ON m.workspace_connector_pk = s.workspace_connector_pk AND m.stream = s.stream \
        JOIN connector_mapping_versions v \
            ON v.connector_mapping_pk = m.pk AND v.version = m.version \
        WHERE s.pk = records.stream_pk AND m.deleted_at IS NULL \
            AND (m.status = 'active' OR v.position_generation > 0) \
            AND (records.generation > v.position_generation \
                OR (records.generation = v.position_generation \
                    AND records.key > v.position_key))) \
    RETURNING generation";

/// Stream, generation of the newest tombstone.
const NOTE_PURGED: &str = "\
    UPDATE workspace_connector_streams SET purged_entry = e.entry \
    FROM (SELECT max(entry) AS entry FROM change_feed_entries \
        WHERE stream_pk = $1 AND generation <= $2) e \
    WHERE pk = $1 AND purged_entry < e.entry";

/// What all pushes of a stream have met: generations as a whole, and of the next one the changes up to a key.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Pushed {
    whole: i32,
    key: Option<String>,
}

impl Pushed {
    const ALL: Self = Self { whole: i32::MAX - 1, key: None };

    fn of(position: Position) -> Result<Self, StoreError> {
        let generation = i32::try_from(position.generation).map_err(corrupt)?;
        let whole = generation.saturating_sub(i32::from(position.key.is_some()));
        Ok(Self { whole, key: position.key })
    }
}

async fn pushed(session: &Session, row: &StreamRow) -> Result<Pushed, StoreError> {
    let mut least = Pushed::ALL;
    for row in session.rows(PUSHES, vec![i64::from(row.pk).into()]).await? {
        let mark: Option<String> = row.try_get_by_index(0).map_err(store_error)?;
        // A mark that cannot be read is passed over by who pushes, too.
        let position = mark.and_then(|it| it.parse().ok()).unwrap_or_default();
        least = least.min(Pushed::of(position)?);
    }
    Ok(least)
}

/// How far the pushes of a stream are that ever began: one that is switched off, taken out of its activation or disconnected with
/// it can come back.
const PUSHES: &str =
    "SELECT cursor_after FROM workspace_connector_streams WHERE source_stream_pk = $1";

/// Whether a reader who stands at `after` will not hear of deletions that they would have to hear of: of records that they may
/// have met, as they began before those were deleted, and whose tombstones they did not reach in time.
pub(super) async fn is_expired(session: &Session, query: &FeedQuery) -> Result<bool, StoreError> {
    if query.after == FeedPosition::default() {
        return Ok(false);
    }
    let sql = match session.get_database_backend() {
        DbBackend::Postgres => PURGED_POSTGRES,
        _ => PURGED_SQLITE,
    };
    let row = session.row(sql, feed_values(query)).await?;
    let purged = row.map(|it| it.try_get_by_index::<Option<i64>>(0)).transpose();
    let purged = purged.map_err(store_error)?.flatten().unwrap_or_default();
    Ok(query.after.began < purged && Paging::first_entry(&query.after) <= purged)
}

/// The last entry of which a tombstone is gone: workspace, and maybe activation and stream.
macro_rules! purged_sql {
    ($uuid:literal, $text:literal) => {
        concat!(
            "SELECT max(s.purged_entry) FROM workspace_connector_streams s ",
            "JOIN workspace_connectors c ON c.pk = s.workspace_connector_pk ",
            "JOIN workspaces w ON w.pk = c.workspace_pk ",
            "WHERE ",
            of_feed_sql!($uuid, $text)
        )
    };
}

const PURGED_POSTGRES: &str = purged_sql!("::uuid", "::text");
const PURGED_SQLITE: &str = purged_sql!("", "");

/// Forgets entries of the feed that are as old as diagnostics may be and of whose generation no record is left. It looks at a few
/// each time, behind those that it looked at before. The last of them stays: it says what readers have met who are behind no other.
pub(super) async fn prune(
    session: &Session,
    row: &StreamRow,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let pk = i64::from(row.pk);
    let old = microseconds(now - Diagnostic::KEPT);
    let looked = session.row(OLD_ENTRIES, vec![pk.into(), LOOK.into(), old.into()]).await?;
    let looked = looked.map(|it| it.try_get_by_index::<Option<i64>>(0)).transpose();
    let looked = looked.map_err(store_error)?.flatten();
    if let Some(last) = looked {
        session.run(PRUNE, vec![pk.into(), last.into(), row.pk.into()]).await?;
    }
    session.run(NOTE_PRUNED, vec![pk.into(), looked.unwrap_or_default().into()]).await.map(drop)
}

/// The last of the next entries that is old: stream, how many, since when.
const OLD_ENTRIES: &str = "\
    SELECT max(n.entry) FROM (\
        SELECT e.entry, e.created_at FROM change_feed_entries e \
        JOIN workspace_connector_streams s ON s.pk = e.stream_pk \
        WHERE e.stream_pk = $1 AND e.entry > s.pruned_entry ORDER BY e.entry LIMIT $2\
    ) n WHERE n.created_at < $3";

/// Stream, up to which entry, and the stream as records name it. What the first full load wrote is in no index to look it up in.
const PRUNE: &str = "\
    DELETE FROM change_feed_entries WHERE stream_pk = $1 AND generation > 1 AND entry < $2 \
        AND entry > (SELECT pruned_entry FROM workspace_connector_streams WHERE pk = $1) \
        AND generation < (SELECT generation FROM workspace_connector_streams WHERE pk = $1) \
        AND NOT EXISTS (SELECT 1 FROM records r WHERE r.stream_pk = $3 AND r.generation > 1 \
            AND r.generation = change_feed_entries.generation)";

/// Stream, entry; 0 to begin again.
const NOTE_PRUNED: &str = "\
    UPDATE workspace_connector_streams SET pruned_entry = $2 WHERE pk = $1 AND pruned_entry <> $2";
