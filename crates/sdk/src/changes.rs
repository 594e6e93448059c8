//! What changed among the records, in order.

use std::{fmt, num::ParseIntError, str::FromStr};

use linkspan_domain::{Entity, StreamName, TargetModel, WorkspaceConnectorId, WorkspaceId};

use crate::Record;

/// What happened to a record.
///
/// Only the last change of a record is told. So a reader can hear of an update or a deletion of a record that it never met: apply
/// [`Added`](Self::Added) and [`Updated`](Self::Updated) alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It appeared, or came back, since the reader's position.
    Added,
    /// It says something else.
    Updated,
    /// It is gone.
    Deleted,
}

impl ChangeKind {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Updated => "UPDATED",
            Self::Deleted => "DELETED",
        }
    }
}

/// A record that changed. Of several changes of one record the last is told, with what the record says now.
#[derive(Clone, Debug)]
pub struct RecordChange {
    /// Where a reader stands that has read up to here.
    pub position: Position,
    /// What happened.
    pub kind: ChangeKind,
    /// The record as it is now.
    pub record: Record,
}

/// Where a reader of the changes of one stream stands.
///
/// The changes of a stream are numbered by generations: each commit of an incremental load and each full load is one. Within a
/// generation they are ordered by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The generation that was read last. 0: nothing yet.
    pub generation: i64,
    /// The key up to which it was read; `None` if all of it was.
    pub key: Option<String>,
}

/// The generation, and behind a colon the key.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            None => self.generation.fmt(f),
            Some(key) => write!(f, "{}:{key}", self.generation),
        }
    }
}

impl FromStr for Position {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (generation, key) = match text.split_once(':') {
            None => (text, None),
            Some((generation, key)) => (generation, Some(key.to_owned())),
        };
        // No stream has more generations than that: a larger number is the mark of something else.
        Ok(Self { generation: generation.parse::<i32>()?.into(), key })
    }
}

/// Which changes of a stream to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesQuery {
    /// Of which activation.
    pub activation: WorkspaceConnectorId,
    /// Of which stream.
    pub stream: StreamName,
    /// Only those behind this position.
    pub after: Position,
    /// At most so many.
    pub limit: u32,
    /// No more than the first with which they have so many bytes.
    pub bytes: usize,
}

/// Where a reader of the change feed of a workspace stands.
///
/// Each generation of each stream is an entry of the feed. Entries are numbered in the order in which they became visible, without
/// a gap: what is not there yet will have a higher number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedPosition {
    /// The newest entry there was when the reader began: what was gone by then is nothing that they met.
    pub began: i64,
    /// The entry that was read last. 0: none yet.
    pub entry: i64,
    /// The key up to which it was read; `None` if all of it was.
    pub key: Option<String>,
}

/// Which part of a change feed to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedQuery {
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// Only changes of this activation.
    pub activation: Option<WorkspaceConnectorId>,
    /// Only changes of streams of this name.
    pub stream: Option<StreamName>,
    /// Only those behind this position.
    pub after: FeedPosition,
    /// At most so many.
    pub limit: u32,
}

/// A part of a change feed.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// The changes, in order.
    pub changes: Vec<FeedChange>,
    /// Where to go on.
    pub next: FeedPosition,
    /// Whether there is more already.
    pub more: More,
}

/// Whether there is more to read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// There may be.
    Waiting,
    /// Not now.
    NotYet,
}

/// A change, and where it happened.
#[derive(Clone, Debug)]
pub struct FeedChange {
    /// In which activation.
    pub activation: WorkspaceConnectorId,
    /// In which stream.
    pub stream: StreamName,
    /// Where a reader stands that has read up to here.
    pub position: FeedPosition,
    /// What happened.
    pub kind: ChangeKind,
    /// The record as it is now.
    pub record: Record,
}

/// Where a reader of the changes of a workspace's entities stands.
///
/// Each write is an entry. Entries are numbered as those of [`FeedPosition`] are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntityFeedPosition {
    /// The entry that was read last. 0: none yet.
    pub entry: i64,
    /// The place of the entity up to which it was read; `None` if all of it was.
    pub place: Option<i64>,
}

/// Which changes of entities to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityFeedQuery {
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// Only those of this model.
    pub model: Option<TargetModel>,
    /// Only those that this activation brought in.
    pub activation: Option<WorkspaceConnectorId>,
    /// Only those behind this position.
    pub after: EntityFeedPosition,
    /// At most so many.
    pub limit: u32,
}

/// Some changes of entities.
#[derive(Clone, Debug)]
pub struct EntityFeedPage {
    /// The changes, in order.
    pub changes: Vec<EntityChange>,
    /// Where to go on.
    pub next: EntityFeedPosition,
    /// Whether there is more already.
    pub more: More,
}

/// An entity that changed. Of several changes of one entity the last is told, with what the entity says now.
#[derive(Clone, Debug)]
pub struct EntityChange {
    /// Where a reader stands that has read up to here.
    pub position: EntityFeedPosition,
    /// What happened.
    pub kind: ChangeKind,
    /// The entity as it is now.
    pub entity: Entity,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_they_are_written() {
        for key in [None, Some(String::new()), Some("a:b".to_owned())] {
            let position = Position { generation: 7, key };
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        assert!("".parse::<Position>().is_err());
        assert!("a:7".parse::<Position>().is_err());
        assert!("3000000000".parse::<Position>().is_err(), "no generation has such a number");
    }
}
