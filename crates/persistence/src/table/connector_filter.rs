//! Filters over the records of activations.

use async_trait::async_trait;
use linkspan_domain::{
    Code, ConnectorFilter, ConnectorFilterId, ConnectorId, Event, FilterScope, Revision, Status,
    Visible, WorkspaceId, ports::StoreError,
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DeriveEntityModel, DerivePrimaryKey,
    DeriveRelation, EntityTrait, EnumIter, FromQueryResult, JoinType, PrimaryKeyTrait, QuerySelect,
    Select,
    entity::prelude::Json,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    column::{from_json, to_json},
    error::{corrupt, unstorable},
    field::Field,
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table, optional_reference, reference, select},
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

    /// Activations whose last run failed for their filter may try again if it is another one now.
    async fn precede(&self, session: &Session) -> Result<(), StoreError> {
        let id = Self::KEY.eq(self.id.uuid());
        let kept = select::<Self>(session, Condition::all(), id).await?.pop();
        if kept.and_then(|it| it.asks()) == self.asks() {
            return Ok(());
        }
        let next = Status::Error.after(Event::Adjusted).map_err(unstorable)?;
        let values = vec![
            self.connector_id.uuid().into(),
            self.scope.workspace().map(WorkspaceId::uuid).into(),
            Code::InvalidCondition.to_string().into(),
            Status::Error.to_string().into(),
            next.to_string().into(),
            self.updated_at.into(),
        ];
        let adjust = match session.get_database_backend() {
            DbBackend::Postgres => ADJUST_POSTGRES,
            _ => ADJUST,
        };
        session.run(adjust, values).await.map(drop)
    }
}

/// Moves the activations on whose last run failed for their filter: connector, workspace or none for all that have no filter
/// of their own, code of the failure, status before and after, when.
macro_rules! adjust_sql {
    ($status:literal, $workspace:literal) => {
        concat!(
            "UPDATE workspace_connectors SET status = ",
            $status,
            ", revision = revision + 1, updated_at = $6 ",
            "WHERE CAST(status AS text) = $4 AND deleted_at IS NULL ",
            "AND connector_pk = (SELECT pk FROM connectors WHERE connector_id = $1) ",
            "AND (",
            $workspace,
            " IS NULL AND NOT EXISTS (SELECT 1 FROM connector_filters f ",
            "WHERE f.connector_pk = workspace_connectors.connector_pk ",
            "AND f.workspace_pk = workspace_connectors.workspace_pk AND f.deleted_at IS NULL) ",
            "OR workspace_pk = (SELECT pk FROM workspaces WHERE workspace_id = $2)) ",
            "AND $3 = (SELECT l.error_code FROM workspace_connector_sync_logs l ",
            "WHERE l.workspace_connector_pk = workspace_connectors.pk ORDER BY l.pk DESC LIMIT 1)"
        )
    };
}

const ADJUST: &str = adjust_sql!("$5", "$2");
const ADJUST_POSTGRES: &str = adjust_sql!("CAST($5 AS status_enum)", "$2::uuid");

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
