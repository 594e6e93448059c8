//! Installing what is missing, where that can be done without asking.

use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Command};

use anyhow::{Result, bail};

use crate::{process, terminal::say};

/// Installs Debian packages when this is Debian and we are root; else says what to type.
pub(crate) fn install(reason: &str, packages: &[&str]) -> Result<()> {
    let typed = format!("apt-get install -y {}", packages.join(" "));
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        bail!("{reason}; install it, on Debian or Ubuntu with: sudo {typed}");
    }
    say(format!("{reason}: {typed}"));
    process::run(Command::new("apt-get").args(["update", "-qq"]))?;
    process::run(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// Whether this process belongs to root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}
