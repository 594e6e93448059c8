//! Taking activations away: first they are hidden, then they are gone.

use serde_json::{Value, json};

use crate::cli::{
    activation::Activation,
    client::{Client, text},
    exit::Failed,
    output::{Output, table},
};

const ACTIVATIONS: &str = "/v1/workspace-connectors";

/// Disconnects an activation.
pub(super) async fn delete(client: &Client, name: &str, output: &Output) -> Result<(), Failed> {
    let seen = Activation::find(client, name).await?.see(client).await?;
    client.delete(&seen).await?;
    let (id, name) = (&seen.thing["id"], &seen.thing["attributes"]["name"]);
    let human = || {
        let (id, name) = (text(id), text(name));
        format!(
            "{name} is disconnected. POST /v1/workspace-connectors/{id}/restore brings it back, until `linkspan activations purge {id}`."
        )
    };
    output.answer(human, &json!({ "id": id, "name": name, "deleted": true }));
    Ok(())
}

/// Lists those that were deleted.
pub(super) async fn list(client: &Client, output: &Output) -> Result<(), Failed> {
    let deleted = deleted(client, &[]).await?;
    let row = |it: &Value| {
        let attributes = &it["attributes"];
        let of = |name: &str| text(&attributes[name]);
        [of("name"), text(&it["id"]), of("connector_type"), of("deleted_at")]
    };
    let machine: Vec<_> = deleted.iter().map(said).collect();
    output.answer(
        || table(["name", "id", "type", "deleted"], deleted.iter().map(row)),
        &json!({ "activations": machine }),
    );
    Ok(())
}

/// Removes a deleted activation for good.
pub(super) async fn purge(client: &Client, name: &str, output: &Output) -> Result<(), Failed> {
    let of_that_name = match name.parse::<uuid::Uuid>() {
        Ok(_) => deleted(client, &[]).await?.into_iter().filter(|it| it["id"] == name).collect(),
        Err(_) => deleted(client, &[("filter[name]", name)]).await?,
    };
    let [gone] = of_that_name.as_slice() else {
        return Err(Failed::usage(match of_that_name.len() {
            0 => format!(
                "no deleted activation is called `{name}`; see linkspan activations list --deleted, and delete it first"
            ),
            _ => format!(
                "several deleted activations are called `{name}`; use an identifier of linkspan activations list --deleted"
            ),
        }));
    };
    let path = format!("{ACTIVATIONS}/{}/purge", text(&gone["id"]));
    client.post(&path, &json!({})).await?;
    let (id, name) = (&gone["id"], &gone["attributes"]["name"]);
    let human = || format!("{} is gone for good, with its runs, tests and secrets.", text(name));
    output.answer(human, &json!({ "id": id, "name": name, "purged": true }));
    Ok(())
}

async fn deleted(client: &Client, query: &[(&str, &str)]) -> Result<Vec<Value>, Failed> {
    let everything = [("include_deleted", "true"), ("sort", "name"), ("page[size]", "100")];
    let mut found = client.list(ACTIVATIONS, &[&everything[..], query].concat()).await?;
    found.retain(|it| !it["attributes"]["deleted_at"].is_null());
    Ok(found)
}

fn said(resource: &Value) -> Value {
    let attributes = &resource["attributes"];
    json!({
        "id": resource["id"], "name": attributes["name"],
        "connector_type": attributes["connector_type"], "deleted_at": attributes["deleted_at"],
    })
}
