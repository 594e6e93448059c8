//! `linkspan connect`: activates a connector.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{
    activation::{Activation, Lack},
    assign::{Assigned, Assignments},
    client::{Client, text},
    exit::Failed,
    output::{Output, note},
    session::Session,
};
use crate::settings::Settings;

/// Activate a connector in the workspace
///
/// Secrets are sealed before they are stored. Settings that the connector type does not list are refused.
/// A CSV file that lies here is uploaded where the server is another machine's.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  linkspan connect csv --name sales --set path=/data/sales.csv --set primary_key=id\n  \
    linkspan connect postgresql --name crm --set host=db --set database=crm --set username=ro --set-env password=PGPASSWORD"
)]
pub(crate) struct Connect {
    /// A connector type (`linkspan types`) or a service of the catalog
    #[arg(value_name = "TYPE-OR-SERVICE")]
    connector: String,
    /// What to call the activation [default: the connector's name]
    #[arg(long)]
    name: Option<String>,
    /// The provider, where several offer the service
    #[arg(long)]
    provider: Option<String>,
    #[command(flatten)]
    settings: Assignments,
}

impl Connect {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let session = Session::open_or_new(settings).await?;
        let made = self.connect(&session).await;
        let lacks = match &made {
            Ok((made, _)) => Activation::lacks(session.client(), &made["data"]).await,
            Err(_) => None,
        };
        session.close().await;
        let (made, reads) = made?;
        let attributes = &made["data"]["attributes"];
        let machine = json!({
            "id": made["data"]["id"], "name": attributes["name"], "status": attributes["status"],
            "lacks": lacks.as_ref().map(Lack::says),
        });
        let human = || {
            let (name, status) = (text(&attributes["name"]), text(&attributes["status"]));
            if let Some(lacks) = &lacks {
                let (says, next) = (lacks.says(), lacks.next(&name));
                return format!("{name} is {status}: {says}. Next: {next}");
            }
            let sync =
                if reads { format!(", then linkspan sync \"{name}\"") } else { String::new() };
            format!("{name} is {status}. Next: linkspan check \"{name}\"{sync}")
        };
        output.answer(human, &machine);
        Ok(())
    }

    /// Makes the activation, and answers the server's document and whether it has records to sync.
    async fn connect(&self, session: &Session) -> Result<(Value, bool), Failed> {
        let client = session.client();
        let connector = self.find(client).await?;
        let key = connector["attributes"]["connector_type"].as_str().unwrap_or_default();
        let Some(kind) = client.find(&format!("/v1/connector-types/{key}")).await? else {
            return Err(Failed::usage(format!(
                "`{}` is served by the connector type `{key}`, which this version of Linkspan does not have; see `linkspan types`",
                self.connector
            )));
        };
        let kind = &kind["data"]["attributes"];
        let reads = kind["capabilities"].as_array().is_some_and(|it| it.contains(&json!("read")));
        let mut assigned = self.settings.read(&kind["config_schema"])?;
        if key == "csv" && session.server().is_none() {
            upload(client, &mut assigned.config).await?;
        }
        let made = create(client, &connector["id"], self.name.as_deref(), assigned).await?;
        Ok((made, reads))
    }

    /// The catalog entry that is meant: by service first, then by connector type.
    async fn find(&self, client: &Client) -> Result<Value, Failed> {
        for filter in ["filter[service_id]", "filter[connector_type]"] {
            let mut query = vec![(filter, self.connector.as_str()), ("page[size]", "50")];
            query.extend(self.provider.as_deref().map(|it| ("filter[provider]", it)));
            let found = client.get("/v1/connectors", &query).await?;
            match found["data"].as_array().map(Vec::as_slice) {
                None | Some([]) => {}
                Some([only]) => return Ok(only.clone()),
                Some(several) => return self.choose(several),
            }
        }
        Err(Failed::usage(format!(
            "there is no connector `{}`; see `linkspan types`, or GET /v1/connectors for the whole catalog",
            self.connector
        )))
    }

    /// Of several entries the one of our own, if there is one.
    fn choose(&self, several: &[Value]) -> Result<Value, Failed> {
        let mut own = several.iter().filter(|it| it["attributes"]["provider"] == "well");
        if let (Some(only), None) = (own.next(), own.next()) {
            return Ok(only.clone());
        }
        let names = several.iter().map(|it| &it["attributes"]);
        let names =
            names.map(|it| format!("{} of {}", text(&it["service_id"]), text(&it["provider"])));
        Err(Failed::usage(format!(
            "`{}` means several connectors: {}; name the service, and its provider with --provider",
            self.connector,
            names.collect::<Vec<_>>().join(", ")
        )))
    }
}

/// Uploads the file that `config` names, if it lies here: a server elsewhere does not see it.
async fn upload(client: &Client, config: &mut Map<String, Value>) -> Result<(), Failed> {
    let path = config.get("path").and_then(Value::as_str).map(PathBuf::from);
    let Some(path) = path.filter(|it| it.is_file()) else { return Ok(()) };
    let mut made = client.upload(&path).await?;
    config.insert("path".to_owned(), made["data"]["attributes"]["path"].take());
    note(&format!(
        "{} was uploaded as it is now; have the server read it below LINKSPAN_FILE_ROOTS, by the API, if it changes",
        path.display()
    ));
    Ok(())
}

/// Posts an activation of the connector with `connector_id`.
pub(crate) async fn create(
    client: &Client,
    connector_id: &Value,
    name: Option<&str>,
    assigned: Assigned,
) -> Result<Value, Failed> {
    let mut attributes = json!({ "config": assigned.config });
    if let Some(name) = name {
        attributes["name"] = json!(name);
    }
    if !assigned.stream.is_empty() {
        attributes["streams"] = json!([assigned.stream]);
    }
    let body = json!({ "data": {
        "type": "workspace_connector",
        "attributes": attributes,
        "relationships": { "connector": { "data": { "type": "connector", "id": connector_id } } },
    } });
    client.post("/v1/workspace-connectors", &body).await
}
