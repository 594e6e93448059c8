//! Rotating the credentials of activations, and going back to earlier ones.

use serde_json::{Value, json};
use uuid::Uuid;

use super::Named;
use crate::cli::{
    activation::Activation,
    assign::Assignments,
    client::{Client, text},
    exit::Failed,
    output::{Output, table},
};

/// Give an activation new secrets, if they work
///
/// They are tried first, and nothing changes if they fail. Those before them are kept for a while, for `rollback`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  linkspan activations rotate crm --set-env password=PGPASSWORD --reason \"quarterly rotation\"\n  \
    pass show crm | linkspan activations rotate crm --set-file password=/dev/stdin"
)]
pub(super) struct Rotate {
    #[command(flatten)]
    activation: Named,
    #[command(flatten)]
    secrets: Assignments,
    #[command(flatten)]
    turnover: Turnover,
    /// Put them to use even if they do not work
    #[arg(long)]
    force_save: bool,
}

/// Go back to the settings that an activation had with an earlier version of its secrets, if they still work
#[derive(Debug, clap::Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    version: Version,
    #[command(flatten)]
    turnover: Turnover,
}

/// A version of the secrets of an activation.
#[derive(Debug, clap::Args)]
pub(super) struct Version {
    #[command(flatten)]
    activation: Named,
    /// The number of the version, as `history` shows it, or its identifier
    #[arg(value_name = "VERSION")]
    which: String,
}

/// What there is to say when other secrets are put to use.
#[derive(Debug, clap::Args)]
struct Turnover {
    /// Why, for people
    #[arg(long)]
    reason: Option<String>,
    /// For how many seconds the secrets in use until now are kept; 0 wipes them at once [default: a week]
    #[arg(long, value_name = "SECONDS")]
    overlap_secs: Option<u32>,
}

impl Turnover {
    /// Adds it to a body.
    fn extend(&self, body: &mut Value) {
        if let Some(reason) = &self.reason {
            body["reason"] = json!(reason);
        }
        if let Some(seconds) = self.overlap_secs {
            body["overlap_secs"] = json!(seconds);
        }
    }
}

impl Rotate {
    /// Runs the command.
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<(), Failed> {
        let activation = Activation::find(client, &self.activation.name).await?;
        let seen = activation.see(client).await?;
        let key = text(&seen.thing["attributes"]["connector_type"]);
        let kind = client.get(&format!("/v1/connector-types/{key}"), &[]).await?;
        let assigned = self.secrets.read(&kind["data"]["attributes"]["config_schema"])?;
        if let Some(key) = assigned.stream.keys().next() {
            return Err(Failed::usage(format!(
                "`{key}` is no secret; change it with linkspan activations set"
            )));
        }
        if assigned.config.is_empty() {
            return Err(Failed::usage(
                "nothing to rotate; give new secrets with --set-env, --set-file or --set",
            ));
        }
        let mut body = json!({ "config": assigned.config, "force_save": self.force_save });
        self.turnover.extend(&mut body);
        let path = format!("/v1/workspace-connectors/{}/rotate", activation.id);
        let made = client.post(&path, &body).await?;
        tell(&activation, &made["data"], output);
        Ok(())
    }
}

impl Rollback {
    /// Runs the command.
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<(), Failed> {
        let (activation, version) = self.version.find(client).await?;
        let mut body = json!({});
        self.turnover.extend(&mut body);
        let path = format!("/v1/workspace-connectors/{}/rollback/{version}", activation.id);
        let made = client.post(&path, &body).await?;
        tell(&activation, &made["data"], output);
        Ok(())
    }
}

impl Version {
    /// The activation, and the identifier of the version.
    async fn find(&self, client: &Client) -> Result<(Activation, String), Failed> {
        let activation = Activation::find(client, &self.activation.name).await?;
        if self.which.parse::<Uuid>().is_ok() {
            return Ok((activation, self.which.clone()));
        }
        let path = format!("/v1/workspace-connectors/{}/secret-history", activation.id);
        let numbered = [("filter[number]", self.which.as_str())];
        let found = match self.which.parse::<u32>() {
            Ok(_) => client.get(&path, &numbered).await?["data"].get(0).cloned(),
            Err(_) => None,
        };
        match found.as_ref().and_then(|it| it["id"].as_str()) {
            Some(id) => Ok((activation, id.to_owned())),
            None => Err(Failed::usage(format!(
                "there is no version {} of the secrets of {1}; see linkspan activations history \"{1}\"",
                self.which, activation.name
            ))),
        }
    }
}

/// Wipes the secrets of a version that is not in use any more.
pub(super) async fn revoke(
    client: &Client,
    version: &Version,
    output: &Output,
) -> Result<(), Failed> {
    let (activation, version) = version.find(client).await?;
    let path =
        format!("/v1/workspace-connectors/{}/secret-history/{version}/revoke", activation.id);
    let revoked = client.post(&path, &json!({})).await?;
    tell(&activation, &revoked["data"], output);
    Ok(())
}

/// Lists the versions of the secrets of an activation, the newest first.
pub(super) async fn history(client: &Client, name: &str, output: &Output) -> Result<(), Failed> {
    let activation = Activation::find(client, name).await?;
    let path = format!("/v1/workspace-connectors/{}/secret-history", activation.id);
    let found = client.list(&path, &[("sort", "-number"), ("page[size]", "100")]).await?;
    let rows = found.iter().map(|it| {
        let it = &it["attributes"];
        ["number", "state", "test_status", "created_at", "expires_at", "reason"].map(|name| {
            match &it[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }
        })
    });
    let machine: Vec<_> = found
        .iter()
        .map(|it| {
            let mut said = it["attributes"].clone();
            said["id"] = it["id"].clone();
            said
        })
        .collect();
    output.answer(
        || table(["version", "state", "test", "since", "kept until", "reason"], rows),
        &json!({ "versions": machine }),
    );
    Ok(())
}

/// Says how a version is now.
fn tell(activation: &Activation, version: &Value, output: &Output) {
    let it = &version["attributes"];
    let machine = json!({
        "id": version["id"], "number": it["number"], "state": it["state"],
        "test_status": it["test_status"],
    });
    let human = || {
        let (name, number, state) = (&activation.name, &it["number"], text(&it["state"]));
        format!(
            "Version {number} of the secrets of {name} is {state} ({}).",
            text(&it["test_status"])
        )
    };
    output.answer(human, &machine);
}
