//! Changing activations. Each change is refused where somebody else was faster.

use serde_json::{Map, Value, json};

use super::Named;
use crate::cli::{
    activation::Activation,
    assign::{self, Assigned, Assignments},
    client::{Client, text},
    exit::Failed,
    output::Output,
};

/// Change the settings of an activation, its name, or how its streams are synced
///
/// What no flag names stays as it is, secrets too.
#[derive(Debug, clap::Args)]
pub(super) struct Set {
    #[command(flatten)]
    activation: Named,
    /// What to call it from now on
    #[arg(long = "name", value_name = "NAME")]
    new_name: Option<String>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    settings: Assignments,
    /// A setting to clear; repeat for more
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// The stream that settings of streams are for [default: all that have none of their own]
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
}

impl Set {
    /// Runs the command.
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<(), Failed> {
        let seen = Activation::find(client, &self.activation.name).await?.see(client).await?;
        let attributes = &seen.thing["attributes"];
        let key = text(&attributes["connector_type"]);
        let kind = client.get(&format!("/v1/connector-types/{key}"), &[]).await?;
        let schema = &kind["data"]["attributes"]["config_schema"];
        let changes = self.changes(schema, &attributes["streams"])?;
        if changes.is_empty() {
            return Err(Failed::usage(
                "nothing to change; say what with --set, --set-env, --set-file, --unset, --name or --description",
            ));
        }
        let after = client.change(&seen, &Value::Object(changes)).await?;
        tell(&after["data"], output);
        Ok(())
    }

    /// The attributes that change. `streams` are the settings of streams so far.
    fn changes(&self, schema: &Value, streams: &Value) -> Result<Map<String, Value>, Failed> {
        let Assigned { mut config, stream } = self.settings.read(schema)?;
        let mut cleared = Vec::new();
        for key in &self.unset {
            if assign::is_of_streams(schema, key) {
                cleared.push(key.as_str());
            } else {
                assign::put(&mut config, key, Value::Null)?;
            }
        }
        let mut changes = Map::new();
        changes.extend(self.new_name.as_ref().map(|it| ("name".to_owned(), json!(it))));
        changes.extend(self.description.as_ref().map(|it| ("description".to_owned(), json!(it))));
        if !config.is_empty() {
            changes.insert("config".to_owned(), Value::Object(config));
        }
        if !stream.is_empty() || !cleared.is_empty() {
            let streams = self.streams(streams, stream, &cleared);
            changes.insert("streams".to_owned(), streams);
        } else if self.stream.is_some() {
            return Err(Failed::usage(
                "--stream goes with a setting of streams, such as --set cursor_column=updated_at",
            ));
        }
        Ok(changes)
    }

    /// The settings of streams, with `assigned` and without `cleared` for the one that is meant.
    fn streams(&self, before: &Value, assigned: Map<String, Value>, cleared: &[&str]) -> Value {
        let mut streams = before.as_array().cloned().unwrap_or_default();
        let is_meant = |it: &Value| it["stream"].as_str() == self.stream.as_deref();
        let position = streams.iter().position(is_meant).unwrap_or_else(|| {
            streams.push(self.stream.as_ref().map_or(json!({}), |it| json!({ "stream": it })));
            streams.len() - 1
        });
        if let Some(Value::Object(meant)) = streams.get_mut(position) {
            meant.extend(assigned);
            meant.retain(|key, _| !cleared.contains(&key.as_str()));
        }
        Value::Array(streams)
    }
}

/// Switches an activation to `status`.
pub(super) async fn switch(
    client: &Client,
    name: &str,
    status: &str,
    output: &Output,
) -> Result<(), Failed> {
    let seen = Activation::find(client, name).await?.see(client).await?;
    let changed = client.change(&seen, &json!({ "status": status })).await?;
    tell(&changed["data"], output);
    Ok(())
}

/// Says how an activation is now.
fn tell(resource: &Value, output: &Output) {
    let attributes = &resource["attributes"];
    let machine = json!({
        "id": resource["id"], "name": attributes["name"], "status": attributes["status"],
    });
    let human = || format!("{} is {}.", text(&attributes["name"]), text(&attributes["status"]));
    output.answer(human, &machine);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(stream: Option<&str>) -> Set {
        Set {
            activation: Named { name: "crm".to_owned() },
            new_name: None,
            description: None,
            settings: Assignments::default(),
            unset: Vec::new(),
            stream: stream.map(str::to_owned),
        }
    }

    #[test]
    fn settings_of_other_streams_stay() {
        let before =
            json!([{ "cursor_column": "id" }, { "stream": "a", "lag": 5, "missing": "keep" }]);
        let assigned = json!({ "lag": 7 }).as_object().cloned().unwrap();
        let of_a = set(Some("a")).streams(&before, assigned.clone(), &["missing"]);
        assert_eq!(of_a, json!([{ "cursor_column": "id" }, { "stream": "a", "lag": 7 }]));
        let of_all = set(None).streams(&before, assigned.clone(), &[]);
        assert_eq!(of_all[0], json!({ "cursor_column": "id", "lag": 7 }));
        let of_another = set(Some("b")).streams(&before, assigned, &[]);
        assert_eq!(of_another[2], json!({ "stream": "b", "lag": 7 }));
    }

    #[test]
    fn a_cleared_setting_becomes_null_where_it_belongs() {
        let schema = json!({ "properties": { "auth": { "properties": { "token": {} } } } });
        let it = Set { unset: vec!["auth.token".to_owned(), "lag".to_owned()], ..set(None) };
        let changes = Value::Object(it.changes(&schema, &json!([{ "lag": 5 }])).unwrap());
        assert_eq!(changes, json!({ "config": { "auth": { "token": null } }, "streams": [{}] }));
    }
}
