//! A program's output and the most memory it held.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::process;

const PERIOD: Duration = Duration::from_millis(20);

/// Runs `command`; returns its standard output and its peak resident set in megabytes.
pub(crate) fn metered(command: &mut Command) -> Result<(String, f64)> {
    let home = TempDir::new()?;
    let (output, log) = (home.path().join("output"), home.path().join("log"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(File::create(&output)?)
        .stderr(File::create(&log)?)
        .spawn()?;
    let mut peak = 0.0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak = process::memory(child.id(), "VmHWM").unwrap_or(peak);
        thread::sleep(PERIOD);
    };
    if !status.success() {
        bail!("it ended with {status}; it said:\n{}", process::tail(&log));
    }
    Ok((fs::read_to_string(output)?, peak))
}
