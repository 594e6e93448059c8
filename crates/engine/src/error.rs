//! Why a run fails.

use linkspan_domain::{
    Code, ConditionMismatch, ConnectorTypeKey, InvalidCursor, Problem, RunEnd, Status, StreamName,
    ports::{Cause, StoreError},
};
use linkspan_sdk::Failure;

/// Why a run fails, or one stream of it.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The connector could not do it.
    #[error(transparent)]
    Source(Failure),
    /// The activation is not there any more.
    #[error("the activation was removed")]
    Gone,
    /// The activation was paused or lost its grant before the work began.
    #[error("the activation is {0}; a run needs one that is processing")]
    UnexpectedStatus(Status),
    /// There is no implementation for the activation's type in this installation.
    #[error(
        "the connector type `{0}` is not installed; start a version of Linkspan that has it, or choose another type"
    )]
    NotInstalled(ConnectorTypeKey),
    /// The secrets of the activation cannot be opened.
    #[error(
        "the secrets of the activation cannot be opened; enter them again, or restore the key that sealed them"
    )]
    Secrets(#[source] Cause),
    /// The master key that sealed the secrets of the activation is not here.
    #[error(
        "the secrets of the activation were sealed with a master key that is not here; start with that key in LINKSPAN_MASTER_KEY_PREVIOUS, or enter the secrets again"
    )]
    KeyUnknown(#[source] Cause),
    /// The activation has no such stream.
    #[error("there is no stream `{0}`; see which there are with discover")]
    StreamNotFound(StreamName),
    /// The activation that an output stream takes its records from is not there.
    #[error(
        "the activation whose stream `{0}` is to be pushed is not in this workspace; correct the source"
    )]
    SourceNotFound(StreamName),
    /// Each push would be a change of the source, and so be pushed again.
    #[error("the stream `{0}` is what its records were read from; push into another")]
    PushedIntoItself(StreamName),
    /// An incremental sync needs to know what is new.
    #[error(
        "the stream `{0}` has no cursor column, which an incremental sync needs; set cursor_column, or sync in full"
    )]
    CursorRequired(StreamName),
    /// The stream does not have a column that the settings name.
    #[error(
        "the stream `{stream}` has no column `{column}`; correct {setting} in the stream's settings"
    )]
    ColumnNotFound {
        /// Which stream.
        stream: StreamName,
        /// As the settings spell it.
        column: String,
        /// Which setting.
        setting: &'static str,
    },
    /// The place to start from cannot be read.
    #[error("the stream `{stream}` cannot start at its cursor_after: {source}")]
    InvalidCursor {
        /// Which stream.
        stream: StreamName,
        /// What is wrong with it.
        source: InvalidCursor,
    },
    /// Cursors that are texts have nothing before them.
    #[error(
        "the stream `{0}` has a lag, but its cursor is text; take the lag away, or choose another cursor"
    )]
    UselessLag(StreamName),
    /// The filter asks for what streams do not have.
    #[error("the filter does not fit {}: {source}; change the filter", whom(stream.as_ref()))]
    FilterUnfit {
        /// Which stream. None: no stream at all.
        stream: Option<StreamName>,
        /// What does not fit.
        source: ConditionMismatch,
    },
    /// The stream is not what it was, and may not change.
    #[error(
        "the stream `{stream}` is frozen, and {change}; set its schema_policy to `evolve` to take it as it is"
    )]
    SchemaFrozen {
        /// Which stream.
        stream: StreamName,
        /// What became of it, continuing a sentence.
        change: String,
    },
    /// Too many of the records cannot be stored.
    #[error(
        "{quarantined} of {read} records of the stream `{stream}` cannot be stored; see why in its quarantine"
    )]
    TooManyQuarantined {
        /// Which stream.
        stream: StreamName,
        /// How many were read.
        read: u64,
        /// How many of those cannot be stored.
        quarantined: u64,
    },
    /// The store could not do it.
    #[error(
        "the store of the platform did not do its part; the next run goes on from the last checkpoint"
    )]
    Store(#[source] StoreError),
    /// It kills whoever works on it.
    #[error(
        "{0} workers in a row died over this run without getting anywhere; see their logs, and whether they have memory enough"
    )]
    Crashed(u32),
    /// Someone stopped it.
    #[error("the run was cancelled")]
    Cancelled,
    /// The engine itself is at fault.
    #[error("the sync engine failed while it was to {doing}; this is a defect, please report it")]
    Defect {
        /// What it was doing, continuing a sentence.
        doing: &'static str,
        /// What went wrong.
        #[source]
        source: Cause,
    },
}

