//! `linkspan connect`: activates a connector.

use serde_json::{Value, json};

use super::{
    assign::{Assigned, Assignments},
    client::Client,
    exit::Failed,
    output::Output,
    session::Session,
};
use crate::settings::Settings;

/// Activate a connector in the workspace
///
/// Secrets are sealed before they are stored. Settings that the connector type does not list are refused.
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
    #[command(flatten)]
    settings: Assignments,
}

impl Connect {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let session = Session::open(settings).await?;
        let made = self.connect(session.client()).await;
        session.close().await;
        let made = made?;
        let attributes = &made["data"]["attributes"];
        let machine = json!({
            "id": made["data"]["id"], "name": attributes["name"], "status": attributes["status"],
        });
        let human = || {
            let name = attributes["name"].as_str().unwrap_or_default();
            let status = attributes["status"].as_str().unwrap_or_default();
            format!(
                "{name} is {status}. Next: linkspan check \"{name}\", then linkspan sync \"{name}\""
            )
        };
        output.answer(human, &machine);
        Ok(())
    }

    /// Makes the activation, and answers the server's document.
    pub(crate) async fn connect(&self, client: &Client) -> Result<Value, Failed> {
        let connector = self.find(client).await?;
        let key = connector["attributes"]["connector_type"].as_str().unwrap_or_default();
        let kind = client.get(&format!("/v1/connector-types/{key}"), &[]).await?;
        let assigned = self.settings.read(&kind["data"]["attributes"]["config_schema"])?;
        create(client, &connector["id"], self.name.as_deref(), assigned).await
    }

    /// The catalog entry that is meant: by service first, then by connector type.
    async fn find(&self, client: &Client) -> Result<Value, Failed> {
        for filter in ["filter[service_id]", "filter[connector_type]"] {
            let query = [(filter, self.connector.as_str()), ("page[size]", "50")];
            let found = client.get("/v1/connectors", &query).await?;
            let found = found["data"].as_array().cloned().unwrap_or_default();
            let own =
                |it: &&Value| it["attributes"]["service_id"] == it["attributes"]["connector_type"];
            match found.as_slice() {
                [] => {}
                [only] => return Ok(only.clone()),
                several => {
                    return several.iter().find(own).cloned().ok_or_else(|| {
                        let service =
                            |it: &Value| it["attributes"]["service_id"].as_str().map(str::to_owned);
                        let services: Vec<_> = several.iter().filter_map(service).collect();
                        Failed::usage(format!(
                            "`{}` serves several services; name one of {}",
                            self.connector,
                            services.join(", ")
                        ))
                    });
                }
            }
        }
        Err(Failed::usage(format!(
            "there is no connector `{}`; see `linkspan types`, or GET /v1/connectors for the whole catalog",
            self.connector
        )))
    }
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
