//! Grants refreshed a million times while processes die at every step.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    bench::{Figure, Report, Target, example},
    process,
    project::Project,
    terminal::{say, table},
};

/// How often tokens are refreshed in the stories in which nothing that can be kept is lost.
const REFRESHES: u64 = 1_000_000;

/// How many stories there are.
const STORIES: usize = 6;

/// What the simulation prints at its end.
#[derive(Deserialize)]
struct Printed {
    stories: Value,
}

/// What came of one story.
#[derive(Deserialize)]
struct Told {
    story: String,
    /// Whether its promise is that nothing is lost, and not just that nothing is lost silently.
    is_lossless: bool,
    nodes: u64,
    refreshes: u64,
    crashes: u64,
    died_at: BTreeMap<String, u64>,
    lost: u64,
    lost_with_notice: u64,
    spent_twice: u64,
    outdated: u64,
    broken: u64,
    events: BTreeMap<String, u64>,
}

/// Plays the simulation, which fails by itself where a story does not keep its promise.
pub(crate) fn measure(project: &Project, report: &mut Report) -> Result<Vec<Figure>> {
    let program = example(project, "refresh_simulation")?;
    let mut command = Command::new(program);
    // It takes a while, and says how far it is.
    command.arg(REFRESHES.to_string()).stderr(Stdio::inherit());
    let printed = process::read(&mut command)?;
    let Printed { stories } =
        serde_json::from_str(&printed).context("the simulation printed no figures")?;
    let told: [Told; STORIES] =
        Deserialize::deserialize(&stories).context("the simulation tells other stories")?;
    report.insert("stories".to_owned(), stories);
    show(&told);
    Ok(figures(&told))
}

/// Prints what came of each story, and where its processes died.
fn show(told: &[Told; STORIES]) {
    let rows: Vec<_> = told.iter().enumerate().map(|(number, it)| it.row(number + 1)).collect();
    say("");
    table(
        [
            "",
            "story",
            "refreshes",
            "nodes",
            "crashes",
            "lost",
            "with notice",
            "spent twice",
            "outdated",
            "broken",
        ],
        &rows,
    );
    let steps: BTreeSet<_> = told.iter().flat_map(|it| it.died_at.keys()).collect();
    let rows: Vec<_> = steps.into_iter().map(|step| deaths(step, told)).collect();
    say("");
    table(["what died at", "1", "2", "3", "4", "5", "6"], &rows);
    for it in told.iter().filter(|it| !it.events.is_empty()) {
        let events = it.events.iter().map(|(event, count)| format!("{event} {count}"));
        say(format!("\n{}: {}", it.story, events.collect::<Vec<_>>().join(", ")));
    }
}

/// How much died at `step`, in each story.
fn deaths(step: &str, told: &[Told; STORIES]) -> [String; 1 + STORIES] {
    let mut row: [String; 1 + STORIES] = Default::default();
    step.clone_into(&mut row[0]);
    for (cell, it) in row[1..].iter_mut().zip(told) {
        *cell = it.died_at.get(step).map_or_else(|| "-".to_owned(), u64::to_string);
    }
    row
}

/// The sums of the stories in which nothing is lost.
fn figures(told: &[Told; STORIES]) -> Vec<Figure> {
    let sum = |of: fn(&Told) -> u64| told.iter().filter(|it| it.is_lossless).map(of).sum();
    let figure = |name: &str, of, target| {
        let sum: u64 = sum(of);
        #[expect(clippy::cast_precision_loss, reason = "no count is that large")]
        let measured = sum as f64;
        Figure { name: name.to_owned(), measured, unit: "", target }
    };
    vec![
        figure(
            "refreshes by four nodes that crash",
            |it| it.refreshes,
            Target::AtLeast(1_000_000.0),
        ),
        figure("crashes meanwhile", |it| it.crashes, Target::AtLeast(1_000.0)),
        figure("grants lost", |it| it.lost, Target::AtMost(0.0)),
        figure("refresh tokens spent twice", |it| it.spent_twice, Target::AtMost(0.0)),
        figure(
            "tokens handed out that did not work",
            |it| it.outdated + it.broken,
            Target::AtMost(0.0),
        ),
    ]
}

impl Told {
    fn row(&self, number: usize) -> [String; 10] {
        let counts = [
            self.refreshes,
            self.nodes,
            self.crashes,
            self.lost,
            self.lost_with_notice,
            self.spent_twice,
            self.outdated,
            self.broken,
        ];
        let mut row: [String; 10] = Default::default();
        (row[0], row[1]) = (number.to_string(), self.story.clone());
        for (cell, count) in row[2..].iter_mut().zip(counts) {
            *cell = count.to_string();
        }
        row
    }
}
