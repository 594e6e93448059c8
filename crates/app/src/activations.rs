//! Activations: connectors at work in a workspace.

mod configuring;
mod cursors;
mod encrypting;
mod error;
mod input;
mod rotating;
mod selecting;
mod testing;
mod versions;

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, Actor, Availability, Call, Caller, ConnectionTest, Connector, ConnectorId,
    CredentialVersion, Event, Permission, Person, PersonId, Readiness, Revision, SplitConfig,
    Status, WorkspaceConnector, WorkspaceConnectorId,
    ports::{Change, CredentialStore, Store, SyncStore, World},
};

use linkspan_sdk::Discovered;

pub use encrypting::{Encrypted, Encrypting, Fate, InTheClear};
pub use error::ActivationError;
pub use input::{
    ActivationPatch, Draft, DraftOf, NewActivation, OnFailure, Rotation, Switch, Turnover,
};

pub(crate) use self::{configuring::settings_are_complete, selecting::require_stream};
use self::{
    configuring::{accept_streams, adjust, readiness},
    cursors::Edit,
    versions::Occasion,
};
use crate::{
    RecordError, Records, Sources, Writable,
    patch::Changes,
    records::{refused, require_live},
    sources::{PATIENCE, may_run},
};

/// Where activations and what they refer to are kept.
#[derive(Clone)]
#[expect(missing_docs, reason = "the stores say themselves what they keep")]
pub struct ActivationStores {
    pub activations: Arc<dyn Store<WorkspaceConnector>>,
    pub connectors: Arc<dyn Store<Connector>>,
    pub people: Arc<dyn Store<Person>>,
    pub tests: Arc<dyn Store<ConnectionTest>>,
    pub credentials: Arc<dyn CredentialStore>,
    pub syncs: Arc<dyn SyncStore>,
}

/// The activations of workspaces. Readers of connectors read them, managers write those of the workspace they act in.
pub struct Activations {
    records: Records<WorkspaceConnector>,
    connectors: Records<Connector>,
    people: Records<Person>,
    tests: Records<ConnectionTest>,
    versions: Records<CredentialVersion>,
    credentials: Arc<dyn CredentialStore>,
    syncs: Arc<dyn SyncStore>,
    sources: Arc<Sources>,
    world: Arc<dyn World>,
}

/// A new activation that is not kept yet.
pub(crate) struct Prepared {
    /// The activation.
    pub(crate) activation: WorkspaceConnector,
    /// The first version of its credentials, if it has some.
    pub(crate) credentials: Option<CredentialVersion>,
}

impl Activations {
    /// The activations that `stores` keep.
    pub fn new(stores: ActivationStores, sources: Arc<Sources>, world: Arc<dyn World>) -> Self {
        let ActivationStores { activations, connectors, people, tests, credentials, syncs } =
            stores;
        Self {
            records: Records::new(activations, Arc::clone(&world)),
            connectors: Records::new(connectors, Arc::clone(&world)),
            people: Records::new(people, Arc::clone(&world)),
            tests: Records::new(tests, Arc::clone(&world)),
            versions: Records::new(Arc::clone(&credentials) as _, Arc::clone(&world)),
            credentials,
            syncs,
            sources,
            world,
        }
    }

    /// The activations, for reading.
    pub const fn records(&self) -> &Records<WorkspaceConnector> {
        &self.records
    }

    /// What came of testing connections, for reading.
    pub const fn tests(&self) -> &Records<ConnectionTest> {
        &self.tests
    }

    /// The versions of credentials, for reading.
    pub const fn versions(&self) -> &Records<CredentialVersion> {
        &self.versions
    }

