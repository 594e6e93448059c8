//! Requests that carry the access token of an OAuth grant.

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION};
use linkspan_domain::{
    Challenge, Secret, is_private_transport, plain_words,
    ports::{OutboundRequest, OutboundResponse},
};

use crate::{Failure, Http};

/// The OAuth grant of one activation.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// An access token that works for a while yet. Ask before each request: it is refreshed in time, and asking costs nothing
    /// until then. [`Failure::NeedReconnect`] if a person must authorize again.
    async fn bearer(&self) -> Result<Secret<String>, Failure>;

    /// Another access token than `refused`, which its system does not take though its time is not over. The same if there is no
    /// way to another.
    async fn another(&self, refused: &Secret<String>) -> Result<Secret<String>, Failure>;

    /// That the system `host` does not take what the grant opens, in words that say what a person does about it.
    async fn refused(&self, host: &str, refusal: TokenRefusal) -> Failure;
}

/// Why a system does not take the access token of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenRefusal {
    /// It is none that it knows, or not any more.
    Invalid,
    /// It may not do what was asked for (RFC 6750 §3.1).
    InsufficientScope {
        /// The scope that it takes, as far as the system says: names with blanks between them.
        scope: Option<String>,
    },
}

impl Http {
    /// Sends the request that `make` makes, with an access token of `tokens`, and answers with whatever status comes back but
    /// those that say that the token is not taken.
    ///
    /// Where it is not (401), the token may have ended before its time: the request is made once more, with another.
    pub async fn exchange_with(
        &self,
        tokens: &dyn TokenSource,
        make: impl Fn() -> Result<OutboundRequest, Failure> + Send + Sync,
    ) -> Result<OutboundResponse, Failure> {
        let mut token = tokens.bearer().await?;
        let mut response = self.carry(make()?, &token).await?;
        if response.status == StatusCode::UNAUTHORIZED && !asks_for_more(&response) {
            let another = tokens.another(&token).await?;
            if another != token {
                token = another;
                response = self.carry(make()?, &token).await?;
            }
        }
        match refusal(&response, &token) {
            Some(refusal) => {
                let host = response.url.host_str().unwrap_or("the system");
                Err(tokens.refused(host, refusal).await)
            }
            None => Ok(response),
        }
    }

    /// Sends `request` with `token` (RFC 6750 §2.1). Never where others could read it on the way (§5.3).
    async fn carry(
        &self,
        mut request: OutboundRequest,
        token: &Secret<String>,
    ) -> Result<OutboundResponse, Failure> {
        if !is_private_transport(&request.url) {
            let host = request.url.host_str().unwrap_or("the system");
            return Err(Failure::Refused(format!(
                "the token of a grant is not sent to {host} in the clear; give an address that begins with https://"
            )));
        }
        let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut value = value.map_err(|_unfit| Failure::Unauthorized)?;
        value.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, value);
        self.exchange(request).await
    }
}

/// Whether `response` says that the token is good, but not for this.
fn asks_for_more(response: &OutboundResponse) -> bool {
    challenges(&response.headers).iter().any(is_for_scope)
}

/// Why `response` does not take `token`, if it does not.
fn refusal(response: &OutboundResponse, token: &Secret<String>) -> Option<TokenRefusal> {
    if !matches!(response.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return None;
    }
    match challenges(&response.headers).iter().find(|it| is_for_scope(it)) {
        Some(challenge) => {
            let scope = challenge.parameter("scope").and_then(plain_words);
            // It goes into a message: what repeats the token is no scope.
            let scope = scope.filter(|it| !it.contains(token.expose().as_str()));
            Some(TokenRefusal::InsufficientScope { scope })
        }
        None => (response.status == StatusCode::UNAUTHORIZED).then_some(TokenRefusal::Invalid),
    }
}

fn is_for_scope(challenge: &Challenge) -> bool {
    challenge.is("Bearer") && challenge.parameter("error") == Some("insufficient_scope")
}

