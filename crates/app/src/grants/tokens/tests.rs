//! Many who ask at once, and some who do not wait.

use linkspan_domain::ports::GrantStore;
use time::Duration as Span;

use super::*;
use crate::{
    fixtures::NOW,
    grants::{
        fake::{Bench, Say, held},
        keeping::Keeper,
    },
};

/// Checklist 11: single flight.
#[tokio::test]
async fn a_hundred_who_ask_at_once_refresh_once() {
    let bench = Bench::new([Say::Tokens("1")]).await;
    bench.clock.pass(Span::minutes(61));
    let tokens = AccessTokens::new(bench.refresher());
    let asked = (0..100).map(|_| tokens.ensure_fresh(bench.of));
    for token in futures_util::future::join_all(asked).await {
        assert_eq!(token.unwrap().expose(), "access-1");
    }
    assert_eq!(bench.fake.asked(), ["refresh-0"]);
}

#[tokio::test(start_paused = true)]
async fn processes_that_ask_at_once_refresh_once() {
    let bench = Bench::new([Say::Tokens("1")]).await;
    *bench.fake.takes.lock().unwrap() = Duration::from_secs(3);
    bench.clock.pass(Span::minutes(61));
    let processes: Vec<_> = (0..4).map(|_| AccessTokens::new(bench.refresher())).collect();
    let asked = processes.iter().map(|it| it.ensure_fresh(bench.of));
    for token in futures_util::future::join_all(asked).await {
        assert_eq!(token.unwrap().expose(), "access-1");
    }
    assert_eq!(bench.fake.asked(), ["refresh-0"]);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_goes_on_though_nobody_waits_for_it_any_more() {
    let bench = Bench::new([Say::Tokens("1")]).await;
    *bench.fake.takes.lock().unwrap() = Duration::from_secs(5);
    bench.clock.pass(Span::minutes(61));
    let tokens = AccessTokens::new(bench.refresher());
    let asked = tokio::time::timeout(Duration::from_secs(1), tokens.ensure_fresh(bench.of)).await;
    assert!(asked.is_err(), "whoever asked went away");
    tokens.close().await;
    assert_eq!(tokens.ensure_fresh(bench.of).await.unwrap().expose(), "access-1");
    assert_eq!(bench.fake.asked().len(), 1);
}

#[tokio::test]
async fn a_token_that_was_just_seen_costs_no_look_and_is_forgotten_soon() {
    let bench = Bench::new([]).await;
    let tokens = AccessTokens::new(bench.refresher());
    assert_eq!(tokens.ensure_fresh(bench.of).await.unwrap().expose(), "access-0");
    bench.connect(&held("other", NOW)).await;
    assert_eq!(tokens.ensure_fresh(bench.of).await.unwrap().expose(), "access-0");
    bench.clock.pass(Span::seconds(10));
    assert_eq!(tokens.ensure_fresh(bench.of).await.unwrap().expose(), "access-other");
    let mut activation = bench.activation().await;
    activation.deleted_at = Some(NOW);
    bench.store.add(activation);
    bench.store.remove(bench.of).await.unwrap();
    bench.clock.pass(Span::seconds(10));
    assert!(matches!(tokens.ensure_fresh(bench.of).await, Err(TokenError::NotConnected { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_kept_alive_though_nobody_uses_it() {
    let bench = Bench::new([Say::Tokens("1")]).await;
    let keeper = Keeper {
        tokens: AccessTokens::new(bench.refresher()),
        grants: Arc::clone(&bench.store) as _,
        world: Arc::clone(&bench.clock) as _,
    };
    let stop = tokio_util::sync::CancellationToken::new();
    let running = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(bench.fake.asked().is_empty(), "it is not due yet");
        bench.clock.pass(Span::minutes(56));
        tokio::time::sleep(Duration::from_secs(20)).await;
        stop.cancel();
    };
    tokio::join!(keeper.run(&stop), running);
    assert_eq!(bench.fake.asked(), ["refresh-0"]);
}
