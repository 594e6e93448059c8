//! Where a command finds its platform: a running server, or the embedded database.

use std::{net::SocketAddr, sync::Arc};

use linkspan_domain::Secret;
use linkspan_egress::{EgressPolicy, GuardedClient};
use url::Url;

use super::{client::Client, exit::Failed};
use crate::{
    compose::{FileReach, Opening, Platform},
    server::{Listener, Server, Work},
    settings::Settings,
};

/// Passes if no server is named: for commands that work on the database itself.
pub(crate) fn require_no_server(settings: &Settings) -> Result<(), Failed> {
    if settings.url.is_none() {
        return Ok(());
    }
    Err(Failed::usage(
        "this works on the database itself; unset LINKSPAN_URL, and run it with the settings of the server",
    ))
}

/// A platform to talk to, for as long as a command runs.
pub(crate) struct Session {
    client: Client,
    embedded: Option<Server>,
}

impl Session {
    /// The server at `LINKSPAN_URL`, or one of our own over the embedded database, which has to be there: none is made.
    ///
    /// Either way a command speaks to the API, so there is one way in.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, Failed> {
        Self::of_settings(settings, Opening::Existing).await
    }

    /// As [`Session::open`], but over a new database where there is none yet.
    pub(crate) async fn open_or_new(settings: &Settings) -> Result<Self, Failed> {
        Self::of_settings(settings, Opening::OrNew).await
    }

    async fn of_settings(settings: &Settings, opening: Opening) -> Result<Self, Failed> {
        match Self::remote(settings)? {
            Some(client) => Ok(Self { client, embedded: None }),
            None => Self::embedded(settings, opening).await,
        }
    }

    /// The server at `LINKSPAN_URL`, if that is where commands go.
    pub(crate) fn remote(settings: &Settings) -> Result<Option<Client>, Failed> {
        match (&settings.url, &settings.api_key) {
            (Some(url), Some(key)) => client(url.clone(), key.clone(), settings).map(Some),
            (None, None) => Ok(None),
            _ => Err(Failed::usage("set LINKSPAN_URL and LINKSPAN_API_KEY together, or neither")),
        }
    }

    async fn embedded(settings: &Settings, opening: Opening) -> Result<Self, Failed> {
        // The person at the command line reads files of their own.
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(here).await.map_err(|error| Failed::setup(&error))?;
        let platform = Platform::open(settings, FileReach::Operator, opening).await;
        let platform = platform.map_err(|error| Failed::setup(&error))?;
        let key = platform.admin_key();
        Self::of(Server::start(settings, platform, listener, Work::Asked), key, settings)
    }

    /// A session with a server of our own.
    pub(crate) fn of(
        server: Server,
        key: Secret<String>,
        settings: &Settings,
    ) -> Result<Self, Failed> {
        let url = format!("http://{}/", server.address());
        let url = url.parse().map_err(|_| Failed::usage("the server has no address"))?;
        Ok(Self { client: client(url, key, settings)?, embedded: Some(server) })
    }

    /// Speaks to the platform.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Sees to it that `run` is worked off: by a worker of our own, if the platform is embedded.
    pub(crate) fn work_on(&self, run: &str) {
        if let (Some(server), Ok(run)) = (&self.embedded, run.parse()) {
            server.work_on(run);
        }
    }

    /// What becomes of a run when the command is interrupted.
    pub(crate) const fn interruption(&self) -> &'static str {
        match self.embedded {
            Some(_) => {
                "interrupted after a checkpoint; the next sync of the activation goes on from there"
            }
            None => "not waiting any longer; the server goes on with the run",
        }
    }

    /// Lets the platform go.
    pub(crate) async fn close(self) {
        if let Some(server) = self.embedded
            && let Err(error) = server.stop().await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the embedded server did not stop cleanly"
            );
        }
    }

    /// The server of our own, if it is one.
    pub(crate) const fn server(&self) -> Option<&Server> {
        self.embedded.as_ref()
    }

    /// The server of our own, to keep running.
    pub(crate) fn into_server(self) -> Option<Server> {
        self.embedded
    }
}

/// A client that may go wherever the person who typed the address wants.
fn client(url: Url, key: Secret<String>, settings: &Settings) -> Result<Client, Failed> {
    let everywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|it| it.parse().ok()).collect();
    let outbound = GuardedClient::new(EgressPolicy::new(everywhere));
    let outbound = outbound.map_err(|error| Failed::internal(&error))?;
    Client::new(url, key, Arc::new(outbound)).acting_in(settings.workspace.as_deref())
}
