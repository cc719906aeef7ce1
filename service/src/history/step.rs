//! What the service did in some time: what was counted, and what was measured now and then.

use std::borrow::Cow;

use crate::engine::{Outcome, Predictor, Silence, Status};
use crate::ledger::{Count, Group, PROPOSERS, Totals};

/// What is measured now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// The share of the time that the threads that answer are at work.
    Busy,
    /// Bytes of KV caches.
    KvBytes,
    /// Writes that are not durable yet.
    StoreQueue,
    /// Bytes of memory that the process has (resident set).
    MemoryBytes,
    /// Files and sockets that it has open.
    OpenFds,
    /// Writers who typed in the last minute.
    WritersMinute,
    /// The same in the last hour.
    WritersHour,
    /// Writers in memory.
    WritersWarm,
    /// WebSockets open.
    StreamsOpen,
}

impl Gauge {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Busy,
        Self::KvBytes,
        Self::StoreQueue,
        Self::MemoryBytes,
        Self::OpenFds,
        Self::WritersMinute,
        Self::WritersHour,
        Self::WritersWarm,
        Self::StreamsOpen,
    ];

    /// The name of its series.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::KvBytes => "kv_bytes",
            Self::StoreQueue => "store_queue",
            Self::MemoryBytes => "memory_bytes",
            Self::OpenFds => "open_fds",
            Self::WritersMinute => "writers_minute",
            Self::WritersHour => "writers_hour",
            Self::WritersWarm => "writers_warm",
            Self::StreamsOpen => "streams_open",
        }
    }

    /// Of a share a fraction is worth seeing.
    const fn is_whole(self) -> bool {
        !matches!(self, Self::Busy)
    }
}

/// The gauges at one time, in their order; NaN: this system does not tell.
pub(super) type Gauges = [f64; Gauge::ALL.len()];

/// What happened in some time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// What was counted.
    pub totals: Totals,
    /// How often the gauges were read.
    pub(super) readings: u32,
    /// The sums of what they said.
    pub(super) sums: Gauges,
}

impl Step {
    /// With the gauges as they are now.
    pub(super) fn new(totals: Totals, gauges: Gauges) -> Self {
        Self { totals, readings: 1, sums: gauges }
    }

    /// What happened in two times.
    pub fn merge(&mut self, other: &Self) {
        self.totals.merge(&other.totals);
        self.readings += other.readings;
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, more)| *sum += more);
    }

    /// The mean of a gauge; NaN: nobody knows.
    pub fn gauge(&self, gauge: Gauge) -> f64 {
        let mean = self.sums[gauge as usize] / f64::from(self.readings);
        if gauge.is_whole() { mean.round() } else { mean }
    }

    /// Characters a minute of typing; NaN: nobody typed.
    pub fn speed(&self, group: Group) -> f64 {
        let count = |count| self.totals.count(count) as f64;
        60_000.0 * share(count(Count::Appeared(group)), count(Count::Typing(group)))
    }

    /// Keystrokes saved.
    pub fn saved(&self) -> u64 {
        PROPOSERS.into_iter().map(|who| self.totals.count(Count::Saved(who))).sum()
    }

    /// What became of suggestions, whoever proposed them.
    pub fn judged(&self, outcome: Outcome) -> u64 {
        PROPOSERS.into_iter().map(|who| self.totals.count(Count::Judged(who, outcome))).sum()
    }

    /// Everything that is drawn, by name and always in the same order; NaN: there was nothing to measure.
    pub fn series(&self) -> Vec<(Cow<'static, str>, f64)> {
        let totals = &self.totals;
        let count = |count: Count| totals.count(count) as f64;
        // Who is held out asks nobody.
        let asked = count(Count::Answers) - count(Count::Silent(Silence::Disabled));
        let of_asked = |some| share(count(some), asked);
        let ms = |percentile: Option<f64>| percentile.unwrap_or(f64::NAN);
        let (held, run) = (count(Count::KvHeld), count(Count::KvRun));
        let plain = [
            ("answers", count(Count::Answers)),
            ("suggestions", count(Count::Suggestions)),
            ("saved_chars", self.saved() as f64),
            ("sent_chars", count(Count::SentChars)),
            ("sent_saved", count(Count::SentSaved)),
            ("accepted", self.judged(Outcome::Accepted) as f64),
            ("partial", self.judged(Outcome::Partial) as f64),
            ("rejected", self.judged(Outcome::Rejected) as f64),
            ("latency_p50_ms", ms(totals.latency.percentile(0.5))),
            ("latency_p90_ms", ms(totals.latency.percentile(0.9))),
            ("latency_p99_ms", ms(totals.latency.percentile(0.99))),
            ("fast_p99_ms", ms(totals.fast.percentile(0.99))),
            ("late", count(Count::Late)),
            ("turned_away", count(Count::TurnedAway)),
            ("brownout", of_asked(Count::Brownout)),
            ("gpt2_used", of_asked(Count::Member(Predictor::Gpt2, Status::Used))),
            ("kv_hit", share(held, held + run)),
            ("type_through", of_asked(Count::TypeThrough)),
            ("learned", count(Count::Learned)),
            ("store_commit_p99_ms", ms(totals.commit.percentile(0.99))),
            ("speed", self.speed(Group::Others)),
            ("speed_heldout", self.speed(Group::HeldOut)),
        ];
        let plain = plain.into_iter().map(|(name, value)| (Cow::Borrowed(name), value));
        let gauges = Gauge::ALL.into_iter().map(|gauge| (Cow::Borrowed(gauge.name()), self.gauge(gauge)));
        let silences = Silence::ALL.into_iter().map(Count::Silent);
        let saved = PROPOSERS.into_iter().map(Count::Saved);
        plain.chain(gauges).chain(silences.chain(saved).map(|of| (of.name(), count(of)))).collect()
    }
}

/// A share; NaN of nothing.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { f64::NAN }
}
