//! What operators see at `/metrics`. Never labelled by writer: that would be both personal and unbounded.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::engine::{Completion, Outcome, Silence};
use crate::inference::{CacheUse, Counts};
use crate::stream::End;

/// Upper bounds in seconds, from 50 µs: close together around the targets, 300 µs to 1 ms and 4 to 20 ms.
const LATENCY: [f64; 18] = [
    50e-6, 100e-6, 200e-6, 300e-6, 500e-6, 750e-6, 1e-3, 1.5e-3, 2.5e-3, 4e-3, 6e-3, 10e-3, 15e-3, 20e-3,
    21e-3, 50e-3, 200e-3, 1.0,
];
/// Events in a commit.
const BATCH: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Created once, in `main`.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    complete: Histogram,
    fast: Histogram,
    neural: Histogram,
    neural_wait: Histogram,
    neural_work: Histogram,
    questions: IntCounterVec,
    kv_tokens: IntCounterVec,
    kv_bytes: IntGauge,
    kv_sessions: IntGauge,
    over_budget: IntCounter,
    turned_away: IntCounter,
    busy: Gauge,
    early: IntCounter,
    predictors: IntCounterVec,
    silences: IntCounterVec,
    corrections: IntCounter,
    sources: IntCounterVec,
    outcomes: IntCounterVec,
    learned: IntCounter,
    commit: Histogram,
    commit_size: Histogram,
    writers_warm: IntGauge,
    streams: IntGauge,
    stream_messages: IntCounterVec,
    stream_ends: IntCounterVec,
    stale_edits: IntCounter,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            register(&registry, IntCounter::new(name, help).expect("the names are constants"))
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(
                &registry,
                IntCounterVec::new(Opts::new(name, help), labels).expect("the names are constants"),
            )
        };
        let histogram = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(LATENCY.to_vec());
            register(&registry, Histogram::with_opts(options).expect("the names are constants"))
        };
        let sizes = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(BATCH.to_vec());
            register(&registry, Histogram::with_opts(options).expect("the names are constants"))
        };
        let warm =
            IntGauge::new("foretype_writers_warm", "Writers in memory.").expect("the names are constants");
        let busy =
            Gauge::new("foretype_busy_ratio", "Share of the time that threads that answer are at work.")
                .expect("the names are constants");
        let kv_bytes = IntGauge::new("foretype_kv_bytes", "Memory that KV caches take.")
            .expect("the names are constants");
        let kv_sessions = IntGauge::new("foretype_kv_sessions", "Sessions with a KV cache.")
            .expect("the names are constants");
        let streams =
            IntGauge::new("foretype_streams_open", "WebSockets open.").expect("the names are constants");
        let stream_ends = counters("foretype_stream_ends_total", "WebSockets that ended.", &["reason"]);
        for end in End::ALL {
            stream_ends.with_label_values(&[end.name()]);
        }
        let silences = counters("foretype_silences_total", "Answers without a suggestion.", &["reason"]);
        // Present from the start, so that a rate of a reason that never came is 0 and not missing.
        for silence in Silence::ALL {
            silences.with_label_values(&[silence.name()]);
        }
        Self {
            requests: counters("foretype_requests_total", "Requests answered.", &["route", "status"]),
            complete: histogram("foretype_complete_seconds", "From a keystroke's last byte to its answer."),
            fast: histogram("foretype_fast_tier_seconds", "The fast tier's own time."),
            neural: histogram("foretype_neural_tier_seconds", "The neural tier's time, queueing included."),
            neural_wait: histogram(
                "foretype_neural_wait_seconds",
                "What answered questions waited for a thread.",
            ),
            neural_work: histogram("foretype_neural_work_seconds", "What answered questions took a thread."),
            questions: counters(
                "foretype_neural_questions_total",
                "What became of questions to the neural tier.",
                &["outcome"],
            ),
            kv_tokens: counters(
                "foretype_kv_tokens_total",
                "Tokens of context that KV caches held, and tokens that were run.",
                &["kind"],
            ),
            kv_bytes: register(&registry, kv_bytes),
            kv_sessions: register(&registry, kv_sessions),
            over_budget: counter("foretype_over_budget_total", "Answers later than their budget and 1 ms."),
            turned_away: counter(
                "foretype_turned_away_total",
                "New drafts that were told to come back later: there was too much to do.",
            ),
            busy: register(&registry, busy),
            early: counter(
                "foretype_early_answers_total",
                "Answers of the fast tier sent while the neural tier was at work.",
            ),
            predictors: counters(
                "foretype_predictors_total",
                "What became of predictors.",
                &["predictor", "status"],
            ),
            silences,
            corrections: counter(
                "foretype_corrections_total",
                "Suggestions shown that replace a mistyped word.",
            ),
            sources: counters("foretype_sources_total", "Where answers came from.", &["source"]),
            outcomes: counters("foretype_outcomes_total", "What became of suggestions.", &["outcome"]),
            learned: counter("foretype_learned_total", "Messages learned."),
            commit: histogram("foretype_store_commit_seconds", "A transaction and its fsync."),
            commit_size: sizes("foretype_store_commit_writes", "Writes that shared a commit."),
            writers_warm: register(&registry, warm),
            streams: register(&registry, streams),
            stream_messages: counters(
                "foretype_stream_messages_total",
                "Messages of clients over WebSockets.",
                &["type"],
            ),
            stream_ends,
            stale_edits: counter("foretype_stale_edits_total", "Edits dropped because a newer one had come."),
            registry,
        }
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect("every metric has its own name");
    collector
}

