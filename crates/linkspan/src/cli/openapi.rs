//! `linkspan openapi`: prints the OpenAPI document.

use super::output;

/// Print the OpenAPI document of the API
#[derive(Debug, clap::Args)]
pub(crate) struct Openapi {}

impl Openapi {
    /// Runs the command.
    #[expect(clippy::unused_self, reason = "every command runs the same way")]
    pub(crate) fn run(self) {
        output::document(&linkspan_api::openapi());
    }
}
