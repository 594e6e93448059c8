//! What we are to providers: clients that are given, kept, registered and replaced.

use linkspan_domain::ports::InPlaceOf;

use super::*;

/// Checklist 8: clients are kept by issuer, and another server never sees them.
#[tokio::test]
async fn another_server_gets_another_client() {
    let desk = Desk::new([]).await;
    let url = desk.asked(Authorize::default()).await;
    assert_eq!(parameter(&url, "client_id"), "registered-1");
    let url = desk.asked(Authorize::default()).await;
    assert_eq!(parameter(&url, "client_id"), "registered-1", "it is kept");
    let mut other = server();
    other.issuer = linkspan_domain::Issuer::new("https://other.example".to_owned());
    *desk.bench.fake.server.lock().unwrap() = Some(other);
    let url = desk.asked(Authorize::default()).await;
    assert_eq!(parameter(&url, "client_id"), "registered-2");
    *desk.bench.fake.server.lock().unwrap() = None;
    let url = desk.asked(Authorize::default()).await;
    assert_eq!(parameter(&url, "client_id"), "registered-1", "and is there when it comes back");
}

/// Some servers hold a client to the scopes that it was registered for (RFC 7591 §2).
#[tokio::test]
async fn a_client_is_registered_for_what_it_asks_for_and_anew_when_that_is_more() {
    let desk = Desk::new([]).await;
    let scopes = Some(BTreeSet::from(["read".to_owned(), "offline_access".to_owned()]));
    *desk.bench.fake.server.lock().unwrap() = Some(AuthorizationServer { scopes, ..server() });
    desk.asked(Authorize::default()).await;
    assert!(desk.bench.fake.told().last().unwrap().contains("offline_access"));
    let scopes = BTreeSet::from(["write".to_owned()]);
    let url = desk.asked(Authorize { scopes, ..Authorize::default() }).await;
    assert!(desk.bench.fake.told().last().unwrap().contains("write"));
    assert_eq!(parameter(&url, "client_id"), "registered-1", "it is the same client");
}

/// A person would see that on a page of the provider, and nobody else.
#[tokio::test]
async fn a_client_that_the_provider_has_forgotten_is_registered_anew() {
    let desk = Desk::new([]).await;
    desk.asked(Authorize::default()).await;
    let forgotten = OauthClient { client_id: "unknown".to_owned(), ..desk.client().await.unwrap() };
    desk.connecting.clients.give(&call(Role::Designer), desk.bench.of, &forgotten).await.unwrap();
    let url = desk.asked(Authorize::default()).await;
    assert_eq!(parameter(&url, "client_id"), "registered-2");
    assert_eq!(parameter(&desk.asked(Authorize::default()).await, "client_id"), "registered-2");
    assert!(acts(&desk, "workspace_connector.client_renewed").is_empty(), "nothing changed");
}

/// A platform moves, and providers send people only where they were told.
#[tokio::test]
async fn a_client_that_is_registered_with_another_address_is_brought_up_to_date() {
    let desk = Desk::new([]).await;
    desk.asked(Authorize::default()).await;
    let registered = desk.client().await.unwrap();
    let redirect_uri = Some("https://before.example/v1/oauth/callback".parse().unwrap());
    let before = OauthClient { redirect_uri, ..registered.clone() };
    desk.connecting.clients.give(&call(Role::Designer), desk.bench.of, &before).await.unwrap();
    desk.asked(Authorize::default()).await;
    assert_eq!(desk.client().await, Some(registered));
}

#[tokio::test]
async fn a_client_that_was_only_tried_takes_no_place() {
    let desk = Desk::new([Say::Error("invalid_client"), Say::Tokens("9")]).await;
    desk.asked(Authorize::default()).await;
    let registered = desk.client().await;
    desk.asked(given("mistyped")).await;
    desk.agreed(ISSUER).await.unwrap_err();
    assert_eq!(desk.client().await, registered);
    desk.asked(given("right")).await;
    assert_eq!(desk.client().await, registered, "nobody agreed yet");
    desk.agreed(ISSUER).await.unwrap();
    assert_eq!(desk.client().await.unwrap().client_id, "right");
    assert_eq!(acts(&desk, "workspace_connector.client_given").len(), 1);

    desk.bench.tidy().await;
    assert!(desk.bench.unregistered().is_empty(), "somebody may be at the provider with it");
    desk.bench.clock.pass(PENDING + AT_WORK);
    desk.bench.tidy().await;
    assert_eq!(desk.bench.unregistered(), ["registered-1"]);
}

