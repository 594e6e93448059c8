//! `linkspan authorize`: connects an activation whose provider has a person agree.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    activation::Activation,
    client::{Client, text},
    exit::Failed,
    output::Output,
    session::Session,
};
use crate::{server::stop_signal, settings::Settings};

/// Connect an activation whose provider has a person agree
///
/// Prints a link. Whoever opens it and agrees connects the activation, whatever its status was.
#[derive(Debug, clap::Args)]
pub(crate) struct Authorize {
    /// The name of the activation, or its identifier
    name: String,
    /// The client that was registered with the provider, where it does not register by itself
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The variable of the environment that holds the secret of that client
    #[arg(long, value_name = "VARIABLE", requires = "client_id")]
    client_secret_env: Option<String>,
    /// Ask for this scope, too; repeat for more
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Wait until somebody has agreed, or the link has expired
    #[arg(long)]
    wait: bool,
}

/// How often to look whether somebody has agreed.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a link works.
const LASTS: Duration = Duration::from_mins(10);

impl Authorize {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let session = Session::open(settings).await?;
        let done = tokio::select! {
            done = self.connect(session.client(), output) => done,
            () = stop_signal() => Err(Failed::interrupted(session.interruption())),
        };
        session.close().await;
        done
    }

    async fn connect(&self, client: &Client, output: &Output) -> Result<(), Failed> {
        let activation = Activation::find(client, &self.name).await?;
        let before = captured(client, &activation).await?;
        let path = format!("/v1/workspace-connectors/{}/authorize", activation.id);
        let link = client.post(&path, &self.body()?).await?;
        if link["connected"] == true {
            output.answer(|| format!("{} is connected.", activation.name), &link);
            return Ok(());
        }
        let (page, until) = (text(&link["connect_url"]), text(&link["expires_at"]));
        let told = format!("Open this link and agree. It works once, until {until}:\n{page}");
        if !self.wait {
            output.answer(|| told, &link);
            return Ok(());
        }
        output.say(&told);
        let until = Instant::now() + LASTS;
        while captured(client, &activation).await? == before {
            if Instant::now() >= until {
                return Err(Failed::source("nobody agreed in time; ask for another link"));
            }
            sleep(AGAIN).await;
        }
        output
            .answer(|| format!("{} is connected.", activation.name), &json!({ "connected": true }));
        Ok(())
    }

    fn body(&self) -> Result<Value, Failed> {
        let mut body = json!({ "scopes": self.scopes });
        if let Some(id) = &self.client_id {
            body["client_id"] = json!(id);
        }
        if let Some(variable) = &self.client_secret_env {
            body["client_secret"] = json!(super::assign::from_environment(variable)?);
        }
        Ok(body)
    }
}

/// When a grant was last given to an activation.
async fn captured(client: &Client, activation: &Activation) -> Result<Value, Failed> {
    let seen = activation.see(client).await?;
    Ok(seen.thing["attributes"]["installed_capabilities"]["captured_at"].clone())
}
