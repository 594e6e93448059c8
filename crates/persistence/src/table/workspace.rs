//! Workspaces.

use async_trait::async_trait;
use linkspan_domain::{
    OrganizationId, Revision, Slug, Within, Workspace, WorkspaceId, ports::StoreError,
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DeriveEntityModel, DerivePrimaryKey, DeriveRelation,
    EntityTrait, EnumIter, FromQueryResult, JoinType, PrimaryKeyTrait, QuerySelect, Select,
    sea_query::{Expr, LockType, Query},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    error::{corrupt, store_error},
    field::Field,
    grants::leftovers::{self, Purged},
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table, live_reference, optional_reference, reference},
    table::{organization, workspace_connector},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "workspaces")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) workspace_id: Uuid,
    pub(crate) organization_pk: i64,
    pub(crate) parent_pk: Option<i64>,
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) external_workspace_id: Option<String>,
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
    parent_id: Option<Uuid>,
}

/// The workspace above, in a join.
const PARENT: &str = "parents";

#[async_trait]
impl Table for Workspace {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::WorkspaceId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = Some(Column::DeletedAt);
    const FIXED: &'static [ColumnOf<Self>] = &[Column::OrganizationPk];

    fn select() -> Select<Entity> {
        let to_organization = Entity::belongs_to(organization::Entity)
            .from(Column::OrganizationPk)
            .to(organization::Column::Pk);
        let to_parent = Entity::belongs_to(Entity).from(Column::ParentPk).to(Column::Pk);
        Entity::find()
            .join(JoinType::InnerJoin, to_organization.into())
            .join_as(JoinType::LeftJoin, to_parent.into(), PARENT)
            .column(organization::Column::OrganizationId)
            .expr_as(Expr::col((PARENT, Column::WorkspaceId)), "parent_id")
    }

    fn scope(Within(organization): &Within) -> Condition {
        Condition::all().add(organization::Column::OrganizationId.eq(organization.uuid()))
    }

    fn joined(attribute: &str) -> Option<Field> {
        (attribute == "parent_id").then(|| Field::aliased((PARENT, Column::WorkspaceId)))
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            revision,
            organization_id,
            parent_id,
            name,
            slug,
            external_workspace_id,
            created_at,
            updated_at,
            deleted_at,
        } = self;
        let parent = parent_id.map(WorkspaceId::uuid);
        let parent_pk =
            optional_reference(session, Column::Pk, Column::WorkspaceId, parent).await?;
        Ok(ActiveModel {
            pk: NotSet,
            workspace_id: Set(id.uuid()),
            organization_pk: Set(organization::pk(session, *organization_id).await?),
            parent_pk: Set(parent_pk),
            name: Set(name.to_string()),
            slug: Set(slug.to_string()),
            external_workspace_id: Set(external_workspace_id.clone()),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
            deleted_at: Set(*deleted_at),
        })
    }

    async fn attach(&self, session: &Session) -> Result<(), StoreError> {
        // Whoever activates a connector in it holds the row until it is done, and finds it deleted afterwards.
        if self.deleted_at.is_some() { require_empty(session, self.id).await } else { Ok(()) }
    }

    async fn release(&self, session: &Session) -> Result<(), StoreError> {
        require_empty(session, self.id).await?;
        leftovers::leave(session, Purged::Workspace(self.id)).await
    }
}

/// Passes if no live activation is in the workspace, and sees to it that none comes until the session ends.
async fn require_empty(session: &Session, id: WorkspaceId) -> Result<(), StoreError> {
    let mut lock = Query::select();
    lock.column(Column::Pk)
        .from(Entity)
        .and_where(Column::WorkspaceId.eq(id.uuid()))
        .lock(LockType::Update);
    session.query_one(&lock).await.map_err(store_error)?;
    workspace_connector::none_live(session, workspace_connector::Column::WorkspacePk, lock).await
}

/// The key of the workspace.
pub(crate) async fn pk(session: &Session, id: WorkspaceId) -> Result<i64, StoreError> {
    reference(session, Column::Pk, Column::WorkspaceId, id.uuid()).await
}

/// The key of the workspace, which has to be there until the session ends.
pub(crate) async fn live_pk(session: &Session, id: WorkspaceId) -> Result<i64, StoreError> {
    live_reference(session, Column::Pk, Column::WorkspaceId, Column::DeletedAt, id.uuid()).await
}

/// What is in one of `workspaces`, where they are joined.
pub(crate) fn named(workspaces: &[WorkspaceId]) -> Expr {
    Column::WorkspaceId.is_in(workspaces.iter().map(|it| it.uuid()))
}

impl TryFrom<Row> for Workspace {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, organization_id, parent_id } = row;
        Ok(Self {
            id: WorkspaceId::from_uuid(row.workspace_id),
            revision: Revision::from_number(row.revision),
            organization_id: OrganizationId::from_uuid(organization_id),
            parent_id: parent_id.map(WorkspaceId::from_uuid),
            name: row.name.try_into().map_err(corrupt)?,
            slug: Slug::stored(row.slug).map_err(corrupt)?,
            external_workspace_id: row.external_workspace_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}
