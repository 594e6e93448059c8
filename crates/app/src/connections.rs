//! Activations opened for the engine.

use std::sync::Arc;

use async_trait::async_trait;
use linkspan_domain::{
    Attribute, Condition, ConnectorFilter, Filter, FilterTest, FilterValue, ListQuery,
    StreamSource, StreamSpec, SyncLog, Visible, WorkspaceConnector, WorkspaceConnectorId,
    ports::Store,
};
use linkspan_engine::{Connection, Connections, Feed, SyncError};

use crate::{SettingsError, Sources, sources::PATIENCE};

/// Opens activations for runs: finds them, and puts their secrets in their places.
pub struct RunConnections {
    activations: Arc<dyn Store<WorkspaceConnector>>,
    filters: Arc<dyn Store<ConnectorFilter>>,
    sources: Arc<Sources>,
}

impl RunConnections {
    /// Opens the activations that `activations` keeps, whose records pass `filters`.
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

    /// What must hold of the records of `activation`: the filter of its workspace, else the template.
    async fn filter(
        &self,
        activation: &WorkspaceConnector,
    ) -> Result<Option<Condition>, SyncError> {
        let test = FilterTest::OneOf(vec![FilterValue::Id(activation.connector_id.uuid())]);
        let filter = Filter { attribute: Attribute::id("connector_id"), test };
        let query = ListQuery { filters: vec![filter], ..ListQuery::default() };
        let tenancy = Visible::only(activation.workspace_id);
        let found = self.filters.list(&tenancy, &query).await.map_err(SyncError::Store)?;
        let found = found.into_resources();
        let effective = ConnectorFilter::effective(&found, activation.workspace_id);
        Ok(effective.map(|it| it.config.clone()))
    }

    /// The stream that `source` means, under the key that its activation gives it.
    async fn spec(&self, run: &SyncLog, source: &StreamSource) -> Result<StreamSpec, SyncError> {
        let missing = || SyncError::SourceNotFound(source.stream.clone());
        let activation = self.find(run, source.workspace_connector_id).await?;
        let activation = activation.ok_or_else(missing)?;
        let discovered = self.sources.discover(&activation, PATIENCE).await;
        let streams = discovered.map_err(unusable)?.map_err(SyncError::Source)?;
        let found = streams.into_iter().find(|it| it.name == source.stream);
        let spec = found.ok_or_else(|| SyncError::StreamNotFound(source.stream.clone()))?;
        let own = activation.stream_settings(&spec.name).map(|it| it.primary_key.clone());
        let own = own.filter(|it| !it.is_empty());
        Ok(StreamSpec { primary_key: own.unwrap_or(spec.primary_key), ..spec })
    }
}

/// Why an activation cannot be used.
fn unusable(error: SettingsError) -> SyncError {
    match error {
        SettingsError::TypeNotInstalled(key) => SyncError::NotInstalled(key),
        SettingsError::Vault { .. } | SettingsError::Unreadable { .. } => {
            SyncError::Secrets(error.into())
        }
    }
}

#[async_trait]
impl Connections for RunConnections {
    async fn open(&self, run: &SyncLog) -> Result<Connection, SyncError> {
        let found = self.find(run, run.workspace_connector_id).await?;
        let activation = found.ok_or(SyncError::Gone)?;
        let (definition, settings) = self.sources.settings().of(&activation).map_err(unusable)?;
        let definition = definition.clone();
        let environment = self.sources.lend(&activation);
        Ok(Connection { activation, definition, settings, environment })
    }

    async fn feed(&self, run: &SyncLog, source: &StreamSource) -> Result<Feed, SyncError> {
        let own = self.find(run, run.workspace_connector_id).await?.ok_or(SyncError::Gone)?;
        Ok(Feed { spec: self.spec(run, source).await?, filter: self.filter(&own).await? })
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
        let connections =
            RunConnections::new(keep(vec![kept]).store, keep(Vec::new()).store, sources());
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

    #[tokio::test]
    async fn what_is_pushed_is_a_stream_of_the_same_workspace_under_the_key_that_was_given_it() {
        let condition = Condition::parse(&json!({ "id": { "_gt": 1 } })).unwrap();
        let filter = ConnectorFilter {
            id: id(1),
            revision: linkspan_domain::Revision::FIRST,
            connector_id: id(20),
            scope: linkspan_domain::FilterScope::Template,
            config: condition.clone(),
            natural_language: None,
            created_at: NOW,
            updated_at: NOW,
            deleted_at: None,
        };
        let keyed = json!({ "stream": "files", "primary_key": ["path"] });
        let kept = activation(|it| it.streams = vec![serde_json::from_value(keyed).unwrap()]);
        let connections =
            RunConnections::new(keep(vec![kept]).store, keep(vec![filter]).store, sources());
        let feed = async |run: &SyncLog, activation: u128, stream: &str| {
            let workspace_connector_id = id(activation);
            let source = StreamSource { workspace_connector_id, stream: stream.parse().unwrap() };
            let feed = connections.feed(run, &source).await;
            feed.map_err(|error| error.code().to_string())
        };
        let found = feed(&run(), 30, "files").await.unwrap();
        assert_eq!(
            (found.spec.name.as_str(), found.spec.primary_key),
            ("files", vec!["path".to_owned()])
        );
        assert_eq!(found.filter, Some(condition));
        assert_eq!(feed(&run(), 30, "nothing").await.unwrap_err(), "sync.stream_not_found");
        let elsewhere = SyncLog { workspace_id: id(77), ..run() };
        assert_eq!(feed(&elsewhere, 30, "files").await.unwrap_err(), "resource.not_found");
    }
}
