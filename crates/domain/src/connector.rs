//! The catalog: entries that people pick in the marketplace.

use std::collections::BTreeSet;

use semver::Version;
use serde::{Deserialize, Serialize};
use strum::VariantNames;
use time::OffsetDateTime;
use url::Url;

use crate::{
    Attribute, ConnectorId, ConnectorTypeKey, Name, Platform, Resource, ResourceType, Revision,
    ServiceId, Slug,
};

/// One integration the platform offers, the same for every workspace. It never holds a credential.
///
/// Among live entries (provider, service, direction) is unique.
#[derive(Clone, Debug, PartialEq)]
pub struct Connector {
    /// Stable public identifier.
    pub id: ConnectorId,
    /// How often it was written.
    pub revision: Revision,
    /// What the catalog says of it.
    pub entry: CatalogEntry,
    /// The availability that the seed last gave. While it equals `entry.status`, no operator changed it.
    pub seeded_status: Option<Availability>,
    /// When it joined the catalog.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
    /// When it left the catalog.
    pub deleted_at: Option<OffsetDateTime>,
}

/// What the catalog says of an integration: the part that seeds and callers write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// What the marketplace shows.
    pub name: Name,
    /// Which layer serves it.
    pub provider: ProviderType,
    /// How the marketplace groups it: `finance`, `crm`, …
    pub category_id: Slug,
    /// Names the integration within its provider.
    pub service_id: ServiceId,
    /// The identifier that the external provider gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_connector_id: Option<String>,
    /// Names its MCP server; none without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<Slug>,
    /// Whether a workspace may activate it now.
    #[serde(default)]
    pub status: Availability,
    /// Which way data moves.
    #[serde(default)]
    pub direction: Direction,
    /// How a workspace proves who it is.
    #[serde(default)]
    pub authorization_flow: AuthorizationFlow,
    /// How a sync talks to the service.
    #[serde(default)]
    pub transport: Transport,
    /// Where to authorize and to connect: a template for every activation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_config: Option<AuthConfig>,
    /// Which models a sync can fill. Empty for outputs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub supported_target_models: BTreeSet<TargetModel>,
    /// Which type serves it.
    pub connector_type: ConnectorTypeKey,
    /// What it is, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// Where its picture is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<Url>,
    /// Where its maker documents it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs_url: Option<Url>,
    /// What kinds of finance data it covers: `bank`, `accounting`, `invoicing`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub data_domains: BTreeSet<String>,
    /// The version of the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// What an operator should know before connecting it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// Which layer serves a connector.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ProviderType {
    /// The Apideck aggregator.
    Apideck,
    /// The Chift aggregator.
    Chift,
    /// First party, MCP included.
    Well,
    /// Plaid open banking, Europe.
    PlaidEu,
    /// Plaid open banking, United States.
    PlaidUs,
}

/// Whether a connector can be activated.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Availability {
    /// Fully operational.
    Available,
    /// Announced, not connectable yet.
    ComingSoon,
    /// Switched off.
    #[default]
    Unavailable,
    /// Temporarily out of service.
    Maintenance,
}

/// Which way data moves.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Direction {
    /// A source: pulls data into the workspace.
    #[default]
    Input,
    /// A destination: pushes the workspace's data out.
    Output,
}

/// How a workspace proves who it is.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum AuthorizationFlow {
    /// Nothing to prove.
    #[default]
    None,
    /// Plain OAuth redirect.
    Redirect,
    /// OAuth without discovery: the endpoints are in the auth config.
    OauthManual,
    /// OAuth with discovery and dynamic client registration (RFC 7591).
    OauthDcr,
    /// OAuth with a client identified by its metadata document.
    OauthCimd,
    /// A key that the platform holds.
    ApiKey,
    /// A key that the user supplies.
    ExternalApiKey,
    /// WS-Security UsernameToken, computed for each request.
    Wsse,
}

impl AuthorizationFlow {
    /// Whether a person, or the client itself, has to be granted something at a provider before anything works.
    pub const fn needs_grant(self) -> bool {
        match self {
            Self::Redirect | Self::OauthManual | Self::OauthDcr | Self::OauthCimd => true,
            Self::None | Self::ApiKey | Self::ExternalApiKey | Self::Wsse => false,
        }
    }
}

/// How a sync talks to the service.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Transport {
    /// The Model Context Protocol.
    Mcp,
    /// The service's own API.
    #[default]
    Api,
}

/// What a sync can fill.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[allow(missing_docs)]
pub enum TargetModel {
    Company,
    People,
    Invoice,
    Transaction,
    Account,
    LedgerAccount,
    Journal,
    JournalEntry,
    Email,
    PaymentMeans,
    InvoiceTransaction,
    Document,
}

/// Where to authorize and to connect.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// The discovery document of the authorization server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth_metadata_url: Option<String>,
    /// Takes the place of the discovered authorization endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    /// The endpoints of a server without discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth_config: Option<OauthConfig>,
    /// The MCP server. May hold placeholders such as `{subdomain}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_server_url: Option<String>,
    /// How the MCP server is spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_transport: Option<McpTransport>,
    /// Polled to see whether a token still works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_test_url: Option<String>,
    /// Whether the server takes client metadata documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cimd_supported: Option<bool>,
    /// The code challenge methods the server takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pkce: Vec<String>,
}

