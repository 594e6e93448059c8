//! Taking a person back from the provider: what they were sent with is compared and forgotten before any token is asked for.

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use linkspan_domain::{
    Act, Action, Call, Caller, Code, Event, GrantHolder, HeldGrant, KeyHash, Name,
    PendingAuthorization, Problem, Redirected, Secret, Visible, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{
        KeptAuthorization, Owner, Purpose, StoreError, TakenAuthorization, TokenAsk, TokenRight,
    },
};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::sleep;
use tracing::Instrument;
use url::Url;
use uuid::Uuid;

use super::{
    Browser, ConnectError, Connecting, NotConnected, ReturnError, Ticket, ticket::Brought,
    visiting::agreed_at,
};
use crate::{RecordError, grants::insisting::insist, records::not_found};

/// What a person brought back with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// What they were sent with.
    pub state: Secret<String>,
    /// In which browser they are, if it has our cookie.
    pub browser: Option<Browser>,
    /// Who says that it sent them (RFC 9207).
    pub iss: Option<String>,
    /// What came of it. None: the redirect does not say.
    pub redirected: Option<Redirected>,
}

/// An activation that is connected now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Which one.
    pub id: WorkspaceConnectorId,
    /// What people call it.
    pub name: Name,
    /// Where the person goes now.
    pub return_to: Option<Url>,
}

/// How often a new grant is written before it is given up: others write the activation, too.
const WRITINGS: usize = 5;

/// How soon it is written again after the database could not be had.
const BREATH: Duration = Duration::from_millis(200);

