//! Connections kept between uses of one activation.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use linkspan_domain::WorkspaceConnectorId;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::Failure;

/// Names the pool of one activation with one state of its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    activation: WorkspaceConnectorId,
    settings: [u8; 32],
}

impl PoolKey {
    /// The key of `activation` while it has `settings`.
    pub fn of(activation: WorkspaceConnectorId, settings: &Value) -> Self {
        Self { activation, settings: Sha256::digest(settings.to_string()).into() }
    }
}

/// Keeps one pool per activation. New settings, such as a rotated password, replace the old pool;
/// pools that were idle for ten minutes are let go.
pub struct PoolCache<P> {
    pools: Mutex<HashMap<WorkspaceConnectorId, Kept<P>>>,
}

struct Kept<P> {
    settings: [u8; 32],
    pool: P,
    used: Instant,
}

/// How long a pool is kept that nobody uses.
const IDLE: Duration = Duration::from_mins(10);

impl<P> Default for PoolCache<P> {
    fn default() -> Self {
        Self { pools: Mutex::default() }
    }
}

impl<P: Clone> PoolCache<P> {
    /// The pool kept under `key`, or a new one from `open`. Without a key the pool is not kept.
    ///
    /// Two callers that arrive together may both open one; the first to finish is kept and given to both.
    pub async fn get_or_open(
        &self,
        key: Option<PoolKey>,
        open: impl Future<Output = Result<P, Failure>>,
    ) -> Result<P, Failure> {
        let Some(key) = key else { return open.await };
        if let Some(pool) = self.get(key) {
            return Ok(pool);
        }
        let pool = open.await?;
        Ok(self.get(key).unwrap_or_else(|| self.put(key, pool)))
    }

    /// Forgets the pool of `key`, if it is the one kept: for a pool that turned out broken.
    pub fn forget(&self, key: PoolKey) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if pools.get(&key.activation).is_some_and(|kept| kept.settings == key.settings) {
            pools.remove(&key.activation);
        }
    }

    fn get(&self, key: PoolKey) -> Option<P> {
        let now = Instant::now();
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, kept| now.duration_since(kept.used) < IDLE);
        let kept = pools.get_mut(&key.activation)?;
        (kept.settings == key.settings).then(|| {
            kept.used = now;
            kept.pool.clone()
        })
    }

    fn put(&self, key: PoolKey, pool: P) -> P {
        let kept = Kept { settings: key.settings, pool: pool.clone(), used: Instant::now() };
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).insert(key.activation, kept);
        pool
    }
}

#[cfg(test)]
mod tests {
    use std::{future::ready, sync::Arc};

    use linkspan_domain::WorkspaceConnectorId;
    use serde_json::json;

    use super::{IDLE, PoolCache, PoolKey};

    fn key(password: &str) -> PoolKey {
        PoolKey::of(
            WorkspaceConnectorId::from_uuid(uuid::Uuid::nil()),
            &json!({ "password": password }),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_is_kept_until_its_settings_change_or_it_is_idle() {
        let cache = PoolCache::<Arc<u8>>::default();
        let one = cache.get_or_open(Some(key("a")), ready(Ok(Arc::new(1)))).await.unwrap();
        let same = cache.get_or_open(Some(key("a")), ready(Ok(Arc::new(2)))).await.unwrap();
        assert!(Arc::ptr_eq(&one, &same));

        let rotated = cache.get_or_open(Some(key("b")), ready(Ok(Arc::new(3)))).await.unwrap();
        assert_eq!(*rotated, 3);

        tokio::time::advance(IDLE).await;
        let later = cache.get_or_open(Some(key("b")), ready(Ok(Arc::new(4)))).await.unwrap();
        assert_eq!(*later, 4);
    }

    #[tokio::test]
    async fn draft_settings_keep_no_pool() {
        let cache = PoolCache::<u8>::default();
        assert_eq!(cache.get_or_open(None, ready(Ok(1))).await.unwrap(), 1);
        assert_eq!(cache.get_or_open(None, ready(Ok(2))).await.unwrap(), 2);
    }
}
