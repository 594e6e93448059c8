//! Reading records back.

use linkspan_domain::{Deleted, SyncLogId, WorkspaceConnectorId, ports::StoreError};
use linkspan_sdk::{
    BehindQuery, ContentHash, QuarantineQuery, Quarantined, Record, RecordQuery, StreamCounts,
};
use sea_orm::QueryResult;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use super::stream::{self, small};
use crate::{
    error::{corrupt, store_error},
    instant::from_microseconds,
    number::unsigned,
    session::Session,
};

/// What is selected of a record `r` and the log `l` of its run.
pub(super) const COLUMNS: &str = "r.key, CAST(r.payload AS text) AS payload, r.hash, \
    l.workspace_connector_sync_log_id AS run, \
    r.first_seen_at, r.last_seen_at, r.stale_since, r.deleted_at";

/// Where [`COLUMNS`] come from.
pub(super) const FROM: &str =
    "FROM records r LEFT JOIN workspace_connector_sync_logs l ON l.pk = r.run_pk";

/// A stream as readers find it.
pub(super) struct Look {
    pub(super) pk: i32,
    /// What readers see.
    pub(super) generation: i32,
    /// When all records were last met.
    met_all_at: Option<OffsetDateTime>,
}

/// The stream of an activation with this name.
pub(super) async fn look(
    session: &Session,
    activation: WorkspaceConnectorId,
    name: &str,
) -> Result<Option<Look>, StoreError> {
    let row = session.row(stream::LOOK, vec![activation.uuid().into(), name.into()]).await?;
    row.map(|row| {
        Ok(Look {
            pk: small(row.try_get("", "pk").map_err(store_error)?)?,
            generation: row.try_get("", "generation").map_err(store_error)?,
            met_all_at: met_all_at(&row)?,
        })
    })
    .transpose()
}

/// When all records of a stream were last met.
pub(super) fn met_all_at(row: &QueryResult) -> Result<Option<OffsetDateTime>, StoreError> {
    let at: Option<i64> = row.try_get("", "met_all_at").map_err(store_error)?;
    at.map(from_microseconds).transpose()
}

pub(super) async fn page(
    session: &Session,
    query: &RecordQuery,
) -> Result<Vec<Record>, StoreError> {
    let Some(look) = look(session, query.activation, query.stream.as_str()).await? else {
        return Ok(Vec::new());
    };
    let deleted = match query.deleted {
        Deleted::Hidden => " AND r.deleted_at IS NULL",
        Deleted::Shown => "",
    };
    let behind = if query.after.is_some() { " AND r.key > $4" } else { "" };
    let sql = format!(
        "SELECT {COLUMNS} {FROM} \
         WHERE r.stream_pk = $1 AND r.generation <= $2{deleted}{behind} ORDER BY r.key LIMIT $3"
    );
    let mut values = vec![look.pk.into(), look.generation.into(), i64::from(query.limit).into()];
    values.extend(query.after.as_deref().map(Into::into));
    let rows = session.rows_of(sql, values).await?;
    rows.iter().map(|row| record(row, look.met_all_at)).collect()
}

/// The record of a row with [`COLUMNS`].
pub(super) fn record(
    row: &QueryResult,
    met_all_at: Option<OffsetDateTime>,
) -> Result<Record, StoreError> {
    let payload = row.try_get("", "payload").map_err(store_error)?;
    let hash: Vec<u8> = row.try_get("", "hash").map_err(store_error)?;
    let hash = hash.try_into().map_err(|_| corrupt("a content hash of another length"))?;
    let last_seen_at = instant(row, "last_seen_at")?;
    let (stale_since, deleted_at) =
        (maybe_instant(row, "stale_since")?, maybe_instant(row, "deleted_at")?);
    let is_fresh = stale_since.is_none() && deleted_at.is_none();
    let met_at = met_all_at.filter(|_| is_fresh).unwrap_or(last_seen_at);
    Ok(Record {
        key: row.try_get("", "key").map_err(store_error)?,
        payload: RawValue::from_string(payload).map_err(corrupt)?,
        hash: ContentHash::from_bytes(hash),
        run: run(row)?,
        first_seen_at: instant(row, "first_seen_at")?,
        last_seen_at: last_seen_at.max(met_at),
        stale_since,
        deleted_at,
    })
}