    /// Activates a connector in the workspace of the call.
    ///
    /// Settings that fit are enough: one that still lacks some is there, but `to_configure`.
    #[tracing::instrument(skip_all, fields(connector = %new.connector_id), err(level = "debug"))]
    pub async fn create(
        &self,
        call: &Call,
        new: NewActivation,
    ) -> Result<WorkspaceConnector, ActivationError> {
        let Prepared { activation, credentials } = self.prepare(call, new).await?;
        let receipt = self.records.receipt(call, Act::new(Action::Created), &activation);
        let versions: Vec<_> = credentials.into_iter().map(Change::Insert).collect();
        let id = activation.id;
        let kept =
            self.credentials.commit(&Change::Insert(activation.clone()), &versions, &receipt).await;
        kept.map_err(refused::<WorkspaceConnector>(id))?;
        Ok(activation)
    }

    /// The activation that `new` makes. It is not kept yet.
    pub(crate) async fn prepare(
        &self,
        call: &Call,
        new: NewActivation,
    ) -> Result<Prepared, ActivationError> {
        call.caller.require(WorkspaceConnector::WRITE)?;
        let connector = self.connector(call, new.connector_id).await?;
        if connector.entry.status != Availability::Available {
            let (id, status) = (connector.id, connector.entry.status);
            return Err(ActivationError::NotAvailable { id, status });
        }
        let settings = self.sources.settings();
        let definition = settings.definition(&connector.entry.connector_type)?;
        let person_id = new.person_id.or(match call.caller.actor {
            Actor::Person(id) => Some(id),
            Actor::ApiKey(_) | Actor::System => None,
        });
        self.refer(call, new.person_id).await?;
        accept_streams(&new.streams)?;
        let split = definition.manifest.config_schema.split(new.config)?;
        let id = WorkspaceConnectorId::from_uuid(self.world.uuid());
        let flow = connector.entry.authorization_flow;
        let has_grant = self.sources.grant_of(id, flow).await?;
        let readiness = readiness(definition, flow, has_grant, &split)?;

        let SplitConfig { public, secrets } = split;
        let now = self.world.now();
        let mut activation = WorkspaceConnector {
            id,
            revision: Revision::FIRST,
            connector_id: connector.id,
            workspace_id: call.caller.visible.workspace,
            person_id,
            connector_type: definition.manifest.key.clone(),
            connector_type_version: definition.manifest.version.clone(),
            name: new.name.unwrap_or(connector.entry.name),
            description: new.description,
            status: Status::ToConfigure,
            config: public,
            secrets: settings.seal(id, &secrets)?,
            streams: new.streams,
            output_schemas: new.output_schemas,
            labels: new.labels,
            mock_enabled: new.mock_enabled,
            log_level: new.log_level,
            installed_capabilities: None,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        if readiness == Readiness::Configured {
            activation.apply(Event::Configured)?;
        }
        activation.guard(&call.caller)?;
        self.require_streams(call, &activation, &[]).await?;
        let credentials = (!secrets.is_empty())
            .then(|| self.version(call, &activation, 1, &Occasion::default(), now));
        Ok(Prepared { activation, credentials })
    }

    /// Changes an activation.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn update(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        expected: Option<Revision>,
        patch: ActivationPatch,
    ) -> Result<WorkspaceConnector, ActivationError> {
        let mut it = self.records.live(call, id, expected).await?;
        let ActivationPatch {
            name,
            description,
            person_id,
            config,
            streams,
            output_schemas,
            labels,
            mock_enabled,
            log_level,
            switch,
        } = patch;
        // Who is named already may be named again, by people who do not see them too.
        let named = person_id.set().copied().filter(|_| person_id.set() != it.person_id.as_ref());
        self.refer(call, named).await?;
        accept_streams(streams.as_deref().unwrap_or_default())?;
        let before = it.clone();
        let mut changes = Changes::default();
        changes.set("name", &mut it.name, name);
        changes.patch("description", &mut it.description, description);
        changes.patch("person_id", &mut it.person_id, person_id);
        changes.set("streams", &mut it.streams, streams);
        changes.set("output_schemas", &mut it.output_schemas, output_schemas);
        changes.set("labels", &mut it.labels, labels);
        changes.set("mock_enabled", &mut it.mock_enabled, mock_enabled);
        changes.set("log_level", &mut it.log_level, log_level);
        let versions = match config {
            Some(config) => self.configure(call, &mut it, config, &mut changes).await?,
            None => Vec::new(),
        };
        adjust(&before, &mut it, &mut changes)?;
        self.require_streams(call, &it, &before.streams).await?;
        if let Some(switch) = switch {
            self.switch(call, &mut it, switch, &mut changes).await?;
        }
        self.sources.settings().refresh(&mut it)?;
        let edit = Edit { before: &before.streams, versions: &versions, changes: &changes };
        self.keep(call, it, edit).await
    }

