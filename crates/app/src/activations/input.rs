//! What callers say about activations.

use std::collections::BTreeMap;

use linkspan_domain::{
    ConnectorId, ConnectorTypeKey, LogLevel, Name, Overlap, PersonId, StreamSettings,
};
use serde_json::{Map, Value};

use crate::Patch;

/// What a new activation is made of.
///
/// It cannot be printed: there may be secrets in it.
#[derive(Clone, PartialEq)]
pub struct NewActivation {
    /// Which connector.
    pub connector_id: ConnectorId,
    /// What people call it. None: as the connector.
    pub name: Option<Name>,
    /// What it is for.
    pub description: Option<String>,
    /// Who looks after it. None: the caller, if a person.
    pub person_id: Option<PersonId>,
    /// The settings, secrets included.
    pub config: Map<String, Value>,
    /// What its sync does with streams.
    pub streams: Vec<StreamSettings>,
    /// The schemas that discovery may show. Empty: all.
    pub output_schemas: Vec<String>,
    /// Words of the operator's own.
    pub labels: BTreeMap<String, String>,
    /// Whether commands answer from mock data.
    pub mock_enabled: bool,
    /// How much its runs log.
    pub log_level: LogLevel,
}

impl NewActivation {
    /// An activation of `connector_id` with `config`, and the defaults for all else.
    pub fn of(connector_id: ConnectorId, config: Map<String, Value>) -> Self {
        Self {
            connector_id,
            name: None,
            description: None,
            person_id: None,
            config,
            streams: Vec::new(),
            output_schemas: Vec::new(),
            labels: BTreeMap::new(),
            mock_enabled: false,
            log_level: LogLevel::default(),
        }
    }
}

/// What changes about an activation.
///
/// It cannot be printed: there may be secrets in it.
#[derive(Clone, Default, PartialEq)]
pub struct ActivationPatch {
    /// What people call it.
    pub name: Option<Name>,
    /// What it is for.
    pub description: Patch<String>,
    /// Who looks after it.
    pub person_id: Patch<PersonId>,
    /// Changes to the settings, as a JSON Merge Patch (RFC 7396). A mask keeps the secret that is stored.
    pub config: Option<Map<String, Value>>,
    /// What its sync does with streams, in place of all that was said before.
    pub streams: Option<Vec<StreamSettings>>,
    /// The schemas that discovery may show. Empty: all.
    pub output_schemas: Option<Vec<String>>,
    /// Words of the operator's own, in place of all before.
    pub labels: Option<BTreeMap<String, String>>,
    /// Whether commands answer from mock data.
    pub mock_enabled: Option<bool>,
    /// How much its runs log.
    pub log_level: Option<LogLevel>,
    /// Whether it works.
    pub switch: Option<Switch>,
}

/// Whether an activation shall work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It shall: `enabled`.
    On,
    /// A person wants it off: `disabled`.
    Off,
    /// An admin pauses it: `suspended`. Only an admin ends that.
    Suspended,
}

/// New secrets for an activation, and nothing but secrets.
///
/// It cannot be printed: there are secrets in it.
#[derive(Clone, PartialEq)]
pub struct Rotation {
    /// The secrets, where they belong in the settings, as a JSON Merge Patch (RFC 7396). A mask keeps the one that is stored.
    pub config: Map<String, Value>,
    /// What becomes of them if they do not work.
    pub on_failure: OnFailure,
    /// What else there is to say.
    pub turnover: Turnover,
}

/// What becomes of secrets that do not work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// They are refused.
    #[default]
    Refuse,
    /// They are put to use all the same, and marked.
    Keep,
}

/// Why other credentials are put to use, and for how long those before them are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turnover {
    /// Why, for people.
    pub reason: Option<String>,
    /// For how long those before can be gone back to.
    pub overlap: Overlap,
}

/// Settings to try before they are kept.
///
/// It cannot be printed: there may be secrets in it.
#[derive(Clone, PartialEq)]
pub struct Draft {
    /// Whose settings.
    pub of: DraftOf,
    /// The settings, secrets included.
    pub config: Map<String, Value>,
}

/// Whose settings a draft holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftOf {
    /// Those of an activation of this connector.
    Connector(ConnectorId),
    /// Those of this type.
    Type(ConnectorTypeKey),
}
