//! Looking for records and entities by what they say.

use linkspan_domain::{
    Condition, Deleted, Entity, StreamName, TargetModel, Visible, WorkspaceConnectorId, WorkspaceId,
};

use crate::Record;

/// Which records to look for.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordSearch {
    /// In which workspaces. Records of activations that are disconnected are not found.
    pub workspaces: Vec<WorkspaceId>,
    /// Only those of this activation.
    pub activation: Option<WorkspaceConnectorId>,
    /// Only those of streams of this name.
    pub stream: Option<StreamName>,
    /// What holds of their payloads.
    pub condition: Condition,
    /// Whether tombstones are among them.
    pub deleted: Deleted,
    /// Only those behind this one.
    pub after: Option<SearchPosition>,
    /// At most so many.
    pub limit: u32,
}

/// A place in the order in which records are found: by stream, then by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPosition {
    /// The number under which the stream is kept.
    pub stream: i64,
    /// The key; `None` is before the first.
    pub key: Option<String>,
}

/// Some of the records that were found.
#[derive(Clone, Debug)]
pub struct SearchPage {
    /// The records, in order.
    pub records: Vec<FoundRecord>,
    /// Where to go on. None: everything was looked at. A page may be short, or empty, and still not the last.
    pub next: Option<SearchPosition>,
}

/// A record, and where it is.
#[derive(Clone, Debug)]
pub struct FoundRecord {
    /// Its place in the order.
    pub position: SearchPosition,
    /// Of which activation.
    pub activation: WorkspaceConnectorId,
    /// Of which stream.
    pub stream: StreamName,
    /// The record.
    pub record: Record,
}

/// Which entities to look for.
#[derive(Clone, Debug, PartialEq)]
pub struct EntitySearch {
    /// In which workspaces.
    pub visible: Visible,
    /// Of which model.
    pub model: TargetModel,
    /// Only those that this activation brought in.
    pub activation: Option<WorkspaceConnectorId>,
    /// What holds of their payloads.
    pub condition: Condition,
    /// Whether those that are gone are among them.
    pub deleted: Deleted,
    /// Only those behind this place.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// Some of the entities that were found.
#[derive(Clone, Debug)]
pub struct EntityPage {
    /// The entities, in order.
    pub entities: Vec<FoundEntity>,
    /// Where to go on. None: everything was looked at. A page may be short, or empty, and still not the last.
    pub next: Option<i64>,
}

/// An entity, and where it is.
#[derive(Clone, Debug)]
pub struct FoundEntity {
    /// Its place in the order in which entities are found.
    pub position: i64,
    /// The entity.
    pub entity: Entity,
}
