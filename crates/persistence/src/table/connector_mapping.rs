//! Mappings of streams to target models.

use std::collections::HashMap;

use async_trait::async_trait;
use linkspan_domain::{
    Confidence, ConnectorMapping, ConnectorMappingId, Revision, Visible, WorkspaceConnectorId,
    WorkspaceId, ports::StoreError,
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DeriveEntityModel, DerivePrimaryKey, DeriveRelation,
    EntityTrait, EnumIter, FromQueryResult, JoinType, PrimaryKeyTrait, QueryFilter, QuerySelect,
    QueryTrait, Select,
    sea_query::OnConflict,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    column::NativeEnum,
    error::{corrupt, store_error},
    field::Field,
    number::unsigned,
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table, reference},
    table::{mapping_version, workspace, workspace_connector},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "connector_mappings")]
#[expect(clippy::struct_field_names, reason = "fields are named like their columns")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) connector_mapping_id: Uuid,
    pub(crate) workspace_connector_pk: i64,
    pub(crate) workspace_pk: i64,
    pub(crate) stream: String,
    #[sea_orm(column_type = "native(\"target_model_enum\")")]
    pub(crate) target_model: String,
    pub(crate) expression: String,
    pub(crate) version: i32,
    pub(crate) origin: String,
    pub(crate) confidence: Option<i32>,
    pub(crate) status: String,
    pub(crate) needs_regeneration: bool,
    pub(crate) on_collapse: String,
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
    workspace_connector_id: Uuid,
    /// Of the present version.
    #[sea_orm(skip)]
    last_persist_count: i64,
}

#[async_trait]
impl Table for ConnectorMapping {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::ConnectorMappingId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = Some(Column::DeletedAt);
    const FIXED: &'static [ColumnOf<Self>] = &[Column::WorkspacePk];

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
        match attribute {
            "workspace_connector_id" => {
                Some(Field::of(workspace_connector::Column::WorkspaceConnectorId))
            }
            "workspace_id" => Some(Field::of(workspace::Column::WorkspaceId)),
            _ => None,
        }
    }

    async fn complete(rows: &mut [Row], session: &Session) -> Result<(), StoreError> {
        use mapping_version::{Column, Entity};
        let mappings = rows.iter().map(|it| it.model.pk);
        let versions = Entity::find().filter(Column::ConnectorMappingPk.is_in(mappings));
        let versions = versions.all(session).await.map_err(store_error)?;
        let counts: HashMap<(i64, i32), i64> = versions
            .iter()
            .map(|it| ((it.connector_mapping_pk, it.version), it.last_persist_count))
            .collect();
        for row in rows {
            let count = counts.get(&(row.model.pk, row.model.version));
            row.last_persist_count = count.copied().unwrap_or_default();
        }
        Ok(())
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            revision,
            workspace_connector_id,
            workspace_id,
            stream,
            target_model,
            expression,
            version,
            origin,
            confidence,
            status,
            needs_regeneration,
            on_collapse,
            // Runs count it, with the version.
            last_persist_count: _,
            created_at,
            updated_at,
            deleted_at,
        } = self;
        let (pk, key) =
            (workspace_connector::Column::Pk, workspace_connector::Column::WorkspaceConnectorId);
        let activation_pk = reference(session, pk, key, workspace_connector_id.uuid()).await?;
        Ok(ActiveModel {
            pk: NotSet,
            connector_mapping_id: Set(id.uuid()),
            workspace_connector_pk: Set(activation_pk),
            workspace_pk: Set(workspace::pk(session, *workspace_id).await?),
            stream: Set(stream.to_string()),
            target_model: Set(target_model.to_string()),
            expression: Set(expression.clone()),
            version: Set(i32::try_from(*version).unwrap_or(i32::MAX)),
            origin: Set(origin.to_string()),
            confidence: Set(confidence.map(|it| i32::from(it.thousandths()))),
            status: Set(status.to_string()),
            needs_regeneration: Set(*needs_regeneration),
            on_collapse: Set(on_collapse.to_string()),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
            deleted_at: Set(*deleted_at),
        })
    }

    /// A version that is new is kept with the others.
    async fn attach(&self, session: &Session) -> Result<(), StoreError> {
        use mapping_version::{ActiveModel, Column, Entity};
        let pk =
            reference(session, self::Column::Pk, self::Column::ConnectorMappingId, self.id.uuid())
                .await?;
        let version = ActiveModel {
            connector_mapping_pk: Set(pk),
            version: Set(i32::try_from(self.version).unwrap_or(i32::MAX)),
            expression: Set(self.expression.clone()),
            origin: Set(self.origin.to_string()),
            confidence: Set(self.confidence.map(|it| i32::from(it.thousandths()))),
            created_at: Set(self.updated_at),
            ..ActiveModel::default()
        };
        let known = OnConflict::columns([Column::ConnectorMappingPk, Column::Version])
            .do_nothing()
            .to_owned();
        let insert = Entity::insert(version).on_conflict(known).into_query();
        session.execute(&insert).await.map_err(store_error)?;
        if self.deleted_at.is_some() {
            session.run(BEGIN_ANEW, vec![pk.into()]).await?;
        }
        Ok(())
    }
}

/// Lets a mapping begin with the first record, should it come back: what it made is withdrawn until then.
const BEGIN_ANEW: &str = "\
    UPDATE connector_mapping_versions SET position_generation = 0, position_key = NULL, \
        mapped = 0, persisted = 0, failed = 0 \
    WHERE connector_mapping_pk = $1";

impl TryFrom<Row> for ConnectorMapping {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, workspace_id, workspace_connector_id, last_persist_count } = row;
        Ok(Self {
            id: ConnectorMappingId::from_uuid(row.connector_mapping_id),
            revision: Revision::from_number(row.revision),
            workspace_connector_id: WorkspaceConnectorId::from_uuid(workspace_connector_id),
            workspace_id: WorkspaceId::from_uuid(workspace_id),
            stream: row.stream.parse().map_err(corrupt)?,
            target_model: row.target_model.parse().map_err(corrupt)?,
            expression: row.expression,
            version: row.version.unsigned_abs(),
            origin: row.origin.parse().map_err(corrupt)?,
            confidence: confidence(row.confidence),
            status: row.status.parse().map_err(corrupt)?,
            needs_regeneration: row.needs_regeneration,
            on_collapse: row.on_collapse.parse().map_err(corrupt)?,
            last_persist_count: unsigned(last_persist_count),
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}

/// A confidence as its column has it.
pub(crate) fn confidence(thousandths: Option<i32>) -> Option<Confidence> {
    thousandths.map(|it| Confidence::from_thousandths(u16::try_from(it).unwrap_or(0)))
}
