//! What a run of writers measured, as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::crowd::{Over, Plan};
use crate::process::{self, Usage};
use crate::tally::{IN_AN_OPEN_DRAFT, Tally, Typed};

/// Quantiles of a latency, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Half were at most this.
    pub p50: f64,
    /// Nine in ten.
    pub p90: f64,
    /// Ninety-nine in a hundred.
    pub p99: f64,
    /// All but one in a thousand.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |us: u64| us as f64 / 1e3;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: ms(histogram.max()) }
    }
}

/// What the messages were worth that were typed from first to last key while it counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Saved {
    /// How many.
    pub messages: usize,
    /// Their characters.
    pub characters: usize,
    /// Keystroke savings rate: 1 − keystrokes / characters.
    pub ksr: f64,
    /// Its 95 % interval, messages resampled.
    pub ci95: [f64; 2],
    /// The same with what reading costs.
    pub net: f64,
    /// Positions with a suggestion.
    pub coverage: f64,
    /// New suggestions that would have saved a key.
    pub precision: f64,
}

/// One second of a run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Second {
    /// Which, from 0.
    pub second: usize,
    /// Keys due in it that were answered or overtaken.
    pub keys: u64,
    /// Their median, milliseconds.
    pub p50: f64,
    /// What one in a hundred of them exceeds.
    pub p99: f64,
}

/// What a process took while it counted.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Process {
    /// Cores kept busy.
    pub cores: f64,
    /// Resident memory when it began to count.
    pub resident_mib_first: f64,
    /// The most.
    pub resident_mib_most: f64,
    /// The most files and sockets open.
    pub descriptors_most: usize,
    /// Second, resident MiB, descriptors.
    pub over_time: Vec<(f64, f64, usize)>,
}

/// A process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    /// When the measuring begins.
    pub(crate) from: Instant,
    pub(crate) usage: Usage,
}

/// Processes over a run.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) service: Vec<Sample>,
    pub(crate) typists: Vec<Sample>,
    pub(crate) interrupted: bool,
    pub(crate) machine_load: Option<f64>,
}

impl Process {
    /// `None`: nothing is known of it.
    fn of(samples: &[Sample]) -> Option<Self> {
        let counted: Vec<_> = samples.iter().filter(|sample| sample.at >= sample.from).collect();
        let (first, last) = (counted.first()?, counted.last()?);
        let second = |sample: &Sample| (sample.at - sample.from).as_secs_f64();
        Some(Self {
            cores: process::cores((first.at, first.usage), (last.at, last.usage)),
            resident_mib_first: first.usage.resident_mib,
            resident_mib_most: counted.iter().map(|sample| sample.usage.resident_mib).fold(0.0, f64::max),
            descriptors_most: counted.iter().map(|sample| sample.usage.descriptors).max().unwrap_or(0),
            over_time: counted
                .iter()
                .map(|sample| (second(sample), sample.usage.resident_mib, sample.usage.descriptors))
                .collect(),
        })
    }
}

/// The result of a run. Shares are 0 to 1.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Writers that typed.
    pub writers: u32,
    /// How.
    pub over: Over,
    /// Keys a second of each while nothing is suggested.
    pub keys_per_second: f64,
    /// What rhythm and slips followed from.
    pub seed: u64,
    /// Seconds measured.
    pub seconds: f64,
    /// Whether somebody ended it early.
    pub interrupted: bool,
    /// Drafts asked about.
    pub drafts: u64,
    /// Whole answers.
    pub answers: u64,
    /// Answers of the fast tier before a whole one.
    pub early: u64,
    /// Drafts whose whole answer had not come at the next key.
    pub overtaken: u64,
    /// Answers more than a millisecond over their budget, by the service's own clock.
    pub late: u64,
    /// Answers with a suggestion, as a share of answers.
    pub shown: f64,
    /// Answers that were the rest of the one before, as a share of answers.
    pub typed_through: f64,
    /// Predictor → status → share of the other answers.
    pub predictors: BTreeMap<String, BTreeMap<String, f64>>,
    /// Wrong keys, each taken back.
    pub slips: u64,
    /// What was refused or broke, by what went wrong.
    pub errors: BTreeMap<String, u64>,
    /// Of these, with status 503.
    pub unavailable: u64,
    /// Of those, in drafts that had been answered before.
    pub unavailable_open: u64,
    /// Keys that nothing was asked at, because the service had said to come back later.
    pub waited: u64,
    /// What it was worth.
    pub saved: Saved,
    /// From when a key was due to its whole answer; of overtaken ones as long as they were waited for.
    pub client_ms: Latency,
    /// The same to the first answer, whole or not.
    pub first_ms: Latency,
    /// What the service says a whole answer took.
    pub server_ms: Latency,
    /// The first latency by second.
    pub over_time: Vec<Second>,
    /// What the service took, if its process is known.
    pub service: Option<Process>,
    /// What this program took.
    pub typists: Option<Process>,
    /// Runnable tasks of the machine, the mean of the last minute.
    pub machine_load: Option<f64>,
    /// The messages of `saved`.
    #[serde(skip)]
    pub(crate) typed: Vec<Typed>,
}

