//! Problem codes: what machines call what went wrong.

use std::error::Error;

use serde::{Deserialize, Serialize};

/// What went wrong, for machines: `noun.situation`. Codes are only ever added.
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
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::EnumMessage,
)]
pub enum Code {
    /// The credentials are missing, wrong, expired or revoked.
    #[strum(to_string = "request.unauthenticated")]
    Unauthenticated,
    /// Too many credentials that do not work came from there.
    #[strum(to_string = "request.too_many_attempts")]
    TooManyAttempts,
    /// The caller lacks a permission.
    #[strum(to_string = "permission.denied")]
    PermissionDenied,
    /// The body or a path segment cannot be read.
    #[strum(to_string = "request.malformed")]
    RequestMalformed,
    /// A query parameter is unknown or has an impossible value.
    #[strum(to_string = "request.invalid_parameter")]
    InvalidParameter,
    /// A header has an impossible value.
    #[strum(to_string = "request.invalid_header")]
    InvalidHeader,
    /// There is no such route.
    #[strum(to_string = "request.no_route")]
    NoRoute,
    /// The route does not take the method.
    #[strum(to_string = "request.method_not_allowed")]
    MethodNotAllowed,
    /// The client accepts no representation that can be given.
    #[strum(to_string = "request.not_acceptable")]
    NotAcceptable,
    /// The body is of a media type that is not understood.
    #[strum(to_string = "request.unsupported_media_type")]
    UnsupportedMediaType,
    /// The body is too large or too deep.
    #[strum(to_string = "request.too_large")]
    TooLarge,
    /// The request took too long.
    #[strum(to_string = "request.timed_out")]
    TimedOut,
    /// The query takes too long.
    #[strum(to_string = "query.too_slow")]
    QueryTooSlow,
    /// The cursor is not of this list, or was altered.
    #[strum(to_string = "page.invalid_cursor")]
    InvalidCursor,
    /// What is behind the cursor is not known any more.
    #[strum(to_string = "page.cursor_expired")]
    CursorExpired,
    /// The thing was changed since its ETag was read.
    #[strum(to_string = "resource.stale")]
    Stale,
    /// A live thing already has that name.
    #[strum(to_string = "resource.name_taken")]
    NameTaken,
    /// It refers to something that does not exist, or something still refers to it.
    #[strum(to_string = "resource.dangling")]
    Dangling,
    /// `type` or `id` of the body contradict the route.
    #[strum(to_string = "resource.type_mismatch")]
    TypeMismatch,
    /// An attribute has an impossible value.
    #[strum(to_string = "resource.invalid")]
    Invalid,
    /// The client may not choose the identifier.
    #[strum(to_string = "resource.client_id_forbidden")]
    ClientIdForbidden,
    /// The thing is not there, or not the caller's.
    #[strum(to_string = "resource.not_found")]
    NotFound,
    /// The thing is not deleted, so it cannot be restored or purged.
    #[strum(to_string = "resource.not_deleted")]
    NotDeleted,
    /// Another call with the idempotency key is at work.
    #[strum(to_string = "idempotency.in_flight")]
    IdempotencyInFlight,
    /// The idempotency key was used with another payload.
    #[strum(to_string = "idempotency.mismatch")]
    IdempotencyMismatch,
    /// The connector is not on offer.
    #[strum(to_string = "connector.not_available")]
    ConnectorNotAvailable,
    /// There is no implementation for the connector's type in this installation.
    #[strum(to_string = "connector_type.not_installed")]
    TypeNotInstalled,
    /// The type cannot do that.
    #[strum(to_string = "connector_type.unsupported")]
    TypeUnsupported,
    /// The settings do not fit the type's schema.
    #[strum(to_string = "workspace_connector.invalid_config")]
    InvalidConfig,
    /// Secrets were sealed with a master key that this installation does not hold.
    #[strum(to_string = "secrets.key_unknown")]
    KeyUnknown,
    /// The settings hold something that looks secret but that the schema does not know as a secret.
    #[strum(to_string = "workspace_connector.unknown_secret")]
    UnknownSecret,
    /// The activation's status does not allow that.
    #[strum(to_string = "workspace_connector.unexpected_status")]
    UnexpectedStatus,
    /// The system refused the credentials.
    #[strum(to_string = "workspace_connector.need_reconnect")]
    NeedReconnect,
    /// The new credentials do not work.
    #[strum(to_string = "credential.check_failed")]
    CredentialCheckFailed,
    /// The settings were changed while the new credentials were tried.
    #[strum(to_string = "credential.rotation_conflict")]
    RotationConflict,
    /// The state of the credential version does not allow that.
    #[strum(to_string = "credential.unexpected_state")]
    UnexpectedCredentialState,
    /// The connected system refused.
    #[strum(to_string = "source.refused")]
    SourceRefused,
    /// The connected system did not answer.
    #[strum(to_string = "source.unavailable")]
    SourceUnavailable,
    /// A run is active already.
    #[strum(to_string = "sync.already_in_progress")]
    SyncAlreadyInProgress,
    /// An incremental sync needs a cursor column.
    #[strum(to_string = "sync.cursor_required")]
    CursorRequired,
    /// Too many of the records that a run read cannot be stored.
    #[strum(to_string = "sync.too_many_quarantined")]
    TooManyQuarantined,
    /// A stream is not what it was, and may not change.
    #[strum(to_string = "sync.schema_frozen")]
    SchemaFrozen,
    /// Someone stopped the run.
    #[strum(to_string = "sync.cancelled")]
    SyncCancelled,
    /// The workers that took the run died over it, one after the other.
    #[strum(to_string = "sync.crashed")]
    SyncCrashed,
    /// The run is over.
    #[strum(to_string = "sync.not_active")]
    SyncNotActive,
    /// The run is not one that broke off last.
    #[strum(to_string = "sync.not_resumable")]
    SyncNotResumable,
    /// The schedule is running, and may start a run at any time.
    #[strum(to_string = "schedule.running")]
    ScheduleRunning,
    /// The activation has no such stream.
    #[strum(to_string = "stream.not_found")]
    StreamNotFound,
    /// The filter's condition cannot be read.
    #[strum(to_string = "connector_filter.invalid_condition")]
    InvalidCondition,
    /// The expression cannot be a mapping.
    #[strum(to_string = "connector_mapping.invalid_expression")]
    InvalidMapping,
    /// A record of the stream does not become what the model asks for.
    #[strum(to_string = "connector_mapping.does_not_fit")]
    MappingDoesNotFit,
    /// Nobody can come back from a provider: the platform does not know its own address.
    #[strum(to_string = "oauth.no_public_address")]
    OauthNoPublicAddress,
    /// People may not be sent there.
    #[strum(to_string = "oauth.return_not_allowed")]
    OauthReturnNotAllowed,
    /// The provider knows no way to become a client but to register one by hand.
    #[strum(to_string = "oauth.client_required")]
    OauthClientRequired,
    /// Not built yet.
    #[strum(to_string = "request.not_implemented")]
    NotImplemented,
    /// A part of the platform does not answer; the same request may succeed later.
    #[strum(to_string = "platform.unavailable")]
    Unavailable,
    /// Our fault.
    #[strum(to_string = "platform.internal")]
    Internal,
}

/// An error that callers are told about.
pub trait Problem: Error + Send + Sync + 'static {
    /// What machines call it.
    fn code(&self) -> Code;

    /// Where in the request body it is: a JSON pointer.
    fn pointer(&self) -> Option<String> {
        None
    }
}
