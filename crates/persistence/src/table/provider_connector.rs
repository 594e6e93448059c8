//! Pairings of providers with connectors.

use async_trait::async_trait;
use linkspan_domain::{
    ConnectorId, Platform, ProviderConnector, ProviderConnectorId, ProviderId, Revision,
    ports::StoreError,
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
    field::Field,
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table, reference},
    table::{connector, provider},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "provider_connectors")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) provider_connector_id: Uuid,
    pub(crate) provider_pk: i64,
    pub(crate) connector_pk: i64,
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
    provider_id: Uuid,
    connector_id: Uuid,
}

#[async_trait]
impl Table for ProviderConnector {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::ProviderConnectorId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = Some(Column::DeletedAt);
    const FIXED: &'static [ColumnOf<Self>] = &[];

    fn select() -> Select<Entity> {
        let to_provider =
            Entity::belongs_to(provider::Entity).from(Column::ProviderPk).to(provider::Column::Pk);
        let to_connector = Entity::belongs_to(connector::Entity)
            .from(Column::ConnectorPk)
            .to(connector::Column::Pk);
        Entity::find()
            .join(JoinType::InnerJoin, to_provider.into())
            .join(JoinType::InnerJoin, to_connector.into())
            .column(provider::Column::ProviderId)
            .column(connector::Column::ConnectorId)
    }

    fn scope(Platform: &Platform) -> Condition {
        Condition::all()
    }

    fn joined(attribute: &str) -> Option<Field> {
        match attribute {
            "provider_id" => Some(Field::of(provider::Column::ProviderId)),
            "connector_id" => Some(Field::of(connector::Column::ConnectorId)),
            _ => None,
        }
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self { id, revision, provider_id, connector_id, created_at, updated_at, deleted_at } =
            self;
        let (pk, key) = (provider::Column::Pk, provider::Column::ProviderId);
        let provider_pk = reference(session, pk, key, provider_id.uuid()).await?;
        let (pk, key) = (connector::Column::Pk, connector::Column::ConnectorId);
        let connector_pk = reference(session, pk, key, connector_id.uuid()).await?;
        Ok(ActiveModel {
            pk: NotSet,
            provider_connector_id: Set(id.uuid()),
            provider_pk: Set(provider_pk),
            connector_pk: Set(connector_pk),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
            deleted_at: Set(*deleted_at),
        })
    }
}

impl TryFrom<Row> for ProviderConnector {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, provider_id, connector_id } = row;
        Ok(Self {
            id: ProviderConnectorId::from_uuid(row.provider_connector_id),
            revision: Revision::from_number(row.revision),
            provider_id: ProviderId::from_uuid(provider_id),
            connector_id: ConnectorId::from_uuid(connector_id),
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}
