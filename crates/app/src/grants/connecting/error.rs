//! Why an activation could not be connected.

use linkspan_domain::{
    ClientAuthentication, ClientKeyError, Code, ConnectorId, Denied, Issuer, IssuerCheck, Problem,
    UnfitProof, WorkspaceConnectorId,
    ports::{OauthError, StoreError, VaultError},
};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::{
    RecordError,
    grants::{clients::ClientError, safe::SafeError},
    records::store_code,
};

/// Why nobody can be sent to a provider.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// As with every kept thing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The connector does not work that way.
    #[error(
        "connector {connector} is not connected by OAuth; give its activation the settings that it asks for"
    )]
    NoOauth {
        /// Which connector.
        connector: ConnectorId,
    },
    /// The catalog does not say where to authorize.
    #[error(
        "the catalog does not say where connector {connector} authorizes; set auth_config of the connector"
    )]
    NotConfigured {
        /// Which connector.
        connector: ConnectorId,
    },
    /// The catalog has something else where a URL belongs.
    #[error("`{what}` of the connector is no URL; correct auth_config of the connector")]
    NotAUrl {
        /// What.
        what: &'static str,
    },
    /// A setting that a URL of the connector needs is missing, or does not fit there.
    #[error(
        "the setting `{name}` is part of the address of the provider: give it letters, digits, dots and hyphens only"
    )]
    Placeholder {
        /// Which setting.
        name: String,
    },
    /// Nobody could come back.
    #[error(
        "providers send people back to this platform, and it does not know its own address; an operator sets LINKSPAN_PUBLIC_URL"
    )]
    NoPublicAddress,
    /// People are not sent there.
    #[error("people are not sent to {host}; an operator can allow it with LINKSPAN_RETURN_URLS")]
    ReturnNotAllowed {
        /// Which host.
        host: String,
    },
    /// There is no way to become a client of the server but to ask somebody.
    #[error(
        "{issuer} takes neither a client metadata document nor registrations; register a client with the provider, and send its \
         `client_id` with its `client_secret` or `client_private_key`"
    )]
    NoClient {
        /// Which server.
        issuer: Issuer,
    },
    /// The server failed, or refused.
    #[error(transparent)]
    Server(OauthError),
    /// The store failed.
    #[error("what belongs to the grant could not be read or written")]
    Store(#[source] StoreError),
    /// The vault failed.
    #[error(transparent)]
    Safe(#[from] SafeError),
    /// There is no randomness.
    #[error("no state could be made")]
    Mint(#[source] VaultError),
}

impl From<Denied> for ConnectError {
    fn from(denied: Denied) -> Self {
        Self::Record(denied.into())
    }
}

impl From<UnfitProof> for ConnectError {
    fn from(error: UnfitProof) -> Self {
        Self::Server(error.into())
    }
}

impl From<ClientError> for ConnectError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Server(error) => Self::Server(error),
            ClientError::Store(error) => Self::Store(error),
            ClientError::Safe(error) => Self::Safe(error),
        }
    }
}

impl Problem for ConnectError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::NoOauth { .. } | Self::NotConfigured { .. } | Self::NotAUrl { .. } => {
                Code::TypeUnsupported
            }
            Self::Placeholder { .. } => Code::InvalidConfig,
            Self::NoPublicAddress => Code::OauthNoPublicAddress,
            Self::ReturnNotAllowed { .. } => Code::OauthReturnNotAllowed,
            Self::NoClient { .. } => Code::OauthClientRequired,
            Self::Server(OauthError::Unfit(UnfitProof::Key(ClientKeyError::NoRandomness))) => {
                Code::Internal
            }
            Self::Server(OauthError::Unfit(_)) => Code::Invalid,
            Self::Server(error) if error.is_transient() => Code::SourceUnavailable,
            Self::Server(_) => Code::SourceRefused,
            Self::Store(error) => store_code(error),
            Self::Safe(error) => error.code(),
            Self::Mint(_) => Code::Internal,
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::Record(error) => error.pointer(),
            Self::ReturnNotAllowed { .. } => Some("/data/attributes/redirect_url".to_owned()),
            Self::NoClient { .. } => Some("/data/attributes/client_id".to_owned()),
            Self::Server(OauthError::Unfit(unfit)) => Some(pointer(unfit).to_owned()),
            _ => None,
        }
    }
}

/// What was given that does not fit.
const fn pointer(unfit: &UnfitProof) -> &'static str {
    use ClientAuthentication::{ClientSecretBasic, ClientSecretPost};
    match unfit {
        UnfitProof::NotTaken { way: ClientSecretBasic | ClientSecretPost, .. } => {
            "/data/attributes/client_secret"
        }
        UnfitProof::NotTaken { .. } | UnfitProof::Key(_) => "/data/attributes/client_private_key",
    }
}

