//! What was kept is there, for those whose it is.
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use std::collections::BTreeSet;

use linkspan_domain::{AttributeKind, FilterValue, ListQuery};

use super::{Subject, one_page};
use crate::fixtures::{Specimen, id};

/// The numbers of what stays for the tests of lists.
const KEPT: std::ops::Range<u32> = 0..32;

pub(super) async fn everything_survives<R: Specimen>(subject: &Subject<'_, R>) {
    let before = subject.everything().await.len();
    let mut kept = Vec::new();
    for number in KEPT {
        let thing = subject.specimen(number);
        assert_eq!(subject.find(thing.id()).await, None);
        subject.insert(&thing).await;
        assert_eq!(subject.find(thing.id()).await.as_ref(), Some(&thing), "every field survives");
        kept.push(thing);
    }
    assert_eq!(subject.everything().await.len(), before + kept.len());

    let ids: Vec<_> = kept.iter().map(R::id).collect();
    let mut found = subject.store.find_all(&subject.tenancy(), &ids).await.unwrap();
    found.sort_by_key(R::id);
    kept.sort_by_key(R::id);
    assert_eq!(found, kept);
    is_varied(&kept);
}

/// A suite whose fixtures are all alike would prove little.
fn is_varied<R: Specimen>(things: &[R]) {
    for attribute in R::ATTRIBUTES {
        let values: Vec<_> = things.iter().map(|it| it.attribute(attribute.name)).collect();
        if let AttributeKind::Enum(words) = attribute.kind {
            let seen: BTreeSet<_> = values
                .iter()
                .filter_map(|it| match it {
                    Some(FilterValue::Word(word)) => Some(*word),
                    _ => None,
                })
                .collect();
            assert_eq!(seen.len(), words.len(), "{}: only {seen:?}", attribute.name);
        }
        if attribute.name != "deleted_at" {
            let some = values.iter().any(Option::is_some);
            assert!(some, "{} is never set", attribute.name);
        }
    }
}

pub(super) async fn the_unknown_is_not_found<R: Specimen>(subject: &Subject<'_, R>) {
    assert_eq!(subject.find(id(9_999_999)).await, None);
    let known = subject.specimen(KEPT.start);
    let ids = [known.id(), id(9_999_999)];
    assert_eq!(subject.store.find_all(&subject.tenancy(), &ids).await.unwrap(), [known]);
    assert_eq!(subject.store.find_all(&subject.tenancy(), &[]).await.unwrap(), []);
}

pub(super) async fn other_tenants_see_nothing<R: Specimen>(subject: &Subject<'_, R>) {
    let Some(elsewhere) = R::elsewhere(subject.place) else { return };
    let ours = KEPT.map(|number| subject.specimen(number)).filter(|it| !it.is_shared());
    let ids: Vec<_> = ours.map(|it| it.id()).collect();
    assert_eq!(subject.store.find(&elsewhere, ids[0]).await.unwrap(), None);
    assert_eq!(subject.store.find_all(&elsewhere, &ids).await.unwrap(), []);
    let listed = subject.store.list(&elsewhere, &one_page()).await.unwrap();
    let theirs = listed.into_resources();
    assert!(theirs.iter().all(|it| !ids.contains(&it.id())), "{theirs:?}");

    let from_here = subject.store.list(&elsewhere, &ListQuery::default()).await.unwrap();
    assert_eq!(from_here.total, theirs.len() as u64);
}
