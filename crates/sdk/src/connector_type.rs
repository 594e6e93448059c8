//! What the author of a connector type states and implements.

use linkspan_domain::{AuthorizationFlow, Category, Proof};
use schemars::JsonSchema;
use semver::Version;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{CommandEntry, Cx, Failure, SinkEntry, SourceEntry};

/// One kind of connector: its facts, its settings and what it can do.
pub trait ConnectorType: Sized + Send + Sync + 'static {
    /// Names the type forever: `a` to `z`, `0` to `9`, `_` and `-`. Anything else does not compile.
    const KEY: &'static str;
    /// What people call it.
    const TITLE: &'static str;
    /// Grows with the settings and the commands.
    const VERSION: Version;
    /// Where it belongs.
    const CATEGORY: Category;
    /// Other keys that mean the same type.
    const ALIASES: &'static [&'static str] = &[];
    /// Words to find it by.
    const TAGS: &'static [&'static str] = &[];
    /// The name of its picture.
    const ICON: Option<&'static str> = None;
    /// Where the system's own documentation is.
    const DOCS_URL: Option<&'static str> = None;
    /// Whether a dataset or a query can be based on it.
    const IS_QUERYABLE: bool = false;
    /// Whether it is a double for trials, which only administrators may run.
    const IS_MOCK: bool = false;
    /// What kind of system it reaches: types that reach the same, each in its way, name the same one, and say alike what its
    /// [`place`](Self::place) is.
    const SYSTEM: &'static str = Self::KEY;

    /// What an activation must supply. Its doc comment describes the type, those of its fields the
    /// form; fields that are a [`Secret`](linkspan_domain::Secret) are sealed.
    type Settings: JsonSchema + DeserializeOwned + Send + Sync + 'static;

    /// What all uses of the type share as long as the process runs, such as a
    /// [`PoolCache`](crate::PoolCache) of connections. Most types need nothing: `()`.
    type Shared: Default + Send + Sync + 'static;

    /// Its named operations.
    fn commands() -> Vec<CommandEntry<Self>> {
        Vec::new()
    }

    /// `Some(source::<Self>())` for a type that has records to read.
    fn source() -> Option<SourceEntry<Self>> {
        None
    }

    /// `Some(sink::<Self>())` for a type that takes records.
    fn sink() -> Option<SinkEntry<Self>> {
        None
    }

    /// Refuses settings whose fields fit one by one but not together, with [`Failure::setting`].
    fn accept(_: &Self::Settings) -> Result<(), Failure> {
        Ok(())
    }

    /// Refuses settings that say another way to authenticate than their connector, which authorizes by `flow`, with
    /// [`Failure::setting`].
    fn accept_flow(_: &Self::Settings, _flow: AuthorizationFlow) -> Result<(), Failure> {
        Ok(())
    }

    /// What of the settings says which system they point at, and which part of it: a host and a database, a bucket and a path.
    /// Never who logs in, a secret, or how fast to go. `None`: all settings that are no secrets.
    ///
    /// What was taken of one place, such as a mark, is not used for another; see [`Place`](linkspan_domain::Place).
    fn place(_: &Self::Settings) -> Option<Value> {
        None
    }

    /// Finds out whether the settings work, changing nothing.
    fn check(cx: &Cx<Self>) -> impl Future<Output = Result<CheckOutcome, Failure>> + Send;
}

/// That the settings work, as far as a check can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOutcome {
    /// What was found, for people: `connected to PostgreSQL 17`.
    pub message: String,
    /// What that shows.
    pub proof: Proof,
}

impl CheckOutcome {
    /// The settings work, and so do the credentials, where there are any. This is what was found.
    pub fn ok(message: impl Into<String>) -> Self {
        Self { message: message.into(), proof: Proof::Credentials }
    }

    /// Something answers, and does not tell whether it takes the credentials. This is what was found.
    pub fn reached(message: impl Into<String>) -> Self {
        Self { message: message.into(), proof: Proof::Reach }
    }
}
