//! What is sealed under which master key, and sealing it anew.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{KeyId, Purpose, SealContext, Sealed, Store, StoreError};
use crate::{KeyRotation, Receipt};

/// Finds what is sealed, wherever that is, and knows how often each key has sealed.
///
/// # Contract
///
/// - [`census`](Self::census) counts every sealed blob there is, of all workspaces, those of deleted things too.
/// - [`sealed_otherwise`](Self::sealed_otherwise) answers every blob that the key did not seal, each once, in an order in which
///   the pages neither repeat nor skip any that was there all along.
/// - [`count`](Self::count) adds in one statement: counts of several processes at once are all kept.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// How many blobs there are of each purpose under each key.
    async fn census(&self) -> Result<Vec<SealedCount>, StoreError>;

    /// Blobs that `key` did not seal, behind `after`, no more than `limit`.
    async fn sealed_otherwise(
        &self,
        key: KeyId,
        after: Option<SealedAt>,
        limit: u32,
    ) -> Result<Vec<SealedRow>, StoreError>;

    /// How often each key has sealed.
    async fn usage(&self) -> Result<Vec<KeyUsage>, StoreError>;

    /// Adds `more` to how often `key` has sealed for `purpose`, and answers how often that is. Never less than nothing.
    async fn count(
        &self,
        key: KeyId,
        purpose: Purpose,
        more: i64,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError>;
}

/// Keeps rotations of the master key, and sees to it that one is at work at a time.
///
/// # Contract
///
/// - One rotation runs at a time. [`start`](Self::start) of another answers the one that runs, which is what an idempotency key
///   is answered with, too, and keeps nothing else; unless that one is to another key and nobody works on it: then it is given
///   up.
/// - [`claim`](Self::claim) hands a running rotation to one worker at a time: to another only once the lease ran out, and never
///   to one that seals with another key.
/// - [`advance`](Self::advance) is one transaction: the blobs that are still what they were, the counts and the lease.
///   [`StoreError::Stale`] if the worker does not hold the rotation any more; then nothing is written.
/// - Sealing anew changes neither the revision of a thing nor when it was last written.
#[async_trait]
pub trait KeyRotationStore: Store<KeyRotation> {
    /// Adds `rotation`, unless one runs. Answers the one that is there now.
    async fn start(
        &self,
        rotation: &KeyRotation,
        receipt: &Receipt,
    ) -> Result<KeyRotation, StoreError>;

    /// Hands the rotation to `key` that runs to `worker`, until `until`. None if there is nothing to do.
    async fn claim(
        &self,
        key: KeyId,
        worker: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<KeyRotation>, StoreError>;

    /// Puts `blobs` in the place of those they were made of, and writes `rotation` as it is then, which `worker` holds.
    async fn advance(
        &self,
        rotation: KeyRotation,
        worker: &str,
        blobs: &[Resealed],
    ) -> Result<KeyRotation, StoreError>;
}

/// How many blobs a key sealed for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealedCount {
    /// Which key. None: the blobs are in no format that is known.
    pub key: Option<KeyId>,
    /// For what.
    pub purpose: Purpose,
    /// How many.
    pub count: u64,
}

/// Where a sealed blob is. It means something to its store alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealedAt {
    /// Which of the places that have sealed blobs.
    pub place: usize,
    /// Which row there.
    pub row: i64,
}

/// A sealed blob, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    /// Where it is.
    pub at: SealedAt,
    /// What that is called: `workspace_connectors`.
    pub place: &'static str,
    /// What it is bound to.
    pub context: SealContext,
    /// The blob.
    pub blob: Sealed,
}

/// A blob that was sealed anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resealed {
    /// As it was found.
    pub row: SealedRow,
    /// What comes in its place.
    pub blob: Sealed,
}

/// How often a key has sealed for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyUsage {
    /// Which key.
    pub key: KeyId,
    /// For what.
    pub purpose: Purpose,
    /// How often, at least: processes count in blocks, ahead.
    pub sealed: u64,
}

impl KeyUsage {
    /// How often one key may seal for one purpose: with random nonces of 96 bits, 2^32 times (NIST SP 800-38D §8.3).
    pub const BOUND: u64 = 1 << 32;

    /// Whether it is time for another key: half of [`BOUND`](Self::BOUND) is used up.
    pub const fn is_worn(&self) -> bool {
        self.sealed >= Self::BOUND / 2
    }
}
