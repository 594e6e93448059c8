//! Activations opened for the engine.

use std::sync::Arc;

use async_trait::async_trait;
use linkspan_domain::{
    Attribute, Condition, ConnectorFilter, Filter, FilterTest, FilterValue, StreamSource, SyncLog,
    Visible, WorkspaceConnector, WorkspaceConnectorId, ports::Store,
};
use linkspan_engine::{Connection, Connections, SyncError};

use crate::{SettingsError, Sources};

/// Opens activations for runs: finds them, and puts their secrets in their places.
pub struct RunConnections {
    activations: Arc<dyn Store<WorkspaceConnector>>,
    filters: Arc<dyn Store<ConnectorFilter>>,
    sources: Arc<Sources>,
}

impl RunConnections {
    /// Opens the activations that `activations` keeps, with the filters that hold for them.
    pub const fn new(
        activations: Arc<dyn Store<WorkspaceConnector>>,
        filters: Arc<dyn Store<ConnectorFilter>>,
        sources: Arc<Sources>,
    ) -> Self {
        Self { activations, filters, sources }
    }

    /// A live activation of the workspace of `run`.
    async fn find(
        &self,
        run: &SyncLog,
        id: WorkspaceConnectorId,
    ) -> Result<Option<WorkspaceConnector>, SyncError> {
        let found = self.activations.find(&Visible::only(run.workspace_id), id).await;
        let found = found.map_err(SyncError::Store)?;
        Ok(found.filter(|it| it.deleted_at.is_none() && it.workspace_id == run.workspace_id))
    }

    /// What must hold of the records of `activation`: its workspace's own filter, else the template.
    async fn filter(
        &self,
        activation: &WorkspaceConnector,
    ) -> Result<Option<Condition>, SyncError> {
        let test = FilterTest::Equals(FilterValue::Id(activation.connector_id.uuid()));
        let filter = Filter { attribute: Attribute::id("connector_id"), test };
        let tenancy = Visible::only(activation.workspace_id);
        let found = crate::records::all_of(&*self.filters, &tenancy, vec![filter]).await;
        let found = found.map_err(SyncError::Store)?;
        let filter = ConnectorFilter::effective(&found, activation.workspace_id);
        Ok(filter.map(|it| it.config.clone()))
    }
}

#[async_trait]
impl Connections for RunConnections {
    async fn open(&self, run: &SyncLog) -> Result<Connection, SyncError> {
        let found = self.find(run, run.workspace_connector_id).await?;
        let activation = found.ok_or(SyncError::Gone)?;
        let opened = self.sources.settings().of(&activation);
        let (definition, settings) = opened.map_err(|error| match error {
            SettingsError::TypeNotInstalled(key) => SyncError::NotInstalled(key),
            SettingsError::KeyUnknown { .. } => SyncError::KeyUnknown(error.into()),
            SettingsError::Vault { .. } | SettingsError::Unreadable { .. } => {
                SyncError::Secrets(error.into())
            }
        })?;
        let definition = definition.clone();
        let environment = self.sources.lend(&activation).await.map_err(SyncError::Source)?;
        let filter = self.filter(&activation).await?;
        Ok(Connection { activation, definition, settings, environment, filter })
    }

    async fn admit(&self, run: &SyncLog, source: &StreamSource) -> Result<(), SyncError> {
        let found = self.find(run, source.workspace_connector_id).await?;
        found.map(drop).ok_or_else(|| SyncError::SourceNotFound(source.stream.clone()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use linkspan_domain::{FilterScope, Problem, Revision, RunStatus, SyncMode, Trigger};
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
        open_with(change, Vec::new()).await
    }

    async fn open_with(
        change: impl FnOnce(&mut WorkspaceConnector),
        filters: Vec<ConnectorFilter>,
    ) -> Result<Connection, String> {
        let kept = activation(change);
        let filters = keep(filters).store;
        let connections = RunConnections::new(keep(vec![kept]).store, filters, sources());
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
    async fn the_filter_of_the_workspace_wins_over_the_template() {
        let filter = |number, scope, value: i64| ConnectorFilter {
            id: id(number),
            revision: Revision::FIRST,
            connector_id: activation(|_| {}).connector_id,
            scope,
            config: Condition::parse(&json!({ "id": { "_eq": value } })).unwrap(),
            natural_language: None,
            created_at: NOW,
            updated_at: NOW,
            deleted_at: None,
        };
        let template = filter(50, FilterScope::Template, 1);
        let custom = filter(51, FilterScope::Custom(own_workspace()), 2);
        let found = async |filters: &[&ConnectorFilter]| {
            let filters = filters.iter().map(|it| (*it).clone()).collect();
            open_with(|_| {}, filters).await.unwrap().filter
        };
        assert_eq!(found(&[]).await, None);
        assert_eq!(found(&[&template]).await, Some(template.config.clone()));
        assert_eq!(found(&[&template, &custom]).await, Some(custom.config.clone()));
    }

    #[tokio::test]
    async fn what_stands_in_the_way_has_a_name() {
        let deleted = open(|it| it.deleted_at = Some(NOW)).await;
        assert_eq!(deleted.unwrap_err(), "resource.not_found");
        let absent = open(|it| it.connector_type = "absent".parse().unwrap()).await;
        assert_eq!(absent.unwrap_err(), "connector_type.not_installed");
    }

    #[tokio::test]
    async fn records_are_pushed_out_of_the_same_workspace_alone() {
        let filters = keep(Vec::<ConnectorFilter>::new()).store;
        let kept =
            vec![activation(|_| {}), activation(|it| (it.id, it.workspace_id) = (id(31), id(77)))];
        let connections = RunConnections::new(keep(kept).store, filters, sources());
        let admit = async |activation: u128| {
            let workspace_connector_id = id(activation);
            let source = StreamSource { workspace_connector_id, stream: "files".parse().unwrap() };
            connections.admit(&run(), &source).await.map_err(|error| error.code().to_string())
        };
        assert_eq!(admit(30).await, Ok(()));
        for elsewhere in [31, 99] {
            assert_eq!(
                admit(elsewhere).await.unwrap_err(),
                "workspace_connector.invalid_config",
                "{elsewhere}"
            );
        }
    }
}
