//! Finding the activation that a command names.

use serde_json::Value;
use uuid::Uuid;

use super::{
    client::{Client, text},
    exit::Failed,
};

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
        let found = client.get("/v1/workspace-connectors", &[("filter[name]", name)]).await?;
        match found["data"].as_array().map(Vec::as_slice) {
            Some([only]) => Ok(Self::of(only)),
            Some([_, _, ..]) => Err(Failed::usage(format!(
                "several activations are called `{name}`, in this workspace and those below; use an identifier instead"
            ))),
            _ => Err(Failed::usage(format!(
                "there is no activation called `{name}`; make one with `linkspan connect TYPE --name {name} --set …`"
            ))),
        }
    }

    fn of(resource: &Value) -> Self {
        Self { id: text(&resource["id"]), name: text(&resource["attributes"]["name"]) }
    }
}
