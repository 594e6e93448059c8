//! Idempotency keys.

use async_trait::async_trait;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::StoreError;
use crate::{IdempotencyClaim, ResourceType};

/// Keeps the keys under which calls were made.
///
/// # Contract
///
/// - Of several calls with one scope and key, one at a time gets [`Claimed::Fresh`].
/// - A claim that is neither fulfilled nor released within [`CLAIM_LASTS`] can be claimed again, under another token.
/// - A fulfilled key is remembered for [`REPLY_LASTS`].
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// Claims `scope` and `key` for a call whose payload has this fingerprint. `token` names the claim.
    async fn claim(
        &self,
        scope: &str,
        key: &str,
        fingerprint: &str,
        token: Uuid,
        now: OffsetDateTime,
    ) -> Result<Claimed, StoreError>;

    /// Gives a claim back: its call failed and had no effect.
    async fn release(&self, claim: &IdempotencyClaim) -> Result<(), StoreError>;
}

/// How long a claim holds without being fulfilled.
pub const CLAIM_LASTS: Duration = Duration::minutes(2);

/// How long the reply to a key is remembered.
pub const REPLY_LASTS: Duration = Duration::hours(24);

/// What came of claiming a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The call may go on.
    Fresh(IdempotencyClaim),
    /// Another call with the key is at work.
    InFlight,
    /// The key was used with another payload.
    Mismatch,
    /// The key was used, and this came of it.
    Done(ResourceType, Uuid),
}
