//! Sealing what belongs to grants.

use std::sync::Arc;

use linkspan_domain::{
    InvalidSealedForm, Sealable,
    ports::{Purpose, SealContext, Sealed, Vault, VaultError},
};
use uuid::Uuid;

/// Seals and opens what belongs to grants.
#[derive(Clone)]
pub(crate) struct Safe(Arc<dyn Vault>);

/// Why something could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what belongs to the grant of {row} cannot be {doing}")]
pub struct SafeError {
    row: Uuid,
    doing: &'static str,
    #[source]
    source: SafeCause,
}

/// What stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum SafeCause {
    #[error(
        "the key that sealed it is not in the keyring; start with it in LINKSPAN_MASTER_KEY_PREVIOUS"
    )]
    UnknownKey,
    #[error("the vault refuses it")]
    Vault,
    #[error(transparent)]
    Form(#[from] InvalidSealedForm),
}

impl From<VaultError> for SafeCause {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::UnknownKey { .. } => Self::UnknownKey,
            VaultError::Refused | VaultError::Malformed | VaultError::NoRandomness => Self::Vault,
        }
    }
}

impl Safe {
    pub(crate) fn new(vault: Arc<dyn Vault>) -> Self {
        Self(vault)
    }

    /// Seals `what` for the row that `row` names.
    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        row: Uuid,
        what: &impl Sealable,
    ) -> Result<Sealed, SafeError> {
        let sealed = what.to_bytes().map_err(SafeCause::from).and_then(|bytes| {
            self.0.seal(SealContext { purpose, row }, bytes.expose()).map_err(SafeCause::from)
        });
        sealed.map_err(|source| SafeError { row, doing: "sealed", source })
    }

    /// Opens what was sealed for the row that `row` names.
    pub(crate) fn open<T: Sealable>(
        &self,
        purpose: Purpose,
        row: Uuid,
        sealed: &Sealed,
    ) -> Result<T, SafeError> {
        let bytes = self.0.open(SealContext { purpose, row }, sealed).map_err(SafeCause::from);
        let opened = bytes.and_then(|bytes| T::from_bytes(&bytes).map_err(SafeCause::from));
        opened.map_err(|source| SafeError { row, doing: "opened", source })
    }
}
