//! The settings of activations, with their secrets.

use std::sync::Arc;

use linkspan_domain::{
    Code, ConfigError, ConnectorTypeKey, CredentialSnapshot, CredentialVersion, Problem,
    SealedSecrets, Secrets, SplitConfig, WorkspaceConnector, WorkspaceConnectorId, join_config,
    ports::{KeyId, Purpose, SealContext, Vault, VaultError},
};
use linkspan_sdk::Definition;
use serde_json::Value;
use uuid::Uuid;

use crate::ConnectorTypes;

/// Seals and opens the settings of activations, and knows the types that they are for.
pub struct ActivationSettings {
    types: Arc<ConnectorTypes>,
    vault: Arc<dyn Vault>,
}

/// Why settings could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// This installation does not have the type.
    #[error("connector type {0} is not installed here")]
    TypeNotInstalled(ConnectorTypeKey),
    /// The key that sealed the secrets is not here.
    #[error(
        "the secrets of workspace connector {id} were sealed with the master key {key_id}, which is not here; start with that \
         key in LINKSPAN_MASTER_KEY_PREVIOUS or, where it is lost, give the secrets anew, all at once: {}",
        .missing.join(", ")
    )]
    KeyUnknown {
        /// Whose secrets.
        id: WorkspaceConnectorId,
        /// The key that sealed them.
        key_id: KeyId,
        /// The secrets that are to be given.
        missing: Vec<String>,
    },
    /// The vault failed.
    #[error("could not {doing} the secrets of workspace connector {id}")]
    Vault {
        /// What was being done: `seal`, `open`.
        doing: &'static str,
        /// Whose secrets.
        id: WorkspaceConnectorId,
        /// What went wrong.
        source: VaultError,
    },
    /// What the vault gave back are no secrets.
    #[error("the secrets of workspace connector {id} cannot be read")]
    Unreadable {
        /// Whose secrets.
        id: WorkspaceConnectorId,
        /// What went wrong.
        source: ConfigError,
    },
}

impl Problem for SettingsError {
    fn code(&self) -> Code {
        match self {
            Self::TypeNotInstalled(_) => Code::TypeNotInstalled,
            Self::KeyUnknown { .. } => Code::KeyUnknown,
            Self::Vault { .. } | Self::Unreadable { .. } => Code::Internal,
        }
    }
}

impl ActivationSettings {
    /// Settings of `types`, sealed by `vault`.
    pub fn new(types: Arc<ConnectorTypes>, vault: Arc<dyn Vault>) -> Self {
        Self { types, vault }
    }

    /// The type with this key or alias.
    pub fn definition(&self, key: &ConnectorTypeKey) -> Result<&Definition, SettingsError> {
        self.types.find(key).ok_or_else(|| SettingsError::TypeNotInstalled(key.clone()))
    }

    /// The type of `activation`, and its settings as the type needs them: with the secrets in their places.
    pub fn of(
        &self,
        activation: &WorkspaceConnector,
    ) -> Result<(&Definition, Value), SettingsError> {
        let definition = self.definition(&activation.connector_type)?;
        let SplitConfig { public, secrets } = self.open(activation)?;
        Ok((definition, join_config(public, &secrets)))
    }

    /// Seals the secrets of `activation` under the current key, if another sealed them: whoever writes an activation writes no
    /// blob back that a rotation of the key has passed. Secrets that do not open stay as they are.
    pub(crate) fn refresh(&self, activation: &mut WorkspaceConnector) -> Result<(), SettingsError> {
        let id = activation.id;
        let sealed = seal_with_current_key(&*self.vault, activation);
        sealed.map_err(|source| SettingsError::Vault { doing: "seal", id, source })
    }

    /// Seals `secrets` for the activation `id`.
    pub(crate) fn seal(
        &self,
        id: WorkspaceConnectorId,
        secrets: &Secrets,
    ) -> Result<Option<SealedSecrets>, SettingsError> {
        if secrets.is_empty() {
            return Ok(None);
        }
        self.seal_for(id.uuid(), id, secrets).map(Some)
    }