/// The endpoints of an authorization server. URLs may hold placeholders such as `{subdomain}`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthConfig {
    /// Where the user consents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    /// Where codes become tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// Where tokens end (RFC 7009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// Where clients register (RFC 7591).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
    /// What to ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// By whose right.
    #[serde(default, skip_serializing_if = "OauthGrantType::is_default")]
    pub grant_type: OauthGrantType,
}

/// By whose right tokens are had (RFC 6749 §1.3).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OauthGrantType {
    /// A person's, who agrees.
    #[default]
    AuthorizationCode,
    /// The client's own.
    ClientCredentials,
}

impl OauthGrantType {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How an MCP server is spoken to.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[allow(missing_docs)]
pub enum McpTransport {
    StreamableHttp,
    Sse,
}

impl Connector {
    /// A new entry.
    pub fn new(id: ConnectorId, entry: CatalogEntry, now: OffsetDateTime) -> Self {
        Self {
            id,
            revision: Revision::FIRST,
            entry,
            seeded_status: None,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        }
    }

    /// A new entry that came from a seed.
    pub fn seeded(id: ConnectorId, entry: CatalogEntry, now: OffsetDateTime) -> Self {
        let seeded_status = Some(entry.status);
        Self { seeded_status, ..Self::new(id, entry, now) }
    }

    /// This entry after its seed was read again, or nothing if the seed says nothing new.
    ///
    /// A status that an operator set stays.
    pub fn reseeded(&self, seed: &CatalogEntry, now: OffsetDateTime) -> Option<Self> {
        let edited = self.seeded_status != Some(self.entry.status);
        let status = if edited { self.entry.status } else { seed.status };
        let entry = CatalogEntry { status, ..seed.clone() };
        let seeded_status = Some(seed.status);
        let changed = entry != self.entry || seeded_status != self.seeded_status;
        changed.then(|| Self { entry, seeded_status, updated_at: now, ..self.clone() })
    }
}

impl Resource for Connector {
    type Id = ConnectorId;
    type Tenancy = Platform;
    const TYPE: ResourceType = ResourceType::Connector;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("connector_id"),
        Attribute::text("name"),
        Attribute::one_of("provider", ProviderType::VARIANTS),
        Attribute::text("category_id"),
        Attribute::text("service_id"),
        Attribute::text("external_connector_id"),
        Attribute::text("slug"),
        Attribute::one_of("status", Availability::VARIANTS),
        Attribute::one_of("direction", Direction::VARIANTS),
        Attribute::one_of("authorization_flow", AuthorizationFlow::VARIANTS),
        Attribute::one_of("transport", Transport::VARIANTS),
        Attribute::text("connector_type"),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
        Attribute::date("deleted_at"),
    ];

    fn id(&self) -> ConnectorId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-05-01 12:00 UTC);

    fn entry(status: &str) -> CatalogEntry {
        serde_json::from_value(json!({
            "name": "Stripe", "provider": "well", "category_id": "finance", "service_id": "stripe",
            "status": status, "connector_type": "mcp",
        }))
        .unwrap()
    }

    fn seeded(status: &str) -> Connector {
        Connector::seeded(ConnectorId::from_uuid(Uuid::from_u128(1)), entry(status), NOW)
    }

    #[test]
    fn seeding_the_same_entry_again_changes_nothing() {
        assert_eq!(seeded("available").reseeded(&entry("available"), NOW), None);
    }

    #[test]
    fn a_seed_moves_a_status_that_nobody_edited() {
        let moved = seeded("coming_soon").reseeded(&entry("available"), NOW).unwrap();
        assert_eq!(moved.entry.status, Availability::Available);
    }

    #[test]
    fn a_seed_keeps_a_status_that_an_operator_set() {
        let mut edited = seeded("available");
        edited.entry.status = Availability::Maintenance;
        assert_eq!(edited.reseeded(&entry("available"), NOW), None);
        let seed = CatalogEntry { description: Some("Payments.".to_owned()), ..entry("available") };
        let reseeded = edited.reseeded(&seed, NOW).unwrap();
        assert_eq!(reseeded.entry.status, Availability::Maintenance);
        assert_eq!(reseeded.entry.description.as_deref(), Some("Payments."));
    }

    #[test]
    fn an_entry_that_says_little_gets_the_defaults_of_the_catalog() {
        let entry: CatalogEntry = serde_json::from_value(json!({
            "name": "Stripe", "provider": "well", "category_id": "finance", "service_id": "stripe",
            "connector_type": "mcp",
        }))
        .unwrap();
        assert_eq!(entry.status, Availability::Unavailable);
        assert_eq!(entry.direction, Direction::Input);
        assert_eq!(entry.authorization_flow, AuthorizationFlow::None);
        assert_eq!(entry.transport, Transport::Api);
    }
}
