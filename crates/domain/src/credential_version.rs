//! The versions of an activation's credentials: what was in use when, and what can be gone back to.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::VariantNames;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    ActorType, Attribute, CredentialVersionId, Resource, ResourceType, Revision, SealedSecrets,
    Visible, WorkspaceConnectorId, WorkspaceId,
};

/// One set of secrets that an activation has or had.
///
/// At most one version of an activation is active: its secrets are those of the activation itself. One that others took
/// the place of keeps a sealed snapshot for as long as it overlaps with them, and nothing after that.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialVersion {
    /// Stable public identifier, and what its snapshot is bound to.
    pub id: CredentialVersionId,
    /// How often it was written.
    pub revision: Revision,
    /// Of which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// In which workspace.
    pub workspace_id: WorkspaceId,
    /// Which one of the activation, counted from 1.
    pub number: u32,
    /// How far it is in its life. Changes through [`CredentialVersion::apply`].
    pub phase: CredentialPhase,
    /// Whether it was tried before it was put to use.
    pub test_status: CredentialTest,
    /// Why it was put to use, as somebody said.
    pub reason: Option<String>,
    /// Which kind of actor put it to use.
    pub actor_type: ActorType,
    /// Which actor. None for the platform itself.
    pub actor_id: Option<Uuid>,
    /// When it was put to use.
    pub created_at: OffsetDateTime,
}

/// How far a version is in its life, with what there is of it then.
#[derive(Clone, Debug, PartialEq)]
pub enum CredentialPhase {
    /// In use.
    Active,
    /// Others are in use, and it can be gone back to.
    Inactive {
        /// Since when others are in use.
        superseded_at: OffsetDateTime,
        /// Until when it can be gone back to.
        expires_at: OffsetDateTime,
        /// What to go back to.
        snapshot: CredentialSnapshot,
    },
    /// Nothing is left of its secrets.
    Revoked {
        /// Since when others are in use.
        superseded_at: OffsetDateTime,
        /// Since when nothing is left.
        revoked_at: OffsetDateTime,
    },
}

/// [`CredentialPhase`] as a word.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
    Serialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CredentialState {
    /// In use.
    Active,
    /// Others are in use, and it can be gone back to.
    Inactive,
    /// Nothing is left of its secrets.
    Revoked,
}

/// The settings of an activation at the end of a version: they belong to its secrets, as a user name does to a password.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialSnapshot {
    /// The settings, without secrets.
    pub config: Map<String, Value>,
    /// The secrets, sealed for the version and not for the activation.
    pub secrets: SealedSecrets,
}

/// Whether secrets were tried before they were put to use.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CredentialTest {
    /// They worked.
    Passed,
    /// They did not work, and somebody put them to use all the same.
    Failed,
    /// Nobody tried them, or the system did not tell whether it takes them, be they new or gone back to.
    Skipped,
    /// They were in use before, worked again, and were gone back to.
    Rollback,
}

/// What happens to a version.
#[derive(Clone, Debug, PartialEq)]
pub enum CredentialEvent {
    /// Other secrets took its place.
    Superseded {
        /// When.
        at: OffsetDateTime,
        /// For how long it can be gone back to.
        overlap: Overlap,
        /// What to go back to. Without an overlap there is none to seal.
        snapshot: Option<CredentialSnapshot>,
    },
    /// Its overlap is over, or somebody ended it.
    Revoked {
        /// When.
        at: OffsetDateTime,
    },
}

/// The state of a version does not allow that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("version {number} of the credentials {}", self.says())]
pub struct UnexpectedCredentialState {
    /// Which version.
    pub number: u32,
    /// Its state.
    pub state: CredentialState,
}

/// For how long secrets are kept after others took their place, in seconds: up to 90 days, a week unless said otherwise.
///
/// Runs that began before go on with the old ones meanwhile, and people can go back to them. None at all: the old ones are
/// gone at once.
///
/// ```
/// use linkspan_domain::Overlap;
///
/// assert_eq!(u32::from(Overlap::default()), 604_800);
/// assert!(Overlap::try_from(i64::from(Overlap::MAX) + 1).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "u32")]
pub struct Overlap(u32);

/// The overlap is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number of seconds from 0 to {}, which is 90 days", Overlap::MAX)]
pub struct InvalidOverlap;

impl Overlap {
    /// The most seconds: 90 days.
    pub const MAX: u32 = 90 * 86_400;

    /// Nothing to go back to.
    pub const NONE: Self = Self(0);

    const DEFAULT: u32 = 7 * 86_400;
}

