//! What every stored and shown thing has in common.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Id;

/// A thing with an identity: kept in a store, listed and shown by the API.
pub trait Resource: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// Its identifier.
    type Id: Id;
    /// What of it a caller may see: see [`Visible`](crate::Visible) and [`Platform`](crate::Platform).
    type Tenancy: Clone + fmt::Debug + PartialEq + Send + Sync + 'static;
    /// Its JSON:API type.
    const TYPE: ResourceType;
    /// What lists can be filtered and sorted by.
    const ATTRIBUTES: &'static [Attribute];

    /// Its identifier.
    fn id(&self) -> Self::Id;

    /// How often it was written.
    fn revision(&self) -> Revision;
}

/// Which kind of thing: the JSON:API `type`.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[allow(missing_docs)]
pub enum ResourceType {
    ApiKey,
    AuditEvent,
    ConnectionTest,
    Connector,
    ConnectorFilter,
    ConnectorSyncDiagnostic,
    ConnectorMapping,
    ConnectorType,
    CredentialVersion,
    Entity,
    File,
    KeyRotation,
    Person,
    Provider,
    ProviderConnector,
    TargetModel,
    Workspace,
    WorkspaceConnector,
    WorkspaceConnectorSyncLog,
    WorkspaceConnectorSyncTarget,
}

/// How often a thing was written: 1 when created. An ETag to the API, the guard against lost updates to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(i64);

impl Revision {
    /// Of a thing that was just made.
    pub const FIRST: Self = Self(1);

    /// Takes a revision back from storage.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number, for storage and for an ETag.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// After one more write.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One attribute that lists can be filtered and sorted by. The name is the JSON name and the column's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// What it holds: decides which filter operators apply.
    pub kind: AttributeKind,
}

/// What an attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeKind {
    /// Free text.
    Text,
    /// The identifier of this or another thing.
    Id,
    /// A whole number.
    Number,
    /// An instant.
    Date,
    /// Yes or no.
    Boolean,
    /// One of these words.
    Enum(&'static [&'static str]),
}

impl Attribute {
    /// Free text under `name`.
    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: AttributeKind::Text }
    }

    /// An identifier under `name`.
    pub const fn id(name: &'static str) -> Self {
        Self { name, kind: AttributeKind::Id }
    }

    /// A whole number under `name`.
    pub const fn number(name: &'static str) -> Self {
        Self { name, kind: AttributeKind::Number }
    }

    /// An instant under `name`.
    pub const fn date(name: &'static str) -> Self {
        Self { name, kind: AttributeKind::Date }
    }

    /// Yes or no under `name`.
    pub const fn boolean(name: &'static str) -> Self {
        Self { name, kind: AttributeKind::Boolean }
    }

    /// One of `words` under `name`.
    pub const fn one_of(name: &'static str, words: &'static [&'static str]) -> Self {
        Self { name, kind: AttributeKind::Enum(words) }
    }
}
