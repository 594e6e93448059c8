//! `linkspan types`: lists the connector types.

use serde_json::json;

use super::{
    exit::Failed,
    output::{Output, table},
};
use crate::registry;

/// List the connector types of this program
#[derive(Debug, clap::Args)]
pub(crate) struct Types {
    /// Only this type, with its settings
    key: Option<String>,
}

impl Types {
    /// Runs the command.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failed> {
        let types = registry::types().map_err(|error| Failed::internal(&error))?;
        match self.key {
            None => list(&types, output),
            Some(key) => show(&types, &key, output)?,
        }
        Ok(())
    }
}

fn list(types: &linkspan_app::ConnectorTypes, output: &Output) {
    let manifests: Vec<_> = types.iter().map(|it| &it.manifest).collect();
    let rows = manifests.iter().map(|it| {
        let capabilities = it.capabilities.iter().map(ToString::to_string);
        [
            it.key.to_string(),
            it.title.clone(),
            it.version.to_string(),
            capabilities.collect::<Vec<_>>().join(", "),
        ]
    });
    let human = || table(["type", "title", "version", "can"], rows);
    output.answer(human, &json!({ "types": manifests }));
}

fn show(types: &linkspan_app::ConnectorTypes, key: &str, output: &Output) -> Result<(), Failed> {
    let Some(definition) = key.parse().ok().and_then(|key| types.find(&key)) else {
        return Err(Failed::usage(format!(
            "there is no connector type `{key}`; see `linkspan types`"
        )));
    };
    let manifest = &definition.manifest;
    let schema = manifest.config_schema.as_value();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let rows = schema["properties"].as_object().into_iter().flatten().map(|(name, field)| {
        let mut marks = Vec::new();
        if required.contains(&json!(name)) {
            marks.push("required");
        }
        if field["secret"] == true {
            marks.push("secret");
        }
        let about = field["description"].as_str().unwrap_or_default().replace('\n', " ");
        [name.clone(), marks.join(", "), about]
    });
    let human = || {
        let settings = table(["setting", "", "about"], rows);
        format!("{} {}\n{}\n{settings}", manifest.title, manifest.version, manifest.description)
    };
    output.answer(human, &json!(manifest));
    Ok(())
}