#[tokio::test]
async fn a_client_of_a_lost_key_is_replaced() {
    let desk = Desk::new([]).await;
    desk.asked(Authorize::default()).await;
    let (store, of, issuer) = (&desk.bench.store, desk.bench.of, server().issuer);
    let kept = store.client(of, &issuer).await.unwrap().unwrap();
    let lost = under(LOST_KEY, &kept);
    desk.bench.keep_client(&issuer, &lost, InPlaceOf::Itself(&kept)).await;
    for _ in 0..2 {
        let url = desk.asked(Authorize::default()).await;
        assert_eq!(parameter(&url, "client_id"), "registered-2");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_who_register_at_once_the_first_is_kept_and_the_other_removed() {
    let desk = Desk::new([]).await;
    *desk.bench.fake.takes.lock().unwrap() = std::time::Duration::from_secs(1);
    let ask = || desk.asked(Authorize::default());
    let (one, other) = tokio::join!(ask(), ask());
    let client = parameter(&one, "client_id");
    assert_eq!(parameter(&other, "client_id"), client);
    assert_eq!(*desk.bench.fake.registered.lock().unwrap(), 2);
    let removed = desk.bench.fake.unregistered.lock().unwrap().clone();
    assert!(removed.len() == 1 && removed[0] != client, "{removed:?}");
    assert_eq!(parameter(&ask().await, "client_id"), client);
    assert_eq!(acts(&desk, "workspace_connector.client_registered").len(), 1);
}

#[tokio::test]
async fn how_we_came_by_a_client_is_in_the_audit_trail() {
    let desk = Desk::new([Say::Tokens("8"), Say::Tokens("9")]).await;
    desk.asked(Authorize::default()).await;
    let registered = acts(&desk, "workspace_connector.client_registered");
    let said = json!({ "issuer": "https://issuer.example", "client_id": "registered-1" });
    assert_eq!(registered, [said]);

    let (of, now) = (desk.bench.of, desk.bench.clock.now());
    let client = OauthClient { secret_expires_at: Some(now), ..desk.client().await.unwrap() };
    desk.connecting.clients.give(&call(Role::Designer), of, &client).await.unwrap();
    let url = desk.asked(Authorize::default()).await;
    assert_eq!(parameter(&url, "client_id"), "registered-1");
    assert_eq!(acts(&desk, "workspace_connector.client_renewed").len(), 1);

    for _ in 0..2 {
        desk.asked(given("given")).await;
        desk.agreed(ISSUER).await.unwrap();
    }
    let given = acts(&desk, "workspace_connector.client_given");
    assert_eq!(given.len(), 2, "that of this test, and once for two of the same");
    assert!(!format!("{given:?}").contains("hunter2"), "{given:?}");
}

/// The order of the MCP specification: given, kept, metadata document, registered, else ask.
#[tokio::test]
async fn a_client_is_found_in_order() {
    let desk = Desk::new([Say::Tokens("9")]).await;
    let mut reading = server();
    reading.reads_client_documents = true;
    *desk.bench.fake.server.lock().unwrap() = Some(reading.clone());
    let url = desk.asked(Authorize::default()).await;
    let document = "https://linkspan.example/base/v1/oauth/client-metadata.json";
    assert_eq!(parameter(&url, "client_id"), document);
    let url = desk.asked(given("given")).await;
    assert_eq!(parameter(&url, "client_id"), "given");
    desk.agreed(ISSUER).await.unwrap();
    let url = desk.asked(Authorize::default()).await;
    assert_eq!(parameter(&url, "client_id"), "given", "it is kept");

    let desk = Desk::with([], OauthConfig::default(), "http://127.0.0.1:8080").await;
    *desk.bench.fake.server.lock().unwrap() = Some(reading);
    let url = desk.asked(Authorize::default()).await;
    assert_eq!(parameter(&url, "client_id"), "registered-1", "a document needs https");
}

#[tokio::test]
async fn a_server_that_registers_nobody_asks_for_a_client() {
    let desk = Desk::new([]).await;
    let mut closed = server();
    closed.registration_endpoint = None;
    *desk.bench.fake.server.lock().unwrap() = Some(closed);
    let error = desk.authorize(Authorize::default()).await.unwrap_err();
    assert_eq!(error.code().to_string(), "oauth.client_required");
    assert_eq!(error.pointer().as_deref(), Some("/data/attributes/client_id"));
}
