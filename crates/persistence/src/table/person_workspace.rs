//! Who works where.

use std::collections::BTreeMap;

use linkspan_domain::{Person, ports::StoreError};
use sea_orm::{
    ActiveModelBehavior, ActiveValue::Set, ColumnTrait, ConnectionTrait, DeriveEntityModel,
    DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, JoinType, PrimaryKeyTrait,
    QueryFilter, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use crate::{
    error::store_error,
    session::Session,
    store::reference,
    table::{person, workspace},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "person_workspaces")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) person_pk: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) workspace_pk: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The workspaces of each of `people`.
pub(crate) async fn workspaces_of(
    session: &Session,
    people: impl IntoIterator<Item = i64>,
) -> Result<BTreeMap<i64, Vec<Uuid>>, StoreError> {
    let to_workspace =
        Entity::belongs_to(workspace::Entity).from(Column::WorkspacePk).to(workspace::Column::Pk);
    let query = Entity::find()
        .select_only()
        .column(Column::PersonPk)
        .column(workspace::Column::WorkspaceId)
        .join(JoinType::InnerJoin, to_workspace.into())
        .filter(Column::PersonPk.is_in(people))
        .into_query();
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for row in session.query_all(&query).await.map_err(store_error)? {
        let (person, workspace) = row.try_get_many_by_index().map_err(store_error)?;
        found.entry(person).or_default().push(workspace);
    }
    Ok(found)
}

/// Makes `person` work in their workspaces, and nowhere else.
pub(crate) async fn assign(session: &Session, person: &Person) -> Result<(), StoreError> {
    let person_pk =
        reference(session, person::Column::Pk, person::Column::PersonId, person.id.uuid()).await?;
    let old = Entity::delete_many().filter(Column::PersonPk.eq(person_pk));
    old.exec(session).await.map_err(store_error)?;
    let mut rows = Vec::with_capacity(person.workspaces.len());
    for id in &person.workspaces {
        let workspace_pk = workspace::pk(session, *id).await?;
        rows.push(ActiveModel { person_pk: Set(person_pk), workspace_pk: Set(workspace_pk) });
    }
    if !rows.is_empty() {
        let new = Entity::insert_many(rows).exec_without_returning(session);
        new.await.map_err(store_error)?;
    }
    Ok(())
}
