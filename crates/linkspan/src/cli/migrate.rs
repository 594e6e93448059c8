//! `linkspan migrate`: brings the database to the newest schema.

use serde_json::json;

use super::{exit::Failed, output::Output};
use crate::{
    compose::{self, Opening},
    settings::Settings,
};

/// Bring the database to the newest schema
///
/// `serve` does so by itself at its start. Run it on its own to see that it works before the server is replaced.
#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {}

impl Migrate {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let database = compose::database(settings, Opening::OrNew).await;
        let database = database.map_err(|error| Failed::setup(&error))?;
        database.close().await;
        output.answer(|| "The database has the newest schema.".to_owned(), &json!({ "ok": true }));
        Ok(())
    }
}
