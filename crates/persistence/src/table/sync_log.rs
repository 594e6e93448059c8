//! Runs.

use async_trait::async_trait;
use linkspan_domain::{
    EntityCounts, Fence, Lease, Revision, RunCounts, SyncLog, SyncLogId, Visible,
    WorkspaceConnectorId, WorkspaceId, ports::StoreError,
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    Condition, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter,
    FromQueryResult, JoinType, PrimaryKeyTrait, QuerySelect, Select,
    entity::prelude::Json,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    column::{from_json, to_json},
    error::corrupt,
    field::Field,
    instant::{from_microseconds, microseconds},
    number::{signed, unsigned},
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table, reference},
    table::{workspace, workspace_connector},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "workspace_connector_sync_logs")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) workspace_connector_sync_log_id: Uuid,
    pub(crate) workspace_connector_pk: i64,
    pub(crate) workspace_pk: i64,
    pub(crate) status: String,
    pub(crate) trigger_type: String,
    pub(crate) mode: String,
    pub(crate) streams: Json,
    pub(crate) records_read: i64,
    pub(crate) records_written: i64,
    pub(crate) records_unchanged: i64,
    pub(crate) records_deleted: i64,
    pub(crate) records_quarantined: i64,
    pub(crate) bytes_read: i64,
    pub(crate) entities_written: i64,
    pub(crate) entities_unchanged: i64,
    pub(crate) entities_deleted: i64,
    pub(crate) entities_failed: i64,
    pub(crate) error_code: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) worker: Option<String>,
    /// In microseconds since 1970.
    pub(crate) lease_until: Option<i64>,
    pub(crate) fence: i64,
    pub(crate) crashes: i32,
    /// Whether the activation was degraded when the run was started.
    pub(crate) was_degraded: bool,
    /// Whether a person stopped it.
    pub(crate) is_unwanted: bool,
    pub(crate) revision: i64,
    pub(crate) started_at: Option<OffsetDateTime>,
    pub(crate) completed_at: Option<OffsetDateTime>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A row, with the identifiers of what it refers to.
#[derive(Debug, FromQueryResult)]
pub(crate) struct Row {
    #[sea_orm(nested)]
    model: Model,
    workspace_id: Uuid,
    workspace_connector_id: Uuid,
}

#[async_trait]
impl Table for SyncLog {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::WorkspaceConnectorSyncLogId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = None;
    const FIXED: &'static [ColumnOf<Self>] = &[Column::WorkspaceConnectorPk];

    fn select() -> Select<Entity> {
        let to_workspace = Entity::belongs_to(workspace::Entity)
            .from(Column::WorkspacePk)
            .to(workspace::Column::Pk);
        let to_activation = Entity::belongs_to(workspace_connector::Entity)
            .from(Column::WorkspaceConnectorPk)
            .to(workspace_connector::Column::Pk);
        Entity::find()
            .join(JoinType::InnerJoin, to_workspace.into())
            .join(JoinType::InnerJoin, to_activation.into())
            .column(workspace::Column::WorkspaceId)
            .column(workspace_connector::Column::WorkspaceConnectorId)
    }

    fn scope(visible: &Visible) -> Condition {
        Condition::all().add(workspace::named(&visible.workspaces))
    }

    fn joined(attribute: &str) -> Option<Field> {
        (attribute == "workspace_connector_id")
            .then(|| Field::of(workspace_connector::Column::WorkspaceConnectorId))
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            revision,
            workspace_connector_id,
            workspace_id,
            status,
            trigger_type,
            mode,
            streams,
            counts,
            entities,
            error_code,
            error,
            lease,
            fence,
            crashes,
            started_at,
            completed_at,
            created_at,
            updated_at,
        } = self;
        let RunCounts { read, written, unchanged, deleted, quarantined, bytes } = *counts;
        let (pk, key) =
            (workspace_connector::Column::Pk, workspace_connector::Column::WorkspaceConnectorId);
        let activation_pk = reference(session, pk, key, workspace_connector_id.uuid()).await?;
        Ok(ActiveModel {
            pk: NotSet,
            workspace_connector_sync_log_id: Set(id.uuid()),
            workspace_connector_pk: Set(activation_pk),
            workspace_pk: Set(workspace::pk(session, *workspace_id).await?),
            status: Set(status.to_string()),
            trigger_type: Set(trigger_type.to_string()),
            mode: Set(mode.to_string()),
            streams: Set(to_json(streams)?),
            records_read: Set(signed(read)),
            records_written: Set(signed(written)),
            records_unchanged: Set(signed(unchanged)),
            records_deleted: Set(signed(deleted)),
            records_quarantined: Set(signed(quarantined)),
            bytes_read: Set(signed(bytes)),
            entities_written: Set(signed(entities.written)),
            entities_unchanged: Set(signed(entities.unchanged)),
            entities_deleted: Set(signed(entities.deleted)),
            entities_failed: Set(signed(entities.failed)),
            error_code: Set(error_code.clone()),
            error: Set(error.clone()),
            worker: Set(lease.as_ref().map(|it| it.worker.clone())),
            lease_until: Set(lease.as_ref().map(|it| microseconds(it.until))),
            fence: Set(fence.0),
            crashes: Set(i32::try_from(*crashes).unwrap_or(i32::MAX)),
            // What concerns the store alone begins as the columns' defaults say.
            was_degraded: NotSet,
            is_unwanted: NotSet,
            revision: Set(revision.number()),
            started_at: Set(*started_at),
            completed_at: Set(*completed_at),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
        })
    }
}

impl TryFrom<Row> for SyncLog {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, workspace_id, workspace_connector_id } = row;
        let lease = match row.worker.zip(row.lease_until) {
            Some((worker, until)) => Some(Lease { worker, until: from_microseconds(until)? }),
            None => None,
        };
        Ok(Self {
            id: SyncLogId::from_uuid(row.workspace_connector_sync_log_id),
            revision: Revision::from_number(row.revision),
            workspace_connector_id: WorkspaceConnectorId::from_uuid(workspace_connector_id),
            workspace_id: WorkspaceId::from_uuid(workspace_id),
            status: row.status.parse().map_err(corrupt)?,
            trigger_type: row.trigger_type.parse().map_err(corrupt)?,
            mode: row.mode.parse().map_err(corrupt)?,
            streams: from_json("streams", row.streams)?,
            counts: RunCounts {
                read: unsigned(row.records_read),
                written: unsigned(row.records_written),
                unchanged: unsigned(row.records_unchanged),
                deleted: unsigned(row.records_deleted),
                quarantined: unsigned(row.records_quarantined),
                bytes: unsigned(row.bytes_read),
            },
            entities: EntityCounts {
                written: unsigned(row.entities_written),
                unchanged: unsigned(row.entities_unchanged),
                deleted: unsigned(row.entities_deleted),
                failed: unsigned(row.entities_failed),
            },
            error_code: row.error_code,
            error: row.error,
            lease,
            fence: Fence(row.fence),
            crashes: row.crashes.unsigned_abs(),
            started_at: row.started_at,
            completed_at: row.completed_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
