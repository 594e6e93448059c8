//! Looking for records by what they say: what both databases understand, and what becomes of it.

use linkspan_domain::{
    Condition, Deleted, StreamName, WorkspaceConnectorId, WorkspaceId, ports::StoreError,
};
use linkspan_sdk::{FoundRecord, Record, RecordSearch, SearchPage, SearchPosition};
use sea_orm::Value;
use serde_json::Value as Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::predicate::{Dialect, Predicate};
use crate::{error::corrupt, instant::from_microseconds};

/// How many streams are looked through for one page at most.
const STREAMS: i64 = 200;

/// How many records are asked the condition for one page at most.
const RECORDS: usize = 10_000;

/// How many records are fetched at a time.
const FETCH: usize = 500;

/// SQL, and the values of its parameters.
#[derive(Clone, Debug)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

/// A stream as it is stored: key, generation that readers see, when all records were last met, activation, name.
pub(super) type StreamColumns = (i64, i32, Option<i64>, Uuid, String);

/// A stream that is looked through.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) pk: i64,
    generation: i32,
    pub(super) met_all_at: Option<OffsetDateTime>,
    activation: WorkspaceConnectorId,
    stream: StreamName,
}

impl Place {
    pub(super) fn from_columns(columns: StreamColumns) -> Result<Self, StoreError> {
        let (pk, generation, met_all_at, activation, stream) = columns;
        Ok(Self {
            pk,
            generation,
            met_all_at: met_all_at.map(from_microseconds).transpose()?,
            activation: WorkspaceConnectorId::from_uuid(activation),
            stream: stream.parse().map_err(corrupt)?,
        })
    }
}

/// The streams to look through, in order.
pub(super) fn places(search: &RecordSearch) -> Sql {
    let mut values: Vec<Value> = Vec::new();
    let mut bind = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    let from = bind(search.after.as_ref().map_or(0, |it| it.stream).into());
    let workspaces: Vec<String> =
        search.workspaces.iter().map(|it: &WorkspaceId| bind(it.uuid().into())).collect();
    let mut narrow = Vec::new();
    if let Some(activation) = search.activation {
        narrow.push(format!(" AND c.workspace_connector_id = {}", bind(activation.uuid().into())));
    }
    if let Some(stream) = &search.stream {
        narrow.push(format!(" AND s.stream = {}", bind(stream.as_str().into())));
    }
    let text = format!(
        "SELECT s.pk, s.generation, s.met_all_at, c.workspace_connector_id, s.stream \
         FROM workspace_connector_streams s \
         JOIN workspace_connectors c ON c.pk = s.workspace_connector_pk \
         JOIN workspaces w ON w.pk = c.workspace_pk \
         WHERE s.pk >= {from} AND s.generation > 0 AND c.deleted_at IS NULL \
            AND w.workspace_id IN ({}){} ORDER BY s.pk LIMIT {STREAMS}",
        workspaces.join(", "),
        narrow.concat()
    );
    Sql { text, values }
}

/// Some records of `place` behind `after`: what they are is for the caller to say in `columns`.
fn records(
    dialect: Dialect,
    columns: &str,
    place: &Place,
    search: &RecordSearch,
    after: Option<&str>,
) -> Result<Sql, StoreError> {
    let stream_pk = i32::try_from(place.pk).map_err(corrupt)?;
    let mut values: Vec<Value> = vec![stream_pk.into(), place.generation.into()];
    let behind = match after {
        Some(key) => {
            values.push(key.into());
            " AND r.key > $3"
        }
        None => "",
    };
    let deleted = match search.deleted {
        Deleted::Hidden => " AND r.deleted_at IS NULL",
        Deleted::Shown => "",
    };
    let predicate = Predicate::of(dialect, "r.payload", &search.condition, values.len() + 1);
    values.extend(predicate.values);
    let text = format!(
        "SELECT {columns} \
         FROM records r LEFT JOIN workspace_connector_sync_logs l ON l.pk = r.run_pk \
         WHERE r.stream_pk = $1 AND r.generation <= $2{behind}{deleted} AND ({}) \
         ORDER BY r.key LIMIT {FETCH}",
        predicate.sql
    );
    Ok(Sql { text, values })
}

/// A search under way, through one stream after the other.
pub(super) struct Searching<'a> {
    dialect: Dialect,
    search: &'a RecordSearch,
    limit: usize,
    asked: usize,
    found: Vec<FoundRecord>,
    /// The last record that was asked.
    last: Option<SearchPosition>,
}

/// What to do next in a stream.
pub(super) enum Next {
    /// Fetch these.
    Fetch(Sql),
    /// Leave it: all of it was looked at.
    Leave,
    /// Stop: the page is full, or enough was looked at.
    Stop,
}

impl<'a> Searching<'a> {
    pub(super) fn new(dialect: Dialect, search: &'a RecordSearch) -> Self {
        let limit = usize::try_from(search.limit).unwrap_or(usize::MAX);
        Self { dialect, search, limit, asked: 0, found: Vec::new(), last: search.after.clone() }
    }

    /// What to do in `place`, where `fetched` records were found the last time; `None` at its beginning.
    pub(super) fn next(
        &self,
        columns: &str,
        place: &Place,
        fetched: Option<usize>,
    ) -> Result<Next, StoreError> {
        if self.is_done() {
            return Ok(Next::Stop);
        }
        if fetched.is_some_and(|it| it < FETCH) {
            return Ok(Next::Leave);
        }
        let here = self.last.as_ref().filter(|it| it.stream == place.pk);
        let after = here.and_then(|it| it.key.as_deref());
        records(self.dialect, columns, place, self.search, after).map(Next::Fetch)
    }

    fn is_done(&self) -> bool {
        self.found.len() >= self.limit || self.asked >= RECORDS
    }

    /// Asks the condition of a record of `place`.
    pub(super) fn ask(&mut self, place: &Place, record: Record) -> Result<(), StoreError> {
        if self.is_done() {
            return Ok(());
        }
        self.asked += 1;
        let position = SearchPosition { stream: place.pk, key: Some(record.key.clone()) };
        self.last = Some(position.clone());
        if holds(&self.search.condition, &record)? {
            let (activation, stream) = (place.activation, place.stream.clone());
            self.found.push(FoundRecord { position, activation, stream, record });
        }
        Ok(())
    }

    /// The page, after `places` were to be looked through.
    pub(super) fn finish(self, places: &[Place]) -> SearchPage {
        let is_last = !self.is_done() && i64::try_from(places.len()).is_ok_and(|it| it < STREAMS);
        let next = if is_last {
            None
        } else if self.is_done() {
            self.last
        } else {
            // All of these streams was looked at.
            places.last().map(|it| SearchPosition { stream: it.pk + 1, key: None })
        };
        SearchPage { records: self.found, next }
    }
}

fn holds(condition: &Condition, record: &Record) -> Result<bool, StoreError> {
    let payload: Json = serde_json::from_str(record.payload.get()).map_err(corrupt)?;
    Ok(condition.holds(&payload))
}
