//! Organizations.

use linkspan_domain::{OrganizationId, ports::StoreError};
use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait,
    EnumIter, PrimaryKeyTrait,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{session::Session, store::reference};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "organizations")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) organization_id: Uuid,
    pub(crate) name: String,
    pub(crate) revision: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) deleted_at: Option<OffsetDateTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The key of the organization.
pub(crate) async fn pk(session: &Session, id: OrganizationId) -> Result<i64, StoreError> {
    reference(session, Column::Pk, Column::OrganizationId, id.uuid()).await
}
