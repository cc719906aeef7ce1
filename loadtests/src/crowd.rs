//! Many writers typing real messages at the rhythm of people. An open model: keys arrive when they are due, whether or not the
//! service keeps up, and latency counts from that instant (coordinated omission).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use hyper::StatusCode;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::client::{Address, Connection};
use crate::corpus::Stream;
use crate::line::{self, Line};
use crate::pacer::Pacer;
use crate::process;
use crate::report::{Report, Sample, Samples};
use crate::rhythm::{Hands, Tempo};
use crate::tally::{Tally, Window};
use crate::typist::{Habits, Policy};
use crate::writer::{Common, Writer};

/// Writers begin within so long, so that they do not press keys together.
const ARRIVAL: Duration = Duration::from_secs(2);

/// Until the first of them: all are there by then.
const READY: Duration = Duration::from_millis(200);

/// A run without rhythm ends when all is typed; this is longer than any.
const NO_END: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How keystrokes reach the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// `POST /v1/complete` a keystroke
    Rest,
    /// A WebSocket of `/v1/stream` a writer
    Stream,
}

/// Who types how.
#[derive(Clone, Debug, clap::Args)]
pub struct Plan {
    /// Where the service listens
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// An API key with the scopes to complete and learn, where the service wants one
    #[arg(long, env = "FORETYPE_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// How keystrokes reach it
    #[arg(long, value_enum, default_value_t = Over::Stream)]
    pub over: Over,
    /// Writers typing at the same time
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    pub writers: u32,
    /// Keys a second of each while nothing is suggested, pauses included; a fast typist makes 5 to 8
    #[arg(long, default_value_t = 5.0, value_name = "KEYS")]
    pub keys_per_second: f64,
    /// Seconds to measure. Default: 60, and 30 for each step of --capacity
    #[arg(long = "for", value_name = "SECONDS")]
    pub seconds: Option<u64>,
    /// Seconds of typing before that, which are not counted
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    pub warm_up: u64,
    /// Rhythm, wrong keys and who types what follow from it
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Share of letters at which a wrong key is pressed, seen and taken back
    #[arg(long, default_value_t = 0.02, value_name = "SHARE")]
    pub slips: f64,
    /// How many suggestions a writer reads: 1 is ghost text, 3 a list
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10))]
    pub k: u16,
    /// The share of positions at which a writer looks up
    #[arg(long, default_value_t = 0.8, value_name = "SHARE")]
    pub attention: f64,
    /// Budget to ask for, 1 to 1000. Default: the service's
    #[arg(long, value_name = "MS")]
    pub budget_ms: Option<f64>,
    /// Show what is at least this likely. Default: the service's threshold
    #[arg(long, value_name = "P")]
    pub min_confidence: Option<f32>,
    /// Characters of each writer's history that are taught before, the newest
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub taught: usize,
    /// Messages of each stream. Default: all
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Nobody is named and nothing is taught
    #[arg(long)]
    pub no_personal: bool,
    /// Outcomes are not told
    #[arg(long)]
    pub no_feedback: bool,
    /// Wait for every answer, keep no rhythm and type each stream once: a closed model, to compare with `quality`
    #[arg(long)]
    pub patient: bool,
    /// The service's process, whose memory, descriptors and time are told. Default: the one that listens on --url's port
    #[arg(long)]
    pub pid: Option<u32>,
}

impl Plan {
    fn check(&self) -> Result<Address> {
        let share = |name: &str, value: f64| {
            ensure!((0.0..=1.0).contains(&value), "--{name} {value}: give a share from 0 to 1");
            Ok(())
        };
        ensure!(self.writers > 0, "--writers 0: at least one has to type");
        ensure!(self.limit != Some(0), "--limit 0: there would be nothing to type");
        ensure!(self.seconds != Some(0), "--for 0: there is nothing to measure in no time");
        ensure!(
            self.keys_per_second > 0.0 && self.keys_per_second <= 50.0,
            "--keys-per-second {}: give a number above 0, of a person, 50 at most",
            self.keys_per_second
        );
        share("slips", self.slips)?;
        share("attention", self.attention)?;
        if let Some(budget) = self.budget_ms {
            ensure!((1.0..=1_000.0).contains(&budget), "--budget-ms {budget}: give 1 to 1000");
        }
        share("min-confidence", self.min_confidence.map_or(0.0, f64::from))?;
        let address = Address::parse(&self.url)?;
        match &self.key {
            Some(key) => address.with_key(key).context("--key"),
            None => Ok(address),
        }
    }

    fn habits(&self) -> Habits {
        Habits { k: usize::from(self.k), policy: Policy::Partial, min_saving: 1, attention: self.attention }
    }
}

/// Lets the writers type `streams` as planned.
///
/// # Errors
/// When the plan makes no sense, the service does not answer a first request, or it does not take a writer's history.
pub async fn run(plan: &Plan, streams: &[Stream]) -> Result<Report> {
    let address = plan.check()?;
    reachable(&address).await?;
    match plan.over {
        Over::Rest => type_over(plan, streams, &address, line::Rest::new).await,
        Over::Stream => type_over(plan, streams, &address, line::Stream::new).await,
    }
}

