//! Grants whose client is not known any more, has run out, or was replaced.

use super::*;

/// Checklist 22: where the server forgot a dynamic client, it registers once more.
#[tokio::test]
async fn a_forgotten_client_registers_once_more() {
    let bench = Bench::new([Say::Error("invalid_client"), Say::Tokens("1")]).await;
    bench.clock.pass(OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    assert_eq!(bench.fake.asked_by(), ["first", "registered-1"]);
    assert_eq!(bench.last_act(), "workspace_connector.client_registered");
}

#[tokio::test]
async fn a_client_of_a_lost_key_waits_for_its_key_or_for_another_grant() {
    let bench = Bench::new([Say::Error("invalid_client"), Say::Error("invalid_client")]).await;
    let (issuer, sealed) = (client().issuer, bench.sealed(&client()));
    bench.keep_client(&issuer, &under(LOST_KEY, &sealed), InPlaceOf::Nobody).await;
    bench.clock.pass(NEARLY_OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-0", "it works yet");
    let put_off = kept(&bench).await;
    assert_eq!(put_off.again_at, Some(bench.clock.now() + SHELVED));
    assert_eq!((put_off.leased_until, put_off.reply), (None, None), "others may have it");
    bench.clock.pass(SHELVED);
    let error = attempt(&bench).await.unwrap_err();
    assert_eq!(error.code().to_string(), "secrets.key_unknown");
    assert!(error.to_string().contains(&LOST_KEY.to_string()), "{error}");
    assert_eq!(bench.status().await, Status::Enabled);
    assert_eq!(*bench.fake.registered.lock().unwrap(), 0, "nothing takes its place unseen");
}

#[tokio::test]
async fn a_refusal_of_a_client_that_is_new_is_waited_for_before_it_loses_the_grant() {
    for refusal in ["invalid_client", "invalid_grant"] {
        let says = [Say::Error("invalid_client"), Say::Error(refusal), Say::Tokens("1")];
        let bench = Bench::new(says).await;
        bench.clock.pass(OVER);
        let failure = Failure::from(attempt(&bench).await.unwrap_err());
        let said = failure.to_string();
        assert!(failure.is_retryable() && said.contains("does not accept"), "{refusal}: {said}");
        assert_eq!(bench.status().await, Status::Enabled, "{refusal}: the server may yet know");
        bench.clock.pass(Duration::MINUTE);
        assert_eq!(attempt(&bench).await.unwrap(), "access-1", "{refusal}");

        let says = [Say::Error("invalid_client"), Say::Error(refusal)];
        let away = vec![Say::NoAnswer; 9];
        let bench = Bench::new(away.into_iter().chain(says.into_iter().cycle().take(14))).await;
        bench.clock.pass(OVER);
        // However long nobody answered before: that is no refusal.
        for _ in 0..9 + 6 {
            assert!(!matches!(attempt(&bench).await, Err(TokenError::Lost { .. })), "{refusal}");
            bench.clock.pass(Duration::minutes(30));
        }
        assert!(matches!(attempt(&bench).await, Err(TokenError::Lost { .. })), "{refusal}");
        assert_eq!(*bench.fake.registered.lock().unwrap(), 1, "{refusal}");
        assert_eq!(bench.status().await, Status::NeedReconnect);
    }
}

#[tokio::test]
async fn a_client_that_a_person_registered_is_theirs_to_mend() {
    let mut grant = held("0", NOW);
    grant.client.origin = ClientOrigin::Preregistered;
    let bench = Bench::with(grant, [Say::Error("invalid_client"), Say::Tokens("1")]).await;
    bench.clock.pass(OVER);
    let error = attempt(&bench).await.unwrap_err();
    assert!(matches!(error, TokenError::ClientRefused { .. }), "{error:?}");
    assert_eq!(*bench.fake.registered.lock().unwrap(), 0);
    bench.clock.pass(Duration::MINUTE);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1", "the grant was not thrown away");
}

/// Checklist 8, 22: what expired at this server is registered anew at this server.
#[tokio::test]
async fn a_client_whose_secret_ran_out_is_replaced_before_it_is_used() {
    let mut grant = held("0", NOW);
    grant.client = OauthClient { secret_expires_at: Some(NOW + Duration::MINUTE), ..client() };
    let bench = Bench::with(grant, [Say::Tokens("1")]).await;
    bench.clock.pass(OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    assert_eq!(bench.fake.asked_by(), ["registered-1"]);
}

/// Checklist 22: a server that has forgotten the client does not renew it (RFC 7592 §2.2).
#[tokio::test]
async fn a_client_that_is_not_renewed_registers_once_more() {
    let mut grant = held("0", NOW);
    grant.client = OauthClient { client_id: "unknown".to_owned(), ..over() };
    let bench = Bench::with(grant, [Say::Tokens("1")]).await;
    bench.clock.pass(OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    assert_eq!(bench.fake.asked_by(), ["registered-1"]);
}

#[tokio::test]
async fn a_client_that_is_renewed_is_told_of_and_used() {
    let mut grant = held("0", NOW);
    grant.client = over();
    let bench = Bench::with(grant, [Say::Tokens("1")]).await;
    bench.clock.pass(OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    assert_eq!(bench.fake.asked_by(), ["first"]);
    assert_eq!(bench.last_act(), "workspace_connector.client_renewed");
}

/// A client of the grant whose secret has run out, which can be renewed.
fn over() -> OauthClient {
    OauthClient {
        secret_expires_at: Some(NOW + Duration::MINUTE),
        registration_uri: Some("https://issuer.example/register/us".parse().unwrap()),
        ..client()
    }
}

#[tokio::test]
async fn the_client_of_a_grant_is_renewed_though_another_is_kept_by_now() {
    let grant = HeldGrant { client: over(), ..held("0", NOW) };
    let bench = Bench::with(grant, [Say::Tokens("1")]).await;
    let other = OauthClient { client_id: "other".to_owned(), ..client() };
    let sealed = bench.sealed(&other);
    bench.keep_client(&other.issuer, &sealed, InPlaceOf::Nobody).await;
    bench.clock.pass(OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    assert_eq!(bench.fake.asked_by(), ["first"], "the other would not be let in with it");
    let kept = bench.store.client(bench.of, &other.issuer).await.unwrap();
    assert_eq!(kept, Some(sealed), "whoever connects with that goes on");
}

#[tokio::test]
async fn a_client_that_is_the_same_to_the_server_is_not_asked_with_twice() {
    let bench = Bench::new([Say::Error("invalid_client"), Say::Tokens("1")]).await;
    // What was renewed has another token for its registration.
    let renewed =
        OauthClient { registration_token: Some(Secret::new("another".to_owned())), ..client() };
    bench.keep_client(&renewed.issuer, &bench.sealed(&renewed), InPlaceOf::Nobody).await;
    bench.clock.pass(OVER);
    assert_eq!(attempt(&bench).await.unwrap(), "access-1");
    assert_eq!(bench.fake.asked_by(), ["first", "registered-1"]);
}

#[tokio::test]
async fn a_platform_that_does_not_know_its_address_loses_no_grant_by_that() {
    let client = OauthClient { registration_uri: None, ..over() };
    let bench = Bench::with(HeldGrant { client, ..held("0", NOW) }, []).await;
    bench.clock.pass(OVER);
    for _ in 0..9 {
        let attempted = bench.refresher_at(None).attempt(bench.of, Urge::Use).await;
        assert!(matches!(attempted, Err(TokenError::Server { .. })), "{attempted:?}");
        bench.clock.pass(Duration::HOUR);
    }
    assert_eq!(bench.status().await, Status::Enabled);
}
