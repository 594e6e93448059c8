//! `/v1/connectors`: the catalog.

use std::collections::{BTreeSet, HashMap};

use linkspan_app::{Patch, Records};
use linkspan_domain::{
    Attribute, AuthConfig, AuthorizationFlow, Availability, Caller, CatalogEntry, Connector,
    ConnectorFilter, ConnectorId, ConnectorTypeKey, Direction, Filter, FilterTest, FilterValue,
    Name, ProviderType, Resource, Revision, ServiceId, Slug, TargetModel, Transport,
};
use poem_openapi::OpenApi;
use semver::Version;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use url::Url;

use super::{Tag, empty_or_set, set};
use crate::{
    App,
    answer::{Collection, Document, Gone},
    body::{Changed, New, Written, patch, present},
    include::Found,
    problem::Failure,
    request::{Acting, Changing, Creating, Deleting, Listing, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
    view::View,
};

/// The operations.
#[derive(Default)]
pub(crate) struct Connectors;

#[OpenApi(prefix_path = "/v1/connectors", tag = "Tag::Catalog")]
impl Connectors {
    /// List connectors
    #[oai(path = "/", method = "get", operation_id = "list_connectors")]
    async fn list(&self, request: Listing<Connector>) -> Result<Collection<Connector>, Failure> {
        request.answer().await
    }

    /// Get a connector
    #[oai(path = "/:id", method = "get", operation_id = "get_connector")]
    async fn get(&self, request: Reading<Connector>) -> Result<Document<Connector>, Failure> {
        request.answer().await
    }

    /// Create a connector
    ///
    /// Adds an entry to the catalog. Among live entries (provider, service, direction) is unique.
    #[oai(path = "/", method = "post", operation_id = "create_connector")]
    async fn create(
        &self,
        request: Creating<New<CatalogEntry>, Document<Connector, 201>>,
    ) -> Result<Document<Connector, 201>, Failure> {
        let Creating { call, context, body: New(entry), view, .. } = request;
        let made = context.app.catalog.create(&call, entry).await?;
        Document::of(&context, &call.caller, &view, &made).await
    }

    /// Change a connector
    #[oai(path = "/:id", method = "patch", operation_id = "update_connector")]
    async fn update(
        &self,
        request: Changing<Connector, Changed<EntryPatch>>,
    ) -> Result<Document<Connector>, Failure> {
        let Changing { call, context, id, expected, body: Changed(patch), view } = request;
        let changed = context.app.catalog.update(&call, id, expected, |it| patch.apply(it)).await?;
        Document::of(&context, &call.caller, &view, &changed).await
    }

    /// Delete a connector
    ///
    /// Soft-deletes it, and every activation of it.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_connector")]
    async fn delete(&self, request: Deleting<Connector>) -> Result<Gone, Failure> {
        let Deleting { call, context, id, expected } = request;
        context.app.catalog.delete(&call, id, expected).await?;
        Ok(Gone)
    }

    /// Restore a connector
    ///
    /// Brings a deleted entry back. Its activations stay deleted.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_connector")]
    async fn restore(
        &self,
        request: Acting<Connector, Document<Connector>>,
    ) -> Result<Document<Connector>, Failure> {
        let Acting { call, context, id, expected, view, .. } = request;
        let restored = context.app.catalog.restore(&call, id, expected).await?;
        Document::of(&context, &call.caller, &view, &restored).await
    }

    /// Purge a connector
    ///
    /// Removes a deleted entry for good.
    #[oai(path = "/:id/purge", method = "post", operation_id = "purge_connector")]
    async fn purge(&self, request: Acting<Connector, Gone>) -> Result<Gone, Failure> {
        let Acting { call, context, id, expected, .. } = request;
        context.app.catalog.purge(&call, id, expected).await?;
        Ok(Gone)
    }
}

attributes! { Connector, |it| {
    /// The same as `id`.
    connector_id: ConnectorId = it.id;
    /// What the marketplace shows.
    name: Name = &it.entry.name;
    /// Which layer serves it.
    provider: ProviderType = it.entry.provider;
    /// How the marketplace groups it: `finance`, `crm`, …
    category_id: Slug = &it.entry.category_id;
    /// Names the integration within its provider.
    service_id: ServiceId = &it.entry.service_id;
    /// The identifier that the external provider gave it.
    external_connector_id: Option<String> = &it.entry.external_connector_id;
    /// Names its MCP server; none without one.
    slug: Option<Slug> = &it.entry.slug;
    /// Whether a workspace may activate it now.
    status: Availability = it.entry.status;
    /// Which way data moves.
    direction: Direction = it.entry.direction;
    /// How a workspace proves who it is.
    authorization_flow: AuthorizationFlow = it.entry.authorization_flow;
    /// How a sync talks to the service.
    transport: Transport = it.entry.transport;
    /// Where to authorize and to connect: a template for every activation, without credentials.
    auth_config: Option<AuthConfig> = &it.entry.auth_config;
    /// Which models a sync can fill. Empty for outputs.
    supported_target_models: BTreeSet<TargetModel> = &it.entry.supported_target_models;
    /// Which type serves it.
    connector_type: ConnectorTypeKey = &it.entry.connector_type;
    /// What it is, in a sentence.
    description: Option<String> = &it.entry.description;
    /// Words to find it by.
    tags: BTreeSet<String> = &it.entry.tags;
    /// Where its picture is.
    logo_url: Option<Url> = &it.entry.logo_url;
    /// Where its maker documents it.
    docs_url: Option<Url> = &it.entry.docs_url;
    /// What kinds of finance data it covers: `bank`, `accounting`, `invoicing`.
    data_domains: BTreeSet<String> = &it.entry.data_domains;
    /// The version of the entry.
    version: Option<Version> = &it.entry.version;
    /// What an operator should know before connecting it.
    notes: Option<String> = &it.entry.notes;
    /// When it joined the catalog.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
    /// When it left the catalog.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.deleted_at);
} }

impl Shown for Connector {
    const TYPE: &'static str = "connector";
    const NAME: &'static str = "Connector";
    const PATH: Option<&'static str> = Some("/v1/connectors");
    const RELATIONSHIPS: &'static [Relationship] = &[
        Relationship::one("connector_type", "connector_type"),
        Relationship::one("provider_connector", "provider_connector"),
        Relationship::many("connector_filters", "connector_filter"),
    ];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, name: &str, found: &Found) -> Related {
        let elsewhere = |path| Related::At(format!("{path}?filter%5Bconnector_id%5D={}", self.id));
        match (name, &found.pairing_of_connector, &found.filters_of_connector) {
            ("connector_type", ..) => {
                Related::One(Some(Key::Text(self.entry.connector_type.to_string())))
            }
            ("provider_connector", Some(pairings), _) => {
                Related::maybe(pairings.get(&self.id).copied())
            }
            ("provider_connector", None, _) => elsewhere("/v1/provider-connectors"),
            (_, _, Some(filters)) => {
                Related::many(filters.get(&self.id).into_iter().flatten().copied())
            }
            (_, _, None) => elsewhere("/v1/connector-filters"),
        }
    }
}

