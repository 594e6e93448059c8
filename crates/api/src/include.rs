//! What comes along with the things a client asked for: compound documents.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use linkspan_app::{
    AuditChain, DryRunRows, FilterPlan, KeyInUse, SuggestedMapping, TargetModelSchema,
};
use linkspan_domain::{
    ApiKey, AuditEvent, Caller, ConnectionTest, Connector, ConnectorFilter, ConnectorFilterId,
    ConnectorId, ConnectorMapping, ConnectorTypeManifest, CredentialVersion, Diagnostic, Entity,
    EntitySource, Id, KeyRotation, MappingVersion, Person, Provider, ProviderConnector,
    ProviderConnectorId, ProviderId, Resource, Schedule, StreamSpec, SyncLog, SyncTarget,
    UnmappedRecord, UploadedFile, Workspace, WorkspaceConnector, WorkspaceConnectorId,
};

use crate::{
    App,
    document::ResourceObject,
    problem::Failure,
    resource::{Kept, Key, Relationship, Shown},
    resources::{
        ActivationCapabilities, ShownChange, ShownEntityChange, ShownQuarantined, ShownRecord,
        TypeCapabilities,
    },
    view::View,
};

/// A kind of thing that documents show.
pub(crate) struct Kind {
    /// Its JSON:API type.
    pub(crate) name: &'static str,
    attributes: &'static [&'static str],
    relationships: &'static [Relationship],
}

impl Kind {
    const fn of<R: Shown>() -> Self {
        Self { name: R::TYPE, attributes: R::ATTRIBUTES, relationships: R::RELATIONSHIPS }
    }

    /// What can be chosen of it: its attributes, then its relationships.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.attributes.iter().copied().chain(self.relationships.iter().map(|it| it.name))
    }
}

/// All kinds of things that documents show, by name.
pub(crate) static KINDS: [Kind; 36] = [
    Kind::of::<ApiKey>(),
    Kind::of::<AuditChain>(),
    Kind::of::<AuditEvent>(),
    Kind::of::<ConnectionTest>(),
    Kind::of::<Connector>(),
    Kind::of::<ConnectorFilter>(),
    Kind::of::<Diagnostic>(),
    Kind::of::<ConnectorMapping>(),
    Kind::of::<MappingVersion>(),
    Kind::of::<DryRunRows>(),
    Kind::of::<ConnectorTypeManifest>(),
    Kind::of::<TypeCapabilities>(),
    Kind::of::<CredentialVersion>(),
    Kind::of::<Entity>(),
    Kind::of::<EntitySource>(),
    Kind::of::<ShownEntityChange>(),
    Kind::of::<UploadedFile>(),
    Kind::of::<FilterPlan>(),
    Kind::of::<KeyInUse>(),
    Kind::of::<KeyRotation>(),
    Kind::of::<Person>(),
    Kind::of::<Provider>(),
    Kind::of::<ProviderConnector>(),
    Kind::of::<ShownQuarantined>(),
    Kind::of::<ShownRecord>(),
    Kind::of::<ShownChange>(),
    Kind::of::<Schedule>(),
    Kind::of::<StreamSpec>(),
    Kind::of::<SuggestedMapping>(),
    Kind::of::<TargetModelSchema>(),
    Kind::of::<UnmappedRecord>(),
    Kind::of::<Workspace>(),
    Kind::of::<WorkspaceConnector>(),
    Kind::of::<ActivationCapabilities>(),
    Kind::of::<SyncLog>(),
    Kind::of::<SyncTarget>(),
];

/// What was looked up so that things can say what they refer to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The pairing of each connector.
    pub(crate) pairing_of_connector: Option<HashMap<ConnectorId, ProviderConnectorId>>,
    /// The filters of each connector.
    pub(crate) filters_of_connector: Option<HashMap<ConnectorId, Vec<ConnectorFilterId>>>,
    /// The pairings of each provider.
    pub(crate) pairings_of_provider: Option<HashMap<ProviderId, Vec<ProviderConnectorId>>>,
    /// The filter that holds for each activation.
    pub(crate) filter_of_activation: HashMap<WorkspaceConnectorId, ConnectorFilterId>,
}

