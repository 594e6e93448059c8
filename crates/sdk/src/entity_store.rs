//! Keeping what mappings make of records.

use async_trait::async_trait;
use linkspan_domain::{
    ConnectorMappingId, EntityCounts, EntityId, EntitySource, MappingVersion, OnCollapse,
    StreamName, TargetModel, UnmappedRecord, Visible, WorkspaceConnectorId, ports::StoreError,
};
use time::OffsetDateTime;

use crate::{
    ContentHash, EntityFeedPage, EntityFeedQuery, EntityPage, EntitySearch, HeldRun, Position,
};

/// Keeps what mappings make of records, and how far each mapping has come.
///
/// # Contract
///
/// - A mapping reads the changes of its stream from its position on. Each version of it begins with position 0.
/// - [`commit`](Self::commit) is one transaction: entities, where they come from, the records that failed, the counters of the
///   run and of the version, and the position. A page that begins elsewhere than where the mapping stands, or whose version
///   is not the present one, changes nothing and is [`Kept::Superseded`]. For a run that is held under a newer token, or is
///   over, it is [`StoreError::Stale`].
/// - Entities are written into each workspace that is a live target of the activation.
/// - The same record becomes the same entities: among those of a record, what the source calls an object names it, unless
///   another has that name, too; then its place does. One whose content did not change is not written again. What a record no
///   longer becomes, and all that it became when it is gone, is deleted; it comes back if the record becomes it again.
/// - What no live activation, mapping and target stand for any more is deleted by [`withdraw`](Self::withdraw), a part at a
///   time. What comes back is mapped anew by the next run.
/// - A record that the mapping fails on keeps the entities that it has, and is kept as failed until it can be mapped.
/// - Who adds a target begins all mappings of the activation anew.
/// - Each write of a workspace's entities is an entry of the [feed](Self::feed) of that workspace. Entries become visible in
///   the order of their numbers, whoever writes meanwhile.
#[async_trait]
pub trait EntityStore: Send + Sync {
    /// The mappings of a stream that runs use, the oldest first.
    async fn active(
        &self,
        activation: WorkspaceConnectorId,
        stream: &StreamName,
    ) -> Result<Vec<ActiveMapping>, StoreError>;

    /// Keeps what a mapping made of some changes.
    async fn commit(&self, page: &MappedPage) -> Result<Kept, StoreError>;

    /// Gives a mapping the wording back that it had before, as a new version.
    async fn revert(&self, reversal: &Reversal) -> Result<Kept, StoreError>;

    /// All wordings of a mapping, the newest first.
    async fn versions(
        &self,
        mapping: ConnectorMappingId,
    ) -> Result<Vec<MappingVersion>, StoreError>;

    /// The records that a mapping failed on, behind a position, the oldest first.
    async fn unmapped(
        &self,
        mapping: ConnectorMappingId,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<UnmappedRecord>, StoreError>;

    /// Deletes some of the entities that nothing stands for any more. Answers how many; `None` if none is left to be looked at.
    async fn withdraw(&self, now: OffsetDateTime) -> Result<Option<u64>, StoreError>;

    /// What changed among the entities of a workspace.
    async fn feed(&self, query: &EntityFeedQuery) -> Result<EntityFeedPage, StoreError>;

    /// Where an entity comes from, with the record as it is kept. Records of activations outside of
    /// `visible` are left out.
    async fn sources(
        &self,
        entity: EntityId,
        visible: &Visible,
    ) -> Result<Vec<EntitySource>, StoreError>;

    /// Looks for entities by what they say, in the order in which they were first kept.
    async fn search(&self, search: &EntitySearch) -> Result<EntityPage, StoreError>;

    /// Says of the live mappings of a stream that they should be looked at, since the stream is not what it was. Answers of
    /// which that was not said yet.
    async fn outdate(
        &self,
        activation: WorkspaceConnectorId,
        stream: &StreamName,
        now: OffsetDateTime,
    ) -> Result<Vec<ConnectorMappingId>, StoreError>;
}

/// A mapping that runs use, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveMapping {
    /// Which.
    pub id: ConnectorMappingId,
    /// Its present version.
    pub version: u32,
    /// What the records become.
    pub target_model: TargetModel,
    /// The JSONata expression.
    pub expression: String,
    /// What happens when it persists far fewer records than the version before.
    pub on_collapse: OnCollapse,
    /// Up to where it has read the changes of the stream.
    pub position: Position,
}

/// What a mapping made of some changes.
#[derive(Clone, Debug)]
pub struct MappedPage {
    /// On whose account.
    pub run: HeldRun,
    /// Which mapping.
    pub mapping: ConnectorMappingId,
    /// Which version of it.
    pub version: u32,
    /// Where it stood.
    pub from: Position,
    /// Where it stands now.
    pub to: Position,
    /// The records, each once.
    pub records: Vec<MappedRecord>,
    /// When.
    pub now: OffsetDateTime,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedRecord {
    /// Names it within its stream.
    pub key: String,
    /// What became of it.
    pub outcome: MappedOutcome,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappedOutcome {
    /// These objects, or none.
    Objects(Vec<MappedObject>),
    /// The mapping failed on it, for this reason.
    Failed(String),
    /// It is gone from the source.
    Gone,
}

/// One object that a record became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedObject {
    /// What the source calls it.
    pub external_id: Option<String>,
    /// A JSON object.
    pub payload: String,
    /// The hash of it.
    pub hash: ContentHash,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept.
    Done(EntityCounts),
    /// The mapping was changed meanwhile, and nothing is.
    Superseded,
}

/// That a mapping gets an earlier wording back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// On whose account.
    pub run: HeldRun,
    /// Which mapping.
    pub mapping: ConnectorMappingId,
    /// The version that did worse.
    pub from: u32,
    /// The version whose wording it gets back.
    pub to: u32,
    /// When.
    pub now: OffsetDateTime,
}