impl Default for Overlap {
    fn default() -> Self {
        Self(Self::DEFAULT)
    }
}

/// Whatever whole number somebody writes, what is wrong with it is said in the same words.
impl TryFrom<i64> for Overlap {
    type Error = InvalidOverlap;

    fn try_from(seconds: i64) -> Result<Self, InvalidOverlap> {
        let seconds = u32::try_from(seconds).ok().filter(|it| *it <= Self::MAX);
        seconds.map(Self).ok_or(InvalidOverlap)
    }
}

impl From<Overlap> for u32 {
    fn from(it: Overlap) -> Self {
        it.0
    }
}

impl CredentialVersion {
    /// Moves on after `event`. This match is the whole life of a version.
    pub fn apply(&mut self, event: CredentialEvent) -> Result<(), UnexpectedCredentialState> {
        use CredentialEvent as E;
        use CredentialPhase as P;
        self.phase = match (event, &self.phase) {
            (E::Superseded { at, overlap, snapshot: Some(snapshot) }, P::Active)
                if overlap != Overlap::NONE =>
            {
                P::Inactive {
                    superseded_at: at,
                    expires_at: at + Duration::seconds(overlap.0.into()),
                    snapshot,
                }
            }
            (E::Superseded { at, .. }, P::Active) => {
                P::Revoked { superseded_at: at, revoked_at: at }
            }
            (E::Revoked { at }, P::Inactive { superseded_at, .. }) => {
                P::Revoked { superseded_at: *superseded_at, revoked_at: at }
            }
            (E::Superseded { .. }, P::Inactive { .. } | P::Revoked { .. })
            | (E::Revoked { .. }, P::Active | P::Revoked { .. }) => return Err(self.unexpected()),
        };
        Ok(())
    }

    /// What can be gone back to at `now`.
    pub fn snapshot(
        &self,
        now: OffsetDateTime,
    ) -> Result<&CredentialSnapshot, UnexpectedCredentialState> {
        match &self.phase {
            CredentialPhase::Inactive { expires_at, snapshot, .. } if now < *expires_at => {
                Ok(snapshot)
            }
            // It is about to be wiped.
            CredentialPhase::Inactive { .. } => Err(UnexpectedCredentialState {
                number: self.number,
                state: CredentialState::Revoked,
            }),
            CredentialPhase::Active | CredentialPhase::Revoked { .. } => Err(self.unexpected()),
        }
    }

    const fn unexpected(&self) -> UnexpectedCredentialState {
        UnexpectedCredentialState { number: self.number, state: self.phase.state() }
    }
}

impl CredentialPhase {
    /// The word for it.
    pub const fn state(&self) -> CredentialState {
        match self {
            Self::Active => CredentialState::Active,
            Self::Inactive { .. } => CredentialState::Inactive,
            Self::Revoked { .. } => CredentialState::Revoked,
        }
    }

    /// Since when others are in use.
    pub const fn superseded_at(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Active => None,
            Self::Inactive { superseded_at, .. } | Self::Revoked { superseded_at, .. } => {
                Some(*superseded_at)
            }
        }
    }

    /// Until when it can be gone back to.
    pub const fn expires_at(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Inactive { expires_at, .. } => Some(*expires_at),
            Self::Active | Self::Revoked { .. } => None,
        }
    }

    /// Since when nothing is left.
    pub const fn revoked_at(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Revoked { revoked_at, .. } => Some(*revoked_at),
            Self::Active | Self::Inactive { .. } => None,
        }
    }
}

impl UnexpectedCredentialState {
    const fn says(self) -> &'static str {
        match self.state {
            CredentialState::Active => "is in use; rotate to other ones first",
            CredentialState::Inactive => "is not in use any more",
            CredentialState::Revoked => {
                "is revoked, so nothing is left of it; rotate to new ones instead"
            }
        }
    }
}

