//! Capacity: how many writers a service takes before its suggestions are worth noticeably less.
//!
//! Every message is typed alone first, with the longest budget and every answer waited for. A step of so many writers is held
//! against what just its own messages were worth then: which of them were typed does not count, only what came too late. Writers
//! are doubled until they are too many, then the range is halved. Each step is taken twice and its mean counts.

use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::corpus::Stream;
use crate::crowd::{self, Plan};
use crate::report::Report;
use crate::tally::Typed;

/// The longest budget the service takes, milliseconds: alone, nothing is late however busy the machine is.
const UNHURRIED: f64 = 1_000.0;

/// Seconds a step takes by default.
const STEP: u64 = 30;

/// How often each is taken, as the machine may be at something else: the mean counts.
const TRIES: u32 = 2;

/// What is looked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Search {
    /// Find the highest number of writers at which net is at most --loss points below that of one alone who has all the time there is;
    /// the search begins with --writers
    #[arg(long)]
    pub capacity: bool,
    /// Points of net that a load may take
    #[arg(long, default_value_t = 2.0, value_name = "POINTS", requires = "capacity")]
    pub loss: f64,
    /// No more writers than this
    #[arg(long, default_value_t = 2_000, value_name = "COUNT", requires = "capacity")]
    pub most: u32,
    /// Messages that are typed; each is typed alone first
    #[arg(long, default_value_t = 150, value_name = "COUNT", requires = "capacity")]
    pub messages: usize,
}

/// One step.
#[derive(Debug, Serialize)]
pub struct Step {
    /// Net of its messages typed alone.
    pub alone: f64,
    /// Points of net that the load took.
    pub loss: f64,
    /// Everything else.
    #[serde(flatten)]
    pub report: Report,
}

/// What the search found.
#[derive(Debug, Serialize)]
pub struct Capacity {
    /// The highest number of writers that was measured to fit; 0: none did.
    pub writers: u32,
    /// Points that could be lost.
    pub allowed: f64,
    /// Every message typed alone.
    pub alone: Report,
    /// In the order they were taken.
    pub steps: Vec<Step>,
}

/// Looks for it.
///
/// # Errors
/// When the search or the plan makes no sense, or the service does not answer.
pub async fn find(plan: &Plan, search: &Search, streams: &[Stream]) -> Result<Capacity> {
    ensure!(search.loss > 0.0, "--loss {}: give points above 0", search.loss);
    ensure!(search.most >= plan.writers, "--most {}: not below --writers {}", search.most, plan.writers);
    ensure!(!plan.patient, "--patient: who waits for every answer loses nothing by load");
    let streams = first(streams, plan.limit, search.messages);
    say(format_args!("typing all messages alone"))?;
    let unhurried = Plan { patient: true, writers: 1, budget_ms: Some(UNHURRIED), ..plan.clone() };
    let alone = crowd::run(&unhurried, streams).await?;
    ensure!(!alone.interrupted, "interrupted before there was anything to compare with");
    let worth: HashMap<_, _> = alone.typed.iter().map(|typed| (typed.message, *typed)).collect();
    say(format_args!("net {:.3}", alone.saved.net))?;
    let mut steps = Vec::new();
    let mut climb = Climb::new(plan.writers, search.most);
    'climb: while let Some(writers) = climb.next() {
        let plan = Plan { writers, seconds: plan.seconds.or(Some(STEP)), ..plan.clone() };
        let mut losses = 0.0;
        for _ in 0..TRIES {
            let report = crowd::run(&plan, streams).await?;
            if report.interrupted {
                break 'climb;
            }
            let (alone, loss) = lost(&report.typed, &worth);
            say(format_args!(
                "{writers} writers: {loss:.1} points lost, p99 {:.1} ms, GPT-2 in {:.0} %",
                report.client_ms.p99,
                100.0 * report.gpt2_used()
            ))?;
            steps.push(Step { alone, loss, report });
            losses += loss;
        }
        climb.tried(writers, losses / f64::from(TRIES) <= search.loss);
    }
    Ok(Capacity { writers: climb.fits, allowed: search.loss, alone, steps })
}

/// The first streams, with `messages` messages at least if there are so many.
fn first(streams: &[Stream], limit: Option<usize>, messages: usize) -> &[Stream] {
    let mut sum = 0;
    let enough = streams.iter().position(|stream| {
        sum += stream.measured(limit).len();
        sum >= messages
    });
    &streams[..enough.map_or(streams.len(), |last| last + 1)]
}

/// Net of these messages when typed alone, and how many points less they were worth.
fn lost(typed: &[Typed], worth: &HashMap<(usize, usize), Typed>) -> (f64, f64) {
    let (mut characters, mut loaded, mut alone) = (0, 0.0, 0.0);
    for typed in typed {
        // One that was not answered in time even alone has no match.
        if let Some(before) = worth.get(&typed.message) {
            characters += typed.characters;
            loaded += typed.cost;
            alone += before.cost;
        }
    }
    let characters = characters.max(1) as f64;
    (1.0 - alone / characters, 100.0 * (loaded - alone) / characters)
}

