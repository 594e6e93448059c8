//! Authorizations that wait for a person to agree.

use std::collections::BTreeSet;

use url::Url;

use super::{AuthorizationServer, Issuer, OauthClient};
use crate::{Secret, plain_words};

/// What is remembered of an authorization while a person is at the provider: all that the exchange needs, as it was when they
/// left. Sealed, used once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingAuthorization {
    /// The server that they were sent to.
    pub server: AuthorizationServer,
    /// What we are there.
    pub client: OauthClient,
    /// What proves that whoever exchanges the code is who asked for it (PKCE, RFC 7636).
    pub verifier: Secret<String>,
    /// Where they come back to, exactly.
    pub redirect_uri: Url,
    /// The resource that the tokens are for (RFC 8707).
    pub resource: Option<String>,
    /// What was asked for.
    pub scopes: BTreeSet<String>,
    /// Where the person goes when all is done, with the `state` of whoever sent them.
    pub return_to: Option<Url>,
    /// Where they agree. The `state` in it was made by whoever began, who may send them with another.
    pub url: Secret<String>,
}

/// What came back from the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirected {
    /// The person agreed.
    Agreed {
        /// What is exchanged for tokens.
        code: Secret<String>,
    },
    /// The person or the server refused (RFC 6749 §4.1.2.1).
    Refused {
        /// The code of the error.
        error: String,
        /// What the server says about it.
        description: Option<String>,
    },
}

impl Redirected {
    /// A refusal, as the redirect words it. Anybody can word a redirect: what is kept of it are [`plain_words`].
    ///
    /// ```
    /// use linkspan_domain::Redirected;
    /// let refused = Redirected::refused("access_denied", Some("no\u{0} way"));
    /// let description = Some("no way".to_owned());
    /// assert_eq!(refused, Redirected::Refused { error: "access_denied".to_owned(), description });
    /// ```
    pub fn refused(error: &str, description: Option<&str>) -> Self {
        Self::Refused {
            error: plain_words(error).unwrap_or_else(|| "no reason given".to_owned()),
            description: description.and_then(plain_words),
        }
    }
}

/// Whether a redirect came from the server that it should have come from (RFC 9207 §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerCheck {
    /// The server says that it names itself, and the redirect names nobody.
    #[error(
        "the answer does not say which authorization server sent it, though this one always does"
    )]
    Missing,
    /// The redirect names another.
    #[error("the answer came from another authorization server than the one that was asked")]
    Mismatch,
}

impl PendingAuthorization {
    /// Passes if `iss`, as the redirect gave it, fits the server. Texts are compared as they are.
    ///
    /// A server that does not say that it sends `iss`, and sends one, is held to it all the same.
    pub fn check_issuer(&self, iss: Option<&str>) -> Result<(), IssuerCheck> {
        match (iss, self.server.sends_issuer) {
            (Some(iss), _) if iss == Issuer::as_str(&self.server.issuer) => Ok(()),
            (Some(_), _) => Err(IssuerCheck::Mismatch),
            (None, true) => Err(IssuerCheck::Missing),
            (None, false) => Ok(()),
        }
    }
}
