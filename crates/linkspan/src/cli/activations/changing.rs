//! Changing activations. Each change is refused where somebody else was faster.

use serde_json::{Map, Value, json};

use super::Named;
use crate::cli::{
    activation::{Activation, Lack},
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
    /// A setting to clear, or all that is said of one stream, such as `streams.public.orders`; repeat for more
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
        let changes = self.changes(schema, attributes)?;
        if changes.is_empty() {
            return Err(Failed::usage(
                "nothing to change; say what with --set, --set-env, --set-file, --unset, --name or --description",
            ));
        }
        let after = client.change(&seen, &Value::Object(changes)).await?;
        tell(client, &after["data"], output).await
    }

    /// The attributes that change, of those `before`.
    fn changes(&self, schema: &Value, before: &Value) -> Result<Map<String, Value>, Failed> {
        let Assigned { mut config, stream } = self.settings.read(schema)?;
        let (mut cleared, mut removed) = (Vec::new(), Vec::new());
        for key in &self.unset {
            if let Some(stream) = assign::stream(schema, key) {
                removed.push(stream);
            } else if assign::is_of_streams(schema, key) {
                cleared.push(key.as_str());
            } else {
                assign::require(schema, &before["config"], key)?;
                assign::put(&mut config, key, Value::Null)?;
            }
        }
        let mut changes = Map::new();
        changes.extend(self.new_name.as_ref().map(|it| ("name".to_owned(), json!(it))));
        changes.extend(self.description.as_ref().map(|it| ("description".to_owned(), json!(it))));
        if !config.is_empty() {
            changes.insert("config".to_owned(), Value::Object(config));
        }
        let is_of_one = !stream.is_empty() || !cleared.is_empty();
        if is_of_one || !removed.is_empty() {
            let mut streams = without(&before["streams"], &removed)?;
            if is_of_one {
                streams = self.streams(streams, stream, &cleared);
            }
            changes.insert("streams".to_owned(), Value::Array(streams));
        }
        if self.stream.is_some() && !is_of_one {
            return Err(Failed::usage(
                "--stream goes with a setting of streams, such as --set cursor_column=updated_at",
            ));
        }
        Ok(changes)
    }

    /// The settings of streams, with `assigned` and without `cleared` for the one that is meant.
    fn streams(
        &self,
        mut streams: Vec<Value>,
        assigned: Map<String, Value>,
        cleared: &[&str],
    ) -> Vec<Value> {
        let is_meant = |it: &Value| it["stream"].as_str() == self.stream.as_deref();
        let position = streams.iter().position(is_meant).unwrap_or_else(|| {
            streams.push(self.stream.as_ref().map_or(json!({}), |it| json!({ "stream": it })));
            streams.len() - 1
        });
        if let Some(Value::Object(meant)) = streams.get_mut(position) {
            meant.extend(assigned);
            meant.retain(|key, _| !cleared.contains(&key.as_str()));
        }
        // What says nothing of no stream in particular is not worth keeping.
        streams.retain(|it| it.as_object().is_none_or(|it| !it.is_empty()));
        streams
    }
}

/// The settings of streams, without those for the streams called `removed`.
fn without(before: &Value, removed: &[&str]) -> Result<Vec<Value>, Failed> {
    let mut streams = before.as_array().cloned().unwrap_or_default();
    for name in removed {
        let is_meant = |it: &Value| it["stream"].as_str() == Some(name);
        let Some(position) = streams.iter().position(is_meant) else {
            return Err(Failed::usage(format!(
                "nothing is said of a stream called {name}; see what is with `linkspan activations show`"
            )));
        };
        streams.remove(position);
    }
    Ok(streams)
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
    tell(client, &changed["data"], output).await
}

