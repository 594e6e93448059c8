//! The entries of change feeds, and what becomes of them.

use linkspan_domain::{StreamName, WorkspaceConnectorId, ports::StoreError};
use linkspan_sdk::{
    ChangeKind, FeedChange, FeedPage, FeedPosition, FeedQuery, More, Position, Record, RecordChange,
};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use super::reading::{COLUMNS, FROM};
use crate::error::{corrupt, store_error};

/// Takes the next number of a workspace's feed: stream. Whoever else publishes in this workspace waits here until this transaction
/// is over, so that entries become visible in the order of their numbers.
pub(super) const NEXT_ENTRY: &str = "\
    INSERT INTO change_feeds (workspace_pk, entry) \
    SELECT w.workspace_pk, 1 FROM workspace_connector_streams s \
    JOIN workspace_connectors w ON w.pk = s.workspace_connector_pk WHERE s.pk = $1 \
    ON CONFLICT (workspace_pk) DO UPDATE SET entry = change_feeds.entry + 1";

/// Adds the entry whose number was taken: stream, generation, when.
pub(super) const ADD_ENTRY: &str = "\
    INSERT INTO change_feed_entries (workspace_pk, entry, stream_pk, generation, created_at) \
    SELECT f.workspace_pk, f.entry, s.pk, $2, $3 FROM workspace_connector_streams s \
    JOIN workspace_connectors w ON w.pk = s.workspace_connector_pk \
    JOIN change_feeds f ON f.workspace_pk = w.workspace_pk WHERE s.pk = $1";

/// What is of a feed, of workspaces `w`, activations `c` and streams `s`: [workspace, activation, stream](feed_values).
macro_rules! of_feed_sql {
    ($uuid:literal, $text:literal) => {
        concat!(
            "w.workspace_id = $1 AND ($2",
            $uuid,
            " IS NULL OR c.workspace_connector_id = $2) AND ($3",
            $text,
            " IS NULL OR s.stream = $3)"
        )
    };
}
pub(super) use of_feed_sql;

/// The entries of a feed from a number on: [workspace, activation, stream](feed_values), number, how many. The last column is the
/// newest generation of the entry's stream that was there before that number.
macro_rules! entries_sql {
    ($uuid:literal, $text:literal) => {
        concat!(
            "SELECT e.entry, e.stream_pk, e.generation, c.workspace_connector_id, s.stream, ",
            "coalesce((SELECT b.generation FROM change_feed_entries b ",
            "WHERE b.stream_pk = e.stream_pk AND b.entry < $4 ORDER BY b.entry DESC LIMIT 1), 0) AS met ",
            "FROM change_feed_entries e ",
            "JOIN workspaces w ON w.pk = e.workspace_pk ",
            "JOIN workspace_connector_streams s ON s.pk = e.stream_pk ",
            "JOIN workspace_connectors c ON c.pk = s.workspace_connector_pk ",
            "WHERE e.entry >= $4 AND ",
            of_feed_sql!($uuid, $text),
            " ORDER BY e.entry LIMIT $5"
        )
    };
}

pub(super) const ENTRIES_POSTGRES: &str = entries_sql!("::uuid", "::text");
pub(super) const ENTRIES_SQLITE: &str = entries_sql!("", "");

/// Workspace, and maybe activation and stream, of a feed.
pub(super) fn feed_values(query: &FeedQuery) -> Vec<Value> {
    vec![
        query.workspace.uuid().into(),
        query.activation.map(WorkspaceConnectorId::uuid).into(),
        query.stream.as_ref().map(ToString::to_string).into(),
    ]
}

/// The newest number of a workspace's feed.
pub(super) const NEWEST_ENTRY: &str = "\
    SELECT f.entry FROM change_feeds f JOIN workspaces w ON w.pk = f.workspace_pk \
    WHERE w.workspace_id = $1";

/// How many entries are looked at for one page at most: a page may be short, or empty, and still not the last.
pub(super) const ENTRIES: usize = 200;

