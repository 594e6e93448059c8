//! The part of a list that a page is cut from.

use linkspan_domain::{Order, PageRequest, Position, ports::StoreError};
use sea_orm::{
    Condition,
    sea_query::{self, Expr, Func, NullOrdering, SelectStatement},
};

use super::key::Key;
use crate::error::corrupt;

/// The values of the keys at a place in the list.
type Place = Vec<Option<sea_query::Value>>;

/// The part of the list that a page is cut from.
pub(super) struct Window<'a> {
    keys: &'a [Key],
    after: Option<Place>,
    before: Option<Place>,
    /// Whether the page is the end of the part, not its beginning.
    pub(super) backward: bool,
}

impl<'a> Window<'a> {
    pub(super) fn new(keys: &'a [Key], page: &PageRequest) -> Result<Self, StoreError> {
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

    pub(super) fn within(&self) -> Condition {
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

    pub(super) fn order(&self, select: &mut SelectStatement) {
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
    pub(super) fn facts(&self, all: &SelectStatement) -> [(&'static str, Expr); 3] {
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
