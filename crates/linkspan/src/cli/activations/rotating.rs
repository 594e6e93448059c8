//! Rotating the credentials of activations, and going back to earlier ones.

use std::collections::BTreeMap;

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
    let mut versions = Vec::with_capacity(found.len());
    let mut actors = Actors::default();
    for it in found {
        let mut said = it["attributes"].clone();
        said["id"] = it["id"].clone();
        said["actor_name"] = json!(actors.name(client, &said).await);
        versions.push(said);
    }
    let rows = versions.iter().map(|it| {
        let of = |name: &str| text(&it[name]);
        [
            it["number"].to_string(),
            of("state"),
            of("test_status"),
            of("created_at"),
            who(it),
            of("expires_at"),
            of("reason"),
        ]
    });
    let header = ["version", "state", "test", "since", "by", "kept until", "reason"];
    output.answer(|| table(header, rows), &json!({ "versions": versions }));
    Ok(())
}

/// What actors are called, as far as it was asked.
#[derive(Default)]
struct Actors(BTreeMap<String, Option<String>>);

impl Actors {
    /// The name of who put `version` to use. None: it is gone, or not for the caller to see.
    async fn name(&mut self, client: &Client, version: &Value) -> Option<String> {
        let kind = match version["actor_type"].as_str() {
            Some("person") => "people",
            Some("api_key") => "api-keys",
            _ => return None,
        };
        let path = format!("/v1/{kind}/{}", text(&version["actor_id"]));
        if !self.0.contains_key(&path) {
            let found = client.find(&path).await.ok().flatten().unwrap_or_default();
            let name = found["data"]["attributes"]["name"].as_str().map(str::to_owned);
            self.0.insert(path.clone(), name);
        }
        self.0.get(&path).cloned().flatten()
    }
}

/// Who put a version to use, for people.
fn who(version: &Value) -> String {
    let name = version["actor_name"].as_str().or_else(|| version["actor_id"].as_str());
    let name = name.unwrap_or_default();
    match version["actor_type"].as_str() {
        Some("system") => "the platform".to_owned(),
        Some("api_key") => format!("key {name}"),
        _ => name.to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_no_name_any_more_is_told_by_identifier() {
        let by = |kind: &str, name: Option<&str>| {
            who(&json!({ "actor_type": kind, "actor_id": "01960000", "actor_name": name }))
        };
        assert_eq!(by("person", Some("Ada")), "Ada");
        assert_eq!(by("person", None), "01960000");
        assert_eq!(by("api_key", Some("CI")), "key CI");
        assert_eq!(by("system", None), "the platform");
    }
}
