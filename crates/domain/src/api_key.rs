//! API keys.

use std::{collections::BTreeSet, fmt::Write};

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::{
    ApiKeyId, Attribute, Name, OrganizationId, Permission, PersonId, Resource, ResourceType,
    Revision, Secret, Within, WorkspaceId,
};

/// A key to the API. The key itself is shown once, when it is made; only its hash is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiKey {
    /// Stable public identifier.
    pub id: ApiKeyId,
    /// How often it was written.
    pub revision: Revision,
    /// The organization it belongs to.
    pub organization_id: OrganizationId,
    /// Whose rights bound it. None: a service key, bounded by its permissions alone.
    pub person_id: Option<PersonId>,
    /// What people call it.
    pub name: Name,
    /// The first characters of the key, to recognize it by.
    pub prefix: String,
    /// The hash of the key.
    pub hash: KeyHash,
    /// What it may do.
    pub permissions: BTreeSet<Permission>,
    /// Where it works. Empty: in every workspace of the organization.
    pub workspaces: BTreeSet<WorkspaceId>,
    /// When it stops working.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<OffsetDateTime>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
    /// When it was revoked.
    pub deleted_at: Option<OffsetDateTime>,
}

/// SHA-256 of a key, in hexadecimal. Keys have 256 bits of randomness, so a plain hash does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(String);

impl KeyHash {
    /// Of a key.
    pub fn of(key: &Secret<String>) -> Self {
        let digest = Sha256::digest(key.expose().as_bytes());
        Self(digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
    }

    /// Takes a hash back from storage.
    pub const fn from_stored(hex: String) -> Self {
        Self(hex)
    }

    /// The hash, for storage and look-up.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ApiKey {
    /// What every key starts with.
    pub const PREFIX: &'static str = "lsk_";

    /// As much of a key as is kept to recognize it by: ten characters, and no more than a quarter of it.
    pub fn visible_prefix(key: &Secret<String>) -> String {
        let key = key.expose();
        key.chars().take((Self::PREFIX.len() + 6).min(key.chars().count() / 4)).collect()
    }

    /// Whether it works at `now`.
    pub fn is_valid(&self, now: OffsetDateTime) -> bool {
        self.deleted_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

impl Resource for ApiKey {
    type Id = ApiKeyId;
    type Tenancy = Within;
    const TYPE: ResourceType = ResourceType::ApiKey;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("api_key_id"),
        Attribute::id("person_id"),
        Attribute::text("name"),
        Attribute::text("prefix"),
        Attribute::date("expires_at"),
        Attribute::date("last_used_at"),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
        Attribute::date("deleted_at"),
    ];

    fn id(&self) -> ApiKeyId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}
