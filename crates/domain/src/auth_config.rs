//! What the catalog says of authorizing, filled in for one activation, and whether anybody can be authorized by it.

use serde_json::{Map, Value};
use url::Url;

use crate::{
    AuthConfig, AuthorizationFlow, CatalogEntry, OauthConfig, OauthGrantType, ProviderType,
    is_private_transport,
};

/// Why nobody can be authorized by what the catalog says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthConfig {
    /// It says nothing.
    #[error("must say where to authorize, as authorization_flow is {0}")]
    Missing(AuthorizationFlow),
    /// A placeholder names no setting that could stand in a URL.
    #[error(
        "has the placeholder {{{name}}}, and activations have no such setting that is a text and no secret"
    )]
    NoSuchSetting {
        /// What it names.
        name: String,
    },
    /// A setting that a URL needs is missing, or does not fit there.
    #[error("needs the setting `{name}`, of letters, digits, dots and hyphens only")]
    Placeholder {
        /// Which setting.
        name: String,
    },
    /// It has something else where the URL of a server belongs, or no server at all.
    #[error("{0}")]
    Unusable(&'static str),
}

impl CatalogEntry {
    /// Passes if activations can be authorized by what the entry says, as far as that can be told without asking anybody.
    /// `is_setting` says which names are settings of its type that may stand in a URL.
    ///
    /// An aggregator sends people to its own pages: an entry of one need not say where they agree.
    pub fn accept_auth_config(
        &self,
        is_setting: impl Fn(&str) -> bool,
    ) -> Result<(), InvalidAuthConfig> {
        let flow = self.authorization_flow;
        let said = self.auth_config.as_ref();
        let is_brokered = self.provider != ProviderType::Well
            && flow == AuthorizationFlow::Redirect
            && said.is_none_or(|it| !it.names_a_server());
        if !flow.needs_grant() || is_brokered {
            return Ok(());
        }
        let said = said.ok_or(InvalidAuthConfig::Missing(flow))?;
        let example = |name: &str| {
            let known = is_setting(name).then(|| "example".to_owned());
            known.ok_or_else(|| InvalidAuthConfig::NoSuchSetting { name: name.to_owned() })
        };
        said.clone().filled_with(&example)?.accept(flow)
    }
}

impl AuthConfig {
    /// The same, with `settings` in the places of the placeholders, if anybody can be authorized by it by `flow` then.
    pub fn filled(
        self,
        flow: AuthorizationFlow,
        settings: &Map<String, Value>,
    ) -> Result<Self, InvalidAuthConfig> {
        let filled = self.filled_with(&|name: &str| plain(name, settings))?;
        filled.accept(flow)?;
        Ok(filled)
    }

    fn filled_with(self, value_of: &ValueOf<'_>) -> Result<Self, InvalidAuthConfig> {
        let fill = |text: Option<String>| text.map(|it| fill_with(&it, value_of)).transpose();
        let oauth_config = self.oauth_config.map(|it| -> Result<_, InvalidAuthConfig> {
            Ok(OauthConfig {
                authorization_endpoint: fill(it.authorization_endpoint)?,
                token_endpoint: fill(it.token_endpoint)?,
                revocation_endpoint: fill(it.revocation_endpoint)?,
                registration_endpoint: fill(it.registration_endpoint)?,
                ..it
            })
        });
        Ok(Self {
            oauth_metadata_url: fill(self.oauth_metadata_url)?,
            authorization_endpoint: fill(self.authorization_endpoint)?,
            oauth_config: oauth_config.transpose()?,
            mcp_server_url: fill(self.mcp_server_url)?,
            token_test_url: fill(self.token_test_url)?,
            ..self
        })
    }

    /// Whether it says who hands out tokens, or what to ask for that.
    fn names_a_server(&self) -> bool {
        let listed = self.oauth_config.as_ref().is_some_and(|it| it.token_endpoint.is_some());
        listed || self.oauth_metadata_url.is_some() || self.mcp_server_url.is_some()
    }

