//! The keyring, and the sealing of secrets under it.

mod key;
mod key_file;
mod keyring;
mod source;
mod token;
mod vault;

pub use key::{InvalidKey, MasterKey};
pub use key_file::KeyFileError;
pub use keyring::{KeyPolicy, Keyring, KeyringError};
pub use source::{GivenKey, KeyCommand, KeyFile, KeySource, KeySourceError};
pub use token::random_token;
pub use vault::KeyringVault;
