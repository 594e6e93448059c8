//! `cargo xtask tidy`: what the compiler cannot check.

mod architecture;
mod layers;
mod manifests;
mod sources;

use std::fmt;

use anyhow::{Result, bail};

use crate::{project::Project, terminal::say};

/// One thing that is wrong, where, and how to put it right.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    place: String,
    wrong: String,
    fix: String,
}

/// Checks the whole workspace and fails with every fault at once.
pub(crate) fn run(project: &Project) -> Result<()> {
    let faults = faults(project)?;
    if !faults.is_empty() {
        let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
        bail!("{} untidy places:\n  {}", faults.len(), list.join("\n  "));
    }
    say("tidy");
    Ok(())
}

fn faults(project: &Project) -> Result<Vec<Fault>> {
    let mut faults = layers::faults(project);
    faults.extend(manifests::faults(project)?);
    faults.extend(sources::faults(project)?);
    faults.extend(architecture::faults(project)?);
    Ok(faults)
}

impl Fault {
    fn new(place: impl Into<String>, wrong: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { place: place.into(), wrong: wrong.into(), fix: fix.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.wrong, self.fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let project = Project::load().unwrap();
        let faults: Vec<String> =
            faults(&project).unwrap().iter().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
