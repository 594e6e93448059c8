//! Filters, each operator on each attribute it applies to, against the oracle.
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use linkspan_domain::{Attribute, AttributeKind, Deleted, Filter, FilterValue, ListQuery};
use time::{Duration, format_description::well_known::Rfc3339};

use super::{Subject, one_page};
use crate::{Random, contract::oracle::listed, fixtures::Specimen};

/// So many values of an attribute are tried with each operator.
const TRIED: usize = 4;

pub(super) async fn every_operator_does_what_it_says<R: Specimen>(subject: &Subject<'_, R>) {
    let things = subject.everything().await;
    for filter in filters(&things) {
        check(subject, &things, vec![filter]).await;
    }
}

pub(super) async fn filters_add_up<R: Specimen>(subject: &Subject<'_, R>) {
    let things = subject.everything().await;
    let filters = filters(&things);
    let mut random = Random::from_seed(7);
    for _ in 0..30 {
        let pair = vec![random.pick(&filters).clone(), random.pick(&filters).clone()];
        check(subject, &things, pair).await;
    }
}

async fn check<R: Specimen>(subject: &Subject<'_, R>, things: &[R], filters: Vec<Filter>) {
    let query = ListQuery { filters, deleted: Deleted::Shown, ..one_page() };
    let page = subject.page(&query).await;
    let expected: Vec<_> = listed(things, &query).iter().map(R::id).collect();
    assert_eq!(page.total, expected.len() as u64, "{:?}", query.filters);
    let found: Vec<_> = page.into_resources().iter().map(R::id).collect();
    assert_eq!(found, expected, "{:?}", query.filters);
}

fn filters<R: Specimen>(things: &[R]) -> Vec<Filter> {
    let mut filters = Vec::new();
    for attribute in R::ATTRIBUTES {
        for operator in attribute.kind.operators().split(' ') {
            for value in values(things, *attribute, operator) {
                let filter = Filter::parse(R::ATTRIBUTES, attribute.name, operator, &value);
                filters.push(filter.unwrap());
            }
        }
    }
    filters
}

fn values<R: Specimen>(things: &[R], attribute: Attribute, operator: &str) -> Vec<String> {
    let mut known: Vec<_> = things.iter().filter_map(|it| it.attribute(attribute.name)).collect();
    known.dedup();
    let step = known.len().div_ceil(TRIED).max(1);
    let known: Vec<_> = known.into_iter().step_by(step).collect();
    let mut texts: Vec<String> = known.iter().map(text).collect();
    match (operator, attribute.kind) {
        ("is_null", _) => return vec!["true".to_owned(), "false".to_owned()],
        ("in", _) => {
            let all = texts.join(",");
            texts.truncate(2);
            texts.push(all);
        }
        ("contains" | "starts_with" | "ends_with", _) => texts = parts(&texts),
        (_, AttributeKind::Text) => {
            let shouted = texts.iter().map(|it| it.to_ascii_uppercase());
            texts.extend(shouted.take(2).collect::<Vec<_>>());
            texts.extend(["no such text".to_owned(), String::new(), "a\0b".to_owned()]);
        }
        (_, AttributeKind::Date) => {
            // Between two instants that a store can keep.
            let (above, below) = (Duration::nanoseconds(500), Duration::nanoseconds(-500));
            let between = known.iter().take(2).flat_map(|it| match it {
                FilterValue::Date(at) => [*at + above, *at + below].map(FilterValue::Date).into(),
                _ => Vec::new(),
            });
            texts.extend(between.map(|it| text(&it)));
            texts.push("0000-01-01T00:00:00+23:59".to_owned());
            texts.push("9999-12-31T23:59:59.999999999-23:59".to_owned());
        }
        (_, AttributeKind::Number) => {
            texts.extend([i64::MIN, -1, i64::MAX].map(|it| it.to_string()));
        }
        (_, AttributeKind::Boolean) => texts = vec!["true".to_owned(), "false".to_owned()],
        (_, AttributeKind::Id) => texts.push("00000000-0000-0000-0000-000000000000".to_owned()),
        (_, AttributeKind::Enum(words)) => texts.extend(words.iter().map(|it| (*it).to_owned())),
    }
    texts
}

/// Beginnings, middles and ends, in another case, and what patterns would stumble over.
fn parts(texts: &[String]) -> Vec<String> {
    let mut parts: Vec<String> =
        ["%", "_", "\\", "", "[", "ü", "\0", "no such text"].map(ToOwned::to_owned).into();
    for text in texts.iter().take(2) {
        let chars: Vec<_> = text.chars().collect();
        let half = chars.len() / 2;
        parts.push(chars[..half].iter().collect::<String>().to_ascii_uppercase());
        parts.push(chars[half..].iter().collect::<String>().to_ascii_uppercase());
        parts.push(chars[half / 2..half].iter().collect());
        parts.push(format!("{text}{text}"));
        parts.push(text.clone());
    }
    parts
}

fn text(value: &FilterValue) -> String {
    match value {
        FilterValue::Text(text) => text.clone(),
        FilterValue::Word(word) => (*word).to_owned(),
        FilterValue::Id(id) => id.to_string(),
        FilterValue::Number(number) => number.to_string(),
        FilterValue::Date(at) => at.format(&Rfc3339).unwrap(),
        FilterValue::Boolean(truth) => truth.to_string(),
    }
}
