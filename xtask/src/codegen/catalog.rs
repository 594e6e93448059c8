//! All seeds together, checked, and the index that the product embeds.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::{
    codegen::{rules, seed::Seed},
    project::{self, Project},
};

/// The checked seeds, sorted by provider, service and direction.
pub(crate) struct Catalog {
    pub(crate) seeds: Vec<Seed>,
}

impl Catalog {
    /// Reads and checks every file of `seeds/catalog/`; fails with every fault at once.
    pub(crate) fn load(project: &Project) -> Result<Self> {
        let mut seeds = Vec::new();
        let mut faults = Vec::new();
        for path in project::files(&project.root.join("seeds/catalog"), "yaml")? {
            match read(&path) {
                Ok(seed) => seeds.push((stem(&path), seed)),
                Err(error) => faults.push(format!("{}: {error:#}", project.relative(&path))),
            }
        }
        faults.extend(
            rules::faults(&seeds).into_iter().map(|fault| format!("seeds/catalog/{fault}")),
        );
        if !faults.is_empty() {
            bail!("{} faults in the seeds:\n  {}", faults.len(), faults.join("\n  "));
        }
        let mut seeds: Vec<Seed> = seeds.into_iter().map(|(_, seed)| seed).collect();
        seeds.sort_by(|a, b| {
            (a.provider, &a.service_id, a.direction).cmp(&(b.provider, &b.service_id, b.direction))
        });
        Ok(Self { seeds })
    }

    /// The index: one JSON array with one entry on each line.
    pub(crate) fn index(&self) -> Result<String> {
        let entries: Result<Vec<String>, _> =
            self.seeds.iter().map(serde_json::to_string).collect();
        Ok(format!("[\n{}\n]\n", entries?.join(",\n")))
    }
}

fn read(path: &Path) -> Result<Seed> {
    let text = fs::read_to_string(path).context("cannot be read")?;
    yaml_serde::from_str(&text).context("is no seed")
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default()
}
