//! A tile in halves, for a few rows, with AVX2.

use std::arch::x86_64::{
    _MM_HINT_T0, _mm_prefetch, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256,
    _mm256_cvtepi32_ps, _mm256_fmadd_ps, _mm256_load_si256, _mm256_loadu_ps, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_srli_epi16, _mm256_storeu_ps,
    _mm256_sub_epi32,
};

use super::super::packed::{LANES, LINE, Packed, Rows};

/// Rows that share a look at the weights.
pub(super) const MOST: usize = 4;
/// Columns whose sums fit a register.
const HALF: usize = 8;
/// Inputs whose products are summed in 16 bits: eight of at most 2 · 15 · 127.
const SHORT: usize = 4 * LINE;
/// Lines between what is worked on and what is fetched: the processor itself does not look beyond a page.
const AHEAD: usize = 32;

/// A tile of columns, of all rows.
#[target_feature(enable = "avx2,fma")]
pub(super) fn tile(weights: &Packed, tile: usize, rows: &Rows, out: &mut [f32]) {
    match rows.count {
        1 => of_rows::<1>(weights, tile, rows, out),
        2 => of_rows::<2>(weights, tile, rows, out),
        3 => of_rows::<3>(weights, tile, rows, out),
        _ => of_rows::<MOST>(weights, tile, rows, out),
    }
}

#[target_feature(enable = "avx2,fma")]
fn of_rows<const ROWS: usize>(weights: &Packed, tile: usize, rows: &Rows, out: &mut [f32]) {
    const LINES: usize = SHORT / LINE;
    let (blocks, steps) = (weights.inputs / weights.block, weights.block / SHORT);
    let lines = &weights.lines[tile * (weights.inputs / LINE)..][..weights.inputs / LINE];
    // What the pointers below rely on.
    assert!(rows.count == ROWS && rows.fours.len() == ROWS * weights.inputs / 4);
    let (lower, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
    for half in 0..LANES / HALF {
        let from = tile * LANES + half * HALF;
        let mut sums = [_mm256_setzero_ps(); ROWS];
        for block in 0..blocks {
            let mut products = [_mm256_setzero_si256(); ROWS];
            for step in block * steps..(block + 1) * steps {
                let mut short = [_mm256_setzero_si256(); ROWS];
                for line in step * LINES..(step + 1) * LINES {
                    // SAFETY: `lines` has as many as the steps of all blocks; a line is as long and as aligned as two registers.
                    // What is fetched ahead may lie anywhere.
                    let codes = unsafe {
                        let line = lines.as_ptr().add(line);
                        _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(AHEAD).cast());
                        _mm256_load_si256(line.cast::<std::arch::x86_64::__m256i>().add(half))
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
            let scales = &weights.scales[(tile * blocks + block) * LANES + half * HALF..][..HALF];
            // SAFETY: they are as many as are loaded.
            let scales = unsafe { _mm256_loadu_ps(scales.as_ptr()) };
            for (row, (sum, product)) in sums.iter_mut().zip(products).enumerate() {
                let (scale, too_much) = rows.blocks[block * ROWS + row];
                let product = _mm256_cvtepi32_ps(_mm256_sub_epi32(product, _mm256_set1_epi32(too_much)));
                *sum = _mm256_fmadd_ps(product, _mm256_mul_ps(scales, _mm256_set1_ps(scale)), *sum);
            }
        }
        let bias = &weights.bias[from..][..HALF];
        // SAFETY: they are as many as are loaded.
        let bias = unsafe { _mm256_loadu_ps(bias.as_ptr()) };
        // The last tile may have a half, or a part of one, that is no column.
        let columns = HALF.min(weights.columns.saturating_sub(from));
        for (row, sum) in sums.into_iter().enumerate().take_while(|_| columns > 0) {
            let (sum, out) = (_mm256_add_ps(sum, bias), &mut out[row * weights.columns + from..][..columns]);
            if columns == HALF {
                // SAFETY: they are as many as are stored.
                unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sum) };
            } else {
                let mut lanes = [0.0; HALF];
                // SAFETY: they are as many as are stored.
                unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sum) };
                out.copy_from_slice(&lanes[..columns]);
            }
        }
    }
}
