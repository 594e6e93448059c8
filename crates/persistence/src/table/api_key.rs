//! API keys.

use async_trait::async_trait;
use linkspan_domain::{
    ApiKey, ApiKeyId, KeyHash, OrganizationId, PersonId, Revision, Within, ports::StoreError,
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
    store::{ActiveModelOf, ColumnOf, Table},
    table::{organization, person},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) api_key_id: Uuid,
    pub(crate) organization_pk: i64,
    pub(crate) person_pk: Option<i64>,
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) hash: String,
    pub(crate) permissions: Json,
    pub(crate) workspaces: Json,
    pub(crate) expires_at: Option<OffsetDateTime>,
    pub(crate) last_used_at: Option<OffsetDateTime>,
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
    organization_id: Uuid,
    person_id: Option<Uuid>,
}

#[async_trait]
impl Table for ApiKey {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::ApiKeyId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = Some(Column::DeletedAt);
    const FIXED: &'static [ColumnOf<Self>] = &[Column::OrganizationPk];

    fn select() -> Select<Entity> {
        let to_organization = Entity::belongs_to(organization::Entity)
            .from(Column::OrganizationPk)
            .to(organization::Column::Pk);
        let to_person =
            Entity::belongs_to(person::Entity).from(Column::PersonPk).to(person::Column::Pk);
        Entity::find()
            .join(JoinType::InnerJoin, to_organization.into())
            .join(JoinType::LeftJoin, to_person.into())
            .column(organization::Column::OrganizationId)
            .column(person::Column::PersonId)
    }

    fn scope(Within(organization): &Within) -> Condition {
        Condition::all().add(organization::Column::OrganizationId.eq(organization.uuid()))
    }

    fn joined(attribute: &str) -> Option<Field> {
        (attribute == "person_id").then(|| Field::of(person::Column::PersonId).or_nothing())
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            revision,
            organization_id,
            person_id,
            name,
            prefix,
            hash,
            permissions,
            workspaces,
            expires_at,
            last_used_at,
            created_at,
            updated_at,
            deleted_at,
        } = self;
        Ok(ActiveModel {
            pk: NotSet,
            api_key_id: Set(id.uuid()),
            organization_pk: Set(organization::pk(session, *organization_id).await?),
            person_pk: Set(person::optional_pk(session, *person_id).await?),
            name: Set(name.to_string()),
            prefix: Set(prefix.clone()),
            hash: Set(hash.as_str().to_owned()),
            permissions: Set(to_json(permissions)?),
            workspaces: Set(to_json(workspaces)?),
            expires_at: Set(*expires_at),
            last_used_at: Set(*last_used_at),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
            deleted_at: Set(*deleted_at),
        })
    }
}

impl TryFrom<Row> for ApiKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, organization_id, person_id } = row;
        Ok(Self {
            id: ApiKeyId::from_uuid(row.api_key_id),
            revision: Revision::from_number(row.revision),
            organization_id: OrganizationId::from_uuid(organization_id),
            person_id: person_id.map(PersonId::from_uuid),
            name: row.name.try_into().map_err(corrupt)?,
            prefix: row.prefix,
            hash: KeyHash::from_stored(row.hash),
            permissions: from_json("permissions", row.permissions)?,
            workspaces: from_json("workspaces", row.workspaces)?,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}
