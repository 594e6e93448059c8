//! Whether an activation can sync like that: one judgement, whether a caller or a schedule asks.

use std::time::Duration;

use linkspan_domain::{
    Caller, Capability, Code, Denied, Problem, StreamName, SyncMode, WorkspaceConnector,
    WorkspaceConnectorId,
};

use crate::{SettingsError, Sources, sources::may_run};

/// Why an activation cannot sync like that.
#[derive(Debug, thiserror::Error)]
pub enum Unsuitable {
    /// The caller may not run connectors of the type.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The settings cannot be had, or the type is not there.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The type has no records to read.
    #[error("connectors of this type have no records to read")]
    Unsupported,
    /// An incremental sync has nothing to tell new records by.
    #[error(
        "an incremental sync needs a cursor_column in the streams of workspace connector {0}; set one, or sync in full"
    )]
    CursorRequired(WorkspaceConnectorId),
}

impl Problem for Unsuitable {
    fn code(&self) -> Code {
        match self {
            Self::Denied(_) => Code::PermissionDenied,
            Self::Settings(error) => error.code(),
            Self::Unsupported => Code::TypeUnsupported,
            Self::CursorRequired(_) => Code::CursorRequired,
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::CursorRequired(_) => Some("/data/attributes/mode".to_owned()),
            Self::Denied(_) | Self::Settings(_) | Self::Unsupported => None,
        }
    }
}

/// How long a caller who asks for a sync waits to hear which streams there are.
pub(crate) const LOOKING: Duration = Duration::from_secs(10);

/// Passes if connectors of the type have records to read, and `caller` may have them read.
pub(crate) fn can_sync(
    sources: &Sources,
    caller: &Caller,
    activation: &WorkspaceConnector,
) -> Result<(), Unsuitable> {
    let definition = sources.settings().definition(&activation.connector_type)?;
    may_run(caller, definition)?;
    if definition.manifest.can(Capability::Read) { Ok(()) } else { Err(Unsuitable::Unsupported) }
}

/// What to read of `streams`, or of all, if `wanted` is asked for: without that, what is new where that can be told.
pub(crate) async fn mode(
    sources: &Sources,
    activation: &WorkspaceConnector,
    wanted: Option<SyncMode>,
    streams: &[StreamName],
) -> Result<SyncMode, Unsuitable> {
    match wanted {
        Some(SyncMode::Full) => Ok(SyncMode::Full),
        Some(SyncMode::Incremental) if !has_cursor(sources, activation, streams).await? => {
            Err(Unsuitable::CursorRequired(activation.id))
        }
        Some(SyncMode::Incremental) => Ok(SyncMode::Incremental),
        None if has_cursor(sources, activation, streams).await? => Ok(SyncMode::Incremental),
        None => Ok(SyncMode::Full),
    }
}

/// Whether it is known what tells new records from old ones, in each of `streams` or, without any, in all.
async fn has_cursor(
    sources: &Sources,
    activation: &WorkspaceConnector,
    streams: &[StreamName],
) -> Result<bool, SettingsError> {
    let known = |it: &StreamName| {
        activation.stream_settings(it).is_some_and(|it| it.cursor_column.is_some())
    };
    let mut settings = activation.streams.iter();
    if !streams.is_empty() {
        return Ok(streams.iter().all(known));
    }
    if settings.clone().all(|it| it.cursor_column.is_none()) {
        return Ok(false);
    }
    if settings.any(|it| it.stream.is_none() && it.cursor_column.is_some()) {
        return Ok(activation.streams.iter().all(|it| it.cursor_column.is_some()));
    }
    // Only some streams are spoken of. If the system does not say which others there are, the run will.
    let all = sources.discover(activation, LOOKING).await?;
    Ok(all.map_or(true, |all| all.iter().all(|it| known(&it.name))))
}
