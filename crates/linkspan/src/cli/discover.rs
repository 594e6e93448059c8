//! `linkspan discover`: lists the streams of an activation.

use serde_json::{Value, json};

use super::{
    activation::Activation,
    exit::Failed,
    output::{Output, table},
    session::Session,
};
use crate::settings::Settings;

/// List the streams of an activation
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
        let streams = found?;
        let row = |it: &Value| {
            let words = |list: &Value| {
                let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
                words.collect::<Vec<_>>().join(", ")
            };
            [
                it["name"].as_str().unwrap_or_default().to_owned(),
                it["fields"].as_array().map_or(0, Vec::len).to_string(),
                words(&it["primary_key"]),
                words(&it["cursor_candidates"]),
            ]
        };
        let human = || {
            table(["stream", "fields", "primary key", "cursor candidates"], streams.iter().map(row))
        };
        output.answer(human, &json!({ "streams": streams }));
        Ok(())
    }

    async fn discover(&self, session: &Session) -> Result<Vec<Value>, Failed> {
        let activation = Activation::find(session.client(), &self.name).await?;
        let path = format!("/v1/workspace-connectors/{}/models", activation.id);
        let models = session.client().get(&path, &[]).await?;
        let streams = models["data"].as_array().cloned().unwrap_or_default();
        Ok(streams.into_iter().map(|it| it["attributes"].clone()).collect())
    }
}
