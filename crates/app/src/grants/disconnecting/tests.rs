//! What providers are told of activations that are gone.

use linkspan_domain::{
    ClientOrigin,
    ports::{InPlaceOf, OauthClientStore, TokenReply},
};
use uuid::Uuid;

use super::*;
use crate::{
    fixtures::{LOST_KEY, NOW, under, vault},
    grants::{
        Urge,
        fake::{Bench, Say, client, held},
    },
};

/// A client that we registered, and may remove again.
fn registered(name: &str) -> OauthClient {
    OauthClient {
        client_id: name.to_owned(),
        registration_uri: Some("https://issuer.example/register/us".parse().unwrap()),
        registration_token: Some(Secret::new("registration-token".to_owned())),
        ..client()
    }
}

/// A grant that was given to `client`, which is kept, too.
async fn connected_as(client: &OauthClient) -> Bench {
    let bench = Bench::with(HeldGrant { client: client.clone(), ..held("0", NOW) }, []).await;
    keep(&bench, client).await;
    bench
}

async fn keep(bench: &Bench, client: &OauthClient) {
    let sealed = bench.sealed(client);
    let before = bench.store.client(bench.of, &client.issuer).await.unwrap();
    let in_place_of =
        before.as_ref().map_or(InPlaceOf::Nobody, |it| InPlaceOf::Another(it, bench.clock.now()));
    bench.keep_client(&client.issuer, &sealed, in_place_of).await;
}

/// What the audit trail says was done to the activation, by whom it was granted, and why it failed.
fn trail(bench: &Bench) -> Vec<(String, serde_json::Value)> {
    let told = bench.store.receipts().into_iter().map(|it| it.audit);
    let told = told.filter(|it| it.resource_id == Some(bench.of.uuid()));
    told.map(|it| (it.action, it.details["reason"].clone())).collect()
}

#[tokio::test]
async fn a_grant_is_revoked_though_its_activation_is_purged_at_once() {
    let bench = Bench::new([]).await;
    bench.purge().await;
    bench.tidy().await;
    assert_eq!(bench.revoked(), ["refresh-0"]);
    assert_eq!(trail(&bench), [("workspace_connector.grant_revoked".to_owned(), json!(null))]);
    bench.tidy().await;
    assert_eq!(bench.revoked().len(), 1, "once");
}

/// Checklist 20 (RFC 7009).
#[tokio::test]
async fn a_disconnected_activation_has_its_grant_revoked() {
    let bench = Bench::new([]).await;
    bench.tidy().await;
    assert!(bench.revoked().is_empty(), "it is connected");
    bench.delete().await;
    bench.tidy().await;
    assert_eq!(bench.revoked(), ["refresh-0"]);
    assert_eq!(bench.last_act(), "workspace_connector.grant_revoked");
    assert_eq!(bench.store.grant(bench.of).await.unwrap(), None);
    bench.tidy().await;
    assert_eq!(bench.revoked().len(), 1, "once");
}

/// An activation whose grant was refreshed once, and is being refreshed by somebody who got `body` and died.
async fn in_flight(body: &str) -> Bench {
    let bench = Bench::new([Say::Tokens("1")]).await;
    bench.clock.pass(Duration::minutes(56));
    bench.refresher().attempt(bench.of, Urge::Use).await.unwrap();
    let now = bench.clock.now();
    let until = now + Duration::SECOND;
    let leased = bench.store.lease(bench.of, Uuid::from_u128(1), now, until).await.unwrap();
    let body = Secret::new(body.as_bytes().to_vec());
    let reply = TokenReply { status: 200, body, retry_after: None };
    let reply = JournaledReply { asked: held("1", now), reply, received_at: now };
    let sealed = Safe::new(vault()).seal(Purpose::Grant, bench.of.uuid(), &reply).unwrap();
    bench.store.journal(bench.of, leased.unwrap().fence, &sealed).await.unwrap();
    bench
}

