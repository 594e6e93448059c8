//! `linkspan serve`: runs the server.

use serde_json::json;

use super::{exit::Failed, output::Output};
use crate::{
    compose::{FileReach, Opening, Platform},
    role::{Role, Roles},
    server::{Listener, Server, Work, work_alone},
    settings::Settings,
    workshop::Workshop,
};

/// Run the server: the API, a scheduler and a worker that syncs, or some of these
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// What this process does, separated by commas [default: api,scheduler,worker]
    #[arg(long, value_name = "ROLES")]
    role: Option<Roles>,
}

impl Serve {
    /// Runs the command, until somebody stops it.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let roles = self.role.unwrap_or_else(|| settings.role.clone());
        run_as(&roles, settings, output).await
    }
}

/// Does what `roles` say, until somebody stops it.
pub(super) async fn run_as(
    roles: &Roles,
    settings: &Settings,
    output: &Output,
) -> Result<(), Failed> {
    if roles.has(Role::Api) {
        return listen(roles, settings, output).await;
    }
    let workshop = Workshop::open(settings, FileReach::Roots, Opening::OrNew).await;
    let workshop = workshop.map_err(|it| Failed::setup(&it))?;
    let machine = json!({ "roles": roles.to_string() });
    output.answer(|| format!("Linkspan works as {roles}"), &machine);
    work_alone(&workshop, roles, settings).await.map_err(|error| Failed::internal(&error))
}

async fn listen(roles: &Roles, settings: &Settings, output: &Output) -> Result<(), Failed> {
    let listener = Listener::bind(settings.listen).await.map_err(|it| Failed::setup(&it))?;
    let platform = Platform::open(settings, FileReach::Roots, Opening::OrNew).await;
    let platform = platform.map_err(|it| Failed::setup(&it))?;
    if let Some(welcome) = platform.welcome() {
        output.say(&welcome);
    }
    let work = Work::As(roles.clone());
    let server = Server::start(settings, platform, listener, work);
    let machine = json!({ "listen": server.address().to_string(), "roles": roles.to_string() });
    output.answer(|| format!("Linkspan listens on http://{}", server.address()), &machine);
    server.run().await.map_err(|error| Failed::internal(&error))
}
