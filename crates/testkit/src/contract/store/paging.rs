//! Order and pages, against the oracle.
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use std::collections::BTreeSet;

use linkspan_domain::{
    Deleted, ListQuery, Order, PageRequest, PageSize, Position, Sort, ports::Change,
};

use super::{Subject, one_page};
use crate::{Random, contract::oracle::listed, fixtures::Specimen};

/// The numbers of what comes and goes while pages are read: nothing refers to them.
const OURS: std::ops::Range<u32> = 60..180;

/// Each attribute up and down, and some pairs.
fn sorts<R: Specimen>(random: &mut Random) -> Vec<Vec<Sort>> {
    let mut sorts = vec![Vec::new()];
    for attribute in R::ATTRIBUTES {
        for order in [Order::Ascending, Order::Descending] {
            let key = Sort { attribute: *attribute, order };
            let other = Sort {
                attribute: *random.pick(R::ATTRIBUTES),
                order: *random.pick(&[Order::Ascending, Order::Descending]),
            };
            sorts.push(vec![key]);
            sorts.push(vec![key, other]);
        }
    }
    sorts
}

fn page_of(size: u16) -> PageSize {
    PageSize::new(size).unwrap()
}

pub(super) async fn every_order_is_total<R: Specimen>(subject: &Subject<'_, R>) {
    let things = subject.everything().await;
    for sort in sorts::<R>(&mut Random::from_seed(11)) {
        let query = ListQuery { sort, deleted: Deleted::Shown, ..one_page() };
        let found = subject.page(&query).await.into_resources();
        let (found, expected) = (ids(&found), ids(&listed(&things, &query)));
        assert_eq!(found, expected, "{:?}", query.sort);
    }
}

pub(super) async fn pages_join_up<R: Specimen>(subject: &Subject<'_, R>) {
    let things = subject.everything().await;
    let mut random = Random::from_seed(13);
    let sorts = sorts::<R>(&mut random);
    for size in [1, 3, 7, 20, 500] {
        for _ in 0..3 {
            let query = ListQuery {
                sort: random.pick(&sorts).clone(),
                deleted: *random.pick(&[Deleted::Hidden, Deleted::Shown]),
                ..ListQuery::default()
            };
            let all = listed(&things, &query);
            let positions = forth(subject, &query, size, &all).await;
            back(subject, &query, size, &all, &positions).await;
            between(subject, &query, size, &all, &positions, &mut random).await;
        }
    }
}

/// Pages from the first on. Answers the position of each thing.
async fn forth<R: Specimen>(
    subject: &Subject<'_, R>,
    query: &ListQuery,
    size: u16,
    all: &[R],
) -> Vec<Position> {
    let mut positions: Vec<Position> = Vec::new();
    loop {
        let after = positions.last().cloned();
        let page = PageRequest { size: page_of(size), after, before: None };
        let page = subject.page(&ListQuery { page, ..query.clone() }).await;
        let start = positions.len();
        let end = all.len().min(start + usize::from(size));
        assert_eq!(page.total, all.len() as u64);
        assert_eq!(page.has_before, start > 0, "{query:?} from {start}");
        assert_eq!(page.has_after, end < all.len(), "{query:?} to {end}");
        positions.extend(page.items.iter().map(|(_, position)| position.clone()));
        assert_eq!(ids(&page.into_resources()), ids(&all[start..end]), "{query:?}");
        // Once more behind the last: an empty page.
        if start == end {
            return positions;
        }
    }
}

/// Pages from the last on, backwards.
async fn back<R: Specimen>(
    subject: &Subject<'_, R>,
    query: &ListQuery,
    size: u16,
    all: &[R],
    positions: &[Position],
) {
    let mut end = all.len().saturating_sub(1);
    loop {
        let Some(before) = positions.get(end).cloned() else { return };
        let page = PageRequest { size: page_of(size), after: None, before: Some(before) };
        let page = subject.page(&ListQuery { page, ..query.clone() }).await;
        let start = end.saturating_sub(size.into());
        assert_eq!(page.total, all.len() as u64);
        assert_eq!(page.has_before, start > 0, "{query:?} back to {start}");
        assert!(page.has_after, "{query:?} back from {end}");
        assert_eq!(ids(&page.into_resources()), ids(&all[start..end]), "{query:?}");
        if end == 0 {
            return;
        }
        end = start;
    }
}

/// What lies between two things.
async fn between<R: Specimen>(
    subject: &Subject<'_, R>,
    query: &ListQuery,
    size: u16,
    all: &[R],
    positions: &[Position],
    random: &mut Random,
) {
    for _ in 0..4 {
        let first = random.below(all.len());
        let last = first + random.below(all.len() - first);
        let (after, before) = (positions[first].clone(), positions[last].clone());
        let page = PageRequest { size: page_of(size), after: Some(after), before: Some(before) };
        let page = subject.page(&ListQuery { page, ..query.clone() }).await;
        let inner = if first < last { &all[first + 1..last] } else { &[] };
        assert!(page.has_before && page.has_after, "{query:?} between {first} and {last}");
        let expected = &inner[..inner.len().min(size.into())];
        assert_eq!(ids(&page.into_resources()), ids(expected), "{query:?}");
    }
}

pub(super) async fn pages_hold_still_while_others_write<R: Specimen>(subject: &Subject<'_, R>) {
    let ours: BTreeSet<_> = OURS.map(|number| subject.specimen(number).id()).collect();
    let mut next = OURS.start;
    for seed in 0..6 {
        let mut random = Random::from_seed(seed);
        let sort = random.pick(&sorts::<R>(&mut Random::from_seed(seed))).clone();
        let query = ListQuery { sort, deleted: Deleted::Shown, ..ListQuery::default() };
        let mut throughout = subject.everything().await;
        let mut seen: Vec<R> = Vec::new();
        let mut after = None;
        loop {
            let page = PageRequest { size: page_of(5), after, before: None };
            let page = subject.page(&ListQuery { page, ..query.clone() }).await;
            after = page.items.last().map(|(_, position)| position.clone());
            seen.extend(page.into_resources());
            if after.is_none() {
                break;
            }
            meddle(subject, &mut random, &ours, &mut next, &mut throughout).await;
        }
        let once: BTreeSet<_> = seen.iter().map(R::id).collect();
        assert_eq!(once.len(), seen.len(), "{query:?}: nothing comes twice");
        let found: Vec<_> = seen
            .iter()
            .map(R::id)
            .filter(|id| throughout.iter().any(|it| it.id() == *id))
            .collect();
        assert_eq!(found, ids(&listed(&throughout, &query)), "{query:?}: nothing is skipped");
    }
}

/// Adds something or removes something, as another caller would between two pages.
async fn meddle<R: Specimen>(
    subject: &Subject<'_, R>,
    random: &mut Random,
    ours: &BTreeSet<R::Id>,
    next: &mut u32,
    throughout: &mut Vec<R>,
) {
    let added = subject.specimen(*next);
    let removable = throughout.iter().position(|it| ours.contains(&it.id()));
    match removable {
        Some(index) if random.below(3) == 0 && added.clone().parts().is_some() => {
            let gone = throughout.remove(index);
            subject.write(&[Change::Purge(gone)]).await.unwrap();
        }
        _ if OURS.contains(next) => {
            *next += 1;
            subject.insert(&added).await;
        }
        _ => {}
    }
}

fn ids<R: Specimen>(things: &[R]) -> Vec<R::Id> {
    things.iter().map(R::id).collect()
}
