//! Settings of the platform that it keeps itself.

use linkspan_domain::ports::StoreError;
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait,
    EnumIter, PrimaryKeyTrait, QueryTrait,
    entity::prelude::Json,
    sea_query::{OnConflict, Query},
};
use time::OffsetDateTime;

use crate::{
    error::{corrupt, store_error},
    session::Session,
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "settings")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) name: String,
    pub(crate) value: Json,
    pub(crate) updated_at: OffsetDateTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Sets `name` if it is not set. Answers what it is set to: of several at once, one wins, and the others see its value.
pub(crate) async fn set_once(
    session: &Session,
    name: &'static str,
    value: Json,
    now: OffsetDateTime,
) -> Result<Json, StoreError> {
    let row = ActiveModel {
        pk: NotSet,
        name: Set(name.to_owned()),
        value: Set(value.clone()),
        updated_at: Set(now),
    };
    let conflict = OnConflict::column(Column::Name).do_nothing().to_owned();
    let insert = Entity::insert(row).on_conflict(conflict).into_query();
    if session.execute(&insert).await.map_err(store_error)?.rows_affected() == 1 {
        return Ok(value);
    }
    let set = find(session, name).await?;
    set.ok_or_else(|| corrupt(format!("the setting `{name}` came and went")))
}

/// What `name` is set to, if it is.
pub(crate) async fn find(
    session: &Session,
    name: &'static str,
) -> Result<Option<Json>, StoreError> {
    let mut query = Query::select();
    query.column(Column::Value).from(Entity).and_where(Column::Name.eq(name));
    let row = session.query_one(&query).await.map_err(store_error)?;
    row.map(|it| it.try_get_by_index(0).map_err(store_error)).transpose()
}
