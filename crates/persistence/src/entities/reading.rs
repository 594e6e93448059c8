//! Reading back what mappings did.

use linkspan_domain::{
    ConnectorMappingId, EntityDirection, EntityId, EntitySource, MappingVersion, SyncLogId,
    UnmappedRecord, Visible, WorkspaceConnectorId, WorkspaceId, ports::StoreError,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect};
use uuid::Uuid;

use crate::{
    error::{corrupt, store_error},
    instant::from_microseconds,
    session::Session,
    table::{connector_mapping, mapping_version, unmapped_record},
};

pub(super) async fn versions(
    session: &Session,
    id: ConnectorMappingId,
) -> Result<Vec<MappingVersion>, StoreError> {
    use mapping_version::Column;
    let Some(pk) = mapping(session, id).await? else { return Ok(Vec::new()) };
    let found = mapping_version::Entity::find()
        .filter(Column::ConnectorMappingPk.eq(pk))
        .order_by_desc(Column::Version);
    let found = found.all(session).await.map_err(store_error)?;
    found.into_iter().map(|it| it.into_version(id)).collect()
}

pub(super) async fn unmapped(
    session: &Session,
    id: ConnectorMappingId,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<UnmappedRecord>, StoreError> {
    use unmapped_record::Column;
    let Some(pk) = mapping(session, id).await? else { return Ok(Vec::new()) };
    let found = unmapped_record::Entity::find()
        .filter(Column::ConnectorMappingPk.eq(pk))
        .filter(Column::Pk.gt(after.unwrap_or(0)))
        .order_by_asc(Column::Pk)
        .limit(u64::from(limit));
    let found = found.all(session).await.map_err(store_error)?;
    found.into_iter().map(UnmappedRecord::try_from).collect()
}

async fn mapping(session: &Session, id: ConnectorMappingId) -> Result<Option<i64>, StoreError> {
    use connector_mapping::{Column, Entity};
    let found = Entity::find().filter(Column::ConnectorMappingId.eq(id.uuid()));
    Ok(found.one(session).await.map_err(store_error)?.map(|it| it.pk))
}

/// Where an entity comes from, with the record: entity. PostgreSQL keeps no order of fields.
const SOURCES: &str = "\
    SELECT s.direction, s.stream, s.record_key, s.first_seen_at, s.last_seen_at, \
        w.workspace_connector_id, ws.workspace_id, l.workspace_connector_sync_log_id AS run, \
        CAST(r.payload AS text) AS raw \
    FROM entity_workspace_connectors s \
    JOIN entities e ON e.pk = s.entity_pk \
    JOIN workspace_connectors w ON w.pk = s.workspace_connector_pk \
    JOIN workspaces ws ON ws.pk = w.workspace_pk \
    LEFT JOIN workspace_connector_sync_logs l ON l.pk = s.run_pk \
    LEFT JOIN workspace_connector_streams st \
        ON st.workspace_connector_pk = s.workspace_connector_pk AND st.stream = s.stream \
    LEFT JOIN records r ON r.stream_pk = st.pk AND r.key = s.record_key \
        AND r.generation <= st.generation \
    WHERE e.entity_id = $1 ORDER BY s.pk";

pub(super) async fn sources(
    session: &Session,
    id: EntityId,
    visible: &Visible,
) -> Result<Vec<EntitySource>, StoreError> {
    let rows = session.rows(SOURCES, vec![id.uuid().into()]).await?;
    rows.iter().map(|row| source(id, visible, row)).collect()
}

fn source(id: EntityId, visible: &Visible, row: &QueryResult) -> Result<EntitySource, StoreError> {
    let direction: String = row.try_get("", "direction").map_err(store_error)?;
    let stream: String = row.try_get("", "stream").map_err(store_error)?;
    let activation: Uuid = row.try_get("", "workspace_connector_id").map_err(store_error)?;
    let run: Option<Uuid> = row.try_get("", "run").map_err(store_error)?;
    let raw: Option<String> = row.try_get("", "raw").map_err(store_error)?;
    let workspace = row.try_get("", "workspace_id").map_err(store_error)?;
    let raw = raw.filter(|_| visible.contains(WorkspaceId::from_uuid(workspace)));
    let at = |name| row.try_get("", name).map_err(store_error).and_then(from_microseconds);
    Ok(EntitySource {
        entity_id: id,
        workspace_connector_id: WorkspaceConnectorId::from_uuid(activation),
        direction: direction.parse::<EntityDirection>().map_err(corrupt)?,
        stream: stream.parse().map_err(corrupt)?,
        record_key: row.try_get("", "record_key").map_err(store_error)?,
        run: run.map(SyncLogId::from_uuid),
        raw: raw.map(|it| serde_json::from_str(&it)).transpose().map_err(corrupt)?,
        first_seen_at: at("first_seen_at")?,
        last_seen_at: at("last_seen_at")?,
    })
}
