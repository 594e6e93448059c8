//! What the parts of the product are given here: the clock, and a vault whose key is known.

use std::sync::Arc;

use anyhow::Result;
use linkspan_domain::ports::{Vault, World};
use linkspan_vault::{Keyring, KeyringVault, MasterKey};
use time::OffsetDateTime;
use uuid::Uuid;

/// The master key, as a setting.
pub(crate) fn master_key() -> String {
    "07".repeat(32)
}

/// A vault under that key.
pub(crate) fn vault() -> Result<Arc<dyn Vault>> {
    let keyring = Keyring::new(MasterKey::from_bytes([0x07; 32]), [])?;
    Ok(Arc::new(KeyringVault::new(keyring)))
}

/// The real time, and identifiers made from it.
pub(crate) struct RealWorld;

impl World for RealWorld {
    #[expect(clippy::disallowed_methods, reason = "tokens end by the clock")]
    fn now(&self) -> OffsetDateTime {
        let now = OffsetDateTime::now_utc();
        // Whole microseconds: what every store keeps.
        now.replace_nanosecond(now.microsecond() * 1_000).unwrap_or(now)
    }

    #[expect(clippy::disallowed_methods, reason = "here is the world")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}
