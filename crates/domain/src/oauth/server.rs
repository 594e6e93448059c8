//! Authorization servers.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use url::Url;

use super::ClientAuthentication;
use crate::Secret;

/// The name of an authorization server. Two are the same only if they are the same text: nothing is normalized (RFC 8414
/// §3.3, RFC 9207 §2.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Issuer(String);

impl Issuer {
    /// The issuer that calls itself `text`.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An authorization server: where to ask it for what, and what it can (RFC 8414 §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationServer {
    /// Its name. For endpoints that an operator wrote down, the origin of the token endpoint.
    pub issuer: Issuer,
    /// Where people agree.
    pub authorization_endpoint: Option<Url>,
    /// Where tokens are handed out.
    pub token_endpoint: Url,
    /// Where clients register (RFC 7591).
    pub registration_endpoint: Option<Url>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<Url>,
    /// How a client may say who it is, in the server's order. Empty: the server does not say.
    pub authentications: Vec<ClientAuthentication>,
    /// The scopes that it says it knows. None: it does not say.
    pub scopes: Option<BTreeSet<String>>,
    /// The PKCE methods that it says it knows. None: it does not say.
    pub challenge_methods: Option<BTreeSet<String>>,
    /// Whether its redirects carry `iss` (RFC 9207).
    pub sends_issuer: bool,
    /// Whether the URL of a document serves as a client identifier (Client ID Metadata Document).
    pub reads_client_documents: bool,
}

impl AuthorizationServer {
    /// How a client with this secret, or without one, says who it is here.
    pub fn authentication(&self, secret: Option<&Secret<String>>) -> ClientAuthentication {
        secret.and_then(|_| self.secret_authentication()).unwrap_or(ClientAuthentication::None)
    }

    /// How a client that has a secret says who it is: the safest way that the server takes, if it takes any. One that does not
    /// say takes the header (RFC 8414 §2).
    pub fn secret_authentication(&self) -> Option<ClientAuthentication> {
        let ways =
            [ClientAuthentication::ClientSecretBasic, ClientAuthentication::ClientSecretPost];
        let taken = &self.authentications;
        ways.into_iter().find(|way| taken.is_empty() || taken.contains(way))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_in_the_safest_way_that_the_server_takes() {
        use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, None};
        let table = [
            (vec![], Some(ClientSecretBasic)),
            (vec![None, ClientSecretPost, ClientSecretBasic], Some(ClientSecretBasic)),
            (vec![None, ClientSecretPost], Some(ClientSecretPost)),
            (vec![None], Option::None),
        ];
        for (authentications, expected) in table {
            let server = AuthorizationServer {
                issuer: Issuer::new("https://a.test".to_owned()),
                authorization_endpoint: Option::None,
                token_endpoint: "https://a.test/token".parse().unwrap(),
                registration_endpoint: Option::None,
                revocation_endpoint: Option::None,
                authentications,
                scopes: Option::None,
                challenge_methods: Option::None,
                sends_issuer: false,
                reads_client_documents: false,
            };
            assert_eq!(server.secret_authentication(), expected);
        }
    }
}