/// Says how an activation is now: what it lacks, and what becomes of its run if nothing else may sync it.
async fn tell(client: &Client, resource: &Value, output: &Output) -> Result<(), Failed> {
    let attributes = &resource["attributes"];
    let lacks = Activation::lacks(client, resource).await;
    let run = match attributes["status"].as_str() {
        Some("disabled") => Activation::of(resource).active_run(client).await?,
        _ => None,
    };
    let run = run.unwrap_or_default();
    let machine = json!({
        "id": resource["id"], "name": attributes["name"], "status": attributes["status"],
        "lacks": lacks.as_ref().map(Lack::says), "run": run["id"],
    });
    let human = || {
        let (name, status) = (text(&attributes["name"]), text(&attributes["status"]));
        let lacks = lacks.as_ref().map(|it| format!(": {}", it.says())).unwrap_or_default();
        format!("{name} is {status}{lacks}.{}", fate(&run["attributes"]["status"], &name))
    };
    output.answer(human, &machine);
    Ok(())
}

/// What becomes of the run of the activation `name`, which was switched off.
fn fate(run: &Value, name: &str) -> String {
    match run.as_str() {
        Some("in_progress") => {
            format!(" Its run goes on to its end; linkspan runs cancel \"{name}\" stops it.")
        }
        Some(_) => " Its run, which waits for a worker, ends before it begins.".to_owned(),
        None => String::new(),
    }
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
    fn who_switches_off_is_told_how_to_stop_the_run() {
        assert_eq!(fate(&Value::Null, "crm"), "");
        assert!(fate(&json!("scheduled"), "crm").contains("ends before it begins"));
        assert!(fate(&json!("in_progress"), "crm").contains("linkspan runs cancel \"crm\""));
    }

    #[test]
    fn settings_of_other_streams_stay() {
        let before = vec![
            json!({ "cursor_column": "id" }),
            json!({ "stream": "a", "lag": 5, "missing": "keep" }),
        ];
        let assigned = json!({ "lag": 7 }).as_object().cloned().unwrap();
        let of_a = set(Some("a")).streams(before.clone(), assigned.clone(), &["missing"]);
        assert_eq!(of_a, [json!({ "cursor_column": "id" }), json!({ "stream": "a", "lag": 7 })]);
        let of_all = set(None).streams(before.clone(), assigned.clone(), &[]);
        assert_eq!(of_all[0], json!({ "cursor_column": "id", "lag": 7 }));
        let of_another = set(Some("b")).streams(before, assigned, &[]);
        assert_eq!(of_another[2], json!({ "stream": "b", "lag": 7 }));
    }

    #[test]
    fn a_cleared_setting_becomes_null_where_it_belongs() {
        let schema = json!({ "properties": { "auth": { "properties": { "token": {} } } } });
        let it = Set { unset: vec!["auth.token".to_owned(), "lag".to_owned()], ..set(None) };
        let changes =
            Value::Object(it.changes(&schema, &json!({ "streams": [{ "lag": 5 }] })).unwrap());
        assert_eq!(changes, json!({ "config": { "auth": { "token": null } }, "streams": [] }));
    }

    #[test]
    fn all_that_is_said_of_a_stream_can_be_taken_back() {
        let streams = json!([{ "lag": 5 }, { "stream": "public.a", "lag": 7 }, { "stream": "b" }]);
        let before = json!({ "streams": streams });
        let unset = |keys: &[&str], schema: Value| {
            let unset = keys.iter().map(|&it| it.to_owned()).collect();
            Set { unset, ..set(None) }.changes(&schema, &before).map(Value::Object)
        };
        let changes = unset(&["streams.public.a"], json!({})).unwrap();
        assert_eq!(changes, json!({ "streams": [{ "lag": 5 }, { "stream": "b" }] }));
        let changes = unset(&["streams.public.a", "streams.b", "lag"], json!({})).unwrap();
        assert_eq!(changes, json!({ "streams": [] }));
        assert!(unset(&["streams.public"], json!({})).is_err(), "it would have changed nothing");
        let own = json!({ "properties": { "streams": { "type": "object" } } });
        let changes = unset(&["streams.b"], own).unwrap();
        assert_eq!(changes, json!({ "config": { "streams": { "b": null } } }));
    }
}
