//! `linkspan quickstart`: the platform at work on sample data.

use std::{net::SocketAddr, path::Path, time::Instant};

use linkspan_sdk::RecordQuery;
use serde_json::{Map, Value, json};

use super::{
    activation::own,
    assign::Assigned,
    client::{Client, text},
    connect,
    exit::Failed,
    output::{Output, table, thousands},
    session::Session,
    sync::Sync,
};
use crate::{
    compose::{FileReach, Opening, Platform, quoted},
    role::Roles,
    server::{Listener, Server, ServerError, Work},
    settings::Settings,
};

/// See it work: an embedded database, a catalog, sample data connected and synced
///
/// Needs no service. Afterwards the server keeps running, until you stop it.
#[derive(Debug, clap::Args)]
pub(crate) struct Quickstart {
    /// Stop when everything has been shown
    #[arg(long)]
    exit: bool,
    /// Also connect this PostgreSQL database and sync its tables: postgresql://user:password@host:5432/database
    ///
    /// In the environment the password is not in the list of processes.
    #[arg(env = "LINKSPAN_QUICKSTART_POSTGRES", hide_env_values = true, long, value_name = "URL")]
    postgres: Option<String>,
}

/// What is activated.
struct Sample {
    name: &'static str,
    connector_type: &'static str,
    assigned: Assigned,
    /// Whether it has records to sync.
    synced: Synced,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Synced {
    Yes,
    No,
}

/// The bundled files: sold to and sold.
const FILES: [(&str, &str); 2] = [
    ("customers.csv", include_str!("../../samples/customers.csv")),
    ("orders.csv", include_str!("../../samples/orders.csv")),
];

impl Quickstart {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let began = Instant::now();
        let listener = self.listener(settings).await.map_err(|error| Failed::setup(&error))?;
        let platform = Platform::open(settings, FileReach::Roots, Opening::OrNew).await;
        let platform = platform.map_err(|it| Failed::setup(&it))?;
        write_samples(&platform.own_files()).map_err(|error| Failed::setup(&error))?;
        let welcome = platform.welcome();
        let (key, key_in_shell) = (platform.admin_key(), platform.key_in_shell());
        let server = Server::start(settings, platform, listener, Work::As(Roles::all()));
        let session = Session::of(server, key, settings)?;
        let shown = self.show(&session, output, began).await;
        let (human, machine) = match shown {
            Ok(shown) => shown,
            Err(failed) => {
                session.close().await;
                return Err(failed);
            }
        };
        output.answer(|| human, &machine);
        if self.exit {
            session.close().await;
            return Ok(());
        }
        output.say(&next_steps(session.client().base(), &key_in_shell, welcome.as_deref()));
        match session.into_server() {
            Some(server) => server.run().await.map_err(|error| Failed::internal(&error)),
            None => Ok(()),
        }
    }

    /// A trial that ends by itself takes any free port; one that keeps running the port that is set.
    async fn listener(&self, settings: &Settings) -> Result<Listener, ServerError> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Listener::bind(if self.exit { any } else { settings.listen }).await
    }

    async fn show(
        &self,
        session: &Session,
        output: &Output,
        began: Instant,
    ) -> Result<(String, Value), Failed> {
        let client = session.client();
        let catalog = client.get("/v1/connectors", &[("page[size]", "1")]).await?;
        let connectors = catalog["meta"]["page"]["total"].as_u64().unwrap_or_default();
        output.say(&format!("The catalog has {} connectors.", thousands(connectors)));
        let samples = self.samples();
        let mut activations = Vec::new();
        for sample in &samples {
            let activation = activate(client, sample).await?;
            if sample.synced == Synced::Yes {
                Sync::of(sample.name).sync(session, output).await?.verdict()?;
            }
            activations.push(activation);
        }
        let landed = landed(session, &activations).await?;
        let records: u64 = landed.iter().map(|it| it.records).sum();
        let human = report(&activations, &landed);
        let machine = json!({
            "connectors": connectors, "activations": activations.len(), "records": records,
            "seconds": began.elapsed().as_secs_f64(),
        });
        Ok((human, machine))
    }

    fn samples(&self) -> Vec<Sample> {
        let object = |value: Value| match value {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        let file = |name: &'static str, path: &str, key: &str, cursor: &str| Sample {
            name,
            connector_type: "csv",
            assigned: Assigned {
                config: object(json!({ "path": format!("samples/{path}") })),
                stream: object(json!({
                    "primary_key": [key], "cursor_column": cursor, "cursor_type": "timestamp",
                })),
            },
            synced: Synced::Yes,
        };
        let api = Sample {
            name: "Sample API",
            connector_type: "http",
            assigned: Assigned {
                config: object(json!({
                    "base_url": "https://api.example.com",
                    "auth": { "type": "bearer", "token": "a-token-that-is-sealed" },
                })),
                stream: Map::new(),
            },
            synced: Synced::No,
        };
        let mut samples = vec![
            file("Sample customers", "customers.csv", "id", "updated_at"),
            file("Sample orders", "orders.csv", "order_id", "placed_at"),
            api,
        ];
        samples.extend(self.postgres.as_ref().map(|url| Sample {
            name: "Your PostgreSQL",
            connector_type: "postgresql",
            assigned: Assigned {
                config: object(json!({ "connection_string": url })),
                stream: Map::new(),
            },
            synced: Synced::Yes,
        }));
        samples
    }
}

