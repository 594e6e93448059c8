//! What people see who connect something: every page in a headless Chromium without script, and judged by axe.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde::Deserialize;
use tempfile::TempDir;

use super::Summary;
use crate::{
    debian, process,
    project::Project,
    server::{ADMIN_KEY, Server},
    terminal::say,
    tools,
};

/// The script that stands in for people and for the provider.
const SCRIPT: &str = "pages.mjs";

/// The server asks a provider on this machine, and sends people back to an app.
const SETTINGS: [(&str, &str); 2] =
    [("LINKSPAN_EGRESS_ALLOW", "127.0.0.1"), ("LINKSPAN_RETURN_URLS", "https://app.example/")];

/// What became of a case, as the script says it.
#[derive(Deserialize)]
struct Case {
    name: String,
    failure: Option<String>,
}

/// Looks at every page, and leaves pictures of it.
pub(crate) fn run(project: &Project) -> Result<Summary> {
    let browser = chromium()?;
    let home = tools::node(project)?;
    let node = tools::newer_node(&home)?;
    // Node looks for packages beside the script, so the script joins them.
    fs::copy(tools::script(project, SCRIPT), home.join(SCRIPT))
        .with_context(|| format!("cannot copy {SCRIPT}"))?;
    process::run(process::cargo().args(["build", "--quiet", "--workspace"]))?;
    let pictures = emptied(project.cache("pages"))?;
    let folder = TempDir::with_prefix("linkspan-pages-")?;
    let data = folder.path().join("data");
    let mut server = Server::start_with(&project.binary("debug"), &data, &SETTINGS)?;
    server.wait_for("/readyz")?;
    let said = process::read(
        Command::new(node)
            .arg(home.join(SCRIPT))
            .args([format!("http://{}", server.address()).as_str(), ADMIN_KEY])
            .arg(data.join("linkspan.db"))
            .args([&browser, &pictures]),
    )
    .with_context(|| format!("the server said last:\n{}", server.said()))?;
    server.stop()?;
    say(format!("pictures of the pages are in {}", pictures.display()));
    summarized(&said)
}

/// Where Chromium is.
fn chromium() -> Result<PathBuf> {
    if process::find("chromium").is_none() {
        debian::install("there is no Chromium", &["chromium"])?;
    }
    process::find("chromium").context("there is no Chromium")
}

/// `folder`, with nothing in it.
fn emptied(folder: PathBuf) -> Result<PathBuf> {
    if folder.is_dir() {
        fs::remove_dir_all(&folder).with_context(|| unwritable(&folder))?;
    }
    fs::create_dir_all(&folder).with_context(|| unwritable(&folder))?;
    Ok(folder)
}

fn unwritable(folder: &Path) -> String {
    format!("cannot empty {}", folder.display())
}

fn summarized(said: &str) -> Result<Summary> {
    let mut summary = Summary::default();
    for line in said.lines() {
        let Case { name, failure } = serde_json::from_str(line)
            .with_context(|| format!("cannot read what the script said: {line}"))?;
        summary.total += 1;
        match failure {
            None => {
                say(format!("{name}: passed"));
                summary.passed += 1;
            }
            Some(failure) => summary.failed.push(format!("{name}: failed\n{failure}")),
        }
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_named_with_its_reason() {
        let said =
            "{\"name\":\"a\",\"failure\":null}\n{\"name\":\"b\",\"failure\":\"grey on grey\"}\n";
        let summary = summarized(said).unwrap();
        assert_eq!((summary.passed, summary.total), (1, 2));
        assert_eq!(summary.failed, ["b: failed\ngrey on grey"]);
    }
}
