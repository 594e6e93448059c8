//! The audit trail.

use async_trait::async_trait;
use linkspan_domain::{
    AuditEvent, AuditEventId, ChainLink, OrganizationId, Within, WorkspaceId, ports::StoreError,
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait,
    EnumIter, PrimaryKeyTrait, Select,
    entity::prelude::Json,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    error::corrupt,
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) audit_event_id: Uuid,
    pub(crate) organization_id: Uuid,
    pub(crate) workspace_id: Option<Uuid>,
    pub(crate) actor_type: String,
    pub(crate) actor_id: Option<Uuid>,
    pub(crate) action: String,
    pub(crate) resource_type: String,
    pub(crate) resource_id: Option<Uuid>,
    pub(crate) details: Json,
    pub(crate) ip_address: Option<String>,
    pub(crate) trace_id: String,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) sequence: Option<i64>,
    pub(crate) hash: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

#[async_trait]
impl Table for AuditEvent {
    type Entity = Entity;
    type Row = Model;

    const KEY: ColumnOf<Self> = Column::AuditEventId;
    const REVISION: Option<ColumnOf<Self>> = None;
    const DELETED_AT: Option<ColumnOf<Self>> = None;
    const FIXED: &'static [ColumnOf<Self>] = &[];

    fn select() -> Select<Entity> {
        Entity::find()
    }

    fn scope(Within(organization): &Within) -> Condition {
        Condition::all().add(Column::OrganizationId.eq(organization.uuid()))
    }

    async fn to_row(&self, _session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            organization_id,
            workspace_id,
            actor_type,
            actor_id,
            action,
            resource_type,
            resource_id,
            details,
            ip_address,
            trace_id,
            created_at,
            link,
        } = self;
        Ok(ActiveModel {
            pk: NotSet,
            audit_event_id: Set(id.uuid()),
            organization_id: Set(organization_id.uuid()),
            workspace_id: Set(workspace_id.map(WorkspaceId::uuid)),
            actor_type: Set(actor_type.to_string()),
            actor_id: Set(*actor_id),
            action: Set(action.clone()),
            resource_type: Set(resource_type.to_string()),
            resource_id: Set(*resource_id),
            details: Set(details.clone()),
            ip_address: Set(ip_address.clone()),
            trace_id: Set(trace_id.clone()),
            created_at: Set(*created_at),
            sequence: Set(link.map(|it| it.sequence)),
            hash: Set(link.map(|it| it.hash.to_string())),
        })
    }
}

impl TryFrom<Model> for AuditEvent {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let link = match (row.sequence, row.hash) {
            (Some(sequence), Some(hash)) => {
                Some(ChainLink { sequence, hash: hash.parse().map_err(corrupt)? })
            }
            (None, None) => None,
            _ => return Err(corrupt("an audit event has half a place in the chain")),
        };
        Ok(Self {
            id: AuditEventId::from_uuid(row.audit_event_id),
            organization_id: OrganizationId::from_uuid(row.organization_id),
            workspace_id: row.workspace_id.map(WorkspaceId::from_uuid),
            actor_type: row.actor_type.parse().map_err(corrupt)?,
            actor_id: row.actor_id,
            action: row.action,
            resource_type: row.resource_type.parse().map_err(corrupt)?,
            resource_id: row.resource_id,
            details: row.details,
            ip_address: row.ip_address,
            trace_id: row.trace_id,
            created_at: row.created_at,
            link,
        })
    }
}
