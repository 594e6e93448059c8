//! Sealing of secrets.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
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

    /// The master key that seals.
    fn current(&self) -> KeyId;

    /// The master keys that only open.
    fn previous(&self) -> Vec<KeyId>;
}

/// Tells master keys apart without revealing anything about them: 4 bytes derived from the key, shown as 8 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; Self::LEN]);

/// A text that is not the identifier of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the identifier of a master key has 8 hexadecimal digits")]
pub struct InvalidKeyId;

/// What a blob is bound to: it opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealContext {
    /// What the secret is for. Each purpose has a key of its own.
    pub purpose: Purpose,
    /// The public identifier of the row that holds the blob.
    pub row: Uuid,
}

/// What a sealed secret is for.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::AsRefStr,
    strum::Display,
    strum::EnumIter,
    strum::EnumString,
)]
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

/// A sealed blob, safe to store. It begins with a header that names the key, so that a store can tell what is to be sealed
/// anew; the rest is the vault's.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl KeyId {
    /// How many bytes it has.
    pub const LEN: usize = 4;

    /// Takes an identifier back from a blob or from storage.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The identifier, for a blob or for storage.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|it| write!(f, "{it:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        let is_hex = text.len() == 2 * Self::LEN && text.bytes().all(|it| it.is_ascii_hexdigit());
        let number = u32::from_str_radix(text, 16).ok().filter(|_| is_hex);
        number.map(|it| Self(it.to_be_bytes())).ok_or(InvalidKeyId)
    }
}

impl TryFrom<String> for KeyId {
    type Error = InvalidKeyId;

    fn try_from(text: String) -> Result<Self, InvalidKeyId> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(key: KeyId) -> Self {
        key.to_string()
    }
}

impl Sealed {
    /// The version of the format: the first byte.
    pub const VERSION: u8 = 1;

    /// How long the header is: the version, then the identifier of the key.
    pub const HEADER_LEN: usize = 1 + KeyId::LEN;

    /// What blobs begin with that `key` sealed.
    pub const fn header(key: KeyId) -> [u8; Self::HEADER_LEN] {
        let [a, b, c, d] = key.0;
        [Self::VERSION, a, b, c, d]
    }

    /// Which key sealed it, whether or not anybody holds that key.
    pub fn key_id(&self) -> Result<KeyId, VaultError> {
        let header = self.0.split_first().filter(|(version, _)| **version == Self::VERSION);
        let key = header.and_then(|(_, rest)| rest.first_chunk().copied());
        key.map(KeyId).ok_or(VaultError::Malformed)
    }

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
        key_id: KeyId,
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

#[cfg(test)]
mod tests {
    use super::{KeyId, Sealed, VaultError};

    #[test]
    fn the_identifier_of_a_key_is_eight_hex_digits() {
        let key = KeyId::from_bytes([0xc4, 0x08, 0, 0x3d]);
        assert_eq!(key.to_string(), "c408003d");
        assert_eq!("c408003d".parse(), Ok(key));
        for none in ["", "c408003", "c408003d0", "+408003d", "c408003g"] {
            assert!(none.parse::<KeyId>().is_err(), "{none}");
        }
    }

    #[test]
    fn a_blob_names_its_key_in_its_header() {
        let key = KeyId::from_bytes([1, 2, 3, 4]);
        let blob = Sealed::from_bytes([&Sealed::header(key)[..], b"rest"].concat());
        assert_eq!(blob.key_id(), Ok(key));
        for none in [&b""[..], b"\x01\x02\x03\x04", b"\x02\x01\x02\x03\x04"] {
            assert_eq!(Sealed::from_bytes(none.to_vec()).key_id(), Err(VaultError::Malformed));
        }
    }
}
