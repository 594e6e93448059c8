//! Activations.

use async_trait::async_trait;
use linkspan_domain::{
    Connector, ConnectorId, PersonId, Revision, SealedSecrets, Status, Visible, WorkspaceConnector,
    WorkspaceConnectorId, WorkspaceId,
    ports::{Sealed, StoreError},
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DeriveEntityModel, DerivePrimaryKey, DeriveRelation,
    EntityTrait, EnumIter, FromQueryResult, JoinType, PrimaryKeyTrait, QueryFilter, QuerySelect,
    Select,
    entity::prelude::Json,
    sea_query::{Expr, ExprTrait, Query, SelectStatement},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    column::{NativeEnum, from_json, to_json, to_optional_json},
    error::{corrupt, store_error},
    field::Field,
    grants::leftovers::{self, Purged},
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table, live_reference, reference},
    table::{connector, person, workspace},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "workspace_connectors")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) workspace_connector_id: Uuid,
    pub(crate) connector_pk: i64,
    pub(crate) workspace_pk: i64,
    pub(crate) person_pk: Option<i64>,
    pub(crate) connector_type: String,
    pub(crate) connector_type_version: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    #[sea_orm(column_type = "native(\"status_enum\")")]
    pub(crate) status: String,
    pub(crate) config: Json,
    pub(crate) secrets: Option<Vec<u8>>,
    pub(crate) secret_pointers: Option<Json>,
    pub(crate) streams: Json,
    pub(crate) output_schemas: Json,
    pub(crate) labels: Json,
    pub(crate) mock_enabled: bool,
    pub(crate) log_level: String,
    pub(crate) installed_capabilities: Option<Json>,
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
    workspace_id: Uuid,
    person_id: Option<Uuid>,
}

#[async_trait]
impl Table for WorkspaceConnector {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::WorkspaceConnectorId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = Some(Column::DeletedAt);
    const FIXED: &'static [ColumnOf<Self>] = &[Column::WorkspacePk];

    fn select() -> Select<Entity> {
        let to_connector = Entity::belongs_to(connector::Entity)
            .from(Column::ConnectorPk)
            .to(connector::Column::Pk);
        let to_workspace = Entity::belongs_to(workspace::Entity)
            .from(Column::WorkspacePk)
            .to(workspace::Column::Pk);
        let to_person =
            Entity::belongs_to(person::Entity).from(Column::PersonPk).to(person::Column::Pk);
        Entity::find()
            .join(JoinType::InnerJoin, to_connector.into())
            .join(JoinType::InnerJoin, to_workspace.into())
            .join(JoinType::LeftJoin, to_person.into())
            .column(connector::Column::ConnectorId)
            .column(workspace::Column::WorkspaceId)
            .column(person::Column::PersonId)
    }

    fn scope(visible: &Visible) -> Condition {
        Condition::all().add(workspace::named(&visible.workspaces))
    }

    fn joined(attribute: &str) -> Option<Field> {
        match attribute {
            "connector_id" => Some(Field::of(connector::Column::ConnectorId)),
            "workspace_id" => Some(Field::of(workspace::Column::WorkspaceId)),
            "person_id" => Some(Field::of(person::Column::PersonId).or_nothing()),
            _ => None,
        }
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            revision,
            connector_id,
            workspace_id,
            person_id,
            connector_type,
            connector_type_version,
            name,
            description,
            status,
            config,
            secrets,
            streams,
            output_schemas,
            labels,
            mock_enabled,
            log_level,
            installed_capabilities,
            created_at,
            updated_at,
            deleted_at,
        } = self;
        let connector_pk = connector_pk(session, *connector_id, *deleted_at).await?;
        let workspace_pk = match deleted_at {
            None => workspace::live_pk(session, *workspace_id).await?,
            Some(_) => workspace::pk(session, *workspace_id).await?,
        };
        let person_pk = person::optional_pk(session, *person_id).await?;
        Ok(ActiveModel {
            pk: NotSet,
            workspace_connector_id: Set(id.uuid()),
            connector_pk: Set(connector_pk),
            workspace_pk: Set(workspace_pk),
            person_pk: Set(person_pk),
            connector_type: Set(connector_type.to_string()),
            connector_type_version: Set(connector_type_version.to_string()),
            name: Set(name.to_string()),
            description: Set(description.clone()),
            status: Set(status.to_string()),
            config: Set(config.clone().into()),
            secrets: Set(secrets.as_ref().map(|it| it.blob.as_bytes().to_vec())),
            secret_pointers: Set(to_optional_json(secrets.as_ref().map(|it| &it.pointers))?),
            streams: Set(to_json(streams)?),
            output_schemas: Set(to_json(output_schemas)?),
            labels: Set(to_json(labels)?),
            mock_enabled: Set(*mock_enabled),
            log_level: Set(log_level.to_string()),
            installed_capabilities: Set(installed_capabilities.clone()),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
            deleted_at: Set(*deleted_at),
        })
    }

    async fn release(&self, session: &Session) -> Result<(), StoreError> {
        leftovers::leave(session, Purged::Activation(self.id)).await
    }
}