async fn type_over<L: Line + 'static>(
    plan: &Plan,
    streams: &[Stream],
    address: &Address,
    line: impl Fn(Address) -> L,
) -> Result<Report> {
    let measured = streams.iter().flat_map(|stream| stream.measured(plan.limit));
    let tempo = Tempo::new(plan.keys_per_second, measured.map(|message| message.text.as_str()));
    let common = Arc::new(common(plan, streams));
    let pacer = Pacer::start().context("a thread for the pace")?;
    let make = |number: usize| {
        let hands = Hands::new(tempo, plan.seed, number as u64);
        Writer::new(number, Arc::clone(&common), line(address.clone()), pacer.pace(), hands)
    };
    let writers = prepared((0..plan.writers as usize).map(make)).await?;

    let begin = Instant::now() + READY;
    let from = begin + Duration::from_secs(if plan.patient { 0 } else { plan.warm_up });
    let until = from + plan.seconds.filter(|_| !plan.patient).map_or(NO_END, Duration::from_secs);
    common.tally().window = Window { from, until };
    let mut typing = JoinSet::new();
    for writer in writers {
        typing.spawn(writer.work(begin, if plan.patient { Duration::ZERO } else { ARRIVAL }, until));
    }
    let samples = watch(plan, address, &common, &mut typing).await?;
    let seconds = until.min(Instant::now()).saturating_duration_since(from).as_secs_f64();
    let report = Report::new(plan, seconds, &common.tally(), &samples);
    Ok(report)
}

fn common(plan: &Plan, streams: &[Stream]) -> Common {
    // Nobody of a run before is met again.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let run = format!("{:x}", since.as_millis());
    let now = Instant::now();
    Common {
        streams: streams.to_vec(),
        writers: plan.writers as usize,
        limit: plan.limit,
        taught: Some(plan.taught),
        name: (!plan.no_personal).then(|| format!("typist-{run}")),
        run,
        habits: plan.habits(),
        slips: if plan.patient { 0.0 } else { plan.slips },
        feedback: !plan.no_feedback,
        budget_ms: plan.budget_ms,
        min_confidence: plan.min_confidence,
        patient: plan.patient,
        tally: Mutex::new(Tally::new(Window { from: now, until: now })),
    }
}

/// Refuses to measure a service that is not there.
async fn reachable(address: &Address) -> Result<()> {
    let asked = Connection::new(address.clone()).post("/v1/complete", b"{\"text\":\"\"}".to_vec()).await;
    let (status, body) = asked.with_context(|| {
        let authority = address.authority();
        format!(
            "nothing answers at http://{authority}: start `foretype serve`, or say where it is with --url"
        )
    })?;
    let said = String::from_utf8_lossy(&body);
    ensure!(status != StatusCode::UNAUTHORIZED, "the service wants an API key: give one with --key ({said})");
    ensure!(status.is_success(), "the service answered {status}: {said}");
    Ok(())
}

/// Teaches all of them.
async fn prepared<L: Line + 'static>(writers: impl Iterator<Item = Writer<L>>) -> Result<Vec<Writer<L>>> {
    let mut preparing: JoinSet<Result<Writer<L>>> = JoinSet::new();
    for mut writer in writers {
        preparing.spawn(async move {
            writer.prepare().await?;
            Ok(writer)
        });
    }
    let mut prepared = Vec::new();
    while let Some(writer) = preparing.join_next().await {
        prepared.push(writer??);
    }
    Ok(prepared)
}

/// Until all are done or it is interrupted, when what was measured by then counts: what the service takes, once a second, and how
/// far it is.
async fn watch(
    plan: &Plan,
    address: &Address,
    common: &Common,
    typing: &mut JoinSet<Result<()>>,
) -> Result<Samples> {
    let pid = plan.pid.or_else(|| address.local_port().and_then(process::listening_on));
    if let Some(pid) = plan.pid {
        ensure!(process::usage(pid).is_some(), "--pid {pid}: there is no such process, or it is another's");
    }
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {elapsed}  {msg}")?;
    let expected = plan.warm_up + plan.seconds.unwrap_or_default();
    let bar = if plan.patient { ProgressBar::new_spinner() } else { ProgressBar::new(expected) };
    let bar = bar.with_style(style).with_prefix(format!("{} writers", plan.writers));
    let mut samples = Samples::default();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            _ = &mut interrupted => {
                typing.shutdown().await;
                samples.interrupted = true;
                break;
            }
            done = typing.join_next() => match done {
                Some(done) => done??,
                None => break,
            },
            _ = second.tick() => {
                let tally = common.tally();
                bar.set_message(format!("{} answers, {} messages", tally.answers, tally.typed.len()));
                let from = tally.window.from;
                drop(tally);
                bar.inc(1);
                if let Some(usage) = pid.and_then(process::usage) {
                    samples.service.push(Sample { at: Instant::now(), from, usage });
                }
                if let Some(usage) = process::usage(std::process::id()) {
                    samples.typists.push(Sample { at: Instant::now(), from, usage });
                }
                samples.machine_load = process::machine_load().or(samples.machine_load);
            }
        }
    }
    bar.finish_and_clear();
    Ok(samples)
}