    /// Passes if it names a server, in URLs that secrets and people may go to.
    fn accept(&self, flow: AuthorizationFlow) -> Result<(), InvalidAuthConfig> {
        if !self.names_a_server() {
            return Err(InvalidAuthConfig::Unusable(
                "has neither oauth_config.token_endpoint nor oauth_metadata_url nor an mcp_server_url to ask",
            ));
        }
        let listed = self.oauth_config.as_ref();
        let of = |endpoint: fn(&OauthConfig) -> &Option<String>| {
            listed.and_then(|it| endpoint(it).as_deref())
        };
        for (text, why) in [
            (self.oauth_metadata_url.as_deref(), "its oauth_metadata_url is no https URL"),
            (self.mcp_server_url.as_deref(), "its mcp_server_url is no https URL"),
            (self.token_test_url.as_deref(), "its token_test_url is no https URL"),
            (self.authorization_endpoint.as_deref(), "its authorization_endpoint is no https URL"),
            (of(|it| &it.authorization_endpoint), "its authorization_endpoint is no https URL"),
            (of(|it| &it.token_endpoint), "its token_endpoint is no https URL"),
            (of(|it| &it.revocation_endpoint), "its revocation_endpoint is no https URL"),
            (of(|it| &it.registration_endpoint), "its registration_endpoint is no https URL"),
        ] {
            if text.is_some_and(|it| !is_endpoint(it)) {
                return Err(InvalidAuthConfig::Unusable(why));
            }
        }
        if !listed.is_none_or(|it| it.scopes.iter().all(|it| is_scope(it))) {
            return Err(InvalidAuthConfig::Unusable(
                "one of its scopes is none: a scope is a word of ASCII without blanks, quotes and backslashes",
            ));
        }
        let by_hand = match flow {
            AuthorizationFlow::Redirect | AuthorizationFlow::OauthManual => listed,
            _ => None,
        };
        let asks_nowhere = |it: &OauthConfig| {
            it.token_endpoint.is_some()
                && it.grant_type == OauthGrantType::AuthorizationCode
                && it.authorization_endpoint.is_none()
                && self.authorization_endpoint.is_none()
        };
        if by_hand.is_some_and(asks_nowhere) {
            return Err(InvalidAuthConfig::Unusable(
                "its oauth_config has a token_endpoint and no authorization_endpoint, so nobody can agree; where no person is asked, \
                 grant_type is client_credentials",
            ));
        }
        Ok(())
    }
}

/// Whether `text` can be a scope (RFC 6749 §3.3).
pub fn is_scope(text: &str) -> bool {
    let fits = |it: char| matches!(it, '!'..='~') && !matches!(it, '"' | '\\');
    !text.is_empty() && text.chars().all(fits)
}

/// What stands in the place of a placeholder.
type ValueOf<'v> = dyn Fn(&str) -> Result<String, InvalidAuthConfig> + 'v;

/// `text` with the settings that its placeholders name: `https://{subdomain}.example.com`. A setting that could turn one host
/// into another is refused.
///
/// ```
/// use linkspan_domain::filled_in;
/// use serde_json::{Value, json};
///
/// let Value::Object(settings) = json!({ "subdomain": "acme" }) else { return Ok(()) };
/// assert_eq!(filled_in("https://{subdomain}.example.com", &settings)?, "https://acme.example.com");
/// # Ok::<(), linkspan_domain::InvalidAuthConfig>(())
/// ```
pub fn filled_in(text: &str, settings: &Map<String, Value>) -> Result<String, InvalidAuthConfig> {
    fill_with(text, &|name: &str| plain(name, settings))
}

fn fill_with(text: &str, value_of: &ValueOf<'_>) -> Result<String, InvalidAuthConfig> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((name, behind)) = behind.split_once('}') else { break };
        filled.push_str(before);
        filled.push_str(&value_of(name)?);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The setting `name`, if nothing in it could end the name of a host.
fn plain(name: &str, settings: &Map<String, Value>) -> Result<String, InvalidAuthConfig> {
    let value = settings.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-._~".contains(it);
    if value.is_empty() || !value.chars().all(is_plain) {
        return Err(InvalidAuthConfig::Placeholder { name: name.to_owned() });
    }
    Ok(value.to_owned())
}

