//! People who are sent to a provider, and what they bring back.

mod resuming;

use linkspan_domain::{
    AuthConfig, AuthorizationFlow, OauthConfig, OauthGrantType, Problem, Redirected, Role, Status,
};

use super::*;
use crate::{
    fixtures::{
        KEY, LOST_KEY, OLD_KEY, call, connector, keep, key, sealed_with, sources, under, vault,
    },
    grants::fake::{Bench, Say, held, server},
};

/// A connector that authorizes as `change` says, and somebody who connects its activation.
struct Desk {
    bench: Bench,
    connecting: Arc<Connecting>,
}

impl Desk {
    async fn new(says: impl IntoIterator<Item = Say>) -> Self {
        Self::with(says, OauthConfig::default(), "https://linkspan.example/base").await
    }

    async fn with(says: impl IntoIterator<Item = Say>, config: OauthConfig, public: &str) -> Self {
        let bench = Bench::new(says).await;
        let tokens = AccessTokens::new(bench.refresher());
        let connector = connector(|it| {
            it.entry.authorization_flow = AuthorizationFlow::OauthManual;
            it.entry.auth_config =
                Some(AuthConfig { oauth_config: Some(config), ..AuthConfig::default() });
        });
        let stores = GrantStores {
            grants: Arc::clone(&bench.store) as _,
            clients: Arc::clone(&bench.store) as _,
            authorizations: Arc::clone(&bench.store) as _,
        };
        let connecting = Connecting::new(
            stores,
            Arc::clone(&bench.store) as _,
            keep(vec![connector]).store,
            Arc::clone(&bench.fake) as _,
            vault(),
            sources(),
            tokens,
            |_| Ok(key("the-state")),
            Addresses {
                public: Some(public.parse().unwrap()),
                returns: vec!["https://app.example/done".parse().unwrap()],
            },
            Arc::clone(&bench.clock) as _,
        );
        Self { bench, connecting: Arc::new(connecting) }
    }

    async fn authorize(&self, authorize: Authorize) -> Result<Authorized, ConnectError> {
        self.connecting.authorize(&call(Role::Designer), self.bench.of, authorize).await
    }

    async fn asked(&self, authorize: Authorize) -> Url {
        match self.authorize(authorize).await.unwrap() {
            Authorized::Asked { url, .. } => url,
            Authorized::Connected => panic!("nobody was asked"),
        }
    }

    async fn back(
        &self,
        state: &str,
        iss: Option<&str>,
        redirected: Option<Redirected>,
    ) -> Result<Connected, ReturnError> {
        let iss = iss.map(str::to_owned);
        let returned = Returned { state: key(state), browser: None, iss, redirected };
        self.connecting.complete(returned, None, "trace".to_owned()).await
    }

    async fn agreed(&self, iss: Option<&str>) -> Result<Connected, ReturnError> {
        self.back("the-state", iss, Some(Redirected::Agreed { code: key("code") })).await
    }
}

const ISSUER: Option<&str> = Some("https://issuer.example");

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|it| it.0 == name).map(|it| it.1.into_owned()).unwrap_or_default()
}

#[tokio::test]
async fn whoever_agrees_connects_the_activation_whatever_its_status() {
    for status in [Status::ToConfigure, Status::NeedReconnect, Status::Error, Status::Enabled] {
        let desk = Desk::new([Say::Tokens("9")]).await;
        let mut activation = desk.bench.activation().await;
        activation.status = status;
        desk.bench.store.add(activation);
        desk.asked(Authorize::default()).await;
        let connected = desk.agreed(ISSUER).await.unwrap();
        assert_eq!((connected.id, connected.name.as_str()), (desk.bench.of, "Shop"));
        let activation = desk.bench.activation().await;
        assert_eq!(activation.status, Status::Enabled, "{status}");
        assert_eq!(desk.bench.last_act(), "workspace_connector.connected");
        let token = AccessTokens::new(desk.bench.refresher()).ensure_fresh(desk.bench.of).await;
        assert_eq!(token.unwrap().expose(), "access-9");
    }
}

#[tokio::test]
async fn a_pause_outlives_a_new_grant() {
    for status in [Status::Disabled, Status::Suspended] {
        let desk = Desk::new([Say::Tokens("9")]).await;
        let mut activation = desk.bench.activation().await;
        activation.status = status;
        desk.bench.store.add(activation);
        desk.asked(Authorize::default()).await;
        desk.agreed(ISSUER).await.unwrap();
        assert_eq!(desk.bench.status().await, status);
    }
}

