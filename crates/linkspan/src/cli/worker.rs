//! `linkspan worker`: works off runs.

use super::{exit::Failed, output::Output, serve::run_as};
use crate::{
    role::{Role, Roles},
    settings::Settings,
};

/// Run a worker: it syncs what others start, on the database it shares with them, and listens nowhere
#[derive(Debug, clap::Args)]
pub(crate) struct Worker {}

impl Worker {
    /// Runs the command, until somebody stops it.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        run_as(&Roles::only(Role::Worker), settings, output).await
    }
}
