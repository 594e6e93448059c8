//! Who may come in.

use async_trait::async_trait;
use linkspan_domain::{
    ApiKey, Email, FilterTest, FilterValue, KeyHash, OrganizationId, Person, PersonId, Within,
    Workspace,
    ports::{AccessStore, StoreError},
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::Expr,
};

use crate::{
    column::{from_json, to_json},
    database::Database,
    error::store_error,
    field::Field,
    session::Session,
    store::{Table, insert, select},
    table::{api_key, organization, person, setting, workspace},
};

/// Looks up callers.
pub(crate) struct SqlAccessStore {
    db: Database,
}

impl SqlAccessStore {
    pub(crate) const fn new(db: Database) -> Self {
        Self { db }
    }
}

/// The setting that names the organization of this installation.
const ORGANIZATION: &str = "organization";

#[async_trait]
impl AccessStore for SqlAccessStore {
    async fn key(&self, hash: &KeyHash) -> Result<Option<ApiKey>, StoreError> {
        let session = self.db.read().await?;
        let named = api_key::Column::Hash.eq(hash.as_str());
        let found = select(&session, Condition::all(), named).await?.pop();
        session.commit().await?;
        Ok(found)
    }

    async fn touch(&self, key: &ApiKey) -> Result<(), StoreError> {
        let Some(used_at) = key.last_used_at else { return Ok(()) };
        let session = self.db.write().await?;
        let earlier = Condition::any()
            .add(api_key::Column::LastUsedAt.is_null())
            .add(api_key::Column::LastUsedAt.lt(used_at));
        // Not a new revision: nobody who edits the key cares.
        api_key::Entity::update_many()
            .col_expr(api_key::Column::LastUsedAt, Expr::val(used_at))
            .filter(api_key::Column::ApiKeyId.eq(key.id.uuid()))
            .filter(earlier)
            .exec(&session)
            .await
            .map_err(store_error)?;
        session.commit().await
    }

    async fn person(
        &self,
        organization: OrganizationId,
        id: PersonId,
    ) -> Result<Option<Person>, StoreError> {
        let session = self.db.read().await?;
        let live = Condition::all()
            .add(person::Column::PersonId.eq(id.uuid()))
            .add(person::Column::DeletedAt.is_null());
        let found = select(&session, Person::scope(&Within(organization)), live).await?.pop();
        session.commit().await?;
        Ok(found)
    }

    async fn person_by_email(
        &self,
        organization: OrganizationId,
        email: &Email,
    ) -> Result<Option<Person>, StoreError> {
        let session = self.db.read().await?;
        let named = FilterTest::Equals(FilterValue::Text(email.to_string()));
        let live = Field::of(person::Column::Email)
            .test(session.get_database_backend(), &named)
            .add(person::Column::DeletedAt.is_null());
        let found = select(&session, Person::scope(&Within(organization)), live).await?.pop();
        session.commit().await?;
        Ok(found)
    }

    async fn organization(&self) -> Result<Option<OrganizationId>, StoreError> {
        let session = self.db.read().await?;
        let named = setting::find(&session, ORGANIZATION).await?;
        session.commit().await?;
        named.map(|it| from_json("value", it)).transpose()
    }

    async fn workspaces(&self, organization: OrganizationId) -> Result<Vec<Workspace>, StoreError> {
        let session = self.db.read().await?;
        let found = workspaces(&session, organization).await?;
        session.commit().await?;
        Ok(found)
    }

    async fn bootstrap(&self, first: &Workspace) -> Result<Workspace, StoreError> {
        let session = self.db.write().await?;
        let ours = to_json(&first.organization_id)?;
        let named = setting::set_once(&session, ORGANIZATION, ours, first.created_at).await?;
        let organization_id: OrganizationId = from_json("value", named)?;
        if let Some(oldest) = workspaces(&session, organization_id).await?.into_iter().next() {
            session.commit().await?;
            return Ok(oldest);
        }
        let first = Workspace { organization_id, ..first.clone() };
        found(&session, &first).await?;
        insert(&session, &first).await?;
        session.commit().await?;
        Ok(first)
    }
}

/// Makes the organization of `first`, if there is none.
async fn found(session: &Session, first: &Workspace) -> Result<(), StoreError> {
    match organization::pk(session, first.organization_id).await {
        Err(StoreError::Dangling) => {}
        other => return other.map(drop),
    }
    let row = organization::ActiveModel {
        pk: NotSet,
        organization_id: Set(first.organization_id.uuid()),
        name: Set(first.name.to_string()),
        revision: Set(1),
        created_at: Set(first.created_at),
        updated_at: Set(first.updated_at),
        deleted_at: Set(None),
    };
    let insert = organization::Entity::insert(row).exec_without_returning(session);
    insert.await.map(drop).map_err(store_error)
}

/// The live workspaces, oldest first.
async fn workspaces(
    session: &Session,
    organization: OrganizationId,
) -> Result<Vec<Workspace>, StoreError> {
    let live = workspace::Column::DeletedAt.is_null();
    let scope = Workspace::scope(&Within(organization));
    let mut found: Vec<Workspace> = select(session, scope, live).await?;
    found.sort_by_key(|it| (it.created_at, it.id));
    Ok(found)
}
