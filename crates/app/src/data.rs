//! What syncs brought in: its changes, and looking through it.

use std::sync::Arc;

use linkspan_domain::{
    Caller, Code, Condition, Deleted, Permission, Problem, StreamName, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{Store, StoreError, World},
};
use linkspan_sdk::{
    FeedPage, FeedPosition, FeedQuery, QuarantineQuery, Quarantined, RecordSearch, RecordStore,
    SearchPage, SearchPosition,
};

use crate::{RecordError, Records, records::store_code};

/// The records of a workspace. Readers of connectors read them.
pub struct Data {
    store: Arc<dyn RecordStore>,
    activations: Records<WorkspaceConnector>,
}

/// Which records are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Only those of this activation.
    pub activation: Option<WorkspaceConnectorId>,
    /// Only those of streams of this name.
    pub stream: Option<StreamName>,
}

/// Which records to look for.
#[derive(Clone, Debug, PartialEq)]
pub struct Find {
    /// Among which.
    pub choice: Choice,
    /// What holds of them.
    pub condition: Condition,
    /// Whether those that are gone from the source are among them.
    pub deleted: Deleted,
    /// Only those behind this one.
    pub after: Option<SearchPosition>,
    /// At most so many.
    pub limit: u32,
}

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// As with every kept thing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Deletions that the reader would have to hear of are forgotten.
    #[error(
        "deletions behind this cursor were forgotten before they were read; begin anew without a cursor, and drop \
         what you are not told of"
    )]
    Expired,
    /// The store failed.
    #[error("could not read the records of the workspace")]
    Store(#[source] StoreError),
}

impl Problem for DataError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Expired => Code::CursorExpired,
            Self::Store(source) => store_code(source),
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::Record(error) => error.pointer(),
            Self::Expired | Self::Store(_) => None,
        }
    }
}

impl Data {
    /// The records that `store` keeps.
    pub fn new(
        store: Arc<dyn RecordStore>,
        activations: Arc<dyn Store<WorkspaceConnector>>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { store, activations: Records::new(activations, world) }
    }

    /// What changed in the caller's workspace since `after`. What happens in workspaces below it has feeds of its own.
    pub async fn changes(
        &self,
        caller: &Caller,
        choice: Choice,
        after: FeedPosition,
        limit: u32,
    ) -> Result<FeedPage, DataError> {
        self.accept(caller, &choice).await?;
        let Choice { activation, stream } = choice;
        let workspace = caller.visible.workspace;
        let query = FeedQuery { workspace, activation, stream, after, limit };
        self.store.feed(&query).await.map_err(|error| match error {
            StoreError::Expired => DataError::Expired,
            error => DataError::Store(error),
        })
    }

    /// The records of all workspaces that the caller sees of which a condition holds.
    pub async fn find(&self, caller: &Caller, find: Find) -> Result<SearchPage, DataError> {
        let Find { choice, condition, deleted, after, limit } = find;
        self.accept(caller, &choice).await?;
        let search = RecordSearch {
            workspaces: caller.visible.workspaces.clone(),
            activation: choice.activation,
            stream: choice.stream,
            condition,
            deleted,
            after,
            limit,
        };
        self.store.search(&search).await.map_err(DataError::Store)
    }

    /// The records of a stream that were kept aside, the oldest first, at most `limit` of those behind `after`.
    pub async fn quarantined(
        &self,
        caller: &Caller,
        activation: WorkspaceConnectorId,
        stream: StreamName,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Quarantined>, DataError> {
        let choice = Choice { activation: Some(activation), stream: None };
        self.accept(caller, &choice).await?;
        let query = QuarantineQuery { activation, stream, after, limit };
        self.store.quarantined(&query).await.map_err(DataError::Store)
    }

    async fn accept(&self, caller: &Caller, choice: &Choice) -> Result<(), DataError> {
        caller.require(Permission::ConnectorRead).map_err(RecordError::from)?;
        if let Some(activation) = choice.activation {
            self.activations.get(caller, activation).await?;
        }
        Ok(())
    }
}
