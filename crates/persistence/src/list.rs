//! One page of a list: filters, order, keyset paging and the total, in one statement.
//!
//! A page starts behind a [`Position`], the values of the sort keys of the last thing that was seen, not at an offset: so
//! that what is inserted or deleted meanwhile moves nothing. The public identifier is the last key, so that no two things
//! are in one place.

use linkspan_domain::{
    Attribute, AttributeKind, Deleted, ListQuery, Order, Page, PageRequest, Position, Sort,
    ports::StoreError,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, FromQueryResult, QueryFilter, QueryResult,
    QueryTrait,
    sea_query::{self, Alias, Expr, ExprTrait, Func, NullOrdering, Query, SelectStatement},
};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{
    error::{corrupt, store_error},
    field::Field,
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

fn field<R: Table>(attribute: Attribute) -> Result<Field, StoreError> {
    R::joined(attribute.name)
        .or_else(|| attribute.name.parse().ok().map(Field::of::<crate::store::ColumnOf<R>>))
        .ok_or_else(|| corrupt(format!("no column holds the attribute `{}`", attribute.name)))
}

/// One key of the order.
struct Key {
    expr: Expr,
    kind: AttributeKind,
    order: Order,
    nullable: bool,
}

fn keys<R: Table>(backend: DbBackend, sort: &[Sort]) -> Result<Vec<Key>, StoreError> {
    let sort = if sort.is_empty() { &[Sort::NEWEST] } else { sort };
    let mut keys = Vec::with_capacity(sort.len() + 1);
    for Sort { attribute, order } in sort {
        let field = field::<R>(*attribute)?;
        // A native enum would sort in the order of its declaration, here and not there.
        let expr = match backend {
            DbBackend::Postgres if field.is_native() => {
                Expr::cust_with_expr("$1 COLLATE \"C\"", field.expr().cast_as(Alias::new("text")))
            }
            _ => field.expr(),
        };
        keys.push(Key { expr, kind: attribute.kind, order: *order, nullable: field.is_nullable() });
    }
    keys.push(Key {
        expr: Field::of(R::KEY).expr(),
        kind: AttributeKind::Id,
        order: Order::Ascending,
        nullable: false,
    });
    Ok(keys)
}

fn key_alias(number: usize) -> Alias {
    Alias::new(format!("key_{number}"))
}

impl Key {
    /// Where this key alone puts a row behind `value`. Nothing is behind a null.
    fn behind(&self, value: Option<&sea_query::Value>) -> Option<Condition> {
        let value = value?.clone();
        let beyond = match self.order {
            Order::Ascending => self.expr.clone().gt(value),
            Order::Descending => self.expr.clone().lt(value),
        };
        let behind = Condition::any().add(beyond);
        Some(if self.nullable { behind.add(self.expr.clone().is_null()) } else { behind })
    }

    /// Where this key alone puts a row before `value`. Everything but a null is before a null.
    fn before(&self, value: Option<&sea_query::Value>) -> Condition {
        Condition::all().add(match (value.cloned(), self.order) {
            (None, _) => self.expr.clone().is_not_null(),
            (Some(value), Order::Ascending) => self.expr.clone().lt(value),
            (Some(value), Order::Descending) => self.expr.clone().gt(value),
        })
    }

    fn not_before(&self, value: sea_query::Value) -> Expr {
        match self.order {
            Order::Ascending => self.expr.clone().gte(value),
            Order::Descending => self.expr.clone().lte(value),
        }
    }

    fn not_behind(&self, value: sea_query::Value) -> Expr {
        match self.order {
            Order::Ascending => self.expr.clone().lte(value),
            Order::Descending => self.expr.clone().gte(value),
        }
    }

    fn at(&self, value: Option<&sea_query::Value>) -> Expr {
        match value.cloned() {
            None => self.expr.clone().is_null(),
            Some(value) => self.expr.clone().eq(value),
        }
    }

    /// Its value in a position, as it is compared.
    fn parse(&self, value: &Value) -> Result<Option<sea_query::Value>, StoreError> {
        let unfit = || corrupt("the position does not fit the order of the list");
        let text = || value.as_str().ok_or_else(unfit);
        Ok(Some(match self.kind {
            _ if value.is_null() => return Ok(None),
            AttributeKind::Text | AttributeKind::Enum(_) => text()?.into(),
            AttributeKind::Id => text()?.parse::<Uuid>().map_err(corrupt)?.into(),
            AttributeKind::Number => value.as_i64().ok_or_else(unfit)?.into(),
            AttributeKind::Boolean => value.as_bool().ok_or_else(unfit)?.into(),
            AttributeKind::Date => {
                OffsetDateTime::parse(text()?, &Rfc3339).map_err(corrupt)?.into()
            }
        }))
    }

    /// Its value in a row, as it stands in a position.
    fn value(&self, row: &QueryResult, name: &str) -> Result<Value, StoreError> {
        match self.kind {
            AttributeKind::Text | AttributeKind::Enum(_) => {
                row.try_get::<Option<String>>("", name).map(|it| json!(it))
            }
            AttributeKind::Id => row.try_get::<Option<Uuid>>("", name).map(|it| json!(it)),
            AttributeKind::Number => row.try_get::<Option<i64>>("", name).map(|it| json!(it)),
            AttributeKind::Boolean => row.try_get::<Option<bool>>("", name).map(|it| json!(it)),
            AttributeKind::Date => {
                let at = row.try_get::<Option<OffsetDateTime>>("", name).map_err(store_error)?;
                return at.map_or(Ok(Value::Null), |at| {
                    at.format(&Rfc3339).map(Value::String).map_err(corrupt)
                });
            }
        }
        .map_err(store_error)
    }
}

fn position(keys: &[Key], row: &QueryResult) -> Result<Position, StoreError> {
    let values = keys.iter().enumerate().map(|(number, key)| {
        let alias = format!("key_{number}");
        key.value(row, &alias)
    });
    values.collect::<Result<_, _>>().map(Position)
}

/// The values of the keys at a place in the list.
type Place = Vec<Option<sea_query::Value>>;

/// The part of the list that a page is cut from.
struct Window<'a> {
    keys: &'a [Key],
    after: Option<Place>,
    before: Option<Place>,
    /// Whether the page is the end of the part, not its beginning.
    backward: bool,
}