impl Report {
    /// Turns counts into figures.
    pub(crate) fn new(plan: &Plan, seconds: f64, tally: &Tally, samples: &Samples) -> Self {
        let figures = tally.score.figures();
        let errors =
            |of: fn(&str) -> bool| tally.errors.iter().filter(|(why, _)| of(why)).map(|(_, n)| n).sum();
        let shares = |counts: &BTreeMap<String, u64>| {
            let all = tally.answers - tally.typed_through;
            counts.iter().map(|(status, count)| (status.clone(), share(*count, all))).collect()
        };
        Self {
            writers: plan.writers,
            over: plan.over,
            keys_per_second: plan.keys_per_second,
            seed: plan.seed,
            seconds,
            interrupted: samples.interrupted,
            drafts: tally.asked,
            answers: tally.answers,
            early: tally.early,
            overtaken: tally.overtaken,
            late: tally.late,
            shown: share(tally.shown, tally.answers),
            typed_through: share(tally.typed_through, tally.answers),
            predictors: tally.predictors.iter().map(|(who, counts)| (who.clone(), shares(counts))).collect(),
            slips: tally.slips,
            errors: tally.errors.clone(),
            unavailable: errors(|why| why.starts_with("503")),
            unavailable_open: errors(|why| why.ends_with(IN_AN_OPEN_DRAFT)),
            waited: tally.waited,
            saved: Saved {
                messages: tally.typed.len(),
                characters: figures.characters,
                ksr: figures.ksr,
                ci95: figures.ci95,
                net: figures.net,
                coverage: figures.coverage,
                precision: figures.precision,
            },
            client_ms: Latency::of(&tally.whole_us),
            first_ms: Latency::of(&tally.first_us),
            server_ms: Latency::of(&tally.server_us),
            over_time: tally.whole_by_second.iter().enumerate().map(second).collect(),
            service: Process::of(&samples.service),
            typists: Process::of(&samples.typists),
            machine_load: samples.machine_load,
            typed: tally.typed.clone(),
        }
    }

    /// The share of answers from models that the GPT-2 was used in.
    pub fn gpt2_used(&self) -> f64 {
        self.predictors.get("gpt2").and_then(|statuses| statuses.get("used")).copied().unwrap_or(0.0)
    }

    /// Answers that came later than their budget and a millisecond.
    pub fn late_share(&self) -> f64 {
        share(self.late, self.answers)
    }
}

fn second((second, latencies): (usize, &Histogram<u64>)) -> Second {
    let Latency { p50, p99, .. } = Latency::of(latencies);
    Second { second, keys: latencies.len(), p50, p99 }
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = match self.over {
            Over::Rest => "POST /v1/complete",
            Over::Stream => "GET /v1/stream",
        };
        writeln!(
            f,
            "{} writers over {over}, {:.0} s{}: {} drafts asked about, {:.1} a second\n",
            self.writers,
            self.seconds,
            if self.interrupted { ", interrupted" } else { "" },
            self.drafts,
            self.drafts as f64 / self.seconds.max(1e-9)
        )?;
        write!(f, "{:<30}", "milliseconds")?;
        ["p50", "p90", "p99", "p99.9", "max"].iter().try_for_each(|name| write!(f, "{name:>9}"))?;
        writeln!(f)?;
        let latencies = [
            ("key due → first answer", self.first_ms),
            ("key due → whole answer", self.client_ms),
            ("service, elapsed", self.server_ms),
        ];
        for (name, Latency { p50, p90, p99, p999, max }) in latencies {
            writeln!(f, "{name:<30}{p50:>9.2}{p90:>9.2}{p99:>9.2}{p999:>9.2}{max:>9.2}")?;
        }
        writeln!(f)?;
        let mut line = |name: &str, what: String| writeln!(f, "{name:<30}{what}");
        let of_answers = |count| format!("{count} ({})", percent(share(count, self.answers)));
        let of_drafts = |count| format!("{count} ({})", percent(share(count, self.drafts)));
        line("whole answers", of_drafts(self.answers))?;
        line("fast tier first", of_answers(self.early))?;
        line("later than budget + 1 ms", of_answers(self.late))?;
        line("not there at the next key", of_drafts(self.overtaken))?;
        line("with a suggestion", percent(self.shown))?;
        line("typed through", percent(self.typed_through))?;
        for (predictor, statuses) in &self.predictors {
            let listed: Vec<_> =
                statuses.iter().map(|(status, share)| format!("{status} {}", percent(*share))).collect();
            line(&format!("otherwise, {predictor}"), listed.join(", "))?;
        }
        let errors: Vec<_> = self.errors.iter().map(|(why, count)| format!("{why}: {count}")).collect();
        line("errors", if errors.is_empty() { "none".to_owned() } else { errors.join(", ") })?;
        line("keys while told to wait", self.waited.to_string())?;
        line("wrong keys taken back", self.slips.to_string())?;
        let Saved { messages, characters, ksr, ci95: [low, high], net, coverage, precision } = self.saved;
        line("messages typed", format!("{messages} of {characters} characters"))?;
        line("KSR", format!("{ksr:.3} ({low:.3} to {high:.3})"))?;
        line("net", format!("{net:.3}"))?;
        line("coverage, precision", format!("{coverage:.2}, {precision:.3}"))?;
        if let Some(service) = &self.service {
            let (first, most) = (service.resident_mib_first, service.resident_mib_most);
            line("service, resident MiB", format!("{first:.0} at first, {most:.0} at most"))?;
            line("service, descriptors", format!("{} at most", service.descriptors_most))?;
            line("service, cores", format!("{:.2}", service.cores))?;
        }
        if let Some(typists) = &self.typists {
            line("this program, cores", format!("{:.2}", typists.cores))?;
        }
        if let Some(load) = self.machine_load {
            line("load of the machine", format!("{load:.1}"))?;
        }
        Ok(())
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}
