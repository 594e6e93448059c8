//! What the engine asks for before it can read: an activation, ready to be used.

use std::fmt;

use async_trait::async_trait;
use linkspan_domain::{Condition, StreamSource, SyncLog, WorkspaceConnector};
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

    /// Passes if the activation of `source`, whose records `run` is to push, is in the same workspace.
    async fn admit(&self, run: &SyncLog, source: &StreamSource) -> Result<(), SyncError>;
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
    /// What must hold of the records of its streams. None: nothing.
    pub filter: Option<Condition>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the settings: there are secrets in them.
        write!(f, "Connection({} by {:?})", self.activation.id, self.definition)
    }
}
