//! A step as a row of the store: JSON by name, so that what later releases count is neither missed nor mistaken. Counts of nothing
//! are left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::step::{Gauge, Step};
use crate::ledger::{Count, Durations, Totals};
use crate::store::Period;

/// The version of the encoding.
const FORMAT: u32 = 1;

/// Version 1.
#[derive(Serialize, Deserialize)]
struct Row {
    counts: BTreeMap<String, u64>,
    latency: Vec<(u16, u64)>,
    fast: Vec<(u16, u64)>,
    commit: Vec<(u16, u64)>,
    readings: u32,
    /// Sums; null: the system did not tell.
    gauges: BTreeMap<String, Option<f64>>,
}

/// The row of a step that took `seconds` and began at `at`.
pub(super) fn encode(step: &Step, seconds: u32, at: i64) -> Period {
    let counts = Count::all().map(|count| (count.name().into_owned(), step.totals.count(count)));
    let gauges = Gauge::ALL.into_iter().zip(step.sums);
    let row = Row {
        counts: counts.filter(|(_, times)| *times > 0).collect(),
        latency: step.totals.latency.to_pairs(),
        fast: step.totals.fast.to_pairs(),
        commit: step.totals.commit.to_pairs(),
        readings: step.readings,
        gauges: gauges
            .map(|(gauge, sum)| (gauge.name().to_owned(), sum.is_finite().then_some(sum)))
            .collect(),
    };
    let blob = serde_json::to_vec(&row).expect("numbers can be written to memory");
    Period { seconds, at, format: FORMAT, blob }
}

/// The step of a row; `None`: it cannot be read.
pub(super) fn decode(period: &Period) -> Option<Step> {
    let row: Row = (period.format == FORMAT).then(|| serde_json::from_slice(&period.blob).ok())??;
    let mut totals = Totals::default();
    totals.latency = Durations::from_pairs(&row.latency);
    totals.fast = Durations::from_pairs(&row.fast);
    totals.commit = Durations::from_pairs(&row.commit);
    for count in Count::all() {
        totals.set(count, row.counts.get(&*count.name()).copied().unwrap_or(0));
    }
    let sum = |gauge: Gauge| row.gauges.get(gauge.name()).copied().flatten().unwrap_or(f64::NAN);
    Some(Step { totals, readings: row.readings, sums: Gauge::ALL.map(sum) })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::engine::{Outcome, Predictor, Silence};

    fn step() -> Step {
        let mut totals = Totals::default();
        totals.set(Count::Answers, 7);
        totals.set(Count::Silent(Silence::LowConfidence), 2);
        totals.set(Count::Judged(Predictor::Gpt2, Outcome::Accepted), 1);
        totals.set(Count::Saved(Predictor::Snippet), 30);
        totals.latency = Durations::from_pairs(&[(40, 5), (321, 2)]);
        Step::new(totals, [0.25, 4096.0, 1.0, f64::NAN, 12.0, 5.0, 8.0, 3.0, 2.0])
    }

    #[test]
    fn version_1_is_read_as_it_was_written() {
        let period = encode(&step(), 300, 1_700_000_100);
        assert_eq!((period.seconds, period.at, period.format), (300, 1_700_000_100, 1));
        expect![[r#"{"counts":{"accepted.gpt2":1,"answers":7,"saved.snippet":30,"silences.low_confidence":2},"latency":[[40,5],[321,2]],"fast":[],"commit":[],"readings":1,"gauges":{"busy":0.25,"kv_bytes":4096.0,"memory_bytes":null,"open_fds":12.0,"store_queue":1.0,"streams_open":2.0,"writers_hour":8.0,"writers_minute":5.0,"writers_warm":3.0}}"#]]
            .assert_eq(std::str::from_utf8(&period.blob).expect("JSON"));
        let read = decode(&period).expect("its own row");
        assert_eq!(read.totals, step().totals);
        assert!(read.gauge(Gauge::MemoryBytes).is_nan());
        assert_eq!((read.gauge(Gauge::Busy), read.gauge(Gauge::OpenFds)), (0.25, 12.0));
    }

    #[test]
    fn what_is_no_row_of_ours_is_left_out() {
        let period = encode(&step(), 300, 0);
        assert_eq!(decode(&Period { format: 2, ..period.clone() }), None);
        assert_eq!(decode(&Period { blob: b"{}".to_vec(), ..period }), None);
    }
}
