//! What a list must hold and in which order, worked out the slow way.

use std::cmp::Ordering;

use linkspan_domain::{Deleted, Filter, FilterTest, FilterValue, Id, ListQuery, Order, Sort};

use crate::fixtures::Specimen;

/// What of `things` the query lists, in order, on one page without end.
pub(crate) fn listed<R: Specimen>(things: &[R], query: &ListQuery) -> Vec<R> {
    let mut listed: Vec<R> = things
        .iter()
        .filter(|it| query.deleted == Deleted::Shown || !is_deleted(*it))
        .filter(|it| query.filters.iter().all(|filter| passes(*it, filter)))
        .cloned()
        .collect();
    listed.sort_by(|one, other| compare(one, other, &query.sort));
    listed
}

/// Whether `thing` is soft-deleted.
pub(crate) fn is_deleted<R: Specimen>(thing: &R) -> bool {
    thing.clone().parts().is_some_and(|it| it.deleted_at.is_some())
}

fn passes<R: Specimen>(thing: &R, filter: &Filter) -> bool {
    let value = thing.attribute(filter.attribute.name);
    let text = |it: &FilterValue| match it {
        FilterValue::Text(text) => text.to_ascii_lowercase(),
        other => panic!("{other:?} is no text"),
    };
    let about = |part: &str, test: fn(&str, &str) -> bool| {
        value.as_ref().is_some_and(|it| test(&text(it), &part.to_ascii_lowercase()))
    };
    let is = |other: &FilterValue| value.as_ref().is_some_and(|it| equal(it, other));
    let ordered = |other: &FilterValue, test: fn(Ordering) -> bool| {
        value.as_ref().is_some_and(|it| test(order(it, other)))
    };
    match &filter.test {
        FilterTest::Equals(other) => is(other),
        FilterTest::Differs(other) => !is(other),
        FilterTest::Greater(other) => ordered(other, Ordering::is_gt),
        FilterTest::GreaterOrEqual(other) => ordered(other, Ordering::is_ge),
        FilterTest::Less(other) => ordered(other, Ordering::is_lt),
        FilterTest::LessOrEqual(other) => ordered(other, Ordering::is_le),
        FilterTest::Contains(part) => about(part, |it, part| it.contains(part)),
        FilterTest::StartsWith(part) => about(part, |it, part| it.starts_with(part)),
        FilterTest::EndsWith(part) => about(part, |it, part| it.ends_with(part)),
        FilterTest::OneOf(others) => others.iter().any(is),
        FilterTest::IsNull => value.is_none(),
        FilterTest::IsNotNull => value.is_some(),
    }
}

fn equal(one: &FilterValue, other: &FilterValue) -> bool {
    match (one, other) {
        (FilterValue::Text(one), FilterValue::Text(other)) => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}

fn order(one: &FilterValue, other: &FilterValue) -> Ordering {
    match (one, other) {
        (FilterValue::Text(one), FilterValue::Text(other)) => one.cmp(other),
        (FilterValue::Word(one), FilterValue::Word(other)) => one.cmp(other),
        (FilterValue::Id(one), FilterValue::Id(other)) => one.cmp(other),
        (FilterValue::Number(one), FilterValue::Number(other)) => one.cmp(other),
        (FilterValue::Date(one), FilterValue::Date(other)) => one.cmp(other),
        (FilterValue::Boolean(one), FilterValue::Boolean(other)) => one.cmp(other),
        _ => panic!("{one:?} and {other:?} are of different kinds"),
    }
}

fn compare<R: Specimen>(one: &R, other: &R, sort: &[Sort]) -> Ordering {
    let newest = [Sort::NEWEST];
    let sort = if sort.is_empty() { &newest } else { sort };
    let by_keys = sort.iter().map(|key| {
        let name = key.attribute.name;
        match (one.attribute(name), other.attribute(name)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(one), Some(other)) => match key.order {
                Order::Ascending => order(&one, &other),
                Order::Descending => order(&other, &one),
            },
        }
    });
    let by_keys = by_keys.fold(Ordering::Equal, Ordering::then);
    by_keys.then_with(|| one.id().uuid().cmp(&other.id().uuid()))
}
