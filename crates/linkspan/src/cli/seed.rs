//! `linkspan seed`: fills the catalog.

use std::{
    fs,
    path::{Path, PathBuf},
};

use linkspan_app::{SeedOutcome, accept_auth_config};
use linkspan_domain::CatalogEntry;
use serde_json::json;

use super::{
    exit::Failed,
    output::{Output, table},
    session::require_no_server,
};
use crate::{
    compose::{self, FileReach, Opening, Platform},
    registry,
    settings::Settings,
};

/// Fill the catalog; what operators edited stays
///
/// Without a folder the catalog of this program is used, as at every start of the server.
#[derive(Debug, clap::Args)]
pub(crate) struct Seed {
    /// A folder of YAML files, one connector each
    folder: Option<PathBuf>,
    /// Only look whether the files can be read, and whether activations could be authorized by what they say
    #[arg(long)]
    check: bool,
}

impl Seed {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let entries = match &self.folder {
            Some(folder) => read(folder)?,
            None => compose::catalog().map_err(|error| Failed::internal(&error))?,
        };
        accept(&entries)?;
        if self.check {
            let count = entries.len();
            output.answer(
                || format!("{count} connectors can be seeded."),
                &json!({ "connectors": count }),
            );
            return Ok(());
        }
        require_no_server(settings)?;
        let platform = Platform::open(settings, FileReach::Roots, Opening::OrNew).await;
        let platform = platform.map_err(|it| Failed::setup(&it))?;
        let seeded = platform.seed(entries).await.map_err(|it| Failed::internal(&it));
        platform.close().await;
        let SeedOutcome { inserted, updated, unchanged, kept } = seeded?;
        let counts = [inserted, updated, unchanged, kept];
        let human = || {
            table(
                ["inserted", "updated", "unchanged", "kept as edited"],
                [counts.map(|it| it.to_string())],
            )
        };
        let machine = json!({
            "inserted": inserted, "updated": updated, "unchanged": unchanged, "kept": kept,
        });
        output.answer(human, &machine);
        Ok(())
    }
}

/// Passes if activations of all `entries` could be authorized by what these say.
fn accept(entries: &[CatalogEntry]) -> Result<(), Failed> {
    let types = registry::types().map_err(|error| Failed::internal(&error))?;
    let refused = entries.iter().filter_map(|it| {
        let error = accept_auth_config(&types, it).err()?;
        Some(format!("auth_config of {} of {}: {error}", it.service_id, it.provider))
    });
    let refused: Vec<_> = refused.collect();
    if refused.is_empty() {
        return Ok(());
    }
    let (count, said) = (refused.len(), refused.join("\n"));
    Err(Failed::usage(format!("nobody could authorize activations of {count} connectors:\n{said}")))
}

fn read(folder: &Path) -> Result<Vec<CatalogEntry>, Failed> {
    let unreadable = |path: &Path, error: &dyn std::fmt::Display| {
        Failed::usage(format!("{} cannot be read: {error}", path.display()))
    };
    let files = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let mut paths: Vec<_> = files.filter_map(Result::ok).map(|it| it.path()).collect();
    paths.retain(|it| it.extension().is_some_and(|it| it == "yaml" || it == "yml"));
    if paths.is_empty() {
        return Err(Failed::usage(format!(
            "{} has no files called *.yaml or *.yml, so there is nothing to seed",
            folder.display()
        )));
    }
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
            yaml_serde::from_str(&text).map_err(|error| unreadable(path, &error))
        })
        .collect()
}
