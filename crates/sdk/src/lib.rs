//! What the author of a connector type sees.
//!
//! A type implements [`ConnectorType`], its commands [`Command`], [`Source`] if it has records to
//! read, and [`Sink`] if it takes records. [`Definition::of`] erases it into a value, which is all that the rest of the
//! platform holds.

mod batch;
mod changes;
mod command;
pub mod conformance;
mod connector_type;
mod cx;
mod definition;
mod discovered;
mod entity_store;
mod environment;
mod failure;
mod files;
mod grant;
mod hosts;
mod http;
mod pace;
mod pool;
mod pushdown;
mod ranges;
mod record_store;
mod rows;
mod schema;
mod search;
mod settings;
mod sink;
mod source;
mod wsse;

pub use batch::{
    Batch, BatchSink, BatchStream, GroupEnd, Loss, Misfit, Unfit, arrow_schema, field_kind,
};
pub use changes::{
    ChangeKind, ChangesQuery, EntityChange, EntityFeedPage, EntityFeedPosition, EntityFeedQuery,
    FeedChange, FeedPage, FeedPosition, FeedQuery, More, Position, RecordChange,
};
pub use command::{Command, CommandEntry, command};
pub use connector_type::{CheckOutcome, ConnectorType};
pub use cx::Cx;
pub use definition::{
    CheckRunner, CommandRunner, Definition, DiscoverRunner, PushDownRunner, ReadRunner, Runners,
    SinkRunners, SourceRunners, SplitRunner, WriteRunner,
};
pub use discovered::{Discovered, LeftOut, Omission, Omitted};
pub use entity_store::{
    ActiveMapping, EntityStore, Kept, MappedObject, MappedOutcome, MappedPage, MappedRecord,
    Reversal,
};
pub use environment::{Environment, SourceLimits};
pub use failure::Failure;
pub use files::{FileAccess, LocalFile};
pub use grant::{TokenRefusal, TokenSource};
pub use hosts::{HostGuard, OpenHosts, Permit};
pub use http::Http;
pub use pace::Paces;
pub use pool::{PoolCache, PoolKey};
pub use pushdown::{Pushed, Statement};
pub use ranges::ranges;
pub use record_store::{
    BehindQuery, Checkpoint, Committed, Finish, Held, HeldRun, Load, LoadPart, Opening,
    QuarantineQuery, Quarantined, Record, RecordQuery, RecordStore, Rejected, SentAhead,
    StreamCounts,
};
pub use rows::{ContentHash, Row, Rows};
pub use schema::{config_schema, schema_of};
pub use search::{
    EntityPage, EntitySearch, FoundEntity, FoundRecord, RecordSearch, SearchPage, SearchPosition,
};
pub use settings::{Checker, SettingsFault, parse, validate_config};
pub use sink::{
    BatchWriter, Change, Intake, Push, RecordVersion, Refusal, Sink, SinkEntry, WriteMode,
    WriteRequest, sink,
};
pub use source::{BatchLimits, CursorSpec, ReadMode, ReadRequest, Source, SourceEntry, source};
pub use wsse::{InvalidUsername, wsse};
