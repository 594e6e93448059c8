//! Looking for entities by what they say: SQL lets through what the database can tell, then the condition is asked.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use linkspan_domain::{Deleted, Entity, EntityId, ports::StoreError};
use linkspan_sdk::{EntityPage, EntitySearch, FoundEntity};
use sea_orm::{ColumnTrait, QueryResult, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{
    asking::{Asking, Candidates, FETCH, SearchTime, Through},
    error::{corrupt, store_error},
    records::predicate::Predicate,
    session::Session,
    store::{Table, select},
    table::entity::Column,
};

pub(super) async fn search(
    session: &Session,
    time: SearchTime,
    search: &EntitySearch,
) -> Result<EntityPage, StoreError> {
    let mut asking = Asking::new(search.limit, time.page, search.after);
    let entities = Entities { session, limit: time.statement, search };
    let next = match asking.go_through(&entities).await? {
        Through::All => None,
        Through::NotYet => asking.last,
    };
    Ok(EntityPage { entities: read(session, search, &asking.found).await?, next })
}

/// An entity that the database lets through.
struct Candidate {
    position: i64,
    id: EntityId,
    payload: Json,
    /// In bytes.
    size: usize,
}

impl Candidate {
    fn from_row(row: &QueryResult) -> Result<Self, StoreError> {
        let id: Uuid = row.try_get("", "entity_id").map_err(store_error)?;
        let payload: String = row.try_get("", "payload").map_err(store_error)?;
        Ok(Self {
            position: row.try_get("", "pk").map_err(store_error)?,
            id: EntityId::from_uuid(id),
            size: payload.len(),
            payload: serde_json::from_str(&payload).map_err(corrupt)?,
        })
    }
}

/// The entities of a model.
struct Entities<'a> {
    session: &'a Session,
    /// How long a statement may take.
    limit: Duration,
    search: &'a EntitySearch,
}

#[async_trait]
impl Candidates for Entities<'_> {
    type Place = i64;
    type Candidate = Candidate;
    type Found = (i64, EntityId);

    async fn fetch(&self, after: Option<&i64>) -> Result<Vec<(i64, Candidate)>, StoreError> {
        let (text, values) = sql(self.session, self.search, after.copied());
        let rows = self.session.rows_within(self.limit, text, values).await?;
        let candidates = rows.iter().map(Candidate::from_row);
        candidates.map(|it| it.map(|it| (it.position, it))).collect()
    }

    fn size(&self, candidate: &Candidate) -> usize {
        candidate.size
    }

    fn ask(&self, candidate: Candidate) -> Result<Option<(i64, EntityId)>, StoreError> {
        let holds = self.search.condition.holds(&candidate.payload);
        Ok(holds.then_some((candidate.position, candidate.id)))
    }
}

fn sql(session: &Session, search: &EntitySearch, after: Option<i64>) -> (String, Vec<Value>) {
    let mut values: Vec<Value> = Vec::new();
    let mut bind = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    let after = bind(after.unwrap_or(0).into());
    let seen = search.visible.workspaces.iter();
    let workspaces: Vec<String> = seen.map(|it| bind(it.uuid().into())).collect();
    let mut narrow = match search.deleted {
        Deleted::Hidden => " AND e.deleted_at IS NULL".to_owned(),
        Deleted::Shown => String::new(),
    };
    if let Some(activation) = search.activation {
        let activation = bind(activation.uuid().into());
        narrow = format!("{narrow} AND c.workspace_connector_id = {activation}");
    }
    let predicate = Predicate::of(session.into(), "e.payload", &search.condition, values.len() + 1);
    values.extend(predicate.values);
    // The model is one of a few plain words. PostgreSQL would not compare a text with its enumeration.
    let text = format!(
        "SELECT e.pk, e.entity_id, CAST(e.payload AS text) AS payload FROM entities e \
         JOIN workspaces w ON w.pk = e.workspace_pk \
         JOIN workspace_connectors c ON c.pk = e.workspace_connector_pk \
         WHERE e.pk > {after} AND e.target_model = '{}' AND w.workspace_id IN ({}){narrow} \
            AND ({}) ORDER BY e.pk LIMIT {FETCH}",
        search.model,
        workspaces.join(", "),
        predicate.sql
    );
    (text, values)
}

/// The entities that were found, in order.
async fn read(
    session: &Session,
    search: &EntitySearch,
    found: &[(i64, EntityId)],
) -> Result<Vec<FoundEntity>, StoreError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let named = Column::EntityId.is_in(found.iter().map(|(_, id)| id.uuid()));
    let entities: Vec<Entity> = select(session, Entity::scope(&search.visible), named).await?;
    let mut entities: HashMap<EntityId, Entity> =
        entities.into_iter().map(|it| (it.id, it)).collect();
    let found = found.iter().filter_map(|(position, id)| {
        Some(FoundEntity { position: *position, entity: entities.remove(id)? })
    });
    Ok(found.collect())
}
