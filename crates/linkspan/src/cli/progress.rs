//! Progress, where a person is there to see it.

use std::{collections::BTreeMap, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::{
    client::Event,
    output::{Output, thousands},
};

/// A line that moves while a run does.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    state: Counts,
    streams: BTreeMap<String, Counts>,
}

/// How many records.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    read: u64,
    written: u64,
}

impl Progress {
    /// Starts for the run of `name`.
    pub(crate) fn start(output: &Output, name: &str) -> Self {
        if !output.shows_progress() {
            return Self::of(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar.set_message("waiting for a worker");
        bar.enable_steady_tick(Duration::from_millis(100));
        Self::of(bar)
    }

    fn of(bar: ProgressBar) -> Self {
        Self { bar, state: Counts::default(), streams: BTreeMap::new() }
    }

    /// Shows what just happened in the run.
    pub(crate) fn show(&mut self, event: &Event) {
        let data = &event.data;
        match event.name.as_str() {
            "state" => self.state = Counts::of(&data["data"]["attributes"]),
            "advanced" | "stream_finished" => {
                let stream = data["stream"].as_str().unwrap_or_default().to_owned();
                self.streams.insert(stream, Counts::of(data));
            }
            "retrying" => {
                let seconds = data["wait_secs"].as_f64().unwrap_or_default();
                return self.bar.set_message(format!("broke off, goes on in {seconds:.0} s"));
            }
            _ => return,
        }
        let streams = self.streams.values();
        // What is heard of streams counts from when this worker took the run; its log from the beginning.
        let read = streams.clone().map(|it| it.read).sum::<u64>().max(self.state.read);
        let written = streams.map(|it| it.written).sum::<u64>().max(self.state.written);
        let (read, written) = (thousands(read), thousands(written));
        self.bar.set_message(format!("{read} records read, {written} written"));
    }
}

impl Counts {
    /// The counts in `about`.
    fn of(about: &Value) -> Self {
        let count = |kind: &str| about["counts"][kind].as_u64().unwrap_or_default();
        Self { read: count("read"), written: count("written") }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
