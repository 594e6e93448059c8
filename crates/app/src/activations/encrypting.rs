//! Sealing secrets that an import left in the clear.

use std::mem;

use linkspan_domain::{
    Act, Action, Call, ConfigError, ConfigSchema, Name, Overlap, Permission, SplitConfig,
    WorkspaceConnector, WorkspaceConnectorId,
    ports::{Change, StoreError},
};
use serde_json::{Map, Value, json};

use super::{ActivationError, Activations, versions::Occasion};
use crate::{RecordError, SettingsError, records::refused};

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

/// What was found, and what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encrypted {
    /// Secrets in the clear.
    pub found: Vec<InTheClear>,
    /// Activations that this program cannot read: what is in them nobody knows.
    pub unreadable: Vec<WorkspaceConnectorId>,
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
    #[error("{0}, so nobody knows what of its settings is secret; install it and run this again")]
    NotInstalled(SettingsError),
    #[error("a mask stands in place of a secret; give the secret itself")]
    Mask,
}

impl Activations {
    /// Seals what the types of the activations `all` call secret and that is not sealed, as after an import past the API, as far
    /// as the caller sees them. What is sealed already stays as it is.
    ///
    /// What only looks like a secret, and is no setting of the type, is told on its own, and keeps nothing else from being
    /// sealed. Neither does an activation that cannot be read.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn encrypt(
        &self,
        call: &Call,
        all: &[WorkspaceConnectorId],
        encrypting: Encrypting,
    ) -> Result<Encrypted, ActivationError> {
        call.caller.require(Permission::OrgAdmin)?;
        let mut encrypted = Encrypted::default();
        for id in all {
            match self.records.find(&call.caller, *id).await {
                Ok(Some(it)) => {
                    encrypted.found.extend(self.encrypt_one(call, it, encrypting).await?);
                }
                Ok(None) => {}
                Err(RecordError::Store { source: source @ StoreError::Corrupt(_), .. }) => {
                    tracing::debug!(%id, error = &source as &dyn std::error::Error, "unreadable");
                    encrypted.unreadable.push(*id);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(encrypted)
    }

    async fn encrypt_one(
        &self,
        call: &Call,
        activation: WorkspaceConnector,
        encrypting: Encrypting,
    ) -> Result<Vec<InTheClear>, ActivationError> {
        let (id, name) = (activation.id, activation.name.clone());
        let told = |fields, fate| InTheClear { id, name: name.clone(), fields, fate };
        let Looked { sealable, unknown } = self.look(&activation);
        let mut found = Vec::new();
        if !unknown.is_empty() {
            let fields = unknown.iter().map(|(pointer, _)| pointer.clone()).collect();
            found.push(told(fields, Fate::Left(Hindrance::Unknown.to_string())));
        }
        match sealable {
            Ok(sealable) if sealable.fields.is_empty() => {}
            Ok(sealable) if encrypting == Encrypting::DryRun => {
                found.push(told(sealable.fields, Fate::WouldBeSealed));
            }
            Ok(sealable) => {
                let fields = sealable.fields.clone();
                let fate = match self.seal(call, activation, sealable, unknown).await {
                    Ok(()) => Fate::Sealed,
                    Err(error) if stays(&error) => Fate::Left(error.to_string()),
                    Err(error) => return Err(error),
                };
                found.push(told(fields, fate));
            }
            Err((fields, hindrance)) => found.push(told(fields, Fate::Left(hindrance.to_string()))),
        }
        Ok(found)
    }

    /// What is not sealed of `activation`, and where else something looks like a secret.
    fn look(&self, activation: &WorkspaceConnector) -> Looked {
        let settings = self.sources.settings();
        let definition = match settings.definition(&activation.connector_type) {
            Ok(definition) => definition,
            Err(error) => {
                // Where nothing stands, nothing stands in the clear.
                let sealable = if activation.config.is_empty() {
                    Ok(Sealable::default())
                } else {
                    Err((Vec::new(), Hindrance::NotInstalled(error)))
                };
                return Looked { sealable, unknown: Vec::new() };
            }
        };
        let (stored, closed) = settings.open_if_possible(activation);
        let secrets = stored.secrets.clone();
        match Known::of(&definition.manifest.config_schema, stored) {
            Ok(Known { split: after, unknown }) => {
                // What was sealed belongs to the settings that have no secrets in them.
                let before = SplitConfig { public: after.public.clone(), secrets };
                let fields = in_the_clear(activation, &after, closed);
                let sealable = fields.map(|fields| Sealable { fields, before, after });
                Looked { sealable, unknown }
            }
            Err(error) => {
                let sealable = Err((Vec::new(), Hindrance::Config(error)));
                Looked { sealable, unknown: Vec::new() }
            }
        }
    }

    /// Seals what is in the clear. Where it took the place of what was sealed before, that can be gone back to.
    async fn seal(
        &self,
        call: &Call,
        mut activation: WorkspaceConnector,
        Sealable { fields, before, after }: Sealable,
        unknown: Vec<(String, Value)>,
    ) -> Result<(), ActivationError> {
        let overlap = if before.secrets.is_empty() { Overlap::NONE } else { Overlap::default() };
        let versions = if before.secrets == after.secrets {
            Vec::new()
        } else {
            let occasion = Occasion { overlap, ..Occasion::default() };
            self.turn_over(call, &activation, &before, &after, &occasion).await?
        };
        let id = activation.id;
        activation.secrets = self.sources.settings().seal(id, &after.secrets)?;
        activation.config = after.public;
        for (pointer, value) in unknown {
            replace(&mut activation.config, &pointer, value);
        }
        let act = Act { action: Action::SecretsSealed, details: json!({ "fields": fields }) };
        let receipt = self.records.stamp(call, &mut activation, act);
        let activation = Change::Update(activation);
        let sealed = self.credentials.commit(&activation, &versions, &receipt).await;
        sealed.map_err(refused::<WorkspaceConnector>(id))?;
        Ok(())
    }
}

/// Whether only what could not be sealed stays as it is: somebody else was faster, or what belongs to it does not fit or cannot
/// be read. Where the store does not answer, nothing else would be sealed either.
const fn stays(error: &ActivationError) -> bool {
    match error {
        ActivationError::Record(RecordError::Store { source, .. }) => {
            matches!(source, StoreError::Corrupt(_))
        }
        _ => true,
    }
}

/// Where secrets of `activation` stand in the clear that may be sealed with the others.
fn in_the_clear(
    activation: &WorkspaceConnector,
    merged: &SplitConfig,
    closed: Option<SettingsError>,
) -> Result<Vec<String>, Hindered> {
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

/// What was found of an activation.
struct Looked {
    sealable: Result<Sealable, Hindered>,
    /// What looks like a secret and is no setting, by where it stands.
    unknown: Vec<(String, Value)>,
}

/// Secrets in the clear that can be sealed.
#[derive(Default)]
struct Sealable {
    /// Where they stand. Nowhere: there are none.
    fields: Vec<String>,
    /// The settings, with the secrets that are sealed already.
    before: SplitConfig,
    /// The settings, with all secrets.
    after: SplitConfig,
}

/// Where secrets stand in the clear, and why they stay there.
type Hindered = (Vec<String>, Hindrance);

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
