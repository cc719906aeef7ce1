//! Samples as columns over an even grid of times, which is what a chart wants.

use std::borrow::Cow;

use super::step::Step;

/// What was drawn at one time: the values of [`Step::series`].
pub(super) type Sample = (i64, Vec<f64>);

/// The values of a step.
pub(super) fn sample(at: i64, step: &Step) -> Sample {
    (at, step.series().into_iter().map(|(_, value)| value).collect())
}

/// Columns of the same length.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Between two times.
    pub step_s: u32,
    /// The begin of each step, in seconds since the Unix epoch.
    pub at: Vec<i64>,
    /// By name; NaN: nothing is known of that step.
    pub series: Vec<(Cow<'static, str>, Vec<f64>)>,
}

impl Columns {
    /// Of the samples from `from` on and before `to`; the oldest one there is comes first.
    pub(super) fn new(step_s: u32, samples: &[Sample], from: i64, to: i64) -> Self {
        let stride = i64::from(step_s);
        let samples: Vec<_> = samples.iter().filter(|(at, _)| (from..to).contains(at)).collect();
        let (first, last) =
            (samples.iter().map(|(at, _)| *at).min(), samples.iter().map(|(at, _)| *at).max());
        let at: Vec<i64> = match (first, last) {
            (Some(first), Some(last)) => (0..=(last - first) / stride).map(|n| first + n * stride).collect(),
            _ => Vec::new(),
        };
        let names = Step::default().series().into_iter().map(|(name, _)| name);
        let mut series: Vec<_> = names.map(|name| (name, vec![f64::NAN; at.len()])).collect();
        for (time, values) in samples {
            let row = (time - at[0]) / stride;
            for ((_, column), value) in series.iter_mut().zip(values) {
                column[row as usize] = *value;
            }
        }
        Self { step_s, at, series }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Count, Totals};

    #[test]
    fn a_time_nothing_is_known_of_has_a_row_too() {
        let answers = |n| {
            let mut totals = Totals::default();
            totals.set(Count::Answers, n);
            Step::new(totals, [0.0; 9])
        };
        let samples: Vec<_> =
            [(90, 9), (100, 1), (110, 2), (140, 3), (900, 9)].map(|(at, n)| sample(at, &answers(n))).into();
        let columns = Columns::new(10, &samples, 100, 150);
        assert_eq!(columns.at, [100, 110, 120, 130, 140]);
        let (name, column) = &columns.series[0];
        assert_eq!(name, "answers");
        assert!(column[2].is_nan() && column[3].is_nan());
        assert_eq!([column[0], column[1], column[4]], [1.0, 2.0, 3.0]);
        assert!(columns.series.iter().all(|(_, column)| column.len() == 5));
        let none = Columns::new(10, &samples, 1_000, 2_000);
        assert!(none.at.is_empty() && none.series.iter().all(|(_, column)| column.is_empty()));
    }
}
