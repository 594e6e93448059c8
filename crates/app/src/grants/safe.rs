//! Sealing what belongs to grants.

use std::sync::Arc;

use linkspan_domain::{
    Code, HeldGrant, InvalidSealedForm, Problem, Sealable, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{KeyId, NewGrant, Purpose, SealContext, Sealed, Vault, VaultError},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::settings::seal_with_current_key;

/// Seals and opens what belongs to grants.
#[derive(Clone)]
pub(crate) struct Safe(Arc<dyn Vault>);

/// Why something could not be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SafeError {
    /// The key that sealed it is not here.
    #[error(
        "what belongs to the grant of {row} was sealed with the master key {key_id}, which is not here; start with that key in \
         LINKSPAN_MASTER_KEY_PREVIOUS or, where it is lost, connect anew"
    )]
    KeyUnknown {
        /// Of which row.
        row: Uuid,
        /// The key that sealed it.
        key_id: KeyId,
    },
    /// The vault failed.
    #[error("could not {doing} what belongs to the grant of {row}")]
    Vault {
        /// What was being done: `seal`, `open`.
        doing: &'static str,
        /// Of which row.
        row: Uuid,
        /// What went wrong.
        source: VaultError,
    },
    /// What was to be sealed, or what the vault gave back, has another form.
    #[error("could not {doing} what belongs to the grant of {row}")]
    Form {
        /// What was being done: `seal`, `open`.
        doing: &'static str,
        /// Of which row.
        row: Uuid,
        /// What went wrong.
        source: InvalidSealedForm,
    },
}

impl Problem for SafeError {
    fn code(&self) -> Code {
        match self {
            Self::KeyUnknown { .. } => Code::KeyUnknown,
            Self::Vault { .. } | Self::Form { .. } => Code::Internal,
        }
    }
}

impl SafeError {
    fn of(doing: &'static str, row: Uuid, source: VaultError) -> Self {
        match source {
            VaultError::UnknownKey { key_id } => Self::KeyUnknown { row, key_id },
            source => Self::Vault { doing, row, source },
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
        let bytes = what.to_bytes();
        let bytes = bytes.map_err(|source| SafeError::Form { doing: "seal", row, source })?;
        let sealed = self.0.seal(SealContext { purpose, row }, bytes.expose());
        sealed.map_err(|source| SafeError::of("seal", row, source))
    }

    /// Opens what was sealed for the row that `row` names.
    pub(crate) fn open<T: Sealable>(
        &self,
        purpose: Purpose,
        row: Uuid,
        sealed: &Sealed,
    ) -> Result<T, SafeError> {
        let bytes = self.0.open(SealContext { purpose, row }, sealed);
        let bytes = bytes.map_err(|source| SafeError::of("open", row, source))?;
        T::from_bytes(&bytes).map_err(|source| SafeError::Form { doing: "open", row, source })
    }

    /// A grant of `of` that was `given` then, as it is kept.
    pub(crate) fn new_grant(
        &self,
        of: WorkspaceConnectorId,
        held: &HeldGrant,
        given: OffsetDateTime,
    ) -> Result<NewGrant, SafeError> {
        Ok(NewGrant {
            workspace_connector_id: of,
            issuer: held.grant.issuer.clone(),
            grant: self.seal(Purpose::Grant, of.uuid(), held)?,
            expires_at: held.grant.expires_at,
            due_at: held.due_at(given),
            refreshed_at: given,
        })
    }

    /// Whoever writes `activation` with its grant writes no secrets back that a rotation of the master key has passed.
    pub(crate) fn refresh(&self, activation: &mut WorkspaceConnector) -> Result<(), SafeError> {
        let row = activation.id.uuid();
        let sealed = seal_with_current_key(&*self.0, activation);
        sealed.map_err(|source| SafeError::of("seal", row, source))
    }
}
