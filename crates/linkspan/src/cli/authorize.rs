//! `linkspan authorize`: connects an activation whose provider has a person agree.

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    activation::Activation,
    client::{Client, text},
    exit::Failed,
    output::Output,
    patience::{given_up, patiently},
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
    /// The file with the private key of that client, in place of a secret: PKCS#8 in PEM, P-256 or RSA
    #[arg(long, value_name = "PATH", requires = "client_id", conflicts_with = "client_secret_env")]
    client_key: Option<PathBuf>,
    /// What the provider calls that key, where it has to know
    #[arg(long, value_name = "KID", requires = "client_key")]
    client_key_id: Option<String>,
    /// Ask for this scope, too; repeat for more
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Wait until somebody has agreed, or the link has expired; a server may be away for two minutes meanwhile
    #[arg(long)]
    wait: bool,
}

/// How often to look whether somebody has agreed.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a link works.
const LASTS: Duration = Duration::from_mins(10);

/// How long after it was used there is something to see: whoever uses it is 30 seconds at it at most.
const SETTLES: Duration = Duration::from_secs(40);

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
        // The way to it from here may be another than that of people.
        let link = page.split_once("/v1/oauth/").map(|(_, it)| format!("v1/oauth/{it}"));
        Waiting { client, activation: &activation, before: &before, link: link.as_deref() }
            .end()
            .await?;
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
        if let Some(path) = &self.client_key {
            body["client_private_key"] = json!(super::assign::from_file(path)?);
        }
        if let Some(id) = &self.client_key_id {
            body["client_key_id"] = json!(id);
        }
        Ok(body)
    }
}

/// Somebody was sent a link.
struct Waiting<'w> {
    client: &'w Client,
    activation: &'w Activation,
    /// When a grant was last given to the activation.
    before: &'w Value,
    /// Where the link leads, on the server.
    link: Option<&'w str>,
}

impl Waiting<'_> {
    /// Waits until the activation has another grant than before, or nothing comes of it. A server that is away for a moment, as
    /// while it is replaced, is waited for as well.
    async fn end(&self) -> Result<(), Failed> {
        let mut until = Instant::now() + LASTS;
        let mut is_open = true;
        loop {
            let (connected, open) = patiently(|| self.look()).await.map_err(|failed| {
                let name = &self.activation.name;
                let on = format!(
                    "The link goes on to work; linkspan check \"{name}\" finds out whether somebody has agreed"
                );
                given_up(failed, &on)
            })?;
            if connected {
                return Ok(());
            }
            if is_open && !open {
                until = until.min(Instant::now() + SETTLES);
                is_open = false;
            }
            if Instant::now() >= until {
                return Err(Failed::source(if is_open {
                    "nobody agreed in time; ask for another link"
                } else {
                    "the link was used and nothing came of it: somebody cancelled, or the provider refused; the audit trail says why. \
                     Ask for another link"
                }));
            }
            sleep(AGAIN).await;
        }
    }

    /// Whether the activation is connected by now, and whether the link works yet.
    async fn look(&self) -> Result<(bool, bool), Failed> {
        let now = captured(self.client, self.activation).await?;
        // One that is gone is not another.
        let connected = now != *self.before && !now.is_null();
        let open = match self.link {
            Some(link) if !connected => self.client.is_open(link).await?,
            _ => true,
        };
        Ok((connected, open))
    }
}

/// When a grant was last given to an activation.
async fn captured(client: &Client, activation: &Activation) -> Result<Value, Failed> {
    let seen = activation.see(client).await?;
    Ok(seen.thing["attributes"]["installed_capabilities"]["captured_at"].clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use linkspan_domain::Secret;
    use linkspan_testkit::{Answer, Answers};

    use super::*;
    use crate::cli::patience::AWAY;

    fn captured_at(at: &Value) -> Answer {
        let attributes = json!({ "installed_capabilities": { "captured_at": at } });
        Answer::of(200, json!({ "data": { "attributes": attributes } }).to_string())
    }

    /// Waits with a server that gives these answers, and for how long that was.
    async fn waited(answers: Vec<Answer>) -> (Result<(), Failed>, Duration) {
        let answers = Arc::new(Answers::sequence(answers));
        let url = "http://linkspan.test/".parse().unwrap();
        let client = Client::new(url, Secret::new("lsk_x".to_owned()), answers);
        let activation = Activation { id: "1".to_owned(), name: "notes".to_owned() };
        let began = Instant::now();
        let (before, link) = (json!("before"), Some("v1/oauth/connect?ticket=x"));
        let waiting = Waiting { client: &client, activation: &activation, before: &before, link };
        (waiting.end().await, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_away_for_a_moment_is_waited_for() {
        let busy = r#"{"errors":[{"code":"platform.unavailable","meta":{"retryable":true}}]}"#;
        let answers = vec![
            captured_at(&json!("before")),
            Answer::of(200, "<html>"),
            Answer::Unreachable,
            Answer::of(502, "<html>"),
            Answer::of(503, busy),
            captured_at(&Value::Null),
            Answer::of(502, "<html>"),
            captured_at(&json!("now")),
        ];
        let (waited, _) = waited(answers).await;
        assert!(waited.is_ok(), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stays_away_is_told_with_what_goes_on() {
        let (waited, lasted) = waited(vec![Answer::Unreachable]).await;
        let failed = waited.unwrap_err();
        assert!(failed.message.contains("could not be reached"), "{failed:?}");
        assert!(failed.message.contains("linkspan check \"notes\""), "{failed:?}");
        assert!((AWAY / 2..AWAY + AGAIN).contains(&lasted), "{lasted:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_nothing_came_of_is_not_waited_for_to_its_end() {
        let used = || [captured_at(&json!("before")), Answer::of(410, "<html>")];
        let (ended, lasted) = waited((0..60).flat_map(|_| used()).collect()).await;
        assert!(ended.unwrap_err().message.contains("nothing came of it"));
        assert!((SETTLES..SETTLES + 2 * AGAIN).contains(&lasted), "{lasted:?}");

        let late = used().into_iter().chain([captured_at(&json!("now"))]).collect();
        let (ended, _) = waited(late).await;
        assert!(ended.is_ok(), "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_pass_is_not_waited_for() {
        let gone = r#"{"errors":[{"code":"resource.not_found","meta":{"retryable":false}}]}"#;
        let (waited, lasted) = waited(vec![Answer::of(404, gone)]).await;
        assert_eq!(waited.unwrap_err().code.as_deref(), Some("resource.not_found"));
        assert_eq!(lasted, Duration::ZERO);
    }
}
