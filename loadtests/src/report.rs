//! What a load run measured, as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::load::Plan;

/// Longest latency told apart from longer ones, in microseconds.
const LONGEST_US: u64 = 120_000_000;

/// What this program reads of an answer of `POST /v1/complete`.
#[derive(Debug, Deserialize)]
pub struct Answer {
    suggestions: Vec<serde::de::IgnoredAny>,
    source: String,
    elapsed_ms: f64,
    budget_ms: f64,
    predictors: BTreeMap<String, String>,
}

/// Counts of one writer, or of several together.
#[derive(Debug)]
pub struct Tally {
    client_us: Histogram<u64>,
    server_us: Histogram<u64>,
    shown: u64,
    /// Answers whose own time exceeded the budget by more than a millisecond.
    late: u64,
    sources: BTreeMap<String, u64>,
    /// Predictor → status → answers, over the answers whose source is `models`.
    predictors: BTreeMap<String, BTreeMap<String, u64>>,
    errors: BTreeMap<String, u64>,
}

impl Default for Tally {
    fn default() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, LONGEST_US, 3)
                .expect("the bounds are constants within the allowed range")
        };
        Self {
            client_us: histogram(),
            server_us: histogram(),
            shown: 0,
            late: 0,
            sources: BTreeMap::new(),
            predictors: BTreeMap::new(),
            errors: BTreeMap::new(),
        }
    }
}

impl Tally {
    /// Counts an answer that was complete `latency` after its key was due.
    pub fn answered(&mut self, latency: Duration, answer: &Answer) {
        self.client_us.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        self.server_us.saturating_record((answer.elapsed_ms.max(0.0) * 1e3).round() as u64);
        self.shown += u64::from(!answer.suggestions.is_empty());
        self.late += u64::from(answer.elapsed_ms > answer.budget_ms + 1.0);
        *self.sources.entry(answer.source.clone()).or_default() += 1;
        if answer.source == "models" {
            for (predictor, status) in &answer.predictors {
                *self.predictors.entry(predictor.clone()).or_default().entry(status.clone()).or_default() +=
                    1;
            }
        }
    }

    /// Counts a key without an answer.
    pub fn failed(&mut self, error: String) {
        *self.errors.entry(error).or_default() += 1;
    }

    /// Adds another writer's counts.
    pub fn add(&mut self, other: &Self) {
        self.client_us += &other.client_us;
        self.server_us += &other.server_us;
        self.shown += other.shown;
        self.late += other.late;
        add_counts(&mut self.sources, &other.sources);
        add_counts(&mut self.errors, &other.errors);
        for (predictor, statuses) in &other.predictors {
            add_counts(self.predictors.entry(predictor.clone()).or_default(), statuses);
        }
    }
}

fn add_counts(to: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (name, count) in from {
        *to.entry(name.clone()).or_default() += count;
    }
}

/// Quantiles of a latency, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Half were at most this.
    pub p50: f64,
    /// Nine in ten.
    pub p90: f64,
    /// Ninety-nine in a hundred.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |us: u64| us as f64 / 1e3;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: ms(histogram.max()) }
    }
}

/// The result of a run. Shares are 0 to 1.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Writers that typed.
    pub writers: u32,
    /// Keys a second of each.
    pub keys_per_second: f64,
    /// Seconds measured.
    pub seconds: u64,
    /// Keys answered.
    pub answers: u64,
    /// Answers with a suggestion, as a share of answers.
    pub shown: f64,
    /// From the instant a key was due to its whole answer.
    pub client_ms: Latency,
    /// What the service says it took.
    pub server_ms: Latency,
    /// Answers more than a millisecond over their budget, by the service's own clock, as a share of answers.
    pub late: f64,
    /// Source → share of answers.
    pub sources: BTreeMap<String, f64>,
    /// Predictor → status → share of the answers whose source is `models`.
    pub predictors: BTreeMap<String, BTreeMap<String, f64>>,
    /// Keys without an answer, by what went wrong.
    pub errors: BTreeMap<String, u64>,
}

impl Report {
    /// Turns counts into figures.
    pub fn new(plan: &Plan, tally: Tally) -> Self {
        let answers = tally.client_us.len();
        let of_models = tally.sources.get("models").copied().unwrap_or(0);
        Self {
            writers: plan.writers,
            keys_per_second: plan.keys_per_second,
            seconds: plan.seconds,
            answers,
            shown: share(tally.shown, answers),
            client_ms: Latency::of(&tally.client_us),
            server_ms: Latency::of(&tally.server_us),
            late: share(tally.late, answers),
            sources: shares(&tally.sources, answers),
            predictors: tally
                .predictors
                .iter()
                .map(|(predictor, statuses)| (predictor.clone(), shares(statuses, of_models)))
                .collect(),
            errors: tally.errors,
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn shares(counts: &BTreeMap<String, u64>, whole: u64) -> BTreeMap<String, f64> {
    counts.iter().map(|(name, &count)| (name.clone(), share(count, whole))).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} writers, {} keys a second each, {} s: {} answers ({:.1} a second)\n",
            self.writers,
            self.keys_per_second,
            self.seconds,
            self.answers,
            self.answers as f64 / self.seconds as f64
        )?;
        writeln!(f, "{:<24}{:>9}{:>9}{:>9}{:>9}", "milliseconds", "p50", "p90", "p99", "max")?;
        for (name, Latency { p50, p90, p99, max }) in
            [("client, from due", self.client_ms), ("server, elapsed", self.server_ms)]
        {
            writeln!(f, "{name:<24}{p50:>9.2}{p90:>9.2}{p99:>9.2}{max:>9.2}")?;
        }
        writeln!(f, "\n{:<24}{}", "with a suggestion", percent(self.shown))?;
        writeln!(f, "{:<24}{}", "over budget + 1 ms", percent(self.late))?;
        writeln!(f, "{:<24}{}", "source", listed(&self.sources))?;
        for (predictor, statuses) in &self.predictors {
            writeln!(f, "{predictor:<24}{}", listed(statuses))?;
        }
        if self.errors.is_empty() {
            return writeln!(f, "{:<24}none", "errors");
        }
        let errors: Vec<String> =
            self.errors.iter().map(|(error, count)| format!("{error} {count}")).collect();
        writeln!(f, "{:<24}{}", "errors", errors.join(", "))
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn listed(shares: &BTreeMap<String, f64>) -> String {
    shares.iter().map(|(name, &share)| format!("{name} {}", percent(share))).collect::<Vec<_>>().join(", ")
}
