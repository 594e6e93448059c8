//! Progress, where a person is there to see it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::output::{Output, thousands};

/// A line that moves while a run does.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Starts for the run of `name`.
    pub(crate) fn start(output: &Output, name: &str) -> Self {
        if !output.shows_progress() {
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar.set_message("waiting for a worker");
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar }
    }

    /// Shows how far the run of this sync log is.
    pub(crate) fn show(&self, log: &Value) {
        let count = |kind: &str| thousands(log["counts"][kind].as_u64().unwrap_or_default());
        self.bar.set_message(format!(
            "{} records read, {} written",
            count("read"),
            count("written")
        ));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