/// The included resources, as JSON: what stands between the brackets of `included`.
pub(crate) struct Included(pub(crate) Option<Vec<u8>>);

/// Fetches what `things` refer to and `view` includes, each once, with one query for each kind.
pub(crate) async fn fetch<R: Shown>(
    app: &App,
    caller: &Caller,
    things: &[&R],
    view: &View,
    found: &Found,
) -> Result<Included, Failure> {
    if view.include.is_empty() {
        return Ok(Included(None));
    }
    let mut wanted: BTreeMap<&'static str, BTreeSet<Key>> = BTreeMap::new();
    for relationship in &view.include {
        let keys = things.iter().flat_map(|it| it.related(relationship.name, found).keys());
        wanted.entry(relationship.target).or_default().extend(keys);
    }
    // What is asked for is not included once more.
    if let Some(keys) = wanted.get_mut(R::TYPE) {
        keys.retain(|key| things.iter().all(|it| it.key() != *key));
    }
    let mut library = Library { app, caller, view: view.without_includes(), json: Vec::new() };
    for (kind, keys) in wanted {
        library.add(kind, keys).await?;
    }
    Ok(Included(Some(library.json)))
}

struct Library<'a> {
    app: &'a App,
    caller: &'a Caller,
    view: View,
    json: Vec<u8>,
}

impl Library<'_> {
    async fn add(&mut self, kind: &str, keys: BTreeSet<Key>) -> Result<(), Failure> {
        match kind {
            <Connector as Shown>::TYPE => self.add_kept::<Connector>(&keys).await,
            <ConnectorFilter as Shown>::TYPE => self.add_kept::<ConnectorFilter>(&keys).await,
            <Person as Shown>::TYPE => self.add_kept::<Person>(&keys).await,
            <Provider as Shown>::TYPE => self.add_kept::<Provider>(&keys).await,
            <ProviderConnector as Shown>::TYPE => self.add_kept::<ProviderConnector>(&keys).await,
            <Workspace as Shown>::TYPE => self.add_kept::<Workspace>(&keys).await,
            <WorkspaceConnector as Shown>::TYPE => self.add_kept::<WorkspaceConnector>(&keys).await,
            <ConnectorTypeManifest as Shown>::TYPE => {
                let types = keys.iter().filter_map(|key| match key {
                    Key::Text(key) => self.app.connector_types.get(self.caller, key).ok(),
                    Key::Uuid(_) => None,
                });
                let types: Vec<_> = types.collect();
                self.write(&types, &Found::default())
            }
            _ => Ok(()),
        }
    }

    async fn add_kept<R: Kept>(&mut self, keys: &BTreeSet<Key>) -> Result<(), Failure> {
        let ids: Vec<R::Id> = keys.iter().filter_map(uuid).map(R::Id::from_uuid).collect();
        let mut things = R::records(self.app).find_all(self.caller, &ids).await?;
        things.sort_by_key(Resource::id);
        let things: Vec<&R> = things.iter().collect();
        let found = R::look_up(self.app, self.caller, &things, &self.view).await?;
        self.write(&things, &found)
    }

    fn write<R: Shown>(&mut self, things: &[&R], found: &Found) -> Result<(), Failure> {
        for thing in things {
            if !self.json.is_empty() {
                self.json.push(b',');
            }
            let object = ResourceObject::new(*thing, &self.view, found);
            serde_json::to_writer(&mut self.json, &object)
                .map_err(|_| crate::problem::internal())?;
        }
        Ok(())
    }
}

const fn uuid(key: &Key) -> Option<uuid::Uuid> {
    match key {
        Key::Uuid(uuid) => Some(*uuid),
        Key::Text(_) => None,
    }
}
