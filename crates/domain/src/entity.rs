//! Entities: what mappings make of records.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::VariantNames;
use time::OffsetDateTime;

use crate::{
    Attribute, EntityId, Order, Resource, ResourceType, Revision, Sort, StreamName, SyncLogId,
    TargetModel, Visible, WorkspaceConnectorId, WorkspaceId,
};

/// One object of a target model, made of a record.
///
/// It is named by workspace, activation, stream, record and model, and by what the source calls it: a record may become several
/// objects of a model. Where the source has no name for it, or the same one for another, its place among them names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Stable public identifier: the same record becomes the same entity, whenever it is mapped.
    pub id: EntityId,
    /// How often it was written.
    pub revision: Revision,
    /// In which workspace.
    pub workspace_id: WorkspaceId,
    /// What it is.
    pub target_model: TargetModel,
    /// What the source calls it.
    pub external_id: Option<String>,
    /// Its fields, as the schema of the model has them.
    pub payload: Map<String, Value>,
    /// The hash of the payload, in hexadecimal digits.
    pub hash: String,
    /// The activation that brought it in.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// Of which stream.
    pub stream: StreamName,
    /// Of which record.
    pub record_key: String,
    /// Its place among the objects that the record becomes, from 0, when it was last written.
    pub item: u32,
    /// When it was first mapped.
    pub first_seen_at: OffsetDateTime,
    /// When it last changed.
    pub last_seen_at: OffsetDateTime,
    /// When its record was gone from the source or no longer became it, or its target, mapping or activation was deleted.
    pub deleted_at: Option<OffsetDateTime>,
}

/// Where an entity comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntitySource {
    /// Which entity.
    pub entity_id: EntityId,
    /// By which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// Which way.
    pub direction: EntityDirection,
    /// Of which stream.
    pub stream: StreamName,
    /// Of which record.
    pub record_key: String,
    /// The run that last touched it, as long as its log is kept.
    pub run: Option<SyncLogId>,
    /// The record as it is kept, if it still is.
    pub raw: Option<Value>,
    /// When the activation first touched it.
    pub first_seen_at: OffsetDateTime,
    /// When the activation last touched it.
    pub last_seen_at: OffsetDateTime,
}

/// Which way an entity went.
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
pub enum EntityDirection {
    /// Out of the connected system. There is no other way: what is pushed into systems are records.
    Input,
}

/// What a run did to entities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityCounts {
    /// Inserted, or changed.
    pub written: u64,
    /// Mapped to what they were.
    pub unchanged: u64,
    /// Gone.
    pub deleted: u64,
    /// Records that a mapping failed on.
    pub failed: u64,
}

impl EntityCounts {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            written: self.written + other.written,
            unchanged: self.unchanged + other.unchanged,
            deleted: self.deleted + other.deleted,
            failed: self.failed + other.failed,
        }
    }
}

impl Entity {
    /// Those that changed last come first.
    pub const NEWEST: Sort =
        Sort { attribute: Attribute::date("last_seen_at"), order: Order::Descending };
}

impl Resource for Entity {
    type Id = EntityId;
    type Tenancy = Visible;
    const TYPE: ResourceType = ResourceType::Entity;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("entity_id"),
        Attribute::id("workspace_id"),
        Attribute::id("workspace_connector_id"),
        Attribute::one_of("target_model", TargetModel::VARIANTS),
        Attribute::text("external_id"),
        Attribute::text("stream"),
        Attribute::text("record_key"),
        Attribute::date("first_seen_at"),
        Attribute::date("last_seen_at"),
        Attribute::date("deleted_at"),
    ];

    fn id(&self) -> EntityId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}
