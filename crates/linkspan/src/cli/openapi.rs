//! `linkspan openapi`: prints the OpenAPI document.

use super::{exit::Failed, output::Output};

/// Print the OpenAPI document of the API
#[derive(Debug, clap::Args)]
pub(crate) struct Openapi {}

impl Openapi {
    /// Runs the command.
    #[expect(clippy::unused_self, reason = "every command runs the same way")]
    pub(crate) fn run(self, output: &Output) -> Result<(), Failed> {
        let document = linkspan_api::openapi();
        output.document(&document);
        Ok(())
    }
}
