//! Testing connections: whether settings work, kept as history.

use linkspan_domain::{
    Act, Action, Attribute, AuthorizationFlow, Call, Caller, ConfigError, ConnectionTest,
    ConnectionTestId, Direction, Event, Filter, FilterTest, FilterValue, ListQuery, Page, Proof,
    SplitConfig, WorkspaceConnector, WorkspaceConnectorId, join_config,
};
use linkspan_sdk::{Definition, Environment, Failure};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{ActivationError, Activations, Draft, DraftOf, error::config_code};
use crate::{
    RecordError, Writable,
    grants::token_test_url,
    patch::Changes,
    sources::{Checked, may_run},
};

impl Activations {
    /// Tries settings before they are kept. Settings that do not work are an answer, not an error.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn test_draft(
        &self,
        call: &Call,
        draft: Draft,
    ) -> Result<ConnectionTest, ActivationError> {
        call.caller.require(WorkspaceConnector::WRITE)?;
        let (connector_type, direction, flow) = match draft.of {
            DraftOf::Type(key) => (key, Direction::Input, AuthorizationFlow::None),
            DraftOf::Connector(id) => {
                let entry = self.connector(call, id).await?.entry;
                (entry.connector_type, entry.direction, entry.authorization_flow)
            }
        };
        let definition = self.sources.settings().definition(&connector_type)?;
        may_run(&call.caller, definition)?;
        let split = definition.manifest.config_schema.split(draft.config);
        let workspace = call.caller.visible.workspace;
        let environment = self.sources.lend_for_draft(workspace, direction, flow);
        let checked = self.check(definition, split, environment).await;
        Ok(self.keep_test(call, None, definition, checked).await?)
    }

    /// Tries the settings of an activation, with `overrides` merged into them but not kept.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn test(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        overrides: Map<String, Value>,
    ) -> Result<ConnectionTest, ActivationError> {
        let activation = self.records.live(call, id, None).await?;
        let settings = self.sources.settings();
        let definition = settings.definition(&activation.connector_type)?;
        may_run(&call.caller, definition)?;
        let stored = settings.open(&activation)?;
        let is_as_kept = overrides.is_empty();
        let merged = definition.manifest.config_schema.merge(&stored, overrides);
        let environment = self.sources.lend_for_trial(&activation).await?;
        let mut checked = self.check(definition, merged, environment).await;
        if let Some(proof) = checked.proof {
            checked = self.check_grant(call, &activation, checked, proof).await?;
        }
        if let Some(proof) = checked.proof
            && is_as_kept
        {
            self.mend(call, activation, proof).await?;
        }
        Ok(self.keep_test(call, Some(id), definition, checked).await?)
    }

    /// What came of testing one activation: one page of it.
    pub async fn list_tests(
        &self,
        caller: &Caller,
        id: WorkspaceConnectorId,
        query: &ListQuery,
    ) -> Result<Page<ConnectionTest>, RecordError> {
        self.records.get(caller, id).await?;
        let mut query = query.clone();
        query.filters.push(Filter {
            attribute: Attribute::id("workspace_connector_id"),
            test: FilterTest::Equals(FilterValue::Id(id.uuid())),
        });
        self.tests.list(caller, &query).await
    }

    /// Has `activation`, as it was when its check began, know that the check passed, and what that showed.
    async fn mend(
        &self,
        call: &Call,
        mut activation: WorkspaceConnector,
        proof: Proof,
    ) -> Result<(), ActivationError> {
        let before = activation.status;
        activation.apply(Event::Checked(proof))?;
        if activation.status == before {
            return Ok(());
        }
        // The claim of the call goes with the test.
        let call = Call { claim: None, ..call.clone() };
        let mut changes = Changes::default();
        changes.note("status");
        self.sources.settings().refresh(&mut activation)?;
        match self.records.save(&call, activation, &changes).await {
            // It has gone another way meanwhile, as when its grant was lost.
            Ok(_) | Err(RecordError::Stale { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Tries the grant of an activation whose connector needs one, after its settings were found to work, which was `proof`.
    async fn check_grant(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        checked: Checked,
        proof: Proof,
    ) -> Result<Checked, ActivationError> {
        let connector = self.connectors.find(&call.caller, activation.connector_id).await?;
        let Some(connector) = connector else { return Ok(checked) };
        if !connector.entry.authorization_flow.needs_grant() {
            return Ok(checked);
        }
        let start = Instant::now();
        let tried = match token_test_url(&connector, activation) {
            Ok(test_url) => self.sources.check_grant(activation, test_url).await,
            Err(error) => Err(Failure::setting("token_test_url", error.to_string())),
        };
        let latency = checked.latency + start.elapsed();
        Ok(match tried {
            Ok(more) => Checked { proof: Some(proof.max(more)), latency, ..checked },
            Err(failure) => Checked {
                proof: None,
                latency,
                message: failure.to_string(),
                error: Some(failure.code().to_owned()),
            },
        })
    }

    pub(super) async fn check(
        &self,
        definition: &Definition,
        split: Result<SplitConfig, ConfigError>,
        environment: Environment,
    ) -> Checked {
        match split {
            Ok(SplitConfig { public, secrets }) => {
                let config = join_config(public, &secrets);
                self.sources.check(definition, config, environment).await
            }
            Err(error) => Checked {
                proof: None,
                latency: std::time::Duration::ZERO,
                message: error.to_string(),
                error: Some(config_code(&error).to_string()),
            },
        }
    }

    async fn keep_test(
        &self,
        call: &Call,
        activation: Option<WorkspaceConnectorId>,
        definition: &Definition,
        checked: Checked,
    ) -> Result<ConnectionTest, RecordError> {
        let Checked { proof, latency, message, error } = checked;
        let ok = proof.is_some();
        let connector_type = definition.manifest.key.clone();
        let details = json!({
            "workspace_connector_id": activation,
            "connector_type": connector_type,
            "ok": ok,
        });
        let test = ConnectionTest {
            id: ConnectionTestId::from_uuid(self.world.uuid()),
            workspace_id: call.caller.visible.workspace,
            workspace_connector_id: activation,
            connector_type,
            ok,
            latency_ms: i64::try_from(latency.as_millis()).unwrap_or(i64::MAX),
            message,
            error,
            created_at: self.world.now(),
        };
        let act = Act { action: Action::ConnectionTested, details };
        self.tests.append(call, test, act).await
    }
}

#[cfg(test)]
mod tests;
