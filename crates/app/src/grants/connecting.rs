//! Connecting an activation: sending a person to the provider, and taking them back.

mod clients;
mod error;
mod resuming;
mod returning;
mod target;
mod ticket;
mod visiting;

use std::{collections::BTreeSet, sync::Arc};

use linkspan_domain::{
    Act, Action, AuditEventId, AuthorizationServer, Call, ClientMetadata, Connector, GivenProof,
    Grant, GrantHolder, HeldGrant, OauthClient, Revision, WorkspaceConnector, WorkspaceConnectorId,
    ports::{
        AuthorizationAsk, AuthorizationServers, AuthorizationStore, Discovery, GrantStore,
        KeptAuthorization, OauthClientStore, Owner, Purpose, Store, TokenAsk, TokenRight, Vault,
        World,
    },
};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use url::Url;

pub use error::{ConnectError, NotConnected, ReturnError};
pub(super) use resuming::AT_WORK;
use returning::caller_of;
pub use returning::{Connected, Returned};
pub(crate) use target::token_test_url;
pub use ticket::{Browser, Ticket};
pub use visiting::{Declined, Departure, Invitation, Visiting};

use super::{AccessTokens, clients::Clients, safe::Safe};
use crate::{Mint, Records, Sources, activations::settings_are_complete, records::require_live};

/// Connects activations to the providers that guard their systems.
pub struct Connecting {
    stores: GrantStores,
    clients: Clients,
    activations: Records<WorkspaceConnector>,
    activation_store: Arc<dyn Store<WorkspaceConnector>>,
    connectors: Records<Connector>,
    servers: Arc<dyn AuthorizationServers>,
    safe: Safe,
    sources: Arc<Sources>,
    tokens: AccessTokens,
    mint: Mint,
    addresses: Addresses,
    world: Arc<dyn World>,
}

/// Keeps what belongs to grants.
#[derive(Clone)]
#[expect(missing_docs, reason = "the ports say themselves what they keep")]
pub struct GrantStores {
    pub grants: Arc<dyn GrantStore>,
    pub clients: Arc<dyn OauthClientStore>,
    pub authorizations: Arc<dyn AuthorizationStore>,
}

/// Where people and providers find this platform, and where it sends people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Where the platform is, as others see it. None: nobody can come back to it.
    pub public: Option<Url>,
    /// Where people may be sent when all is done: these, and what is below them.
    pub returns: Vec<Url>,
}

/// What is wanted of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorize {
    /// The client to be there, where somebody registered one. None: the one that is kept, else another way is found.
    pub client: Option<GivenClient>,
    /// What to ask for beyond what the connector always asks for.
    pub scopes: BTreeSet<String>,
    /// Where the person goes when all is done.
    pub return_to: Option<Url>,
    /// What goes with them there.
    pub state: Option<String>,
    /// The revision of the activation that the caller read.
    pub expected: Option<Revision>,
}

/// A client that somebody registered with the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenClient {
    /// Its name there.
    pub id: String,
    /// What proves that we are it.
    pub proof: GivenProof,
}

/// What came of asking to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorized {
    /// A person agrees there.
    Asked {
        /// Where to send them. It leads to the provider, and works once, in the browser that it was opened in.
        url: Url,
        /// The same by way of a page that says who asks for what.
        connect_url: Url,
        /// Until when.
        expires_at: OffsetDateTime,
    },
    /// Nobody had to agree.
    Connected,
}

/// How somebody comes back.
pub(super) struct Way {
    redirect_uri: Url,
    return_to: Option<Url>,
}

/// How long a person has to agree.
pub(super) const PENDING: Duration = Duration::minutes(10);

impl Addresses {
    /// Where providers send people back to.
    pub fn callback(&self) -> Option<Url> {
        self.public.as_ref().and_then(|it| below(it, "v1/oauth/callback"))
    }

    /// Where people go with `ticket`: to the provider, or to the page that says who asks first.
    fn links(&self, ticket: &Ticket) -> Option<[Url; 2]> {
        let public = self.public.as_ref()?;
        let link = |path| {
            let mut link = below(public, path)?;
            link.query_pairs_mut().append_pair("ticket", ticket.expose());
            Some(link)
        };
        Some([link("v1/oauth/start")?, link("v1/oauth/connect")?])
    }

    /// Where the document about us is, which serves as our name where providers read such. None: there can be none here.
    pub fn client_document(&self) -> Option<Url> {
        self.about_us().map(|(document, _)| document)
    }

    /// What that document says.
    pub fn client_metadata(&self) -> Option<ClientMetadata> {
        self.about_us().map(|(_, metadata)| metadata)
    }

