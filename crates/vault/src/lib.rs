//! Keys: the keyring and the sealing of secrets under it, those that tokens are signed and checked with, and those of OAuth
//! clients.

mod client_keys;
mod identity_provider;
mod jwt;
mod key;
mod key_file;
mod keyring;
mod provider_key;
mod source;
mod token;
mod token_keys;
mod tokens;
mod vault;

pub use client_keys::ClientKeys;
pub use identity_provider::{IdentityProvider, InvalidProvider};
pub use key::{InvalidKey, MasterKey};
pub use key_file::KeyFileError;
pub use keyring::{KeyPolicy, Keyring, KeyringError};
pub use source::{GivenKey, KeyCommand, KeyFile, KeySource, KeySourceError};
pub use token::random_token;
pub use token_keys::{InvalidTokenSecret, TokenKeys};
pub use tokens::BearerTokens;
pub use vault::KeyringVault;
