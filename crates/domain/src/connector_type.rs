//! What a connector type says about itself.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ConfigSchema;

/// Names a connector type forever: 1 to 64 of `a` to `z`, `0` to `9`, `_` and `-`.
///
/// ```
/// use linkspan_domain::ConnectorTypeKey;
///
/// const CSV_URL: ConnectorTypeKey = ConnectorTypeKey::of("csv_url");
/// assert_eq!(CSV_URL, "csv_url".parse().unwrap());
/// assert!("CSV".parse::<ConnectorTypeKey>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ConnectorTypeKey(Cow<'static, str>);

/// A text that cannot be the key of a connector type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of a connector type has 1 to 64 characters out of a-z, 0-9, `_` and `-`")]
pub struct InvalidConnectorTypeKey;

/// Where a connector type belongs in a list that people browse.
#[derive(
    Clone,
    Copy,
    Debug,
    strum::Display,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Category {
    /// Building blocks: HTTP, delays.
    Core,
    /// Databases and warehouses.
    Database,
    /// Files, uploaded or at a URL.
    File,
    /// Object stores and file servers.
    Storage,
    /// People and organisations: directories, contacts, customers.
    Identity,
    /// Sales and customer relations.
    Crm,
    /// Accounting, banking, payments.
    Finance,
    /// Shops and orders.
    Commerce,
    /// Campaigns and audiences.
    Marketing,
    /// Tickets and conversations with customers.
    Support,
    /// Documents, calendars, tasks.
    Productivity,
    /// Code, builds, incidents.
    Development,
    /// Measurements and reports.
    Analytics,
    /// Messages to people or systems.
    Notification,
    /// Language models.
    Llm,
    /// Stores of embeddings.
    Vector,
    /// Servers that speak the Model Context Protocol.
    Mcp,
    /// Doubles for trials and tests.
    Test,
}

/// One thing that a connector type can be asked for.
#[derive(
    Clone,
    Copy,
    Debug,
    strum::Display,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Capability {
    /// Say whether its settings work.
    Check,
    /// List its streams.
    Discover,
    /// Read a stream.
    Read,
    /// Write records.
    Write,
    /// Answer a query in the system's own language.
    Query,
    /// Send a message to people.
    Notify,
    /// Converse as a language model.
    Chat,
    /// Store and search embeddings.
    Vector,
    /// Run named commands.
    Command,
}

/// What runs a connector type.
#[derive(
    Clone,
    Copy,
    Debug,
    strum::Display,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ExecutionModel {
    /// Rust that ships with the platform.
    BuiltIn,
    /// A declarative manifest.
    Manifest,
    /// A script in the sandbox.
    Script,
    /// An OpenAPI document.
    Oas,
    /// A service of its own, over HTTP.
    External,
    /// An MCP server.
    Mcp,
    /// A child process.
    Process,
}

/// That a command will go, and what replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deprecation {
    /// The version of the type that deprecated it.
    pub since: Version,
    /// What to do instead, as one sentence.
    pub advice: String,
}

/// One named operation of a connector type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommandManifest {
    /// Its name within the type.
    pub name: String,
    /// What it does, as one sentence.
    pub summary: String,
    /// JSON Schema 2020-12 of its parameters.
    pub parameters: Value,
    /// JSON Schema 2020-12 of what it gives back.
    pub output: Value,
    /// Set when it should not be used any more.
    pub deprecated: Option<Deprecation>,
}

/// A connector type as seen from outside: what catalogs, forms and checks need to know.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConnectorTypeManifest {
    /// Names it.
    pub key: ConnectorTypeKey,
    /// Other keys that mean the same type.
    pub aliases: Vec<ConnectorTypeKey>,
    /// Grows with the settings and the commands.
    pub version: Version,
    /// What people call it.
    pub title: String,
    /// What it is for, in a sentence or two.
    pub description: String,
    /// Where it belongs.
    pub category: Category,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The name of its picture.
    pub icon: Option<String>,
    /// Where the system's own documentation is.
    pub docs_url: Option<String>,
    /// What an activation must supply.
    pub config_schema: ConfigSchema,
    /// What it can be asked for.
    pub capabilities: Vec<Capability>,
    /// Its named operations.
    pub commands: Vec<CommandManifest>,
    /// Whether a dataset or a query can be based on it.
    pub is_queryable: bool,
    /// Whether it is a double for trials, which only administrators may run.
    pub is_mock: bool,
    /// What runs it.
    pub execution_model: ExecutionModel,
}

impl ConnectorTypeKey {
    /// The key `text`, which is part of the program.
    ///
    /// # Panics
    ///
    /// When `text` is not a key. Call it in a `const`, then a wrong key does not compile.
    pub const fn of(text: &'static str) -> Self {
        assert!(is_key(text), "not the key of a connector type");
        Self(Cow::Borrowed(text))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_key(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty() && bytes.len() <= 64
}

impl FromStr for ConnectorTypeKey {
    type Err = InvalidConnectorTypeKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for ConnectorTypeKey {
    type Error = InvalidConnectorTypeKey;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_key(&text) { Ok(Self(Cow::Owned(text))) } else { Err(InvalidConnectorTypeKey) }
    }
}

impl fmt::Display for ConnectorTypeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ConnectorTypeManifest {
    /// Whether the type can be asked for `capability`.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// The command called `name`.
    pub fn command(&self, name: &str) -> Option<&CommandManifest> {
        self.commands.iter().find(|it| it.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectorTypeKey;

    #[test]
    fn keys_are_short_and_lower_case() {
        for good in ["csv", "csv_url", "google-workspace", "a", &"x".repeat(64)] {
            assert_eq!(good.parse::<ConnectorTypeKey>().unwrap().as_str(), good);
        }
        for bad in ["", "CSV", "csv url", "csv.url", "é", &"x".repeat(65)] {
            assert!(bad.parse::<ConnectorTypeKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stored_key_is_checked_again() {
        assert!(serde_json::from_str::<ConnectorTypeKey>("\"csv\"").is_ok());
        assert!(serde_json::from_str::<ConnectorTypeKey>("\"C S V\"").is_err());
    }
}
