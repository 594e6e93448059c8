//! Counting how often keys seal: with random nonces, no key may do so more often than so many times.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use linkspan_domain::{
    Secret,
    ports::{
        KeyId, KeyStore, KeyUsage, Purpose, SealContext, Sealed, StoreError, Vault, VaultError,
        World,
    },
};
use tokio_util::sync::CancellationToken;

/// A vault that counts how often it seals.
///
/// The store is told ahead, in blocks: after a crash it knows of more than there was, not of less. What a process seals between
/// two looks may be missing, which is nothing beside the bound.
pub struct MeteredVault {
    vault: Arc<dyn Vault>,
    store: Arc<dyn KeyStore>,
    world: Arc<dyn World>,
    tallies: Mutex<BTreeMap<Purpose, Tally>>,
}

/// What this process has sealed.
#[derive(Clone, Copy, Default)]
struct Tally {
    sealed: u64,
    /// What the store was told.
    told: u64,
}

/// How much the store is told ahead.
const BLOCK: u64 = 1 << 16;

/// How often it is looked whether there is something to tell.
const AGAIN: Duration = Duration::from_secs(1);

impl MeteredVault {
    /// Counts what `vault` seals, in `store`.
    pub const fn new(
        vault: Arc<dyn Vault>,
        store: Arc<dyn KeyStore>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { vault, store, world, tallies: Mutex::new(BTreeMap::new()) }
    }

    /// Tells the store of what is sealed, until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_some() {
            self.tell(Self::ahead).await;
        }
        self.settle().await;
    }

    /// Tells the store of what was sealed, and of no more.
    pub async fn settle(&self) {
        self.tell(|tally| tally.sealed).await;
    }

    /// Of how much the store is to know: so much that half a block is left.
    const fn ahead(tally: Tally) -> u64 {
        if tally.sealed == 0 || tally.sealed + BLOCK / 2 <= tally.told {
            tally.told
        } else {
            tally.sealed + BLOCK
        }
    }

    async fn tell(&self, wanted: impl Fn(Tally) -> u64) {
        let tallies = self.tallies().clone();
        for (purpose, tally) in tallies {
            let wanted = wanted(tally);
            if wanted == tally.told {
                continue;
            }
            match self.count(purpose, tally.told, wanted).await {
                Ok(usage) => {
                    self.tallies().entry(purpose).or_default().told = wanted;
                    warn_if_worn(usage);
                }
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "how often the master key has sealed is not told yet"
                ),
            }
        }
    }

    async fn count(
        &self,
        purpose: Purpose,
        told: u64,
        wanted: u64,
    ) -> Result<KeyUsage, StoreError> {
        let key = self.vault.current();
        let more = i64::try_from(i128::from(wanted) - i128::from(told)).unwrap_or(i64::MAX);
        let sealed = self.store.count(key, purpose, more, self.world.now()).await?;
        Ok(KeyUsage { key, purpose, sealed })
    }

    fn tallies(&self) -> std::sync::MutexGuard<'_, BTreeMap<Purpose, Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vault for MeteredVault {
    fn seal(&self, context: SealContext, plain: &[u8]) -> Result<Sealed, VaultError> {
        self.tallies().entry(context.purpose).or_default().sealed += 1;
        self.vault.seal(context, plain)
    }

    fn open(&self, context: SealContext, sealed: &Sealed) -> Result<Secret<Vec<u8>>, VaultError> {
        self.vault.open(context, sealed)
    }

    fn current(&self) -> KeyId {
        self.vault.current()
    }

    fn previous(&self) -> Vec<KeyId> {
        self.vault.previous()
    }
}

fn warn_if_worn(usage: KeyUsage) {
    if usage.is_worn() {
        tracing::warn!(
            key = %usage.key,
            purpose = %usage.purpose,
            sealed = usage.sealed,
            bound = KeyUsage::BOUND,
            "the master key has sealed more than half as often as it may; set a new one, and run `linkspan keys rotate`"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use linkspan_domain::ports::{MockKeyStore, MockVault};
    use uuid::Uuid;

    use super::*;
    use crate::fixtures::world;

    /// A metered vault, and what its store has been told.
    fn metered() -> (MeteredVault, Arc<AtomicI64>) {
        let key = KeyId::from_bytes([1; 4]);
        let mut vault = MockVault::new();
        vault.expect_current().return_const(key);
        vault.expect_seal().returning(|_, plain| Ok(Sealed::from_bytes(plain.to_vec())));
        let (mut store, told) = (MockKeyStore::new(), Arc::new(AtomicI64::new(0)));
        let total = Arc::clone(&told);
        store.expect_count().returning(move |_, _, more, _| {
            let before = total.fetch_add(more, Ordering::Relaxed);
            Ok(u64::try_from(before + more).unwrap())
        });
        (MeteredVault::new(Arc::new(vault), Arc::new(store), world()), told)
    }

    fn seal(vault: &MeteredVault, times: u64) {
        let context = SealContext { purpose: Purpose::Credentials, row: Uuid::nil() };
        (0..times).for_each(|_| drop(vault.seal(context, b"x").unwrap()));
    }

    #[tokio::test]
    async fn the_store_is_always_told_ahead_and_of_what_there_was_in_the_end() {
        let (vault, told) = metered();
        let told = || u64::try_from(told.load(Ordering::Relaxed)).unwrap();
        vault.tell(MeteredVault::ahead).await;
        assert_eq!(told(), 0, "whoever seals nothing counts nothing");
        seal(&vault, 10);
        vault.tell(MeteredVault::ahead).await;
        assert_eq!(told(), BLOCK + 10);
        seal(&vault, BLOCK / 2 + 1);
        vault.tell(MeteredVault::ahead).await;
        assert_eq!(told(), BLOCK + BLOCK / 2 + 11);
        vault.settle().await;
        assert_eq!(told(), BLOCK / 2 + 11);
    }

    #[test]
    fn half_of_the_bound_is_when_to_warn() {
        let usage = |sealed| KeyUsage {
            key: KeyId::from_bytes([1; 4]),
            purpose: Purpose::Credentials,
            sealed,
        };
        assert!(!usage((1 << 31) - 1).is_worn() && usage(1 << 31).is_worn());
    }
}
