//! `docs/ARCHITECTURE.md` against the tree it describes.

use std::fs;

use anyhow::{Context, Result};

use crate::{project::Project, tidy::Fault};

const PAGE: &str = "docs/ARCHITECTURE.md";

/// Folders at the root; a quoted word that starts with one of them is a path.
const ROOTS: &[&str] = &[".ci/", ".github/", "crates/", "docs/", "migration/", "seeds/", "xtask/"];

/// Paths that the page names and the tree lacks, and crates that it leaves out.
pub(crate) fn faults(project: &Project) -> Result<Vec<Fault>> {
    let page = project.root.join(PAGE);
    if !page.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&page).with_context(|| format!("cannot read {PAGE}"))?;
    let mut faults: Vec<Fault> = named_paths(&text)
        .filter(|(_, path)| !project.root.join(path).exists())
        .map(|(line, path)| {
            Fault::new(
                format!("{PAGE}:{line}"),
                format!("`{path}` does not exist"),
                "name the path it has now",
            )
        })
        .collect();
    for package in &project.packages {
        let folder = project.relative(package.folder());
        if !text.contains(&folder) {
            faults.push(Fault::new(
                PAGE,
                format!("it does not mention `{folder}`"),
                "add a paragraph about it",
            ));
        }
    }
    Ok(faults)
}

/// The quoted paths of the page with their line numbers; patterns are left out.
fn named_paths(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().flat_map(|(index, line)| {
        line.split('`')
            .skip(1)
            .step_by(2)
            .filter(|quoted| ROOTS.iter().any(|root| quoted.starts_with(root)))
            .filter(|quoted| !quoted.contains(['<', '*', '{', '…', ' ']))
            .map(move |quoted| (index + 1, quoted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_paths_are_found() {
        let text =
            "See `crates/api/src/lib.rs` and `seeds/catalog/<service>.yaml`.\n`Cx`, `docs/adr`";
        let found: Vec<_> = named_paths(text).collect();
        assert_eq!(found, [(1, "crates/api/src/lib.rs"), (2, "docs/adr")]);
    }
}
