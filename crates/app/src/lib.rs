//! The use cases of Linkspan, over its ports.
//!
//! Each service asks for permission first, then sees no more than the caller's tenancy, then acts. What it
//! writes goes together with its audit event and its idempotency key, in one transaction.

mod access;
mod activations;
mod api_keys;
mod audit;
mod bootstrap;
mod catalog;
mod connections;
mod connector_types;
mod credential_expiry;
mod data;
mod diagnostics;
mod entities;
mod files;
mod filter_plans;
mod filters;
mod grants;
mod idempotency;
mod keys;
mod mappings;
mod near;
mod patch;
mod people;
mod providers;
mod records;
mod run_watch;
mod schedules;
mod seeding;
mod settings;
mod sources;
mod streams;
mod suitability;
mod sync_targets;
mod syncs;
mod target_models;
mod tokens;
mod workspaces;

pub use access::{Access, AccessError, AdminKey, Sessions};
pub use activations::{
    ActivationError, ActivationPatch, ActivationStores, Activations, Draft, DraftOf, Encrypting,
    Fate, InTheClear, NewActivation, OnFailure, Rotation, Switch, Turnover,
};
pub use api_keys::{ApiKeys, ApiKeysError, Mint, NewApiKey};
pub use audit::{Audit, AuditChain, AuditError, ChainFault, ChainFaultKind};
pub use bootstrap::{Bootstrap, BootstrapError};
pub use catalog::Catalog;
pub use connections::RunConnections;
pub use connector_types::{ConnectorTypes, DuplicateConnectorType};
pub use credential_expiry::CredentialExpiry;
pub use data::{Choice, Data, DataError, Find};
pub use diagnostics::Diagnostics;
pub use entities::{Entities, FindEntities, FollowEntities};
pub use files::{Files, FilesError};
pub use filter_plans::{FilterPart, FilterPlace, FilterPlan, FilterPlans};
pub use filters::{FilterPatch, Filters, NewFilter};
pub use grants::{
    AccessTokens, Addresses, Attempt, Authorize, Authorized, Browser, ConnectError, Connected,
    Connecting, Declined, Departure, Disconnector, GivenClient, GrantStores, InstallError,
    Installing, Invitation, Keeper, NotConnected, Refresher, ReturnError, Returned, SafeError,
    Ticket, Token, TokenError, Urge, Visiting,
};
pub use idempotency::{Begun, Idempotency, IdempotencyError};
pub use keys::{KeyInUse, KeyRotator, Keys, KeysError, MeteredVault, RotatorSettings};
pub use mappings::{
    DryRun, DryRunOf, DryRunRow, DryRunRows, MappingError, MappingPatch, MappingStores, Mappings,
    NewMapping, SuggestMappings, Suggested, SuggestedField, SuggestedMapping,
};
pub use near::near;
pub use patch::Patch;
pub use people::{NewPerson, People, PersonPatch};
pub use providers::{
    NewProvider, NewProviderConnector, ProviderConnectorPatch, ProviderConnectors, ProviderPatch,
    Providers,
};
pub use records::{Readable, RecordError, Records, Stamps, Writable};
pub use run_watch::{RunWatch, Seen};
pub use schedules::{Pace, ScheduleError, Schedules, SetSchedule};
pub use seeding::{SeedError, SeedOutcome, Seeding};
pub use settings::{ActivationSettings, SettingsError};
pub use sources::Sources;
pub use streams::{NotAtRest, StreamError, Streams};
pub use suitability::Unsuitable;
pub use sync_targets::{NewSyncTarget, SyncTargets};
pub use syncs::{StartSync, SyncError, Syncs};
pub use target_models::{TargetModelSchema, TargetModels};
pub use tokens::{IssuedToken, Tokens, TokensError};
pub use workspaces::{NewWorkspace, WorkspacePatch, Workspaces};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod matrix;
