//! What mappings make of records, on either database.

mod feed;
mod plan;
mod reading;
mod search;
mod withdrawal;
mod writing;

use async_trait::async_trait;
use linkspan_domain::{
    ConnectorMappingId, EntityCounts, EntityId, EntitySource, MappingVersion, StreamName,
    UnmappedRecord, Visible, WorkspaceConnectorId, ports::StoreError,
};
use linkspan_sdk::{
    ActiveMapping, EntityFeedPage, EntityFeedQuery, EntityPage, EntitySearch, EntityStore, HeldRun,
    Kept, MappedPage, Position, Reversal,
};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Value};
use time::OffsetDateTime;

use self::writing::Writing;
use crate::{
    database::Database,
    error::{corrupt, store_error},
    number::signed,
    session::Session,
    store::stale_unless,
};

/// Keeps entities over sessions.
pub(crate) struct SqlEntities {
    db: Database,
}

impl SqlEntities {
    pub(crate) const fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl EntityStore for SqlEntities {
    async fn active(
        &self,
        activation: WorkspaceConnectorId,
        stream: &StreamName,
    ) -> Result<Vec<ActiveMapping>, StoreError> {
        let session = self.db.read().await?;
        let values = vec![activation.uuid().into(), stream.as_str().into()];
        let rows = session.rows(ACTIVE, values).await?;
        rows.iter().map(active).collect()
    }

    async fn commit(&self, page: &MappedPage) -> Result<Kept, StoreError> {
        let session = self.db.write().await?;
        held(&session, page.run).await?;
        let Some(mapping) = Mapping::lock(&session, page.run, page.mapping, page.version).await?
        else {
            return Ok(Kept::Superseded);
        };
        if mapping.position != page.from || !mapping.is_for_a_live_activation(&session).await? {
            return Ok(Kept::Superseded);
        }
        let counts = Writing { session: &session, mapping: &mapping, page }.all().await?;
        count(&session, page.run, &counts, page.now).await?;
        session.commit().await?;
        Ok(Kept::Done(counts))
    }

    async fn revert(&self, reversal: &Reversal) -> Result<Kept, StoreError> {
        let Reversal { run, mapping, from, to, now } = *reversal;
        let session = self.db.write().await?;
        held(&session, run).await?;
        let Some(locked) = Mapping::lock(&session, run, mapping, from).await? else {
            return Ok(Kept::Superseded);
        };
        let (pk, to) = (Value::from(locked.pk), Value::from(i64::from(to)));
        let values = vec![pk.clone(), to.clone(), now.into()];
        stale_unless(session.run(ADD_OLD_WORDING, values).await?)?;
        stale_unless(session.run(TAKE_OLD_WORDING, vec![pk, to, now.into()]).await?)?;
        count(&session, run, &EntityCounts::default(), now).await?;
        session.commit().await?;
        Ok(Kept::Done(EntityCounts::default()))
    }

    async fn versions(
        &self,
        mapping: ConnectorMappingId,
    ) -> Result<Vec<MappingVersion>, StoreError> {
        reading::versions(&self.db.read().await?, mapping).await
    }

    async fn unmapped(
        &self,
        mapping: ConnectorMappingId,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<UnmappedRecord>, StoreError> {
        reading::unmapped(&self.db.read().await?, mapping, after, limit).await
    }

    async fn sources(
        &self,
        entity: EntityId,
        visible: &Visible,
    ) -> Result<Vec<EntitySource>, StoreError> {
        reading::sources(&self.db.read().await?, entity, visible).await
    }

    async fn withdraw(&self, now: OffsetDateTime) -> Result<Option<u64>, StoreError> {
        if !withdrawal::is_waiting(&self.db.read().await?).await? {
            return Ok(None);
        }
        let session = self.db.write().await?;
        let withdrawn = withdrawal::next(&session, now).await?;
        session.commit().await?;
        Ok(withdrawn)
    }

    async fn feed(&self, query: &EntityFeedQuery) -> Result<EntityFeedPage, StoreError> {
        let session = self.db.read().await?;
        let page = feed::page(&session, query).await?;
        session.commit().await?;
        Ok(page)
    }

    async fn search(&self, search: &EntitySearch) -> Result<EntityPage, StoreError> {
        let session = self.db.read().await?;
        let page = search::search(&session, self.db.search_time(), search).await?;
        session.commit().await?;
        Ok(page)
    }

    async fn outdate(
        &self,
        activation: WorkspaceConnectorId,
        stream: &StreamName,
        now: OffsetDateTime,
    ) -> Result<Vec<ConnectorMappingId>, StoreError> {
        let session = self.db.write().await?;
        let values = vec![activation.uuid().into(), stream.as_str().into(), now.into()];
        let rows = session.rows(OUTDATE, values).await?;
        let ids = rows.iter().map(|row| {
            let id = row.try_get_by_index(0).map_err(store_error)?;
            Ok(ConnectorMappingId::from_uuid(id))
        });
        let ids = ids.collect::<Result<_, StoreError>>()?;
        session.commit().await?;
        Ok(ids)
    }
}

/// The mappings of a stream that runs use: activation, stream.
const ACTIVE: &str = "\
    SELECT m.connector_mapping_id, m.version, CAST(m.target_model AS text) AS target_model, \
        m.expression, m.on_collapse, v.position_generation, v.position_key \
    FROM connector_mappings m \
    JOIN workspace_connectors w ON w.pk = m.workspace_connector_pk \
    JOIN connector_mapping_versions v ON v.connector_mapping_pk = m.pk AND v.version = m.version \
    WHERE w.workspace_connector_id = $1 AND m.stream = $2 AND m.status = 'active' \
        AND m.deleted_at IS NULL AND w.deleted_at IS NULL \
    ORDER BY m.pk";

/// A mapping that a run may write for: mapping, version, run, fence. PostgreSQL locks it as well.
macro_rules! lock_sql {
    ($suffix:literal) => {
        concat!(
            "SELECT m.pk, v.pk AS version_pk, m.workspace_connector_pk, l.pk AS run_pk, ",
            "w.workspace_connector_id, m.stream, CAST(m.target_model AS text) AS target_model, ",
            "v.position_generation, v.position_key ",
            "FROM connector_mappings m ",
            "JOIN workspace_connectors w ON w.pk = m.workspace_connector_pk ",
            "JOIN connector_mapping_versions v ",
            "ON v.connector_mapping_pk = m.pk AND v.version = m.version ",
            "JOIN workspace_connector_sync_logs l ",
            "ON l.workspace_connector_pk = m.workspace_connector_pk ",
            "WHERE m.connector_mapping_id = $1 AND m.version = $2 AND m.status = 'active' ",
            "AND m.deleted_at IS NULL ",
            "AND l.workspace_connector_sync_log_id = $3 AND l.fence = $4",
            $suffix
        )
    };
}

const LOCK: &str = lock_sql!("");
const LOCK_POSTGRES: &str = lock_sql!(" FOR UPDATE OF m, v");

/// Whether a run is held: run, fence.
const HELD: &str = "\
    SELECT pk FROM workspace_connector_sync_logs \
    WHERE workspace_connector_sync_log_id = $1 AND fence = $2 AND status = 'in_progress'";

/// Adds to the counters of a run, if it is still held: run, fence, counts, when. The last statement of every write: should
/// the run have been taken over meanwhile, nothing of it happened.
const COUNT: &str = "\
    UPDATE workspace_connector_sync_logs SET entities_written = entities_written + $3, \
        entities_unchanged = entities_unchanged + $4, entities_deleted = entities_deleted + $5, \
        entities_failed = entities_failed + $6, revision = revision + 1, updated_at = $7 \
    WHERE workspace_connector_sync_log_id = $1 AND fence = $2 AND status = 'in_progress'";

/// Adds an old wording as a new version: mapping, version of the old wording, when.
const ADD_OLD_WORDING: &str = "\
    INSERT INTO connector_mapping_versions \
        (connector_mapping_pk, version, expression, origin, confidence, created_at) \
    SELECT v.connector_mapping_pk, m.version + 1, v.expression, 'reverted', v.confidence, $3 \
    FROM connector_mapping_versions v JOIN connector_mappings m ON m.pk = v.connector_mapping_pk \
    WHERE v.connector_mapping_pk = $1 AND v.version = $2";

/// Gives a mapping an old wording: mapping, version of the old wording, when. Somebody should look at it.
const TAKE_OLD_WORDING: &str = "\
    UPDATE connector_mappings SET version = version + 1, origin = 'reverted', \
        expression = (SELECT v.expression FROM connector_mapping_versions v \
            WHERE v.connector_mapping_pk = connector_mappings.pk AND v.version = $2), \
        confidence = (SELECT v.confidence FROM connector_mapping_versions v \
            WHERE v.connector_mapping_pk = connector_mappings.pk AND v.version = $2), \
        needs_regeneration = true, revision = revision + 1, updated_at = $3 \
    WHERE pk = $1";

/// Says that mappings should be looked at: activation, stream, when.
const OUTDATE: &str = "\
    UPDATE connector_mappings SET needs_regeneration = true, revision = revision + 1, \
        updated_at = $3 \
    WHERE stream = $2 AND deleted_at IS NULL AND NOT needs_regeneration \
        AND workspace_connector_pk = (SELECT w.pk FROM workspace_connectors w \
            WHERE w.workspace_connector_id = $1) \
    RETURNING connector_mapping_id";

/// A mapping that is being written for.
struct Mapping {
    pk: i64,
    version_pk: i64,
    activation_pk: i64,
    activation: WorkspaceConnectorId,
    run_pk: i64,
    stream: String,
    target_model: String,
    position: Position,
}

impl Mapping {
    /// The mapping, as long as `version` is its present one and runs use it.
    async fn lock(
        session: &Session,
        run: HeldRun,
        mapping: ConnectorMappingId,
        version: u32,
    ) -> Result<Option<Self>, StoreError> {
        let sql = match session.get_database_backend() {
            DbBackend::Postgres => LOCK_POSTGRES,
            _ => LOCK,
        };
        let values = vec![
            mapping.uuid().into(),
            i64::from(version).into(),
            run.id.uuid().into(),
            run.fence.0.into(),
        ];
        let Some(row) = session.row(sql, values).await? else { return Ok(None) };
        let get = |name| row.try_get::<i64>("", name).map_err(store_error);
        Ok(Some(Self {
            pk: get("pk")?,
            version_pk: get("version_pk")?,
            activation_pk: get("workspace_connector_pk")?,
            activation: WorkspaceConnectorId::from_uuid(
                row.try_get("", "workspace_connector_id").map_err(store_error)?,
            ),
            run_pk: get("run_pk")?,
            stream: row.try_get("", "stream").map_err(store_error)?,
            target_model: row.try_get("", "target_model").map_err(store_error)?,
            position: position(&row)?,
        }))
    }

    /// Whether its activation is. Asked once it is locked: who deletes an activation waits for that lock.
    async fn is_for_a_live_activation(&self, session: &Session) -> Result<bool, StoreError> {
        Ok(session.row(LIVE, vec![self.activation_pk.into()]).await?.is_some())
    }
}

/// Whether an activation is live: activation.
const LIVE: &str = "SELECT pk FROM workspace_connectors WHERE pk = $1 AND deleted_at IS NULL";

async fn held(session: &Session, run: HeldRun) -> Result<(), StoreError> {
    let found = session.row(HELD, vec![run.id.uuid().into(), run.fence.0.into()]).await?;
    found.map(drop).ok_or(StoreError::Stale)
}

async fn count(
    session: &Session,
    run: HeldRun,
    counts: &EntityCounts,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let EntityCounts { written, unchanged, deleted, failed } = *counts;
    let mut values = vec![run.id.uuid().into(), run.fence.0.into()];
    values.extend([written, unchanged, deleted, failed].map(|it| signed(it).into()));
    values.push(now.into());
    stale_unless(session.run(COUNT, values).await?)
}

fn active(row: &QueryResult) -> Result<ActiveMapping, StoreError> {
    let target_model: String = row.try_get("", "target_model").map_err(store_error)?;
    let version: i32 = row.try_get("", "version").map_err(store_error)?;
    let on_collapse: String = row.try_get("", "on_collapse").map_err(store_error)?;
    Ok(ActiveMapping {
        id: ConnectorMappingId::from_uuid(
            row.try_get("", "connector_mapping_id").map_err(store_error)?,
        ),
        version: version.unsigned_abs(),
        target_model: target_model.parse().map_err(corrupt)?,
        expression: row.try_get("", "expression").map_err(store_error)?,
        on_collapse: on_collapse.parse().map_err(corrupt)?,
        position: position(row)?,
    })
}

fn position(row: &QueryResult) -> Result<Position, StoreError> {
    Ok(Position {
        generation: row.try_get("", "position_generation").map_err(store_error)?,
        key: row.try_get("", "position_key").map_err(store_error)?,
    })
}