    /// Seals what `version` leaves behind. Nothing but that version opens it.
    pub(crate) fn snapshot(
        &self,
        version: &CredentialVersion,
        left: &SplitConfig,
    ) -> Result<CredentialSnapshot, SettingsError> {
        let (row, id) = (version.id.uuid(), version.workspace_connector_id);
        let secrets = self.seal_for(row, id, &left.secrets)?;
        Ok(CredentialSnapshot { config: left.public.clone(), secrets })
    }

    /// The settings of `activation`. Where its secrets do not open, masks stand for them, and it is said why.
    pub(crate) fn open_if_possible(
        &self,
        activation: &WorkspaceConnector,
    ) -> (SplitConfig, Option<SettingsError>) {
        match self.open(activation) {
            Ok(opened) => (opened, None),
            Err(error) => {
                let set = activation.secrets.as_ref().map(|it| Secrets::unopened(&it.pointers));
                let (public, secrets) = (activation.config.clone(), set.unwrap_or_default());
                (SplitConfig { public, secrets }, Some(error))
            }
        }
    }

    /// The settings of `activation`, with its secrets opened.
    pub(crate) fn open(
        &self,
        activation: &WorkspaceConnector,
    ) -> Result<SplitConfig, SettingsError> {
        let (id, public) = (activation.id, activation.config.clone());
        let secrets = match &activation.secrets {
            Some(sealed) => self.open_for(id.uuid(), id, sealed)?,
            None => Secrets::default(),
        };
        Ok(SplitConfig { public, secrets })
    }

    /// What `version` left behind as its `snapshot`.
    pub(crate) fn open_snapshot(
        &self,
        version: &CredentialVersion,
        snapshot: &CredentialSnapshot,
    ) -> Result<SplitConfig, SettingsError> {
        let (row, id) = (version.id.uuid(), version.workspace_connector_id);
        let secrets = self.open_for(row, id, &snapshot.secrets)?;
        Ok(SplitConfig { public: snapshot.config.clone(), secrets })
    }

    fn seal_for(
        &self,
        row: Uuid,
        id: WorkspaceConnectorId,
        secrets: &Secrets,
    ) -> Result<SealedSecrets, SettingsError> {
        let sealed = self.vault.seal(context(row), secrets.to_bytes().expose());
        let blob = sealed.map_err(|source| SettingsError::Vault { doing: "seal", id, source })?;
        Ok(SealedSecrets { blob, pointers: secrets.pointers() })
    }

    fn open_for(
        &self,
        row: Uuid,
        id: WorkspaceConnectorId,
        sealed: &SealedSecrets,
    ) -> Result<Secrets, SettingsError> {
        let bytes = self.vault.open(context(row), &sealed.blob);
        let bytes = bytes.map_err(|source| match source {
            VaultError::UnknownKey { key_id } => {
                let missing = sealed.pointers.iter().cloned().collect();
                SettingsError::KeyUnknown { id, key_id, missing }
            }
            source => SettingsError::Vault { doing: "open", id, source },
        })?;
        Secrets::from_bytes(&bytes).map_err(|source| SettingsError::Unreadable { id, source })
    }
}

/// Seals the secrets of `activation` under the current key of `vault`, if another sealed them and they open.
pub(crate) fn seal_with_current_key(
    vault: &dyn Vault,
    activation: &mut WorkspaceConnector,
) -> Result<(), VaultError> {
    let (current, context) = (vault.current(), context(activation.id.uuid()));
    let Some(SealedSecrets { blob, .. }) = &mut activation.secrets else { return Ok(()) };
    if blob.key_id() == Ok(current) {
        return Ok(());
    }
    if let Ok(plain) = vault.open(context, blob) {
        *blob = vault.seal(context, plain.expose())?;
    }
    Ok(())
}

/// What the secrets in `row` are bound to.
const fn context(row: Uuid) -> SealContext {
    SealContext { purpose: Purpose::Credentials, row }
}
