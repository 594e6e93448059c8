//! Why something could not be done with an activation.

use linkspan_domain::{
    Availability, Code, ConfigError, ConnectorId, ConnectorTypeKey, CursorType, Denied, FieldKind,
    Problem, StreamName, UnexpectedCredentialState, UnexpectedEvent, WorkspaceConnectorId,
};
use linkspan_sdk::{Failure, SettingsFault};
use strum::IntoEnumIterator;

use crate::{NotAtRest, RecordError, SettingsError, TokenError};

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
    #[error("there is no stream `{stream}`; {near}")]
    NoSuchStream {
        /// Where it is named.
        pointer: String,
        /// Which stream.
        stream: StreamName,
        /// Which there are, continuing the sentence.
        near: String,
    },
    /// A column that its settings name is not there.
    #[error("{} `{column}`; {near}", lacking(stream.as_ref()))]
    NoSuchColumn {
        /// Where it is named.
        pointer: String,
        /// The stream that lacks it. None: all that the settings are for.
        stream: Option<StreamName>,
        /// Which column.
        column: String,
        /// Which there are, continuing the sentence.
        near: String,
    },
    /// The values of a cursor column do not compare as its settings say.
    #[error("the column `{column}` holds {kind}, which does not compare as {cursor_type}; {}", fitting(*kind))]
    UnfitCursor {
        /// Where the cursor is named.
        pointer: String,
        /// Which column.
        column: String,
        /// What it holds.
        kind: FieldKind,
        /// As the settings have it, or as is likely.
        cursor_type: CursorType,
    },
    /// Nothing can be written under the name of a stream.
    #[error("{failure}")]
    Unwritable {
        /// Where it is named.
        pointer: String,
        /// What the type says.
        failure: Failure,
    },
    /// Each push would be a change of the source, and so be pushed again.
    #[error("the stream `{stream}` is what its records are read from; push into another")]
    PushedIntoItself {
        /// Where it is named.
        pointer: String,
        /// Which stream.
        stream: StreamName,
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
    /// What is to be rotated is no secret.
    #[error("is no secret, so it is not rotated; change it with PATCH")]
    NotSecret {
        /// Where it is named.
        pointer: String,
    },
    /// The secrets are those that are there.
    #[error("would change nothing; give at least one secret that is new")]
    SameSecrets,
    /// The new secrets do not work.
    #[error("the credentials do not work, so nothing was changed: {0}")]
    CheckFailed(String),
    /// The settings are others than those that the new secrets were tried with.
    #[error("the settings were changed while the credentials were tried; look at them and retry")]
    RotationConflict,
    /// The state of a version does not allow that.
    #[error(transparent)]
    UnexpectedVersion(#[from] UnexpectedCredentialState),
    /// Whether there is a grant cannot be told.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Other cursors for its streams, while a run can be in the way.
    #[error(transparent)]
    NotAtRest(#[from] NotAtRest),
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
            Self::NoSuchStream { .. }
            | Self::NoSuchColumn { .. }
            | Self::UnfitCursor { .. }
            | Self::Unwritable { .. }
            | Self::PushedIntoItself { .. }
            | Self::NoSuchSource { .. }
            | Self::NotSecret { .. }
            | Self::SameSecrets => Code::Invalid,
            Self::Config(error) => config_code(error),
            Self::InvalidConfig { .. } => Code::InvalidConfig,
            Self::UnexpectedStatus(_) => Code::UnexpectedStatus,
            Self::CheckFailed(_) => Code::CredentialCheckFailed,
            Self::RotationConflict => Code::RotationConflict,
            Self::UnexpectedVersion(_) => Code::UnexpectedCredentialState,
            Self::Token(error) => error.code(),
            Self::NotAtRest(it) => it.code(),
            Self::Source(failure) => failure.problem(),
        }
    }

    fn pointer(&self) -> Option<String> {
        let below_config = |pointer: &str| Some(format!("/data/attributes/config{pointer}"));
        match self {
            Self::Record(error) => error.pointer(),
            Self::NotAvailable { .. } => Some("/data/relationships/connector".to_owned()),
            Self::NoSuchStream { pointer, .. }
            | Self::NoSuchColumn { pointer, .. }
            | Self::UnfitCursor { pointer, .. }
            | Self::Unwritable { pointer, .. }
            | Self::PushedIntoItself { pointer, .. }
            | Self::NoSuchSource { pointer, .. } => Some(pointer.clone()),
            Self::Config(
                ConfigError::UnknownSecret { pointer } | ConfigError::NothingStored { pointer },
            ) => below_config(pointer),
            Self::InvalidConfig { faults, .. } => below_config(&faults.first()?.pointer),
            Self::UnexpectedStatus(_) => Some("/data/attributes/status".to_owned()),
            Self::NotAtRest(_) => Some("/data/attributes/streams".to_owned()),
            Self::NotSecret { pointer } => below_config(pointer),
            Self::SameSecrets => below_config(""),
            Self::Config(_)
            | Self::Settings(_)
            | Self::Token(_)
            | Self::CheckFailed(_)
            | Self::RotationConflict
            | Self::UnexpectedVersion(_)
            | Self::Source(_) => None,
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

fn lacking(stream: Option<&StreamName>) -> String {
    let none = || "none of the streams that these settings are for has a column".to_owned();
    stream.map_or_else(none, |it| format!("the stream `{it}` has no column"))
}

/// What to do about a cursor that does not fit a column of this kind, continuing a sentence.
fn fitting(kind: FieldKind) -> String {
    match CursorType::iter().find(|it| it.may_be(kind)) {
        None => "choose another cursor_column".to_owned(),
        // Not every source compares it so.
        Some(it) if kind == FieldKind::Decimal => format!(
            "choose another cursor_column, or the cursor_type `{it}` where the source takes it for whole numbers"
        ),
        Some(it) => format!("its cursor_type is `{it}`"),
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
