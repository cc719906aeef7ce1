//! The kernel on x86-64: rows are rounded to 8 bits and put into groups, for which AVX2 or AVX-512 computes tile by tile.
#![allow(unsafe_code)]

mod avx2;
mod avx512;

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_cvtps_epi32, _mm256_loadu_ps, _mm256_mul_ps, _mm256_packs_epi16,
    _mm256_packs_epi32, _mm256_permutevar8x32_epi32, _mm256_set1_ps, _mm256_setr_epi32, _mm256_setzero_si256,
    _mm256_storeu_si256,
};

use super::packed::{Packed, Rows, STEP};
use super::refine::Exact;

/// A processor that has what a kernel needs, which only [`detect`](Self::detect) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Processor {
    set: Set,
}

/// Instructions, from the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// AVX-512 with VNNI, and AVX2.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
}

impl Processor {
    /// This one, if there is a kernel for it.
    pub(crate) fn detect() -> Option<Self> {
        Self::all().next()
    }

    /// This one in each way that there is a kernel for it, the quickest first.
    fn all() -> impl Iterator<Item = Self> {
        let narrow = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let wide = narrow
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        let sets = [(wide, Set::Avx512), (narrow, Set::Avx2)];
        sets.into_iter().filter(|(is_there, _)| *is_there).map(|(_, set)| Self { set })
    }

    /// `rows` `[rows, inputs]` times `weights`, plus the bias, to `out` `[rows, columns]`; `scratch` is for nothing but this.
    ///
    /// # Panics
    /// If sizes do not fit.
    pub(super) fn multiply(self, weights: &Packed, rows: &[f32], scratch: &mut Vec<Rows>, out: &mut [f32]) {
        let count = rows.len() / weights.inputs;
        assert!(
            rows.len() == count * weights.inputs && out.len() == count * weights.columns,
            "sizes must fit"
        );
        if count == 0 {
            return;
        }
        let group = group_of(count, self.most());
        let groups = rows.chunks(group * weights.inputs);
        if scratch.len() < groups.len() {
            scratch.resize_with(groups.len(), Rows::default);
        }
        let scratch = &mut scratch[..groups.len()];
        for (rounded, rows) in scratch.iter_mut().zip(groups) {
            // SAFETY: a processor of either kind has AVX2.
            unsafe { round(rows, weights.inputs, weights.block, rounded) };
        }
        // All groups look at a tile while it is near.
        for tile in 0..weights.tiles() {
            for (rounded, out) in scratch.iter().zip(out.chunks_mut(group * weights.columns)) {
                // SAFETY: this is such a processor.
                match self.set {
                    Set::Avx512 => unsafe { avx512::tile(weights, tile, rounded, out) },
                    Set::Avx2 => unsafe { avx2::tile(weights, tile, rounded, out) },
                }
            }
        }
    }

    /// Computes the highest of `out` anew ([`Exact::refine`]).
    pub(super) fn refine(self, exact: Exact<'_>, rows: &[f32], out: &mut [f32]) {
        // SAFETY: a processor of either kind has AVX2.
        unsafe { refine(exact, rows, out) };
    }

