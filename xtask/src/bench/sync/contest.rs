//! Several ways to do the same, and how they compare.

use serde_json::{Value, json};

use crate::bench::{Figure, Target};

/// One run of one way.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// How many rows it took.
    pub(super) rows: u64,
    pub(super) seconds: f64,
    /// Where it is known.
    pub(super) megabytes: Option<f64>,
}

impl Run {
    #[expect(clippy::cast_precision_loss, reason = "counts of a few million")]
    fn per_second(self) -> f64 {
        self.rows as f64 / self.seconds
    }
}

/// Ways to do the same.
pub(super) struct Contest {
    pub(super) name: &'static str,
    title: &'static str,
    ways: Vec<(&'static str, Vec<Run>)>,
    bounds: Vec<(&'static str, f64)>,
    megabytes: Option<f64>,
}

/// The way that the others are compared with.
const OURS: &str = "linkspan";

impl Contest {
    pub(super) const fn new(name: &'static str, title: &'static str) -> Self {
        Self { name, title, ways: Vec::new(), bounds: Vec::new(), megabytes: None }
    }

    /// We are to be at least `bound` times as fast as `way`.
    pub(super) fn at_least(mut self, way: &'static str, bound: f64) -> Self {
        self.bounds.push((way, bound));
        self
    }

    /// We are to need no more memory than that.
    pub(super) const fn megabytes_at_most(mut self, bound: f64) -> Self {
        self.megabytes = Some(bound);
        self
    }

    pub(super) fn add(&mut self, way: &'static str, run: Run) {
        match self.ways.iter_mut().find(|it| it.0 == way) {
            Some((_, runs)) => runs.push(run),
            None => self.ways.push((way, vec![run])),
        }
    }

    /// The median run, and the highest peak.
    fn result(&self, way: &str) -> Option<(Run, Option<f64>)> {
        let (_, runs) = self.ways.iter().find(|it| it.0 == way)?;
        let mut sorted = runs.clone();
        sorted.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let peak = runs.iter().filter_map(|it| it.megabytes).reduce(f64::max);
        Some((sorted[sorted.len() / 2], peak))
    }

    /// The lines of the table.
    pub(super) fn rows(&self) -> Vec<[String; 5]> {
        let line = |(way, _): &(&'static str, Vec<Run>)| {
            let (run, peak) = self.result(way)?;
            Some([
                self.title.to_owned(),
                (*way).to_owned(),
                format!("{:.2}", run.seconds),
                format!("{:.0}", run.per_second()),
                peak.map_or_else(|| "-".to_owned(), |it| format!("{it:.0}")),
            ])
        };
        self.ways.iter().filter_map(line).collect()
    }

    /// How we compare, and what that should be.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let Some((ours, peak)) = self.result(OURS) else { return Vec::new() };
        let mut figures: Vec<_> = self
            .bounds
            .iter()
            .filter_map(|(way, bound)| {
                let (theirs, _) = self.result(way)?;
                Some(Figure {
                    name: format!("{}, rows per second / {way}", self.title),
                    measured: ours.per_second() / theirs.per_second(),
                    unit: "",
                    target: Target::AtLeast(*bound),
                })
            })
            .collect();
        if let (Some(bound), Some(peak)) = (self.megabytes, peak) {
            figures.push(Figure {
                name: format!("{}, peak memory", self.title),
                measured: peak,
                unit: " MB",
                target: Target::AtMost(bound),
            });
        }
        figures
    }

    /// Everything that was measured.
    pub(super) fn json(&self) -> Value {
        let ours = self.result(OURS).map(|it| it.0);
        let ways = self.ways.iter().filter_map(|(way, runs)| {
            let (run, peak) = self.result(way)?;
            let all: Vec<f64> = runs.iter().map(|it| it.seconds).collect();
            Some(json!({
                "way": way, "rows": run.rows, "seconds": run.seconds, "runs": all,
                "rows_per_second": run.per_second(), "peak_megabytes": peak,
                "linkspan_ratio": ours.map(|ours| ours.per_second() / run.per_second()),
            }))
        });
        let ways: Vec<Value> = ways.collect();
        json!({ "contest": self.name, "title": self.title, "ways": ways })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contest(ours: &[f64], theirs: &[f64]) -> Contest {
        let mut contest = Contest::new("c", "a contest").at_least("them", 2.0);
        for &seconds in ours {
            contest.add(OURS, Run { rows: 100, seconds, megabytes: Some(seconds) });
        }
        for &seconds in theirs {
            contest.add("them", Run { rows: 100, seconds, megabytes: None });
        }
        contest
    }

    #[test]
    fn medians_are_compared() {
        let contest = contest(&[1.0, 9.0, 2.0], &[6.0, 5.0, 1.0]);
        let figures = contest.figures();
        assert_eq!(figures.len(), 1);
        assert!((figures[0].measured - 2.5).abs() < 1e-9);
        assert!(figures[0].holds());
        assert_eq!(contest.rows()[0], ["a contest", "linkspan", "2.00", "50", "9"]);
        assert_eq!(contest.json()["ways"][1]["linkspan_ratio"], 2.5);
    }

    #[test]
    fn who_took_fewer_rows_is_compared_by_the_row() {
        let mut contest = contest(&[1.0], &[]);
        contest.add("them", Run { rows: 50, seconds: 1.0, megabytes: None });
        assert!((contest.figures()[0].measured - 2.0).abs() < 1e-9);
    }

    #[test]
    fn who_was_not_there_is_not_compared_with() {
        assert!(contest(&[1.0], &[]).figures().is_empty());
    }
}