impl Metrics {
    /// A request was answered. `route` is the pattern, never the path: that holds a writer's name.
    pub fn requested(&self, route: &str, status: u16) {
        self.requests.with_label_values(&[route, &status.to_string()]).inc();
    }

    /// A keystroke was answered.
    pub fn answered(&self, completion: &Completion, elapsed: Duration, budget: Duration) {
        self.complete.observe(elapsed.as_secs_f64());
        self.fast.observe(completion.fast.as_secs_f64());
        if let Some(neural) = completion.neural {
            self.neural.observe(neural.elapsed.as_secs_f64());
            if !neural.worked.is_zero() {
                self.neural_wait.observe(neural.waited.as_secs_f64());
                self.neural_work.observe(neural.worked.as_secs_f64());
            }
        }
        if elapsed > budget + Duration::from_millis(1) {
            self.over_budget.inc();
        }
        for (predictor, status) in completion.predictors {
            self.predictors.with_label_values(&[predictor.name(), status.name()]).inc();
        }
        if let Some(silence) = completion.silence {
            self.silences.with_label_values(&[silence.name()]).inc();
        }
        let corrections = completion.suggestions.iter().filter(|suggestion| suggestion.replace > 0).count();
        self.corrections.inc_by(corrections as u64);
        self.sources.with_label_values(&[completion.source.name()]).inc();
    }

    /// A new draft was not let in.
    pub fn turned_away(&self) {
        self.turned_away.inc();
    }

    /// The fast tier's answer was sent before the whole one.
    pub fn answered_early(&self) {
        self.early.inc();
    }

    /// A message was learned.
    pub fn learned(&self) {
        self.learned.inc();
    }

    /// A client sent a message of this type over a WebSocket.
    pub fn streamed(&self, kind: &str) {
        self.stream_messages.with_label_values(&[kind]).inc();
    }

    /// An edit came after a newer one.
    pub fn stale_edit(&self) {
        self.stale_edits.inc();
    }

    /// A WebSocket was opened.
    pub fn stream_opened(&self) {
        self.streams.inc();
    }

    /// A WebSocket ended.
    pub fn stream_ended(&self, reason: &str) {
        self.streams.dec();
        self.stream_ends.with_label_values(&[reason]).inc();
    }

    /// An outcome was heard.
    pub fn judged(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Accepted => "accepted",
            Outcome::Partial => "partial",
            Outcome::Rejected => "rejected",
        };
        self.outcomes.with_label_values(&[outcome]).inc();
    }

    /// The store committed `writes` together.
    pub fn committed(&self, writes: usize, took: Duration) {
        self.commit.observe(took.as_secs_f64());
        self.commit_size.observe(writes as f64);
    }

    /// Has the neural tier's own counts among the others.
    fn note(&self, counts: &Counts, caches: CacheUse) {
        let set = |counters: &IntCounterVec, label: &str, now: u64| {
            let counter = counters.with_label_values(&[label]);
            counter.inc_by(now.saturating_sub(counter.get()));
        };
        for (outcome, now) in [
            ("answered", counts.answered),
            ("refused", counts.refused),
            ("full", counts.full),
            ("superseded", counts.superseded),
            ("expired", counts.expired),
            ("panicked", counts.panics),
        ] {
            set(&self.questions, outcome, now);
        }
        set(&self.kv_tokens, "held", counts.tokens_held);
        set(&self.kv_tokens, "run", counts.tokens_run);
        self.kv_bytes.set(i64::try_from(caches.bytes).unwrap_or(i64::MAX));
        self.kv_sessions.set(i64::try_from(caches.sessions).unwrap_or(i64::MAX));
    }

    /// Everything in the text format of Prometheus, with what others know as it is now: writers
    /// in memory, how busy the answering threads are, what the neural tier did.
    pub fn render(&self, warm: usize, busy: f32, neural: Option<(Counts, CacheUse)>) -> String {
        self.busy.set(f64::from(busy));
        self.writers_warm.set(i64::try_from(warm).unwrap_or(i64::MAX));
        if let Some((counts, caches)) = neural {
            self.note(&counts, caches);
        }
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
