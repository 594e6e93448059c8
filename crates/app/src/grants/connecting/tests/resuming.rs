//! Exchanges whose process died, or whose activation went meanwhile.

use linkspan_domain::ports::TakenAuthorization;

use super::*;

/// An authorization that was taken and answered by a process that died then.
async fn interrupted() -> Desk {
    let desk = Desk::new([]).await;
    desk.asked(Authorize::default()).await;
    let (store, now) = (&desk.bench.store, desk.bench.clock.now());
    let kept_under = Ticket::new(key(&last_ticket())).kept_under();
    let taken = store.take(&kept_under, now).await.unwrap();
    let TakenAuthorization::Taken(kept) = taken else { panic!("{taken:?}") };
    desk.connecting.journal(&kept, &held("9", now)).await;
    desk
}

#[tokio::test]
async fn what_an_exchange_brought_is_connected_though_its_process_dies() {
    let desk = interrupted().await;
    desk.connecting.resume().await.unwrap();
    assert_ne!(desk.bench.last_act(), "workspace_connector.connected", "somebody may be at it");
    desk.bench.clock.pass(Duration::minutes(2));
    desk.connecting.resume().await.unwrap();
    assert_eq!(desk.bench.last_act(), "workspace_connector.connected");
    let token = AccessTokens::new(desk.bench.refresher()).ensure_fresh(desk.bench.of).await;
    assert_eq!(token.unwrap().expose(), "access-9");
    let done = desk.bench.store.receipts().len();
    desk.connecting.resume().await.unwrap();
    assert_eq!(desk.bench.store.receipts().len(), done, "once");
}

#[tokio::test]
async fn a_client_is_not_removed_while_what_it_brought_is_not_connected_yet() {
    let desk = interrupted().await;
    let of = &call(Role::Designer);
    let other = OauthClient { client_id: "other".to_owned(), ..desk.client().await.unwrap() };
    desk.connecting.clients.give(of, desk.bench.of, &other).await.unwrap();
    desk.bench.clock.pass(Duration::hours(2));
    desk.bench.tidy().await;
    assert!(desk.bench.unregistered().is_empty());
    desk.connecting.resume().await.unwrap();
    desk.bench.clock.pass(Duration::hours(2));
    desk.bench.tidy().await;
    assert_eq!(desk.bench.unregistered(), ["registered-1"]);
}

#[tokio::test]
async fn a_later_connection_is_not_undone_by_what_an_earlier_one_left() {
    let desk = interrupted().await;
    desk.bench.clock.pass(Duration::minutes(2));
    desk.bench.connect(&held("later", desk.bench.clock.now())).await;
    desk.connecting.resume().await.unwrap();
    let token = AccessTokens::new(desk.bench.refresher()).ensure_fresh(desk.bench.of).await;
    assert_eq!(token.unwrap().expose(), "access-later");
}

#[tokio::test]
async fn what_was_granted_for_an_activation_that_is_gone_is_given_back() {
    let desk = interrupted().await;
    desk.bench.delete().await;
    desk.bench.clock.pass(Duration::minutes(2));
    for _ in 0..2 {
        desk.connecting.resume().await.unwrap();
        desk.bench.tidy().await;
        assert_eq!(desk.bench.revoked(), ["refresh-9", "refresh-0"]);
    }
}

#[tokio::test]
async fn what_an_exchange_brought_for_an_activation_that_is_purged_is_given_back() {
    let desk = interrupted().await;
    desk.bench.purge().await;
    desk.bench.tidy().await;
    assert_eq!(desk.bench.revoked(), ["refresh-9", "refresh-0"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_exchanged_while_its_activation_is_purged_is_given_back() {
    let desk = Desk::new([Say::Tokens("9")]).await;
    desk.asked(Authorize::default()).await;
    *desk.bench.fake.takes.lock().unwrap() = std::time::Duration::from_secs(20);
    let (returned, ()) = tokio::join!(desk.agreed(ISSUER), async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        desk.bench.purge().await;
    });
    assert!(matches!(returned, Err(ReturnError::Gone)), "{returned:?}");
    desk.bench.tidy().await;
    assert!(desk.bench.revoked().contains(&"refresh-9".to_owned()), "{:?}", desk.bench.revoked());
}

#[tokio::test]
async fn what_an_exchange_brought_is_connected_however_long_nobody_was_there() {
    let desk = interrupted().await;
    desk.bench.clock.pass(Duration::days(9));
    desk.bench.tidy().await;
    desk.connecting.resume().await.unwrap();
    assert_eq!(desk.bench.last_act(), "workspace_connector.connected");
    assert!(desk.bench.revoked().is_empty());
}

#[tokio::test]
async fn what_an_exchange_brought_under_a_lost_key_is_told_of_after_a_day() {
    let desk = Desk::new([]).await;
    desk.asked(Authorize::default()).await;
    let (store, now) = (&desk.bench.store, desk.bench.clock.now());
    let kept_under = Ticket::new(key(&last_ticket())).kept_under();
    let taken = store.take(&kept_under, now).await.unwrap();
    let TakenAuthorization::Taken(kept) = taken else { panic!("{taken:?}") };
    store.answered(kept.id, &under(LOST_KEY, &kept.content)).await.unwrap();
    let done = store.receipts().len();
    desk.bench.clock.pass(Duration::hours(23));
    desk.connecting.resume().await.unwrap();
    desk.bench.tidy().await;
    assert_eq!(store.receipts().len(), done, "somebody may bring the key yet");
    desk.bench.clock.pass(Duration::hours(2));
    desk.connecting.resume().await.unwrap();
    for _ in 0..6 {
        desk.bench.tidy().await;
        desk.bench.clock.pass(Duration::minutes(10));
    }
    assert_eq!(desk.bench.last_act(), "workspace_connector.grant_revocation_failed");
    let told = store.receipts().pop().unwrap().audit.details;
    assert!(told["reason"].as_str().unwrap().contains(&LOST_KEY.to_string()), "{told}");
    assert!(!store.is_unsettled(kept.id).await.unwrap());
}
