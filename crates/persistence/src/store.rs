//! One store for every kind of thing: what differs is said by its [`Table`].

use std::marker::PhantomData;

use async_trait::async_trait;
use linkspan_domain::{
    Id, ListQuery, Page, Receipt, Resource,
    ports::{Change, Store, StoreError},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, ConnectionTrait, EntityTrait,
    FromQueryResult, QueryFilter, QueryTrait, Select,
    sea_query::{IntoCondition, LockType, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    database::Database,
    error::{store_error, unstorable},
    field::Field,
    list, receipt,
    session::Session,
};

/// How a thing is kept: its table, and what of other tables belongs to it.
///
/// Rows refer to each other by `pk`, which never leaves this crate; things name each other by public identifier. So a row
/// is [read](Self::select) with the identifiers of what it refers to, and [written](Self::to_row) with their keys.
#[async_trait]
pub(crate) trait Table: Resource + TryFrom<Self::Row, Error = StoreError> {
    /// The table.
    type Entity: EntityTrait<Column: Send + Sync, ActiveModel: Send + Sync>;
    /// What is read of it, and of the tables it refers to.
    type Row: FromQueryResult + Send;

    /// The column of the public identifier.
    const KEY: ColumnOf<Self>;
    /// The column of the revision. None: rows are only ever added.
    const REVISION: Option<ColumnOf<Self>>;
    /// The column that says when it was deleted. None: it cannot be.
    const DELETED_AT: Option<ColumnOf<Self>>;
    /// Columns that an update must find as they are: whose the thing is.
    const FIXED: &'static [ColumnOf<Self>];

    /// All rows, joined with what they refer to.
    fn select() -> Select<Self::Entity>;

    /// The rows that the tenancy has.
    fn scope(tenancy: &Self::Tenancy) -> Condition;

    /// Where an attribute is kept, if not in a column of the table that is named like it.
    fn joined(_attribute: &str) -> Option<Field> {
        None
    }

    /// Adds to the rows what a join cannot.
    async fn complete(_rows: &mut [Self::Row], _session: &Session) -> Result<(), StoreError> {
        Ok(())
    }

    /// The row of this thing. [`StoreError::Dangling`] if something that it refers to is not there.
    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError>;

    /// Changes what follows from how this thing differs from what is kept of it, just before it is written.
    async fn precede(&self, _session: &Session) -> Result<(), StoreError> {
        Ok(())
    }

    /// Writes what belongs to this thing, but not to its row.
    async fn attach(&self, _session: &Session) -> Result<(), StoreError> {
        Ok(())
    }

    /// Passes if nothing live hangs on this thing, so that it may be purged, and keeps what outlives it.
    async fn release(&self, _session: &Session) -> Result<(), StoreError> {
        Ok(())
    }
}

pub(crate) type ColumnOf<R> = <<R as Table>::Entity as EntityTrait>::Column;
pub(crate) type ActiveModelOf<R> = <<R as Table>::Entity as EntityTrait>::ActiveModel;

/// The store of one kind of thing.
pub(crate) struct SqlStore<R> {
    db: Database,
    kind: PhantomData<fn() -> R>,
}

impl<R> SqlStore<R> {
    pub(crate) const fn new(db: Database) -> Self {
        Self { db, kind: PhantomData }
    }

    pub(crate) const fn db(&self) -> &Database {
        &self.db
    }
}

/// No statement names more things than this: databases limit how many values one takes.
const MOST_IDS: usize = 1_000;

#[async_trait]
impl<R: Table> Store<R> for SqlStore<R> {
    async fn find(&self, tenancy: &R::Tenancy, id: R::Id) -> Result<Option<R>, StoreError> {
        Ok(self.find_all(tenancy, &[id]).await?.pop())
    }

    async fn find_all(&self, tenancy: &R::Tenancy, ids: &[R::Id]) -> Result<Vec<R>, StoreError> {
        let session = self.db.read().await?;
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MOST_IDS) {
            let named = R::KEY.is_in(ids.iter().map(|it| it.uuid()));
            found.extend(select(&session, R::scope(tenancy), named).await?);
        }
        session.commit().await?;
        Ok(found)
    }

    async fn list(&self, tenancy: &R::Tenancy, query: &ListQuery) -> Result<Page<R>, StoreError> {
        let session = self.db.read().await?;
        let page = list::page(&session, tenancy, query).await?;
        session.commit().await?;
        Ok(page)
    }

    async fn write(&self, changes: &[Change<R>], receipt: &Receipt) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        receipt::answer(&session, receipt).await?;
        for change in changes {
            apply(&session, change).await?;
        }
        receipt::record(&session, receipt).await?;
        session.commit().await
    }
}

/// The things in `scope` that fit `condition`.
pub(crate) async fn select<R: Table>(
    session: &Session,
    scope: Condition,
    condition: impl IntoCondition,
) -> Result<Vec<R>, StoreError> {
    // Two filters: a scope may be a choice, and must not become one with the condition.
    let query = R::select().filter(scope).filter(condition).into_query();
    let rows = session.query_all(&query).await.map_err(store_error)?;
    let rows = rows.iter().map(|row| R::Row::from_query_result(row, ""));
    read(session, rows.collect::<Result<_, _>>().map_err(store_error)?).await
}