/// One generation of one stream, in the feed of its workspace.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    number: i64,
    pub(super) stream_pk: i64,
    generation: i32,
    activation: WorkspaceConnectorId,
    stream: StreamName,
    /// The newest generation of the stream in an entry that the reader has met as a whole.
    met: i32,
}

/// Which changes of a stream to read from the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// From where.
    pub(super) from: From,
    /// Up to this generation, included.
    pub(super) until: i32,
}

/// Where a span begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// With the first change of a generation.
    Generation(i32),
    /// Behind a key of a generation.
    Behind(i32, String),
}

impl From {
    pub(super) fn of(position: &Position) -> Result<Self, StoreError> {
        let generation = i32::try_from(position.generation).map_err(corrupt)?;
        Ok(match &position.key {
            None => Self::Generation(generation.saturating_add(1)),
            Some(key) => Self::Behind(generation, key.clone()),
        })
    }

    /// Whether something of the [first](FIRST) generation is in it: how SQL compares keys, and with what.
    pub(super) fn first(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Generation(generation) if *generation <= FIRST => Some((">=", "")),
            Self::Behind(generation, key) if *generation == FIRST => Some((">", key)),
            Self::Generation(_) | Self::Behind(..) => None,
        }
    }

    /// How SQL compares, and with what.
    pub(super) fn bound(&self) -> (&'static str, i32, &str) {
        match self {
            Self::Generation(generation) => (">=", *generation, ""),
            Self::Behind(generation, key) => (">", *generation, key),
        }
    }

    /// What a reader who begins here has met.
    pub(super) fn met(&self) -> Met<'_> {
        match self {
            Self::Generation(generation) => Met { whole: *generation - 1, part: None },
            Self::Behind(generation, key) => {
                Met { whole: *generation - 1, part: Some((*generation, key)) }
            }
        }
    }
}

/// What a reader of a stream has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Met<'a> {
    /// All generations up to this one.
    whole: i32,
    /// Of a later one, the changes up to a key.
    part: Option<(i32, &'a str)>,
}

impl Met<'_> {
    fn has(self, found: &Found) -> bool {
        let appeared = found.added_generation;
        (self.whole > 0 && appeared <= self.whole)
            || self.part.is_some_and(|it| it.0 == appeared && *found.record.key <= *it.1)
    }
}

/// The generation of a first full load, which most records of most streams stay of. It is not in the index of changes: to
/// read it is to go through the records by their keys, and to load it costs no index.
pub(super) const FIRST: i32 = 1;

/// Selects what is of the [first](FIRST) generation in order: stream, key of the bound, limit.
pub(super) fn first_sql(operator: &str) -> String {
    format!(
        "SELECT {COLUMNS}, r.generation, r.added_generation {FROM} \
         WHERE r.stream_pk = $1 AND r.generation = 1 AND r.key {operator} $2 \
         ORDER BY r.key LIMIT $3"
    )
}

/// Selects the changes of a span behind the [first](FIRST) generation in order: stream, generation and key of the bound, last
/// generation, limit. That they are behind it is said again, for the index to be taken.
pub(super) fn span_sql(operator: &str) -> String {
    format!(
        "SELECT {COLUMNS}, r.generation, r.added_generation {FROM} \
         WHERE r.stream_pk = $1 AND r.generation > 1 AND (r.generation, r.key) {operator} ($2, $3) \
            AND r.generation <= $4 \
         ORDER BY r.generation, r.key LIMIT $5"
    )
}

/// A record of a span, the generation that it is of, and that in which it appeared.
pub(super) struct Found {
    pub(super) record: Record,
    pub(super) generation: i32,
    pub(super) added_generation: i32,
}

impl Found {
    fn kind(&self, met: Met) -> ChangeKind {
        if self.record.deleted_at.is_some() {
            ChangeKind::Deleted
        } else if met.has(self) {
            ChangeKind::Updated
        } else {
            ChangeKind::Added
        }
    }

