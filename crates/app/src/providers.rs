//! Document-capture providers, and their pairing with connectors.

use std::sync::Arc;

use linkspan_domain::{
    Attribute, Call, Caller, Connector, ConnectorId, Filter, FilterTest, FilterValue, Name,
    Provider, ProviderConnector, ProviderConnectorId, ProviderId, Revision, Slug,
    ports::{Store, World},
};
use serde_json::Value;
use url::Url;

use crate::{Patch, RecordError, Records, Writable, records::require_live};

/// Document-capture providers. Readers of connectors read them, admins write them.
pub struct Providers {
    records: Records<Provider>,
    world: Arc<dyn World>,
}

/// What a new provider is made of.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct NewProvider {
    pub name: Name,
    pub slug: Slug,
    pub url: Option<Url>,
    pub logo_url: Option<Url>,
    pub category: Option<Slug>,
    pub countries: Vec<String>,
    pub blueprint: Option<Value>,
    pub skill: Option<String>,
}

/// What changes about a provider.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct ProviderPatch {
    pub name: Option<Name>,
    pub slug: Option<Slug>,
    pub url: Patch<Url>,
    pub logo_url: Patch<Url>,
    pub category: Patch<Slug>,
    pub countries: Option<Vec<String>>,
    pub blueprint: Patch<Value>,
    pub skill: Patch<String>,
}

impl Providers {
    /// The providers that `store` keeps.
    pub fn new(store: Arc<dyn Store<Provider>>, world: Arc<dyn World>) -> Self {
        Self { records: Records::new(store, Arc::clone(&world)), world }
    }

    /// The providers, for reading.
    pub const fn records(&self) -> &Records<Provider> {
        &self.records
    }

    /// Adds a provider.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn create(&self, call: &Call, new: NewProvider) -> Result<Provider, RecordError> {
        call.caller.require(Provider::WRITE)?;
        let NewProvider { name, slug, url, logo_url, category, countries, blueprint, skill } = new;
        accept_countries(&countries)?;
        let now = self.world.now();
        let provider = Provider {
            id: ProviderId::from_uuid(self.world.uuid()),
            revision: Revision::FIRST,
            name,
            slug,
            url,
            logo_url,
            category,
            countries,
            blueprint,
            skill,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        self.records.insert(call, provider).await
    }

    /// Changes a provider.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn update(
        &self,
        call: &Call,
        id: ProviderId,
        expected: Option<Revision>,
        patch: ProviderPatch,
    ) -> Result<Provider, RecordError> {
        let ProviderPatch { name, slug, url, logo_url, category, countries, blueprint, skill } =
            patch;
        self.records
            .update(call, id, expected, |it, changes| {
                changes.set("name", &mut it.name, name);
                changes.set("slug", &mut it.slug, slug);
                changes.patch("url", &mut it.url, url);
                changes.patch("logo_url", &mut it.logo_url, logo_url);
                changes.patch("category", &mut it.category, category);
                changes.set("countries", &mut it.countries, countries);
                changes.patch("blueprint", &mut it.blueprint, blueprint);
                changes.patch("skill", &mut it.skill, skill);
                accept_countries(&it.countries)
            })
            .await
    }

    /// Soft-deletes a provider.
    pub async fn delete(
        &self,
        call: &Call,
        id: ProviderId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.records.delete(call, id, expected).await
    }

    /// Brings a deleted provider back.
    pub async fn restore(
        &self,
        call: &Call,
        id: ProviderId,
        expected: Option<Revision>,
    ) -> Result<Provider, RecordError> {
        self.records.restore(call, id, expected).await
    }

    /// Removes a deleted provider for good.
    pub async fn purge(
        &self,
        call: &Call,
        id: ProviderId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.records.purge(call, id, expected).await
    }
}

fn accept_countries(countries: &[String]) -> Result<(), RecordError> {
    let is_code = |it: &String| it.len() == 2 && it.bytes().all(|it| it.is_ascii_uppercase());
    if countries.iter().all(is_code) {
        return Ok(());
    }
    let reason = "must be ISO 3166-1 alpha-2 codes in capitals, such as FR".to_owned();
    Err(RecordError::Invalid { attribute: "countries", reason })
}

/// Which connector serves which provider. Readers of connectors read it, admins write it.
pub struct ProviderConnectors {
    records: Records<ProviderConnector>,
    providers: Records<Provider>,
    connectors: Records<Connector>,
    world: Arc<dyn World>,
}

/// What a new pairing is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NewProviderConnector {
    pub provider_id: ProviderId,
    pub connector_id: ConnectorId,
}

/// What changes about a pairing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ProviderConnectorPatch {
    pub provider_id: Option<ProviderId>,
    pub connector_id: Option<ConnectorId>,
}

impl ProviderConnectors {
    /// The pairings that `store` keeps.
    pub fn new(
        store: Arc<dyn Store<ProviderConnector>>,
        providers: Arc<dyn Store<Provider>>,
        connectors: Arc<dyn Store<Connector>>,
        world: Arc<dyn World>,
    ) -> Self {
        Self {
            records: Records::new(store, Arc::clone(&world)),
            providers: Records::new(providers, Arc::clone(&world)),
            connectors: Records::new(connectors, Arc::clone(&world)),
            world,
        }
    }

    /// The pairings, for reading.
    pub const fn records(&self) -> &Records<ProviderConnector> {
        &self.records
    }

