//! The likeliest columns of a head anew. Half of what 4 bits cost a model is the rounding of its head, and most of that is made up for where
//! a few dozen logits of each row are computed from the embedding's rows in 8 bits, which the graph has anyway.

use crate::distribution::highest;

/// Columns that are computed anew, at least: as many as train/export.py has.
const LIKELIEST: usize = 64;
/// Groups of columns, of which only the highest is looked at first.
const GROUPS: usize = 4 * LIKELIEST;
/// Sums that run beside each other.
const LANES: usize = 16;

/// A matrix `[columns, inputs]` in 8 bits, with a scale for each column.
#[derive(Clone, Copy)]
pub(super) struct Exact<'a> {
    steps: &'a [i8],
    scales: &'a [f32],
}

impl<'a> Exact<'a> {
    /// `None` if it has not so many columns of so many inputs.
    pub(super) fn new(steps: &'a [i8], scales: &'a [f32], columns: usize, inputs: usize) -> Option<Self> {
        (columns > 0 && scales.len() == columns && steps.len() == columns * inputs)
            .then_some(Self { steps, scales })
    }

    /// Computes the highest of `out` `[rows, columns]` anew from `rows` `[rows, inputs]`: those that are no lower than the lowest of the
    /// [`LIKELIEST`] highest of groups.
    #[inline(always)]
    pub(super) fn refine(self, rows: &[f32], out: &mut [f32]) {
        let columns = self.scales.len();
        let (inputs, group) = (self.steps.len() / columns, columns.div_ceil(GROUPS));
        for (row, out) in rows.chunks_exact(inputs).zip(out.chunks_exact_mut(columns)) {
            let mut of_groups = [f32::NEG_INFINITY; GROUPS];
            for (most, group) in of_groups.iter_mut().zip(out.chunks(group)) {
                *most = highest(group);
            }
            let floor = *of_groups.clone().select_nth_unstable_by(GROUPS - LIKELIEST, f32::total_cmp).1;
            let groups = out.chunks_mut(group).zip(of_groups).enumerate();
            for (at, (out, _)) in groups.filter(|(_, (_, most))| *most >= floor) {
                for (column, logit) in out.iter_mut().enumerate().filter(|(_, logit)| **logit >= floor) {
                    let column = at * group + column;
                    *logit = self.scales[column] * dot(row, &self.steps[column * inputs..][..inputs]);
                }
            }
        }
    }
}

#[inline(always)]
fn dot(row: &[f32], steps: &[i8]) -> f32 {
    let ((row, row_rest), (steps, rest)) = (row.as_chunks::<LANES>(), steps.as_chunks::<LANES>());
    let mut sums = [0.0_f32; LANES];
    for (row, steps) in row.iter().zip(steps) {
        for ((sum, value), step) in sums.iter_mut().zip(row).zip(steps) {
            *sum += value * f32::from(*step);
        }
    }
    let rest = row_rest.iter().zip(rest).map(|(value, step)| value * f32::from(*step));
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::chance;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn the_likeliest_are_exact_and_the_others_as_they_were(
            (count, columns, inputs, seed) in (0..4_usize, 1..3_000_usize, 1..70_usize, 1..u64::MAX),
        ) {
            let mut chance = chance(seed);
            let steps: Vec<i8> = (0..columns * inputs).map(|_| (chance() * 127.0) as i8).collect();
            let scales: Vec<f32> = (0..columns).map(|_| chance()).collect();
            let rows: Vec<f32> = (0..count * inputs).map(|_| chance()).collect();
            let rough: Vec<f32> = (0..count * columns).map(|_| chance()).collect();
            let mut out = rough.clone();
            Exact::new(&steps, &scales, columns, inputs).expect("it fits").refine(&rows, &mut out);
            for (at, (rough, out)) in rough.chunks_exact(columns).zip(out.chunks_exact(columns)).enumerate() {
                let row = &rows[at * inputs..][..inputs];
                let exact = |column: usize| {
                    let steps = steps[column * inputs..][..inputs].iter().zip(row);
                    scales[column] * steps.map(|(step, value)| f32::from(*step) * value).sum::<f32>()
                };
                let mut order: Vec<usize> = (0..columns).collect();
                order.sort_by(|a, b| rough[*b].total_cmp(&rough[*a]));
                for (rank, column) in order.into_iter().enumerate() {
                    let anew = (out[column] - exact(column)).abs() < 1e-3 * (1.0 + out[column].abs());
                    prop_assert!(anew || rank >= LIKELIEST && out[column] == rough[column], "{rank}");
                }
            }
        }
    }

    #[test]
    fn only_a_few_of_many_are_computed_anew() {
        let (columns, mut chance) = (16_384, chance(3));
        let (steps, scales) = (vec![0; columns], vec![1.0; columns]);
        let mut out: Vec<f32> = (0..columns).map(|_| 1.0 + chance()).collect();
        Exact::new(&steps, &scales, columns, 1).expect("it fits").refine(&[1.0], &mut out);
        let anew = out.iter().filter(|logit| **logit == 0.0).count();
        assert!((LIKELIEST..3 * LIKELIEST).contains(&anew), "{anew}");
    }

    #[test]
    fn a_table_of_another_size_is_none() {
        assert!(Exact::new(&[0; 6], &[1.0; 3], 3, 2).is_some());
        assert!(Exact::new(&[0; 6], &[1.0; 2], 3, 2).is_none());
        assert!(Exact::new(&[0; 5], &[1.0; 3], 3, 2).is_none());
        assert!(Exact::new(&[], &[], 0, 2).is_none());
    }
}