/// Whether secrets and people may be sent there.
fn is_endpoint(text: &str) -> bool {
    // The parser of URLs takes hosts with braces.
    !text.contains(['{', '}'])
        && text.parse().is_ok_and(|it: Url| {
            is_private_transport(&it)
                && it.fragment().is_none()
                && it.username().is_empty()
                && it.password().is_none()
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(provider: &str, flow: &str, auth_config: &Value) -> CatalogEntry {
        let entry = json!({
            "name": "Books", "provider": provider, "category_id": "finance",
            "service_id": "books", "authorization_flow": flow, "auth_config": auth_config,
            "connector_type": "http",
        });
        serde_json::from_value(entry).unwrap()
    }

    fn refused(flow: &str, auth_config: &Value) -> Option<String> {
        let accepted = entry("well", flow, auth_config).accept_auth_config(|it| it == "subdomain");
        accepted.err().map(|it| it.to_string())
    }

    #[test]
    fn an_entry_that_says_where_to_authorize_is_accepted() {
        let by_hand = json!({ "oauth_config": {
            "authorization_endpoint": "https://{subdomain}.books.example/authorize",
            "token_endpoint": "https://{subdomain}.books.example/token",
        }});
        let alone = json!({ "oauth_config": {
            "token_endpoint": "http://127.0.0.1/token", "grant_type": "client_credentials",
        }});
        let overruled = json!({
            "authorization_endpoint": "https://books.example/authorize",
            "oauth_config": { "token_endpoint": "https://books.example/token" },
        });
        let document = json!({ "oauth_metadata_url": "https://books.example/metadata" });
        let resource = json!({ "mcp_server_url": "https://mcp.books.example" });
        for (flow, said) in [
            ("oauth-manual", &by_hand),
            ("redirect", &overruled),
            ("oauth-manual", &alone),
            ("oauth-dcr", &document),
            ("oauth-cimd", &resource),
            ("none", &Value::Null),
            ("external-api-key", &json!({})),
        ] {
            assert_eq!(refused(flow, said), None, "{flow} {said}");
        }
    }

    #[test]
    fn an_entry_by_which_nobody_can_be_authorized_is_refused() {
        let endpoints = |authorize: &str, token: &str| json!({ "oauth_config": { "authorization_endpoint": authorize, "token_endpoint": token } });
        for (flow, said, why) in [
            ("redirect", Value::Null, "must say where to authorize"),
            ("oauth-dcr", json!({}), "has neither oauth_config.token_endpoint nor"),
            ("oauth-dcr", json!({ "oauth_config": { "scopes": ["a"] } }), "has neither"),
            (
                "oauth-dcr",
                json!({ "oauth_metadata_url": "https://a.example", "oauth_config": { "scopes": ["a b"] } }),
                "one of its scopes",
            ),
            ("oauth-manual", endpoints("https://a.example", "http://a.example"), "its token_end"),
            ("oauth-manual", endpoints("https://me:word@a.example", "https://a.example"), "its au"),
            ("oauth-manual", endpoints("books", "https://a.example"), "its authorization_endpoint"),
            ("oauth-manual", endpoints("https://{shop}.a.example", "https://a.example"), "{shop}"),
            (
                "oauth-manual",
                json!({ "oauth_config": { "token_endpoint": "https://a.example" } }),
                "no authorization_endpoint",
            ),
            ("oauth-cimd", json!({ "mcp_server_url": "ftp://a.example" }), "its mcp_server_url"),
            (
                "oauth-dcr",
                json!({ "mcp_server_url": "https://a.example", "token_test_url": "/me" }),
                "its token_test_url",
            ),
        ] {
            let refused = refused(flow, &said).unwrap_or_default();
            assert!(refused.contains(why), "{flow} {said}: {refused}");
        }
    }

    #[test]
    fn an_aggregator_need_not_say_where_people_agree() {
        let accepted = |flow, said| entry("chift", flow, said).accept_auth_config(|_| false);
        assert_eq!(accepted("redirect", &Value::Null), Ok(()));
        assert!(accepted("oauth-manual", &Value::Null).is_err());
        let wrong = json!({ "oauth_metadata_url": "http://a.example" });
        assert!(accepted("redirect", &wrong).is_err(), "but what it says has to work");
    }

    #[test]
    fn a_placeholder_takes_no_other_host() {
        let Value::Object(settings) = json!({ "shop": "acme", "evil": "evil.example/" }) else {
            panic!()
        };
        let fill = |text: &str| filled_in(text, &settings);
        assert_eq!(fill("https://{shop}.example.com/a").unwrap(), "https://acme.example.com/a");
        for bad in ["https://{evil}.example.com", "https://{none}.example.com"] {
            assert!(matches!(fill(bad), Err(InvalidAuthConfig::Placeholder { .. })), "{bad}");
        }
    }
}
