//! Mappings: what the records of a stream become.

use serde::{Deserialize, Serialize, Serializer};
use strum::VariantNames;
use time::OffsetDateTime;

use crate::{
    Attribute, ConnectorMappingId, Resource, ResourceType, Revision, StreamName, TargetModel,
    Visible, WorkspaceConnectorId, WorkspaceId,
};

/// What the records of one stream of an activation become: objects of one target model.
///
/// There is at most one live mapping of a stream to a model. Each rewrite is a new [version](MappingVersion), which begins
/// with the first record again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorMapping {
    /// Stable public identifier.
    pub id: ConnectorMappingId,
    /// How often it was written.
    pub revision: Revision,
    /// Of which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// In which workspace.
    pub workspace_id: WorkspaceId,
    /// Of which stream.
    pub stream: StreamName,
    /// What the records become.
    pub target_model: TargetModel,
    /// The JSONata expression.
    pub expression: String,
    /// The number of this wording of it, from 1.
    pub version: u32,
    /// Where this wording comes from.
    pub origin: MappingOrigin,
    /// How sure the proposal was, if it was proposed.
    pub confidence: Option<Confidence>,
    /// Whether runs use it.
    pub status: MappingStatus,
    /// Whether the stream changed in a way that the expression may not fit any more.
    pub needs_regeneration: bool,
    /// What happens when a wording persists far fewer records than the one before.
    pub on_collapse: OnCollapse,
    /// How many entities the last run with this wording wrote.
    pub last_persist_count: u64,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
    /// When it was deleted.
    pub deleted_at: Option<OffsetDateTime>,
}

/// Where the wording of a mapping comes from.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
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
pub enum MappingOrigin {
    /// The platform proposed it.
    Suggested,
    /// A person wrote it.
    Written,
    /// It is an earlier wording, since the one after it did worse.
    Reverted,
}

/// Whether runs use a mapping.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
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
pub enum MappingStatus {
    /// Runs use it.
    Active,
    /// A person should look at it first.
    Proposed,
}

/// What happens when a wording [collapses](MappingVersion::has_collapsed_since).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
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
pub enum OnCollapse {
    /// The wording before comes back.
    #[default]
    Revert,
    /// It stays: it is meant to leave records out.
    Keep,
}

/// How sure a proposal is: from 0 to 1, in thousandths, which is all that such a figure can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence(u16);

/// One wording of a mapping, and how it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingVersion {
    /// Of which mapping.
    pub connector_mapping_id: ConnectorMappingId,
    /// Its number, from 1.
    pub version: u32,
    /// The JSONata expression.
    pub expression: String,
    /// Where it comes from.
    pub origin: MappingOrigin,
    /// How sure the proposal was, if it was proposed.
    pub confidence: Option<Confidence>,
    /// What it did so far.
    pub counts: MappingCounts,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// What a wording of a mapping did. All count records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MappingCounts {
    /// Given to it.
    pub mapped: u64,
    /// Those that became at least one entity.
    pub persisted: u64,
    /// Those that it failed on.
    pub failed: u64,
}

/// A record that a mapping failed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmappedRecord {
    /// Its place in the order of the list.
    pub position: i64,
    /// Names it within its stream.
    pub key: String,
    /// What went wrong. Repeats no value of the record.
    pub reason: String,
    /// When it first went wrong.
    pub first_seen_at: OffsetDateTime,
    /// When it last went wrong.
    pub last_seen_at: OffsetDateTime,
}

impl ConnectorMapping {
    /// Gives it another wording, which runs use from now on.
    pub fn reword(
        &mut self,
        expression: String,
        origin: MappingOrigin,
        confidence: Option<Confidence>,
    ) {
        self.expression = expression;
        self.origin = origin;
        self.confidence = confidence;
        self.version += 1;
        self.status = MappingStatus::Active;
        self.needs_regeneration = false;
        self.last_persist_count = 0;
    }
}

impl MappingVersion {
    /// So many records it takes to compare two wordings.
    pub const TELLING: u64 = 20;

    /// Whether this wording does so much worse than `before`, the one that it took the place of, that the platform goes
    /// back: of the records given to it, not even half the share became entities. Both have to have been at work on
    /// [enough](Self::TELLING) records. A wording that the platform went back to is not left again.
    pub fn has_collapsed_since(&self, before: &Self) -> bool {
        let (now, then) = (self.counts, before.counts);
        if self.origin == MappingOrigin::Reverted
            || then.persisted < Self::TELLING
            || now.mapped < Self::TELLING
        {
            return false;
        }
        // now.persisted / now.mapped < then.persisted / then.mapped / 2
        let share_now = 2 * u128::from(now.persisted) * u128::from(then.mapped);
        share_now < u128::from(then.persisted) * u128::from(now.mapped)
    }
}

impl Confidence {
    /// Takes a share, from 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and 1000"
    )]
    pub fn of(share: f64) -> Self {
        Self((share.clamp(0.0, 1.0) * 1_000.0).round() as u16)
    }

    /// Takes thousandths back from storage.
    pub fn from_thousandths(thousandths: u16) -> Self {
        Self(thousandths.min(1_000))
    }

    /// In thousandths, for storage.
    pub const fn thousandths(self) -> u16 {
        self.0
    }

    /// As a share, from 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }
}

impl Serialize for Confidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.share())
    }
}

impl Resource for ConnectorMapping {
    type Id = ConnectorMappingId;
    type Tenancy = Visible;
    const TYPE: ResourceType = ResourceType::ConnectorMapping;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("connector_mapping_id"),
        Attribute::id("workspace_connector_id"),
        Attribute::id("workspace_id"),
        Attribute::text("stream"),
        Attribute::one_of("target_model", TargetModel::VARIANTS),
        Attribute::one_of("origin", MappingOrigin::VARIANTS),
        Attribute::one_of("status", MappingStatus::VARIANTS),
        Attribute::boolean("needs_regeneration"),
        Attribute::one_of("on_collapse", OnCollapse::VARIANTS),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
        Attribute::date("deleted_at"),
    ];

    fn id(&self) -> ConnectorMappingId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn version(origin: MappingOrigin, mapped: u64, persisted: u64) -> MappingVersion {
        MappingVersion {
            connector_mapping_id: ConnectorMappingId::from_uuid(Uuid::nil()),
            version: 1,
            expression: String::new(),
            origin,
            confidence: None,
            counts: MappingCounts { mapped, persisted, failed: mapped - persisted },
            created_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_wording_has_collapsed_when_its_share_is_less_than_half_of_that_before() {
        let before = version(MappingOrigin::Written, 100, 80);
        for (mapped, persisted, expected) in
            [(100, 39, true), (100, 40, false), (50, 0, true), (19, 0, false), (1_000, 800, false)]
        {
            let now = version(MappingOrigin::Written, mapped, persisted);
            assert_eq!(now.has_collapsed_since(&before), expected, "{persisted} of {mapped}");
        }
        let now = version(MappingOrigin::Suggested, 100, 0);
        assert!(!now.has_collapsed_since(&version(MappingOrigin::Written, 19, 19)));
        let back = version(MappingOrigin::Reverted, 100, 0);
        assert!(!back.has_collapsed_since(&before), "it does not go back and forth");
    }

    #[test]
    fn confidence_is_a_share_in_thousandths() {
        assert_eq!(Confidence::of(0.8496).thousandths(), 850);
        assert_eq!(Confidence::of(7.0).share().to_string(), "1");
        assert_eq!(serde_json::to_string(&Confidence::of(0.55)).unwrap(), "0.55");
    }
}
