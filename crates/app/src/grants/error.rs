//! Why there is no token.

use std::{sync::Arc, time::Duration};

use linkspan_domain::{
    Code, Problem, WorkspaceConnectorId,
    ports::{OauthError, StoreError},
};
use linkspan_sdk::Failure;
use serde_json::json;
use time::OffsetDateTime;

use super::safe::SafeError;

/// Why there is no token. Cheap to clone: all who wait for it hear the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// Nobody ever agreed, or the grant is gone.
    #[error("workspace connector {id} is not connected; {}", reconnect(.id))]
    NotConnected {
        /// Which activation.
        id: WorkspaceConnectorId,
    },
    /// The server does not accept the grant any more. It is gone.
    #[error(
        "the provider does not accept the grant of workspace connector {id} any more; {}", reconnect(.id)
    )]
    Lost {
        /// Which activation.
        id: WorkspaceConnectorId,
        /// What the server says.
        #[source]
        source: Option<Arc<OauthError>>,
    },
    /// The server does not accept us as the client that the grant was given to.
    #[error(
        "the provider does not accept the client of workspace connector {id}; correct it at the provider, or give another, \
         and {}", reconnect(.id)
    )]
    ClientRefused {
        /// Which activation.
        id: WorkspaceConnectorId,
        /// What the server says.
        #[source]
        source: Arc<OauthError>,
    },
    /// The server does not hand out a token now.
    #[error(
        "no new token could be had for workspace connector {id}; it is asked for again at {again_at}"
    )]
    Server {
        /// For which activation.
        id: WorkspaceConnectorId,
        /// When it is asked again.
        again_at: OffsetDateTime,
        /// What the server says, or what became of asking it. None: that was before.
        #[source]
        source: Option<Arc<OauthError>>,
    },
    /// Somebody else is refreshing it, for too long.
    #[error(
        "another process is refreshing the token of workspace connector {id}; try again in a minute"
    )]
    Elsewhere {
        /// Of which activation.
        id: WorkspaceConnectorId,
    },
    /// The store failed.
    #[error("the grant of workspace connector {id} could not be read or written")]
    Store {
        /// Of which activation.
        id: WorkspaceConnectorId,
        /// What went wrong.
        #[source]
        source: Arc<StoreError>,
    },
    /// The vault failed.
    #[error(transparent)]
    Safe(#[from] SafeError),
    /// The process stopped.
    #[error("the process stopped before there was a token")]
    Interrupted,
}

/// What a person does about a grant that is gone.
pub(crate) fn reconnect(id: &WorkspaceConnectorId) -> String {
    format!(
        "reconnect it: POST /v1/workspace-connectors/{id}/authorize answers a link, and so does `linkspan authorize`"
    )
}

/// What a person does about a grant that lacks `scope`: names with blanks between them.
pub(crate) fn authorize_with(id: &WorkspaceConnectorId, scope: &str) -> String {
    let scopes: Vec<&str> = scope.split_whitespace().collect();
    let body = json!({ "scopes": scopes });
    let command = if scopes.iter().all(|it| it.chars().all(means_nothing_to_shells)) {
        format!(", and so does `linkspan authorize {id} --scope {}`", scopes.join(" --scope "))
    } else {
        String::new()
    };
    format!(
        "authorize it with that: POST /v1/workspace-connectors/{id}/authorize with {body} answers a link{command}"
    )
}

/// A system may name any scope, and people paste commands.
fn means_nothing_to_shells(it: char) -> bool {
    it.is_ascii_alphanumeric() || matches!(it, ':' | '.' | '/' | '_' | '-')
}

impl TokenError {
    /// Whether the same may succeed later, with nothing changed.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Server { .. }
            | Self::Elsewhere { .. }
            | Self::Store { .. }
            | Self::Interrupted => true,
            Self::NotConnected { .. }
            | Self::Lost { .. }
            | Self::ClientRefused { .. }
            | Self::Safe(_) => false,
        }
    }
}

impl Problem for TokenError {
    fn code(&self) -> Code {
        match self {
            Self::NotConnected { .. } | Self::Lost { .. } | Self::ClientRefused { .. } => {
                Code::NeedReconnect
            }
            Self::Server { .. } | Self::Elsewhere { .. } => Code::SourceUnavailable,
            Self::Store { .. } | Self::Interrupted => Code::Unavailable,
            Self::Safe(error) => error.code(),
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error.code() {
            Code::NeedReconnect => Self::NeedReconnect(error.to_string()),
            // Asking again mends nothing: it takes the key, or another grant.
            Code::KeyUnknown => Self::Refused(error.to_string()),
            Code::Internal => Self::Defect { doing: "open its grant", source: Some(error.into()) },
            _ => match (error.retry_after(), error.refusal()) {
                (Some(retry_after), _) => Self::RateLimited { retry_after: Some(retry_after) },
                (None, Some(refusal)) => Self::NotNow(format!("{refusal}; {error}")),
                (None, None) => Self::unavailable("the authorization server", error),
            },
        }
    }
}

impl TokenError {
    /// What the server said that may pass, if it said no.
    fn refusal(&self) -> Option<&OauthError> {
        match self {
            Self::Server { source: Some(source), .. } if source.is_refusal() => Some(source),
            _ => None,
        }
    }

    /// How long the server asks to be left alone, if it asks.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Server { source: Some(source), .. } => match &**source {
                OauthError::Busy { retry_after: Some(seconds), .. } => {
                    Some(Duration::from_secs(*seconds))
                }
                _ => None,
            },
            _ => None,
        }
    }
}
