//! `linkspan runs`: what syncs did, and stopping one.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    activation::{Activation, RUNS, is_over},
    client::{Client, text},
    exit::Failed,
    output::{Output, table, thousands},
    session::Session,
};
use crate::settings::Settings;

/// List runs of syncs, or stop one
#[derive(Debug, clap::Args)]
pub(crate) struct Runs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the latest, of one activation or of all
    List {
        /// The name of the activation, or its identifier [default: all]
        name: Option<String>,
    },
    /// Stop a run; what it stored so far stays
    Cancel {
        /// The identifier of the run, or the name of the activation that it syncs
        #[arg(value_name = "RUN-OR-ACTIVATION")]
        run: String,
    },
}

/// How often to look whether a run has stopped, and after how long.
const LOOKS: usize = 20;
const AGAIN: Duration = Duration::from_millis(500);

impl Runs {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let session = Session::open(settings).await?;
        let done = match &self.action {
            Action::List { name } => list(session.client(), name.as_deref(), output).await,
            Action::Cancel { run } => cancel(&session, run, output).await,
        };
        session.close().await;
        done
    }
}

async fn list(client: &Client, name: Option<&str>, output: &Output) -> Result<(), Failed> {
    let activation = match name {
        Some(name) => Some(Activation::find(client, name).await?),
        None => None,
    };
    let mut query =
        vec![("sort", "-created_at"), ("page[size]", "20"), ("include", "workspace_connector")];
    query.extend(activation.as_ref().map(|it| ("filter[workspace_connector_id]", it.id.as_str())));
    let found = client.get(RUNS, &query).await?;
    let runs: Vec<_> = found["data"].as_array().into_iter().flatten().collect();
    let name = |run: &Value| {
        let mut activations = found["included"].as_array().into_iter().flatten();
        let its = activations.find(|it| it["id"] == run["attributes"]["workspace_connector_id"]);
        its.map(|it| text(&it["attributes"]["name"])).unwrap_or_default()
    };
    let rows = runs.iter().map(|run| {
        let attributes = &run["attributes"];
        let count = |kind| thousands(attributes["counts"][kind].as_u64().unwrap_or_default());
        [
            text(&run["id"]),
            name(run),
            text(&attributes["status"]),
            text(&attributes["mode"]),
            text(&attributes["created_at"]),
            count("read"),
            count("written"),
            text(&attributes["error_code"]),
        ]
    });
    let header = ["run", "activation", "status", "mode", "triggered", "read", "written", "error"];
    let machine: Vec<_> = runs.iter().map(|run| said(run, &name(run))).collect();
    output.answer(|| table(header, rows), &json!({ "runs": machine }));
    Ok(())
}

/// A run for machines.
fn said(run: &Value, activation: &str) -> Value {
    let attributes = &run["attributes"];
    json!({
        "id": run["id"], "activation": activation, "status": attributes["status"],
        "mode": attributes["mode"], "created_at": attributes["created_at"],
        "counts": attributes["counts"], "error_code": attributes["error_code"],
        "error": attributes["error"],
    })
}

async fn cancel(session: &Session, run: &str, output: &Output) -> Result<(), Failed> {
    let client = session.client();
    let id =
        if run.parse::<Uuid>().is_ok() && client.find(&format!("{RUNS}/{run}")).await?.is_some() {
            run.to_owned()
        } else {
            let activation = Activation::find(client, run).await?;
            let active = activation.active_run(client).await?;
            let active = active.ok_or_else(|| {
                Failed::usage(format!("no run of {} is in progress", activation.name))
            })?;
            text(&active["id"])
        };
    // No If-Match: a run at work changes all the time, and stopping it is meant whatever it has done.
    let mut stopped = client.post(&format!("{RUNS}/{id}/cancel"), &json!({})).await?["data"].take();
    session.work_on(&id);
    for _ in 0..LOOKS {
        if is_over(&stopped["attributes"]) {
            break;
        }
        tokio::time::sleep(AGAIN).await;
        stopped = client.get(&format!("{RUNS}/{id}"), &[]).await?["data"].take();
    }
    let human = || {
        if is_over(&stopped["attributes"]) {
            format!("The run has ended: {}.", text(&stopped["attributes"]["status"]))
        } else {
            "The run will stop at its next checkpoint; see linkspan runs list.".to_owned()
        }
    };
    let machine = json!({ "id": id, "status": stopped["attributes"]["status"] });
    output.answer(human, &machine);
    Ok(())
}
