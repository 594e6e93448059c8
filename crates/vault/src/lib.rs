//! The keyring, and the sealing of secrets under it.

mod key;
mod key_file;
mod keyring;
mod token;
mod vault;

pub use key::{InvalidKey, KeyId, MasterKey};
pub use key_file::KeyFileError;
pub use keyring::{KeyPolicy, Keyring, KeyringError};
pub use token::random_token;
pub use vault::KeyringVault;
