//! What has to do with grants, put together.

use std::sync::Arc;

use linkspan_app::{
    AccessTokens, Activations, Addresses, Connecting, Disconnector, GrantStores, Installing,
    Keeper, Refresher, Sources, Visiting,
};
use linkspan_domain::ports::{AuthorizationServers, Vault, World};
use linkspan_persistence::Database;

use crate::settings::Settings;

/// What has to do with grants.
pub(crate) struct Oauth {
    pub(crate) tokens: AccessTokens,
    database: Database,
    servers: Arc<dyn AuthorizationServers>,
    vault: Arc<dyn Vault>,
    world: Arc<dyn World>,
    addresses: Addresses,
}

impl Oauth {
    /// Over `database`, by way of `servers`.
    pub(crate) fn new(
        settings: &Settings,
        database: &Database,
        servers: Arc<dyn AuthorizationServers>,
        vault: Arc<dyn Vault>,
        world: Arc<dyn World>,
    ) -> Self {
        let addresses = addresses(settings);
        let refresher = Refresher::new(
            database.grants(),
            database.oauth_clients(),
            database.workspace_connectors(),
            Arc::clone(&servers),
            Arc::clone(&vault),
            Arc::clone(&world),
            addresses.callback(),
        );
        let (tokens, database) = (AccessTokens::new(refresher), database.clone());
        Self { tokens, database, servers, vault, world, addresses }
    }

    /// Connects activations.
    pub(crate) fn connecting(&self, sources: Arc<Sources>) -> Connecting {
        let db = &self.database;
        let stores = GrantStores {
            grants: db.grants(),
            clients: db.oauth_clients(),
            authorizations: db.authorizations(),
        };
        Connecting::new(
            stores,
            db.workspace_connectors(),
            db.connectors(),
            Arc::clone(&self.servers),
            Arc::clone(&self.vault),
            sources,
            self.tokens.clone(),
            linkspan_vault::random_token,
            self.addresses.clone(),
            Arc::clone(&self.world),
        )
    }

    /// Connects connectors of the catalog.
    pub(crate) fn installing(
        &self,
        connecting: &Arc<Connecting>,
        activations: &Arc<Activations>,
    ) -> Installing {
        let (connecting, activations) = (Arc::clone(connecting), Arc::clone(activations));
        Installing::new(connecting, activations, self.database.connectors())
    }

    /// Receives people who were sent a link.
    pub(crate) fn visiting(&self, connecting: &Arc<Connecting>) -> Visiting {
        Visiting::new(Arc::clone(connecting), self.database.workspaces())
    }

    /// Keeps grants alive.
    pub(crate) fn keeper(&self) -> Keeper {
        Keeper {
            tokens: self.tokens.clone(),
            grants: self.database.grants(),
            world: Arc::clone(&self.world),
        }
    }

    /// Tells providers what activations that are gone do not need any more.
    pub(crate) fn disconnector(&self) -> Disconnector {
        Disconnector::new(
            self.database.grants(),
            self.database.authorizations(),
            Arc::clone(&self.servers),
            Arc::clone(&self.vault),
            Arc::clone(&self.world),
        )
    }
}

fn addresses(settings: &Settings) -> Addresses {
    // All addresses of a machine are none that somebody could come back to.
    let is_nowhere = settings.public_url.is_none() && settings.listen.ip().is_unspecified();
    let public = if is_nowhere { None } else { settings.public_url().parse().ok() };
    Addresses { public, returns: settings.return_urls.urls() }
}
