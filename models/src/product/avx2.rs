//! The kernel: tiles of columns times a few rows.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _MM_HINT_T0, _mm_prefetch, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256,
    _mm256_cvtepi32_ps, _mm256_cvtps_epi32, _mm256_fmadd_ps, _mm256_load_si256, _mm256_loadu_ps,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_packs_epi16, _mm256_packs_epi32,
    _mm256_permutevar8x32_epi32, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setr_epi32, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_srli_epi16, _mm256_storeu_ps,
    _mm256_storeu_si256, _mm256_sub_epi32,
};

use super::is_supported;
use super::packed::{LANES, LINE, Packed, Rows, STEP};

/// Rows that share a look at the weights: their sums fit the registers.
const MOST: usize = 4;
/// Lines between what is worked on and what is fetched: the processor itself does not look beyond a page.
const AHEAD: usize = 64;
/// See [`super::multiply`].
///
/// # Panics
/// If sizes do not fit, or the processor cannot do this.
pub(super) fn multiply(weights: &Packed, rows: &[f32], scratch: &mut Vec<Rows>, out: &mut [f32]) {
    let count = rows.len() / weights.inputs;
    assert!(rows.len() == count * weights.inputs && out.len() == count * weights.columns, "sizes must fit");
    assert!(is_supported(), "asked for once, when the graph was loaded");
    if count > 0 {
        // SAFETY: the processor has what the function is compiled for.
        unsafe { all(weights, rows, scratch, out) }
    }
}

/// Rows of a group: at most [`MOST`], in groups as equal as can be.
fn group_of(count: usize) -> usize {
    count.div_ceil(count.div_ceil(MOST))
}

#[target_feature(enable = "avx2,fma")]
fn all(weights: &Packed, rows: &[f32], scratch: &mut Vec<Rows>, out: &mut [f32]) {
    let group = group_of(rows.len() / weights.inputs);
    let groups = rows.chunks(group * weights.inputs);
    if scratch.len() < groups.len() {
        scratch.resize_with(groups.len(), Rows::default);
    }
    let scratch = &mut scratch[..groups.len()];
    for (rounded, rows) in scratch.iter_mut().zip(groups) {
        round(rows, weights.inputs, weights.block, rounded);
    }
    // All groups look at a tile while it is near.
    for tile in 0..weights.tiles() {
        for (rounded, out) in scratch.iter().zip(out.chunks_mut(group * weights.columns)) {
            match rounded.count {
                1 => of_rows::<1>(weights, tile, rounded, out),
                2 => of_rows::<2>(weights, tile, rounded, out),
                3 => of_rows::<3>(weights, tile, rounded, out),
                _ => of_rows::<MOST>(weights, tile, rounded, out),
            }
        }
    }
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
            let most = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
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

/// A tile of columns, of `ROWS` rows.
#[target_feature(enable = "avx2,fma")]
fn of_rows<const ROWS: usize>(weights: &Packed, tile: usize, rows: &Rows, out: &mut [f32]) {
    const LINES: usize = STEP / LINE;
    let (blocks, steps) = (weights.inputs / weights.block, weights.block / STEP);
    let lines = &weights.lines[tile * (weights.inputs / LINE)..][..weights.inputs / LINE];
    // What the pointers below rely on.
    assert!(rows.count == ROWS && rows.fours.len() == ROWS * weights.inputs / 4);
    let (lower, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
    let mut sums = [_mm256_setzero_ps(); ROWS];
    for block in 0..blocks {
        let mut products = [_mm256_setzero_si256(); ROWS];
        for step in block * steps..(block + 1) * steps {
            let mut short = [_mm256_setzero_si256(); ROWS];
            for line in step * LINES..(step + 1) * LINES {
                // SAFETY: `lines` has as many as the steps of all blocks; a line is as long and as aligned as a register.
                // What is fetched ahead may lie anywhere.
                let codes = unsafe {
                    let line = lines.as_ptr().add(line);
                    _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(AHEAD).cast());
                    _mm256_load_si256(line.cast())
                };
                let a = _mm256_and_si256(codes, lower);
                let b = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), lower);
                for (row, short) in short.iter_mut().enumerate() {
                    // SAFETY: the assertion above; a line has two fours, each of them ROWS rows.
                    let four = |half: usize| unsafe {
                        _mm256_set1_epi32(*rows.fours.as_ptr().add((2 * line + half) * ROWS + row))
                    };
                    let (a, b) = (_mm256_maddubs_epi16(a, four(0)), _mm256_maddubs_epi16(b, four(1)));
                    *short = _mm256_add_epi16(*short, _mm256_add_epi16(a, b));
                }
            }
            for (product, short) in products.iter_mut().zip(short) {
                *product = _mm256_add_epi32(*product, _mm256_madd_epi16(short, ones));
            }
        }
        let scales = &weights.scales[(tile * blocks + block) * LANES..][..LANES];
        // SAFETY: they are as many as are loaded.
        let scales = unsafe { _mm256_loadu_ps(scales.as_ptr()) };
        for (row, (sum, product)) in sums.iter_mut().zip(products).enumerate() {
            let (scale, too_much) = rows.blocks[block * ROWS + row];
            let product = _mm256_cvtepi32_ps(_mm256_sub_epi32(product, _mm256_set1_epi32(too_much)));
            *sum = _mm256_fmadd_ps(product, _mm256_mul_ps(scales, _mm256_set1_ps(scale)), *sum);
        }
    }
    let from = tile * LANES;
    let bias = &weights.bias[from..][..LANES];
    // SAFETY: they are as many as are loaded.
    let bias = unsafe { _mm256_loadu_ps(bias.as_ptr()) };
    for (row, sum) in sums.into_iter().enumerate() {
        let mut lanes = [0.0; LANES];
        // SAFETY: they are as many as are stored.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), _mm256_add_ps(sum, bias)) };
        let columns = LANES.min(weights.columns - from);
        out[row * weights.columns + from..][..columns].copy_from_slice(&lanes[..columns]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        fn the_kernel_computes_what_plain_sums_do(
            (count, columns, blocks) in (1..=16_usize, 1..70_usize, 1..4_usize),
            block in prop::sample::select(vec![32_usize, 96, 128]),
            seed in 1..u64::MAX,
            (biased, largest) in any::<(bool, bool)>(),
        ) {
            if !is_supported() {
                return Ok(());
            }
            let inputs = blocks * block;
            let mut state = seed;
            let mut chance = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            };
            // The largest sums that there are must not overflow.
            let mut code = || if largest { 255 } else { (chance() * 128.0 + 128.0) as u8 };
            let codes: Vec<u8> = (0..columns * inputs / 2).map(|_| code()).collect();
            let scales: Vec<f32> = (0..columns * blocks).map(|_| chance()).collect();
            let bias: Vec<f32> = (0..if biased { columns } else { 0 }).map(|_| chance()).collect();
            let mut rows: Vec<f32> = (0..count * inputs).map(|_| if largest { 3.0 } else { chance() }).collect();
            rows[..block].fill(0.0);
            let packed = Packed::new(&codes, &scales, &bias, inputs, block).expect("they fit");
            let mut found = vec![0.0; count * columns];
            multiply(&packed, &rows, &mut Vec::new(), &mut found);
            let expected = plain(&codes, &scales, &bias, &rows, inputs, block);
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-5 * expected.abs() + 1e-3, "{found} {expected}");
            }
        }
    }

    #[test]
    fn groups_are_as_equal_as_can_be() {
        let all: Vec<_> = [1, 4, 5, 6, 9, 16].into_iter().map(group_of).collect();
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
