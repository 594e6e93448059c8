//! `/v1/provider-connectors`: which connector serves which provider.

use linkspan_app::{NewProviderConnector, ProviderConnectorPatch, Records};
use linkspan_domain::{
    Attribute, ConnectorId, ProviderConnector, ProviderConnectorId, ProviderId, Resource, Revision,
};
use poem_openapi::OpenApi;
use serde::Deserialize;
use time::OffsetDateTime;

use super::Tag;
use crate::{
    App,
    answer::{Collection, Document, Gone},
    body::{Changed, Link, New, Written, present},
    include::Found,
    problem::Failure,
    request::{Acting, Changing, Creating, Deleting, Listing, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
};

/// The operations.
#[derive(Default)]
pub(crate) struct ProviderConnectors;

#[OpenApi(prefix_path = "/v1/provider-connectors", tag = "Tag::Catalog")]
impl ProviderConnectors {
    /// List provider connectors
    #[oai(path = "/", method = "get", operation_id = "list_provider_connectors")]
    async fn list(
        &self,
        request: Listing<ProviderConnector>,
    ) -> Result<Collection<ProviderConnector>, Failure> {
        request.answer().await
    }

    /// Get a provider connector
    #[oai(path = "/:id", method = "get", operation_id = "get_provider_connector")]
    async fn get(
        &self,
        request: Reading<ProviderConnector>,
    ) -> Result<Document<ProviderConnector>, Failure> {
        request.answer().await
    }

    /// Create a provider connector
    ///
    /// Pairs a provider with a connector. A connector has at most one provider.
    #[oai(path = "/", method = "post", operation_id = "create_provider_connector")]
    async fn create(
        &self,
        request: Creating<New<NewPairing>, Document<ProviderConnector, 201>>,
    ) -> Result<Document<ProviderConnector, 201>, Failure> {
        let Creating { call, context, body: New(new), view, .. } = request;
        let made = context.app.provider_connectors.create(&call, new.into()).await?;
        Document::of(&context, &call.caller, &view, &made).await
    }

    /// Change a provider connector
    #[oai(path = "/:id", method = "patch", operation_id = "update_provider_connector")]
    async fn update(
        &self,
        request: Changing<ProviderConnector, Changed<PairingPatch>>,
    ) -> Result<Document<ProviderConnector>, Failure> {
        let Changing { call, context, id, expected, body: Changed(patch), view } = request;
        let changed =
            context.app.provider_connectors.update(&call, id, expected, patch.into()).await?;
        Document::of(&context, &call.caller, &view, &changed).await
    }

    /// Delete a provider connector
    #[oai(path = "/:id", method = "delete", operation_id = "delete_provider_connector")]
    async fn delete(&self, request: Deleting<ProviderConnector>) -> Result<Gone, Failure> {
        let Deleting { call, context, id, expected } = request;
        context.app.provider_connectors.delete(&call, id, expected).await?;
        Ok(Gone)
    }

    /// Restore a provider connector
    ///
    /// Brings it back after it was deleted.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_provider_connector")]
    async fn restore(
        &self,
        request: Acting<ProviderConnector, Document<ProviderConnector>>,
    ) -> Result<Document<ProviderConnector>, Failure> {
        let Acting { call, context, id, expected, view, .. } = request;
        let restored = context.app.provider_connectors.restore(&call, id, expected).await?;
        Document::of(&context, &call.caller, &view, &restored).await
    }

    /// Purge a provider connector
    ///
    /// Removes it for good after it was deleted.
    #[oai(path = "/:id/purge", method = "post", operation_id = "purge_provider_connector")]
    async fn purge(&self, request: Acting<ProviderConnector, Gone>) -> Result<Gone, Failure> {
        let Acting { call, context, id, expected, .. } = request;
        context.app.provider_connectors.purge(&call, id, expected).await?;
        Ok(Gone)
    }
}

attributes! { ProviderConnector, |it| {
    /// The same as `id`.
    provider_connector_id: ProviderConnectorId = it.id;
    /// Which provider.
    provider_id: ProviderId = it.provider_id;
    /// Which connector.
    connector_id: ConnectorId = it.connector_id;
    /// When it was made.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
    /// When it was deleted.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.deleted_at);
} }

impl Shown for ProviderConnector {
    const TYPE: &'static str = "provider_connector";
    const NAME: &'static str = "ProviderConnector";
    const PATH: Option<&'static str> = Some("/v1/provider-connectors");
    const RELATIONSHIPS: &'static [Relationship] =
        &[Relationship::one("provider", "provider"), Relationship::one("connector", "connector")];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, name: &str, _: &Found) -> Related {
        match name {
            "provider" => Related::one(self.provider_id),
            _ => Related::one(self.connector_id),
        }
    }
}

impl Kept for ProviderConnector {
    fn records(app: &App) -> &Records<Self> {
        app.provider_connectors.records()
    }
}

const LINKS: &[Link] = &[
    Link { name: "provider", target: "provider", attribute: "provider_id" },
    Link { name: "connector", target: "connector", attribute: "connector_id" },
];

/// What a new pairing is made of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPairing {
    provider_id: ProviderId,
    connector_id: ConnectorId,
}

impl Written for NewPairing {
    type Of = ProviderConnector;
    const NAME: &'static str = "NewProviderConnector";
    const LINKS: &'static [Link] = LINKS;
}

impl From<NewPairing> for NewProviderConnector {
    fn from(NewPairing { provider_id, connector_id }: NewPairing) -> Self {
        Self { provider_id, connector_id }
    }
}

/// What changes about a pairing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairingPatch {
    #[serde(default, deserialize_with = "present")]
    provider_id: Option<ProviderId>,
    #[serde(default, deserialize_with = "present")]
    connector_id: Option<ConnectorId>,
}

impl Written for PairingPatch {
    type Of = ProviderConnector;
    const NAME: &'static str = "ProviderConnectorPatch";
    const LINKS: &'static [Link] = LINKS;
}

impl From<PairingPatch> for ProviderConnectorPatch {
    fn from(PairingPatch { provider_id, connector_id }: PairingPatch) -> Self {
        Self { provider_id, connector_id }
    }
}