#[tokio::test]
async fn what_is_in_flight_is_revoked_too_the_newest_first() {
    let tokens = r#"{ "access_token": "access-2", "refresh_token": "refresh-2" }"#;
    for is_purged in [true, false] {
        let bench = in_flight(tokens).await;
        if is_purged {
            bench.purge().await;
        } else {
            bench.delete().await;
        }
        bench.tidy().await;
        assert_eq!(bench.revoked(), ["refresh-2", "refresh-1", "refresh-0"]);
        assert_eq!(trail(&bench), [("workspace_connector.grant_revoked".to_owned(), json!(null))]);
    }
    let bench = in_flight(r#"{ "error": "invalid_grant" }"#).await;
    bench.purge().await;
    bench.tidy().await;
    assert_eq!(bench.revoked(), ["refresh-1", "refresh-0"], "nothing was granted");
    let bench = in_flight(r#"{ "access_token": "access-2" }"#).await;
    bench.purge().await;
    bench.tidy().await;
    assert_eq!(bench.revoked(), ["refresh-1", "refresh-0"], "each token once");
}

#[tokio::test]
async fn what_comes_of_the_newest_grant_is_what_the_audit_trail_says() {
    let tokens = r#"{ "access_token": "access-2", "refresh_token": "refresh-2" }"#;
    let refusal = json!("https://issuer.example refused: invalid_token");
    let well = Say::Tokens("");
    for (says, action, reason) in [
        ([well.clone(), Say::Error("invalid_token")], "grant_revoked", json!(null)),
        ([Say::Error("invalid_token"), well], "grant_revocation_failed", refusal),
    ] {
        let bench = in_flight(tokens).await;
        bench.fake.revokes.lock().unwrap().extend(says);
        bench.purge().await;
        bench.tidy().await;
        assert_eq!(trail(&bench), [(format!("workspace_connector.{action}"), reason)]);
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_told_again_for_an_hour() {
    let bench = connected_as(&registered("us")).await;
    bench.fake.revokes.lock().unwrap().extend([Say::NoAnswer, Say::NoAnswer]);
    bench.purge().await;
    bench.tidy().await;
    assert_eq!((trail(&bench), bench.unregistered().len()), (vec![], 0), "the client waits, too");
    bench.tidy().await;
    assert_eq!(bench.revoked().len(), 1, "it is left alone");
    for _ in 0..2 {
        bench.clock.pass(LEASE);
        bench.tidy().await;
    }
    assert_eq!((bench.revoked().len(), bench.unregistered().len()), (3, 1));
    assert_eq!(trail(&bench).len(), 2);

    let bench = Bench::new([]).await;
    bench.fake.revokes.lock().unwrap().extend(vec![Say::NoAnswer; 9]);
    bench.purge().await;
    for _ in 0..9 {
        bench.tidy().await;
        bench.clock.pass(LEASE);
    }
    assert_eq!(bench.revoked().len(), 6);
    let (action, reason) = trail(&bench).pop().unwrap();
    assert_eq!(action, "workspace_connector.grant_revocation_failed");
    assert!(reason.as_str().unwrap().contains("did not answer"), "{reason}");
}

#[tokio::test]
async fn whoever_dies_while_a_provider_is_told_leaves_it_to_the_next() {
    let bench = Bench::new([]).await;
    bench.purge().await;
    let now = bench.clock.now();
    assert!(bench.store.take_left(now, now + LEASE).await.unwrap().is_some());
    bench.tidy().await;
    assert!(bench.revoked().is_empty(), "somebody is at it");
    bench.clock.pass(LEASE);
    bench.tidy().await;
    assert_eq!(bench.revoked(), ["refresh-0"]);
}

#[tokio::test]
async fn what_we_registered_is_removed_when_its_activation_is_purged_and_no_sooner() {
    let bench = connected_as(&registered("us")).await;
    bench.delete().await;
    bench.tidy().await;
    assert_eq!((bench.revoked().len(), bench.unregistered().len()), (1, 0), "it can be restored");
    bench.purge().await;
    bench.tidy().await;
    assert_eq!(bench.unregistered(), ["us"]);
    assert_eq!(bench.last_act(), "workspace_connector.client_unregistered");
    bench.tidy().await;
    assert_eq!((bench.revoked().len(), bench.unregistered().len()), (1, 1), "once");
}

#[tokio::test]
async fn a_grant_is_revoked_before_its_client_is_removed_and_a_refusal_is_told() {
    let bench = connected_as(&registered("unknown")).await;
    bench.purge().await;
    bench.tidy().await;
    let refusal = json!("https://issuer.example does not accept the client");
    let expected = [
        ("workspace_connector.grant_revoked".to_owned(), json!(null)),
        ("workspace_connector.client_unregistration_failed".to_owned(), refusal),
    ];
    assert_eq!(trail(&bench), expected);
}

#[tokio::test]
async fn what_somebody_else_registered_is_left_alone() {
    let theirs = OauthClient { origin: ClientOrigin::Preregistered, ..registered("theirs") };
    for client in [theirs, OauthClient { registration_token: None, ..registered("us") }] {
        let bench = connected_as(&client).await;
        bench.purge().await;
        bench.tidy().await;
        assert!(bench.unregistered().is_empty(), "{client:?}");
        assert_eq!(trail(&bench).len(), 1, "it is no failure");
    }
}

#[tokio::test]
async fn a_client_that_was_replaced_is_removed_once_no_grant_is_of_it() {
    let bench = connected_as(&registered("first")).await;
    keep(&bench, &registered("second")).await;
    for _ in 0..2 {
        bench.tidy().await;
        assert!(bench.unregistered().is_empty(), "the grant is of it");
        bench.clock.pass(LEASE);
    }
    let second = HeldGrant { client: registered("second"), ..held("1", bench.clock.now()) };
    bench.connect(&second).await;
    bench.tidy().await;
    assert_eq!(bench.unregistered(), ["first"]);
    assert!(bench.revoked().is_empty(), "the grant that is there is none of its business");
    assert_eq!(bench.last_act(), "workspace_connector.client_unregistered");
}

#[tokio::test]
async fn a_client_that_is_waited_for_takes_no_tries_from_its_grant() {
    let bench = connected_as(&registered("first")).await;
    keep(&bench, &registered("second")).await;
    for _ in 0..2 * TRIES {
        bench.tidy().await;
        bench.clock.pass(LEASE);
    }
    bench.fake.revokes.lock().unwrap().push_back(Say::NoAnswer);
    bench.purge().await;
    bench.tidy().await;
    assert!(trail(&bench).is_empty(), "the provider is told again");
    bench.clock.pass(LEASE);
    bench.tidy().await;
    assert_eq!((bench.revoked().len(), bench.unregistered().len()), (2, 2));
}

#[tokio::test]
async fn what_does_not_open_waits_for_its_key_and_is_told_of_in_the_audit_trail() {
    let bench = connected_as(&registered("us")).await;
    let issuer = client().issuer;
    let kept = bench.store.client(bench.of, &issuer).await.unwrap().unwrap();
    let lost = under(LOST_KEY, &kept);
    bench.keep_client(&issuer, &lost, InPlaceOf::Itself(&kept)).await;
    bench.purge().await;
    for _ in 1..TRIES {
        bench.tidy().await;
        assert_eq!(trail(&bench).len(), 1, "another process may have the key");
        bench.clock.pass(LEASE);
    }
    bench.tidy().await;
    let (action, reason) = trail(&bench).pop().unwrap();
    assert_eq!(action, "workspace_connector.client_unregistration_failed");
    assert!(reason.as_str().unwrap().contains(&LOST_KEY.to_string()), "{reason}");
}