    fn about_us(&self) -> Option<(Url, ClientMetadata)> {
        let document = below(self.public.as_ref()?, "v1/oauth/client-metadata.json")?;
        let metadata = ClientMetadata::document(&document, &self.callback()?).ok()?;
        Some((document, metadata))
    }

    /// Whether people may be sent to `url`: same scheme, host and port, and below the path.
    fn admits(&self, url: &Url) -> bool {
        let is_below = |root: &Url| {
            let path = root.path().trim_end_matches('/');
            let rest = url.path().strip_prefix(path);
            root.origin() == url.origin()
                && rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
        };
        url.username().is_empty() && url.password().is_none() && self.returns.iter().any(is_below)
    }
}

fn below(public: &Url, path: &str) -> Option<Url> {
    let mut root = public.clone();
    root.set_query(None);
    root.set_fragment(None);
    if !root.path().ends_with('/') {
        root.set_path(&format!("{}/", public.path()));
    }
    root.join(path).ok()
}

impl Connecting {
    /// Connects what `stores` keeps. Tokens are minted by `mint`.
    #[expect(clippy::too_many_arguments, reason = "one for each port, as everywhere")]
    pub fn new(
        stores: GrantStores,
        activations: Arc<dyn Store<WorkspaceConnector>>,
        connectors: Arc<dyn Store<Connector>>,
        servers: Arc<dyn AuthorizationServers>,
        vault: Arc<dyn Vault>,
        sources: Arc<Sources>,
        tokens: AccessTokens,
        mint: Mint,
        addresses: Addresses,
        world: Arc<dyn World>,
    ) -> Self {
        let safe = Safe::new(vault);
        let clients = Clients::new(
            Arc::clone(&stores.clients),
            Arc::clone(&servers),
            safe.clone(),
            Arc::clone(&world),
        );
        Self {
            stores,
            clients,
            activations: Records::new(Arc::clone(&activations), Arc::clone(&world)),
            activation_store: activations,
            connectors: Records::new(connectors, Arc::clone(&world)),
            servers,
            safe,
            sources,
            tokens,
            mint,
            addresses,
            world,
        }
    }