fn say(what: fmt::Arguments<'_>) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "{what}")?)
}

/// Doubles while it fits, then halves the range down to a tenth.
#[derive(Debug)]
struct Climb {
    /// The highest that fits.
    fits: u32,
    /// The lowest that does not.
    fails: Option<u32>,
    first: u32,
    most: u32,
}

impl Climb {
    fn new(first: u32, most: u32) -> Self {
        Self { fits: 0, fails: None, first, most }
    }

    /// What to try; `None`: it is found.
    fn next(&self) -> Option<u32> {
        match self.fails {
            None if self.fits == 0 => Some(self.first),
            None => (self.fits < self.most).then(|| (2 * self.fits).min(self.most)),
            Some(fails) => {
                let range = fails - self.fits;
                (range > 1.max(fails / 10)).then(|| self.fits + range / 2)
            }
        }
    }

    fn tried(&mut self, writers: u32, fits: bool) {
        if fits {
            self.fits = writers;
        } else {
            self.fails = Some(writers);
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| writers | drafts/s | net | alone | points lost | GPT-2 used | late | overtaken | errors | whole answer p50 / p99, ms | \
             service p50 / p99, ms | resident MiB | cores | machine load |\n|{}",
            "---|".repeat(14)
        )?;
        for Step { alone, loss, report } in &self.steps {
            let Report { writers, saved, client_ms, server_ms, service, .. } = report;
            let of = |count: u64, all: u64| 100.0 * count as f64 / all.max(1) as f64;
            write!(
                f,
                "| {writers} | {:.0} | {:.3} | {alone:.3} | {loss:.1} | {:.1} % | {:.2} % | {:.2} % | {} | {:.1} / {:.1} | \
                 {:.1} / {:.1} |",
                report.drafts as f64 / report.seconds.max(1e-9),
                saved.net,
                100.0 * report.gpt2_used(),
                100.0 * report.late_share(),
                of(report.overtaken, report.drafts),
                report.errors.values().sum::<u64>(),
                client_ms.p50,
                client_ms.p99,
                server_ms.p50,
                server_ms.p99,
            )?;
            let service = service.as_ref();
            let resident =
                service.map_or("–".to_owned(), |service| format!("{:.0}", service.resident_mib_most));
            let cores = service.map_or("–".to_owned(), |service| format!("{:.2}", service.cores));
            let load = report.machine_load.map_or("–".to_owned(), |load| format!("{load:.1}"));
            writeln!(f, " {resident} | {cores} | {load} |")?;
        }
        writeln!(f, "\nCapacity: {} writers at {} points of net lost", self.writers, self.allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found when as many as `true_capacity` fit, and in how many steps.
    fn climb(first: u32, most: u32, true_capacity: u32) -> (u32, u32) {
        let (mut climb, mut steps) = (Climb::new(first, most), 0);
        while let Some(writers) = climb.next() {
            climb.tried(writers, writers <= true_capacity);
            steps += 1;
        }
        (climb.fits, steps)
    }

    #[test]
    fn the_search_ends_within_a_tenth_below() {
        for capacity in [1, 7, 50, 99, 100, 311, 1_999] {
            let (found, steps) = climb(50, 2_000, capacity);
            let least = f64::from(capacity) * 0.88 - 1.0;
            assert!(found <= capacity && f64::from(found) >= least, "{found} for {capacity}");
            assert!(steps <= 14, "{steps} steps to {capacity}");
        }
        assert_eq!(climb(50, 2_000, 0).0, 0);
        assert_eq!(climb(50, 300, 5_000), (300, 4), "50, 100, 200, 300");
        assert_eq!(climb(1, 1, 1), (1, 1));
    }

    #[test]
    fn only_the_messages_that_were_typed_are_compared() {
        let typed = |message, cost| Typed { message, characters: 100, cost };
        let worth: HashMap<_, _> = [typed((0, 0), 40.0), typed((0, 1), 90.0), typed((1, 0), 10.0)]
            .into_iter()
            .map(|typed| (typed.message, typed))
            .collect();
        // One twice as it was, one for 6 keys more.
        let (alone, loss) = lost(&[typed((0, 0), 40.0), typed((0, 0), 40.0), typed((0, 1), 96.0)], &worth);
        assert!((alone - (1.0 - 170.0 / 300.0)).abs() < 1e-12, "{alone}");
        assert!((loss - 2.0).abs() < 1e-12, "{loss}");
        let unknown = lost(&[typed((7, 7), 50.0)], &worth);
        assert!(unknown.1.abs() < 1e-12);
    }

    #[test]
    fn so_many_streams_are_typed_that_there_are_enough_messages() {
        let streams = crate::corpus::interleaved::<&str>(&[]).expect("built in");
        assert_eq!(first(&streams, None, 5).len(), 5);
        assert_eq!(first(&streams, None, 1_000).len(), streams.len());
    }
}