/// A person who came back from a provider and did not connect anything.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct NotConnected {
    /// Why. The page that they see says so.
    pub error: ReturnError,
    /// Where they came from, which is told.
    pub return_to: Option<Url>,
}

impl From<ReturnError> for NotConnected {
    /// Nobody knows where they came from.
    fn from(error: ReturnError) -> Self {
        Self { error, return_to: None }
    }
}

/// Why a link leads nowhere, or nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum ReturnError {
    /// There never was such an authorization, or it is long forgotten.
    #[error("this link is not known here, or not any more")]
    Unknown,
    /// Somebody came back with it before.
    #[error("this link was used already")]
    Used,
    /// It took too long.
    #[error("this link has expired")]
    Expired,
    /// They left from another browser, which took our cookie.
    #[error("this link was opened in another browser")]
    OtherBrowser,
    /// Another server than the one that was asked sent them (RFC 9207).
    #[error(transparent)]
    Issuer(#[from] IssuerCheck),
    /// The person, or the server, said no.
    #[error("the provider says: {}", description.as_ref().unwrap_or(error))]
    Refused {
        /// The code of the error (RFC 6749 §4.1.2.1).
        error: String,
        /// What the provider says about it.
        description: Option<String>,
    },
    /// The redirect carries neither a code nor an error.
    #[error("the provider sent neither a code nor an error")]
    Malformed,
    /// The code could not be exchanged.
    #[error("the provider did not hand out a token")]
    Server(#[source] OauthError),
    /// The activation is gone.
    #[error("what was to be connected does not exist any more")]
    Gone,
    /// Our fault.
    #[error("something went wrong on our side")]
    Ours(#[source] Box<ConnectError>),
}

impl ReturnError {
    /// What the audit trail says of it: why, and the code with which the provider refused. No secret is in either.
    pub(super) fn details(&self, authorization: Uuid) -> Value {
        let (reason, code) = match self {
            Self::Server(source) => (source.to_string(), source.code()),
            Self::Refused { error, .. } => (self.to_string(), Some(error.as_str())),
            _ => (self.to_string(), None),
        };
        json!({ "authorization_id": authorization, "reason": reason, "provider_error": code })
    }

    /// Whether it was for the person to say, and they said no.
    pub fn is_by_the_person(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error == "access_denied")
    }

    /// What whoever sent the person is told, in the words of RFC 6749 §4.1.2.1.
    pub(super) fn told(&self) -> &str {
        match self {
            Self::Refused { error, .. } => error,
            Self::Server(source) if source.is_transient() => "temporarily_unavailable",
            _ => "server_error",
        }
    }

    /// Has the log say what whoever runs the platform can do something about. A person may say no, and come too late.
    pub(super) fn log(&self, of: WorkspaceConnectorId) {
        let code = match self {
            Self::Server(source) => source.code(),
            Self::Issuer(_) | Self::Malformed => None,
            Self::Refused { error, .. } if !self.is_by_the_person() => Some(error.as_str()),
            // What is our own fault is told of where the page is made.
            _ => return,
        };
        tracing::warn!(
            workspace_connector = %of, provider_error = code,
            error = self as &dyn std::error::Error,
            "an authorization failed"
        );
    }
}

impl From<ConnectError> for ReturnError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Server(error) => Self::Server(error),
            ConnectError::Record(RecordError::NotFound { .. }) => Self::Gone,
            error => Self::Ours(Box::new(error)),
        }
    }
}

impl From<StoreError> for ReturnError {
    fn from(error: StoreError) -> Self {
        Self::Ours(Box::new(ConnectError::Store(error)))
    }
}

impl From<SafeError> for ReturnError {
    fn from(error: SafeError) -> Self {
        Self::Ours(Box::new(ConnectError::Safe(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_and_does_not_fit_is_pointed_to() {
        use ClientAuthentication::{
            ClientSecretBasic, ClientSecretPost, None as Nothing, PrivateKeyJwt,
        };
        for (way, attribute) in [
            (ClientSecretBasic, "client_secret"),
            (ClientSecretPost, "client_secret"),
            (PrivateKeyJwt, "client_private_key"),
            (Nothing, "client_private_key"),
        ] {
            let issuer = Issuer::new("https://a.test".to_owned());
            let error = ConnectError::from(UnfitProof::NotTaken { issuer, way });
            assert_eq!(error.code(), Code::Invalid);
            assert_eq!(error.pointer(), Some(format!("/data/attributes/{attribute}")));
        }
    }
}
