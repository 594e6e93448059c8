//! `linkspan discover`: lists the streams of an activation.

use serde_json::{Value, json};

use super::{
    activation::Activation,
    client::text,
    exit::Failed,
    output::{Output, table},
    session::Session,
};
use crate::settings::Settings;

/// List the streams of an activation, and what its system has that is none
#[derive(Debug, clap::Args)]
pub(crate) struct Discover {
    /// The name of the activation, or its identifier
    name: String,
}

impl Discover {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let session = Session::open(settings).await?;
        let found = self.discover(&session).await;
        session.close().await;
        let Found { streams, left_out } = found?;
        let row = |it: &Value| {
            let words = |list: &Value| {
                let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
                words.collect::<Vec<_>>().join(", ")
            };
            [
                text(&it["name"]),
                it["fields"].as_array().map_or(0, Vec::len).to_string(),
                words(&it["primary_key"]),
                words(&it["cursor_candidates"]),
            ]
        };
        let omitted = |it: &Value| [text(&it["name"]), text(&it["reason"]).replace('_', " ")];
        let human = || {
            let header = ["stream", "fields", "primary key", "cursor candidates"];
            let streams = table(header, streams.iter().map(row));
            if left_out.is_empty() {
                return streams;
            }
            let left_out = table(["left out", "for"], left_out.iter().map(omitted));
            format!("{streams}\n{left_out}")
        };
        output.answer(human, &json!({ "streams": streams, "left_out": left_out }));
        Ok(())
    }

    async fn discover(&self, session: &Session) -> Result<Found, Failed> {
        let activation = Activation::find(session.client(), &self.name).await?;
        let path = format!("/v1/workspace-connectors/{}/models", activation.id);
        let models = session.client().get(&path, &[]).await?;
        let all = |list: &Value| list.as_array().cloned().unwrap_or_default();
        Ok(Found {
            streams: all(&models["data"]).into_iter().map(|it| it["attributes"].clone()).collect(),
            left_out: all(&models["meta"]["left_out"]),
        })
    }
}

/// What an activation has.
struct Found {
    streams: Vec<Value>,
    left_out: Vec<Value>,
}
