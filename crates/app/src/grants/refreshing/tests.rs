//! One attempt after the other, against a server that says what it is told to.

mod clients;

use linkspan_domain::{
    ClientOrigin, GrantHolder, OauthClient, Problem, Status,
    ports::{GrantStore, InPlaceOf, NewGrant, PutOff},
};
use linkspan_sdk::Failure;
use linkspan_testkit::fixtures::receipt;
use time::Duration;

use super::*;
use crate::{
    fixtures::{KEY, LOST_KEY, NOW, OLD_KEY, sealed_with, under},
    grants::fake::{Bench, Say, client, held},
};

const NEARLY_OVER: Duration = Duration::minutes(56);
const OVER: Duration = Duration::minutes(61);

async fn attempt(bench: &Bench) -> Result<String, TokenError> {
    match bench.refresher().attempt(bench.of, Urge::Use).await? {
        Attempt::Token(token) => Ok(token.access.expose().clone()),
        Attempt::Elsewhere => Ok("elsewhere".to_owned()),
    }
}

async fn kept(bench: &Bench) -> linkspan_domain::ports::KeptGrant {
    bench.store.grant(bench.of).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_token_is_used_until_five_minutes_before_it_ends() {
    let bench = Bench::new([Say::Tokens("1")]).await;
    assert_eq!(attempt(&bench).await.unwrap(), "access-0");
    bench.clock.pass(Duration::minutes(54));
    assert_eq!(attempt(&bench).await.unwrap(), "access-0");
    bench.clock.pass(Duration::MINUTE);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    assert_eq!(bench.fake.asked(), ["refresh-0"]);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
}

/// Checklist 11: the new refresh token is durable before the access token is used, and the old one is kept until then.
#[tokio::test]
async fn the_new_refresh_token_is_kept_before_its_access_token_is_handed_out() {
    let bench = Bench::new([Say::Tokens("1")]).await;
    let before = kept(&bench).await.grant;
    bench.clock.pass(NEARLY_OVER);
    attempt(&bench).await.unwrap();
    let after = kept(&bench).await;
    let held: HeldGrant = bench.refresher().open(bench.of, &after.grant).unwrap();
    assert_eq!(held.grant.refresh_token.unwrap().expose(), "refresh-1");
    assert_eq!((after.previous, after.reply), (Some(before), None));
}

/// Checklist 12 (RFC 6749 §6).
#[tokio::test]
async fn a_reply_without_a_refresh_token_keeps_the_old_one() {
    let bench = Bench::new([Say::AccessOnly("1"), Say::Tokens("2")]).await;
    bench.clock.pass(NEARLY_OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    bench.clock.pass(NEARLY_OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-2");
    assert_eq!(bench.fake.asked(), ["refresh-0", "refresh-0"]);
}

/// Checklist 11: `invalid_grant` needs a person.
#[tokio::test]
async fn a_refused_grant_needs_a_person_and_says_where() {
    let bench = Bench::new([Say::Error("invalid_grant")]).await;
    bench.clock.pass(NEARLY_OVER);
    let error = attempt(&bench).await.unwrap_err();
    assert_eq!(error.code().to_string(), "workspace_connector.need_reconnect");
    let reconnect = format!("/v1/workspace-connectors/{}/authorize", bench.of);
    assert!(error.to_string().contains(&reconnect), "{error}");
    let lost = bench.activation().await;
    assert_eq!((lost.status, lost.installed_capabilities), (Status::NeedReconnect, None));
    assert_eq!(bench.last_act(), "workspace_connector.grant_lost");
    let again = attempt(&bench).await.unwrap_err();
    assert!(matches!(again, TokenError::NotConnected { .. }), "{again:?}");
    bench.connect(&held("5", NOW + NEARLY_OVER)).await;
    assert_eq!(attempt(&bench).await.unwrap(), "access-5");
}

#[tokio::test]
async fn the_previous_token_is_tried_once_before_a_grant_is_given_up() {
    let says = [Say::Tokens("1"), Say::Error("invalid_grant"), Say::Tokens("0b")];
    let bench = Bench::new(says).await;
    bench.clock.pass(NEARLY_OVER);
    attempt(&bench).await.unwrap();
    bench.clock.pass(NEARLY_OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-0b");
    assert_eq!(bench.fake.asked(), ["refresh-0", "refresh-1", "refresh-0"]);
    assert_eq!(bench.status().await, Status::Enabled);

    let bench =
        Bench::new([Say::Tokens("1"), Say::Error("invalid_grant"), Say::Error("invalid_grant")])
            .await;
    bench.clock.pass(NEARLY_OVER);
    attempt(&bench).await.unwrap();
    bench.clock.pass(NEARLY_OVER);
    assert!(matches!(attempt(&bench).await, Err(TokenError::Lost { .. })));
    assert_eq!(bench.fake.asked().len(), 3);
    assert_eq!(bench.status().await, Status::NeedReconnect);
}

/// Checklist 11: time-outs and 5xx are tried again, and never need a person.
#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_later_and_changes_no_status() {
    let bench = Bench::new([Say::NoAnswer, Say::NoAnswer, Say::Busy(600), Say::Tokens("1")]).await;
    bench.clock.pass(NEARLY_OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-0", "it works yet");
    let first = kept(&bench).await.again_at.unwrap() - bench.clock.now();
    assert!((5..8).contains(&first.whole_seconds()), "{first}");
    assert_eq!(attempt(&bench).await.unwrap(), "access-0", "it is left alone");
    assert_eq!(bench.fake.asked().len(), 1);

    bench.clock.pass(Duration::seconds(8));
    attempt(&bench).await.unwrap();
    let second = kept(&bench).await.again_at.unwrap() - bench.clock.now();
    assert!((10..16).contains(&second.whole_seconds()), "{second}");

    bench.clock.pass(Duration::minutes(5));
    let error = attempt(&bench).await.unwrap_err();
    assert_eq!(error.code().to_string(), "source.unavailable");
    assert!(error.is_transient());
    let third = kept(&bench).await.again_at.unwrap() - bench.clock.now();
    assert_eq!(third, Duration::seconds(600), "as the server wants it");
    let error = attempt(&bench).await.unwrap_err();
    assert!(matches!(error, TokenError::Server { source: None, .. }), "{error:?}");

    bench.clock.pass(Duration::seconds(601));
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    assert_eq!(bench.status().await, Status::Enabled);
    assert_eq!(kept(&bench).await.failures, 0);
}

#[tokio::test]
async fn a_refusal_that_says_nothing_of_the_grant_does_not_lose_it() {
    for code in ["temporarily_unavailable", "invalid_scope"] {
        let bench = Bench::new([Say::Error(code), Say::Tokens("1")]).await;
        bench.clock.pass(OVER);
        let error = attempt(&bench).await.unwrap_err();
        let TokenError::Server { source: Some(source), .. } = error else { panic!("{error:?}") };
        assert_eq!(source.code(), Some(code));
        assert_eq!(bench.status().await, Status::Enabled);
        bench.clock.pass(Duration::MINUTE);
        assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    }
}

#[tokio::test]
async fn what_was_said_to_one_who_died_is_read_and_not_asked_for_again() {
    let bench = Bench::new([]).await;
    bench.clock.pass(NEARLY_OVER);
    let now = bench.clock.now();
    let leased = bench.store.lease(bench.of, bench.clock.uuid(), now, now + LEASE).await.unwrap();
    let leased = leased.unwrap();
    let reply = linkspan_domain::ports::TokenReply {
        status: 200,
        body: Secret::new(br#"{"access_token":"access-1","refresh_token":"refresh-1"}"#.to_vec()),
        retry_after: None,
    };
    let reply = JournaledReply { asked: held("0", NOW), reply, received_at: now };
    bench.refresher().journal(&leased, &reply).await.unwrap();
    assert_eq!(attempt(&bench).await.unwrap(), "access-0", "it works yet");
    bench.clock.pass(LEASE);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    assert_eq!(bench.fake.asked().len(), 0);
    assert_eq!(kept(&bench).await.expires_at, Some(now + Duration::HOUR), "from when it was said");
}

/// A database that fails over takes longer than three tries.
#[tokio::test(start_paused = true)]
async fn what_the_server_said_waits_for_a_store_that_is_away() {
    let bench = Bench::new([Say::Tokens("1")]).await;
    bench.clock.pass(NEARLY_OVER);
    bench.store.refuse_journals(20);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    assert_eq!(bench.fake.asked(), ["refresh-0"]);
}

/// The key may come back, and the reply has the only refresh token that works.
#[tokio::test]
async fn a_reply_of_a_lost_key_is_kept_and_holds_nobody_up() {
    let bench = Bench::new([]).await;
    bench.clock.pass(NEARLY_OVER);
    let now = bench.clock.now();
    let leased = bench.store.lease(bench.of, bench.clock.uuid(), now, now + LEASE).await.unwrap();
    let reply = under(LOST_KEY, &kept(&bench).await.grant);
    bench.store.journal(bench.of, leased.unwrap().fence, &reply).await.unwrap();
    bench.clock.pass(LEASE);

    assert_eq!(attempt(&bench).await.unwrap(), "access-0", "it works yet");
    let shelved = kept(&bench).await;
    assert_eq!((&shelved.reply, shelved.leased_until), (&Some(reply), None));
    assert_eq!(shelved.again_at, Some(bench.clock.now() + SHELVED));
    bench.clock.pass(SHELVED);
    let error = attempt(&bench).await.unwrap_err();
    assert_eq!(error.code().to_string(), "secrets.key_unknown");
    assert_eq!(kept(&bench).await.reply, shelved.reply);
}

/// What the server says to somebody who has the lease no more.
async fn said_too_late(meanwhile: impl AsyncFnOnce(&Bench)) -> Bench {
    let bench = Bench::new([Say::Tokens("1")]).await;
    bench.clock.pass(NEARLY_OVER);
    *bench.fake.takes.lock().unwrap() = std::time::Duration::from_secs(20);
    let (said, ()) = tokio::join!(attempt(&bench), async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        meanwhile(&bench).await;
    });
    assert!(matches!(said, Err(TokenError::Elsewhere { .. })), "{said:?}");
    bench.tidy().await;
    bench
}

#[tokio::test(start_paused = true)]
async fn what_is_granted_after_the_grant_was_taken_away_is_taken_back() {
    let bench = said_too_late(async |bench| {
        bench.delete().await;
        bench.tidy().await;
    })
    .await;
    assert_eq!(bench.revoked(), ["refresh-0", "refresh-1"]);
    let bench = said_too_late(async |bench| bench.purge().await).await;
    assert_eq!(bench.revoked(), ["refresh-0", "refresh-1"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_granted_after_another_grant_came_is_left_alone() {
    let bench = said_too_late(async |bench| bench.connect(&held("5", NOW)).await).await;
    assert!(bench.revoked().is_empty(), "that one might fall with it");
    assert_eq!(attempt(&bench).await.unwrap(), "access-5");
}

#[tokio::test]
async fn a_second_question_that_comes_too_late_for_its_lease_is_asked_under_the_next() {
    let bench = Bench::new([Say::Tokens("1"), Say::Tokens("0b")]).await;
    bench.clock.pass(NEARLY_OVER);
    attempt(&bench).await.unwrap();
    bench.clock.pass(OVER);
    let now = bench.clock.now();
    let leased = bench.store.lease(bench.of, bench.clock.uuid(), now, now + LEASE).await.unwrap();
    let leased = leased.unwrap();
    bench.clock.pass(LEASE - ASK_LASTS + Duration::SECOND);
    let reply = linkspan_domain::ports::TokenReply {
        status: 400,
        body: Secret::new(br#"{"error":"invalid_grant"}"#.to_vec()),
        retry_after: None,
    };
    let reply = JournaledReply { asked: held("1", now), reply, received_at: bench.clock.now() };
    bench.refresher().journal(&leased, &reply).await.unwrap();
    let leased = kept(&bench).await;
    let late = bench.refresher().refresh(&leased, Urge::Use).await.unwrap();
    assert_eq!((late, kept(&bench).await), (Attempt::Elsewhere, leased), "it is all there");
    bench.clock.pass(ASK_LASTS);
    assert_eq!(attempt(&bench).await.unwrap(), "access-0b");
    assert_eq!(bench.fake.asked(), ["refresh-0", "refresh-0"], "refused once");
}

#[test]
fn a_lease_ends_while_many_servers_yet_take_the_token_that_was_just_rotated_out() {
    const GRACE: Duration = Duration::seconds(60);
    let looked_at = Duration::try_from(crate::grants::keeping::TICK).unwrap();
    assert!(LEASE + looked_at + Duration::seconds(10) < GRACE);
    assert!(LEASE > ASK_LASTS + Duration::seconds(5), "there is time to come to it");
}

#[tokio::test]
async fn who_comes_while_somebody_is_at_it_waits() {
    let bench = Bench::new([]).await;
    bench.clock.pass(OVER);
    let now = bench.clock.now();
    bench.store.lease(bench.of, bench.clock.uuid(), now, now + LEASE).await.unwrap();
    assert_eq!(attempt(&bench).await.unwrap(), "elsewhere");
}

/// Who had it before was told so after this one had looked.
#[tokio::test]
async fn whoever_gets_the_lease_of_a_grant_that_was_put_off_meanwhile_asks_nobody() {
    let bench = Bench::new([]).await;
    bench.clock.pass(NEARLY_OVER);
    let (store, of) = (&bench.store, bench.of);
    let lease = async || {
        let now = bench.clock.now();
        store.lease(of, bench.clock.uuid(), now, now + LEASE).await.unwrap().unwrap()
    };
    let again_at = bench.clock.now() + Duration::minutes(10);
    store.release(of, lease().await.fence, Some(PutOff::Away(again_at))).await.unwrap();

    let token = bench.refresher().refresh(&lease().await, Urge::Use).await.unwrap();
    assert!(matches!(token, Attempt::Token(it) if it.access.expose() == "access-0"));
    assert_eq!(kept(&bench).await.leased_until, None, "others may have it");
    bench.clock.pass(Duration::minutes(5));
    let error = bench.refresher().refresh(&lease().await, Urge::Use).await.unwrap_err();
    assert!(
        matches!(error, TokenError::Server { again_at: it, source: None, .. } if it == again_at)
    );
    assert_eq!(kept(&bench).await.again_at, Some(again_at));
    assert!(bench.fake.asked().is_empty());
}

#[tokio::test]
async fn a_grant_without_a_refresh_token_is_used_to_its_end() {
    let mut grant = held("0", NOW);
    grant.grant.refresh_token = None;
    let bench = Bench::with(grant, []).await;
    bench.clock.pass(NEARLY_OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-0");
    bench.clock.pass(NEARLY_OVER);
    assert!(matches!(attempt(&bench).await, Err(TokenError::Lost { .. })));
    assert_eq!(bench.status().await, Status::NeedReconnect);
}

#[tokio::test]
async fn what_is_ours_alone_is_asked_for_again_by_ourselves() {
    let mut grant = held("0", NOW);
    (grant.holder, grant.grant.refresh_token) = (GrantHolder::Client, None);
    let bench = Bench::with(grant, [Say::AccessOnly("1")]).await;
    bench.clock.pass(OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    assert_eq!(bench.fake.asked(), ["client credentials"]);
}

#[tokio::test]
async fn an_idle_grant_is_kept_alive_though_its_token_works() {
    let mut grant = held("0", NOW);
    grant.grant.expires_at = None;
    let bench = Bench::with(grant, [Say::Tokens("1")]).await;
    bench.clock.pass(Duration::days(8));
    assert_eq!(attempt(&bench).await.unwrap(), "access-0", "whoever uses it does not wait");
    let kept_alive = bench.refresher().attempt(bench.of, Urge::KeepAlive).await.unwrap();
    assert!(matches!(kept_alive, Attempt::Token(it) if it.access.expose() == "access-1"));
}

#[tokio::test]
async fn whoever_gives_a_grant_up_seals_the_secrets_with_the_current_key() {
    let bench = Bench::new([Say::Error("invalid_grant")]).await;
    let mut activation = bench.activation().await;
    sealed_with(OLD_KEY, &mut activation);
    bench.store.add(activation);
    bench.clock.pass(NEARLY_OVER);
    attempt(&bench).await.unwrap_err();
    let secrets = bench.activation().await.secrets.unwrap();
    assert_eq!(secrets.blob.key_id(), Ok(KEY));
}

#[tokio::test]
async fn a_grant_of_a_lost_key_waits_for_its_key_or_for_another_grant() {
    let bench = Bench::new([]).await;
    let before = kept(&bench).await;
    let lost = NewGrant {
        workspace_connector_id: bench.of,
        issuer: before.issuer,
        grant: under(LOST_KEY, &before.grant),
        expires_at: before.expires_at,
        due_at: None,
        refreshed_at: NOW,
    };
    bench.store.connect(&lost, &bench.activation().await, &receipt(2, None)).await.unwrap();
    let error = attempt(&bench).await.unwrap_err();
    assert_eq!(error.code().to_string(), "secrets.key_unknown");
    assert!(error.to_string().contains(&LOST_KEY.to_string()), "{error}");
    assert!(matches!(Failure::from(error), Failure::Refused(_)));
    assert_eq!(bench.status().await, Status::Enabled);
    let again_at = kept(&bench).await.again_at;
    assert_eq!(again_at, Some(NOW + SHELVED), "it is not always the first of those that are due");
    bench.connect(&held("5", NOW)).await;
    assert_eq!(attempt(&bench).await.unwrap(), "access-5");
}
