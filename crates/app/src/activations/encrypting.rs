//! Sealing secrets that an import left in the clear.

use linkspan_domain::{
    Act, Action, Call, ConfigError, Deleted, ListQuery, Name, Permission, WorkspaceConnector,
    WorkspaceConnectorId,
};
use serde_json::{Map, Value, json};

use super::{ActivationError, Activations};
use crate::{RecordError, SettingsError};

/// Whether secrets that are in the clear are sealed, or only looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encrypting {
    /// They are sealed.
    Now,
    /// It is only said what would be.
    DryRun,
}

/// An activation with secrets in the clear, and what became of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheClear {
    /// Which activation.
    pub id: WorkspaceConnectorId,
    /// What it is called.
    pub name: Name,
    /// Where the secrets stand in its settings, as JSON pointers. None where nobody can tell.
    pub fields: Vec<String>,
    /// What became of them.
    pub fate: Fate,
}

/// What became of secrets in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are sealed.
    Sealed,
    /// They would be sealed.
    WouldBeSealed,
    /// They stay as they are, for this reason.
    Left(String),
}

/// Why secrets cannot be sealed. Names places, never values.
#[derive(Debug, thiserror::Error)]
enum Hindrance {
    #[error(transparent)]
    Settings(SettingsError),
    #[error(transparent)]
    Config(ConfigError),
    #[error("a mask stands in place of a secret; give the secret itself")]
    Mask,
}

impl Activations {
    /// Seals what the types of all activations that the caller sees call secret and that is not sealed, as after an import past
    /// the API. What is sealed already stays as it is.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn encrypt(
        &self,
        call: &Call,
        encrypting: Encrypting,
    ) -> Result<Vec<InTheClear>, ActivationError> {
        call.caller.require(Permission::OrgAdmin)?;
        let everything = ListQuery { deleted: Deleted::Shown, ..ListQuery::default() };
        let mut found = Vec::new();
        for mut it in self.records.list_whole(&call.caller, everything).await? {
            let (id, name) = (it.id, it.name.clone());
            let (fields, fate) = match self.seal_all(&mut it) {
                Ok(fields) if fields.is_empty() => continue,
                Ok(fields) if encrypting == Encrypting::DryRun => (fields, Fate::WouldBeSealed),
                Ok(fields) => {
                    let details = json!({ "fields": fields });
                    let act = Act { action: Action::SecretsSealed, details };
                    let fate = match self.records.put(call, it, act).await {
                        Ok(_) => Fate::Sealed,
                        // Somebody else was faster: there is another run for that.
                        Err(error @ RecordError::Stale { .. }) => Fate::Left(error.to_string()),
                        Err(error) => return Err(error.into()),
                    };
                    (fields, fate)
                }
                Err((fields, hindrance)) => (fields, Fate::Left(hindrance.to_string())),
            };
            found.push(InTheClear { id, name, fields, fate });
        }
        Ok(found)
    }

    /// Seals what is not sealed of `activation`, and answers where that was.
    fn seal_all(
        &self,
        activation: &mut WorkspaceConnector,
    ) -> Result<Vec<String>, (Vec<String>, Hindrance)> {
        let settings = self.sources.settings();
        let Ok(definition) = settings.definition(&activation.connector_type) else {
            // Nobody knows what is secret, and maybe nothing is.
            return Ok(Vec::new());
        };
        let (stored, closed) = settings.open_if_possible(activation);
        let merged = definition.manifest.config_schema.merge(&stored, Map::new());
        let merged = merged.map_err(|error| match &error {
            ConfigError::UnknownSecret { pointer } => {
                (vec![pointer.clone()], Hindrance::Config(error))
            }
            _ => (Vec::new(), Hindrance::Config(error)),
        })?;
        let before = Value::Object(activation.config.clone());
        let mut fields: Vec<_> = merged.secrets.pointers().into_iter().collect();
        fields.retain(|it| before.pointer(it).is_some_and(|it| !it.is_null()));
        let masks = merged.secrets.masks();
        match closed {
            _ if fields.is_empty() => return Ok(fields),
            Some(error) => return Err((fields, Hindrance::Settings(error))),
            None if !masks.is_empty() => return Err((masks, Hindrance::Mask)),
            None => {}
        }
        match settings.seal(activation.id, &merged.secrets) {
            Ok(sealed) => activation.secrets = sealed,
            Err(error) => return Err((fields, Hindrance::Settings(error))),
        }
        activation.config = merged.public;
        Ok(fields)
    }
}
