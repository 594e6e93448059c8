//! `docs/openapi.json`: the contract of the HTTP API, as the product prints it.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{process, project::Project};

/// Builds the product and asks it for its document.
///
/// The whole workspace is built, as every other chore does: building the binary alone would settle
/// on other features and compile the dependencies a second time.
pub(crate) fn document(project: &Project) -> Result<String> {
    process::run(process::cargo().args(["build", "--quiet", "--workspace"]))?;
    let printed = process::read(Command::new(project.binary("debug")).arg("openapi"))?;
    let document: Value =
        serde_json::from_str(&printed).context("`linkspan openapi` printed no JSON")?;
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}
