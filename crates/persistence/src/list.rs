//! One page of a list: filters, order, keyset paging and the total, in one statement.
//!
//! A page starts behind a [position](linkspan_domain::Position), the values of the sort keys of the last thing that was seen, not at an offset: so
//! that what is inserted or deleted meanwhile moves nothing. The public identifier is the last key, so that no two things
//! are in one place.

mod key;
mod window;

use linkspan_domain::{Deleted, ListQuery, Page, ports::StoreError};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, FromQueryResult, QueryFilter, QueryResult,
    QueryTrait,
    sea_query::{Expr, Query},
};

use self::{
    key::{field, key_alias, keys, position},
    window::Window,
};
use crate::{
    error::{corrupt, store_error},
    session::Session,
    store::{Table, read},
};

/// One page of the things that the tenancy has and the query asks for.
pub(crate) async fn page<R: Table>(
    session: &Session,
    tenancy: &R::Tenancy,
    query: &ListQuery,
) -> Result<Page<R>, StoreError> {
    let backend = session.get_database_backend();
    let keys = keys::<R>(backend, &query.sort)?;
    let all = R::select().filter(condition::<R>(backend, tenancy, query)?).into_query();
    let window = Window::new(&keys, &query.page)?;
    let facts = window.facts(&all);

    let limit = u64::from(query.page.size.get());
    let mut select = all;
    for (number, key) in keys.iter().enumerate() {
        select.expr_as(key.expr.clone(), key_alias(number));
    }
    for (name, fact) in &facts {
        select.expr_as(fact.clone(), *name);
    }
    select.cond_where(window.within()).limit(limit + 1);
    window.order(&mut select);
    let mut rows = session.query_all(&select).await.map_err(store_error)?;

    let known = match rows.first() {
        Some(row) => Facts::read(row)?,
        None => Facts::ask(session, &facts).await?,
    };
    let more = rows.len() as u64 > limit;
    rows.truncate(usize::from(query.page.size.get()));
    if window.backward {
        rows.reverse();
    }
    let positions = rows.iter().map(|row| position(&keys, row));
    let positions = positions.collect::<Result<Vec<_>, _>>()?;
    let rows = rows.iter().map(|row| R::Row::from_query_result(row, ""));
    let things = read(session, rows.collect::<Result<_, _>>().map_err(store_error)?).await?;
    Ok(Page {
        items: things.into_iter().zip(positions).collect(),
        total: known.total,
        has_before: known.before || (window.backward && more),
        has_after: known.after || (!window.backward && more),
    })
}

fn condition<R: Table>(
    backend: DbBackend,
    tenancy: &R::Tenancy,
    query: &ListQuery,
) -> Result<Condition, StoreError> {
    let mut condition = Condition::all().add(R::scope(tenancy));
    if let (Deleted::Hidden, Some(deleted_at)) = (query.deleted, R::DELETED_AT) {
        condition = condition.add(deleted_at.is_null());
    }
    for filter in &query.filters {
        let field = field::<R>(filter.attribute)?;
        condition = condition.add(field.test(backend, &filter.test));
    }
    Ok(condition)
}

/// What is known of a list beside a page of it.
struct Facts {
    total: u64,
    before: bool,
    after: bool,
}

impl Facts {
    fn read(row: &QueryResult) -> Result<Self, StoreError> {
        let total: i64 = row.try_get("", "facts_total").map_err(store_error)?;
        Ok(Self {
            total: total.try_into().map_err(corrupt)?,
            before: row.try_get("", "facts_before").map_err(store_error)?,
            after: row.try_get("", "facts_after").map_err(store_error)?,
        })
    }

    /// For a page without a row to tell them.
    async fn ask(session: &Session, facts: &[(&'static str, Expr); 3]) -> Result<Self, StoreError> {
        let mut select = Query::select();
        for (name, fact) in facts {
            select.expr_as(fact.clone(), *name);
        }
        let row = session.query_one(&select).await.map_err(store_error)?;
        Self::read(&row.ok_or_else(|| corrupt("a count gave no row"))?)
    }
}
