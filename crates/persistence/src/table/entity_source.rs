//! Where entities come from, and where they went to.

use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait,
    EnumIter, PrimaryKeyTrait,
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "entity_workspace_connectors")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) entity_pk: i64,
    pub(crate) workspace_connector_pk: i64,
    pub(crate) direction: String,
    pub(crate) stream: String,
    pub(crate) record_key: String,
    pub(crate) run_pk: Option<i64>,
    /// In microseconds since 1970.
    pub(crate) first_seen_at: i64,
    /// In microseconds since 1970.
    pub(crate) last_seen_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
