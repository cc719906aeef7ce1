//! What operators see at `/metrics`. Never labelled by writer: that would be both personal and unbounded.
//!
//! Each metric is declared once, in the file of its group; what counts it and deploy/METRICS.md come from that.

mod answers;
mod family;
mod labels;
mod learning;
mod neural;
mod now;
mod process;
mod reference;
mod traffic;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{Encoder, Registry, TextEncoder};

pub use family::{Family, Kind, Label, Unit, Values};
pub use now::Now;
pub(crate) use process::Usage;
pub use reference::{GROUPS, Group, json, markdown, run};

use self::answers::Answers;
use self::family::family;
use self::labels::{HELD_OUT, UNASKED};
use self::learning::Learning;
use self::neural::Neural;
use self::process::Process;
use self::traffic::Traffic;
use crate::engine::{Completion, Outcome, Silence, Status};

/// Upper bounds in seconds, from 50 µs: close together around the targets, 300 µs to 1 ms and 4 to 20 ms.
const LATENCY: &[f64] = &[
    50e-6, 100e-6, 200e-6, 300e-6, 500e-6, 750e-6, 1e-3, 1.5e-3, 2.5e-3, 4e-3, 6e-3, 10e-3, 15e-3, 20e-3,
    21e-3, 50e-3, 200e-3, 1.0,
];

/// A time on the path of a keystroke.
const fn seconds(name: &'static str, help: &'static str) -> Family {
    family(name, Unit::Seconds, help).buckets(LATENCY)
}

/// Why a request was told to come back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// A new draft, while threads that answer were busy.
    Drafts,
    /// A new connection, while they had no time left even to say so.
    Connections,
    /// Too many requests at once.
    Requests,
    /// Too many WebSockets.
    Streams,
    /// Too many imports at once.
    Imports,
}

impl Turned {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Drafts, Self::Connections, Self::Requests, Self::Streams, Self::Imports];

    /// The name metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drafts => "drafts",
            Self::Connections => "connections",
            Self::Requests => "requests",
            Self::Streams => "streams",
            Self::Imports => "imports",
        }
    }
}

/// What a thread is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// Owns a GPT-2.
    Inference,
    /// Writes to the store.
    Store,
    /// Answers, or does what answers wait for.
    Service,
}

impl Thread {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Inference, Self::Store, Self::Service];

    /// The thread of that name, as the system knows it.
    pub fn of(name: &str) -> Self {
        match name {
            "store" => Self::Store,
            name if name.starts_with("inference-") => Self::Inference,
            _ => Self::Service,
        }
    }

    /// The name metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Store => "store",
            Self::Service => "service",
        }
    }
}

/// Created once, in `main`.
pub struct Metrics {
    registry: Registry,
    answers: Answers,
    neural: Neural,
    learning: Learning,
    traffic: Traffic,
    process: Process,
    /// Held by the one scrape that takes over what others count.
    looking: Mutex<()>,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let process = Process::register(&registry);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        process.started.set(now.as_secs_f64());
        Self {
            answers: Answers::register(&registry),
            neural: Neural::register(&registry),
            learning: Learning::register(&registry),
            traffic: Traffic::register(&registry),
            process,
            registry,
            looking: Mutex::default(),
        }
    }
}

impl Metrics {
    /// This release serves with these models and this budget.
    pub fn serves(&self, bundle: &str, budget: Duration) {
        self.process.build.with_label_values(&[env!("CARGO_PKG_VERSION"), bundle]).set(1.0);
        self.process.budget.set(budget.as_secs_f64());
    }

    /// The first answer can be given so long after the start.
    pub fn started(&self, took: Duration) {
        self.process.start_took.set(took.as_secs_f64());
    }

    /// A route that may answer with this status: there from the start.
    pub fn expect_request(&self, route: &str, status: &str) {
        self.traffic.requests.with_label_values(&[route, status]);
    }

    /// A request was answered. `route` is the pattern, never the path: that holds a writer's name.
    pub fn requested(&self, route: &str, status: u16) {
        self.traffic.requests.with_label_values(&[route, &status.to_string()]).inc();
    }

    /// A keystroke was answered.
    pub fn answered(&self, completion: &Completion, elapsed: Duration, budget: Duration) {
        let Answers { complete, fast, over_budget, predictors, .. } = &self.answers;
        complete.observe(elapsed.as_secs_f64());
        fast.observe(completion.fast.as_secs_f64());
        if let Some(neural) = completion.neural {
            self.neural.elapsed.observe(neural.elapsed.as_secs_f64());
            if !neural.worked.is_zero() {
                self.neural.wait.observe(neural.waited.as_secs_f64());
                self.neural.work.observe(neural.worked.as_secs_f64());
            }
        }
        if elapsed > budget + Duration::from_millis(1) {
            over_budget.inc();
        }
        let (held_out, of_models) =
            (completion.silence == Some(Silence::Disabled), completion.is_of_models());
        for (predictor, status) in completion.predictors {
            let became = match status {
                _ if held_out => HELD_OUT,
                Status::Skipped if !of_models => UNASKED,
                _ => status.name(),
            };
            predictors.with_label_values(&[predictor.name(), became]).inc();
        }
        if let Some(silence) = completion.silence {
            self.answers.silences.with_label_values(&[silence.name()]).inc();
        }
        if let Some(first) = completion.suggestions.first() {
            let labels = [first.predictor.name(), first.kind.name()];
            self.answers.suggestions.with_label_values(&labels).inc();
        }
        let corrections = completion.suggestions.iter().filter(|suggestion| suggestion.replace > 0).count();
        self.answers.corrections.inc_by(corrections as u64);
        self.answers.sources.with_label_values(&[completion.source.name()]).inc();
    }

    /// Somebody was told to come back later.
    pub fn turned_away(&self, why: Turned) {
        self.traffic.turned_away.with_label_values(&[why.name()]).inc();
    }

    /// The fast tier's answer was sent before the whole one.
    pub fn answered_early(&self) {
        self.answers.early.inc();
    }

    /// A client sent a message of this type over a WebSocket.
    pub fn streamed(&self, kind: &str) {
        self.traffic.stream_messages.with_label_values(&[kind]).inc();
    }

    /// A message over a WebSocket was refused, or could not be answered.
    pub fn stream_refused(&self, code: &str) {
        self.traffic.stream_errors.with_label_values(&[code]).inc();
    }

    /// An edit came after a newer one.
    pub fn stale_edit(&self) {
        self.traffic.stale_edits.inc();
    }

    /// A WebSocket was opened.
    pub fn stream_opened(&self) {
        self.traffic.streams.inc();
    }

    /// A WebSocket ended.
    pub fn stream_ended(&self, reason: &str) {
        self.traffic.streams.dec();
        self.traffic.stream_ends.with_label_values(&[reason]).inc();
    }

    /// An outcome was heard.
    pub fn judged(&self, outcome: Outcome) {
        self.answers.outcomes.with_label_values(&[outcome.name()]).inc();
    }

    /// The store committed `writes` together.
    pub fn committed(&self, writes: usize, took: Duration) {
        self.learning.commit.observe(took.as_secs_f64());
        self.learning.commit_size.observe(writes as f64);
    }

    /// A thread panicked.
    pub fn panicked(&self, thread: Thread) {
        self.traffic.panics.with_label_values(&[thread.name()]).inc();
    }

    /// Everything in the text format of Prometheus, with what others know as it is now.
    pub fn render(&self, now: &Now) -> String {
        {
            // What others count is added as what is new since the last scrape: two at once would add it twice.
            let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
            self.look(now);
        }
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