impl Connecting {
    /// Takes a person back, and connects the activation that they were sent for. Goes on to its end though they leave: a code
    /// is exchanged once.
    pub async fn complete(
        self: &Arc<Self>,
        returned: Returned,
        ip_address: Option<String>,
        trace_id: String,
    ) -> Result<Connected, NotConnected> {
        let this = Arc::clone(self);
        let taking = async move { this.take_back(returned, ip_address, trace_id).await };
        match self.tokens.carry_through(taking.in_current_span()).await {
            Ok(completed) => completed,
            Err(broken) => match broken.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(ended) => {
                    let error = StoreError::Unavailable(Box::new(ended));
                    Err(ReturnError::from(error).into())
                }
            },
        }
    }

    #[tracing::instrument(skip_all, err(level = "debug"))]
    async fn take_back(
        &self,
        returned: Returned,
        ip_address: Option<String>,
        trace_id: String,
    ) -> Result<Connected, NotConnected> {
        let Returned { state, browser, iss, redirected } = returned;
        let brought = Brought::read(&state).ok_or(ReturnError::Unknown)?;
        // Before anything is taken: whoever is in another browser uses nothing up.
        let (kept, pending) = self.look(&brought.kept_under()).await?;
        let ticket = Ticket::of(&agreed_at(&kept, &pending).map_err(ReturnError::from)?);
        if !ticket.is_some_and(|it| brought.is_by(&it, browser.as_ref())) {
            return Err(ReturnError::OtherBrowser.into());
        }
        let (kept, pending) = self.take(&brought.kept_under()).await?;
        let call = Call { caller: caller_of(&kept), ip_address, trace_id, claim: None };
        let done = self.exchange(&call, &kept, &pending, iss.as_deref(), redirected).await;
        match done {
            Ok(WorkspaceConnector { id, name, .. }) => {
                Ok(Connected { id, name, return_to: pending.return_to })
            }
            Err(error) => {
                error.log(kept.workspace_connector_id);
                self.note(&call, kept.workspace_connector_id, error.details(kept.id)).await;
                let return_to = told_of(error.told(), &pending);
                Err(NotConnected { error, return_to })
            }
        }
    }

    /// Takes the authorization that is kept under `state`: nobody else gets it any more.
    pub(super) async fn take(
        &self,
        state: &KeyHash,
    ) -> Result<(KeptAuthorization, PendingAuthorization), ReturnError> {
        let taken = self.stores.authorizations.take(state, self.world.now()).await?;
        self.opened(taken)
    }

    /// What was found, if somebody can go on with it.
    pub(super) fn opened(
        &self,
        found: TakenAuthorization,
    ) -> Result<(KeptAuthorization, PendingAuthorization), ReturnError> {
        let kept = match found {
            TakenAuthorization::Taken(kept) => kept,
            TakenAuthorization::Used => return Err(ReturnError::Used),
            TakenAuthorization::Expired => return Err(ReturnError::Expired),
            TakenAuthorization::Unknown => return Err(ReturnError::Unknown),
        };
        let pending = self.safe.open(Purpose::Authorization, kept.id, &kept.content)?;
        Ok((kept, pending))
    }

    async fn exchange(
        &self,
        call: &Call,
        kept: &KeptAuthorization,
        pending: &PendingAuthorization,
        iss: Option<&str>,
        redirected: Option<Redirected>,
    ) -> Result<WorkspaceConnector, ReturnError> {
        pending.check_issuer(iss)?;
        let code = match redirected {
            Some(Redirected::Agreed { code }) => code,
            Some(Redirected::Refused { error, description }) => {
                return Err(ReturnError::Refused { error, description });
            }
            None => return Err(ReturnError::Malformed),
        };
        let ask = TokenAsk {
            server: &pending.server,
            client: &pending.client,
            by: TokenRight::Code { code: &code, pending },
            resource: pending.resource.as_deref(),
            scopes: &pending.scopes,
        };
        let reply = self.servers.ask(&ask).await.map_err(ReturnError::Server)?;
        let received_at = self.world.now();
        let grant = self.servers.read(&ask, &reply, received_at);
        let held = HeldGrant {
            grant: grant.map_err(ReturnError::Server)?,
            server: pending.server.clone(),
            client: pending.client.clone(),
            holder: GrantHolder::Person,
        };
        let journaled = self.journal(kept, &held).await;
        Ok(self.keep(call, kept.owner(), &held, received_at, journaled).await?)
    }

    /// Keeps what the exchange brought before anything else can fail: another process goes on from it if this one dies.
    /// Answers the authorization if that worked.
    pub(super) async fn journal(&self, kept: &KeptAuthorization, held: &HeldGrant) -> Option<Uuid> {
        let journaled = async {
            let sealed = self.safe.seal(Purpose::Authorization, kept.id, held)?;
            let authorizations = &self.stores.authorizations;
            let answered = insist(|| authorizations.answered(kept.id, &sealed)).await;
            answered.map_err(ConnectError::Store)
        };
        match journaled.await {
            Ok(()) => Some(kept.id),
            Err(error) => {
                // Connecting keeps it just as well, if that works.
                tracing::warn!(
                    workspace_connector = %kept.workspace_connector_id,
                    error = &error as &dyn std::error::Error,
                    "what an authorization brought could not be kept at once"
                );
                None
            }
        }
    }

    /// Keeps a new grant, whoever else writes the activation meanwhile. `journaled`: the authorization that it is kept with. If
    /// the activation is gone by now, it is left to be taken back.
    pub(super) async fn keep(
        &self,
        call: &Call,
        owner: Owner,
        held: &HeldGrant,
        received_at: OffsetDateTime,
        journaled: Option<Uuid>,
    ) -> Result<WorkspaceConnector, ConnectError> {
        let id = owner.workspace_connector_id;
        let kept = self.write(call, id, held, received_at, journaled).await;
        if let Err(gone) = &kept
            && gone.code() == Code::NotFound
            && journaled.is_none()
            && let Err(error) = self.leave(&owner, held).await
        {
            tracing::warn!(
                workspace_connector = %id, error = &error as &dyn std::error::Error,
                "what was granted for an activation that is gone could not be left to be taken back"
            );
        }
        kept
    }

    async fn leave(&self, owner: &Owner, held: &HeldGrant) -> Result<(), ConnectError> {
        let row = owner.workspace_connector_id.uuid();
        let sealed = self.safe.seal(Purpose::Grant, row, held)?;
        let left = self.stores.grants.leave(owner, &held.grant.issuer, &sealed).await;
        left.map_err(ConnectError::Store)
    }

    async fn write(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        held: &HeldGrant,
        received_at: OffsetDateTime,
        journaled: Option<Uuid>,
    ) -> Result<WorkspaceConnector, ConnectError> {
        let mut last = Err(not_found::<WorkspaceConnector>(id).into());
        for _ in 0..WRITINGS {
            let activation = self.activations.live(call, id, None).await?;
            if self.is_settled(journaled).await? {
                return Ok(activation);
            }
            last = match self.connect(call, activation, held, received_at).await {
                stale @ Err(ConnectError::Store(StoreError::Stale)) => stale,
                // The code is spent: one moment without a database is no reason to lose what it brought.
                unavailable @ Err(ConnectError::Store(StoreError::Unavailable(_))) => {
                    sleep(BREATH).await;
                    unavailable
                }
                done => return done,
            };
        }
        last
    }

    /// Whether somebody else connected meanwhile what is kept with the authorization `journaled`. Asked after the activation was
    /// read: who connects it from then on makes it stale.
    pub(super) async fn is_settled(&self, journaled: Option<Uuid>) -> Result<bool, ConnectError> {
        let Some(id) = journaled else { return Ok(false) };
        let is_unsettled = self.stores.authorizations.is_unsettled(id).await;
        is_unsettled.map(|it| !it).map_err(ConnectError::Store)
    }

    /// Keeps a new grant, and has the activation know of it.
    pub(super) async fn connect(
        &self,
        call: &Call,
        mut activation: WorkspaceConnector,
        held: &HeldGrant,
        received_at: OffsetDateTime,
    ) -> Result<WorkspaceConnector, ConnectError> {
        let (id, now) = (activation.id, self.world.now());
        self.keep_given(call, id, &held.client).await?;
        let grant = self.safe.new_grant(id, held, received_at)?;
        if self.is_complete(call, &activation).await {
            // No status stands in the way of a grant; a pause outlives it.
            let _ = activation.apply(Event::Configured);
        }
        let granted: Vec<_> = held.grant.scopes.iter().collect();
        // What the grant can do: the scopes that were granted, not those that were asked for.
        activation.installed_capabilities = Some(json!({
            "granted_scopes": granted, "captured_at": received_at.format(&Rfc3339).ok(),
        }));
        activation.updated_at = now;
        self.safe.refresh(&mut activation)?;
        let client = &held.client.client_id;
        let details =
            json!({ "issuer": held.grant.issuer, "client_id": client, "scopes": granted });
        let act = Act { action: Action::Connected, details };
        let receipt = self.receipt(call, act, &activation);
        let connected = self.stores.grants.connect(&grant, &activation, &receipt).await;
        connected.map_err(ConnectError::Store)?;
        self.tokens.forget(id);
        Ok(activation)
    }

    /// Has the audit trail know that nothing came of it.
    pub(super) async fn note(&self, call: &Call, id: WorkspaceConnectorId, details: Value) {
        let act = Act { action: Action::AuthorizationFailed, details };
        // Whoever tries again with the same claim is not answered with a failure.
        let call = Call { claim: None, ..call.clone() };
        let noted = async {
            let activation = self.activations.live(&call, id, None).await?;
            let receipt = self.receipt(&call, act, &activation);
            let written = self.activation_store.write(&[], &receipt).await;
            written.map_err(RecordError::reading(linkspan_domain::ResourceType::WorkspaceConnector))
        };
        if let Err(error) = noted.await {
            tracing::warn!(
                workspace_connector = %id, error = &error as &dyn std::error::Error,
                "a failed authorization could not be noted"
            );
        }
    }
}

/// Where the person came from, which is told of `error`.
pub(super) fn told_of(error: &str, pending: &PendingAuthorization) -> Option<Url> {
    let mut url = pending.return_to.clone()?;
    url.query_pairs_mut().append_pair("error", error);
    Some(url)
}

/// Whoever has an authorization acts for us, in the workspace that it is for.
pub(super) fn caller_of(kept: &KeptAuthorization) -> Caller {
    Caller::system(kept.organization_id, Visible::only(kept.workspace_id))
}
