//! The change feed of a workspace's entities: each write is an entry, whose number is with the entities.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use linkspan_domain::{Entity, EntityId, Visible, ports::StoreError};
use linkspan_sdk::{
    ChangeKind, EntityChange, EntityFeedPage, EntityFeedPosition, EntityFeedQuery, More,
};
use sea_orm::{ColumnTrait, DbErr, QueryResult, Value};

use crate::{
    error::store_error,
    session::Session,
    store::{Table, select},
    table::entity::Column,
};

/// The numbers that a write took, by workspace.
pub(super) struct Entries(BTreeMap<i64, i64>);

impl Entries {
    /// The number in the feed of a workspace.
    pub(super) fn of(&self, workspace_pk: i64) -> i64 {
        self.0.get(&workspace_pk).copied().unwrap_or_default()
    }

    /// Workspaces and numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().map(|(workspace_pk, entry)| (*workspace_pk, *entry))
    }
}

/// Takes the next number of the feed of each of these workspaces. Whoever else writes entities there waits until this
/// transaction is over, so that entries become visible in the order of their numbers. Workspaces are taken in order: two
/// who write into several do not wait for each other.
pub(super) async fn entries(
    session: &Session,
    workspaces: BTreeSet<i64>,
) -> Result<Entries, StoreError> {
    let mut entries = BTreeMap::new();
    for workspace_pk in workspaces {
        let row = session.row(NEXT_ENTRY, vec![workspace_pk.into()]).await?;
        let entry = row.ok_or(StoreError::Dangling)?.try_get_by_index(0).map_err(store_error)?;
        entries.insert(workspace_pk, entry);
    }
    Ok(Entries(entries))
}

/// Takes a number: workspace.
const NEXT_ENTRY: &str = "\
    INSERT INTO entity_feeds (workspace_pk, entry) VALUES ($1, 1) \
    ON CONFLICT (workspace_pk) DO UPDATE SET entry = entity_feeds.entry + 1 RETURNING entry";

/// The newest number of a workspace's feed: workspace.
const NEWEST_ENTRY: &str = "\
    SELECT f.entry FROM entity_feeds f JOIN workspaces w ON w.pk = f.workspace_pk \
    WHERE w.workspace_id = $1";

pub(super) async fn page(
    session: &Session,
    query: &EntityFeedQuery,
) -> Result<EntityFeedPage, StoreError> {
    // First: what comes after it has a number that is not passed.
    let newest = session.row(NEWEST_ENTRY, vec![query.workspace.uuid().into()]).await?;
    let newest: Option<i64> =
        newest.map(|row| row.try_get_by_index(0).map_err(store_error)).transpose()?;
    let places = places(session, query).await?;
    let is_full = places.len() >= usize::try_from(query.limit).unwrap_or(usize::MAX);
    let (next, more) = match places.last() {
        Some(last) if is_full => (last.position(), More::Waiting),
        last => {
            let known = last.map_or(query.after.entry, |it| it.entry);
            // Entities of other models or activations are passed as well.
            let entry = newest.unwrap_or(0).max(known);
            (EntityFeedPosition { entry, place: None }, More::NotYet)
        }
    };
    Ok(EntityFeedPage { changes: read(session, query, places).await?, next, more })
}

/// An entity that changed, and when.
struct Place {
    pk: i64,
    id: EntityId,
    entry: i64,
    added_entry: i64,
}

impl Place {
    const fn position(&self) -> EntityFeedPosition {
        EntityFeedPosition { entry: self.entry, place: Some(self.pk) }
    }

    /// What happened, for a reader who stands at `after`.
    fn kind(&self, entity: &Entity, after: EntityFeedPosition) -> ChangeKind {
        if entity.deleted_at.is_some() {
            ChangeKind::Deleted
        } else if (self.added_entry, self.pk) <= bound(after) {
            ChangeKind::Updated
        } else {
            ChangeKind::Added
        }
    }
}

/// The last entry, and place in it, that a reader has met.
fn bound(after: EntityFeedPosition) -> (i64, i64) {
    (after.entry, after.place.unwrap_or(i64::MAX))
}

async fn places(session: &Session, query: &EntityFeedQuery) -> Result<Vec<Place>, StoreError> {
    let (entry, place) = bound(query.after);
    let mut values: Vec<Value> = vec![
        query.workspace.uuid().into(),
        entry.into(),
        place.into(),
        i64::from(query.limit).into(),
    ];
    let mut narrow = String::new();
    if let Some(activation) = query.activation {
        values.push(activation.uuid().into());
        narrow = format!(" AND c.workspace_connector_id = ${}", values.len());
    }
    if let Some(model) = query.model {
        // One of a few plain words. PostgreSQL would not compare a text with its enumeration.
        narrow = format!("{narrow} AND e.target_model = '{model}'");
    }
    let text = format!(
        "SELECT e.pk, e.entity_id, e.entry, e.added_entry FROM entities e \
         JOIN workspaces w ON w.pk = e.workspace_pk \
         JOIN workspace_connectors c ON c.pk = e.workspace_connector_pk \
         WHERE w.workspace_id = $1 AND (e.entry, e.pk) > ($2, $3){narrow} \
         ORDER BY e.entry, e.pk LIMIT $4"
    );
    let rows = session.rows_of(text, values).await?;
    let place = |row: &QueryResult| -> Result<Place, DbErr> {
        Ok(Place {
            pk: row.try_get("", "pk")?,
            id: EntityId::from_uuid(row.try_get("", "entity_id")?),
            entry: row.try_get("", "entry")?,
            added_entry: row.try_get("", "added_entry")?,
        })
    };
    rows.iter().map(place).collect::<Result<_, _>>().map_err(store_error)
}

/// The changes, with what the entities say.
async fn read(
    session: &Session,
    query: &EntityFeedQuery,
    places: Vec<Place>,
) -> Result<Vec<EntityChange>, StoreError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let named = Column::EntityId.is_in(places.iter().map(|it| it.id.uuid()));
    let scope = Entity::scope(&Visible::only(query.workspace));
    let entities: Vec<Entity> = select(session, scope, named).await?;
    let mut entities: HashMap<EntityId, Entity> =
        entities.into_iter().map(|it| (it.id, it)).collect();
    let changes = places.into_iter().filter_map(|place| {
        // One that was purged meanwhile leaves no trace.
        let entity = entities.remove(&place.id)?;
        let kind = place.kind(&entity, query.after);
        Some(EntityChange { position: place.position(), kind, entity })
    });
    Ok(changes.collect())
}
