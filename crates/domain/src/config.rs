//! The settings of an activation: which are secret, and how public and secret parts come apart and together.

mod difference;
mod merge;
mod nodes;
mod plain;
mod pointer;
mod secret_key;
mod secrets;
mod split;

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

pub use secret_key::looks_secret;
pub use secrets::Secrets;

use self::{nodes::Nodes, plain::Plain, split::Rules};
use crate::MASK;

/// The JSON Schema (2020-12) of a connector type's settings, in which `"secret": true` marks what a vault keeps.
///
/// The mark may stand at any depth: in nested `properties`, array items, `additionalProperties`,
/// variants of `oneOf` and `anyOf`, and behind a local `$ref`. Whatever one variant calls secret is
/// secret in all of them.
///
/// ```
/// use linkspan_domain::ConfigSchema;
/// use serde_json::{Value, json};
///
/// let schema = ConfigSchema::new(json!({ "type": "object", "properties": {
///     "host": { "type": "string" },
///     "password": { "type": "string", "secret": true },
/// }}))?;
/// let Value::Object(config) = json!({ "host": "db", "password": "hunter22" }) else { return Ok(()) };
///
/// let split = schema.split(config)?;
/// assert_eq!(Value::Object(split.public), json!({ "host": "db" }));
/// assert_eq!(split.secrets.get("/password").unwrap().expose(), "hunter22");
/// # Ok::<(), linkspan_domain::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigSchema {
    schema: Value,
    secrets: BTreeSet<String>,
}

/// Settings with the secrets taken out of them, as they are stored: `public` in the clear, `secrets` sealed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SplitConfig {
    /// The settings without secrets. A secret that stood in an array left a `null` in its place.
    pub public: Map<String, Value>,
    /// The secrets, by where they belong.
    pub secrets: Secrets,
}

/// Why settings, or their schema, were not accepted. Names places, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A key looks like a secret, but the schema does not know it: it would be stored in the clear.
    #[error(
        "{pointer} looks like a secret, but there is no such setting; check the spelling or leave it out"
    )]
    UnknownSecret {
        /// Where in the settings, as a JSON pointer.
        pointer: String,
    },
    /// A mask says "keep the stored secret", but none is stored there.
    #[error("{pointer} is masked, but no secret is stored there; give the secret itself")]
    NothingStored {
        /// Where in the settings, as a JSON pointer.
        pointer: String,
    },
    /// Opened bytes are not secrets as [`Secrets::to_bytes`] writes them.
    #[error("the stored secrets are not in a format this program knows")]
    UnreadableSecrets,
    /// A schema is not an object.
    #[error("a schema of settings is a JSON object")]
    NotASchema,
    /// A schema refers to something it does not hold.
    #[error(
        "the schema of settings has a reference at {pointer} that does not lead to a place inside it"
    )]
    BrokenReference {
        /// Where in the schema, as a JSON pointer.
        pointer: String,
    },
    /// A schema unfolds into more settings than anybody could fill in.
    #[error("the schema of settings unfolds into more than {limit} places")]
    TooLarge {
        /// How many places it may have.
        limit: usize,
    },
}

impl ConfigSchema {
    /// How many places a schema may unfold into.
    const LIMIT: usize = 10_000;

    /// Takes a schema, after a look at everything in it that could hide a secret.
    pub fn new(schema: Value) -> Result<Self, ConfigError> {
        if !schema.is_object() {
            return Err(ConfigError::NotASchema);
        }
        nodes::check_references(&schema, &schema, "")?;
        let secrets = Nodes::of(&schema).secret_pointers(Self::LIMIT)?;
        Ok(Self { schema, secrets })
    }

    /// The schema itself.
    pub const fn as_value(&self) -> &Value {
        &self.schema
    }

    /// Where secrets may stand, as JSON pointers into the settings; `*` stands for any index or free key.
    ///
    /// A type that contains itself is listed once.
    pub const fn secret_pointers(&self) -> &BTreeSet<String> {
        &self.secrets
    }

    /// Whether `name` is a setting, and none of it is secret.
    pub fn is_public(&self, name: &str) -> bool {
        let below = pointer::child("", name);
        let is_below = |it: &String| {
            it.strip_prefix(&below).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        Nodes::of(&self.schema).property(name).is_named && !self.secrets.iter().any(is_below)
    }

    /// Takes the secrets out of new settings.
    ///
    /// A secret that is `null` is not set, and stays as it is.
    pub fn split(&self, config: Map<String, Value>) -> Result<SplitConfig, ConfigError> {
        let sealed = Secrets::default();
        let rules = Rules { sealed: &sealed };
        let mut config = Plain::new(config);
        rules.unmask(&Nodes::of(&self.schema), "", config.value(), None)?;
        self.split_plain(&rules, config)
    }

    /// Changes stored settings, in the way of JSON Merge Patch (RFC 7396): what `patch` leaves out stays, `null` clears.
    ///
    /// - A mask in a secret's place keeps what is stored there.
    /// - An object whose tag (a property with a fixed value in one of its variants) changes starts
    ///   afresh: nothing of the variant before it remains, except secrets kept by a mask.
    /// - An array is replaced as a whole. A mask in it keeps the secret of the stored element that
    ///   is otherwise the same, so that elements can be moved and removed, but no secret ends up
    ///   under another name.
    /// - What is stored as a secret remains one, even if the schema no longer says so.
    pub fn merge(
        &self,
        stored: &SplitConfig,
        patch: Map<String, Value>,
    ) -> Result<SplitConfig, ConfigError> {
        let rules = Rules { sealed: &stored.secrets };
        let root = Nodes::of(&self.schema);
        let mut config = Plain::new(Map::new());
        *config.value() = join_config(stored.public.clone(), &stored.secrets);
        let mut patch = Plain::new(patch);
        rules.unmask(&root, "", patch.value(), Some(config.value()))?;
        rules.apply(&root, "", config.value(), patch.take());
        self.split_plain(&rules, config)
    }

    fn split_plain(&self, rules: &Rules, mut config: Plain) -> Result<SplitConfig, ConfigError> {
        let mut secrets = Secrets::default();
        rules.extract(&Nodes::of(&self.schema), "", config.value(), &mut secrets)?;
        let Value::Object(public) = config.take() else {
            return Ok(SplitConfig { public: Map::new(), secrets });
        };
        Ok(SplitConfig { public, secrets })
    }
}

impl SplitConfig {
    /// The first place, as a JSON pointer, where `other` differs in something that is no secret.
    pub fn public_difference(&self, other: &Self) -> Option<String> {
        let whole = |it: &Self| Value::Object(it.public.clone());
        difference::difference("", &whole(self), &whole(other))
    }
}

impl Serialize for ConfigSchema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.schema.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ConfigSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The settings as people see them: [`MASK`] wherever a secret is set.
pub fn masked_config(public: &Map<String, Value>, set: &BTreeSet<String>) -> Value {
    let mut shown = Value::Object(public.clone());
    for pointer in set {
        pointer::place(&mut shown, pointer, Value::from(MASK));
    }
    shown
}

/// The settings as a connector type needs them, secrets in their places and of their types.
///
/// Secrets fit the public part they were split from. One for which another has no place is left out.
pub fn join_config(public: Map<String, Value>, secrets: &Secrets) -> Value {
    let mut config = Value::Object(public);
    for (pointer, secret) in secrets.values() {
        pointer::place(&mut config, pointer, secret);
    }
    config
}

#[cfg(test)]
mod tests;
