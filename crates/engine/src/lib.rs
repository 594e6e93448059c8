//! The sync engine: runs, checkpoints, cursors, mappings.
//!
//! [`Engine`] works off one run, [`Worker`] claims one after the other. Records come from a
//! [`Definition`](linkspan_sdk::Definition), in columns, and go to a [`RecordStore`](linkspan_sdk::RecordStore), as rows;
//! between the two there are never more than a few batches.

mod connections;
mod decoder;
mod encoder;
mod engine;
mod error;
mod filter;
mod heartbeat;
mod mapper;
mod mapping;
mod notes;
mod pipeline;
mod plan;
mod prepare;
mod progress;
mod run;
mod scheduler;
mod shape;
mod stage;
mod withdrawals;
mod worker;

pub use connections::{Connection, Connections};
pub use encoder::{MissingColumn, RowEncoder, Unencodable};
pub use engine::{Ended, Engine, EngineLimits, Stop};
pub use error::SyncError;
pub use mapping::{
    FieldSuggestion, InvalidMapping, InvalidModels, JsonataCode, MapError, MapFault, Mapped,
    Mapping, MappingFailure, MappingLimits, ModelField, ModelKind, ModelSchema, Models, Suggestion,
    ValueKind, Verdict, map_all, suggest,
};
pub use plan::{CursorPlan, Planned, StreamPlan, plan};
pub use prepare::{StreamFilter, concerns_some};
pub use progress::{NoProgress, Progress, RunEvent};
pub use scheduler::Scheduler;
pub use withdrawals::Withdrawals;
pub use worker::{Worker, WorkerSettings};
