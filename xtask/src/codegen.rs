//! `cargo xtask codegen`: checks the seeds and writes what is derived from other files.

mod catalog;
mod models;
mod oauth_checklist;
mod openapi;
mod page;
mod permissions;
mod rules;
mod seed;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    codegen::{catalog::Catalog, models::Models},
    project::Project,
    terminal::say,
};

/// How to generate.
#[derive(Args)]
pub(crate) struct Options {
    /// Only compare: fail when a generated file is stale
    #[arg(long)]
    pub(crate) check: bool,
}

/// A file that is made from others and committed beside them.
struct Derived {
    path: PathBuf,
    text: String,
}

/// Checks the seeds, then writes (or compares) every derived file.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let catalog = Catalog::load(project)?;
    let models = Models::load(project)?;
    let mut stale = Vec::new();
    for derived in [
        Derived { path: project.root.join("seeds/catalog.json"), text: catalog.index()? },
        Derived { path: project.root.join("seeds/models.json"), text: models.index() },
        Derived { path: project.root.join("docs/connectors.md"), text: page::render(&catalog) },
        Derived {
            path: project.root.join("docs/oauth-checklist.md"),
            text: oauth_checklist::render(project)?,
        },
    ] {
        stale.extend(settle(project, &derived, options)?);
    }
    let openapi = openapi::document(project)?;
    let permissions = permissions::render(&openapi)?;
    for (page, text) in [("docs/openapi.json", openapi), ("docs/permissions.md", permissions)] {
        let derived = Derived { path: project.root.join(page), text };
        stale.extend(settle(project, &derived, options)?);
    }
    if !stale.is_empty() {
        bail!("stale: {}; run `cargo xtask codegen` and commit the result", stale.join(", "));
    }
    Ok(())
}

/// Writes `derived`, or names it when it is stale and only a comparison was asked for.
fn settle(project: &Project, derived: &Derived, options: &Options) -> Result<Option<String>> {
    let name = project.relative(&derived.path);
    let fresh = fs::read_to_string(&derived.path).is_ok_and(|text| text == derived.text);
    if fresh {
        say(format!("{name} is fresh"));
        return Ok(None);
    }
    if options.check {
        return Ok(Some(name));
    }
    if let Some(folder) = derived.path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&derived.path, &derived.text).with_context(|| format!("cannot write {name}"))?;
    say(format!("{name} written"));
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_seeds_give_is_committed() {
        let project = Project::load().unwrap();
        let catalog = Catalog::load(&project).unwrap();
        let index = fs::read_to_string(project.root.join("seeds/catalog.json")).unwrap();
        assert!(index == catalog.index().unwrap(), "run `cargo xtask codegen`");
        let models = fs::read_to_string(project.root.join("seeds/models.json")).unwrap();
        assert!(models == Models::load(&project).unwrap().index(), "run `cargo xtask codegen`");
        let page = fs::read_to_string(project.root.join("docs/connectors.md")).unwrap();
        assert!(page == page::render(&catalog), "run `cargo xtask codegen`");
        let openapi = fs::read_to_string(project.root.join("docs/openapi.json")).unwrap();
        let page = fs::read_to_string(project.root.join("docs/permissions.md")).unwrap();
        assert!(page == permissions::render(&openapi).unwrap(), "run `cargo xtask codegen`");
        let page = fs::read_to_string(project.root.join("docs/oauth-checklist.md")).unwrap();
        assert!(page == oauth_checklist::render(&project).unwrap(), "run `cargo xtask codegen`");
    }
}