    /// Disconnects an activation: it is switched off and hidden, until it is restored or purged.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn delete(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        expected: Option<Revision>,
    ) -> Result<(), ActivationError> {
        let mut activation = self.records.live(call, id, expected).await?;
        activation.apply(Event::Disabled)?;
        activation.deleted_at = Some(self.world.now());
        self.sources.settings().refresh(&mut activation)?;
        let act = Act::new(Action::Deleted);
        self.records.put(call, activation, act).await?;
        Ok(())
    }

    /// Brings a deleted activation back, switched off, if its connector is still in the catalog.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn restore(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        expected: Option<Revision>,
    ) -> Result<WorkspaceConnector, ActivationError> {
        let mut activation = self.records.deleted(call, id, expected).await?;
        self.connector(call, activation.connector_id).await?;
        activation.deleted_at = None;
        self.sources.settings().refresh(&mut activation)?;
        let act = Act::new(Action::Restored);
        Ok(self.records.put(call, activation, act).await?)
    }

    /// Removes a deleted activation for good, with its runs, tests and secrets.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn purge(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        expected: Option<Revision>,
    ) -> Result<(), ActivationError> {
        Ok(self.records.purge(call, id, expected).await?)
    }

    /// The streams that an activation exposes, as its system has them now, and what is none.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn models(
        &self,
        caller: &Caller,
        id: WorkspaceConnectorId,
    ) -> Result<Discovered, ActivationError> {
        let activation = self.records.get(caller, id).await?;
        let definition = self.sources.settings().definition(&activation.connector_type)?;
        may_run(caller, definition)?;
        Ok(self.sources.discover(&activation, PATIENCE).await??)
    }

    async fn connector(&self, call: &Call, id: ConnectorId) -> Result<Connector, RecordError> {
        require_live(&self.connectors, &call.caller, id, "connector").await
    }

    /// A person that is named is there. Admins name anybody, others themselves.
    async fn refer(&self, call: &Call, person: Option<PersonId>) -> Result<(), RecordError> {
        if let Some(id) = person {
            require_live(&self.people, &call.caller, id, "person").await?;
        }
        Ok(())
    }

    async fn switch(
        &self,
        call: &Call,
        activation: &mut WorkspaceConnector,
        switch: Switch,
        changes: &mut Changes,
    ) -> Result<(), ActivationError> {
        use Status::{Degraded, Enabled, Processing, Suspended};

        let before = activation.status;
        // A pause that an admin ordered is an admin's to end.
        if before == Suspended || switch == Switch::Suspended {
            call.caller.require(Permission::OrgAdmin)?;
        }
        match switch {
            Switch::Off => activation.apply(Event::Disabled)?,
            Switch::Suspended => activation.apply(Event::Suspended)?,
            Switch::On if matches!(before, Enabled | Processing | Degraded) => {}
            Switch::On => {
                let settings = self.sources.settings();
                let definition = settings.definition(&activation.connector_type)?;
                let connector = self.connector(call, activation.connector_id).await?;
                let flow = connector.entry.authorization_flow;
                let has_grant = self.sources.grant_of(activation.id, flow).await?;
                let split = settings.open(activation)?;
                let readiness = readiness(definition, flow, has_grant, &split)?;
                activation.apply(Event::Resumed(readiness))?;
            }
        }
        if activation.status != before {
            changes.note("status");
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
