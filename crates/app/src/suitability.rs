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
    /// The type does not do what the activation is for.
    #[error(
        "connectors of this type cannot {0} records, which this activation is to do; choose a connector of another type"
    )]
    Unsupported(Capability),
    /// The type writes all records at once, or none.
    #[error(
        "connectors of this type replace all that is there, and cannot take changes one by one; write into one with `linkspan read --into`, or choose another type"
    )]
    Replaces,
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
            Self::Unsupported(_) | Self::Replaces => Code::TypeUnsupported,
            Self::CursorRequired(_) => Code::CursorRequired,
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::CursorRequired(_) => Some("/data/attributes/mode".to_owned()),
            Self::Denied(_) | Self::Settings(_) | Self::Unsupported(_) | Self::Replaces => None,
        }
    }
}

/// How long a caller who asks for a sync waits to hear which streams there are.
pub(crate) const LOOKING: Duration = Duration::from_secs(10);

/// Passes if connectors of the type do what the activation is for, and `caller` may have them do it.
pub(crate) fn can_sync(
    sources: &Sources,
    caller: &Caller,
    activation: &WorkspaceConnector,
) -> Result<(), Unsuitable> {
    let definition = sources.settings().definition(&activation.connector_type)?;
    may_run(caller, definition)?;
    let needed = needed(activation);
    match needed {
        Capability::Write
            if definition.manifest.can(needed) && definition.push_mode().is_none() =>
        {
            Err(Unsuitable::Replaces)
        }
        _ if definition.manifest.can(needed) => Ok(()),
        _ => Err(Unsuitable::Unsupported(needed)),
    }
}

/// What the type of an activation must be capable of for a run.
pub(crate) fn needed(activation: &WorkspaceConnector) -> Capability {
    match activation.pushes().next() {
        Some(_) => Capability::Write,
        None => Capability::Read,
    }
}

/// What to read of `streams`, or of all, if `wanted` is asked for: without that, what is new where that can be told.
pub(crate) async fn mode(
    sources: &Sources,
    activation: &WorkspaceConnector,
    wanted: Option<SyncMode>,
    streams: &[StreamName],
) -> Result<SyncMode, Unsuitable> {
    if activation.pushes().next().is_some() {
        // It goes on where the last one ended, or begins anew.
        return Ok(wanted.unwrap_or(SyncMode::Incremental));
    }
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
    Ok(all.map_or(true, |all| all.streams.iter().all(|it| known(&it.name))))
}