/// The things that `rows` make.
pub(crate) async fn read<R: Table>(
    session: &Session,
    mut rows: Vec<R::Row>,
) -> Result<Vec<R>, StoreError> {
    R::complete(&mut rows, session).await?;
    rows.into_iter().map(R::try_from).collect()
}

/// Makes `change`.
pub(crate) async fn apply<R: Table>(
    session: &Session,
    change: &Change<R>,
) -> Result<(), StoreError> {
    match change {
        Change::Insert(it) => insert(session, it).await,
        Change::Update(it) => update(session, it).await,
        Change::Purge(it) => purge(session, it).await,
    }
}

/// Adds `thing`.
pub(crate) async fn insert<R: Table>(session: &Session, thing: &R) -> Result<(), StoreError> {
    let row = thing.to_row(session).await?;
    thing.precede(session).await?;
    R::Entity::insert(row).exec_without_returning(session).await.map_err(store_error)?;
    thing.attach(session).await
}

/// Writes `thing` anew, if it was not written since it was read.
pub(crate) async fn update<R: Table>(session: &Session, thing: &R) -> Result<(), StoreError> {
    let mut row = thing.to_row(session).await?;
    let unchanged = unchanged(thing, &mut row)?;
    if let Some(revision) = R::REVISION {
        set(&mut row, revision, thing.revision().next().number())?;
    }
    thing.precede(session).await?;
    let update = R::Entity::update_many().set(row).filter(unchanged);
    stale_unless(update.exec(session).await.map_err(store_error)?.rows_affected)?;
    thing.attach(session).await
}

async fn purge<R: Table>(session: &Session, thing: &R) -> Result<(), StoreError> {
    let mut row = thing.to_row(session).await?;
    let unchanged = unchanged(thing, &mut row)?;
    thing.release(session).await?;
    let delete = R::Entity::delete_many().filter(unchanged);
    stale_unless(delete.exec(session).await.map_err(store_error)?.rows_affected)
}

/// What is true of the row of `thing` as long as nobody else wrote it. Takes out of `row` what an update leaves alone.
fn unchanged<R: Table>(thing: &R, row: &mut ActiveModelOf<R>) -> Result<Condition, StoreError> {
    let revision =
        R::REVISION.ok_or_else(|| unstorable("rows of this table are only ever added"))?;
    let mut unchanged = Condition::all()
        .add(R::KEY.eq(thing.id().uuid()))
        .add(revision.eq(thing.revision().number()));
    row.not_set(R::KEY);
    for column in R::FIXED {
        if let ActiveValue::Set(value) = row.take(*column) {
            unchanged = unchanged.add(column.eq(value));
        }
    }
    Ok(unchanged)
}

/// As many rows as were touched: none, if somebody else wrote first.
pub(crate) const fn stale_unless(touched: u64) -> Result<(), StoreError> {
    if touched == 0 { Err(StoreError::Stale) } else { Ok(()) }
}

fn set<A: ActiveModelTrait>(
    row: &mut A,
    column: <A::Entity as EntityTrait>::Column,
    value: i64,
) -> Result<(), StoreError> {
    row.try_set(column, value.into()).map_err(unstorable)
}

/// The key of the row that `id` names. [`StoreError::Dangling`] if there is none.
pub(crate) async fn reference<C: ColumnTrait>(
    session: &Session,
    pk: C,
    key: C,
    id: Uuid,
) -> Result<i64, StoreError> {
    let mut query = Query::select();
    query.column(pk).from(key.entity_name()).and_where(key.eq(id));
    first_key(session, &query).await
}

/// As [`reference()`], to a row that is not deleted, and will not be while the session lasts.
pub(crate) async fn live_reference<C: ColumnTrait>(
    session: &Session,
    pk: C,
    key: C,
    deleted_at: C,
    id: Uuid,
) -> Result<i64, StoreError> {
    let mut query = Query::select();
    query
        .column(pk)
        .from(key.entity_name())
        .and_where(key.eq(id))
        .and_where(deleted_at.is_null())
        .lock(LockType::Share);
    first_key(session, &query).await
}

async fn first_key(session: &Session, query: &SelectStatement) -> Result<i64, StoreError> {
    let row = session.query_one(query).await.map_err(store_error)?;
    row.ok_or(StoreError::Dangling)?.try_get_by_index(0).map_err(store_error)
}

/// As [`reference()`], where there may be nothing to refer to.
pub(crate) async fn optional_reference<C: ColumnTrait>(
    session: &Session,
    pk: C,
    key: C,
    id: Option<Uuid>,
) -> Result<Option<i64>, StoreError> {
    match id {
        Some(id) => reference(session, pk, key, id).await.map(Some),
        None => Ok(None),
    }
}
