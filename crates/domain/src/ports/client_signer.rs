//! Signing for OAuth clients.

use crate::{ClientKey, ClientKeyError, Secret};

/// Makes what clients prove with that they have a private key (RFC 7523 §2.2, §3).
///
/// # Contract
///
/// - Every assertion has a `jti` of its own, of at least 128 random bits, and ends within a minute or so.
/// - No error repeats any part of a key.
pub trait ClientSigner: Send + Sync {
    /// Passes if `key` can sign.
    fn check(&self, key: &ClientKey) -> Result<(), ClientKeyError>;

    /// That the client `client_id` is who asks, for `audience` alone, signed with `key`: a new one each time.
    fn assertion(
        &self,
        key: &ClientKey,
        client_id: &str,
        audience: &str,
    ) -> Result<Secret<String>, ClientKeyError>;
}