/// The key of the connector. A live activation needs a live one.
async fn connector_pk(
    session: &Session,
    id: ConnectorId,
    deleted_at: Option<OffsetDateTime>,
) -> Result<i64, StoreError> {
    let (pk, key) = (connector::Column::Pk, connector::Column::ConnectorId);
    if deleted_at.is_none() {
        live_reference(session, pk, key, connector::Column::DeletedAt, id.uuid()).await
    } else {
        reference(session, pk, key, id.uuid()).await
    }
}

/// Soft-deletes and disables the live activations of `connector`, when it was itself deleted. Answers how many.
pub(crate) async fn disconnect(
    session: &Session,
    connector: &Connector,
) -> Result<u64, StoreError> {
    let key = connector::Column::ConnectorId;
    let pk = reference(session, connector::Column::Pk, key, connector.id.uuid()).await?;
    let disabled = Column::Status.save_as(Expr::val(Status::Disabled.to_string()));
    let update = Entity::update_many()
        .col_expr(Column::Status, disabled)
        .col_expr(Column::DeletedAt, Expr::val(connector.deleted_at))
        .col_expr(Column::UpdatedAt, Expr::val(connector.updated_at))
        .col_expr(Column::Revision, Expr::col(Column::Revision).add(1))
        .filter(Column::ConnectorPk.eq(pk))
        .filter(Column::DeletedAt.is_null());
    Ok(update.exec(session).await.map_err(store_error)?.rows_affected)
}

/// Passes if no live activation has in `column` a key that `owner` selects.
pub(crate) async fn none_live(
    session: &Session,
    column: Column,
    owner: SelectStatement,
) -> Result<(), StoreError> {
    let mut live = Query::select();
    live.column(Column::Pk)
        .from(Entity)
        .and_where(Expr::col(column).in_subquery(owner))
        .and_where(Column::DeletedAt.is_null())
        .limit(1);
    match session.query_one(&live).await.map_err(store_error)? {
        Some(_) => Err(StoreError::Dangling),
        None => Ok(()),
    }
}

impl TryFrom<Row> for WorkspaceConnector {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, connector_id, workspace_id, person_id } = row;
        let secrets = match (row.secrets, row.secret_pointers) {
            (Some(blob), Some(pointers)) => Some(SealedSecrets {
                blob: Sealed::from_bytes(blob),
                pointers: from_json("secret_pointers", pointers)?,
            }),
            (None, None) => None,
            _ => return Err(corrupt("secrets and where they belong do not go together")),
        };
        Ok(Self {
            id: WorkspaceConnectorId::from_uuid(row.workspace_connector_id),
            revision: Revision::from_number(row.revision),
            connector_id: ConnectorId::from_uuid(connector_id),
            workspace_id: WorkspaceId::from_uuid(workspace_id),
            person_id: person_id.map(PersonId::from_uuid),
            connector_type: row.connector_type.parse().map_err(corrupt)?,
            connector_type_version: row.connector_type_version.parse().map_err(corrupt)?,
            name: row.name.try_into().map_err(corrupt)?,
            description: row.description,
            status: row.status.parse().map_err(corrupt)?,
            config: from_json("config", row.config)?,
            secrets,
            streams: from_json("streams", row.streams)?,
            output_schemas: from_json("output_schemas", row.output_schemas)?,
            labels: from_json("labels", row.labels)?,
            mock_enabled: row.mock_enabled,
            log_level: row.log_level.parse().map_err(corrupt)?,
            installed_capabilities: row.installed_capabilities,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}
