//! Records that mappings failed on.

use linkspan_domain::{UnmappedRecord, ports::StoreError};
use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait,
    EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

use crate::instant::from_microseconds;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "unmapped_records")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) connector_mapping_pk: i64,
    /// See [`record_id`](super::entity::record_id).
    pub(crate) record_id: Uuid,
    pub(crate) record_key: String,
    pub(crate) reason: String,
    /// In microseconds since 1970.
    pub(crate) first_seen_at: i64,
    /// In microseconds since 1970.
    pub(crate) last_seen_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for UnmappedRecord {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            position: row.pk,
            key: row.record_key,
            reason: row.reason,
            first_seen_at: from_microseconds(row.first_seen_at)?,
            last_seen_at: from_microseconds(row.last_seen_at)?,
        })
    }
}
