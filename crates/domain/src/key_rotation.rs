//! Sealing everything anew under another master key.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use strum::VariantNames;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Attribute, KeyRotationId, Lease, OrganizationId, Resource, ResourceType, Revision, Within,
    ports::{KeyId, VaultError},
};

/// One pass over all that is sealed, after which it is sealed under [`to_key`](Self::to_key). The row is the truth of it: how
/// far it is, and who works on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRotation {
    /// Stable public identifier.
    pub id: KeyRotationId,
    /// How often it was written.
    pub revision: Revision,
    /// Whose secrets.
    pub organization_id: OrganizationId,
    /// How far it is.
    pub status: KeyRotationStatus,
    /// The key that seals from now on.
    pub to_key: KeyId,
    /// The keys that sealed what there was to do.
    pub from_keys: BTreeSet<KeyId>,
    /// What became of the secrets.
    pub counts: KeyRotationCounts,
    /// What could not be sealed anew: the first [`Self::NAMED`].
    pub failures: Vec<KeyRotationFailure>,
    /// Who works on it. None while it waits, and after it ended.
    pub lease: Option<Lease>,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
    /// When it ended.
    pub completed_at: Option<OffsetDateTime>,
}

/// How far a rotation is.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum KeyRotationStatus {
    /// Somebody works on it, or will.
    Running,
    /// Everything is sealed under the new key.
    Done,
    /// It is over, and not everything is sealed under the new key.
    Failed,
}

/// What became of the secrets. Once the rotation is over, the last three make up the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotationCounts {
    /// Sealed blobs that there are, or were, under other keys.
    pub total: u64,
    /// Sealed anew.
    pub rotated: u64,
    /// Written or purged by others meanwhile.
    pub skipped: u64,
    /// They do not open, and stay as they are.
    pub failed: u64,
}

/// A blob that could not be sealed anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotationFailure {
    /// Where it is: `workspace_connectors`.
    pub place: String,
    /// The public identifier of its row.
    pub id: Uuid,
    /// Why.
    pub reason: KeyRotationRefusal,
    /// The key that sealed it, as far as that can be told.
    pub key_id: Option<KeyId>,
}

/// Why a blob could not be sealed anew.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum KeyRotationRefusal {
    /// The key that sealed it is not there.
    KeyUnknown,
    /// It was altered, or belongs to another row.
    Altered,
    /// It is in no format that is known.
    Malformed,
}

/// What a master key is for.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum KeyRole {
    /// It seals, and opens.
    Current,
    /// It only opens.
    Previous,
    /// It is not here: what it sealed does not open.
    Unknown,
}

impl KeyRotation {
    /// How many failures are named.
    pub const NAMED: usize = 100;

    /// One that has `total` blobs of `from_keys` to seal under `to_key`. Without any it is over.
    pub fn new(
        id: KeyRotationId,
        organization_id: OrganizationId,
        to_key: KeyId,
        (from_keys, total): (BTreeSet<KeyId>, u64),
        now: OffsetDateTime,
    ) -> Self {
        let is_done = total == 0;
        Self {
            id,
            revision: Revision::FIRST,
            organization_id,
            status: if is_done { KeyRotationStatus::Done } else { KeyRotationStatus::Running },
            to_key,
            from_keys,
            counts: KeyRotationCounts { total, ..KeyRotationCounts::default() },
            failures: Vec::new(),
            lease: None,
            created_at: now,
            updated_at: now,
            completed_at: is_done.then_some(now),
        }
    }

    /// Looks at everything once more. What failed before may open now, and is counted anew.
    pub fn begin_pass(&mut self) {
        self.failures.clear();
        self.counts.failed = 0;
    }

    /// Of `offered` blobs that were sealed anew, `written` were still what they had been.
    pub const fn sealed_anew(&mut self, offered: u64, written: u64) {
        self.counts.rotated += written;
        self.counts.skipped += offered.saturating_sub(written);
        self.grow();
    }

    /// A blob could not be sealed anew.
    pub fn failed(&mut self, failure: KeyRotationFailure) {
        if self.failures.len() < Self::NAMED {
            self.failures.push(failure);
        }
        self.counts.failed += 1;
        self.grow();
    }