impl<'a> Window<'a> {
    fn new(keys: &'a [Key], page: &PageRequest) -> Result<Self, StoreError> {
        let place = |position: &Option<Position>| match position {
            None => Ok(None),
            Some(Position(values)) if values.len() == keys.len() => keys
                .iter()
                .zip(values)
                .map(|(key, value)| key.parse(value))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(corrupt("the position has not as many keys as the order of the list")),
        };
        let (after, before) = (place(&page.after)?, place(&page.before)?);
        let backward = before.is_some() && after.is_none();
        Ok(Self { keys, after, before, backward })
    }

    fn within(&self) -> Condition {
        let mut within = Condition::all();
        if let Some(place) = &self.after {
            within = within.add(self.behind(place)).add_option(self.bound(place, Key::not_before));
        }
        if let Some(place) = &self.before {
            within = within.add(self.ahead(place)).add_option(self.bound(place, Key::not_behind));
        }
        within
    }

    /// What the first key alone says of a part, in words that an index understands.
    fn bound(&self, place: &Place, bound: fn(&Key, sea_query::Value) -> Expr) -> Option<Expr> {
        let (key, value) = (self.keys.first()?, place.first()?.clone()?);
        (!key.nullable).then(|| bound(key, value))
    }

    /// What is behind `place`: equal in the first keys, and behind in the next.
    fn behind(&self, place: &Place) -> Condition {
        self.compare(place, Key::behind)
    }

    /// What is before `place`.
    fn ahead(&self, place: &Place) -> Condition {
        self.compare(place, |key, value| Some(key.before(value)))
    }

    fn compare(
        &self,
        place: &Place,
        beyond: impl Fn(&Key, Option<&sea_query::Value>) -> Option<Condition>,
    ) -> Condition {
        let mut any = Condition::any();
        let mut equal = Condition::all();
        for (key, value) in self.keys.iter().zip(place) {
            if let Some(beyond) = beyond(key, value.as_ref()) {
                any = any.add(equal.clone().add(beyond));
            }
            equal = equal.add(key.at(value.as_ref()));
        }
        any
    }

    fn at(&self, place: &Place) -> Condition {
        let keys = self.keys.iter().zip(place);
        keys.fold(Condition::all(), |all, (key, value)| all.add(key.at(value.as_ref())))
    }

    fn order(&self, select: &mut SelectStatement) {
        for key in self.keys {
            let order = match (key.order, self.backward) {
                (Order::Ascending, false) | (Order::Descending, true) => sea_query::Order::Asc,
                (Order::Descending, false) | (Order::Ascending, true) => sea_query::Order::Desc,
            };
            let nulls = if self.backward { NullOrdering::First } else { NullOrdering::Last };
            // Said only where it matters: it keeps PostgreSQL from using an index.
            if key.nullable {
                select.order_by_expr_with_nulls(key.expr.clone(), order, nulls);
            } else {
                select.order_by_expr(key.expr.clone(), order);
            }
        }
    }

    /// What to find out about the whole list, `all`, beside the page.
    fn facts(&self, all: &SelectStatement) -> [(&'static str, Expr); 3] {
        let part = |condition: Condition| {
            let mut part = all.clone();
            part.clear_selects().expr(Expr::val(1)).cond_where(condition);
            Expr::exists(part)
        };
        let no = || Expr::val(false);
        let before = self.after.as_ref().map_or_else(no, |place| {
            part(Condition::any().add(self.ahead(place)).add(self.at(place)))
        });
        let after = self.before.as_ref().map_or_else(no, |place| {
            part(Condition::any().add(self.behind(place)).add(self.at(place)))
        });
        let mut count = all.clone();
        count.clear_selects().expr(Func::count(Expr::val(1)));
        [("facts_total", count.into()), ("facts_before", before), ("facts_after", after)]
    }
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
