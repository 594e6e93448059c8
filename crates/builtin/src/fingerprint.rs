//! What changes are known by, however often they are written down.

use linkspan_sdk::RecordVersion;
use sha2::{Digest, Sha256};

/// A hash of which records changed and when, change by change: the same changes have the same one.
#[derive(Default)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    /// One that differs from those of the same changes elsewhere.
    pub(crate) fn within(place: &str) -> Self {
        Self(Sha256::new_with_prefix(format!("{} {place}", place.len())))
    }

    pub(crate) fn add(&mut self, version: &RecordVersion) {
        let (position, key) = (version.position(), &version.key);
        self.0.update(format!("{position} {} {key}", key.len()));
    }

    /// So many bytes of it.
    pub(crate) fn bytes<const N: usize>(self) -> [u8; N] {
        const { assert!(N <= 32) }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0.finalize()[..N]);
        bytes
    }
}
