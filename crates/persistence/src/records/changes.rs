//! Reading the changes of streams and the change feeds of workspaces.

use std::ops::ControlFlow;

use linkspan_domain::{WorkspaceId, ports::StoreError};
use linkspan_sdk::{ChangesQuery, FeedPage, FeedQuery, RecordChange};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult};

use super::{
    feed::{
        ENTRIES, ENTRIES_POSTGRES, ENTRIES_SQLITE, Entry, FIRST, Found, From, NEWEST_ENTRY, Paging,
        Span, feed_values, first_sql, span_sql,
    },
    forgetting,
    reading::{look, record},
    stream::small,
};
use crate::{error::store_error, session::Session};

pub(super) async fn of_stream(
    session: &Session,
    query: &ChangesQuery,
) -> Result<Vec<RecordChange>, StoreError> {
    let Some(look) = look(session, query.activation, query.stream.as_str()).await? else {
        return Ok(Vec::new());
    };
    let from = From::of(&query.after)?;
    let span = Span { from, until: look.generation };
    let found = read(session, look.pk, &span, Room::of(query.limit, query.bytes)).await?;
    Ok(found.into_iter().map(|it| it.into_change(span.from.met())).collect())
}

pub(super) async fn of_workspace(
    session: &Session,
    query: &FeedQuery,
) -> Result<FeedPage, StoreError> {
    let newest = newest(session, query.workspace).await?;
    let entries = entries(session, query).await?;
    let mut paging = Paging::new(query, newest);
    for entry in &entries {
        if paging.room() == 0 {
            break;
        }
        let span = entry.span(&query.after);
        let room = Room { rows: paging.room(), bytes: usize::MAX };
        paging.take(entry, read(session, small(entry.stream_pk)?, &span, room).await?);
    }
    // Last: what is forgotten meanwhile may be missing from the page.
    if forgetting::is_expired(session, query).await? {
        return Err(StoreError::Expired);
    }
    Ok(paging.finish(entries.len()))
}

async fn newest(session: &Session, workspace: WorkspaceId) -> Result<i64, StoreError> {
    let row = session.row(NEWEST_ENTRY, vec![workspace.uuid().into()]).await?;
    row.map_or(Ok(0), |row| row.try_get("", "entry").map_err(store_error))
}

async fn entries(session: &Session, query: &FeedQuery) -> Result<Vec<Entry>, StoreError> {
    let sql = match session.get_database_backend() {
        DbBackend::Postgres => ENTRIES_POSTGRES,
        _ => ENTRIES_SQLITE,
    };
    let mut values = feed_values(query);
    values.extend([
        Paging::first_entry(&query.after).into(),
        i64::try_from(ENTRIES).unwrap_or(i64::MAX).into(),
    ]);
    session.rows(sql, values).await?.iter().map(Entry::from_row).collect()
}

/// How much more there is to be found at most: rows, and bytes up to the row that has the last of them.
struct Room {
    rows: usize,
    bytes: usize,
}

impl Room {
    fn of(rows: u32, bytes: usize) -> Self {
        Self { rows: usize::try_from(rows).unwrap_or(usize::MAX), bytes }
    }

    const fn is_left(&self) -> bool {
        self.rows > 0 && self.bytes > 0
    }

    fn limit(&self) -> i64 {
        i64::try_from(self.rows).unwrap_or(i64::MAX)
    }

    /// Takes what was found; whether there is more room.
    fn take(&mut self, found: &Found) -> ControlFlow<()> {
        self.rows = self.rows.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(found.record.payload.get().len());
        if self.is_left() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

async fn read(
    session: &Session,
    stream_pk: i32,
    span: &Span,
    mut room: Room,
) -> Result<Vec<Found>, StoreError> {
    let mut all = Vec::new();
    let mut take = |row: &QueryResult, room: &mut Room| {
        let found = found(row)?;
        let more = room.take(&found);
        all.push(found);
        Ok(more)
    };
    if let Some((operator, key)) = span.from.first()
        && span.until >= FIRST
    {
        let values = vec![stream_pk.into(), key.into(), room.limit().into()];
        session.each(first_sql(operator), values, |row| take(row, &mut room)).await?;
    }
    if room.is_left() && span.until > FIRST {
        let (operator, generation, key) = span.from.bound();
        let limit = room.limit();
        let values =
            vec![stream_pk.into(), generation.into(), key.into(), span.until.into(), limit.into()];
        session.each(span_sql(operator), values, |row| take(row, &mut room)).await?;
    }
    Ok(all)
}

fn found(row: &QueryResult) -> Result<Found, StoreError> {
    Ok(Found {
        record: record(row, None)?,
        generation: row.try_get("", "generation").map_err(store_error)?,
        added_generation: row.try_get("", "added_generation").map_err(store_error)?,
    })
}
