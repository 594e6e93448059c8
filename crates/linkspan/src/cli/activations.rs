//! `linkspan activations`: what is activated, and changing it.

mod changing;
mod deleting;
mod rotating;

use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::{
    activation::Activation,
    client::{Client, text},
    exit::Failed,
    output::{Output, table},
    session::Session,
};
use crate::settings::Settings;

/// List activations, show one, change it, switch it on or off, or take it away
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  linkspan activations list\n  linkspan activations set crm --name \"Customers\" --set-env password=PGPASSWORD\n  \
    linkspan activations set crm --stream public.orders --set cursor_column=updated_at\n  linkspan activations disable crm"
)]
pub(crate) struct Activations {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List them, with their schedules and last runs
    List {
        /// Those that were deleted and are not purged yet, instead
        #[arg(long)]
        deleted: bool,
    },
    /// Show one, with its settings; secrets are masked
    Show(Named),
    /// Change its settings, its name, or how its streams are synced
    Set(changing::Set),
    /// Give it new secrets, if they work
    Rotate(rotating::Rotate),
    /// List the versions of its secrets: what was in use when, and what can be gone back to
    History(Named),
    /// Go back to an earlier version of its secrets, if they still work
    Rollback(rotating::Rollback),
    /// Wipe an earlier version of its secrets now, rather than when its overlap is over
    Revoke(rotating::Version),
    /// Switch it on
    Enable(Named),
    /// Switch it off: nothing syncs it until it is switched on
    Disable(Named),
    /// Disconnect it: it is switched off and hidden, and can be restored over the API until it is purged
    Delete(Named),
    /// Remove a deleted one for good, with its runs, tests and secrets
    Purge(Named),
}

/// An activation.
#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The name of the activation, or its identifier
    name: String,
}

impl Activations {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let session = Session::open(settings).await?;
        let client = session.client();
        let done = match self.action {
            Action::List { deleted: false } => list(client, output).await,
            Action::List { deleted: true } => deleting::list(client, output).await,
            Action::Show(it) => show(client, &it.name, output).await,
            Action::Set(it) => it.run(client, output).await,
            Action::Rotate(it) => it.run(client, output).await,
            Action::History(it) => rotating::history(client, &it.name, output).await,
            Action::Rollback(it) => it.run(client, output).await,
            Action::Revoke(it) => rotating::revoke(client, &it, output).await,
            Action::Enable(it) => changing::switch(client, &it.name, "enabled", output).await,
            Action::Disable(it) => changing::switch(client, &it.name, "disabled", output).await,
            Action::Delete(it) => deleting::delete(client, &it.name, output).await,
            Action::Purge(it) => deleting::purge(client, &it.name, output).await,
        };
        session.close().await;
        done
    }
}

/// An activation, and when it syncs.
struct Listed {
    resource: Value,
    schedule: Value,
    last_run: Value,
}

/// So many activations are asked about at a time.
const AT_ONCE: usize = 8;

impl Listed {
    /// What there is to know of `resource` beside itself.
    async fn of(client: &Client, resource: Value) -> Result<Self, Failed> {
        let activation = Activation::of(&resource);
        let path = format!("/v1/workspace-connectors/{}/schedule", activation.id);
        let schedule = client.find(&path).await?;
        let last_run = activation.last_run(client).await?.unwrap_or_default();
        let schedule = schedule.map(|mut it| it["data"]["attributes"].take()).unwrap_or_default();
        Ok(Self { resource, schedule, last_run })
    }

    fn name(&self) -> String {
        text(&self.resource["attributes"]["name"])
    }

    /// When it syncs by itself, in a few words.
    fn pace(&self) -> String {
        let it = &self.schedule;
        let when = match (it["cron"].as_str(), it["interval_secs"].as_u64()) {
            (Some(cron), _) => format!("{cron} {}", text(&it["time_zone"])),
            (None, Some(seconds)) => format!("every {seconds} s"),
            (None, None) => return String::new(),
        };
        if it["paused"] == true { format!("{when} (paused)") } else { when }
    }

    /// How its last run ended, and when that began.
    fn last(&self) -> String {
        let run = &self.last_run["attributes"];
        format!("{} {}", text(&run["status"]), text(&run["created_at"])).trim().to_owned()
    }

    fn machine(&self) -> Value {
        let mut said = self.resource["attributes"].clone();
        said["id"] = self.resource["id"].clone();
        said["schedule"] = self.schedule.clone();
        said["last_run"] = match &self.last_run {
            Value::Null => Value::Null,
            run => json!({
                "id": run["id"], "status": run["attributes"]["status"],
                "created_at": run["attributes"]["created_at"], "error": run["attributes"]["error"],
            }),
        };
        said
    }
}

async fn list(client: &Client, output: &Output) -> Result<(), Failed> {
    let query = [("sort", "name"), ("page[size]", "100")];
    let found = client.list("/v1/workspace-connectors", &query).await?;
    let asked = futures_util::stream::iter(found).map(|it| Listed::of(client, it));
    let all: Vec<Listed> = asked.buffered(AT_ONCE).try_collect().await?;
    let rows = all.iter().map(|it| {
        let attributes = &it.resource["attributes"];
        let (kind, status) = (text(&attributes["connector_type"]), text(&attributes["status"]));
        [it.name(), kind, status, it.pace(), it.last()]
    });
    let machine: Vec<_> = all.iter().map(Listed::machine).collect();
    output.answer(
        || table(["name", "type", "status", "schedule", "last run"], rows),
        &json!({ "activations": machine }),
    );
    Ok(())
}

async fn show(client: &Client, name: &str, output: &Output) -> Result<(), Failed> {
    let seen = Activation::find(client, name).await?.see(client).await?;
    let it = Listed::of(client, seen.thing).await?;
    let attributes = &it.resource["attributes"];
    let row = |name: &str, value: String| [name.to_owned(), value];
    let mut rows = vec![
        row("id", text(&it.resource["id"])),
        row("type", text(&attributes["connector_type"])),
        row("status", text(&attributes["status"])),
        row("schedule", it.pace()),
        row("last run", it.last()),
    ];
    let settings = attributes["config"].as_object().into_iter().flatten();
    rows.extend(settings.map(|(key, value)| [key.clone(), plain(value)]));
    for stream in attributes["streams"].as_array().into_iter().flatten() {
        rows.push(row("stream", plain(stream)));
    }
    output.answer(|| table([it.name().as_str(), ""], rows), &it.machine());
    Ok(())
}

/// A value for a person: text without its quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
