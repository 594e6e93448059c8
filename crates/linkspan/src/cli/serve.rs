//! `linkspan serve`: runs the server.

use serde_json::json;

use super::{exit::Failed, output::Output};
use crate::{
    compose::{FileReach, Platform},
    server::{Server, Work},
    settings::Settings,
};

/// Run the server: the API, and a worker that syncs
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {}

impl Serve {
    /// Runs the command, until somebody stops it.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let platform =
            Platform::open(settings, FileReach::Roots).await.map_err(|it| Failed::setup(&it))?;
        if let Some(welcome) = platform.welcome() {
            output.say(&welcome);
        }
        let server = Server::start(settings, platform, settings.listen, Work::Any).await;
        let server = server.map_err(|error| Failed::setup(&error))?;
        let machine = json!({ "listen": server.address().to_string() });
        output.answer(|| format!("Linkspan listens on http://{}", server.address()), &machine);
        server.run().await.map_err(|error| Failed::internal(&error))
    }
}
