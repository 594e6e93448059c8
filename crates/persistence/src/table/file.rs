//! Uploaded files. Their bytes are elsewhere.

use async_trait::async_trait;
use linkspan_domain::{
    ContentHash, FileId, Revision, UploadedFile, Visible, WorkspaceId, ports::StoreError,
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    Condition, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter,
    FromQueryResult, JoinType, PrimaryKeyTrait, QuerySelect, Select,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    error::corrupt,
    field::Field,
    number::{signed, unsigned},
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table},
    table::workspace,
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "files")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) file_id: Uuid,
    pub(crate) workspace_pk: i64,
    pub(crate) name: String,
    pub(crate) bytes: i64,
    pub(crate) sha256: String,
    pub(crate) revision: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) deleted_at: Option<OffsetDateTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A row, with the identifier of what it refers to.
#[derive(Debug, FromQueryResult)]
pub(crate) struct Row {
    #[sea_orm(nested)]
    model: Model,
    workspace_id: Uuid,
}

#[async_trait]
impl Table for UploadedFile {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::FileId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = Some(Column::DeletedAt);
    const FIXED: &'static [ColumnOf<Self>] = &[Column::WorkspacePk];

    fn select() -> Select<Entity> {
        let to_workspace = Entity::belongs_to(workspace::Entity)
            .from(Column::WorkspacePk)
            .to(workspace::Column::Pk);
        Entity::find()
            .join(JoinType::InnerJoin, to_workspace.into())
            .column(workspace::Column::WorkspaceId)
    }

    fn scope(visible: &Visible) -> Condition {
        Condition::all().add(workspace::named(&visible.workspaces))
    }

    fn joined(attribute: &str) -> Option<Field> {
        (attribute == "workspace_id").then(|| Field::of(workspace::Column::WorkspaceId))
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            revision,
            workspace_id,
            name,
            bytes,
            sha256,
            created_at,
            updated_at,
            deleted_at,
        } = self;
        Ok(ActiveModel {
            pk: NotSet,
            file_id: Set(id.uuid()),
            workspace_pk: Set(workspace::pk(session, *workspace_id).await?),
            name: Set(name.to_string()),
            bytes: Set(signed(*bytes)),
            sha256: Set(sha256.to_string()),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
            deleted_at: Set(*deleted_at),
        })
    }
}

impl TryFrom<Row> for UploadedFile {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, workspace_id } = row;
        Ok(Self {
            id: FileId::from_uuid(row.file_id),
            revision: Revision::from_number(row.revision),
            workspace_id: WorkspaceId::from_uuid(workspace_id),
            name: row.name.try_into().map_err(corrupt)?,
            bytes: unsigned(row.bytes),
            sha256: ContentHash::from_stored(row.sha256),
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}
