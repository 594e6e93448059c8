//! Why kept things could not be read or written.

use linkspan_domain::{Code, Denied, InvalidCondition, Problem, ResourceType, ports::StoreError};

/// Why a kept thing could not be read or written.
///
/// A thing of another tenant and a thing that is not there are the same [`NotFound`](Self::NotFound).
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It may be read from here, but belongs to a workspace below this one.
    #[error(
        "{resource} {id} belongs to a workspace below this one; act in that workspace to change it"
    )]
    Elsewhere {
        /// The kind of thing.
        resource: ResourceType,
        /// Which one.
        id: String,
    },
    /// It is not there, or not the caller's.
    #[error("there is no {resource} {id}")]
    NotFound {
        /// The kind of thing.
        resource: ResourceType,
        /// Which one.
        id: String,
    },
    /// Only what is deleted can be restored or purged.
    #[error("{resource} {id} is not deleted, so it can be neither restored nor purged")]
    NotDeleted {
        /// The kind of thing.
        resource: ResourceType,
        /// Which one.
        id: String,
    },
    /// It was written since the caller read it.
    #[error("{resource} {id} was changed meanwhile; read it again and retry")]
    Stale {
        /// The kind of thing.
        resource: ResourceType,
        /// Which one.
        id: String,
    },
    /// A live thing already has what is unique.
    #[error("there is already a {resource} with that {attribute}")]
    Taken {
        /// The kind of thing.
        resource: ResourceType,
        /// What is unique.
        attribute: &'static str,
    },
    /// It refers to something that is not there, or not the caller's.
    #[error("there is no {resource} {id} to refer to")]
    Missing {
        /// By which relationship of the body.
        relationship: &'static str,
        /// The kind of thing that is missing.
        resource: ResourceType,
        /// Which one.
        id: String,
    },
    /// Something else still needs it.
    #[error("{resource} {id} is still needed: {reason}")]
    InUse {
        /// The kind of thing.
        resource: ResourceType,
        /// Which one.
        id: String,
        /// By what, and what to do.
        reason: &'static str,
    },
    /// It refers to something that is not there, or something still refers to it; the store does not say which.
    #[error("{resource} {id} refers to something that is not there, or is still referred to")]
    Dangling {
        /// The kind of thing.
        resource: ResourceType,
        /// Which one.
        id: String,
    },
    /// An attribute has a value that it cannot have.
    #[error("{attribute} {reason}")]
    Invalid {
        /// Which attribute of the body.
        attribute: &'static str,
        /// What is wrong, continuing a sentence.
        reason: String,
    },
    /// The condition of a filter cannot be read.
    #[error("the condition cannot be read: {0}")]
    Condition(InvalidCondition),
    /// The call took so long that another one with the same idempotency key took over.
    #[error(
        "another call took over the idempotency key; read what it did, or retry with another key"
    )]
    ClaimLost,
    /// The store failed.
    #[error("could not {doing} {resource}")]
    Store {
        /// What was being done: `read`, `write`.
        doing: &'static str,
        /// To which kind of thing.
        resource: ResourceType,
        /// What went wrong.
        source: StoreError,
    },
}

impl Problem for RecordError {
    fn code(&self) -> Code {
        match self {
            Self::Denied(_) | Self::Elsewhere { .. } => Code::PermissionDenied,
            Self::NotFound { .. } => Code::NotFound,
            Self::NotDeleted { .. } => Code::NotDeleted,
            Self::Stale { .. } => Code::Stale,
            Self::Taken { .. } => Code::NameTaken,
            Self::Missing { .. } | Self::InUse { .. } | Self::Dangling { .. } => Code::Dangling,
            Self::Invalid { .. } => Code::Invalid,
            Self::Condition(_) => Code::InvalidCondition,
            Self::ClaimLost => Code::IdempotencyInFlight,
            Self::Store { source, .. } => store_code(source),
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::Taken { attribute, .. } | Self::Invalid { attribute, .. } => {
                Some(format!("/data/attributes/{attribute}"))
            }
            Self::Missing { relationship, .. } => {
                Some(format!("/data/relationships/{relationship}"))
            }
            Self::Condition(error) => Some(format!("/data/attributes/config{}", error.pointer())),
            Self::Denied(_)
            | Self::Elsewhere { .. }
            | Self::NotFound { .. }
            | Self::NotDeleted { .. }
            | Self::Stale { .. }
            | Self::InUse { .. }
            | Self::Dangling { .. }
            | Self::ClaimLost
            | Self::Store { .. } => None,
        }
    }
}

impl From<InvalidCondition> for RecordError {
    fn from(error: InvalidCondition) -> Self {
        Self::Condition(error)
    }
}

impl RecordError {
    /// Store failures while reading.
    pub(crate) const fn reading(resource: ResourceType) -> impl Fn(StoreError) -> Self {
        move |source| Self::Store { doing: "read", resource, source }
    }
}

/// What machines call a failure of a store that no use case expects.
pub(crate) const fn store_code(error: &StoreError) -> Code {
    match error {
        StoreError::Taken => Code::NameTaken,
        StoreError::Dangling => Code::Dangling,
        StoreError::Stale => Code::Stale,
        StoreError::ClaimLost => Code::IdempotencyInFlight,
        StoreError::TooSlow => Code::QueryTooSlow,
        StoreError::Expired => Code::CursorExpired,
        StoreError::Unavailable(_) => Code::Unavailable,
        StoreError::Corrupt(_) => Code::Internal,
    }
}
