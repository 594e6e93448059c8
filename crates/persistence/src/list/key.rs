//! The keys of an order: where they are kept, how they compare, how they stand in a position.

use linkspan_domain::{Attribute, AttributeKind, Order, Position, Sort, ports::StoreError};
use sea_orm::{
    Condition, DbBackend, QueryResult,
    sea_query::{self, Alias, Expr, ExprTrait},
};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{
    error::{corrupt, store_error},
    field::Field,
    store::{ColumnOf, Table},
};

/// Where an attribute is kept.
pub(super) fn field<R: Table>(attribute: Attribute) -> Result<Field, StoreError> {
    R::joined(attribute.name)
        .or_else(|| attribute.name.parse().ok().map(Field::of::<ColumnOf<R>>))
        .ok_or_else(|| corrupt(format!("no column holds the attribute `{}`", attribute.name)))
}

/// One key of the order.
pub(super) struct Key {
    pub(super) expr: Expr,
    kind: AttributeKind,
    pub(super) order: Order,
    pub(super) nullable: bool,
}

/// The keys of `sort`, and the identifier behind them.
pub(super) fn keys<R: Table>(backend: DbBackend, sort: &[Sort]) -> Result<Vec<Key>, StoreError> {
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

/// What the value of a key is called in a row.
pub(super) fn key_alias(number: usize) -> Alias {
    Alias::new(format!("key_{number}"))
}

impl Key {
    /// Where this key alone puts a row behind `value`. Nothing is behind a null.
    pub(super) fn behind(&self, value: Option<&sea_query::Value>) -> Option<Condition> {
        let value = value?.clone();
        let beyond = match self.order {
            Order::Ascending => self.expr.clone().gt(value),
            Order::Descending => self.expr.clone().lt(value),
        };
        let behind = Condition::any().add(beyond);
        Some(if self.nullable { behind.add(self.expr.clone().is_null()) } else { behind })
    }

    /// Where this key alone puts a row before `value`. Everything but a null is before a null.
    pub(super) fn before(&self, value: Option<&sea_query::Value>) -> Condition {
        Condition::all().add(match (value.cloned(), self.order) {
            (None, _) => self.expr.clone().is_not_null(),
            (Some(value), Order::Ascending) => self.expr.clone().lt(value),
            (Some(value), Order::Descending) => self.expr.clone().gt(value),
        })
    }

    pub(super) fn not_before(&self, value: sea_query::Value) -> Expr {
        match self.order {
            Order::Ascending => self.expr.clone().gte(value),
            Order::Descending => self.expr.clone().lte(value),
        }
    }

    pub(super) fn not_behind(&self, value: sea_query::Value) -> Expr {
        match self.order {
            Order::Ascending => self.expr.clone().lte(value),
            Order::Descending => self.expr.clone().gte(value),
        }
    }

    pub(super) fn at(&self, value: Option<&sea_query::Value>) -> Expr {
        match value.cloned() {
            None => self.expr.clone().is_null(),
            Some(value) => self.expr.clone().eq(value),
        }
    }

    /// Its value in a position, as it is compared.
    pub(super) fn parse(&self, value: &Value) -> Result<Option<sea_query::Value>, StoreError> {
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

/// Where in the list a row is.
pub(super) fn position(keys: &[Key], row: &QueryResult) -> Result<Position, StoreError> {
    let values = keys.iter().enumerate().map(|(number, key)| {
        let alias = format!("key_{number}");
        key.value(row, &alias)
    });
    values.collect::<Result<_, _>>().map(Position)
}