impl Kept for Connector {
    fn records(app: &App) -> &Records<Self> {
        app.catalog.records()
    }

    async fn look_up(
        app: &App,
        caller: &Caller,
        things: &[&Self],
        view: &View,
    ) -> Result<Found, Failure> {
        let mut found = Found::default();
        let ids: Vec<_> = things.iter().map(|it| it.id).collect();
        if view.includes("provider_connector") && !ids.is_empty() {
            let pairings = app.provider_connectors.of_connectors(caller, &ids).await?;
            let pairings = pairings.iter().map(|it| (it.connector_id, it.id));
            found.pairing_of_connector = Some(pairings.collect());
        }
        if view.includes("connector_filters") && !ids.is_empty() {
            let test = FilterTest::OneOf(ids.iter().map(|it| FilterValue::Id(it.uuid())).collect());
            let filter = Filter { attribute: Attribute::id("connector_id"), test };
            let filters = app.filters.records().list_all(caller, vec![filter]).await?;
            let mut of_connector = HashMap::<_, Vec<_>>::new();
            for ConnectorFilter { id, connector_id, .. } in filters {
                of_connector.entry(connector_id).or_default().push(id);
            }
            found.filters_of_connector = Some(of_connector);
        }
        Ok(found)
    }
}

impl Written for CatalogEntry {
    type Of = Connector;
    const NAME: &'static str = "NewConnector";
    const REQUIRED: &'static [&'static str] =
        &["name", "provider", "category_id", "service_id", "connector_type"];

    fn example() -> Option<Value> {
        Some(json!({ "data": { "type": "connector", "attributes": {
            "name": "Our warehouse",
            "provider": "well",
            "category_id": "database",
            "service_id": "our-warehouse",
            "status": "available",
            "authorization_flow": "external-api-key",
            "connector_type": "postgresql",
        } } }))
    }
}

