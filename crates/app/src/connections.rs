//! Activations opened for the engine.

use std::sync::Arc;

use async_trait::async_trait;
use linkspan_domain::{SyncLog, Visible, WorkspaceConnector, ports::Store};
use linkspan_engine::{Connection, Connections, SyncError};

use crate::{SettingsError, Sources};

/// Opens activations for runs: finds them, and puts their secrets in their places.
pub struct RunConnections {
    activations: Arc<dyn Store<WorkspaceConnector>>,
    sources: Arc<Sources>,
}

impl RunConnections {
    /// Opens the activations that `activations` keeps.
    pub const fn new(
        activations: Arc<dyn Store<WorkspaceConnector>>,
        sources: Arc<Sources>,
    ) -> Self {
        Self { activations, sources }
    }
}

#[async_trait]
impl Connections for RunConnections {
    async fn open(&self, run: &SyncLog) -> Result<Connection, SyncError> {
        let tenancy = Visible::only(run.workspace_id);
        let found = self.activations.find(&tenancy, run.workspace_connector_id).await;
        let found = found.map_err(SyncError::Store)?;
        let activation = found.filter(|it| it.deleted_at.is_none()).ok_or(SyncError::Gone)?;
        let opened = self.sources.settings().of(&activation);
        let (definition, settings) = opened.map_err(|error| match error {
            SettingsError::TypeNotInstalled(key) => SyncError::NotInstalled(key),
            SettingsError::Vault { .. } | SettingsError::Unreadable { .. } => {
                SyncError::Secrets(error.into())
            }
        })?;
        let definition = definition.clone();
        let environment = self.sources.lend(&activation);
        Ok(Connection { activation, definition, settings, environment })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use linkspan_domain::{Problem, RunStatus, SyncMode, Trigger};
    use serde_json::json;

    use super::*;
    use crate::fixtures::{NOW, PLANTED, activation, id, keep, own_workspace, sources};

    pub(crate) fn run() -> SyncLog {
        SyncLog {
            status: RunStatus::InProgress,
            fence: linkspan_domain::Fence(1),
            ..SyncLog::waiting(id(70), id(30), own_workspace(), Trigger::Api, SyncMode::Full, NOW)
        }
    }

    async fn open(change: impl FnOnce(&mut WorkspaceConnector)) -> Result<Connection, String> {
        let kept = activation(change);
        let connections = RunConnections::new(keep(vec![kept]).store, sources());
        connections.open(&run()).await.map_err(|error| error.code().to_string())
    }

    #[tokio::test]
    async fn an_open_activation_has_its_secrets_and_does_not_print_them() {
        let connection = open(|_| {}).await.unwrap();
        assert_eq!(connection.settings, json!({ "host": "shop", "password": PLANTED }));
        assert_eq!(connection.environment.activation, Some(id(30)));
        assert!(!format!("{connection:?}").contains(PLANTED));
    }

    #[tokio::test]
    async fn what_stands_in_the_way_has_a_name() {
        let deleted = open(|it| it.deleted_at = Some(NOW)).await;
        assert_eq!(deleted.unwrap_err(), "resource.not_found");
        let absent = open(|it| it.connector_type = "absent".parse().unwrap()).await;
        assert_eq!(absent.unwrap_err(), "connector_type.not_installed");
    }
}
