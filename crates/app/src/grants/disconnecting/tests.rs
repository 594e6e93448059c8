//! What providers are told of activations that are gone.

use linkspan_domain::{
    ClientOrigin, Sealable, Secret,
    ports::{Change, OauthClientStore, SealContext},
};
use linkspan_testkit::fixtures::receipt;

use super::*;
use crate::{
    fixtures::{LOST_KEY, NOW, under, vault},
    grants::fake::{Bench, client, held},
};

fn disconnector(bench: &Bench) -> Disconnector {
    Disconnector::new(
        Arc::clone(&bench.store) as _,
        Arc::clone(&bench.store) as _,
        Arc::clone(&bench.store) as _,
        Arc::clone(&bench.fake) as _,
        vault(),
        Arc::clone(&bench.clock) as _,
    )
}

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
    let row = OauthClient::row(bench.of, &client.issuer);
    let context = SealContext { purpose: Purpose::ClientRegistration, row };
    let sealed = vault().seal(context, client.to_bytes().unwrap().expose()).unwrap();
    bench.store.keep_client(bench.of, &client.issuer, &sealed).await.unwrap();
}

async fn delete(bench: &Bench) {
    let mut activation = bench.activation().await;
    activation.deleted_at = Some(bench.clock.now());
    bench.store.add(activation);
}

/// Deleted, and purged before anybody looked.
async fn purge(bench: &Bench) {
    delete(bench).await;
    let purge = [Change::Purge(bench.activation().await)];
    bench.store.write(&purge, &receipt(2, None)).await.unwrap();
}

fn revoked(bench: &Bench) -> Vec<String> {
    bench.fake.revoked.lock().unwrap().clone()
}

fn unregistered(bench: &Bench) -> Vec<String> {
    bench.fake.unregistered.lock().unwrap().clone()
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
    purge(&bench).await;
    disconnector(&bench).tidy(&CancellationToken::new()).await.unwrap();
    assert_eq!(revoked(&bench), ["refresh-0"]);
    assert_eq!(trail(&bench), [("workspace_connector.grant_revoked".to_owned(), json!(null))]);
    disconnector(&bench).tidy(&CancellationToken::new()).await.unwrap();
    assert_eq!(revoked(&bench).len(), 1, "once");
}

#[tokio::test]
async fn what_we_registered_is_removed_when_its_activation_is_purged_and_no_sooner() {
    let bench = connected_as(&registered("us")).await;
    delete(&bench).await;
    disconnector(&bench).tidy(&CancellationToken::new()).await.unwrap();
    assert_eq!((revoked(&bench).len(), unregistered(&bench).len()), (1, 0), "it can be restored");
    purge(&bench).await;
    disconnector(&bench).tidy(&CancellationToken::new()).await.unwrap();
    assert_eq!(unregistered(&bench), ["us"]);
    assert_eq!(bench.last_act(), "workspace_connector.client_unregistered");
    disconnector(&bench).tidy(&CancellationToken::new()).await.unwrap();
    assert_eq!((revoked(&bench).len(), unregistered(&bench).len()), (1, 1), "once");
}

#[tokio::test]
async fn a_grant_is_revoked_before_its_client_is_removed_and_a_refusal_is_told() {
    let bench = connected_as(&registered("unknown")).await;
    purge(&bench).await;
    disconnector(&bench).tidy(&CancellationToken::new()).await.unwrap();
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
        purge(&bench).await;
        disconnector(&bench).tidy(&CancellationToken::new()).await.unwrap();
        assert!(unregistered(&bench).is_empty(), "{client:?}");
        assert_eq!(trail(&bench).len(), 1, "it is no failure");
    }
}

#[tokio::test]
async fn a_client_that_was_replaced_is_removed_with_the_one_that_took_its_place() {
    let bench = connected_as(&registered("first")).await;
    keep(&bench, &registered("second")).await;
    purge(&bench).await;
    disconnector(&bench).tidy(&CancellationToken::new()).await.unwrap();
    assert_eq!(unregistered(&bench), ["second", "first"]);
}

#[tokio::test]
async fn what_does_not_open_any_more_is_told_of_in_the_audit_trail() {
    let bench = connected_as(&registered("us")).await;
    let issuer = client().issuer;
    let kept = bench.store.client(bench.of, &issuer).await.unwrap().unwrap();
    bench.store.keep_client(bench.of, &issuer, &under(LOST_KEY, &kept)).await.unwrap();
    purge(&bench).await;
    disconnector(&bench).tidy(&CancellationToken::new()).await.unwrap();
    let (action, reason) = trail(&bench).swap_remove(0);
    assert_eq!(action, "workspace_connector.client_unregistration_failed");
    assert!(reason.as_str().unwrap().contains(&LOST_KEY.to_string()), "{reason}");
    assert_eq!(unregistered(&bench), ["us"], "the grant knows it, too");
}
