//! Document-capture providers.

use async_trait::async_trait;
use linkspan_domain::{Platform, Provider, ProviderId, Revision, Slug, ports::StoreError};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    Condition, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter,
    PrimaryKeyTrait, Select,
    entity::prelude::Json,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    column::{from_json, to_json},
    error::corrupt,
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "providers")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) provider_id: Uuid,
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) url: Option<String>,
    pub(crate) logo_url: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) countries: Json,
    pub(crate) blueprint: Option<Json>,
    pub(crate) skill: Option<String>,
    pub(crate) revision: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) deleted_at: Option<OffsetDateTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

#[async_trait]
impl Table for Provider {
    type Entity = Entity;
    type Row = Model;

    const KEY: ColumnOf<Self> = Column::ProviderId;
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
        let Self {
            id,
            revision,
            name,
            slug,
            url,
            logo_url,
            category,
            countries,
            blueprint,
            skill,
            created_at,
            updated_at,
            deleted_at,
        } = self;
        Ok(ActiveModel {
            pk: NotSet,
            provider_id: Set(id.uuid()),
            name: Set(name.to_string()),
            slug: Set(slug.to_string()),
            url: Set(url.as_ref().map(ToString::to_string)),
            logo_url: Set(logo_url.as_ref().map(ToString::to_string)),
            category: Set(category.as_ref().map(ToString::to_string)),
            countries: Set(to_json(countries)?),
            blueprint: Set(blueprint.clone()),
            skill: Set(skill.clone()),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
            deleted_at: Set(*deleted_at),
        })
    }
}

impl TryFrom<Model> for Provider {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: ProviderId::from_uuid(row.provider_id),
            revision: Revision::from_number(row.revision),
            name: row.name.try_into().map_err(corrupt)?,
            slug: Slug::stored(row.slug).map_err(corrupt)?,
            url: row.url.map(|it| it.parse()).transpose().map_err(corrupt)?,
            logo_url: row.logo_url.map(|it| it.parse()).transpose().map_err(corrupt)?,
            category: row.category.map(Slug::stored).transpose().map_err(corrupt)?,
            countries: from_json("countries", row.countries)?,
            blueprint: row.blueprint,
            skill: row.skill,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}
