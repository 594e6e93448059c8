//! The ways in which a request over HTTP says who sends it.

use std::time::SystemTime;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, InvalidHeaderValue},
};
use linkspan_domain::{
    AuthorizationFlow, Secret,
    ports::{OutboundRequest, OutboundResponse},
};
use linkspan_sdk::{ConnectorType, Cx, Failure, wsse};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

/// How requests are authenticated. Left out where the connector authorizes by OAuth: they carry the token of the grant then.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Auth {
    /// Not at all.
    #[default]
    None,
    /// With a bearer token in the `Authorization` header.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// With a user name and a password.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// With a key in a header.
    ApiKey {
        /// The name of the header, such as `X-API-Key`.
        header: String,
        /// The key.
        value: Secret,
    },
    /// With a WS-Security UsernameToken in the header `X-WSSE`: a digest of the password, made anew for each request.
    Wsse {
        /// The user name.
        username: String,
        /// The password, which some systems call the secret.
        password: Secret,
    },
}

impl Auth {
    /// Passes unless the connector, which authorizes by `flow`, wants other credentials than these.
    pub(crate) fn accept(&self, flow: AuthorizationFlow) -> Result<(), Failure> {
        match (flow, self) {
            (AuthorizationFlow::Wsse, Self::Wsse { .. }) => Ok(()),
            (AuthorizationFlow::Wsse, _) => Err(Failure::setting(
                "auth",
                "must be of the type `wsse`, by which the connector authorizes",
            )),
            (_, Self::None) => Ok(()),
            (flow, _) if flow.needs_grant() => Err(Failure::setting(
                "auth",
                "must be left out: the connector authorizes by OAuth, and requests carry the token of the grant",
            )),
            _ => Ok(()),
        }
    }

    /// Whether requests of `cx` say who sends them.
    pub(crate) const fn is_given<T: ConnectorType>(&self, cx: &Cx<T>) -> bool {
        cx.flow.needs_grant() || !matches!(self, Self::None)
    }

    /// Sends the request that `make` makes with these credentials, or with the token of the grant where the connector needs
    /// one, and answers with whatever status comes back. It may be made twice; see [`linkspan_sdk::Http::exchange_with`].
    pub(crate) async fn exchange<T: ConnectorType>(
        &self,
        cx: &Cx<T>,
        make: impl Fn() -> Result<OutboundRequest, Failure> + Send + Sync,
    ) -> Result<OutboundResponse, Failure> {
        if cx.flow.needs_grant() {
            return cx.exchange_with_grant(make).await;
        }
        let mut request = make()?;
        self.apply(&mut request.headers)?;
        cx.http.exchange(request).await
    }

    /// Puts the credentials into `headers`, unless something has their place already.
    fn apply(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        let (name, value, field) = match self {
            Self::None => return Ok(()),
            Self::Bearer { token } => {
                (AUTHORIZATION, format!("Bearer {}", token.expose()), "auth.token")
            }
            Self::Basic { username, password } => {
                let pair = STANDARD.encode(format!("{username}:{}", password.expose()));
                (AUTHORIZATION, format!("Basic {pair}"), "auth.password")
            }
            Self::ApiKey { header, value } => {
                let name = HeaderName::try_from(header)
                    .map_err(|_| Failure::setting("auth.header", "is not the name of a header"))?;
                (name, value.expose().clone(), "auth.value")
            }
            Self::Wsse { username, password } => {
                let nonce = Uuid::new_v4().simple().to_string();
                let token = wsse(username, password, &nonce, SystemTime::now().into());
                let token =
                    token.map_err(|error| Failure::setting("auth.username", error.to_string()))?;
                headers.entry("x-wsse").or_insert(token);
                return Ok(());
            }
        };
        let mut value = HeaderValue::try_from(value).map_err(|_: InvalidHeaderValue| {
            Failure::setting(field, "has characters that a header cannot carry")
        })?;
        value.set_sensitive(true);
        headers.entry(name).or_insert(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(auth: &Auth, name: &str, value: &str) {
        let mut headers = HeaderMap::new();
        auth.apply(&mut headers).unwrap();
        assert_eq!(headers[name], value);
        assert!(!format!("{headers:?}").contains(value));
    }

    #[test]
    fn credentials_go_where_they_belong_and_are_not_printed() {
        let secret = |it: &str| Secret::new(it.to_owned());
        let bearer = Auth::Bearer { token: secret("t0ken") };
        check(&bearer, "authorization", "Bearer t0ken");
        let basic = Auth::Basic { username: "Aladdin".to_owned(), password: secret("open sesame") };
        check(&basic, "authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let key = Auth::ApiKey { header: "X-API-Key".to_owned(), value: secret("s3cr3t") };
        check(&key, "x-api-key", "s3cr3t");
    }

    #[test]
    fn a_secret_that_no_header_can_carry_is_not_repeated() {
        let auth = Auth::Bearer { token: Secret::new("s3cr3t\n".to_owned()) };
        let failure = auth.apply(&mut HeaderMap::new()).unwrap_err();
        assert!(!format!("{failure:?}").contains("s3cr3t"));
    }

    /// The bytes of a nonce are those of its text: how they are made is the standard's, as the vector of `linkspan_sdk::wsse`.
    #[test]
    fn a_digest_is_made_anew_for_each_request() {
        let password = Secret::new("s3cret".to_owned());
        let auth = Auth::Wsse { username: "customer001".to_owned(), password };
        let token = || {
            let mut headers = HeaderMap::new();
            auth.apply(&mut headers).unwrap();
            assert_eq!(format!("{:?}", headers["x-wsse"]), "Sensitive");
            headers["x-wsse"].to_str().unwrap().to_owned()
        };
        let (one, other) = (token(), token());
        for token in [&one, &other] {
            assert!(token.starts_with(r#"UsernameToken Username="customer001", Pass"#), "{token}");
            let nonce = token.split_once("Nonce=\"").unwrap().1.split_once('"').unwrap().0;
            let nonce = STANDARD.decode(nonce).unwrap();
            assert!(nonce.len() >= 32 && nonce.iter().all(u8::is_ascii_hexdigit), "{token}");
        }
        assert_ne!(one, other);
    }

    #[test]
    fn what_the_request_says_itself_stays() {
        let mut headers = HeaderMap::new();
        headers.insert("x-key", HeaderValue::from_static("mine"));
        let value = Secret::new("s3cr3t".to_owned());
        Auth::ApiKey { header: "X-Key".to_owned(), value }.apply(&mut headers).unwrap();
        assert_eq!(headers["x-key"], "mine");
    }

    #[test]
    fn the_connector_says_which_credentials_there_may_be() {
        use AuthorizationFlow as Flow;

        let secret = || Secret::new("s3cr3t".to_owned());
        let bearer = Auth::Bearer { token: secret() };
        let wsse = Auth::Wsse { username: "me".to_owned(), password: secret() };
        let keys = [Flow::None, Flow::ApiKey, Flow::ExternalApiKey];
        let grants = [Flow::Redirect, Flow::OauthManual, Flow::OauthDcr, Flow::OauthCimd];
        let fits = |auth: &Auth| {
            let all = keys.into_iter().chain(grants).chain([Flow::Wsse]);
            all.filter(|it| auth.accept(*it).is_ok()).collect::<Vec<_>>()
        };
        assert_eq!(fits(&Auth::None), [&keys[..], &grants].concat());
        assert_eq!(fits(&bearer), keys);
        assert_eq!(fits(&wsse), [&keys[..], &[Flow::Wsse]].concat());
    }
}
