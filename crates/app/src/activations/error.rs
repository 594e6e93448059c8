//! Why something could not be done with an activation.

use linkspan_domain::{
    Availability, Code, ConfigError, ConnectorId, ConnectorTypeKey, Denied, Problem, StreamName,
    UnexpectedEvent, WorkspaceConnectorId,
};
use linkspan_sdk::{Failure, SettingsFault};

use crate::{RecordError, SettingsError, TokenError};

/// Why something could not be done with an activation.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// As with every kept thing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The settings cannot be had.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The connector is not on offer.
    #[error("connector {id} is {status}; only an available one can be activated")]
    NotAvailable {
        /// Which connector.
        id: ConnectorId,
        /// As the catalog has it.
        status: Availability,
    },
    /// A stream that it names is not there.
    #[error("there is no stream `{stream}`; {}", some(.known))]
    NoSuchStream {
        /// Where it is named.
        pointer: String,
        /// Which stream.
        stream: StreamName,
        /// Those that there are.
        known: Vec<StreamName>,
    },
    /// The activation that records are to be taken from is not there.
    #[error(
        "there is no other workspace connector {id} in this workspace; name one that keeps records"
    )]
    NoSuchSource {
        /// Where it is named.
        pointer: String,
        /// Which activation.
        id: WorkspaceConnectorId,
    },
    /// Secrets in the settings are where none belong, or masked though none is stored.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The settings do not fit the type.
    #[error("the settings do not fit connector type {connector_type}: {}", listed(.faults))]
    InvalidConfig {
        /// Which type.
        connector_type: ConnectorTypeKey,
        /// What is wrong. Not empty.
        faults: Vec<SettingsFault>,
    },
    /// Its status does not allow that.
    #[error(transparent)]
    UnexpectedStatus(#[from] UnexpectedEvent),
    /// Whether there is a grant cannot be told.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The connected system, or the way to it, failed.
    #[error(transparent)]
    Source(#[from] Failure),
}

impl From<Denied> for ActivationError {
    fn from(denied: Denied) -> Self {
        Self::Record(denied.into())
    }
}

impl Problem for ActivationError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Settings(error) => error.code(),
            Self::NotAvailable { .. } => Code::ConnectorNotAvailable,
            Self::NoSuchStream { .. } | Self::NoSuchSource { .. } => Code::Invalid,
            Self::Config(error) => config_code(error),
            Self::InvalidConfig { .. } => Code::InvalidConfig,
            Self::UnexpectedStatus(_) => Code::UnexpectedStatus,
            Self::Token(error) => error.code(),
            Self::Source(failure) => failure.problem(),
        }
    }

    fn pointer(&self) -> Option<String> {
        let below_config = |pointer: &str| Some(format!("/data/attributes/config{pointer}"));
        match self {
            Self::Record(error) => error.pointer(),
            Self::NotAvailable { .. } => Some("/data/relationships/connector".to_owned()),
            Self::NoSuchStream { pointer, .. } | Self::NoSuchSource { pointer, .. } => {
                Some(pointer.clone())
            }
            Self::Config(
                ConfigError::UnknownSecret { pointer } | ConfigError::NothingStored { pointer },
            ) => below_config(pointer),
            Self::InvalidConfig { faults, .. } => below_config(&faults.first()?.pointer),
            Self::UnexpectedStatus(_) => Some("/data/attributes/status".to_owned()),
            Self::Config(_) | Self::Settings(_) | Self::Token(_) | Self::Source(_) => None,
        }
    }
}

/// What machines call settings that cannot be taken apart.
pub(super) const fn config_code(error: &ConfigError) -> Code {
    match error {
        ConfigError::UnknownSecret { .. } => Code::UnknownSecret,
        ConfigError::NothingStored { .. } => Code::InvalidConfig,
        ConfigError::UnreadableSecrets
        | ConfigError::NotASchema
        | ConfigError::BrokenReference { .. }
        | ConfigError::TooLarge { .. } => Code::Internal,
    }
}

/// A few of the streams that there are.
fn some(known: &[StreamName]) -> String {
    const NAMED: usize = 10;
    let names = known.iter().take(NAMED).map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    match known.len() {
        0 => "there is none".to_owned(),
        count if count > NAMED => format!("there are {names} and {} more", count - NAMED),
        _ => format!("there are {names}"),
    }
}

/// The faults in a sentence. They quote no values.
fn listed(faults: &[SettingsFault]) -> String {
    let sentence = |it: &SettingsFault| {
        let place = if it.pointer.is_empty() { "the whole" } else { &it.pointer };
        format!("{place} {}", it.message)
    };
    faults.iter().map(sentence).collect::<Vec<_>>().join("; ")
}
