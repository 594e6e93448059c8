//! One file of `seeds/catalog/`: a connector that people pick in the marketplace.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A catalog entry. Its fields are those of the product's connector; their order is the file's.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seed {
    pub(crate) name: String,
    pub(crate) provider: Provider,
    pub(crate) category_id: Category,
    pub(crate) service_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slug: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) external_connector_id: Option<String>,
    pub(crate) status: Status,
    pub(crate) direction: Direction,
    pub(crate) authorization_flow: Flow,
    pub(crate) transport: Transport,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auth_config: Option<AuthConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) supported_target_models: Vec<TargetModel>,
    pub(crate) connector_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) docs_url: Option<String>,
    pub(crate) description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) notes: Option<String>,
}

/// How an activation of the connector signs in; a template, never a credential.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oauth_metadata_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorization_endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oauth_config: Option<OauthConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mcp_server_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mcp_transport: Option<McpTransport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_test_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cimd_supported: Option<bool>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pkce: Vec<Pkce>,
}

/// The endpoints of an authorization server that are known without discovery.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OauthConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorization_endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revocation_endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registration_endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grant_type: Option<GrantType>,
}

/// Writes an enum whose variants go by one word each in YAML, JSON and on pages.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
        pub(crate) enum $name {
            $(#[serde(rename = $word)] $variant,)+
        }

        impl $name {
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// Who runs the integration layer. Sorted as the index is.
    Provider {
        Apideck = "apideck",
        Chift = "chift",
        PlaidEu = "plaid_eu",
        PlaidUs = "plaid_us",
        Well = "well",
    }
}

words! {
    /// The shelf of the marketplace.
    Category {
        Accounting = "accounting",
        Ai = "ai",
        Api = "api",
        Banks = "banks",
        Commerce = "commerce",
        Crm = "crm",
        DataWarehouse = "data-warehouse",
        Database = "database",
        Developer = "developer",
        Email = "email",
        FileStorage = "file-storage",
        Finance = "finance",
        Hr = "hr",
        Identity = "identity",
        Internal = "internal",
        Marketing = "marketing",
        Messaging = "messaging",
        Productivity = "productivity",
        Support = "support",
    }
}

words! {
    /// Whether the connector can be connected.
    Status {
        Available = "available",
        ComingSoon = "coming_soon",
        Maintenance = "maintenance",
        Unavailable = "unavailable",
    }
}

words! {
    /// Which way records flow.
    Direction {
        Input = "input",
        Output = "output",
    }
}

words! {
    /// How an activation is authorized.
    Flow {
        ApiKey = "api-key",
        ExternalApiKey = "external-api-key",
        None = "none",
        OauthCimd = "oauth-cimd",
        OauthDcr = "oauth-dcr",
        OauthManual = "oauth-manual",
        Redirect = "redirect",
        Wsse = "wsse",
    }
}

words! {
    /// What the connector speaks.
    Transport {
        Api = "api",
        Mcp = "mcp",
    }
}

words! {
    /// The wire of an MCP server.
    McpTransport {
        Sse = "sse",
        StreamableHttp = "streamable-http",
    }
}

words! {
    /// By whose right tokens are had.
    GrantType {
        AuthorizationCode = "authorization_code",
        ClientCredentials = "client_credentials",
    }
}

words! {
    /// Methods of proof of possession of an authorization code.
    Pkce {
        S256 = "S256",
    }
}

words! {
    /// What an ingested record can become.
    TargetModel {
        Company = "company",
        People = "people",
        Invoice = "invoice",
        Transaction = "transaction",
        Account = "account",
        LedgerAccount = "ledger_account",
        Journal = "journal",
        JournalEntry = "journal_entry",
        Email = "email",
        PaymentMeans = "payment_means",
        InvoiceTransaction = "invoice_transaction",
        Document = "document",
    }
}