/// What changes about an entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryPatch {
    #[serde(default, deserialize_with = "present")]
    name: Option<Name>,
    #[serde(default, deserialize_with = "present")]
    provider: Option<ProviderType>,
    #[serde(default, deserialize_with = "present")]
    category_id: Option<Slug>,
    #[serde(default, deserialize_with = "present")]
    service_id: Option<ServiceId>,
    #[serde(default, deserialize_with = "patch")]
    external_connector_id: Patch<String>,
    #[serde(default, deserialize_with = "patch")]
    slug: Patch<Slug>,
    #[serde(default, deserialize_with = "present")]
    status: Option<Availability>,
    #[serde(default, deserialize_with = "present")]
    direction: Option<Direction>,
    #[serde(default, deserialize_with = "present")]
    authorization_flow: Option<AuthorizationFlow>,
    #[serde(default, deserialize_with = "present")]
    transport: Option<Transport>,
    #[serde(default, deserialize_with = "patch")]
    auth_config: Patch<AuthConfig>,
    #[serde(default, deserialize_with = "present")]
    supported_target_models: Option<BTreeSet<TargetModel>>,
    #[serde(default, deserialize_with = "present")]
    connector_type: Option<ConnectorTypeKey>,
    #[serde(default, deserialize_with = "patch")]
    description: Patch<String>,
    #[serde(default, deserialize_with = "present")]
    tags: Option<BTreeSet<String>>,
    #[serde(default, deserialize_with = "patch")]
    logo_url: Patch<Url>,
    #[serde(default, deserialize_with = "patch")]
    docs_url: Patch<Url>,
    #[serde(default, deserialize_with = "present")]
    data_domains: Option<BTreeSet<String>>,
    #[serde(default, deserialize_with = "patch")]
    version: Patch<Version>,
    #[serde(default, deserialize_with = "patch")]
    notes: Patch<String>,
}

impl Written for EntryPatch {
    type Of = Connector;
    const NAME: &'static str = "ConnectorPatch";
}

impl EntryPatch {
    fn apply(self, entry: &mut CatalogEntry) {
        let Self {
            name,
            provider,
            category_id,
            service_id,
            external_connector_id,
            slug,
            status,
            direction,
            authorization_flow,
            transport,
            auth_config,
            supported_target_models,
            connector_type,
            description,
            tags,
            logo_url,
            docs_url,
            data_domains,
            version,
            notes,
        } = self;
        set(&mut entry.name, name);
        set(&mut entry.provider, provider);
        set(&mut entry.category_id, category_id);
        set(&mut entry.service_id, service_id);
        empty_or_set(&mut entry.external_connector_id, external_connector_id);
        empty_or_set(&mut entry.slug, slug);
        set(&mut entry.status, status);
        set(&mut entry.direction, direction);
        set(&mut entry.authorization_flow, authorization_flow);
        set(&mut entry.transport, transport);
        empty_or_set(&mut entry.auth_config, auth_config);
        set(&mut entry.supported_target_models, supported_target_models);
        set(&mut entry.connector_type, connector_type);
        empty_or_set(&mut entry.description, description);
        set(&mut entry.tags, tags);
        empty_or_set(&mut entry.logo_url, logo_url);
        empty_or_set(&mut entry.docs_url, docs_url);
        set(&mut entry.data_domains, data_domains);
        empty_or_set(&mut entry.version, version);
        empty_or_set(&mut entry.notes, notes);
    }
}
