//! Results of testing connections.

use async_trait::async_trait;
use linkspan_domain::{
    ConnectionTest, ConnectionTestId, Visible, WorkspaceConnectorId, WorkspaceId, ports::StoreError,
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
    store::{ActiveModelOf, ColumnOf, Table, optional_reference},
    table::{workspace, workspace_connector},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "connection_tests")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) connection_test_id: Uuid,
    pub(crate) workspace_pk: i64,
    pub(crate) workspace_connector_pk: Option<i64>,
    pub(crate) connector_type: String,
    pub(crate) ok: bool,
    pub(crate) latency_ms: i64,
    pub(crate) message: String,
    pub(crate) error: Option<String>,
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
    workspace_connector_id: Option<Uuid>,
}

#[async_trait]
impl Table for ConnectionTest {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::ConnectionTestId;
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
            .join(JoinType::LeftJoin, to_activation.into())
            .column(workspace::Column::WorkspaceId)
            .column(workspace_connector::Column::WorkspaceConnectorId)
    }

    fn scope(visible: &Visible) -> Condition {
        Condition::all().add(workspace::named(&visible.workspaces))
    }

    fn joined(attribute: &str) -> Option<Field> {
        (attribute == "workspace_connector_id")
            .then(|| Field::of(workspace_connector::Column::WorkspaceConnectorId).or_nothing())
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            workspace_id,
            workspace_connector_id,
            connector_type,
            ok,
            latency_ms,
            message,
            error,
            created_at,
        } = self;
        let (pk, key) =
            (workspace_connector::Column::Pk, workspace_connector::Column::WorkspaceConnectorId);
        let activation = workspace_connector_id.map(WorkspaceConnectorId::uuid);
        let workspace_connector_pk = optional_reference(session, pk, key, activation).await?;
        Ok(ActiveModel {
            pk: NotSet,
            connection_test_id: Set(id.uuid()),
            workspace_pk: Set(workspace::pk(session, *workspace_id).await?),
            workspace_connector_pk: Set(workspace_connector_pk),
            connector_type: Set(connector_type.to_string()),
            ok: Set(*ok),
            latency_ms: Set(*latency_ms),
            message: Set(message.clone()),
            error: Set(error.clone()),
            created_at: Set(*created_at),
        })
    }
}

impl TryFrom<Row> for ConnectionTest {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, workspace_id, workspace_connector_id } = row;
        Ok(Self {
            id: ConnectionTestId::from_uuid(row.connection_test_id),
            workspace_id: WorkspaceId::from_uuid(workspace_id),
            workspace_connector_id: workspace_connector_id.map(WorkspaceConnectorId::from_uuid),
            connector_type: row.connector_type.parse().map_err(corrupt)?,
            ok: row.ok,
            latency_ms: row.latency_ms,
            message: row.message,
            error: row.error,
            created_at: row.created_at,
        })
    }
}
