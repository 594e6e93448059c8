//! Looking for records by what they say, through one stream after the other.

use std::time::Duration;

use async_trait::async_trait;
use linkspan_domain::{
    Condition, Deleted, FieldKind, StreamField, StreamName, WorkspaceConnectorId, WorkspaceId,
    ports::StoreError,
};
use linkspan_sdk::{FoundRecord, Record, RecordSearch, SearchPage, SearchPosition};
use sea_orm::{QueryResult, Value};
use serde_json::Value as Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    predicate::Predicate,
    reading::{COLUMNS, FROM, met_all_at, record},
    stream::small,
};
use crate::{
    asking::{Asking, Candidates, FETCH, SearchTime, Through},
    error::{corrupt, store_error},
    session::Session,
};

/// How many streams are looked through for one page at most.
const STREAMS: i64 = 200;

/// A stream that is looked through.
#[derive(Clone, Debug)]
struct Place {
    pk: i64,
    generation: i32,
    met_all_at: Option<OffsetDateTime>,
    activation: WorkspaceConnectorId,
    stream: StreamName,
    /// The fields that its records were read with, in JSON.
    fields: Option<String>,
}

impl Place {
    fn from_row(row: &QueryResult) -> Result<Self, StoreError> {
        let activation: Uuid = row.try_get("", "workspace_connector_id").map_err(store_error)?;
        let stream: String = row.try_get("", "stream").map_err(store_error)?;
        Ok(Self {
            pk: row.try_get("", "pk").map_err(store_error)?,
            generation: row.try_get("", "generation").map_err(store_error)?,
            met_all_at: met_all_at(row)?,
            activation: WorkspaceConnectorId::from_uuid(activation),
            stream: stream.parse().map_err(corrupt)?,
            fields: row.try_get("", "fields").map_err(store_error)?,
        })
    }

    /// The condition as its records are asked it.
    fn bind(&self, condition: &Condition) -> Result<Condition, StoreError> {
        let Some(fields) = &self.fields else { return Ok(condition.clone()) };
        let fields: Vec<StreamField> = serde_json::from_str(fields).map_err(corrupt)?;
        Ok(condition.with_decimals(&|name| {
            fields.iter().any(|it| it.kind == FieldKind::Decimal && it.name == name)
        }))
    }

    /// Behind all records of it.
    const fn behind(&self) -> SearchPosition {
        SearchPosition { stream: self.pk + 1, key: None }
    }

    /// Where a record of it is.
    fn of(&self, record: &Record) -> SearchPosition {
        SearchPosition { stream: self.pk, key: Some(record.key.clone()) }
    }
}

pub(super) async fn search(
    session: &Session,
    time: SearchTime,
    search: &RecordSearch,
) -> Result<SearchPage, StoreError> {
    let (text, values) = places(search);
    let places = session.rows_of(text, values).await?;
    let places = places.iter().map(Place::from_row).collect::<Result<Vec<_>, _>>()?;
    let mut asking = Asking::new(search.limit, time.page, search.after.clone());
    for place in &places {
        let condition = place.bind(&search.condition)?;
        let candidates = InPlace { session, limit: time.statement, search, place, condition };
        if asking.go_through(&candidates).await? == Through::NotYet {
            return Ok(SearchPage { records: asking.found, next: asking.last });
        }
        asking.last = Some(place.behind());
    }
    let is_last = i64::try_from(places.len()).is_ok_and(|it| it < STREAMS);
    let next = asking.last.filter(|_| !is_last);
    Ok(SearchPage { records: asking.found, next })
}

/// The records of one stream.
struct InPlace<'a> {
    session: &'a Session,
    /// How long a statement may take.
    limit: Duration,
    search: &'a RecordSearch,
    place: &'a Place,
    condition: Condition,
}

#[async_trait]
impl Candidates for InPlace<'_> {
    type Place = SearchPosition;
    type Candidate = Record;
    type Found = FoundRecord;

    async fn fetch(
        &self,
        after: Option<&SearchPosition>,
    ) -> Result<Vec<(SearchPosition, Record)>, StoreError> {
        let here = after.filter(|it| it.stream == self.place.pk);
        let after = here.and_then(|it| it.key.as_deref());
        let (text, values) = self.records(after)?;
        let rows = self.session.rows_within(self.limit, text, values).await?;
        let records = rows.iter().map(|row| {
            let record = record(row, self.place.met_all_at)?;
            Ok((self.place.of(&record), record))
        });
        records.collect()
    }

    fn size(&self, record: &Record) -> usize {
        record.payload.get().len()
    }

    fn ask(&self, record: Record) -> Result<Option<FoundRecord>, StoreError> {
        let payload: Json = serde_json::from_str(record.payload.get()).map_err(corrupt)?;
        Ok(self.condition.holds(&payload).then(|| FoundRecord {
            position: self.place.of(&record),
            activation: self.place.activation,
            stream: self.place.stream.clone(),
            record,
        }))
    }
}

impl InPlace<'_> {
    /// Selects some records behind `after`.
    fn records(&self, after: Option<&str>) -> Result<(String, Vec<Value>), StoreError> {
        let stream_pk = small(self.place.pk)?;
        let mut values: Vec<Value> = vec![stream_pk.into(), self.place.generation.into()];
        let behind = match after {
            Some(key) => {
                values.push(key.into());
                " AND r.key > $3"
            }
            None => "",
        };
        let deleted = match self.search.deleted {
            Deleted::Hidden => " AND r.deleted_at IS NULL",
            Deleted::Shown => "",
        };
        let first = values.len() + 1;
        let predicate = Predicate::of(self.session.into(), "r.payload", &self.condition, first);
        values.extend(predicate.values);
        let text = format!(
            "SELECT {COLUMNS} {FROM} \
             WHERE r.stream_pk = $1 AND r.generation <= $2{behind}{deleted} AND ({}) \
             ORDER BY r.key LIMIT {FETCH}",
            predicate.sql
        );
        Ok((text, values))
    }
}

/// The streams to look through, in order.
fn places(search: &RecordSearch) -> (String, Vec<Value>) {
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
        "SELECT s.pk, s.generation, s.met_all_at, c.workspace_connector_id, s.stream, \
            CAST(s.memory->'fields' AS text) AS fields \
         FROM workspace_connector_streams s \
         JOIN workspace_connectors c ON c.pk = s.workspace_connector_pk \
         JOIN workspaces w ON w.pk = c.workspace_pk \
         WHERE s.pk >= {from} AND s.generation > 0 AND c.deleted_at IS NULL \
            AND w.workspace_id IN ({}){} ORDER BY s.pk LIMIT {STREAMS}",
        workspaces.join(", "),
        narrow.concat()
    );
    (text, values)
}
