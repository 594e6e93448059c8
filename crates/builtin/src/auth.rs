//! The ways in which a request over HTTP says who sends it.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, InvalidHeaderValue},
};
use linkspan_domain::Secret;
use linkspan_sdk::Failure;
use schemars::JsonSchema;
use serde::Deserialize;

/// How requests are authenticated.
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
}

impl Auth {
    /// Puts the credentials into `headers`.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
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
        };
        let mut value = HeaderValue::try_from(value).map_err(|_: InvalidHeaderValue| {
            Failure::setting(field, "has characters that a header cannot carry")
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use linkspan_domain::Secret;

    use super::Auth;

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
}