    /// Where people and providers find this platform.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Begins to connect an activation, whatever its status: answers where a person agrees, or connects it at once where
    /// nobody has to.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn authorize(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        authorize: Authorize,
    ) -> Result<Authorized, ConnectError> {
        let activation = self.activations.live(call, id, authorize.expected).await?;
        let connector =
            require_live(&self.connectors, &call.caller, activation.connector_id, "connector")
                .await?;
        let Way { redirect_uri, return_to } = self.way(&connector, &authorize)?;
        let target = target::of(&connector, &activation)?;
        let alone = target.is_client_alone();
        let found = self.servers.discover(&target).await.map_err(ConnectError::Server)?;
        let Discovery { server, resource, scopes: always } = found;
        let mut scopes = self.scopes(id, &server, &always, &authorize.scopes).await?;
        if !alone {
            scopes = server.with_offline_access(scopes);
        }
        let client = self.client(call, id, &server, &authorize, &redirect_uri, &scopes).await?;
        if alone {
            return self.connect_alone(call, activation, server, client, resource, &scopes).await;
        }
        let ask = AuthorizationAsk { server, client, redirect_uri, resource, scopes, return_to };
        self.begin(call, &activation, ask).await
    }

    async fn begin(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        ask: AuthorizationAsk,
    ) -> Result<Authorized, ConnectError> {
        let (issuer, client_id) = (ask.server.issuer.clone(), ask.client.client_id.clone());
        let ticket = Ticket::new((self.mint)("").map_err(ConnectError::Mint)?);
        let links = self.addresses.links(&ticket).ok_or(ConnectError::NoPublicAddress)?;
        let [url, connect_url] = links;
        let begun = self.servers.begin(ask, ticket.secret());
        let (_, pending) = begun.map_err(ConnectError::Server)?;
        let (id, now) = (self.world.uuid(), self.world.now());
        let kept = KeptAuthorization {
            id,
            state: ticket.kept_under(),
            workspace_connector_id: activation.id,
            workspace_id: activation.workspace_id,
            organization_id: call.caller.organization,
            content: self.safe.seal(Purpose::Authorization, id, &pending)?,
            created_at: now,
            expires_at: now + PENDING,
        };
        let details = json!({ "authorization_id": id, "issuer": issuer, "client_id": client_id });
        let act = Act { action: Action::AuthorizationBegun, details };
        // A link is not kept, so that it cannot be answered again: asked again, there is another.
        let call = Call { claim: None, ..call.clone() };
        let receipt = self.receipt(&call, act, activation);
        let begun = self.stores.authorizations.begin(&kept, &receipt).await;
        begun.map_err(ConnectError::Store)?;
        Ok(Authorized::Asked { url, connect_url, expires_at: kept.expires_at })
    }

    /// Gets a grant for ourselves (RFC 6749 §4.4).
    async fn connect_alone(
        &self,
        call: &Call,
        activation: WorkspaceConnector,
        server: AuthorizationServer,
        client: OauthClient,
        resource: Option<String>,
        scopes: &BTreeSet<String>,
    ) -> Result<Authorized, ConnectError> {
        let by = TokenRight::ClientCredentials;
        let resource = resource.as_deref();
        let ask = TokenAsk { server: &server, client: &client, by, resource, scopes };
        let replied = self.servers.ask(&ask).await;
        let received_at = self.world.now();
        let granted = replied.and_then(|it| self.servers.read(&ask, &it, received_at));
        let grant = match granted {
            Ok(grant) => grant,
            Err(error) => {
                let details = json!({
                    "issuer": server.issuer, "client_id": client.client_id,
                    "reason": error.to_string(), "provider_error": error.code(),
                });
                self.note(call, activation.id, details).await;
                return Err(ConnectError::Server(error));
            }
        };
        let held = HeldGrant { grant, server, client, holder: GrantHolder::Client };
        let owner = Owner {
            workspace_connector_id: activation.id,
            workspace_id: activation.workspace_id,
            organization_id: call.caller.organization,
        };
        self.keep(call, owner, &held, received_at, None).await?;
        Ok(Authorized::Connected)
    }

    /// What to ask for: what the connector always asks for, what was granted before, and what is wanted beyond.
    async fn scopes(
        &self,
        id: WorkspaceConnectorId,
        server: &AuthorizationServer,
        always: &BTreeSet<String>,
        wanted: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, ConnectError> {
        let mut scopes: BTreeSet<String> = always.union(wanted).cloned().collect();
        let before = self.stores.grants.grant(id).await.map_err(ConnectError::Store)?;
        if let Some(before) = before.filter(|it| it.issuer == server.issuer)
            && let Ok(held) = self.safe.open::<HeldGrant>(Purpose::Grant, id.uuid(), &before.grant)
        {
            let Grant { scopes: granted, .. } = held.grant;
            scopes.extend(granted);
        }
        Ok(scopes)
    }

    /// How somebody goes to the provider of `connector` and comes back, as far as that can be told without asking anybody.
    pub(super) fn way(
        &self,
        connector: &Connector,
        authorize: &Authorize,
    ) -> Result<Way, ConnectError> {
        if !connector.entry.authorization_flow.needs_grant() {
            return Err(ConnectError::NoOauth { connector: connector.id });
        }
        if connector.entry.auth_config.is_none() {
            return Err(ConnectError::NotConfigured { connector: connector.id });
        }
        let return_to = self.return_to(authorize)?;
        let redirect_uri = self.addresses.callback().ok_or(ConnectError::NoPublicAddress)?;
        Ok(Way { redirect_uri, return_to })
    }

    /// Where the person goes in the end, with what goes with them.
    fn return_to(&self, authorize: &Authorize) -> Result<Option<Url>, ConnectError> {
        let Some(url) = &authorize.return_to else { return Ok(None) };
        if !self.addresses.admits(url) {
            return Err(ConnectError::ReturnNotAllowed { host: host(url) });
        }
        let mut url = url.clone();
        if let Some(state) = &authorize.state {
            url.query_pairs_mut().append_pair("state", state);
        }
        Ok(Some(url))
    }

    fn receipt(
        &self,
        call: &Call,
        act: Act,
        activation: &WorkspaceConnector,
    ) -> linkspan_domain::Receipt {
        let event = AuditEventId::from_uuid(self.world.uuid());
        call.receipt(act, activation, event, self.world.now())
    }

    /// Whether the settings of an activation are complete, but for the grant.
    async fn is_complete(&self, call: &Call, activation: &WorkspaceConnector) -> bool {
        let settings = self.sources.settings();
        let Ok(definition) = settings.definition(&activation.connector_type) else { return false };
        let connector = self.connectors.find(&call.caller, activation.connector_id).await;
        let Ok(Some(Connector { entry, .. })) = connector else { return false };
        let flow = entry.authorization_flow;
        settings.open(activation).is_ok_and(|it| settings_are_complete(definition, flow, &it))
    }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