/// Checklist 2: the state is used once, and not for long.
#[tokio::test]
async fn a_state_is_good_once_and_for_ten_minutes() {
    let desk = Desk::new([Say::Tokens("9")]).await;
    assert!(matches!(desk.agreed(ISSUER).await, Err(ReturnError::Unknown)));
    desk.asked(Authorize::default()).await;
    let wrong = desk.back("another-state", ISSUER, None).await;
    assert!(matches!(wrong, Err(ReturnError::Unknown)));
    desk.agreed(ISSUER).await.unwrap();
    assert!(matches!(desk.agreed(ISSUER).await, Err(ReturnError::Used)));

    let desk = Desk::new([]).await;
    desk.asked(Authorize::default()).await;
    desk.bench.clock.pass(LASTS);
    assert!(matches!(desk.agreed(ISSUER).await, Err(ReturnError::Expired)));
    assert!(desk.bench.fake.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_exchange_goes_on_to_its_end_though_the_person_leaves() {
    let desk = Desk::new([Say::Tokens("9")]).await;
    *desk.bench.fake.takes.lock().unwrap() = std::time::Duration::from_secs(20);
    desk.asked(Authorize::default()).await;
    let patience = std::time::Duration::from_secs(1);
    tokio::time::timeout(patience, desk.agreed(ISSUER)).await.unwrap_err();
    assert_ne!(desk.bench.last_act(), "workspace_connector.connected");
    desk.connecting.tokens.close().await;
    assert_eq!(desk.bench.last_act(), "workspace_connector.connected", "a shutdown waits for it");
}

/// Checklist 3: what was remembered is compared and forgotten before any token is asked for.
#[tokio::test]
async fn nothing_is_asked_for_when_another_issuer_answers() {
    for iss in [Some("https://issuer.example/"), Some("https://evil.example"), None] {
        let desk = Desk::new([]).await;
        desk.asked(Authorize::default()).await;
        let refused = desk.agreed(iss).await;
        assert!(matches!(refused, Err(ReturnError::Issuer(_))), "{iss:?}: {refused:?}");
        assert!(desk.bench.fake.asked().is_empty());
        assert_eq!(desk.bench.last_act(), "workspace_connector.authorization_failed");
        assert!(matches!(desk.agreed(ISSUER).await, Err(ReturnError::Used)), "it is used up");
    }
}

#[tokio::test]
async fn whoever_refuses_is_heard_and_changes_nothing() {
    let desk = Desk::new([]).await;
    let return_to = Some("https://app.example/done?a=1".parse().unwrap());
    desk.asked(Authorize { return_to, ..Authorize::default() }).await;
    let refused = Redirected::refused("access_denied", Some("<b>no</b>"));
    let error = desk.back("the-state", ISSUER, Some(refused)).await.unwrap_err();
    assert_eq!(error.to_string(), "the provider says: <b>no</b>");
    let ReturnError::Refused { return_to, .. } = error else { panic!("{error:?}") };
    let there = "https://app.example/done?a=1&error=access_denied";
    assert_eq!(return_to.unwrap().as_str(), there, "whoever sent them is told");
    assert_eq!(desk.bench.status().await, Status::Enabled);
    let token = AccessTokens::new(desk.bench.refresher()).ensure_fresh(desk.bench.of).await;
    assert_eq!(token.unwrap().expose(), "access-0", "the grant that was there is there yet");
}

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
    desk.asked(Authorize::default()).await;
    assert_eq!(desk.bench.fake.told().len(), 1, "nothing more is wanted");
    let scopes = BTreeSet::from(["write".to_owned()]);
    let url = desk.asked(Authorize { scopes, ..Authorize::default() }).await;
    assert!(desk.bench.fake.told().last().unwrap().contains("write"));
    assert_eq!(parameter(&url, "client_id"), "registered-1", "it is the same client");
}

/// A platform moves, and providers send people only where they were told.
#[tokio::test]
async fn a_client_that_is_registered_with_another_address_is_brought_up_to_date() {
    let desk = Desk::new([]).await;
    desk.asked(Authorize::default()).await;
    let client = async || {
        let found = desk.connecting.clients.find(desk.bench.of, &server().issuer).await.unwrap();
        found.client.unwrap().unwrap()
    };
    let registered = client().await;
    let redirect_uri = Some("https://before.example/v1/oauth/callback".parse().unwrap());
    let before = OauthClient { redirect_uri, ..registered.clone() };
    desk.connecting.clients.give(&call(Role::Designer), desk.bench.of, &before).await.unwrap();
    desk.asked(Authorize::default()).await;
    assert_eq!(client().await, registered);
}

#[tokio::test]
async fn a_client_of_a_lost_key_is_replaced() {
    let desk = Desk::new([]).await;
    desk.asked(Authorize::default()).await;
    let (store, of, issuer) = (&desk.bench.store, desk.bench.of, server().issuer);
    let kept = store.client(of, &issuer).await.unwrap().unwrap();
    desk.bench.keep_client(&issuer, &under(LOST_KEY, &kept), Some(&kept)).await;
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

/// What the audit trail says of each `action`.
fn acts(desk: &Desk, action: &str) -> Vec<serde_json::Value> {
    let all = desk.bench.store.receipts().into_iter().map(|it| it.audit);
    all.filter(|it| it.action == action).map(|it| it.details).collect()
}

#[tokio::test]
async fn how_we_came_by_a_client_is_in_the_audit_trail() {
    let desk = Desk::new([]).await;
    desk.asked(Authorize::default()).await;
    let registered = acts(&desk, "workspace_connector.client_registered");
    let said = json!({ "issuer": "https://issuer.example", "client_id": "registered-1" });
    assert_eq!(registered, [said]);

    let (of, issuer, now) = (desk.bench.of, server().issuer, desk.bench.clock.now());
    let found = desk.connecting.clients.find(of, &issuer).await.unwrap();
    let client = OauthClient { secret_expires_at: Some(now), ..found.client.unwrap().unwrap() };
    desk.connecting.clients.give(&call(Role::Designer), of, &client).await.unwrap();
    let url = desk.asked(Authorize::default()).await;
    assert_eq!(parameter(&url, "client_id"), "registered-1");
    assert_eq!(acts(&desk, "workspace_connector.client_renewed").len(), 1);

    for _ in 0..2 {
        let given = GivenClient {
            id: "given".to_owned(),
            proof: GivenProof::Secret(key("hunter2-secret")),
        };
        desk.asked(Authorize { client: Some(given), ..Authorize::default() }).await;
    }
    let given = acts(&desk, "workspace_connector.client_given");
    assert_eq!(given.len(), 2, "that of this test, and once for two of the same");
    assert!(!format!("{given:?}").contains("hunter2"), "{given:?}");
}

#[tokio::test]
async fn whoever_connects_seals_the_secrets_with_the_current_key() {
    let desk = Desk::new([Say::Tokens("9")]).await;
    let mut activation = desk.bench.activation().await;
    sealed_with(OLD_KEY, &mut activation);
    desk.bench.store.add(activation);
    desk.asked(Authorize::default()).await;
    desk.agreed(ISSUER).await.unwrap();
    let secrets = desk.bench.activation().await.secrets.unwrap();
    assert_eq!(secrets.blob.key_id(), Ok(KEY));
}

/// The order of the MCP specification: given, kept, metadata document, registered, else ask.
#[tokio::test]
async fn a_client_is_found_in_order() {
    let desk = Desk::new([]).await;
    let mut reading = server();
    reading.reads_client_documents = true;
    *desk.bench.fake.server.lock().unwrap() = Some(reading.clone());
    let url = desk.asked(Authorize::default()).await;
    let document = "https://linkspan.example/base/v1/oauth/client-metadata.json";
    assert_eq!(parameter(&url, "client_id"), document);
    let given = GivenClient { id: "given".to_owned(), proof: GivenProof::Secret(key("secret")) };
    let url = desk.asked(Authorize { client: Some(given), ..Authorize::default() }).await;
    assert_eq!(parameter(&url, "client_id"), "given");
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

/// Checklist 9: people are sent back to an address that is known before.
#[tokio::test]
async fn people_are_sent_only_where_an_operator_lets_them() {
    let desk = Desk::new([Say::Tokens("9")]).await;
    let to = |url: &str| Authorize {
        return_to: Some(url.parse().unwrap()),
        state: Some("their state&".to_owned()),
        ..Authorize::default()
    };
    for bad in [
        "https://app.example/",
        "https://app.example/doneness",
        "https://app.example:444/done",
        "http://app.example/done",
        "https://app.example.evil.example/done",
        "https://user@app.example/done",
        "javascript:alert(1)",
    ] {
        let refused = desk.authorize(to(bad)).await.unwrap_err();
        assert_eq!(refused.code().to_string(), "oauth.return_not_allowed", "{bad}");
    }
    desk.asked(to("https://app.example/done/here?a=1")).await;
    let connected = desk.agreed(ISSUER).await.unwrap();
    let there = "https://app.example/done/here?a=1&state=their+state%26";
    assert_eq!(connected.return_to.unwrap().as_str(), there);
}

/// Checklist 16: what was granted before is asked for with what is wanted beyond it.
#[tokio::test]
async fn a_step_up_asks_for_what_was_granted_and_what_is_wanted() {
    let config = OauthConfig { scopes: vec!["profile".to_owned()], ..OauthConfig::default() };
    let desk = Desk::with([], config, "https://linkspan.example").await;
    let scopes = BTreeSet::from(["write".to_owned()]);
    let url = desk.asked(Authorize { scopes, ..Authorize::default() }).await;
    assert_eq!(parameter(&url, "scope"), "profile read write");
}

#[tokio::test]
async fn a_client_that_acts_for_itself_asks_nobody() {
    let grant_type = OauthGrantType::ClientCredentials;
    let config = OauthConfig { grant_type, ..OauthConfig::default() };
    let desk = Desk::with([Say::AccessOnly("9")], config, "https://linkspan.example").await;
    assert_eq!(desk.authorize(Authorize::default()).await.unwrap(), Authorized::Connected);
    assert_eq!(desk.bench.fake.asked(), ["client credentials"]);
    assert_eq!(desk.bench.last_act(), "workspace_connector.connected");
}

#[tokio::test]
async fn what_is_refused_to_a_client_that_acts_for_itself_is_in_the_audit_trail() {
    let grant_type = OauthGrantType::ClientCredentials;
    let config = OauthConfig { grant_type, ..OauthConfig::default() };
    let says = [Say::Error("invalid_client"), Say::NoAnswer];
    let desk = Desk::with(says, config, "https://linkspan.example").await;
    for (code, reason) in [
        (json!("invalid_client"), "https://issuer.example does not accept the client"),
        (json!(null), "the authorization server at issuer.example did not answer"),
    ] {
        let refused = desk.authorize(Authorize::default()).await;
        assert!(matches!(refused, Err(ConnectError::Server(_))), "{refused:?}");
        let failed = acts(&desk, "workspace_connector.authorization_failed").pop().unwrap();
        let said = json!({
            "issuer": "https://issuer.example", "client_id": "registered-1",
            "reason": reason, "provider_error": code,
        });
        assert_eq!(failed, said);
    }
}

/// Checklist 13: no token, code or secret in what is shown or logged.
#[tokio::test]
async fn nothing_that_was_asked_for_is_shown() {
    let desk = Desk::new([Say::Tokens("9")]).await;
    let secret = "hunter2-secret";
    let given = GivenClient { id: "given".to_owned(), proof: GivenProof::Secret(key(secret)) };
    let authorize = Authorize { client: Some(given), ..Authorize::default() };
    assert!(!format!("{authorize:?}").contains(secret));
    let url = desk.asked(authorize).await;
    assert!(!url.as_str().contains(secret));
    desk.agreed(ISSUER).await.unwrap();
    let receipts = format!("{:?}", desk.bench.store.receipts());
    let activation = format!("{:?}", desk.bench.activation().await);
    let held = format!("{:?}", held("9", desk.bench.clock.now()));
    for shown in [receipts, activation, held] {
        for hidden in [secret, "access-9", "refresh-9", "the-state", "\"code\""] {
            assert!(!shown.contains(hidden), "{hidden} is in {shown}");
        }
    }
}

#[tokio::test]
async fn a_connector_without_oauth_and_a_platform_without_address_say_so() {
    let desk = Desk::new([]).await;
    let known = Arc::into_inner(desk.connecting).unwrap();
    let unknown = Connecting { addresses: Addresses::default(), ..known };
    let error = unknown.authorize(&call(Role::Designer), desk.bench.of, Authorize::default()).await;
    assert_eq!(error.unwrap_err().code().to_string(), "oauth.no_public_address");
    let connectors = Records::new(keep(vec![connector(|_| {})]).store, unknown.world.clone());
    let plain = Connecting { connectors, ..unknown };
    let error = plain.authorize(&call(Role::Designer), desk.bench.of, Authorize::default()).await;
    assert_eq!(error.unwrap_err().code().to_string(), "connector_type.unsupported");
    let denied = plain.authorize(&call(Role::Analyst), desk.bench.of, Authorize::default()).await;
    assert_eq!(denied.unwrap_err().code().to_string(), "permission.denied");
}

#[test]
fn the_document_about_us_is_only_where_it_can_be_a_name() {
    let at = |public: &str| {
        let public = Some(public.parse().unwrap());
        Addresses { public, ..Addresses::default() }.client_document()
    };
    let document = at("https://linkspan.example/base?x=1").unwrap();
    assert_eq!(document.as_str(), "https://linkspan.example/base/v1/oauth/client-metadata.json");
    for nowhere in ["http://linkspan.example", "https://me:word@linkspan.example"] {
        assert_eq!(at(nowhere), None, "{nowhere}");
    }
}

#[test]
fn a_placeholder_takes_no_other_host() {
    let settings = crate::fixtures::object(json!({ "subdomain": "acme", "evil": "evil.example/" }));
    let fill = |text: &str| target::fill(text, &settings);
    assert_eq!(fill("https://{subdomain}.example.com/a").unwrap(), "https://acme.example.com/a");
    assert!(matches!(fill("https://{evil}.example.com"), Err(ConnectError::Placeholder { .. })));
    assert!(matches!(fill("https://{none}.example.com"), Err(ConnectError::Placeholder { .. })));
}
