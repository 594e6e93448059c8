//! The shape of every package's `Cargo.toml`.

use std::fs;

use anyhow::{Context, Result};

use crate::{project::Project, tidy::Fault};

/// Every manifest that leaves the common lints or the common dependency table.
pub(crate) fn faults(project: &Project) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for package in &project.packages {
        let text = fs::read_to_string(&package.manifest_path)
            .with_context(|| format!("cannot read {}", package.manifest_path.display()))?;
        faults.extend(manifest_faults(&text, &project.relative(&package.manifest_path)));
    }
    Ok(faults)
}

fn manifest_faults(text: &str, place: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut section = "";
    let mut has_lints = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let place = format!("{place}:{}", index + 1);
        if let Some(header) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            section = header;
            if is_dependency_table(section.rsplit_once('.').map_or("", |(table, _)| table)) {
                faults.push(Fault::new(
                    place,
                    format!("`{section}` is spread over a table of its own"),
                    "write one line: `name = { workspace = true, … }`",
                ));
            }
        } else if section == "lints" {
            has_lints |= line.replace(' ', "") == "workspace=true";
        } else if is_dependency_table(section) && !line.is_empty() {
            let line = line.replace(' ', "");
            if !line.contains(".workspace=true")
                && !line.contains("workspace=true,")
                && !line.contains("{workspace=true}")
            {
                faults.push(Fault::new(
                    place,
                    format!("`{line}` names its own source"),
                    "put it under [workspace.dependencies] and write `name.workspace = true`",
                ));
            }
        }
    }
    if !has_lints {
        faults.push(Fault::new(
            place,
            "the package leaves the common lints",
            "add `[lints]` with `workspace = true`",
        ));
    }
    faults
}

fn is_dependency_table(section: &str) -> bool {
    let table = section.rsplit('.').next().unwrap_or(section);
    section != "workspace.dependencies"
        && ["dependencies", "dev-dependencies", "build-dependencies"].contains(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<String> {
        manifest_faults(text, "Cargo.toml")
            .into_iter()
            .map(|it| format!("{}: {}", it.place, it.wrong))
            .collect()
    }

    #[test]
    fn a_manifest_of_the_house_passes() {
        let text = "[lints]\nworkspace = true\n\n[dependencies]\nserde.workspace = true # why\n\
            sqlx = { workspace = true, features = [\"x\"] }\n[dev-dependencies]\ninsta = { workspace = true }\n";
        assert!(check(text).is_empty(), "{:?}", check(text));
    }

    #[test]
    fn a_dependency_comes_from_the_common_table() {
        let text = "[lints]\nworkspace = true\n[dev-dependencies]\nserde = \"1\"\n";
        assert_eq!(check(text), ["Cargo.toml:4: `serde=\"1\"` names its own source"]);
        let text = "[lints]\nworkspace = true\n[target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n";
        assert_eq!(check(text).len(), 1);
        let text = "[lints]\nworkspace = true\n[dependencies.serde]\nversion = \"1\"\n";
        assert_eq!(check(text).len(), 1);
    }

    #[test]
    fn the_common_lints_hold_everywhere() {
        assert_eq!(check("[dependencies]\n"), ["Cargo.toml: the package leaves the common lints"]);
    }
}
