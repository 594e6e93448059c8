//! Connecting by a link of the catalog: the activation is made where there is none yet.

use std::sync::Arc;

use linkspan_domain::{
    Attribute, Call, Connector, Filter, FilterTest, FilterValue, Platform, WorkspaceConnector,
    WorkspaceId, ports::Store,
};
use serde_json::Map;

use super::{Authorize, Authorized, ConnectError, Connecting};
use crate::{
    ActivationError, Activations, NewActivation, RecordError, Writable,
    records::{all_of, not_found},
};

/// Connects connectors of the catalog to workspaces, whether they are activated yet or not.
pub struct Installing {
    connecting: Arc<Connecting>,
    activations: Arc<Activations>,
    connectors: Arc<dyn Store<Connector>>,
}

/// Why a connector could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It could not be connected.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It could not be activated.
    #[error(transparent)]
    Activate(#[from] ActivationError),
}

impl linkspan_domain::Problem for InstallError {
    fn code(&self) -> linkspan_domain::Code {
        match self {
            Self::Connect(error) => error.code(),
            Self::Activate(error) => error.code(),
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::Connect(error) => error.pointer(),
            Self::Activate(error) => error.pointer(),
        }
    }
}

impl Installing {
    /// Connects by way of `connecting`, and activates by way of `activations`.
    pub fn new(
        connecting: Arc<Connecting>,
        activations: Arc<Activations>,
        connectors: Arc<dyn Store<Connector>>,
    ) -> Self {
        Self { connecting, activations, connectors }
    }

    /// Begins to connect the connector called `slug` in `workspace`, which is that of the call: by its oldest live activation
    /// there, else by a new one.
    #[tracing::instrument(skip_all, fields(?slug), err(level = "debug"))]
    pub async fn access(
        &self,
        call: &Call,
        workspace: WorkspaceId,
        slug: &str,
        authorize: Authorize,
    ) -> Result<Authorized, InstallError> {
        call.caller
            .require(WorkspaceConnector::WRITE)
            .map_err(RecordError::from)
            .map_err(acting)?;
        if workspace != call.caller.visible.workspace {
            return Err(acting(not_found::<linkspan_domain::Workspace>(workspace)));
        }
        let (connector, activation) = self.called(call, slug).await?;
        // Before anything is written.
        self.connecting.way(&connector, &authorize)?;
        let activation = match activation {
            Some(it) => it,
            None => self.activated(call, &connector, slug).await?,
        };
        Ok(self.connecting.authorize(call, activation.id, authorize).await?)
    }

    /// The connector called `slug`, and its activation, if there is one. Of several that are called so, one that is activated,
    /// else the oldest.
    async fn called(
        &self,
        call: &Call,
        slug: &str,
    ) -> Result<(Connector, Option<WorkspaceConnector>), InstallError> {
        let filter = Filter {
            attribute: Attribute::text("slug"),
            test: FilterTest::Equals(FilterValue::Text(slug.to_owned())),
        };
        let resource = linkspan_domain::ResourceType::Connector;
        let found = all_of(&*self.connectors, &Platform, vec![filter]).await;
        let mut found = found.map_err(RecordError::reading(resource)).map_err(acting)?;
        found.sort_by_key(|it| (it.created_at, it.id));
        let mut oldest = None;
        for connector in found {
            match self.activation(call, &connector).await? {
                Some(activation) => return Ok((connector, Some(activation))),
                None => oldest = oldest.or(Some(connector)),
            }
        }
        let nowhere = RecordError::NotFound { resource, id: slug.escape_debug().to_string() };
        Ok((oldest.ok_or_else(|| acting(nowhere))?, None))
    }

    /// A new activation of `connector`, else the one that another call made meanwhile: it has the same name, that of the
    /// connector, and a workspace has but one live activation of a name. If one of another connector has it, the new one is
    /// called after `slug` as well.
    async fn activated(
        &self,
        call: &Call,
        connector: &Connector,
        slug: &str,
    ) -> Result<WorkspaceConnector, InstallError> {
        // The claim of the call goes with the authorization.
        let alone = Call { claim: None, ..call.clone() };
        let made = |name| {
            let new = NewActivation { name, ..NewActivation::of(connector.id, Map::new()) };
            self.activations.create(&alone, new)
        };
        match made(None).await {
            Err(ActivationError::Record(RecordError::Taken { .. })) => {
                if let Some(theirs) = self.activation(call, connector).await? {
                    return Ok(theirs);
                }
                let name = format!("{} ({slug})", connector.entry.name.as_str()).parse().ok();
                Ok(made(name).await?)
            }
            made => Ok(made?),
        }
    }

    async fn activation(
        &self,
        call: &Call,
        connector: &Connector,
    ) -> Result<Option<WorkspaceConnector>, InstallError> {
        let equals = |name, id| Filter {
            attribute: Attribute::id(name),
            test: FilterTest::Equals(FilterValue::Id(id)),
        };
        let filters = vec![
            equals("connector_id", linkspan_domain::Id::uuid(connector.id)),
            equals("workspace_id", linkspan_domain::Id::uuid(call.caller.visible.workspace)),
        ];
        let found = self.activations.records().list_all(&call.caller, filters).await;
        let found = found.map_err(acting)?;
        Ok(found.into_iter().min_by_key(|it| (it.created_at, it.id)))
    }
}

fn acting(error: RecordError) -> InstallError {
    InstallError::Connect(error.into())
}
