//! Filters over the records of activations.

use async_trait::async_trait;
use linkspan_domain::{
    ConnectorFilter, ConnectorFilterId, ConnectorId, FilterScope, Revision, Visible, WorkspaceId,
    ports::StoreError,
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait,
    EnumIter, FromQueryResult, JoinType, PrimaryKeyTrait, QuerySelect, Select,
    entity::prelude::Json,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    column::{from_json, to_json},
    error::corrupt,
    field::Field,
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table, optional_reference, reference},
    table::{connector, workspace},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "connector_filters")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) connector_filter_id: Uuid,
    pub(crate) connector_pk: i64,
    pub(crate) workspace_pk: Option<i64>,
    pub(crate) template: bool,
    pub(crate) config: Json,
    pub(crate) natural_language: Option<String>,
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
    connector_id: Uuid,
    workspace_id: Option<Uuid>,
}

#[async_trait]
impl Table for ConnectorFilter {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::ConnectorFilterId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = Some(Column::DeletedAt);
    const FIXED: &'static [ColumnOf<Self>] = &[];

    fn select() -> Select<Entity> {
        let to_connector = Entity::belongs_to(connector::Entity)
            .from(Column::ConnectorPk)
            .to(connector::Column::Pk);
        let to_workspace = Entity::belongs_to(workspace::Entity)
            .from(Column::WorkspacePk)
            .to(workspace::Column::Pk);
        Entity::find()
            .join(JoinType::InnerJoin, to_connector.into())
            .join(JoinType::LeftJoin, to_workspace.into())
            .column(connector::Column::ConnectorId)
            .column(workspace::Column::WorkspaceId)
    }

    /// Templates are everybody's.
    fn scope(visible: &Visible) -> Condition {
        Condition::any()
            .add(Column::WorkspacePk.is_null())
            .add(workspace::named(&visible.workspaces))
    }

    fn joined(attribute: &str) -> Option<Field> {
        match attribute {
            "connector_id" => Some(Field::of(connector::Column::ConnectorId)),
            "workspace_id" => Some(Field::of(workspace::Column::WorkspaceId).or_nothing()),
            _ => None,
        }
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            revision,
            connector_id,
            scope,
            config,
            natural_language,
            created_at,
            updated_at,
            deleted_at,
        } = self;
        let (pk, key) = (connector::Column::Pk, connector::Column::ConnectorId);
        let connector_pk = reference(session, pk, key, connector_id.uuid()).await?;
        let (pk, key) = (workspace::Column::Pk, workspace::Column::WorkspaceId);
        let workspace = scope.workspace().map(WorkspaceId::uuid);
        let workspace_pk = optional_reference(session, pk, key, workspace).await?;
        Ok(ActiveModel {
            pk: NotSet,
            connector_filter_id: Set(id.uuid()),
            connector_pk: Set(connector_pk),
            workspace_pk: Set(workspace_pk),
            template: Set(workspace_pk.is_none()),
            config: Set(to_json(config)?),
            natural_language: Set(natural_language.clone()),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
            deleted_at: Set(*deleted_at),
        })
    }
}

impl TryFrom<Row> for ConnectorFilter {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, connector_id, workspace_id } = row;
        let scope = match (row.template, workspace_id) {
            (true, None) => FilterScope::Template,
            (false, Some(workspace)) => FilterScope::Custom(WorkspaceId::from_uuid(workspace)),
            _ => return Err(corrupt("a filter that is neither a template nor a workspace's")),
        };
        Ok(Self {
            id: ConnectorFilterId::from_uuid(row.connector_filter_id),
            revision: Revision::from_number(row.revision),
            connector_id: ConnectorId::from_uuid(connector_id),
            scope,
            config: from_json("config", row.config)?,
            natural_language: row.natural_language,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}
