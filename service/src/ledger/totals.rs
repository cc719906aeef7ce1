//! Counts and durations of some time, which add up.

use super::count::{COUNTS, Count};
use super::durations::Durations;

/// What happened in some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    pub(super) counts: Box<[u64]>,
    /// From a keystroke's last byte to its answer.
    pub latency: Durations,
    /// The fast tier's part of it.
    pub fast: Durations,
    /// Transactions of the store with their fsync.
    pub commit: Durations,
}

impl Default for Totals {
    fn default() -> Self {
        let durations = Durations::default;
        Self { counts: vec![0; COUNTS].into(), latency: durations(), fast: durations(), commit: durations() }
    }
}

impl Totals {
    /// How often; 0 of what is not counted.
    pub fn count(&self, count: Count) -> u64 {
        count.slot().map_or(0, |slot| self.counts[slot])
    }

    /// Sets what somebody else counted.
    pub fn set(&mut self, count: Count, to: u64) {
        if let Some(slot) = count.slot() {
            self.counts[slot] = to;
        }
    }

    /// What happened in two times.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.latency.merge(&other.latency);
        self.fast.merge(&other.fast);
        self.commit.merge(&other.commit);
    }

    /// What happened since a time before.
    pub fn since(&self, before: &Self) -> Self {
        let counts = self.counts.iter().zip(&before.counts);
        Self {
            counts: counts.map(|(now, then)| now.saturating_sub(*then)).collect(),
            latency: self.latency.since(&before.latency),
            fast: self.fast.since(&before.fast),
            commit: self.commit.since(&before.commit),
        }
    }
}