/// What the system answers to whoever may not enter. A header that breaks its grammar says nothing.
fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let header = Challenge::header(headers);
    header.and_then(|it| Challenge::all(&it).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::{StreamExt, stream};
    use http::{Method, header::WWW_AUTHENTICATE};
    use linkspan_domain::ports::{Limits, Outbound, OutboundError};

    use super::*;

    /// A status, and the challenge that goes with it.
    type Answer = (u16, &'static str);

    /// A system that gives one answer after the other, and keeps what came along.
    struct System {
        answers: Mutex<Vec<Answer>>,
        carried: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Outbound for System {
        async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
            let carried = &request.headers[AUTHORIZATION];
            assert_eq!(format!("{carried:?}"), "Sensitive");
            self.carried.lock().unwrap().push(carried.to_str().unwrap().to_owned());
            let (status, challenge) = self.answers.lock().unwrap().remove(0);
            let mut headers = HeaderMap::new();
            // A header that comes in several lines is one list.
            for line in challenge.split('|').filter(|it| !it.is_empty()) {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(line));
            }
            let status = StatusCode::from_u16(status).unwrap();
            let body = stream::empty().boxed();
            Ok(OutboundResponse { status, headers, url: request.url, body })
        }
    }

    /// Hands out one token after the other, and the last one over and over.
    struct Purse(Mutex<Vec<&'static str>>);

    #[async_trait]
    impl TokenSource for Purse {
        async fn bearer(&self) -> Result<Secret<String>, Failure> {
            Ok(Secret::new(self.0.lock().unwrap()[0].to_owned()))
        }

        async fn another(&self, refused: &Secret<String>) -> Result<Secret<String>, Failure> {
            let mut tokens = self.0.lock().unwrap();
            if tokens.len() > 1 && tokens[0] == refused.expose() {
                tokens.remove(0);
            }
            Ok(Secret::new(tokens[0].to_owned()))
        }

        async fn refused(&self, host: &str, refusal: TokenRefusal) -> Failure {
            Failure::NeedReconnect(format!("{host}: {refusal:?}"))
        }
    }

    /// What comes of a request to `url`, and the tokens that went along.
    async fn exchange(
        url: &str,
        tokens: &[&'static str],
        answers: &[Answer],
    ) -> (Result<u16, String>, Vec<String>) {
        let answers = Mutex::new(answers.to_vec());
        let system = Arc::new(System { answers, carried: Mutex::default() });
        let http = Http::new(Arc::clone(&system) as _, Limits::default());
        let purse = Purse(Mutex::new(tokens.to_vec()));
        let make = || Ok(http.request(Method::GET, url.parse().unwrap()));
        let done = http.exchange_with(&purse, make).await;
        let carried = system.carried.lock().unwrap().clone();
        (done.map(|it| it.status.as_u16()).map_err(|it| it.to_string()), carried)
    }

    const FILES: &str = "https://files.example/a";

    #[tokio::test]
    async fn a_token_that_is_not_taken_is_changed_for_another_once() {
        let (done, carried) = exchange(FILES, &["a", "b"], &[(401, ""), (204, "")]).await;
        assert_eq!(done, Ok(204));
        assert_eq!(carried, ["Bearer a", "Bearer b"]);

        let (done, carried) = exchange(FILES, &["a", "b", "c"], &[(401, ""), (401, "")]).await;
        assert_eq!(done, Err("files.example: Invalid".to_owned()));
        assert_eq!(carried, ["Bearer a", "Bearer b"], "not over and over");

        let (done, carried) = exchange(FILES, &["a"], &[(401, "")]).await;
        assert_eq!(done, Err("files.example: Invalid".to_owned()));
        assert_eq!(carried, ["Bearer a"], "what was refused is not sent again");
    }

    #[tokio::test]
    async fn whatever_else_is_answered_is_an_answer() {
        for status in [200, 403, 500] {
            let (done, carried) = exchange(FILES, &["a", "b"], &[(status, "")]).await;
            assert_eq!(done, Ok(status));
            assert_eq!(carried, ["Bearer a"]);
        }
    }

    #[tokio::test]
    async fn a_scope_that_is_missing_is_named() {
        let lacks =
            |scope: &str| Err(format!("files.example: InsufficientScope {{ scope: {scope} }}"));
        for (status, challenge, expected) in [
            (
                403,
                r#"Basic realm="x"|Bearer error="insufficient_scope", scope="a b""#,
                lacks(r#"Some("a b")"#),
            ),
            // No other token would do more.
            (401, r#"Bearer error="insufficient_scope", scope="a""#, lacks(r#"Some("a")"#)),
            (403, "bearer error=insufficient_scope", lacks("None")),
            (403, r#"Bearer error="insufficient_scope", scope="t0ken""#, lacks("None")),
            (403, r#"Bearer error="insufficient_scope" scope"#, Ok(403)),
            (403, r#"Bearer error="invalid_token""#, Ok(403)),
        ] {
            let (done, carried) = exchange(FILES, &["t0ken", "b"], &[(status, challenge)]).await;
            assert_eq!((done, carried.len()), (expected, 1), "{challenge}");
        }
    }

    #[tokio::test]
    async fn a_token_does_not_travel_in_the_clear() {
        let (done, carried) = exchange("http://files.example/a", &["t0ken"], &[]).await;
        assert!(done.unwrap_err().contains("https://"));
        assert!(carried.is_empty());
        let (done, _) = exchange("http://127.0.0.1/a", &["a"], &[(200, "")]).await;
        assert_eq!(done, Ok(200), "on this machine nobody listens");
    }
}
