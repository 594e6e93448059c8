//! The catalog.

use async_trait::async_trait;
use linkspan_domain::{
    CatalogEntry, Connector, ConnectorId, Platform, Receipt, Revision, Slug,
    ports::{CatalogStore, StoreError},
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DeriveEntityModel, DerivePrimaryKey, DeriveRelation,
    EntityTrait, EnumIter, PrimaryKeyTrait, Select,
    entity::prelude::Json,
    sea_query::{LockType, Query},
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    column::{NativeEnum, from_json, from_optional_json, to_json, to_optional_json},
    error::{corrupt, store_error},
    grants::leftovers::{self, Purged},
    receipt,
    session::Session,
    store::{ActiveModelOf, ColumnOf, SqlStore, Table, update},
    table::workspace_connector,
};

#[async_trait]
impl CatalogStore for SqlStore<Connector> {
    async fn retire(&self, connector: &Connector, receipt: &Receipt) -> Result<u64, StoreError> {
        let session = self.db().write().await?;
        // First: on PostgreSQL this makes who would add an activation wait, and then find the connector gone.
        update(&session, connector).await?;
        let disconnected = workspace_connector::disconnect(&session, connector).await?;
        receipt::keep(&session, &counted(receipt, disconnected)).await?;
        session.commit().await?;
        Ok(disconnected)
    }
}

/// The receipt, with how many activations went with the connector.
fn counted(receipt: &Receipt, disconnected: u64) -> Receipt {
    let mut receipt = receipt.clone();
    match &mut receipt.audit.details {
        Value::Object(details) => {
            details.insert("workspace_connectors".to_owned(), disconnected.into());
        }
        details @ Value::Null => *details = json!({ "workspace_connectors": disconnected }),
        _ => {}
    }
    receipt
}

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "connectors")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) connector_id: Uuid,
    pub(crate) name: String,
    #[sea_orm(column_type = "native(\"provider_type_enum\")")]
    pub(crate) provider: String,
    pub(crate) category_id: String,
    pub(crate) service_id: String,
    pub(crate) external_connector_id: Option<String>,
    pub(crate) slug: Option<String>,
    #[sea_orm(column_type = "native(\"status_type_enum\")")]
    pub(crate) status: String,
    #[sea_orm(column_type = "native(\"status_type_enum\")")]
    pub(crate) seeded_status: Option<String>,
    #[sea_orm(column_type = "native(\"direction_enum\")")]
    pub(crate) direction: String,
    #[sea_orm(column_type = "native(\"authorization_flow_enum\")")]
    pub(crate) authorization_flow: String,
    #[sea_orm(column_type = "native(\"transport_enum\")")]
    pub(crate) transport: String,
    pub(crate) auth_config: Option<Json>,
    pub(crate) supported_target_models: Json,
    pub(crate) connector_type: String,
    pub(crate) description: Option<String>,
    pub(crate) tags: Json,
    pub(crate) logo_url: Option<String>,
    pub(crate) docs_url: Option<String>,
    pub(crate) data_domains: Json,
    pub(crate) version: Option<String>,
    pub(crate) notes: Option<String>,
    pub(crate) revision: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) deleted_at: Option<OffsetDateTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

#[async_trait]
impl Table for Connector {
    type Entity = Entity;
    type Row = Model;

    const KEY: ColumnOf<Self> = Column::ConnectorId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = Some(Column::DeletedAt);
    const FIXED: &'static [ColumnOf<Self>] = &[];

    fn select() -> Select<Entity> {
        Entity::find()
    }

    fn scope(Platform: &Platform) -> Condition {
        Condition::all()
    }

    async fn to_row(&self, _session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self { id, revision, entry, seeded_status, created_at, updated_at, deleted_at } = self;
        let CatalogEntry {
            name,
            provider,
            category_id,
            service_id,
            external_connector_id,
            slug,
            status,
            direction,
            authorization_flow,
            transport,
            auth_config,
            supported_target_models,
            connector_type,
            description,
            tags,
            logo_url,
            docs_url,
            data_domains,
            version,
            notes,
        } = entry;
        Ok(ActiveModel {
            pk: NotSet,
            connector_id: Set(id.uuid()),
            name: Set(name.to_string()),
            provider: Set(provider.to_string()),
            category_id: Set(category_id.to_string()),
            service_id: Set(service_id.to_string()),
            external_connector_id: Set(external_connector_id.clone()),
            slug: Set(slug.as_ref().map(ToString::to_string)),
            status: Set(status.to_string()),
            seeded_status: Set(seeded_status.as_ref().map(ToString::to_string)),
            direction: Set(direction.to_string()),
            authorization_flow: Set(authorization_flow.to_string()),
            transport: Set(transport.to_string()),
            auth_config: Set(to_optional_json(auth_config.as_ref())?),
            supported_target_models: Set(to_json(supported_target_models)?),
            connector_type: Set(connector_type.to_string()),
            description: Set(description.clone()),
            tags: Set(to_json(tags)?),
            logo_url: Set(logo_url.as_ref().map(ToString::to_string)),
            docs_url: Set(docs_url.as_ref().map(ToString::to_string)),
            data_domains: Set(to_json(data_domains)?),
            version: Set(version.as_ref().map(ToString::to_string)),
            notes: Set(notes.clone()),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
            deleted_at: Set(*deleted_at),
        })
    }

    async fn release(&self, session: &Session) -> Result<(), StoreError> {
        // Who would add an activation now waits for this lock, and then finds the connector gone.
        let mut lock = Query::select();
        lock.column(Column::Pk)
            .from(Entity)
            .and_where(Column::ConnectorId.eq(self.id.uuid()))
            .lock(LockType::Update);
        session.query_one(&lock).await.map_err(store_error)?;
        workspace_connector::none_live(session, workspace_connector::Column::ConnectorPk, lock)
            .await?;
        leftovers::leave(session, Purged::Connector(self.id)).await
    }
}

impl TryFrom<Model> for Connector {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let entry = CatalogEntry {
            name: row.name.try_into().map_err(corrupt)?,
            provider: row.provider.parse().map_err(corrupt)?,
            category_id: Slug::stored(row.category_id).map_err(corrupt)?,
            service_id: row.service_id.try_into().map_err(corrupt)?,
            external_connector_id: row.external_connector_id,
            slug: row.slug.map(Slug::stored).transpose().map_err(corrupt)?,
            status: row.status.parse().map_err(corrupt)?,
            direction: row.direction.parse().map_err(corrupt)?,
            authorization_flow: row.authorization_flow.parse().map_err(corrupt)?,
            transport: row.transport.parse().map_err(corrupt)?,
            auth_config: from_optional_json("auth_config", row.auth_config)?,
            supported_target_models: from_json(
                "supported_target_models",
                row.supported_target_models,
            )?,
            connector_type: row.connector_type.parse().map_err(corrupt)?,
            description: row.description,
            tags: from_json("tags", row.tags)?,
            logo_url: row.logo_url.map(|it| it.parse()).transpose().map_err(corrupt)?,
            docs_url: row.docs_url.map(|it| it.parse()).transpose().map_err(corrupt)?,
            data_domains: from_json("data_domains", row.data_domains)?,
            version: row.version.map(|it| it.parse()).transpose().map_err(corrupt)?,
            notes: row.notes,
        };
        Ok(Self {
            id: ConnectorId::from_uuid(row.connector_id),
            revision: Revision::from_number(row.revision),
            entry,
            seeded_status: row.seeded_status.map(|it| it.parse()).transpose().map_err(corrupt)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}
