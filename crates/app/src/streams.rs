//! How far the streams of activations are, and moving their marks.

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, Call, Caller, Code, Cursor, CursorType, InvalidCursor, Problem, Revision,
    StreamName, StreamState, SyncMode, WorkspaceConnector, WorkspaceConnectorId,
    ports::{ChangeAtRest, Store, StoreError, SyncStore, World},
};
use linkspan_engine::plan;
use linkspan_sdk::{CursorSpec, Failure};
use serde_json::json;

use crate::{
    RecordError, Records, SettingsError, Sources, records::store_code, suitability::LOOKING,
};

/// What is remembered of the streams of activations. Readers of connectors read it, managers move the marks.
pub struct Streams {
    store: Arc<dyn SyncStore>,
    activations: Records<WorkspaceConnector>,
    sources: Arc<Sources>,
}

/// Why the mark of a stream was not read or moved.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// As with every kept thing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The settings cannot be had.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The connected system did not say what the column holds.
    #[error(transparent)]
    Source(#[from] Failure),
    /// Nothing is remembered of the stream.
    #[error(
        "the stream {0} has never been synced; where its first sync begins is cursor_after in the streams of the workspace connector"
    )]
    NotFound(StreamName),
    /// No column is compared.
    #[error(
        "the stream {0} has no cursor_column; set one in the streams of the workspace connector"
    )]
    CursorRequired(StreamName),
    /// The value is none of the column.
    #[error("{0}")]
    InvalidCursor(InvalidCursor),
    /// A run can be in the way.
    #[error(transparent)]
    NotAtRest(#[from] NotAtRest),
    /// The store failed.
    #[error("could not read or move the marks of workspace connector {id}")]
    Store {
        /// Of which activation.
        id: WorkspaceConnectorId,
        /// What went wrong.
        source: StoreError,
    },
}

/// Why the marks of an activation stay as they are, and what they are of: a run can be in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAtRest {
    /// One is active.
    #[error("a sync of workspace connector {0} is in progress; wait until it ends, or stop it")]
    InProgress(WorkspaceConnectorId),
    /// One may begin at any time.
    #[error(
        "the schedule of workspace connector {0} is running; pause it first, so that no run begins meanwhile"
    )]
    Scheduled(WorkspaceConnectorId),
}

impl NotAtRest {
    /// What `change` means for the activation `id`.
    pub(crate) const fn unless(change: ChangeAtRest, id: WorkspaceConnectorId) -> Result<(), Self> {
        match change {
            ChangeAtRest::Made => Ok(()),
            ChangeAtRest::Busy => Err(Self::InProgress(id)),
            ChangeAtRest::Scheduled => Err(Self::Scheduled(id)),
        }
    }

    /// What machines call it.
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::InProgress(_) => Code::SyncAlreadyInProgress,
            Self::Scheduled(_) => Code::ScheduleRunning,
        }
    }
}

impl Problem for StreamError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Settings(error) => error.code(),
            Self::Source(failure) => failure.problem(),
            Self::NotFound(_) => Code::StreamNotFound,
            Self::CursorRequired(_) => Code::CursorRequired,
            Self::InvalidCursor(_) => Code::Invalid,
            Self::NotAtRest(it) => it.code(),
            Self::Store { source, .. } => store_code(source),
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::Record(error) => error.pointer(),
            Self::InvalidCursor(_) => Some("/data/attributes/cursor_after".to_owned()),
            Self::Settings(_)
            | Self::Source(_)
            | Self::NotFound(_)
            | Self::CursorRequired(_)
            | Self::NotAtRest(_)
            | Self::Store { .. } => None,
        }
    }
}

impl Streams {
    /// The streams that `store` remembers.
    pub fn new(
        store: Arc<dyn SyncStore>,
        activations: Arc<dyn Store<WorkspaceConnector>>,
        sources: Arc<Sources>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { store, activations: Records::new(activations, world), sources }
    }

    /// What is remembered of the streams of an activation, by name.
    pub async fn list(
        &self,
        caller: &Caller,
        id: WorkspaceConnectorId,
    ) -> Result<Vec<StreamState>, StreamError> {
        self.activations.get(caller, id).await?;
        self.store.streams(id).await.map_err(|source| StreamError::Store { id, source })
    }

