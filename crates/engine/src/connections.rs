//! What the engine asks for before it can read: an activation, ready to be used.

use std::fmt;

use async_trait::async_trait;
use linkspan_domain::{Condition, StreamSource, StreamSpec, SyncLog, WorkspaceConnector};
use linkspan_sdk::{Definition, Environment};
use serde_json::Value;

use crate::SyncError;

/// Opens the activation of a run.
///
/// # Contract
///
/// - The settings are complete: secrets are in their places.
/// - Whatever stands in the way is a [`SyncError`] whose text repeats no secret.
#[async_trait]
pub trait Connections: Send + Sync {
    /// The activation of `run`, and all that is needed to read from it.
    async fn open(&self, run: &SyncLog) -> Result<Connection, SyncError>;

    /// What `run`, of an activation that writes, gets from `source`, which is in the same workspace.
    async fn feed(&self, run: &SyncLog, source: &StreamSource) -> Result<Feed, SyncError>;
}

/// The records that an activation pushes into its system.
#[derive(Clone, Debug)]
pub struct Feed {
    /// What their stream looks like.
    pub spec: StreamSpec,
    /// What must hold of a record for it to be pushed. None: nothing.
    pub filter: Option<Condition>,
}

/// An activation, ready to be read from.
pub struct Connection {
    /// The activation.
    pub activation: WorkspaceConnector,
    /// The type that serves it.
    pub definition: Definition,
    /// Its settings, with the secrets.
    pub settings: Value,
    /// What the type may use.
    pub environment: Environment,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the settings: there are secrets in them.
        write!(f, "Connection({} by {:?})", self.activation.id, self.definition)
    }
}
