//! The keyring, and the sealing of secrets under it.
