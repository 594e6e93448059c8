//! What Linkspan asks of the outside world, one small trait each.

mod client_signer;
mod credentials;
mod diagnostics;
mod files;
mod grants;
mod idempotency;
mod keys;
mod oauth;
mod outbound;
mod run_queue;
mod schedules;
mod snapshots;
mod store;
mod syncs;
mod tokens;
mod vault;
mod world;

use std::error::Error;

pub use client_signer::ClientSigner;
pub use credentials::{CredentialStore, ExpiredCredential};
pub use diagnostics::DiagnosticStore;
pub use files::{FileStore, FileStoreError, ReceiveError, ReceivedFile, Upload};
pub use grants::{
    AnsweredAuthorization, AuthorizationStore, GrantStore, InPlaceOf, KeptAuthorization, KeptGrant,
    Left, Leftover, LeftoverId, Leftovers, NewGrant, OauthClientStore, Owner, PutOff,
    TakenAuthorization,
};
pub use idempotency::{CLAIM_LASTS, Claimed, IdempotencyStore, REPLY_LASTS};
pub use keys::{KeyRotationStore, KeyStore, KeyUsage, Resealed, SealedAt, SealedCount, SealedRow};
pub use oauth::{
    ASK_LASTS, AuthorizationAsk, AuthorizationServers, Discovery, OauthError, OauthTarget,
    TokenAsk, TokenReply, TokenRight,
};
pub use outbound::{
    Limits, Outbound, OutboundBody, OutboundError, OutboundRequest, OutboundResponse, Redirects,
};
pub use run_queue::RunQueue;
pub use schedules::{DueSchedule, ScheduleStore, Timing, Turn, TurnTaken};
pub use snapshots::{Snapshot, Snapshots};
pub use store::{AccessStore, AuditStore, CatalogStore, Change, Store, StoreError};
pub use syncs::{ChangeAtRest, Demand, SyncStore};
pub use tokens::{TokenClaims, TokenError, TokenGrant, TokenSigner, TokenSubject, TokenVerifier};
pub use vault::{InvalidKeyId, KeyId, Purpose, SealContext, Sealed, Vault, VaultError};
pub use world::World;
#[cfg(any(test, feature = "mock"))]
pub use {
    idempotency::MockIdempotencyStore,
    keys::MockKeyStore,
    run_queue::MockRunQueue,
    schedules::MockScheduleStore,
    store::{MockAccessStore, MockAuditStore, MockStore},
    tokens::MockTokenVerifier,
    vault::MockVault,
    world::MockWorld,
};

/// What went wrong underneath: kept for the log, never shown to a caller.
pub type Cause = Box<dyn Error + Send + Sync>;
