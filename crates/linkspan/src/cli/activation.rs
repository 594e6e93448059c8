//! Finding the activation that a command names.

use linkspan_domain::AuthorizationFlow;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    client::{Client, Seen, text},
    exit::Failed,
};

/// Where runs are.
pub(crate) const RUNS: &str = "/v1/workspace-connector-sync-logs";

/// Whether a run with these attributes goes on no longer.
pub(crate) fn is_over(run: &Value) -> bool {
    matches!(run["status"].as_str(), Some("success" | "error"))
}

/// What keeps an activation from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// Nobody agreed yet that it may be.
    Consent,
    /// Its settings do not do. The text says why.
    Settings(String),
}

impl Lack {
    /// What it is, for people.
    pub(crate) fn says(&self) -> &str {
        match self {
            Self::Consent => "it is not connected to its provider yet",
            Self::Settings(says) => says,
        }
    }

    /// The command that helps the activation `name`.
    pub(crate) fn next(&self, name: &str) -> String {
        match self {
            Self::Consent => format!("linkspan authorize \"{name}\""),
            Self::Settings(_) => format!("linkspan activations set \"{name}\" --set KEY=VALUE"),
        }
    }
}

/// Whether the connector of an activation works by a grant that somebody agrees to.
async fn is_granted(client: &Client, activation: &Value) -> bool {
    let id = text(&activation["relationships"]["connector"]["data"]["id"]);
    let Ok(mut found) = client.get(&format!("/v1/connectors/{id}"), &[]).await else {
        return false;
    };
    let flow = found["data"]["attributes"]["authorization_flow"].take();
    serde_json::from_value(flow).is_ok_and(AuthorizationFlow::needs_grant)
}

/// The one of the workspace that `client` acts in, of `activations` with the same name. Those below it may have their own.
pub(crate) fn own<'f>(client: &Client, activations: &'f [Value]) -> Option<&'f Value> {
    let acting = client.acting()?;
    activations.iter().find(|it| it["relationships"]["workspace"]["data"]["id"] == acting)
}

/// An activation, as much of it as commands need.
#[derive(Debug)]
pub(crate) struct Activation {
    /// Its identifier.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
}

impl Activation {
    /// The one called `name`, or with that identifier.
    pub(crate) async fn find(client: &Client, name: &str) -> Result<Self, Failed> {
        if name.parse::<Uuid>().is_ok() {
            let path = format!("/v1/workspace-connectors/{name}");
            return Ok(Self::of(&client.get(&path, &[]).await?["data"]));
        }
        let found = client.list("/v1/workspace-connectors", &[("filter[name]", name)]).await?;
        match (&found[..], own(client, &found)) {
            ([only], _) | (_, Some(only)) => Ok(Self::of(only)),
            ([_, _, ..], None) => Err(Failed::usage(format!(
                "several activations are called `{name}` in workspaces below this one; act in one of them with --workspace, or use an identifier instead"
            ))),
            ([], None) => Err(Failed::usage(format!(
                "there is no activation called `{name}`; make one with `linkspan connect TYPE --name {name} --set …`"
            ))),
        }
    }

    /// It as it is now, to change it.
    pub(crate) async fn see(&self, client: &Client) -> Result<Seen, Failed> {
        client.see(&format!("/v1/workspace-connectors/{}", self.id)).await
    }

    /// Its run that is not over, if there is one.
    pub(crate) async fn active_run(&self, client: &Client) -> Result<Option<Value>, Failed> {
        let query = [
            ("filter[workspace_connector_id]", self.id.as_str()),
            ("filter[status][in]", "scheduled,in_progress"),
        ];
        let found = client.get(RUNS, &query).await?;
        Ok(found["data"].get(0).cloned())
    }

    /// Its last run, if there was one.
    pub(crate) async fn last_run(&self, client: &Client) -> Result<Option<Value>, Failed> {
        let query = [
            ("filter[workspace_connector_id]", self.id.as_str()),
            ("sort", "-created_at"),
            ("page[size]", "1"),
        ];
        let found = client.get(RUNS, &query).await?;
        Ok(found["data"].get(0).cloned())
    }

    /// What keeps it from being used, if it has yet to be configured and the server says.
    pub(crate) async fn lacks(client: &Client, resource: &Value) -> Option<Lack> {
        if resource["attributes"]["status"] != "to_configure" {
            return None;
        }
        let path = format!("/v1/workspace-connectors/{}/test", text(&resource["id"]));
        // The command has done what it was for, whatever the answer is.
        let tested = client.post(&path, &json!({})).await.ok()?;
        let says = tested["message"].as_str().filter(|_| tested["ok"] == false)?;
        // Settings come first: a provider cannot be asked without them.
        if tested["error"] != "source.invalid" && is_granted(client, resource).await {
            return Some(Lack::Consent);
        }
        Some(Lack::Settings(says.to_owned()))
    }

    pub(super) fn of(resource: &Value) -> Self {
        Self { id: text(&resource["id"]), name: text(&resource["attributes"]["name"]) }
    }
}