fn whom(stream: Option<&StreamName>) -> String {
    stream.map_or_else(|| "any stream".to_owned(), |it| format!("the stream `{it}`"))
}

impl SyncError {
    /// The stable name that the run keeps.
    pub fn name(&self) -> String {
        match self {
            Self::Source(failure) => failure.code().to_owned(),
            other => other.code().to_string(),
        }
    }

    /// Whether the same may succeed in a moment, with nothing changed.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Source(failure) => failure.is_retryable(),
            Self::Store(error) => matches!(error, StoreError::Unavailable(_)),
            Self::Gone
            | Self::UnexpectedStatus(_)
            | Self::NotInstalled(_)
            | Self::Secrets(_)
            | Self::KeyUnknown(_)
            | Self::StreamNotFound(_)
            | Self::SourceNotFound(_)
            | Self::PushedIntoItself(_)
            | Self::CursorRequired(_)
            | Self::ColumnNotFound { .. }
            | Self::InvalidCursor { .. }
            | Self::UselessLag(_)
            | Self::FilterUnfit { .. }
            | Self::SchemaFrozen { .. }
            | Self::TooManyQuarantined { .. }
            | Self::Crashed(_)
            | Self::Cancelled
            | Self::Defect { .. } => false,
        }
    }

    /// Whether it stands in the way of every stream of the run, so that there is no use in trying the others.
    pub(crate) const fn is_general(&self) -> bool {
        matches!(
            self,
            Self::Source(Failure::Unauthorized | Failure::NeedReconnect(_) | Failure::Cancelled)
                | Self::Cancelled
                | Self::Store(_)
        )
    }

    /// What the end of a run that fails so means to its activation, where a failure as they come now and then means `again`.
    pub(crate) const fn end(&self, again: RunEnd) -> RunEnd {
        match self {
            Self::Source(Failure::Unauthorized | Failure::NeedReconnect(_)) => RunEnd::Unauthorized,
            Self::Source(Failure::Cancelled)
            | Self::Cancelled
            | Self::Gone
            | Self::UnexpectedStatus(_) => RunEnd::Cancelled,
            Self::Source(
                Failure::Invalid { .. }
                | Failure::Refused(_)
                | Failure::NotFound(_)
                | Failure::TooLarge { .. }
                | Failure::Malformed { .. }
                | Failure::Unsupported(_),
            )
            | Self::NotInstalled(_)
            | Self::Secrets(_)
            | Self::KeyUnknown(_)
            | Self::SourceNotFound(_)
            | Self::PushedIntoItself(_)
            | Self::ColumnNotFound { .. }
            | Self::InvalidCursor { .. }
            | Self::UselessLag(_)
            | Self::FilterUnfit { .. }
            | Self::SchemaFrozen { .. } => RunEnd::Broken,
            Self::Source(
                Failure::Unavailable { .. }
                | Failure::NotNow(_)
                | Failure::RateLimited { .. }
                | Failure::TakenOver
                | Failure::Defect { .. },
            )
            // Asked for by whoever triggered the run, not by the settings.
            | Self::StreamNotFound(_)
            | Self::CursorRequired(_)
            | Self::TooManyQuarantined { .. }
            | Self::Crashed(_)
            | Self::Store(_)
            | Self::Defect { .. } => again,
        }
    }
}

impl Problem for SyncError {
    fn code(&self) -> Code {
        match self {
            // The run was, and nothing ails the source.
            Self::Source(Failure::Cancelled | Failure::TakenOver) => Code::SyncCancelled,
            Self::Source(failure) => failure.problem(),
            Self::Gone => Code::NotFound,
            Self::UnexpectedStatus(_) => Code::UnexpectedStatus,
            Self::NotInstalled(_) => Code::TypeNotInstalled,
            Self::KeyUnknown(_) => Code::KeyUnknown,
            Self::Secrets(_) | Self::Defect { .. } => Code::Internal,
            Self::StreamNotFound(_) => Code::StreamNotFound,
            Self::CursorRequired(_) => Code::CursorRequired,
            Self::SourceNotFound(_)
            | Self::PushedIntoItself(_)
            | Self::ColumnNotFound { .. }
            | Self::InvalidCursor { .. }
            | Self::UselessLag(_) => Code::InvalidConfig,
            Self::FilterUnfit { .. } => Code::InvalidCondition,
            Self::SchemaFrozen { .. } => Code::SchemaFrozen,
            Self::TooManyQuarantined { .. } => Code::TooManyQuarantined,
            Self::Crashed(_) => Code::SyncCrashed,
            Self::Store(StoreError::Unavailable(_)) => Code::Unavailable,
            Self::Store(_) => Code::Internal,
            Self::Cancelled => Code::SyncCancelled,
        }
    }
}
