//! Whether an activation can sync like that: one judgement, whether a caller or a schedule asks.

use std::time::Duration;

use linkspan_domain::{
    Caller, Capability, Code, Denied, Direction, Problem, StreamName, StreamSettings, SyncMode,
    WorkspaceConnector, WorkspaceConnectorId,
};

use crate::{SettingsError, Sources, near::listed, sources::may_run};

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
    /// The type only writes, and nothing says what.
    #[error(
        "connectors of this type write, and its `streams` do not say what: name the `source` of each, a stream of another activation"
    )]
    NoSource,
    /// The type writes all records at once, or none.
    #[error(
        "connectors of this type replace all that is there, and cannot take changes one by one; write into one with `linkspan read --into`, or choose another type"
    )]
    Replaces,
    /// An incremental sync has nothing to tell new records by.
    #[error(
        "an incremental sync needs a cursor_column for each stream of workspace connector {id}, and {}; set one in its streams, or sync in full",
        without(.lacking)
    )]
    CursorRequired {
        /// Of which activation.
        id: WorkspaceConnectorId,
        /// The streams without one. Empty: all.
        lacking: Vec<StreamName>,
    },
}

impl Problem for Unsuitable {
    fn code(&self) -> Code {
        match self {
            Self::Denied(_) => Code::PermissionDenied,
            Self::Settings(error) => error.code(),
            Self::Unsupported(_) | Self::NoSource | Self::Replaces => Code::TypeUnsupported,
            Self::CursorRequired { .. } => Code::CursorRequired,
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::CursorRequired { .. } => Some("/data/attributes/mode".to_owned()),
            Self::NoSource => Some("/data/attributes/streams".to_owned()),
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
        Capability::Read if definition.manifest.can(Capability::Write) => Err(Unsuitable::NoSource),
        _ => Err(Unsuitable::Unsupported(needed)),
    }
}

/// What the type of an activation must be capable of for a run.
pub(crate) fn needed(activation: &WorkspaceConnector) -> Capability {
    match activation.direction() {
        Direction::Output => Capability::Write,
        Direction::Input => Capability::Read,
    }
}

/// What to read of `streams`, or of all, if `wanted` is asked for: without that, what is new where that can be told.
pub(crate) async fn mode(
    sources: &Sources,
    activation: &WorkspaceConnector,
    wanted: Option<SyncMode>,
    streams: &[StreamName],
) -> Result<SyncMode, Unsuitable> {
    if activation.direction() == Direction::Output {
        // It goes on where the last one ended, or begins anew.
        return Ok(wanted.unwrap_or(SyncMode::Incremental));
    }
    if wanted == Some(SyncMode::Full) {
        return Ok(SyncMode::Full);
    }
    match (lacking(sources, activation, streams).await?, wanted) {
        (None, _) => Ok(SyncMode::Incremental),
        (Some(_), None) => Ok(SyncMode::Full),
        (Some(lacking), Some(_)) => Err(Unsuitable::CursorRequired { id: activation.id, lacking }),
    }
}

/// Those of `streams` or, without any, of all, of which it is not known what tells new records from old ones. None: it is of
/// each. An empty list: of no stream at all.
async fn lacking(
    sources: &Sources,
    activation: &WorkspaceConnector,
    streams: &[StreamName],
) -> Result<Option<Vec<StreamName>>, SettingsError> {
    let has_cursor = |it: &StreamSettings| it.cursor_column.is_some();
    let lacks = |it: &&StreamName| !activation.stream_settings(it).is_some_and(has_cursor);
    let settings = &activation.streams;
    let lacking: Vec<_> = if !streams.is_empty() {
        streams.iter().filter(lacks).cloned().collect()
    } else if !settings.iter().any(has_cursor) {
        return Ok(Some(Vec::new()));
    } else if settings.iter().any(|it| it.stream.is_none() && has_cursor(it)) {
        settings.iter().filter_map(|it| it.stream.as_ref()).filter(lacks).cloned().collect()
    } else {
        // Only some streams are spoken of. If the system does not say which others there are, the run will.
        let Ok(all) = sources.discover(activation, LOOKING).await? else { return Ok(None) };
        all.streams.iter().map(|it| &it.name).filter(lacks).cloned().collect()
    };
    Ok((!lacking.is_empty()).then_some(lacking))
}

/// Which streams have no cursor, continuing a sentence.
fn without(lacking: &[StreamName]) -> String {
    const TOLD: usize = 5;
    let names = || listed(lacking.iter().map(StreamName::as_str), TOLD);
    match lacking {
        [] => "there is none".to_owned(),
        [_] => format!("{} has none", names()),
        _ => format!("{} have none", names()),
    }
}