fn run(row: &QueryResult) -> Result<Option<SyncLogId>, StoreError> {
    let run: Option<Uuid> = row.try_get("", "run").map_err(store_error)?;
    Ok(run.map(SyncLogId::from_uuid))
}

fn instant(row: &QueryResult, column: &str) -> Result<OffsetDateTime, StoreError> {
    maybe_instant(row, column)?.ok_or_else(|| corrupt(format!("a record without `{column}`")))
}

/// An instant of a record: SQLite has microseconds.
fn maybe_instant(row: &QueryResult, column: &str) -> Result<Option<OffsetDateTime>, StoreError> {
    if row.try_as_sqlite_row().is_none() {
        return row.try_get("", column).map_err(store_error);
    }
    let at: Option<i64> = row.try_get("", column).map_err(store_error)?;
    at.map(from_microseconds).transpose()
}

pub(super) async fn behind(
    session: &Session,
    query: &BehindQuery,
) -> Result<Vec<String>, StoreError> {
    let Some(look) = look(session, query.activation, query.stream.as_str()).await? else {
        return Ok(Vec::new());
    };
    let length = i64::try_from(query.last.chars().count()).unwrap_or(i64::MAX);
    // No text that begins so is greater.
    let beyond = format!("{}{}", query.prefix, char::MAX);
    let values = vec![
        look.pk.into(),
        query.prefix.as_str().into(),
        beyond.into(),
        length.into(),
        query.last.as_str().into(),
        i64::from(query.limit).into(),
    ];
    let rows = session.rows(stream::BEHIND, values).await?;
    rows.iter().map(|row| row.try_get("", "key").map_err(store_error)).collect()
}

pub(super) async fn quarantined(
    session: &Session,
    query: &QuarantineQuery,
) -> Result<Vec<Quarantined>, StoreError> {
    let Some(look) = look(session, query.activation, query.stream.as_str()).await? else {
        return Ok(Vec::new());
    };
    let (after, limit) = (query.after.unwrap_or(0), i64::from(query.limit));
    let rows =
        session.rows(stream::QUARANTINED, vec![look.pk.into(), after.into(), limit.into()]).await?;
    rows.iter().map(kept_aside).collect()
}

fn kept_aside(row: &QueryResult) -> Result<Quarantined, StoreError> {
    let at = |column| {
        let at: i64 = row.try_get("", column).map_err(store_error)?;
        from_microseconds(at)
    };
    Ok(Quarantined {
        position: row.try_get("", "pk").map_err(store_error)?,
        key: row.try_get("", "key").map_err(store_error)?,
        payload: row.try_get("", "payload").map_err(store_error)?,
        reason: row.try_get("", "reason").map_err(store_error)?,
        run: run(row)?,
        first_seen_at: at("first_seen_at")?,
        last_seen_at: at("last_seen_at")?,
    })
}

pub(super) async fn counts(
    session: &Session,
    activation: WorkspaceConnectorId,
) -> Result<Vec<StreamCounts>, StoreError> {
    let rows = session.rows(stream::COUNTS, vec![activation.uuid().into()]).await?;
    let counts = rows.iter().map(|row| {
        let name: String = row.try_get("", "stream").map_err(store_error)?;
        Ok(StreamCounts {
            stream: name.parse().map_err(corrupt)?,
            records: unsigned(row.try_get("", "records").map_err(store_error)?),
            quarantined: unsigned(row.try_get("", "quarantined").map_err(store_error)?),
        })
    });
    counts.collect()
}
