//! What runs notice.

use async_trait::async_trait;
use linkspan_domain::{
    Diagnostic, DiagnosticId, StreamName, SyncLogId, TargetModel, Visible, WorkspaceConnectorId,
    WorkspaceId, ports::StoreError,
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    Condition, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter,
    FromQueryResult, JoinType, PrimaryKeyTrait, QuerySelect, Select,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    error::corrupt,
    field::Field,
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table, reference},
    table::{workspace, workspace_connector},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "connector_sync_diagnostics")]
#[expect(clippy::struct_field_names, reason = "fields are called as their columns")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) connector_sync_diagnostic_id: Uuid,
    pub(crate) workspace_connector_pk: i64,
    pub(crate) workspace_pk: i64,
    pub(crate) workspace_connector_sync_log_id: Option<Uuid>,
    pub(crate) stream: Option<String>,
    pub(crate) target_model: Option<String>,
    pub(crate) reason: String,
    /// Follows from the reason, and is kept for lists to filter by.
    pub(crate) class: String,
    pub(crate) detail: String,
    pub(crate) created_at: OffsetDateTime,
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
impl Table for Diagnostic {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::ConnectorSyncDiagnosticId;
    const REVISION: Option<ColumnOf<Self>> = None;
    const DELETED_AT: Option<ColumnOf<Self>> = None;
    const FIXED: &'static [ColumnOf<Self>] = &[];

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
            workspace_connector_id,
            workspace_id,
            sync_log_id,
            stream,
            target_model,
            reason,
            detail,
            created_at,
        } = self;
        let (pk, key) =
            (workspace_connector::Column::Pk, workspace_connector::Column::WorkspaceConnectorId);
        let activation_pk = reference(session, pk, key, workspace_connector_id.uuid()).await?;
        Ok(ActiveModel {
            pk: NotSet,
            connector_sync_diagnostic_id: Set(id.uuid()),
            workspace_connector_pk: Set(activation_pk),
            workspace_pk: Set(workspace::pk(session, *workspace_id).await?),
            workspace_connector_sync_log_id: Set(sync_log_id.map(SyncLogId::uuid)),
            stream: Set(stream.as_ref().map(ToString::to_string)),
            target_model: Set(target_model.map(|it: TargetModel| it.to_string())),
            reason: Set(reason.to_string()),
            class: Set(reason.class().to_string()),
            detail: Set(detail.clone()),
            created_at: Set(*created_at),
        })
    }
}

impl TryFrom<Row> for Diagnostic {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, workspace_id, workspace_connector_id } = row;
        let stream = row.stream.map(|it| it.parse::<StreamName>()).transpose();
        let target_model = row.target_model.map(|it| it.parse()).transpose();
        Ok(Self {
            id: DiagnosticId::from_uuid(row.connector_sync_diagnostic_id),
            workspace_connector_id: WorkspaceConnectorId::from_uuid(workspace_connector_id),
            workspace_id: WorkspaceId::from_uuid(workspace_id),
            sync_log_id: row.workspace_connector_sync_log_id.map(SyncLogId::from_uuid),
            stream: stream.map_err(corrupt)?,
            target_model: target_model.map_err(corrupt)?,
            reason: row.reason.parse().map_err(corrupt)?,
            detail: row.detail,
            created_at: row.created_at,
        })
    }
}
