//! People.

use async_trait::async_trait;
use linkspan_domain::{
    OrganizationId, Person, PersonId, Revision, Within, WorkspaceId, ports::StoreError,
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait,
    EnumIter, FromQueryResult, JoinType, PrimaryKeyTrait, QuerySelect, Select,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    error::corrupt,
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table, optional_reference},
    table::{organization, person_workspace},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "people")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) person_id: Uuid,
    pub(crate) organization_pk: i64,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) role: String,
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
    /// Read afterwards: a person has many.
    #[sea_orm(skip)]
    workspaces: Vec<Uuid>,
}

#[async_trait]
impl Table for Person {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::PersonId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = Some(Column::DeletedAt);
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

    async fn complete(rows: &mut [Row], session: &Session) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let people = rows.iter().map(|it| it.model.pk);
        let mut workspaces = person_workspace::workspaces_of(session, people).await?;
        for row in rows {
            row.workspaces = workspaces.remove(&row.model.pk).unwrap_or_default();
        }
        Ok(())
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            revision,
            organization_id,
            name,
            email,
            role,
            workspaces: _attached,
            created_at,
            updated_at,
            deleted_at,
        } = self;
        Ok(ActiveModel {
            pk: NotSet,
            person_id: Set(id.uuid()),
            organization_pk: Set(organization::pk(session, *organization_id).await?),
            name: Set(name.to_string()),
            email: Set(email.to_string()),
            role: Set(role.to_string()),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            updated_at: Set(*updated_at),
            deleted_at: Set(*deleted_at),
        })
    }

    async fn attach(&self, session: &Session) -> Result<(), StoreError> {
        person_workspace::assign(session, self).await
    }
}

/// The key of the person, if there is one.
pub(crate) async fn optional_pk(
    session: &Session,
    id: Option<PersonId>,
) -> Result<Option<i64>, StoreError> {
    optional_reference(session, Column::Pk, Column::PersonId, id.map(PersonId::uuid)).await
}

impl TryFrom<Row> for Person {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, organization_id, workspaces } = row;
        Ok(Self {
            id: PersonId::from_uuid(row.person_id),
            revision: Revision::from_number(row.revision),
            organization_id: OrganizationId::from_uuid(organization_id),
            name: row.name.try_into().map_err(corrupt)?,
            email: row.email.try_into().map_err(corrupt)?,
            role: row.role.parse().map_err(corrupt)?,
            workspaces: workspaces.into_iter().map(WorkspaceId::from_uuid).collect(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}
