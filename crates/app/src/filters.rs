//! Filters: which records of a connector pass.

use std::{collections::BTreeMap, sync::Arc};

use linkspan_domain::{
    Attribute, Call, Caller, Condition, Connector, ConnectorFilter, ConnectorFilterId, ConnectorId,
    Filter, FilterScope, FilterTest, FilterValue, Revision, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{Store, World},
};

use crate::{Patch, RecordError, Records, Writable, records::require_live};

/// Filters over the records of connectors.
///
/// Whoever manages connectors writes those of their own workspace; admins write the templates that hold where a
/// workspace has none.
pub struct Filters {
    records: Records<ConnectorFilter>,
    connectors: Records<Connector>,
    world: Arc<dyn World>,
}

/// What a new filter is made of.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct NewFilter {
    pub connector_id: ConnectorId,
    pub scope: FilterScope,
    pub config: Condition,
    pub natural_language: Option<String>,
}

/// What changes about a filter.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct FilterPatch {
    pub config: Option<Condition>,
    pub natural_language: Patch<String>,
}

impl Filters {
    /// The filters that `store` keeps.
    pub fn new(
        store: Arc<dyn Store<ConnectorFilter>>,
        connectors: Arc<dyn Store<Connector>>,
        world: Arc<dyn World>,
    ) -> Self {
        Self {
            records: Records::new(store, Arc::clone(&world)),
            connectors: Records::new(connectors, Arc::clone(&world)),
            world,
        }
    }

    /// The filters, for reading.
    pub const fn records(&self) -> &Records<ConnectorFilter> {
        &self.records
    }

    /// The filter that holds for each of these activations: its workspace's own, else the template.
    pub async fn effective(
        &self,
        caller: &Caller,
        activations: &[&WorkspaceConnector],
    ) -> Result<BTreeMap<WorkspaceConnectorId, ConnectorFilter>, RecordError> {
        let mut connectors: Vec<_> = activations.iter().map(|it| it.connector_id.uuid()).collect();
        connectors.sort_unstable();
        connectors.dedup();
        if connectors.is_empty() {
            return Ok(BTreeMap::new());
        }
        let test = FilterTest::OneOf(connectors.into_iter().map(FilterValue::Id).collect());
        let filter = Filter { attribute: Attribute::id("connector_id"), test };
        let filters = self.records.list_all(caller, vec![filter]).await?;
        let effective = activations.iter().filter_map(|activation| {
            let its = filters.iter().filter(|it| it.connector_id == activation.connector_id);
            let filter = ConnectorFilter::effective(its, activation.workspace_id)?;
            Some((activation.id, filter.clone()))
        });
        Ok(effective.collect())
    }

    /// Adds a filter.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn create(
        &self,
        call: &Call,
        new: NewFilter,
    ) -> Result<ConnectorFilter, RecordError> {
        call.caller.require(ConnectorFilter::WRITE)?;
        let NewFilter { connector_id, scope, config, natural_language } = new;
        let now = self.world.now();
        let filter = ConnectorFilter {
            id: ConnectorFilterId::from_uuid(self.world.uuid()),
            revision: Revision::FIRST,
            connector_id,
            scope,
            config,
            natural_language,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        // Before anything is looked up for the caller.
        filter.guard(&call.caller)?;
        require_live(&self.connectors, &call.caller, connector_id, "connector").await?;
        self.records.insert(call, filter).await
    }

    /// Changes a filter.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn update(
        &self,
        call: &Call,
        id: ConnectorFilterId,
        expected: Option<Revision>,
        patch: FilterPatch,
    ) -> Result<ConnectorFilter, RecordError> {
        let FilterPatch { config, natural_language } = patch;
        self.records
            .update(call, id, expected, |it, changes| {
                changes.set("config", &mut it.config, config);
                changes.patch("natural_language", &mut it.natural_language, natural_language);
                Ok(())
            })
            .await
    }

    /// Soft-deletes a filter.
    pub async fn delete(
        &self,
        call: &Call,
        id: ConnectorFilterId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.records.delete(call, id, expected).await
    }

    /// Brings a deleted filter back.
    pub async fn restore(
        &self,
        call: &Call,
        id: ConnectorFilterId,
        expected: Option<Revision>,
    ) -> Result<ConnectorFilter, RecordError> {
        self.records.restore(call, id, expected).await
    }

    /// Removes a deleted filter for good.
    pub async fn purge(
        &self,
        call: &Call,
        id: ConnectorFilterId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.records.purge(call, id, expected).await
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{Resource, Role};

    use super::*;
    use crate::fixtures::{
        NOW, activation, call, code, connector, id, keep, lower_workspace, own_workspace, world,
    };

    fn filter(number: u128, scope: FilterScope) -> ConnectorFilter {
        ConnectorFilter {
            id: id(number),
            revision: Revision::FIRST,
            connector_id: id(20),
            scope,
            config: Condition::always(),
            natural_language: None,
            created_at: NOW,
            updated_at: NOW,
            deleted_at: None,
        }
    }

    fn filters(kept: Vec<ConnectorFilter>) -> Filters {
        Filters::new(keep(kept).store, keep(vec![connector(|_| {})]).store, world())
    }

    #[tokio::test]
    async fn each_writes_the_filters_of_their_own_workspace_and_admins_the_templates() {
        let template = filter(1, FilterScope::Template);
        let own = filter(2, FilterScope::Custom(own_workspace()));
        let below = filter(3, FilterScope::Custom(lower_workspace()));
        for (filter, role, expected) in [
            (&own, Role::Designer, "ok"),
            (&own, Role::Analyst, "permission.denied"),
            (&template, Role::Designer, "permission.denied"),
            (&template, Role::Admin, "ok"),
            (&below, Role::Admin, "permission.denied"),
        ] {
            let deleted =
                filters(vec![filter.clone()]).delete(&call(role), filter.id(), None).await;
            assert_eq!(code(deleted), expected, "{role} {:?}", filter.scope);
        }
    }

    #[tokio::test]
    async fn a_workspaces_own_filter_holds_in_place_of_the_template() {
        let kept =
            vec![filter(1, FilterScope::Template), filter(2, FilterScope::Custom(own_workspace()))];
        let own = activation(|_| {});
        let below = activation(|it| {
            it.id = id(31);
            it.workspace_id = lower_workspace();
        });
        let caller = call(Role::Analyst).caller;
        let effective = filters(kept).effective(&caller, &[&own, &below]).await;
        let effective = effective.unwrap();
        assert_eq!((effective[&own.id].id, effective[&below.id].id), (id(2), id(1)));
    }

    #[tokio::test]
    async fn a_filter_is_of_a_connector_that_is_there() {
        let new = |connector: u128| NewFilter {
            connector_id: id(connector),
            scope: FilterScope::Custom(own_workspace()),
            config: Condition::always(),
            natural_language: None,
        };
        let filters = filters(Vec::new());
        assert_eq!(code(filters.create(&call(Role::Designer), new(20)).await), "ok");
        assert_eq!(code(filters.create(&call(Role::Designer), new(21)).await), "resource.dangling");
    }

    #[test]
    fn a_condition_that_cannot_be_read_says_where() {
        use linkspan_domain::Problem;
        let error = Condition::parse(&serde_json::json!({ "age": { "_no": 1 } })).unwrap_err();
        let error = RecordError::from(error);
        assert_eq!(error.code().to_string(), "connector_filter.invalid_condition");
        assert_eq!(error.pointer().as_deref(), Some("/data/attributes/config/age/_no"));
    }
}
