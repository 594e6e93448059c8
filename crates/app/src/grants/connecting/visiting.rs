//! Links that people open: they go to the provider, see who asks for what first, or go no further.

use std::{collections::BTreeSet, fmt, sync::Arc};

use linkspan_domain::{
    Call, InvalidSealedForm, KeyHash, Name, PendingAuthorization, Workspace,
    ports::{KeptAuthorization, Store},
};
use serde_json::json;
use time::OffsetDateTime;
use url::Url;

use super::{
    Browser, ConnectError, Connecting, ReturnError, Ticket, caller_of, returning::told_of,
};
use crate::{Records, grants::SafeError};

/// Receives people who were sent a link to connect something.
pub struct Visiting {
    connecting: Arc<Connecting>,
    workspaces: Records<Workspace>,
}

/// Who asks for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// What people call the activation.
    pub name: Name,
    /// What the catalog calls the connector.
    pub connector: Name,
    /// What people call the workspace.
    pub workspace: Name,
    /// What is asked for.
    pub scopes: BTreeSet<String>,
    /// Where they agree.
    pub departure: Departure,
    /// Until when.
    pub expires_at: OffsetDateTime,
}

/// The way to a provider. What is in it opens the authorization, so that `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Departure {
    /// Where a person agrees. It works in this browser only.
    pub url: Url,
    /// This browser.
    pub browser: Browser,
}

impl fmt::Debug for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Departure").finish_non_exhaustive()
    }
}

/// An authorization that a person did not want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declined {
    /// What people call the activation.
    pub name: Name,
    /// Where they came from, which is told.
    pub return_to: Option<Url>,
}

impl Connecting {
    /// Sends somebody in `browser`, or in one that was never here, to the provider.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn depart(
        &self,
        ticket: &Ticket,
        browser: Option<Browser>,
    ) -> Result<Departure, ReturnError> {
        let (kept, pending) = self.look(&ticket.kept_under()).await?;
        // Nobody agrees for what is gone.
        let (caller, id) = (caller_of(&kept), kept.workspace_connector_id);
        self.activations.get(&caller, id).await.map_err(ConnectError::from)?;
        self.departure(ticket, browser, &kept, &pending)
    }

    /// The authorization that is kept under `kept_under`, which stays there.
    pub(super) async fn look(
        &self,
        kept_under: &KeyHash,
    ) -> Result<(KeptAuthorization, PendingAuthorization), ReturnError> {
        let now = self.world.now();
        self.opened(self.stores.authorizations.look(kept_under, now).await?)
    }

    fn departure(
        &self,
        ticket: &Ticket,
        browser: Option<Browser>,
        kept: &KeptAuthorization,
        pending: &PendingAuthorization,
    ) -> Result<Departure, ReturnError> {
        let browser = match browser {
            Some(browser) => browser,
            None => Browser::new((self.mint)("").map_err(ConnectError::Mint)?),
        };
        let url = sent_with(kept, pending, &ticket.state_for(&browser))?;
        Ok(Departure { url, browser })
    }
}

impl Visiting {
    /// Receives those whom `connecting` sends.
    pub fn new(connecting: Arc<Connecting>, workspaces: Arc<dyn Store<Workspace>>) -> Self {
        let workspaces = Records::new(workspaces, Arc::clone(&connecting.world));
        Self { connecting, workspaces }
    }

    /// Shows who asks for what to somebody in `browser`, or in one that was never here.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn visit(
        &self,
        ticket: &Ticket,
        browser: Option<Browser>,
    ) -> Result<Invitation, ReturnError> {
        let (kept, pending) = self.connecting.look(&ticket.kept_under()).await?;
        let departure = self.connecting.departure(ticket, browser, &kept, &pending)?;
        let (name, connector, workspace) = self.names(&kept).await?;
        let (scopes, expires_at) = (pending.scopes, kept.expires_at);
        Ok(Invitation { name, connector, workspace, scopes, departure, expires_at })
    }

    /// Has nothing come of an authorization any more.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn decline(
        &self,
        ticket: &Ticket,
        ip_address: Option<String>,
        trace_id: String,
    ) -> Result<Declined, ReturnError> {
        let connecting = &self.connecting;
        let (kept, pending) = connecting.take(&ticket.kept_under()).await?;
        let call = Call { caller: caller_of(&kept), ip_address, trace_id, claim: None };
        let reason = "the person cancelled before they went there";
        let details = json!({ "authorization_id": kept.id, "reason": reason });
        connecting.note(&call, kept.workspace_connector_id, details).await;
        let (name, ..) = self.names(&kept).await?;
        Ok(Declined { name, return_to: told_of("access_denied", &pending) })
    }

    /// What people call the activation, its connector and its workspace.
    async fn names(&self, kept: &KeptAuthorization) -> Result<(Name, Name, Name), ConnectError> {
        let caller = caller_of(kept);
        let connecting = &self.connecting;
        let activation = connecting.activations.get(&caller, kept.workspace_connector_id).await?;
        let connector = connecting.connectors.get(&caller, activation.connector_id).await?;
        let workspace = self.workspaces.get(&caller, kept.workspace_id).await?;
        Ok((activation.name, connector.entry.name, workspace.name))
    }
}

/// Where a person agrees, as it was remembered.
pub(super) fn agreed_at(
    kept: &KeptAuthorization,
    pending: &PendingAuthorization,
) -> Result<Url, SafeError> {
    let source = InvalidSealedForm;
    let url = pending.url.expose().parse();
    url.map_err(|_| SafeError::Form { doing: "open", row: kept.id, source })
}

/// Where a person agrees, if they go there with `state`.
fn sent_with(
    kept: &KeptAuthorization,
    pending: &PendingAuthorization,
    state: &str,
) -> Result<Url, SafeError> {
    let mut url = agreed_at(kept, pending)?;
    let others = url.query_pairs().filter(|(name, _)| name != "state");
    let others: Vec<_> =
        others.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair("state", state);
    Ok(url)
}