    /// As a change of its stream, for a reader who has met so much.
    pub(super) fn into_change(self, met: Met) -> RecordChange {
        let kind = self.kind(met);
        let (generation, key) = (i64::from(self.generation), self.record.key.clone());
        let position = Position { generation, key: Some(key) };
        RecordChange { position, kind, record: self.record }
    }
}

impl Entry {
    pub(super) fn from_row(row: &QueryResult) -> Result<Self, StoreError> {
        let activation: Uuid = row.try_get("", "workspace_connector_id").map_err(store_error)?;
        let stream: String = row.try_get("", "stream").map_err(store_error)?;
        Ok(Self {
            number: row.try_get("", "entry").map_err(store_error)?,
            stream_pk: row.try_get("", "stream_pk").map_err(store_error)?,
            generation: row.try_get("", "generation").map_err(store_error)?,
            activation: WorkspaceConnectorId::from_uuid(activation),
            stream: stream.parse().map_err(corrupt)?,
            met: row.try_get("", "met").map_err(store_error)?,
        })
    }

    /// What is left to read of it, for a reader that stands at `after`.
    pub(super) fn span(&self, after: &FeedPosition) -> Span {
        let from = match &after.key {
            Some(key) if after.entry == self.number => From::Behind(self.generation, key.clone()),
            _ => From::Generation(self.generation),
        };
        Span { from, until: self.generation }
    }

    fn change(&self, found: Found, part: Option<(i32, &str)>, began: i64) -> FeedChange {
        let kind = found.kind(Met { whole: self.met, part });
        let key = Some(found.record.key.clone());
        let position = FeedPosition { began, entry: self.number, key };
        let (activation, stream) = (self.activation, self.stream.clone());
        FeedChange { activation, stream, position, kind, record: found.record }
    }
}

/// A page of a feed in the making.
pub(super) struct Paging<'a> {
    query: &'a FeedQuery,
    after: FeedPosition,
    newest: i64,
    /// The entry that the reader has met in part: stream, generation, key.
    part: Option<(i64, i32, &'a str)>,
    limit: usize,
    changes: Vec<FeedChange>,
}

impl<'a> Paging<'a> {
    /// A page for `query`. `newest` is the feed's newest number that was visible before its entries were read.
    pub(super) fn new(query: &'a FeedQuery, newest: i64) -> Self {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut after = query.after.clone();
        if after == FeedPosition::default() {
            after.began = newest;
        }
        Self { query, after, newest, part: None, limit, changes: Vec::new() }
    }

    /// The first entry of which something may be left to read.
    pub(super) fn first_entry(after: &FeedPosition) -> i64 {
        after.entry + i64::from(after.key.is_none())
    }

    /// How many changes there is room for.
    pub(super) fn room(&self) -> usize {
        self.limit - self.changes.len()
    }

    /// Takes what was found of an entry, at most as much as there was room for.
    pub(super) fn take(&mut self, entry: &Entry, found: Vec<Found>) {
        let is_whole = found.len() < self.room();
        if let Some(key) = &self.query.after.key
            && self.query.after.entry == entry.number
        {
            self.part = Some((entry.stream_pk, entry.generation, key));
        }
        let part = self.part.filter(|it| it.0 == entry.stream_pk).map(|it| (it.1, it.2));
        let began = self.after.began;
        self.changes.extend(found.into_iter().map(|it| entry.change(it, part, began)));
        self.after = match self.changes.last() {
            Some(last) if !is_whole => last.position.clone(),
            _ => FeedPosition { began, entry: entry.number, key: None },
        };
    }

    /// The page. `entries` is how many were looked at.
    pub(super) fn finish(self, entries: usize) -> FeedPage {
        let is_full = self.room() == 0 || entries == ENTRIES;
        let next = if is_full {
            self.after
        } else {
            // Entries of other activations or streams are passed as well.
            let entry = self.newest.max(self.after.entry);
            FeedPosition { entry, key: None, ..self.after }
        };
        let more = if is_full { More::Waiting } else { More::NotYet };
        FeedPage { changes: self.changes, next, more }
    }
}
