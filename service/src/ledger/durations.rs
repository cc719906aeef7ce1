//! Durations, counted in buckets that grow with them, from several threads at once and without a lock.
//!
//! Each power of two holds 32 buckets, as in HdrHistogram (Tene): what is read from one is off by at most a 64th.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets in a power of two of microseconds; below that many each microsecond has its own.
const PART: usize = 32;
const PART_BITS: usize = PART.ilog2() as usize;

/// Up to 67 s; what takes longer counts as that.
const POWERS: usize = 26;

/// Buckets in all.
const BUCKETS: usize = (POWERS - PART_BITS + 1) * PART;

fn bucket(micros: u64) -> usize {
    let Some(power) = micros.checked_ilog2().map(|power| power as usize).filter(|p| *p >= PART_BITS) else {
        return micros as usize;
    };
    let within = (micros >> (power - PART_BITS)) as usize - PART;
    ((power - PART_BITS + 1) * PART + within).min(BUCKETS - 1)
}

/// The middle of a bucket, microseconds.
fn middle(bucket: usize) -> f64 {
    let Some(shift) = (bucket / PART).checked_sub(1) else { return bucket as f64 };
    let (least, width) = ((PART + bucket % PART) << shift, 1 << shift);
    least as f64 + f64::from(width - 1) / 2.0
}

/// Counts while others count.
#[derive(Debug)]
pub(super) struct Histogram(Box<[AtomicU64; BUCKETS]>);

impl Default for Histogram {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| AtomicU64::new(0))))
    }
}

impl Histogram {
    pub(super) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0[bucket(micros)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Durations {
        Durations(self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect())
    }
}

/// What was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durations(Box<[u64]>);

impl Default for Durations {
    fn default() -> Self {
        Self(vec![0; BUCKETS].into())
    }
}

impl Durations {
    /// Milliseconds that the share `q` of them took at most, to a 64th; `None`: there are none.
    pub fn percentile(&self, q: f64) -> Option<f64> {
        let count: u64 = self.0.iter().sum();
        let rank = ((q * count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= rank
        };
        self.0.iter().position(reached).map(|bucket| middle(bucket) / 1e3)
    }

    /// These and others.
    pub fn merge(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(count, more)| *count += more);
    }

    /// Those of these that were not there before.
    pub fn since(&self, before: &Self) -> Self {
        Self(self.0.iter().zip(&before.0).map(|(now, then)| now.saturating_sub(*then)).collect())
    }

    /// Buckets that are not empty, with their counts.
    pub fn to_pairs(&self) -> Vec<(u16, u64)> {
        let pairs = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        pairs.map(|(bucket, count)| (bucket as u16, *count)).collect()
    }

    /// The same from pairs; buckets there are none of are left out.
    pub fn from_pairs(pairs: &[(u16, u64)]) -> Self {
        let mut durations = Self::default();
        for (bucket, count) in pairs {
            if let Some(slot) = durations.0.get_mut(usize::from(*bucket)) {
                *slot += count;
            }
        }
        durations
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(micros: &[u64]) -> Durations {
        let histogram = Histogram::default();
        micros.iter().for_each(|micros| histogram.add(Duration::from_micros(*micros)));
        histogram.read()
    }

    #[test]
    fn buckets_follow_each_other() {
        assert_eq!((bucket(0), bucket(31), bucket(32), bucket(63), bucket(64)), (0, 31, 32, 63, 64));
        assert_eq!((bucket(65), bucket(66), bucket(u64::MAX)), (64, 65, BUCKETS - 1));
        assert_eq!((middle(5), middle(40), middle(64)), (5.0, 40.0, 64.5));
        assert_eq!(Durations::default().percentile(0.5), None);
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_list(mut micros in prop::collection::vec(0..60_000_000_u64, 1..300),
                                                    q in 0.0..1.0_f64) {
            let durations = counted(&micros);
            micros.sort_unstable();
            let rank = ((q * micros.len() as f64).ceil() as usize).max(1);
            let (naive, read) = (micros[rank - 1] as f64 / 1e3, durations.percentile(q).expect("there are some"));
            prop_assert!((read - naive).abs() <= naive / 64.0 + 1e-9, "{read} {naive}");
        }

        #[test]
        fn parts_add_up(one in prop::collection::vec(0..100_000_u64, 0..50), two in prop::collection::vec(0..100_000_u64, 0..50)) {
            let all = counted(&[one.clone(), two.clone()].concat());
            let mut sum = counted(&one);
            sum.merge(&counted(&two));
            prop_assert_eq!(&sum, &all);
            prop_assert_eq!(all.since(&counted(&one)), counted(&two));
            prop_assert_eq!(Durations::from_pairs(&all.to_pairs()), all);
        }
    }
}