    /// Moves the mark of a stream to `after`: the next incremental sync reads from there on. None: from where the
    /// settings begin.
    #[tracing::instrument(skip_all, fields(%id, ?stream), err(level = "debug"))]
    pub async fn set_cursor(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        expected: Option<Revision>,
        stream: &StreamName,
        after: Option<&str>,
    ) -> Result<StreamState, StreamError> {
        let activation = self.activations.live(call, id, expected).await?;
        let failed = |source| StreamError::Store { id, source };
        let known = self.store.stream(id, stream).await.map_err(failed)?;
        let known = known.ok_or_else(|| StreamError::NotFound(stream.clone()))?;
        let (column, mark) = match after {
            None => (known.cursor_column, None),
            Some(text) => {
                let spec = self.cursor(&activation, stream).await?;
                let mark = Cursor::parse(spec.cursor_type, text);
                let mark = mark.map_err(StreamError::InvalidCursor)?.to_string();
                (Some(spec.column), Some(mark))
            }
        };
        let state = StreamState { cursor_column: column, cursor_after: mark, ..known };
        let details = json!({
            "stream": stream, "cursor_column": state.cursor_column, "cursor_after": state.cursor_after,
        });
        let act = Act { action: Action::CursorSet, details };
        let receipt = self.activations.receipt(call, act, &activation);
        match self.store.move_mark(&state, &receipt).await {
            Ok(change) => {
                NotAtRest::unless(change, id)?;
                Ok(state)
            }
            Err(StoreError::Stale) => Err(StreamError::NotFound(stream.clone())),
            Err(StoreError::ClaimLost) => Err(RecordError::ClaimLost.into()),
            Err(source) => Err(failed(source)),
        }
    }

    /// What tells new records of a stream from old ones. The system is asked only where the settings leave it open.
    async fn cursor(
        &self,
        activation: &WorkspaceConnector,
        stream: &StreamName,
    ) -> Result<CursorSpec, StreamError> {
        let required = || StreamError::CursorRequired(stream.clone());
        let settings = activation.stream_settings(stream).ok_or_else(required)?;
        let column = settings.cursor_column.clone().ok_or_else(required)?;
        if let Some(cursor_type) = settings.cursor_type {
            return Ok(CursorSpec { column, cursor_type });
        }
        let specs = self.sources.discover(activation, LOOKING).await??.streams;
        let asked = std::slice::from_ref(stream);
        let plans = plan(activation, SyncMode::Incremental, asked, &specs).unwrap_or_default();
        let planned = plans.into_iter().find_map(|(_, it)| it.ok()?.cursor);
        // A column that is gone holds whatever it is said to hold.
        let cursor_type = planned.map_or(CursorType::Text, |it| it.spec.cursor_type);
        Ok(CursorSpec { column, cursor_type })
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{Role, StreamSettings};

    use super::*;
    use crate::fixtures::{MockRuns, activation, call, code, id, keep, sources, world};

    fn state() -> StreamState {
        StreamState {
            workspace_connector_id: id(30),
            stream: "orders".parse().unwrap(),
            cursor_column: Some("old".to_owned()),
            cursor_after: Some("9".to_owned()),
            generation: 1,
            records: 7,
            synced_at: None,
            memory: None,
            loaded_by: None,
            loaded_basis: None,
        }
    }

    async fn set(
        role: Role,
        cursor_type: Option<CursorType>,
        after: Option<&str>,
        outcome: Result<ChangeAtRest, StoreError>,
    ) -> Result<StreamState, StreamError> {
        let mut runs = MockRuns::new();
        runs.expect_stream()
            .returning(|_, stream| Ok(Some(state()).filter(|it| it.stream == *stream)));
        let mut outcome = Some(outcome);
        runs.expect_move_mark().returning(move |_, receipt| {
            assert_eq!(receipt.audit.action, "stream.cursor_set");
            outcome.take().unwrap()
        });
        let kept = activation(|it| {
            it.streams = vec![StreamSettings {
                cursor_column: Some("id".to_owned()),
                cursor_type,
                ..StreamSettings::default()
            }];
        });
        let streams = Streams::new(Arc::new(runs), keep(vec![kept]).store, sources(), world());
        let orders = "orders".parse().unwrap();
        streams.set_cursor(&call(role), id(30), None, &orders, after).await
    }

    #[tokio::test]
    async fn a_mark_is_a_value_of_the_cursor_column() {
        let int = Some(CursorType::Int);
        let moved = set(Role::Designer, int, Some("12"), Ok(ChangeAtRest::Made)).await.unwrap();
        assert_eq!(moved.cursor_column.as_deref(), Some("id"));
        assert_eq!(moved.cursor_after.as_deref(), Some("12"));
        let cleared = set(Role::Designer, int, None, Ok(ChangeAtRest::Made)).await.unwrap();
        assert_eq!(cleared.cursor_after, None);
        let wrong = set(Role::Designer, int, Some("noon"), Ok(ChangeAtRest::Made)).await;
        assert_eq!(code(wrong), "resource.invalid");
        let analyst = set(Role::Analyst, int, None, Ok(ChangeAtRest::Made)).await;
        assert_eq!(code(analyst), "permission.denied");
    }

    #[tokio::test]
    async fn a_mark_does_not_move_under_a_run() {
        let int = Some(CursorType::Int);
        let busy = set(Role::Designer, int, None, Ok(ChangeAtRest::Busy)).await;
        assert_eq!(code(busy), "sync.already_in_progress");
        let scheduled = set(Role::Designer, int, None, Ok(ChangeAtRest::Scheduled)).await;
        assert_eq!(code(scheduled), "schedule.running");
        let gone = set(Role::Designer, int, None, Err(StoreError::Stale)).await;
        assert_eq!(code(gone), "stream.not_found");
    }
}
