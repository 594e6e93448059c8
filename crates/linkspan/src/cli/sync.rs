//! `linkspan sync`: syncs an activation, and waits.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    activation::{Activation, RUNS, is_over},
    client::{Client, text},
    exit::Failed,
    output::{Output, counted, table, thousands},
    patience::{given_up, patiently},
    progress::Progress,
    session::Session,
};
use crate::{server::stop_signal, settings::Settings};

/// Sync an activation, and wait until it is done
///
/// Reads what changed since the last sync where a cursor column is set, and everything otherwise.
#[derive(Debug, clap::Args)]
pub(crate) struct Sync {
    /// The name of the activation, or its identifier
    name: String,
    /// Read everything, whatever was read before
    #[arg(long, conflicts_with = "incremental")]
    full: bool,
    /// Read only what changed; needs a cursor column
    #[arg(long)]
    incremental: bool,
    /// Only this stream; repeat for more
    #[arg(long = "stream", value_name = "STREAM")]
    streams: Vec<String>,
    /// Go on where the last sync broke off
    #[arg(long, conflicts_with_all = ["full", "incremental", "streams"])]
    resume: bool,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Synced {
    /// The attributes of its sync log.
    log: Value,
    /// How long it took, in seconds.
    seconds: f64,
}

/// What becomes of a run whose server stays away.
const GOES_ON: &str =
    "Once the server is back, the run goes on; linkspan runs list says how far it is";

/// How long to wait before a run is followed again.
const AGAIN: Duration = Duration::from_millis(500);

impl Sync {
    /// A sync of everything that `name` has, in the way the server thinks best.
    pub(crate) fn of(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, full: false, incremental: false, streams: Vec::new(), resume: false }
    }

    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let session = Session::open(settings).await?;
        let synced = tokio::select! {
            synced = self.sync(&session, output) => synced,
            () = stop_signal() => Err(Failed::interrupted(session.interruption())),
        };
        session.close().await;
        let synced = synced?;
        output.answer(|| synced.table(), &synced.machine());
        synced.verdict()
    }

    /// Starts the run, and follows it to its end.
    pub(crate) async fn sync(&self, session: &Session, output: &Output) -> Result<Synced, Failed> {
        let (client, began) = (session.client(), Instant::now());
        let activation = Activation::find(client, &self.name).await?;
        let started = match self.start(client, &activation).await {
            // Of an embedded platform nobody else works on it: its worker was stopped, and it goes on here.
            Err(failed) if failed.code.as_deref() == Some(ACTIVE) && session.server().is_some() => {
                output.say("A run that was interrupted goes on.");
                activation.active_run(client).await?.ok_or_else(|| {
                    Failed::usage("the run that was in the way has just ended; sync again")
                })?
            }
            started => started?["data"].take(),
        };
        let log = started["id"].as_str().unwrap_or_default();
        session.work_on(log);
        let path = format!("{RUNS}/{log}");
        let mut progress = Progress::start(output, &activation.name);
        loop {
            // It ends with the run, or sooner: with the server, or where something between cuts it off.
            let following = format!("{path}/events");
            let mut events = patiently(|| client.follow(&following))
                .await
                .map_err(|it| given_up(it, GOES_ON))?;
            while let Some(event) = events.next().await {
                progress.show(&event);
            }
            let log = patiently(|| client.get(&path, &[])).await;
            let log = log.map_err(|it| given_up(it, GOES_ON))?["data"]["attributes"].take();
            if is_over(&log) {
                return Ok(Synced { log, seconds: began.elapsed().as_secs_f64() });
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn start(&self, client: &Client, activation: &Activation) -> Result<Value, Failed> {
        if self.resume {
            let last = activation.last_run(client).await?.ok_or_else(|| {
                Failed::usage(format!("{} was not synced before", activation.name))
            })?;
            let path = format!("{RUNS}/{}/resume", text(&last["id"]));
            return client.post(&path, &json!({})).await;
        }
        let mut attributes = json!({ "streams": self.streams });
        match (self.full, self.incremental) {
            (true, _) => attributes["mode"] = json!("full"),
            (_, true) => attributes["mode"] = json!("incremental"),
            _ => {}
        }
        let body =
            json!({ "data": { "type": "workspace_connector_sync_log", "attributes": attributes } });
        client.post(&format!("/v1/workspace-connectors/{}/syncs", activation.id), &body).await
    }
}

/// The problem code for an activation that has a run.
const ACTIVE: &str = "sync.already_in_progress";

impl Synced {
    /// How many records of `kind` the run counted.
    pub(crate) fn count(&self, kind: &str) -> u64 {
        self.log["counts"][kind].as_u64().unwrap_or_default()
    }

    fn table(&self) -> String {
        let kinds = ["read", "written", "unchanged", "deleted", "quarantined"];
        let counts = kinds.map(|kind| thousands(self.count(kind)));
        let status = self.log["status"].as_str().unwrap_or_default();
        format!("{}\n{status} in {:.2} s", table(kinds, [counts]), self.seconds)
    }

    fn machine(&self) -> Value {
        json!({
            "status": self.log["status"], "read": self.count("read"), "written": self.count("written"),
            "unchanged": self.count("unchanged"), "deleted": self.count("deleted"),
            "quarantined": self.count("quarantined"), "seconds": self.seconds,
        })
    }

    /// Success, or the reason why it is none.
    pub(crate) fn verdict(&self) -> Result<(), Failed> {
        if self.log["status"] != "success" {
            let said = self.log["error"].as_str().unwrap_or("the run failed without saying why");
            return Err(Failed::source(said));
        }
        match self.count("quarantined") {
            0 => Ok(()),
            some => Err(Failed::partial(format!(
                "what could not be stored was kept aside: {}",
                counted(some, "record")
            ))),
        }
    }
}
