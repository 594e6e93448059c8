//! Workspaces that receive what activations bring in.

use async_trait::async_trait;
use linkspan_domain::{
    Revision, SyncTarget, SyncTargetId, Visible, WorkspaceConnectorId, WorkspaceId,
    ports::StoreError,
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    Condition, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter,
    FromQueryResult, JoinType, PrimaryKeyTrait, QuerySelect, Select,
    sea_query::Expr,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    field::Field,
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table, reference},
    table::{workspace, workspace_connector},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "workspace_connector_sync_targets")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) workspace_connector_sync_target_id: Uuid,
    pub(crate) workspace_connector_pk: i64,
    /// The one that receives.
    pub(crate) workspace_pk: i64,
    pub(crate) revision: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) deleted_at: Option<OffsetDateTime>,
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
    target_workspace_id: Uuid,
    workspace_connector_id: Uuid,
}

/// The workspace that receives, in a join.
const TARGET: &str = "targets";

#[async_trait]
impl Table for SyncTarget {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::WorkspaceConnectorSyncTargetId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = Some(Column::DeletedAt);
    const FIXED: &'static [ColumnOf<Self>] = &[Column::WorkspaceConnectorPk, Column::WorkspacePk];

    fn select() -> Select<Entity> {
        let to_target = Entity::belongs_to(workspace::Entity)
            .from(Column::WorkspacePk)
            .to(workspace::Column::Pk);
        let to_activation = Entity::belongs_to(workspace_connector::Entity)
            .from(Column::WorkspaceConnectorPk)
            .to(workspace_connector::Column::Pk);
        let to_workspace = workspace_connector::Entity::belongs_to(workspace::Entity)
            .from(workspace_connector::Column::WorkspacePk)
            .to(workspace::Column::Pk);
        Entity::find()
            .join(JoinType::InnerJoin, to_activation.into())
            .join(JoinType::InnerJoin, to_workspace.into())
            .join_as(JoinType::InnerJoin, to_target.into(), TARGET)
            .column(workspace_connector::Column::WorkspaceConnectorId)
            .column(workspace::Column::WorkspaceId)
            .expr_as(Expr::col((TARGET, workspace::Column::WorkspaceId)), "target_workspace_id")
    }

    /// They are the activation's.
    fn scope(visible: &Visible) -> Condition {
        Condition::all().add(workspace::named(&visible.workspaces))
    }

    fn joined(attribute: &str) -> Option<Field> {
        match attribute {
            "workspace_connector_id" => {
                Some(Field::of(workspace_connector::Column::WorkspaceConnectorId))
            }
            "workspace_id" => Some(Field::of(workspace::Column::WorkspaceId)),
            "target_workspace_id" => Some(Field::aliased((TARGET, workspace::Column::WorkspaceId))),
            _ => None,
        }
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            revision,
            workspace_connector_id,
            // The activation says it.
            workspace_id: _,
            target_workspace_id,
            created_at,
            updated_at,
            deleted_at,
        } = self;
        let (pk, key) =
            (workspace_connector::Column::Pk, workspace_connector::Column::WorkspaceConnectorId);
        let activation_pk = reference(session, pk, key, workspace_connector_id.uuid()).await?;
        let workspace_pk = match deleted_at {
            None => workspace::live_pk(session, *target_workspace_id).await?,
            Some(_) => workspace::pk(session, *target_workspace_id).await?,
        };
        Ok(ActiveModel {
            pk: NotSet,
            workspace_connector_sync_target_id: Set(id.uuid()),
            workspace_connector_pk: Set(activation_pk),
            workspace_pk: Set(workspace_pk),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
            deleted_at: Set(*deleted_at),
        })
    }

    /// What was mapped before is for a new target, too: the mappings begin anew.
    async fn attach(&self, session: &Session) -> Result<(), StoreError> {
        if self.deleted_at.is_none() {
            let activation = self.workspace_connector_id.uuid();
            session.run(BEGIN_ANEW, vec![activation.into()]).await?;
        }
        Ok(())
    }
}

/// Lets the mappings of an activation begin with the first record again.
const BEGIN_ANEW: &str = "\
    UPDATE connector_mapping_versions SET position_generation = 0, position_key = NULL, \
        mapped = 0, persisted = 0, failed = 0 \
    WHERE EXISTS (SELECT 1 FROM connector_mappings m \
        JOIN workspace_connectors w ON w.pk = m.workspace_connector_pk \
        WHERE m.pk = connector_mapping_versions.connector_mapping_pk \
            AND m.version = connector_mapping_versions.version \
            AND w.workspace_connector_id = $1)";

impl TryFrom<Row> for SyncTarget {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, workspace_id, target_workspace_id, workspace_connector_id } = row;
        Ok(Self {
            id: SyncTargetId::from_uuid(row.workspace_connector_sync_target_id),
            revision: Revision::from_number(row.revision),
            workspace_connector_id: WorkspaceConnectorId::from_uuid(workspace_connector_id),
            workspace_id: WorkspaceId::from_uuid(workspace_id),
            target_workspace_id: WorkspaceId::from_uuid(target_workspace_id),
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}
