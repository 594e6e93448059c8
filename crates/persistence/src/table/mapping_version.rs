//! The wordings of mappings, how far each has come, and how it did.

use linkspan_domain::{ConnectorMappingId, MappingCounts, MappingVersion, ports::StoreError};
use sea_orm::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait,
    EnumIter, PrimaryKeyTrait,
};
use time::OffsetDateTime;

use crate::{error::corrupt, number::unsigned, table::connector_mapping::confidence};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "connector_mapping_versions")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) connector_mapping_pk: i64,
    pub(crate) version: i32,
    pub(crate) expression: String,
    pub(crate) origin: String,
    pub(crate) confidence: Option<i32>,
    pub(crate) position_generation: i64,
    pub(crate) position_key: Option<String>,
    pub(crate) mapped: i64,
    pub(crate) persisted: i64,
    pub(crate) failed: i64,
    pub(crate) last_persist_count: i64,
    pub(crate) last_run_pk: Option<i64>,
    pub(crate) created_at: OffsetDateTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The version, of the mapping with this identifier.
    pub(crate) fn into_version(self, id: ConnectorMappingId) -> Result<MappingVersion, StoreError> {
        Ok(MappingVersion {
            connector_mapping_id: id,
            version: self.version.unsigned_abs(),
            expression: self.expression,
            origin: self.origin.parse().map_err(corrupt)?,
            confidence: confidence(self.confidence),
            counts: MappingCounts {
                mapped: unsigned(self.mapped),
                persisted: unsigned(self.persisted),
                failed: unsigned(self.failed),
            },
            created_at: self.created_at,
        })
    }
}
