//! Many who ask at once, and some who do not wait.

use linkspan_domain::{GrantHolder, HeldGrant, Problem, Status, ports::GrantStore};
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
    bench.delete().await;
    bench.store.set_aside(bench.of).await.unwrap();
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

fn key(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn a_token_that_its_system_refuses_is_changed_once_for_all_who_say_so() {
    let bench = Bench::new([Say::Tokens("1")]).await;
    let tokens = AccessTokens::new(bench.refresher());
    let refused = tokens.ensure_fresh(bench.of).await.unwrap();
    let asked = (0..20).map(|_| tokens.another(bench.of, &refused));
    for token in futures_util::future::join_all(asked).await {
        assert_eq!(token.unwrap().expose(), "access-1");
    }
    assert_eq!(tokens.another(bench.of, &refused).await.unwrap().expose(), "access-1");
    assert_eq!(tokens.ensure_fresh(bench.of).await.unwrap().expose(), "access-1");
    assert_eq!(bench.fake.asked(), ["refresh-0"], "though its time was not over");
}

#[tokio::test(start_paused = true)]
async fn processes_that_hear_of_a_refused_token_at_once_refresh_once() {
    let bench = Bench::new([Say::Tokens("1")]).await;
    *bench.fake.takes.lock().unwrap() = Duration::from_secs(3);
    let processes: Vec<_> = (0..4).map(|_| AccessTokens::new(bench.refresher())).collect();
    let refused = key("access-0");
    let asked = processes.iter().map(|it| it.another(bench.of, &refused));
    for token in futures_util::future::join_all(asked).await {
        assert_eq!(token.unwrap().expose(), "access-1", "and not the refused one meanwhile");
    }
    assert_eq!(bench.fake.asked(), ["refresh-0"]);
}

#[tokio::test]
async fn a_refused_token_whose_server_is_down_says_nothing_about_the_grant() {
    let bench = Bench::new([Say::NoAnswer, Say::Tokens("1")]).await;
    let tokens = AccessTokens::new(bench.refresher());
    let refused = key("access-0");
    for _ in 0..2 {
        let error = tokens.another(bench.of, &refused).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }
    assert_eq!(bench.status().await, Status::Enabled);
    bench.clock.pass(Span::minutes(1));
    assert_eq!(tokens.another(bench.of, &refused).await.unwrap().expose(), "access-1");
}

#[tokio::test]
async fn a_refused_token_whose_grant_is_gone_needs_a_person() {
    let bench = Bench::new([Say::Error("invalid_grant")]).await;
    let tokens = AccessTokens::new(bench.refresher());
    let error = tokens.another(bench.of, &key("access-0")).await.unwrap_err();
    assert_eq!(error.code().to_string(), "workspace_connector.need_reconnect");
    assert_eq!(bench.status().await, Status::NeedReconnect);
    assert_eq!(bench.last_act(), "workspace_connector.grant_lost");
}

#[tokio::test]
async fn where_there_is_no_way_to_another_token_the_grant_stays_as_it_is() {
    let HeldGrant { mut grant, .. } = held("0", NOW);
    grant.refresh_token = None;
    let bench = Bench::with(HeldGrant { grant, ..held("0", NOW) }, []).await;
    let tokens = AccessTokens::new(bench.refresher());
    assert_eq!(tokens.another(bench.of, &key("access-0")).await.unwrap().expose(), "access-0");
    assert_eq!(bench.status().await, Status::Enabled, "others may take what one system refuses");
}

#[tokio::test]
async fn what_is_ours_alone_is_asked_for_anew_when_it_is_refused() {
    let ours = HeldGrant { holder: GrantHolder::Client, ..held("0", NOW) };
    let bench = Bench::with(ours, [Say::AccessOnly("1")]).await;
    let tokens = AccessTokens::new(bench.refresher());
    assert_eq!(tokens.another(bench.of, &key("access-0")).await.unwrap().expose(), "access-1");
    assert_eq!(bench.fake.asked(), ["client credentials"]);
}
