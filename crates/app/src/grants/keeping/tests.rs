//! Many grants that are due at once.

use std::collections::BTreeSet;

use linkspan_domain::WorkspaceConnector;
use time::Duration as Span;
use tokio::time::Instant;

use super::*;
use crate::{
    fixtures::{NOW, activation, id},
    grants::fake::{Bench, Say, held},
};

/// Activations whose grants are due, all of one server.
async fn due(count: u64) -> Bench {
    let says = (0..count).map(|_| Say::Tokens("next"));
    let bench = Bench::with(held("0", NOW), says).await;
    let template = activation(|_| {});
    for number in 1..count {
        let of = id(1_000 + u128::from(number));
        bench.store.add(WorkspaceConnector { id: of, ..template.clone() });
        let (store, fake) = (Arc::clone(&bench.store), Arc::clone(&bench.fake));
        let other = Bench { store, fake, clock: Arc::clone(&bench.clock), of };
        other.connect(&held(&number.to_string(), NOW)).await;
    }
    bench.clock.pass(Span::minutes(56));
    bench
}

/// Runs a keeper until nothing is due any more, and answers how long that took.
async fn keep(bench: &Bench) -> Duration {
    let grants: Arc<dyn GrantStore> = Arc::clone(&bench.store) as _;
    let keeper = Keeper {
        tokens: AccessTokens::new(bench.refresher()),
        grants: Arc::clone(&grants),
        world: Arc::clone(&bench.clock) as _,
    };
    let (began, stop) = (Instant::now(), CancellationToken::new());
    let watching = async {
        while !grants.due(bench.clock.now(), 1).await.unwrap().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    };
    tokio::join!(keeper.run(&stop), watching);
    keeper.tokens.close().await;
    began.elapsed()
}

/// That each was asked for once and none is left says that none was missed, and none used twice.
async fn assert_each_was_refreshed_once(bench: &Bench, count: u64) {
    let asked = bench.fake.asked();
    let expected: BTreeSet<_> = (0..count).map(|it| format!("refresh-{it}")).collect();
    assert_eq!(asked.len() as u64, count);
    assert_eq!(BTreeSet::from_iter(asked), expected);
    assert!(bench.store.due(bench.clock.now(), 1).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_hundred_that_are_due_are_all_refreshed_once() {
    let bench = due(200).await;
    keep(&bench).await;
    assert_each_was_refreshed_once(&bench, 200).await;
}

/// At the pace of ten thousand a minute.
#[tokio::test(start_paused = true)]
async fn more_than_one_look_shows_are_refreshed_in_time_by_a_server_that_takes_half_a_second() {
    let count = BATCH + 200;
    let bench = due(count).await;
    *bench.fake.takes.lock().unwrap() = Duration::from_millis(500);
    let took = keep(&bench).await;
    assert_each_was_refreshed_once(&bench, count).await;
    assert!(took * 10_000 < Duration::from_mins(1) * u32::try_from(count).unwrap(), "{took:?}");
}