    /// The pairings of these connectors.
    pub async fn of_connectors(
        &self,
        caller: &Caller,
        connectors: &[ConnectorId],
    ) -> Result<Vec<ProviderConnector>, RecordError> {
        let ids: Vec<_> = connectors.iter().map(|it| FilterValue::Id(it.uuid())).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let attribute = Attribute::id("connector_id");
        self.records
            .list_all(caller, vec![Filter { attribute, test: FilterTest::OneOf(ids) }])
            .await
    }

    /// Pairs a provider with a connector.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn create(
        &self,
        call: &Call,
        new: NewProviderConnector,
    ) -> Result<ProviderConnector, RecordError> {
        call.caller.require(ProviderConnector::WRITE)?;
        let NewProviderConnector { provider_id, connector_id } = new;
        self.refer(call, Some(provider_id), Some(connector_id)).await?;
        let now = self.world.now();
        let pairing = ProviderConnector {
            id: ProviderConnectorId::from_uuid(self.world.uuid()),
            revision: Revision::FIRST,
            provider_id,
            connector_id,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        self.records.insert(call, pairing).await
    }

    /// Changes a pairing.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn update(
        &self,
        call: &Call,
        id: ProviderConnectorId,
        expected: Option<Revision>,
        patch: ProviderConnectorPatch,
    ) -> Result<ProviderConnector, RecordError> {
        call.caller.require(ProviderConnector::WRITE)?;
        let ProviderConnectorPatch { provider_id, connector_id } = patch;
        self.refer(call, provider_id, connector_id).await?;
        self.records
            .update(call, id, expected, |it, changes| {
                changes.set("provider_id", &mut it.provider_id, provider_id);
                changes.set("connector_id", &mut it.connector_id, connector_id);
                Ok(())
            })
            .await
    }

    /// Soft-deletes a pairing.
    pub async fn delete(
        &self,
        call: &Call,
        id: ProviderConnectorId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.records.delete(call, id, expected).await
    }

    /// Brings a deleted pairing back.
    pub async fn restore(
        &self,
        call: &Call,
        id: ProviderConnectorId,
        expected: Option<Revision>,
    ) -> Result<ProviderConnector, RecordError> {
        self.records.restore(call, id, expected).await
    }

    /// Removes a deleted pairing for good.
    pub async fn purge(
        &self,
        call: &Call,
        id: ProviderConnectorId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.records.purge(call, id, expected).await
    }

    async fn refer(
        &self,
        call: &Call,
        provider: Option<ProviderId>,
        connector: Option<ConnectorId>,
    ) -> Result<(), RecordError> {
        if let Some(id) = provider {
            require_live(&self.providers, &call.caller, id, "provider").await?;
        }
        if let Some(id) = connector {
            require_live(&self.connectors, &call.caller, id, "connector").await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{Role, ports::StoreError};

    use super::*;
    use crate::fixtures::{NOW, call, code, connector, id, keep, keep_refusing, world};

    fn provider() -> Provider {
        Provider {
            id: id(60),
            revision: Revision::FIRST,
            name: "Paper".parse().unwrap(),
            slug: "paper".parse().unwrap(),
            url: None,
            logo_url: None,
            category: None,
            countries: Vec::new(),
            blueprint: None,
            skill: Some("Click.".to_owned()),
            created_at: NOW,
            updated_at: NOW,
            deleted_at: None,
        }
    }

    #[tokio::test]
    async fn a_patch_sets_clears_and_keeps() {
        let providers = Providers::new(keep(vec![provider()]).store, world());
        let patch = ProviderPatch {
            slug: Some("papers".parse().unwrap()),
            skill: Patch::Clear,
            ..ProviderPatch::default()
        };
        let it = providers.update(&call(Role::Admin), id(60), None, patch).await.unwrap();
        assert_eq!((it.slug.as_str(), it.skill, it.name), ("papers", None, provider().name));
    }

    #[tokio::test]
    async fn countries_are_codes() {
        let providers = Providers::new(keep(vec![provider()]).store, world());
        for (countries, expected) in [(["FR", "DE"], "ok"), (["FR", "de"], "resource.invalid")] {
            let countries = Some(countries.map(str::to_owned).into());
            let patch = ProviderPatch { countries, ..ProviderPatch::default() };
            let updated = providers.update(&call(Role::Admin), id(60), None, patch).await;
            assert_eq!(code(updated), expected);
        }
    }

    #[tokio::test]
    async fn a_pair_is_of_two_that_are_there_and_a_connector_has_one_provider() {
        let pair = async |provider_id, connector_id, outcome: Result<(), fn() -> StoreError>| {
            let store = match outcome {
                Ok(()) => keep(Vec::new()),
                Err(error) => keep_refusing(Vec::new(), error),
            };
            let connectors = keep(vec![connector(|_| {})]).store;
            let providers = keep(vec![provider()]).store;
            let pairs = ProviderConnectors::new(store.store, providers, connectors, world());
            let new = NewProviderConnector { provider_id, connector_id };
            code(pairs.create(&call(Role::Admin), new).await)
        };
        assert_eq!(pair(id(60), id(20), Ok(())).await, "ok");
        assert_eq!(pair(id(61), id(20), Ok(())).await, "resource.dangling");
        assert_eq!(pair(id(60), id(21), Ok(())).await, "resource.dangling");
        assert_eq!(pair(id(60), id(20), Err(|| StoreError::Taken)).await, "resource.name_taken");
    }
}
