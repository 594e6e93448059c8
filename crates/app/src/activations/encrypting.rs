//! Sealing secrets that an import left in the clear.

use std::mem;

use linkspan_domain::{
    Act, Action, Call, ConfigError, ConfigSchema, Deleted, ListQuery, Name, Permission,
    SplitConfig, WorkspaceConnector, WorkspaceConnectorId,
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
    #[error(
        "it looks like a secret, but there is no such setting; check the spelling or take it away"
    )]
    Unknown,
    #[error("a mask stands in place of a secret; give the secret itself")]
    Mask,
}

impl Activations {
    /// Seals what the types of all activations that the caller sees call secret and that is not sealed, as after an import past
    /// the API. What is sealed already stays as it is.
    ///
    /// What only looks like a secret, and is no setting of the type, is told on its own, and keeps nothing else from being
    /// sealed.
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
            let (sealed, unknown) = self.seal_all(&mut it, encrypting);
            if !unknown.is_empty() {
                let fate = Fate::Left(Hindrance::Unknown.to_string());
                found.push(InTheClear { id, name: name.clone(), fields: unknown, fate });
            }
            let (fields, fate) = match sealed {
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

    /// Seals what is not sealed of `activation`, unless that is only looked for. Answers where it is, and where else something
    /// looks like a secret.
    fn seal_all(
        &self,
        activation: &mut WorkspaceConnector,
        encrypting: Encrypting,
    ) -> (Sealed, Vec<String>) {
        let settings = self.sources.settings();
        let Ok(definition) = settings.definition(&activation.connector_type) else {
            // Nobody knows what is secret, and maybe nothing is.
            return (Ok(Vec::new()), Vec::new());
        };
        let (stored, closed) = settings.open_if_possible(activation);
        match Known::of(&definition.manifest.config_schema, stored) {
            Ok(Known { split, unknown }) => {
                let fields = in_the_clear(activation, &split, closed);
                let sealed = match (fields, encrypting) {
                    (Ok(fields), Encrypting::Now) if !fields.is_empty() => {
                        self.seal_known(activation, split, fields, &unknown)
                    }
                    (fields, _) => fields,
                };
                (sealed, unknown.into_iter().map(|(pointer, _)| pointer).collect())
            }
            Err(error) => (Err((Vec::new(), Hindrance::Config(error))), Vec::new()),
        }
    }

    fn seal_known(
        &self,
        activation: &mut WorkspaceConnector,
        merged: SplitConfig,
        fields: Vec<String>,
        unknown: &[(String, Value)],
    ) -> Sealed {
        match self.sources.settings().seal(activation.id, &merged.secrets) {
            Ok(sealed) => activation.secrets = sealed,
            Err(error) => return Err((fields, Hindrance::Settings(error))),
        }
        activation.config = merged.public;
        for (pointer, value) in unknown {
            replace(&mut activation.config, pointer, value.clone());
        }
        Ok(fields)
    }
}

/// Where secrets of `activation` stand in the clear that may be sealed with the others.
fn in_the_clear(
    activation: &WorkspaceConnector,
    merged: &SplitConfig,
    closed: Option<SettingsError>,
) -> Sealed {
    let before = Value::Object(activation.config.clone());
    let mut fields: Vec<_> = merged.secrets.pointers().into_iter().collect();
    fields.retain(|it| before.pointer(it).is_some_and(|it| !it.is_null()));
    let masks = merged.secrets.masks();
    match closed {
        _ if fields.is_empty() => Ok(fields),
        Some(error) => Err((fields, Hindrance::Settings(error))),
        None if !masks.is_empty() => Err((masks, Hindrance::Mask)),
        None => Ok(fields),
    }
}

/// Where something is sealed or is to be, or why nothing is.
type Sealed = Result<Vec<String>, (Vec<String>, Hindrance)>;

/// Settings without what looks like a secret and is unknown to their schema.
struct Known {
    split: SplitConfig,
    /// What was set aside, by where it belongs. A `null` is in its place.
    unknown: Vec<(String, Value)>,
}

impl Known {
    fn of(schema: &ConfigSchema, mut stored: SplitConfig) -> Result<Self, ConfigError> {
        let mut unknown = Vec::new();
        loop {
            match schema.merge(&stored, Map::new()) {
                Ok(split) => return Ok(Self { split, unknown }),
                Err(ConfigError::UnknownSecret { pointer }) => {
                    match replace(&mut stored.public, &pointer, Value::Null) {
                        Some(value) if !value.is_null() => unknown.push((pointer, value)),
                        // Whatever was found there is no public setting: looking again would find it again.
                        _ => return Err(ConfigError::UnknownSecret { pointer }),
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Puts `value` where `pointer` leads, and answers what was there. Nothing happens where it leads nowhere.
fn replace(config: &mut Map<String, Value>, pointer: &str, value: Value) -> Option<Value> {
    let mut whole = Value::Object(mem::take(config));
    let replaced = whole.pointer_mut(pointer).map(|held| mem::replace(held, value));
    if let Value::Object(map) = whole {
        *config = map;
    }
    replaced
}

#[cfg(test)]
mod tests;
