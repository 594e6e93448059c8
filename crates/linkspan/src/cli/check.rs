//! `linkspan check`: finds out whether an activation works.

use serde_json::{Value, json};

use super::{activation::Activation, exit::Failed, output::Output, session::Session};
use crate::settings::Settings;

/// Find out whether an activation works
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The name of the activation, or its identifier
    name: String,
}

impl Check {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let session = Session::open(settings).await?;
        let checked = self.check(&session).await;
        session.close().await;
        let found = checked?;
        let message = found["message"].as_str().unwrap_or_default();
        let machine = json!({
            "ok": found["ok"], "latency_ms": found["latency_ms"], "message": message,
        });
        if found["ok"] == true {
            output.answer(
                || format!("{} works ({} ms): {message}", self.name, found["latency_ms"]),
                &machine,
            );
            Ok(())
        } else {
            output.answer(|| format!("{} does not work", self.name), &machine);
            Err(Failed::source(message))
        }
    }

    async fn check(&self, session: &Session) -> Result<Value, Failed> {
        let activation = Activation::find(session.client(), &self.name).await?;
        let path = format!("/v1/workspace-connectors/{}/test", activation.id);
        session.client().post(&path, &json!({})).await
    }
}
