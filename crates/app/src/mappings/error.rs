//! Why something could not be done with a mapping.

use linkspan_domain::{Code, ConnectorMappingId, Denied, Problem, ResourceType, ports::StoreError};
use linkspan_engine::{InvalidMapping, MapError, MapFault};

use crate::{ActivationError, RecordError};

/// Why something could not be done with a mapping.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// As with every kept thing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The activation, or its system, does not do its part.
    #[error(transparent)]
    Activation(#[from] ActivationError),
    /// The expression cannot be a mapping.
    #[error("{0}")]
    Invalid(InvalidMapping),
    /// A record of the stream does not become what it should.
    #[error(
        "the mapping does not fit the record with the key {key}: {fault}; try it with a dry run, and let it leave out records that should not be mapped"
    )]
    DoesNotFit {
        /// Which record.
        key: String,
        /// What goes wrong.
        fault: MapFault,
    },
    /// There is no such version of the mapping.
    #[error("the mapping {id} has no version {version}; list its versions")]
    NoVersion {
        /// Which mapping.
        id: ConnectorMappingId,
        /// As asked for.
        version: u32,
    },
    /// The evaluation broke off.
    #[error("the mapping could not be evaluated")]
    Broken(#[source] MapError),
}

impl MappingError {
    /// A failure of the store while reading.
    pub(super) fn reading(error: StoreError) -> Self {
        RecordError::reading(ResourceType::ConnectorMapping)(error).into()
    }
}

impl From<Denied> for MappingError {
    fn from(denied: Denied) -> Self {
        Self::Record(denied.into())
    }
}

impl From<MapError> for MappingError {
    fn from(error: MapError) -> Self {
        match error {
            MapError::Invalid(error) => Self::Invalid(error),
            broken @ MapError::Broken(_) => Self::Broken(broken),
        }
    }
}

impl Problem for MappingError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Activation(error) => error.code(),
            Self::Invalid(_) => Code::InvalidMapping,
            Self::DoesNotFit { .. } => Code::MappingDoesNotFit,
            Self::NoVersion { .. } => Code::NotFound,
            Self::Broken(_) => Code::Internal,
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::Record(error) => error.pointer(),
            Self::Activation(error) => error.pointer(),
            Self::Invalid(_) | Self::DoesNotFit { .. } => {
                Some("/data/attributes/expression".to_owned())
            }
            Self::NoVersion { .. } | Self::Broken(_) => None,
        }
    }
}
