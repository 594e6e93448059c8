//! Sealing of secrets.

use std::fmt;

use uuid::Uuid;

use crate::Secret;

/// Seals secrets for one row and one purpose.
///
/// # Contract
///
/// - What was sealed for one [`SealContext`] cannot be opened for another.
/// - A blob names the key that sealed it; one whose key is gone ends in [`VaultError::UnknownKey`], never in garbage.
/// - Sealing the same bytes twice gives different blobs.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Vault: Send + Sync {
    /// Seals `plain` for `context`, under the current key.
    fn seal(&self, context: SealContext, plain: &[u8]) -> Result<Sealed, VaultError>;

    /// Opens what was sealed for the same `context`.
    fn open(&self, context: SealContext, sealed: &Sealed) -> Result<Secret<Vec<u8>>, VaultError>;
}

/// What a blob is bound to: it opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealContext {
    /// What the secret is for. Each purpose has a key of its own.
    pub purpose: Purpose,
    /// The public identifier of the row that holds the blob.
    pub row: Uuid,
}

/// What a sealed secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::AsRefStr, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum Purpose {
    /// The secret settings of an activation.
    Credentials,
    /// A pending authorization: verifier, state and what belongs to them.
    Authorization,
    /// What an authorization server granted, and what it said last.
    Grant,
    /// The credentials of a client registered with an authorization server.
    ClientRegistration,
}

/// A sealed blob: opaque, safe to store.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Takes a blob back from storage.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The blob, for storage.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Why a vault did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key that sealed the blob is not in the keyring.
    #[error(
        "the secret was sealed with key {key_id}, which the keyring does not hold; start with that key in LINKSPAN_MASTER_KEY_PREVIOUS"
    )]
    UnknownKey {
        /// The key's identifier, as in the blob.
        key_id: String,
    },
    /// The blob was altered, moved from another row or sealed for another purpose.
    #[error("the sealed secret does not belong to this row, or was altered")]
    Refused,
    /// The blob is not one of ours.
    #[error("the sealed secret is not in a format this program knows")]
    Malformed,
    /// The system's random generator failed.
    #[error("the system gave no randomness")]
    NoRandomness,
}