fn write_samples(files: &Path) -> std::io::Result<()> {
    let folder = files.join("samples");
    std::fs::create_dir_all(&folder)?;
    FILES.iter().try_for_each(|(name, content)| std::fs::write(folder.join(name), content))
}

/// The activation of `sample`: the one of an earlier quickstart, or a new one.
async fn activate(client: &Client, sample: &Sample) -> Result<Value, Failed> {
    let found = client.list("/v1/workspace-connectors", &[("filter[name]", sample.name)]).await?;
    if let Some(activation) = own(client, &found) {
        let id = &activation["id"];
        let attributes = json!({ "config": sample.assigned.config });
        let seen = client.see(&format!("/v1/workspace-connectors/{}", text(id))).await?;
        return Ok(client.change(&seen, &attributes).await?["data"].take());
    }
    let query = [("filter[connector_type]", sample.connector_type)];
    let connector = client.get("/v1/connectors", &query).await?;
    let Assigned { config, stream } = &sample.assigned;
    let assigned = Assigned { config: config.clone(), stream: stream.clone() };
    let id = &connector["data"][0]["id"];
    let mut made = connect::create(client, id, Some(sample.name), assigned).await?;
    Ok(made["data"].take())
}

/// What is in the record store of one stream.
struct Landed {
    activation: String,
    stream: String,
    records: u64,
    example: String,
}

async fn landed(session: &Session, activations: &[Value]) -> Result<Vec<Landed>, Failed> {
    let Some(server) = session.server() else { return Ok(Vec::new()) };
    let records = server.records();
    let mut landed = Vec::new();
    for activation in activations {
        let id = activation["id"].as_str().and_then(|it| it.parse().ok());
        let Some(id) = id else { continue };
        for counts in records.counts(id).await.map_err(|error| Failed::internal(&error))? {
            let query = RecordQuery {
                activation: id,
                stream: counts.stream.clone(),
                after: None,
                limit: 1,
                deleted: linkspan_domain::Deleted::Hidden,
            };
            let example = records.page(&query).await.map_err(|error| Failed::internal(&error))?;
            landed.push(Landed {
                activation: activation["attributes"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                stream: counts.stream.to_string(),
                records: counts.records,
                example: example.first().map(|it| shortened(it.payload.get())).unwrap_or_default(),
            });
        }
    }
    Ok(landed)
}

fn shortened(text: &str) -> String {
    const LENGTH: usize = 90;
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

fn report(activations: &[Value], landed: &[Landed]) -> String {
    let activations = table(
        ["activation", "type", "status", "settings, as anybody sees them"],
        activations.iter().map(|it| {
            let it = &it["attributes"];
            [
                text(&it["name"]),
                text(&it["connector_type"]),
                text(&it["status"]),
                it["config"].to_string(),
            ]
        }),
    );
    let landed = table(
        ["activation", "stream", "records", "the first of them"],
        landed.iter().map(|it| {
            [it.activation.clone(), it.stream.clone(), thousands(it.records), it.example.clone()]
        }),
    );
    format!(
        "\nActivated (secrets are sealed in the database, and never shown):\n{activations}\n\nLanded in the record store:\n{landed}"
    )
}

/// What to do next. The commands are those of a shell, in another terminal.
fn next_steps(base: &str, key: &str, welcome: Option<&str>) -> String {
    let welcome = welcome.map(|it| format!("\n{it}\n")).unwrap_or_default();
    // Whoever runs it from where it was built types the way there.
    let program = std::env::args().next().unwrap_or_else(|| "linkspan".to_owned());
    let program = quoted(&program);
    format!(
        "{welcome}\nLinkspan keeps running on {base} until you press Ctrl-C; {base}/docs has the API, to read and to try.\n\
         In another terminal:\n  \
         export LINKSPAN_URL={base}\n  \
         export LINKSPAN_API_KEY={key}\n  \
         {program} types  # what can be connected\n  \
         {program} connect csv --name mine --set path=samples/orders.csv --set primary_key=order_id\n  \
         {program} sync mine"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_file_has_a_header_and_rows() {
        for (name, content) in FILES {
            assert!(content.lines().count() > 100, "{name}");
            assert!(content.starts_with("id,") || content.starts_with("order_id,"), "{name}");
        }
    }

    #[test]
    fn a_long_example_is_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert!(shortened(&"é".repeat(200)).ends_with('…'));
    }
}
