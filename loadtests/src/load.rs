//! Many writers at a constant rate. An open model: keys arrive when they are due, whether or not the service keeps up,
//! and latency counts from that instant, so that a stall is charged to every key it delayed (coordinated omission).

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::client::{Address, Connection};
use crate::report::{Answer, Report, Tally};

/// How long after the last key answers are still waited for.
const GRACE: Duration = Duration::from_secs(10);

/// Who types how much.
#[derive(Clone, Debug, clap::Args)]
pub struct Plan {
    /// Where the service listens
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Writers typing at the same time, each over a connection of its own
    #[arg(long, default_value_t = 50)]
    pub writers: u32,
    /// Keys a second of each writer; a fast typist makes 5 to 8
    #[arg(long, default_value_t = 5.0)]
    pub keys_per_second: f64,
    /// Seconds to measure
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// Seconds of typing before that, which are not counted
    #[arg(long, default_value_t = 3)]
    pub warmup: u64,
    /// Messages to type, a JSON object with a field `text` on each line; without it, two dozen that come along
    #[arg(long, value_name = "FILE.jsonl")]
    pub texts: Option<PathBuf>,
    /// Budget to ask for, in milliseconds; without it, the service's own
    #[arg(long)]
    pub budget_ms: Option<u32>,
}

impl Plan {
    fn check(&self) -> Result<()> {
        ensure!(self.writers > 0, "--writers: at least one has to type");
        ensure!(self.seconds > 0, "--seconds: there is nothing to measure in no time");
        ensure!(
            self.keys_per_second.is_finite() && self.keys_per_second > 0.0,
            "--keys-per-second: give a number above 0"
        );
        Ok(())
    }

    /// Time from one key to the next, of all writers together.
    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / (f64::from(self.writers) * self.keys_per_second))
    }
}

/// Lets the writers type `texts` as planned.
///
/// # Errors
/// When the plan makes no sense, or the service does not answer a first request.
pub async fn run(plan: &Plan, texts: &[String]) -> Result<Report> {
    plan.check()?;
    let address = Address::parse(&plan.url)?;
    reachable(&address).await?;

    let begin = Instant::now();
    let measured_from = begin + Duration::from_secs(plan.warmup);
    let end = measured_from + Duration::from_secs(plan.seconds);
    let mut keys = Vec::new();
    let mut typing = JoinSet::new();
    for number in 0..plan.writers as usize {
        let (sender, receiver) = unbounded_channel();
        keys.push(sender);
        let writer = Writer {
            connection: Connection::new(address.clone()),
            name: format!("load-{number}"),
            budget_ms: plan.budget_ms,
            drafts: Drafts::new(texts.to_vec(), number),
            measured_from,
            give_up: end + GRACE,
        };
        typing.spawn(writer.type_keys(receiver));
    }
    let interval = plan.interval();
    let pace = thread::spawn(move || press_keys(&keys, begin, end, interval));

    let mut tally = Tally::default();
    while let Some(done) = typing.join_next().await {
        tally.add(&done?);
    }
    // The pacing thread ended before its channels closed, and they closed before the writers returned.
    ensure!(pace.join().is_ok(), "the pacing thread panicked");
    Ok(Report::new(plan, tally))
}

/// Refuses to measure a service that is not there.
async fn reachable(address: &Address) -> Result<()> {
    let (status, body) = Connection::new(address.clone()).post("/v1/complete", &Key::default()).await?;
    ensure!(status.is_success(), "the service answered {status}: {}", String::from_utf8_lossy(&body));
    Ok(())
}

/// Hands each writer the instants at which their keys are due, evenly staggered, until `end`.
///
/// A thread of its own: the runtime's timers are a millisecond coarse, which would count as latency.
fn press_keys(writers: &[UnboundedSender<Instant>], begin: Instant, end: Instant, interval: Duration) {
    let mut due = begin;
    for writer in writers.iter().cycle() {
        if due >= end || writer.send(due).is_err() {
            return;
        }
        due += interval;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// The body of one `POST /v1/complete`.
#[derive(Debug, Default, Serialize)]
struct Key<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    writer: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    session: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_ms: Option<u32>,
}

struct Writer {
    connection: Connection,
    name: String,
    budget_ms: Option<u32>,
    drafts: Drafts,
    measured_from: Instant,
    give_up: Instant,
}

impl Writer {
    /// Types one character for each instant received; keys that pile up are sent as fast as answers come.
    async fn type_keys(mut self, mut keys: UnboundedReceiver<Instant>) -> Tally {
        let mut tally = Tally::default();
        while let Some(due) = keys.recv().await {
            let outcome = self.press().await;
            if due < self.measured_from {
                continue;
            }
            match outcome {
                Ok(answer) => tally.answered(due.elapsed(), &answer),
                Err(error) => tally.failed(error),
            }
        }
        tally
    }

    /// One key. An error is its short name for the report.
    async fn press(&mut self) -> Result<Answer, String> {
        let text = self.drafts.next();
        let left = self.give_up.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("given up".to_owned());
        }
        let key = Key { text, writer: &self.name, session: &self.name, budget_ms: self.budget_ms };
        let posted = tokio::time::timeout(left, self.connection.post("/v1/complete", &key)).await;
        let (status, body) = posted.map_err(|_| "given up")?.map_err(|_| "connection")?;
        if !status.is_success() {
            return Err(format!("status {}", status.as_u16()));
        }
        serde_json::from_slice(&body).map_err(|_| "unreadable answer".to_owned())
    }
}

/// The texts a writer's box holds, key after key, message after message, without end.
struct Drafts {
    texts: Vec<String>,
    /// Which message, and how many bytes of it are typed.
    message: usize,
    typed: usize,
}

impl Drafts {
    /// Writers start at different messages.
    fn new(texts: Vec<String>, writer: usize) -> Self {
        let message = writer % texts.len();
        Self { texts, message, typed: 0 }
    }

    fn next(&mut self) -> &str {
        if self.typed == self.texts[self.message].len() {
            self.message = (self.message + 1) % self.texts.len();
            self.typed = 0;
        }
        let text = &self.texts[self.message];
        self.typed += text[self.typed..].chars().next().map_or(0, char::len_utf8);
        &text[..self.typed]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_grow_by_a_character_and_go_on_with_the_next_message() {
        let mut drafts = Drafts::new(vec!["né".to_owned(), "b".to_owned()], 2);
        let seen: Vec<String> = (0..5).map(|_| drafts.next().to_owned()).collect();
        assert_eq!(seen, ["n", "né", "b", "n", "né"]);
    }

    #[test]
    fn keys_are_due_at_a_constant_rate_whatever_is_done_with_them() {
        let (first, mut first_keys) = unbounded_channel();
        let (second, mut second_keys) = unbounded_channel();
        let begin = Instant::now();
        let interval = Duration::from_micros(100);
        press_keys(&[first, second], begin, begin + 10 * interval, interval);
        let due = |keys: &mut UnboundedReceiver<Instant>| -> Vec<u128> {
            std::iter::from_fn(|| keys.try_recv().ok()).map(|due| (due - begin).as_micros()).collect()
        };
        assert_eq!(due(&mut first_keys), [0, 200, 400, 600, 800]);
        assert_eq!(due(&mut second_keys), [100, 300, 500, 700, 900]);
    }
}
