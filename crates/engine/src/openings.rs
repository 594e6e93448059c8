//! Opening activations: which type serves them, and the settings it needs.

use linkspan_domain::{ConnectorTypeKey, WorkspaceConnector, ports::Cause};
use linkspan_sdk::Definition;
use serde_json::Value;

/// Opens activations, so that a run can read from them.
///
/// # Contract
///
/// - The settings are complete: the secrets are in their places.
/// - An error repeats nothing of the settings.
pub trait Openings: Send + Sync {
    /// The type that serves `activation`, and its settings.
    fn open(&self, activation: &WorkspaceConnector) -> Result<Opened, OpenError>;
}

/// An activation that can be read from. Holds secrets, so it cannot be printed.
#[derive(Clone)]
pub struct Opened {
    /// The type.
    pub definition: Definition,
    /// What the type needs.
    pub settings: Value,
}

/// Why an activation could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// This installation does not have the type.
    #[error("connector type {0} is not installed here; install it, or choose another connector")]
    NotInstalled(ConnectorTypeKey),
    /// The secrets cannot be had.
    #[error("the secrets of the workspace connector cannot be opened; enter them again")]
    Sealed(#[source] Cause),
}
