//! Clients: what we are to an authorization server.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use super::{AuthorizationServer, ClientProof, GivenProof, Issuer, UnfitProof};
use crate::{Secret, WorkspaceConnectorId};

/// What we are to one authorization server. It is good for that server only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthClient {
    /// To which server.
    pub issuer: Issuer,
    /// How we came by it.
    pub origin: ClientOrigin,
    /// Our name there.
    pub client_id: String,
    /// What proves that we are it.
    pub proof: ClientProof,
    /// When the secret runs out (RFC 7591 §3.2.1). None: never.
    pub secret_expires_at: Option<OffsetDateTime>,
    /// Where people come back to, as we registered it. None: somebody else did.
    pub redirect_uri: Option<Url>,
    /// Where the registration is read, changed and removed (RFC 7592).
    pub registration_uri: Option<Url>,
    /// What it takes to do so.
    pub registration_token: Option<Secret<String>>,
}

/// How we came by a client, in the order in which the ways are tried.
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
pub enum ClientOrigin {
    /// Somebody registered it and told us.
    Preregistered,
    /// Its identifier is the URL of a document that we host.
    MetadataDocument,
    /// We registered it ourselves (RFC 7591).
    Dynamic,
}

/// How a client says who it is at the token endpoint (RFC 6749 §2.3, RFC 8414 `token_endpoint_auth_methods_supported`).
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
pub enum ClientAuthentication {
    /// In the `Authorization` header.
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
    /// By what its private key has signed (RFC 7523 §2.2, OpenID Connect Core 1.0 §9).
    PrivateKeyJwt,
    /// By its identifier alone.
    None,
}

impl OauthClient {
    /// What we are to `server` if somebody registered us there by hand.
    pub fn preregistered(
        server: &AuthorizationServer,
        client_id: String,
        given: GivenProof,
    ) -> Result<Self, UnfitProof> {
        let proof = server.proof(given)?;
        Ok(Self { proof, ..Self::public(server, ClientOrigin::Preregistered, client_id) })
    }

    /// What we are to `server` by the document at `document`.
    pub fn by_document(server: &AuthorizationServer, document: &Url) -> Self {
        Self::public(server, ClientOrigin::MetadataDocument, document.to_string())
    }

    fn public(server: &AuthorizationServer, origin: ClientOrigin, client_id: String) -> Self {
        Self {
            issuer: server.issuer.clone(),
            origin,
            client_id,
            proof: ClientProof::None,
            secret_expires_at: None,
            redirect_uri: None,
            registration_uri: None,
            registration_token: None,
        }
    }

    /// Names the client that the activation `of` has with `issuer`: the row that it is kept in, and sealed for.
    pub fn row(of: WorkspaceConnectorId, issuer: &Issuer) -> Uuid {
        Uuid::new_v5(&of.uuid(), issuer.as_str().as_bytes())
    }

    /// Whether the server takes both for the same: whatever else we know of them, it does not see.
    pub fn looks_like(&self, other: &Self) -> bool {
        self.issuer == other.issuer
            && self.client_id == other.client_id
            && self.proof == other.proof
    }

    /// Whether we registered it, and may remove it again (RFC 7592 §2.3).
    pub const fn is_removable(&self) -> bool {
        matches!(self.origin, ClientOrigin::Dynamic)
            && self.registration_uri.is_some()
            && self.registration_token.is_some()
    }

    /// Whether its secret still works at `now`.
    pub fn is_valid(&self, now: OffsetDateTime) -> bool {
        self.secret_expires_at.is_none_or(|end| now < end)
    }
}
