//! Document-capture providers, and their pairing with connectors.

use serde_json::Value;
use time::OffsetDateTime;
use url::Url;

use crate::{
    Attribute, ConnectorId, Name, Platform, ProviderConnectorId, ProviderId, Resource,
    ResourceType, Revision, Slug,
};

/// A provider whose documents are captured with a blueprint. Among live providers the slug is unique.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// Stable public identifier.
    pub id: ProviderId,
    /// How often it was written.
    pub revision: Revision,
    /// What people call it.
    pub name: Name,
    /// Names it in URLs.
    pub slug: Slug,
    /// Its web site.
    pub url: Option<Url>,
    /// Where its picture is.
    pub logo_url: Option<Url>,
    /// How it is grouped.
    pub category: Option<Slug>,
    /// ISO 3166-1 alpha-2 codes of the countries it serves. Empty: everywhere.
    pub countries: Vec<String>,
    /// How a browser collects its documents.
    pub blueprint: Option<Value>,
    /// Hints for an agent that drives the browser.
    pub skill: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
    /// When it was deleted.
    pub deleted_at: Option<OffsetDateTime>,
}

/// Pairs a provider with a connector. A connector has at most one provider.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderConnector {
    /// Stable public identifier.
    pub id: ProviderConnectorId,
    /// How often it was written.
    pub revision: Revision,
    /// Which provider.
    pub provider_id: ProviderId,
    /// Which connector.
    pub connector_id: ConnectorId,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
    /// When it was deleted.
    pub deleted_at: Option<OffsetDateTime>,
}

impl Resource for Provider {
    type Id = ProviderId;
    type Tenancy = Platform;
    const TYPE: ResourceType = ResourceType::Provider;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("provider_id"),
        Attribute::text("name"),
        Attribute::text("slug"),
        Attribute::text("category"),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
        Attribute::date("deleted_at"),
    ];

    fn id(&self) -> ProviderId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}

impl Resource for ProviderConnector {
    type Id = ProviderConnectorId;
    type Tenancy = Platform;
    const TYPE: ResourceType = ResourceType::ProviderConnector;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("provider_connector_id"),
        Attribute::id("provider_id"),
        Attribute::id("connector_id"),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
        Attribute::date("deleted_at"),
    ];

    fn id(&self) -> ProviderConnectorId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}