    /// Rows that share a look at the weights: their sums fit the registers.
    fn most(self) -> usize {
        match self.set {
            Set::Avx512 => avx512::MOST,
            Set::Avx2 => avx2::MOST,
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn refine(exact: Exact<'_>, rows: &[f32], out: &mut [f32]) {
    exact.refine(rows, out);
}

/// Rows of a group: at most `most`, in groups as equal as can be.
fn group_of(count: usize, most: usize) -> usize {
    count.div_ceil(count.div_ceil(most))
}

/// Rounds rows to 8 bits, every block of a row with a scale of its own.
#[target_feature(enable = "avx2,fma")]
fn round(rows: &[f32], inputs: usize, block: usize, rounded: &mut Rows) {
    let count = rows.len() / inputs;
    let Rows { fours, blocks, .. } = rounded;
    rounded.count = count;
    fours.resize(rows.len() / 4, 0);
    blocks.resize(rows.len() / block, (0.0, 0));
    // Bytes that were packed within halves of a register, back in order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (row, values) in rows.chunks_exact(inputs).enumerate() {
        for (at, values) in values.chunks_exact(block).enumerate() {
            // Positive floats are in the order of their bits, and whole numbers are compared many at a time.
            let most = values.iter().fold(0, |most, value| (value.to_bits() & !(1 << 31)).max(most));
            let most = f32::from_bits(most);
            let inverse = _mm256_set1_ps(if most > 0.0 { 127.0 / most } else { 0.0 });
            let mut sum = _mm256_setzero_si256();
            for (step, values) in values.as_chunks::<STEP>().0.iter().enumerate() {
                let eight = |from: usize| {
                    // SAFETY: a step has four times eight values.
                    let values = unsafe { _mm256_loadu_ps(values.as_ptr().add(8 * from)) };
                    _mm256_cvtps_epi32(_mm256_mul_ps(values, inverse))
                };
                let (a, b, c, d) = (eight(0), eight(1), eight(2), eight(3));
                sum = _mm256_add_epi32(sum, _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d)));
                let bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
                let found = lanes(_mm256_permutevar8x32_epi32(bytes, order));
                let from = (at * block + step * STEP) / 4 * count + row;
                let places = fours[from..].iter_mut().step_by(count);
                places.zip(found).for_each(|(four, found)| *four = found);
            }
            blocks[at * count + row] = (most / 127.0, 8 * lanes(sum).iter().sum::<i32>());
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn lanes(register: __m256i) -> [i32; 8] {
    let mut lanes = [0; 8];
    // SAFETY: they are as many as are stored.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), register) };
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::chance;
    use proptest::prelude::*;

    /// The same in the plainest way: inputs as they are rounded, sums in double precision.
    fn plain(
        codes: &[u8],
        scales: &[f32],
        bias: &[f32],
        rows: &[f32],
        inputs: usize,
        block: usize,
    ) -> Vec<f32> {
        let columns = scales.len() / (inputs / block);
        let rounded = |values: &[f32]| {
            let most = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
            let each = values
                .iter()
                .map(move |value| f64::from((value * inverse).round_ties_even() * (most / 127.0)));
            each.collect::<Vec<_>>()
        };
        let weight = |column: usize, input: usize| {
            let code = codes[column * inputs / 2 + input / 2] >> (4 * (input % 2)) & 15;
            f64::from(scales[column * (inputs / block) + input / block]) * (f64::from(code) - 8.0)
        };
        let product = |row: &[f64], column: usize| {
            let products = row.iter().enumerate().map(|(input, value)| value * weight(column, input));
            (products.sum::<f64>() + f64::from(bias.get(column).copied().unwrap_or(0.0))) as f32
        };
        let rows = rows.chunks(inputs).map(|row| row.chunks(block).flat_map(rounded).collect::<Vec<_>>());
        rows.flat_map(|row| (0..columns).map(|column| product(&row, column)).collect::<Vec<_>>()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn each_kernel_computes_what_plain_sums_do(
            (count, columns, blocks) in (1..=16_usize, 1..70_usize, 1..4_usize),
            block in prop::sample::select(vec![32_usize, 96, 128]),
            seed in 1..u64::MAX,
            (biased, largest) in any::<(bool, bool)>(),
        ) {
            let inputs = blocks * block;
            let mut chance = chance(seed);
            // The largest sums that there are must not overflow.
            let mut code = || if largest { 255 } else { (chance() * 128.0 + 128.0) as u8 };
            let codes: Vec<u8> = (0..columns * inputs / 2).map(|_| code()).collect();
            let scales: Vec<f32> = (0..columns * blocks).map(|_| chance()).collect();
            let bias: Vec<f32> = (0..if biased { columns } else { 0 }).map(|_| chance()).collect();
            let mut rows: Vec<f32> = (0..count * inputs).map(|_| if largest { 3.0 } else { chance() }).collect();
            rows[..block].fill(0.0);
            let packed = Packed::new(&codes, &scales, &bias, inputs, block).expect("they fit");
            let expected = plain(&codes, &scales, &bias, &rows, inputs, block);
            for processor in Processor::all() {
                let mut found = vec![0.0; count * columns];
                processor.multiply(&packed, &rows, &mut Vec::new(), &mut found);
                for (found, expected) in found.iter().zip(&expected) {
                    prop_assert!(
                        (found - expected).abs() < 1e-5 * expected.abs() + 1e-3,
                        "{processor:?}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn groups_are_as_equal_as_can_be() {
        let all: Vec<_> = [1, 4, 5, 6, 9, 16].into_iter().map(|count| group_of(count, 4)).collect();
        assert_eq!(all, [1, 4, 3, 3, 3, 4]);
    }

    #[test]
    fn what_does_not_fit_is_no_matrix() {
        let (codes, scales) = ([0x88; 128], [1.0; 8]);
        assert!(Packed::new(&codes, &scales, &[], 32, 32).is_some());
        assert!(Packed::new(&codes, &scales, &[0.0; 7], 32, 32).is_none(), "a bias for each column");
        assert!(Packed::new(&codes, &scales[1..], &[], 32, 32).is_none(), "a scale for each block");
        assert!(Packed::new(&codes[1..], &scales, &[], 32, 32).is_none());
        assert!(
            Packed::new(&codes, &scales, &[], 32, 16).is_none()
                && Packed::new(&[], &[], &[], 32, 32).is_none()
        );
    }
}
