//! Lists of what is in memory: the same filters, orders and pages as a store has.

use std::cmp::Ordering;

use linkspan_domain::{Filter, FilterTest, FilterValue, ListQuery, Order, Page, Position, Sort};
use serde_json::Value;

/// The page of `all` that `query` asks for. `value` tells the attributes of a thing, of which `key` is the identifier.
pub(crate) fn page<T: Clone>(
    all: &[&T],
    query: &ListQuery,
    value: impl Fn(&T, &str) -> Value,
) -> Page<T> {
    let place = |it: &T| {
        let keys = query.sort.iter().map(|sort| value(it, sort.attribute.name));
        keys.chain([value(it, "key")]).collect::<Vec<_>>()
    };
    let passes = |it: &T| {
        query.filters.iter().all(|filter| holds(filter, &value(it, filter.attribute.name)))
    };
    let mut found: Vec<(&T, Vec<Value>)> =
        all.iter().filter(|it| passes(it)).map(|it| (*it, place(it))).collect();
    found.sort_by(|(_, one), (_, other)| compare(&query.sort, one, other));

    let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
    let is_behind =
        |place: &[Value], position: &Position| compare(&query.sort, place, &position.0).is_gt();
    let is_before =
        |place: &[Value], position: &Position| compare(&query.sort, place, &position.0).is_lt();
    let first = query
        .page
        .after
        .as_ref()
        .map_or(0, |after| found.partition_point(|(_, place)| !is_behind(place, after)));
    let end =
        query.page.before.as_ref().map_or(found.len(), |before| {
            found.partition_point(|(_, place)| is_before(place, before))
        });
    let size = usize::from(query.page.size.get());
    let (first, end) = match (&query.page.after, &query.page.before) {
        (None, Some(_)) => (end.saturating_sub(size), end),
        _ => (first, end.min(first + size).max(first)),
    };
    let items =
        found[first..end].iter().map(|(it, place)| ((*it).clone(), Position(place.clone())));
    Page { items: items.collect(), total, has_before: first > 0, has_after: end < found.len() }
}

fn compare(sort: &[Sort], one: &[Value], other: &[Value]) -> Ordering {
    let keys = one.iter().zip(other).zip(sort.iter().map(|it| it.order).chain([Order::Ascending]));
    keys.map(|((one, other), order)| match order {
        Order::Ascending => compare_values(one, other),
        Order::Descending => compare_values(other, one),
    })
    .find(|it| it.is_ne())
    .unwrap_or(Ordering::Equal)
}

fn compare_values(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        _ => Ordering::Equal,
    }
}

fn holds(filter: &Filter, value: &Value) -> bool {
    let text = value.as_str().map(str::to_lowercase);
    let has = |test: fn(&str, &str) -> bool, part: &str| {
        text.as_deref().is_some_and(|text| test(text, &part.to_lowercase()))
    };
    match &filter.test {
        FilterTest::Equals(wanted) => equals(value, wanted),
        FilterTest::Differs(wanted) => !equals(value, wanted),
        FilterTest::OneOf(wanted) => wanted.iter().any(|it| equals(value, it)),
        FilterTest::Contains(part) => has(|text, part| text.contains(part), part),
        FilterTest::StartsWith(part) => has(|text, part| text.starts_with(part), part),
        FilterTest::EndsWith(part) => has(|text, part| text.ends_with(part), part),
        FilterTest::IsNull => value.is_null(),
        FilterTest::IsNotNull => !value.is_null(),
        // Of the kinds in memory, none has an order that filters could ask for.
        FilterTest::Greater(_)
        | FilterTest::GreaterOrEqual(_)
        | FilterTest::Less(_)
        | FilterTest::LessOrEqual(_) => false,
    }
}

fn equals(value: &Value, wanted: &FilterValue) -> bool {
    match wanted {
        FilterValue::Text(text) => {
            value.as_str().is_some_and(|it| it.to_lowercase() == text.to_lowercase())
        }
        FilterValue::Word(word) => value == *word,
        FilterValue::Boolean(flag) => value == flag,
        FilterValue::Id(_) | FilterValue::Number(_) | FilterValue::Date(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{Attribute, PageRequest, PageSize};

    use super::*;

    const ATTRIBUTES: &[Attribute] = &[Attribute::text("key"), Attribute::text("title")];

    fn keys(page: &Page<(&'static str, &'static str)>) -> String {
        page.items.iter().map(|(it, _)| it.0).collect()
    }

    #[test]
    fn pages_follow_each_other_in_both_directions() {
        let all = [("d", "one"), ("b", "two"), ("a", "one"), ("c", "two"), ("e", "Three")];
        let all: Vec<_> = all.iter().collect();
        let value = |it: &(&'static str, &'static str), name: &str| {
            Value::from(if name == "title" { it.1 } else { it.0 })
        };
        let sort = Sort::parse(ATTRIBUTES, "-title").unwrap();
        let size = PageSize::new(2).unwrap();
        let mut query = ListQuery {
            sort,
            page: PageRequest { size, ..PageRequest::default() },
            ..ListQuery::default()
        };
        let first = page(&all, &query, value);
        assert_eq!(
            (keys(&first).as_str(), first.total, first.has_before, first.has_after),
            ("bc", 5, false, true)
        );
        query.page.after = first.items.last().map(|it| it.1.clone());
        let second = page(&all, &query, value);
        assert_eq!(
            (keys(&second).as_str(), second.has_before, second.has_after),
            ("ad", true, true)
        );
        query.page =
            PageRequest { size, after: None, before: second.items.first().map(|it| it.1.clone()) };
        assert_eq!(keys(&page(&all, &query, value)), "bc");

        query.page = PageRequest::default();
        query.filters = vec![Filter::parse(ATTRIBUTES, "title", "starts_with", "T").unwrap()];
        assert_eq!(keys(&page(&all, &query, value)), "bce");
    }
}
