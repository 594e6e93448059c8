//! Entities.

use async_trait::async_trait;
use linkspan_domain::{
    Entity as Thing, EntityId, Revision, Visible, WorkspaceConnectorId, WorkspaceId,
    ports::StoreError,
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    Condition, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter,
    FromQueryResult, JoinType, PrimaryKeyTrait, QuerySelect, Select,
    entity::prelude::Json,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    column::{NativeEnum, from_json},
    error::{corrupt, unstorable},
    field::Field,
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table, reference},
    table::{workspace, workspace_connector},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "entities")]
#[expect(clippy::struct_field_names, reason = "fields are named like their columns")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) entity_id: Uuid,
    pub(crate) workspace_pk: i64,
    pub(crate) workspace_connector_pk: i64,
    #[sea_orm(column_type = "native(\"target_model_enum\")")]
    pub(crate) target_model: String,
    /// See [`record_id`].
    pub(crate) record_id: Uuid,
    pub(crate) stream: String,
    pub(crate) record_key: String,
    pub(crate) item: i32,
    /// See [`identity`].
    pub(crate) identity: String,
    pub(crate) external_id: Option<String>,
    pub(crate) payload: Json,
    pub(crate) hash: Vec<u8>,
    pub(crate) revision: i64,
    /// In which entry of the workspace's feed it appeared.
    pub(crate) added_entry: i64,
    /// In which entry it last changed.
    pub(crate) entry: i64,
    pub(crate) first_seen_at: OffsetDateTime,
    pub(crate) last_seen_at: OffsetDateTime,
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
    workspace_id: Uuid,
    workspace_connector_id: Uuid,
}

#[async_trait]
impl Table for Thing {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::EntityId;
    // Runs write entities, all of a page at once.
    const REVISION: Option<ColumnOf<Self>> = None;
    const DELETED_AT: Option<ColumnOf<Self>> = Some(Column::DeletedAt);
    const FIXED: &'static [ColumnOf<Self>] = &[];

    fn select() -> Select<Entity> {
        let to_workspace = Entity::belongs_to(workspace::Entity)
            .from(Column::WorkspacePk)
            .to(workspace::Column::Pk);
        let to_activation = Entity::belongs_to(workspace_connector::Entity)
            .from(Column::WorkspaceConnectorPk)
            .to(workspace_connector::Column::Pk);
        Entity::find()
            .join(JoinType::InnerJoin, to_workspace.into())
            .join(JoinType::InnerJoin, to_activation.into())
            .column(workspace::Column::WorkspaceId)
            .column(workspace_connector::Column::WorkspaceConnectorId)
    }

    fn scope(visible: &Visible) -> Condition {
        Condition::all().add(workspace::named(&visible.workspaces))
    }

    fn joined(attribute: &str) -> Option<Field> {
        match attribute {
            "workspace_connector_id" => {
                Some(Field::of(workspace_connector::Column::WorkspaceConnectorId))
            }
            "workspace_id" => Some(Field::of(workspace::Column::WorkspaceId)),
            // What lists are ordered by that are asked for no other order.
            "created_at" => Some(Field::of(Column::FirstSeenAt)),
            _ => None,
        }
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            revision,
            workspace_id,
            target_model,
            external_id,
            payload,
            hash,
            workspace_connector_id,
            stream,
            record_key,
            item,
            first_seen_at,
            last_seen_at,
            deleted_at,
        } = self;
        let (pk, key) =
            (workspace_connector::Column::Pk, workspace_connector::Column::WorkspaceConnectorId);
        let activation_pk = reference(session, pk, key, workspace_connector_id.uuid()).await?;
        Ok(ActiveModel {
            pk: NotSet,
            entity_id: Set(id.uuid()),
            workspace_pk: Set(workspace::pk(session, *workspace_id).await?),
            workspace_connector_pk: Set(activation_pk),
            target_model: Set(target_model.to_string()),
            record_id: Set(record_id(
                *workspace_connector_id,
                stream.as_str(),
                &target_model.to_string(),
                record_key,
            )),
            stream: Set(stream.to_string()),
            record_key: Set(record_key.clone()),
            item: Set(i32::try_from(*item).map_err(unstorable)?),
            identity: Set(identity(None, *item)),
            external_id: Set(external_id.clone()),
            payload: Set(payload.clone().into()),
            hash: Set(bytes(hash).ok_or_else(|| unstorable("a hash that is not hexadecimal"))?),
            revision: Set(revision.number()),
            added_entry: NotSet,
            entry: NotSet,
            first_seen_at: Set(*first_seen_at),
            last_seen_at: Set(*last_seen_at),
            deleted_at: Set(*deleted_at),
        })
    }
}

impl TryFrom<Row> for Thing {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, workspace_id, workspace_connector_id } = row;
        Ok(Self {
            id: EntityId::from_uuid(row.entity_id),
            revision: Revision::from_number(row.revision),
            workspace_id: WorkspaceId::from_uuid(workspace_id),
            target_model: row.target_model.parse().map_err(corrupt)?,
            external_id: row.external_id,
            payload: from_json("payload", row.payload)?,
            hash: row.hash.iter().fold(String::new(), |hex, it| format!("{hex}{it:02x}")),
            workspace_connector_id: WorkspaceConnectorId::from_uuid(workspace_connector_id),
            stream: row.stream.parse().map_err(corrupt)?,
            record_key: row.record_key,
            item: row.item.unsigned_abs(),
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
            deleted_at: row.deleted_at,
        })
    }
}

/// Stands for what a record becomes of one model, wherever it is written.
pub(crate) fn record_id(
    activation: WorkspaceConnectorId,
    stream: &str,
    target_model: &str,
    key: &str,
) -> Uuid {
    // Names of streams and models have no NUL, so that no two names read alike.
    let name = format!("{stream}\0{target_model}\0{key}");
    Uuid::new_v5(&activation.uuid(), name.as_bytes())
}

/// Names an object among those of its record: by what the source calls it, else by its place.
pub(crate) fn identity(external_id: Option<&str>, item: u32) -> String {
    external_id.map_or_else(|| format!("#{item}"), |it| format!("id {it}"))
}

/// The bytes that hexadecimal digits stand for.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|it| it.to_digit(16).and_then(|it| u8::try_from(it).ok())).collect();
    Some(digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, it| byte << 4 | it)).collect())
}