impl Resource for CredentialVersion {
    type Id = CredentialVersionId;
    type Tenancy = Visible;
    const TYPE: ResourceType = ResourceType::CredentialVersion;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("credential_version_id"),
        Attribute::id("workspace_connector_id"),
        Attribute::number("number"),
        Attribute::one_of("state", CredentialState::VARIANTS),
        Attribute::one_of("test_status", CredentialTest::VARIANTS),
        Attribute::one_of("actor_type", ActorType::VARIANTS),
        Attribute::id("actor_id"),
        Attribute::date("created_at"),
        Attribute::date("superseded_at"),
        Attribute::date("expires_at"),
        Attribute::date("revoked_at"),
    ];

    fn id(&self) -> CredentialVersionId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::ports::Sealed;

    const NOW: OffsetDateTime = datetime!(2026-05-01 12:00 UTC);

    fn snapshot() -> CredentialSnapshot {
        let secrets = SealedSecrets {
            blob: Sealed::from_bytes(vec![7; 40]),
            pointers: ["/password".to_owned()].into(),
        };
        CredentialSnapshot { config: Map::new(), secrets }
    }

    fn version(phase: CredentialPhase) -> CredentialVersion {
        CredentialVersion {
            id: CredentialVersionId::from_uuid(Uuid::from_u128(1)),
            revision: Revision::FIRST,
            workspace_connector_id: WorkspaceConnectorId::from_uuid(Uuid::from_u128(2)),
            workspace_id: WorkspaceId::from_uuid(Uuid::from_u128(3)),
            number: 4,
            phase,
            test_status: CredentialTest::Passed,
            reason: None,
            actor_type: ActorType::System,
            actor_id: None,
            created_at: NOW,
        }
    }

    fn superseded(overlap: i64) -> CredentialEvent {
        let overlap = Overlap::try_from(overlap).unwrap();
        CredentialEvent::Superseded { at: NOW, overlap, snapshot: Some(snapshot()) }
    }

    fn phases() -> [CredentialPhase; 3] {
        let (superseded_at, later) = (NOW, NOW + Duration::HOUR);
        [
            CredentialPhase::Active,
            CredentialPhase::Inactive { superseded_at, expires_at: later, snapshot: snapshot() },
            CredentialPhase::Revoked { superseded_at, revoked_at: later },
        ]
    }

    #[test]
    fn every_phase_takes_every_event_or_says_why_not() {
        use CredentialState::{Active, Inactive, Revoked};
        let revoked = CredentialEvent::Revoked { at: NOW };
        let mut outcomes = Vec::new();
        for phase in phases() {
            for event in [superseded(60), superseded(0), revoked.clone()] {
                let mut it = version(phase.clone());
                let done = it.apply(event).map_err(|error| error.state);
                if done.is_err() {
                    assert_eq!(it.phase, phase, "what is refused changes nothing");
                }
                outcomes.push(done.map(|()| it.phase.state()));
            }
        }
        assert_eq!(
            outcomes,
            [
                [Ok(Inactive), Ok(Revoked), Err(Active)],
                [Err(Inactive), Err(Inactive), Ok(Revoked)],
                [Err(Revoked), Err(Revoked), Err(Revoked)],
            ]
            .concat()
        );
    }

    #[test]
    fn it_can_be_gone_back_to_until_its_overlap_is_over() {
        let mut it = version(CredentialPhase::Active);
        it.apply(superseded(60)).unwrap();
        let at = |seconds| it.snapshot(NOW + Duration::seconds(seconds));
        assert_eq!(at(0), Ok(&snapshot()));
        assert_eq!(at(59), Ok(&snapshot()));
        assert_eq!(at(60).unwrap_err().state, CredentialState::Revoked);
    }

    #[test]
    fn without_something_to_go_back_to_nothing_is_left() {
        let mut it = version(CredentialPhase::Active);
        let overlap = Overlap::default();
        it.apply(CredentialEvent::Superseded { at: NOW, overlap, snapshot: None }).unwrap();
        assert_eq!(it.phase, CredentialPhase::Revoked { superseded_at: NOW, revoked_at: NOW });
    }

    #[test]
    fn an_overlap_has_bounds() {
        assert_eq!(u32::from(Overlap::try_from(i64::from(Overlap::MAX)).unwrap()), 7_776_000);
        let error = Overlap::try_from(i64::from(Overlap::MAX) + 1).unwrap_err().to_string();
        assert_eq!(error, "must be a whole number of seconds from 0 to 7776000, which is 90 days");
    }

    proptest! {
        /// Whatever happens in whatever order: the life of a version goes one way, and secrets are there in its middle alone.
        #[test]
        fn a_life_goes_one_way(overlaps in prop::collection::vec(prop::option::of(0..=i64::from(Overlap::MAX)), 0..8)) {
            let mut it = version(CredentialPhase::Active);
            for overlap in overlaps {
                let before = it.phase.state() as u8;
                let _ = it.apply(overlap.map_or(CredentialEvent::Revoked { at: NOW }, superseded));
                prop_assert!(it.phase.state() as u8 >= before);
                let is_restorable = it.snapshot(NOW).is_ok();
                prop_assert_eq!(is_restorable, it.phase.state() == CredentialState::Inactive);
                prop_assert_eq!(it.phase.superseded_at().is_some(), it.phase != CredentialPhase::Active);
            }
        }
    }
}
