//! Rotations of the master key.

use async_trait::async_trait;
use linkspan_domain::{
    KeyRotation, KeyRotationCounts, KeyRotationId, Lease, OrganizationId, Revision, Within,
    ports::StoreError,
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
    instant::{from_microseconds, microseconds},
    number::{signed, unsigned},
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table},
    table::organization,
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "key_rotations")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) key_rotation_id: Uuid,
    pub(crate) organization_pk: i64,
    pub(crate) status: String,
    pub(crate) to_key: String,
    pub(crate) from_keys: Json,
    pub(crate) total: i64,
    pub(crate) rotated: i64,
    pub(crate) skipped: i64,
    pub(crate) failed: i64,
    pub(crate) failures: Json,
    pub(crate) worker: Option<String>,
    /// In microseconds since 1970.
    pub(crate) lease_until: Option<i64>,
    pub(crate) revision: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) completed_at: Option<OffsetDateTime>,
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
}

#[async_trait]
impl Table for KeyRotation {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::KeyRotationId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = None;
    const FIXED: &'static [ColumnOf<Self>] = &[Column::OrganizationPk];

    fn select() -> Select<Entity> {
        let to_organization = Entity::belongs_to(organization::Entity)
            .from(Column::OrganizationPk)
            .to(organization::Column::Pk);
        Entity::find()
            .join(JoinType::InnerJoin, to_organization.into())
            .column(organization::Column::OrganizationId)
    }

    fn scope(Within(organization): &Within) -> Condition {
        Condition::all().add(organization::Column::OrganizationId.eq(organization.uuid()))
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            revision,
            organization_id,
            status,
            to_key,
            from_keys,
            counts,
            failures,
            lease,
            created_at,
            updated_at,
            completed_at,
        } = self;
        let KeyRotationCounts { total, rotated, skipped, failed } = *counts;
        Ok(ActiveModel {
            pk: NotSet,
            key_rotation_id: Set(id.uuid()),
            organization_pk: Set(organization::pk(session, *organization_id).await?),
            status: Set(status.to_string()),
            to_key: Set(to_key.to_string()),
            from_keys: Set(to_json(from_keys)?),
            total: Set(signed(total)),
            rotated: Set(signed(rotated)),
            skipped: Set(signed(skipped)),
            failed: Set(signed(failed)),
            failures: Set(to_json(failures)?),
            worker: Set(lease.as_ref().map(|it| it.worker.clone())),
            lease_until: Set(lease.as_ref().map(|it| microseconds(it.until))),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
            completed_at: Set(*completed_at),
        })
    }
}

impl TryFrom<Row> for KeyRotation {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, organization_id } = row;
        let lease = match row.worker.zip(row.lease_until) {
            Some((worker, until)) => Some(Lease { worker, until: from_microseconds(until)? }),
            None => None,
        };
        Ok(Self {
            id: KeyRotationId::from_uuid(row.key_rotation_id),
            revision: Revision::from_number(row.revision),
            organization_id: OrganizationId::from_uuid(organization_id),
            status: row.status.parse().map_err(corrupt)?,
            to_key: row.to_key.parse().map_err(corrupt)?,
            from_keys: from_json("from_keys", row.from_keys)?,
            counts: KeyRotationCounts {
                total: unsigned(row.total),
                rotated: unsigned(row.rotated),
                skipped: unsigned(row.skipped),
                failed: unsigned(row.failed),
            },
            failures: from_json("failures", row.failures)?,
            lease,
            created_at: row.created_at,
            updated_at: row.updated_at,
            completed_at: row.completed_at,
        })
    }
}
