//! People who are sent to a provider, and what they bring back.

mod clients;
mod resuming;

use std::cell::Cell;

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
            it.entry.auth_config = Some(AuthConfig {
                oauth_metadata_url: Some("https://id.example/metadata".to_owned()),
                oauth_config: Some(config),
                ..AuthConfig::default()
            });
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
            |_| Ok(key(&next_ticket())),
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

    /// Where the person is sent who is asked.
    async fn asked(&self, authorize: Authorize) -> Url {
        let authorized = self.authorize(authorize).await.unwrap();
        let Authorized::Asked { url, .. } = authorized else { panic!("nobody was asked") };
        let ticket = Ticket::new(key(&parameter(&url, "ticket")));
        self.connecting.depart(&ticket, Some(browser())).await.unwrap().url
    }

    async fn back(
        &self,
        ticket: &str,
        iss: Option<&str>,
        redirected: Option<Redirected>,
    ) -> Result<Connected, NotConnected> {
        let (iss, browser) = (iss.map(str::to_owned), browser());
        let state = Ticket::new(key(ticket)).state_for(&browser);
        let returned = Returned { state: key(&state), browser: Some(browser), iss, redirected };
        self.connecting.complete(returned, None, "trace".to_owned()).await
    }

    async fn agreed(&self, iss: Option<&str>) -> Result<Connected, ReturnError> {
        let redirected = Some(Redirected::Agreed { code: key("code") });
        self.back(&last_ticket(), iss, redirected).await.map_err(|it| it.error)
    }

    /// Who is kept to be the client.
    async fn client(&self) -> Option<OauthClient> {
        let found = self.connecting.clients.find(self.bench.of, &server().issuer).await.unwrap();
        found.client.unwrap()
    }
}

thread_local! {
    static TICKETS: Cell<u32> = const { Cell::new(0) };
}

fn next_ticket() -> String {
    TICKETS.set(TICKETS.get() + 1);
    last_ticket()
}

/// That of the link that was made last.
fn last_ticket() -> String {
    format!("the-ticket-{}", TICKETS.get())
}

/// That of the person.
fn browser() -> Browser {
    Browser::read(&"b".repeat(43)).unwrap()
}

fn given(id: &str) -> Authorize {
    let client =
        GivenClient { id: id.to_owned(), proof: GivenProof::Secret(key("hunter2-secret")) };
    Authorize { client: Some(client), ..Authorize::default() }
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

/// Checklist 2: the state is bound to the browser and to the activation.
#[tokio::test]
async fn whoever_comes_back_in_another_browser_connects_and_uses_up_nothing() {
    let desk = Desk::new([Say::Tokens("9")]).await;
    let url = desk.asked(Authorize::default()).await;
    let state = parameter(&url, "state");
    for elsewhere in [None, Browser::read(&"c".repeat(43))] {
        let redirected = Some(Redirected::Agreed { code: key("code") });
        let iss = ISSUER.map(str::to_owned);
        let returned = Returned { state: key(&state), browser: elsewhere, iss, redirected };
        let refused = desk.connecting.complete(returned, None, "trace".to_owned()).await;
        assert!(matches!(refused.unwrap_err().error, ReturnError::OtherBrowser));
    }
    assert!(desk.bench.fake.asked().is_empty());
    assert_eq!(desk.agreed(ISSUER).await.unwrap().id, desk.bench.of);
}

#[tokio::test]
async fn nobody_is_sent_to_agree_for_an_activation_that_is_gone() {
    let desk = Desk::new([]).await;
    desk.asked(Authorize::default()).await;
    desk.bench.delete().await;
    let ticket = Ticket::new(key(&last_ticket()));
    let refused = desk.connecting.depart(&ticket, None).await;
    assert!(matches!(refused, Err(ReturnError::Gone)), "{refused:?}");
}

/// Checklist 2: the state is used once, and not for long.
#[tokio::test]
async fn a_state_is_good_once_and_for_ten_minutes() {
    let desk = Desk::new([Say::Tokens("9")]).await;
    assert!(matches!(desk.agreed(ISSUER).await, Err(ReturnError::Unknown)));
    desk.asked(Authorize::default()).await;
    let wrong = desk.back("another-ticket", ISSUER, None).await.unwrap_err();
    assert!(matches!(wrong.error, ReturnError::Unknown));
    desk.agreed(ISSUER).await.unwrap();
    assert!(matches!(desk.agreed(ISSUER).await, Err(ReturnError::Used)));

    let desk = Desk::new([]).await;
    desk.asked(Authorize::default()).await;
    desk.bench.clock.pass(PENDING);
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
    let refused = desk.back(&last_ticket(), ISSUER, Some(refused)).await.unwrap_err();
    assert_eq!(refused.to_string(), "the provider says: <b>no</b>");
    let NotConnected { return_to, .. } = refused;
    let there = "https://app.example/done?a=1&error=access_denied";
    assert_eq!(return_to.unwrap().as_str(), there, "whoever sent them is told");
    assert_eq!(desk.bench.status().await, Status::Enabled);
    let token = AccessTokens::new(desk.bench.refresher()).ensure_fresh(desk.bench.of).await;
    assert_eq!(token.unwrap().expose(), "access-0", "the grant that was there is there yet");
}

/// The product knows what became of its user, whatever became of them.
#[tokio::test]
async fn whoever_sent_the_person_is_told_why_nothing_came_of_it() {
    for (says, told) in [
        (Say::Error("invalid_client"), "server_error"),
        (Say::Error("temporarily_unavailable"), "temporarily_unavailable"),
    ] {
        let desk = Desk::new([says]).await;
        let return_to = Some("https://app.example/done".parse().unwrap());
        desk.asked(Authorize { return_to, ..Authorize::default() }).await;
        let agreed = Some(Redirected::Agreed { code: key("code") });
        let failed = desk.back(&last_ticket(), ISSUER, agreed).await.unwrap_err();
        let there = format!("https://app.example/done?error={told}");
        assert_eq!(failed.return_to.unwrap().as_str(), there);
    }
}

/// What the audit trail says of each `action`.
fn acts(desk: &Desk, action: &str) -> Vec<serde_json::Value> {
    let all = desk.bench.store.receipts().into_iter().map(|it| it.audit);
    all.filter(|it| it.action == action).map(|it| it.details).collect()
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
    let (secret, authorize) = ("hunter2-secret", given("given"));
    assert!(!format!("{authorize:?}").contains(secret));
    let url = desk.asked(authorize).await;
    assert!(!url.as_str().contains(secret));
    desk.agreed(ISSUER).await.unwrap();
    let receipts = format!("{:?}", desk.bench.store.receipts());
    let activation = format!("{:?}", desk.bench.activation().await);
    let held = format!("{:?}", held("9", desk.bench.clock.now()));
    for shown in [receipts, activation, held] {
        for hidden in [secret, "access-9", "refresh-9", "the-ticket", "\"code\""] {
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
