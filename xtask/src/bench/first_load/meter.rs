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

/// Whose memory counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peak {
    /// That of the process alone.
    Process,
    /// That of the process or its largest child, as launchers have one.
    Tree,
}

/// Runs `command`; returns its standard output and its peak resident set in megabytes.
pub(crate) fn metered(command: &mut Command, peak_of: Peak) -> Result<(String, f64)> {
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
        peak = process::memory(child.id(), "VmHWM").unwrap_or(peak).max(match peak_of {
            Peak::Process => 0.0,
            Peak::Tree => peak.max(largest_child(child.id())),
        });
        thread::sleep(PERIOD);
    };
    if !status.success() {
        bail!("it ended with {status}; it said:\n{}", process::tail(&log));
    }
    Ok((fs::read_to_string(output)?, peak))
}

/// The peak of the largest child, in megabytes.
fn largest_child(process: u32) -> f64 {
    let list = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(list).unwrap_or_default();
    let peaks = children.split(' ').filter_map(|it| process::memory(it.parse().ok()?, "VmHWM"));
    peaks.fold(0.0, f64::max)
}
