//! Why a run did not do all that it was asked for.

use linkspan_domain::{Code, StreamName, ports::StoreError};
use linkspan_sdk::Failure;

use crate::OpenError;

/// Why a run, or one of its streams, came to an early end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunFailure {
    /// The activation is not there any more.
    #[error("the workspace connector was disconnected")]
    Disconnected,
    /// It cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// The system does not say which streams there are.
    #[error("{0}")]
    Discover(Failure),
    /// The system does not have a stream.
    #[error(
        "there is no stream {0}; list the models of the workspace connector to see those there are"
    )]
    NoStream(StreamName),
    /// A stream that was asked for has nothing to tell new records by.
    #[error("an incremental sync of stream {0} needs a cursor_column; set one, or sync in full")]
    NoCursor(StreamName),
    /// What is said of a stream does not fit it.
    #[error("the settings of stream {stream} do not fit: `{field}` {reason}")]
    Settings {
        /// Which stream.
        stream: StreamName,
        /// Which field of the settings.
        field: &'static str,
        /// What is wrong with it, continuing a sentence.
        reason: String,
    },
    /// A stream could not be read to its end.
    #[error("stream {stream}: {failure}")]
    Read {
        /// Which stream.
        stream: StreamName,
        /// Why not.
        failure: Failure,
    },
    /// Too much of a stream could not be kept.
    #[error(
        "{quarantined} of {read} records of stream {stream} could not be kept; look at its quarantined records for the reasons"
    )]
    TooManyQuarantined {
        /// Which stream.
        stream: StreamName,
        /// How many were kept aside.
        quarantined: u64,
        /// Of how many.
        read: u64,
    },
    /// The store did not do as asked.
    #[error("the records could not be stored")]
    Store(#[source] StoreError),
    /// Something else is at fault.
    #[error("the run failed unexpectedly; this is a defect, please report it")]
    Panicked,
    /// It was stopped.
    #[error("the sync was stopped, since the workspace connector was switched off")]
    Halted,
}

/// The code of a run that was stopped.
pub(crate) const CANCELLED: &str = "sync.cancelled";

impl RunFailure {
    /// What machines call it.
    pub(crate) fn code(&self) -> String {
        let code = match self {
            Self::Disconnected | Self::Halted => CANCELLED,
            Self::Open(OpenError::NotInstalled(_)) => Code::TypeNotInstalled.into(),
            Self::Open(OpenError::Sealed(_)) | Self::Panicked => Code::Internal.into(),
            Self::Discover(failure) | Self::Read { failure, .. } => failure.code(),
            Self::NoStream(_) => Code::StreamNotFound.into(),
            Self::NoCursor(_) => Code::CursorRequired.into(),
            Self::Settings { .. } => Code::InvalidConfig.into(),
            Self::TooManyQuarantined { .. } => "sync.too_many_quarantined",
            Self::Store(StoreError::Unavailable(_)) => Code::Unavailable.into(),
            Self::Store(_) => Code::Internal.into(),
        };
        code.to_owned()
    }

    /// Whether the other streams of the run would fare no better.
    pub(crate) const fn is_common(&self) -> bool {
        match self {
            Self::Discover(_)
            | Self::Disconnected
            | Self::Open(_)
            | Self::Store(_)
            | Self::Panicked
            | Self::Halted => true,
            Self::Read { failure, .. } => matches!(
                failure,
                Failure::Unauthorized
                    | Failure::Unavailable { .. }
                    | Failure::RateLimited { .. }
                    | Failure::Cancelled
            ),
            Self::NoStream(_)
            | Self::NoCursor(_)
            | Self::Settings { .. }
            | Self::TooManyQuarantined { .. } => false,
        }
    }
}