    /// How many blobs were changed so far, by this rotation or by others.
    pub const fn changed(&self) -> u64 {
        self.counts.rotated + self.counts.skipped
    }

    /// It is over: a pass changed nothing any more.
    pub fn finish(&mut self, now: OffsetDateTime) {
        let KeyRotationCounts { total, rotated, failed, .. } = self.counts;
        // Some were gone before their turn came.
        self.counts.skipped = total - rotated - failed;
        self.close(now);
        if failed == 0 {
            self.status = KeyRotationStatus::Done;
        }
    }

    /// It is over before its time: another key is to seal.
    pub fn give_up(&mut self, now: OffsetDateTime) {
        self.close(now);
    }

    fn close(&mut self, now: OffsetDateTime) {
        self.status = KeyRotationStatus::Failed;
        self.lease = None;
        self.updated_at = now;
        self.completed_at = Some(now);
    }

    /// What others write under an old key meanwhile comes on top.
    const fn grow(&mut self) {
        let seen = self.changed() + self.counts.failed;
        if seen > self.counts.total {
            self.counts.total = seen;
        }
    }
}

impl KeyRotationRefusal {
    /// What `error` means for a rotation. None: it says nothing of the blob.
    pub const fn of(error: &VaultError) -> Option<Self> {
        match error {
            VaultError::UnknownKey { .. } => Some(Self::KeyUnknown),
            VaultError::Refused => Some(Self::Altered),
            VaultError::Malformed => Some(Self::Malformed),
            VaultError::NoRandomness => None,
        }
    }
}

impl Resource for KeyRotation {
    type Id = KeyRotationId;
    type Tenancy = Within;
    const TYPE: ResourceType = ResourceType::KeyRotation;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("key_rotation_id"),
        Attribute::one_of("status", KeyRotationStatus::VARIANTS),
        Attribute::text("to_key"),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
    ];

    fn id(&self) -> KeyRotationId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-05-01 12:00 UTC);

    fn rotation(total: u64) -> KeyRotation {
        let (id, organization) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let from = BTreeSet::from([KeyId::from_bytes([1; 4])]);
        KeyRotation::new(
            KeyRotationId::from_uuid(id),
            OrganizationId::from_uuid(organization),
            KeyId::from_bytes([2; 4]),
            (from, total),
            NOW,
        )
    }

    fn failure() -> KeyRotationFailure {
        KeyRotationFailure {
            place: "workspace_connectors".to_owned(),
            id: Uuid::from_u128(3),
            reason: KeyRotationRefusal::KeyUnknown,
            key_id: Some(KeyId::from_bytes([3; 4])),
        }
    }

    #[test]
    fn with_nothing_to_do_it_is_done_at_once() {
        let it = rotation(0);
        assert_eq!((it.status, it.completed_at), (KeyRotationStatus::Done, Some(NOW)));
    }

    #[test]
    fn the_counts_of_a_rotation_that_is_over_add_up() {
        let mut it = rotation(10);
        it.begin_pass();
        it.sealed_anew(6, 5);
        it.failed(failure());
        // A second pass: what failed is met again, and a process with the old key wrote two more.
        it.begin_pass();
        it.failed(failure());
        it.sealed_anew(2, 2);
        it.finish(NOW);
        let KeyRotationCounts { total, rotated, skipped, failed } = it.counts;
        assert_eq!((total, rotated, skipped, failed), (10, 7, 2, 1));
        assert_eq!((it.status, it.failures.len()), (KeyRotationStatus::Failed, 1));
    }

    #[test]
    fn more_than_there_was_at_first_is_counted_too() {
        let mut it = rotation(1);
        it.sealed_anew(3, 3);
        it.finish(NOW);
        assert_eq!((it.counts.total, it.counts.skipped), (3, 0));
        assert_eq!(it.status, KeyRotationStatus::Done);
    }

    #[test]
    fn so_many_failures_are_named_and_all_are_counted() {
        let mut it = rotation(1);
        (0..150).for_each(|_| it.failed(failure()));
        assert_eq!((it.failures.len(), it.counts.failed), (KeyRotation::NAMED, 150));
    }
}
