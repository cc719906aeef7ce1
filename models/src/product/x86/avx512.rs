//! A tile for a few rows, with AVX-512: one instruction multiplies four inputs of sixteen columns and adds them up.

use std::arch::x86_64::{
    _MM_HINT_T0, _mm_prefetch, _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512, _mm512_cvtepi32_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_load_si512, _mm512_loadu_ps, _mm512_mask_storeu_ps,
    _mm512_mul_ps, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_setzero_si512, _mm512_srli_epi16,
};

use super::super::packed::{LANES, LINE, Packed, Rows};

/// Rows that share a look at the weights.
pub(super) const MOST: usize = 8;
/// Lines between what is worked on and what is fetched: the processor itself does not look beyond a page.
const AHEAD: usize = 32;

/// A tile of columns, of all rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn tile(weights: &Packed, tile: usize, rows: &Rows, out: &mut [f32]) {
    match rows.count {
        1 => of_rows::<1>(weights, tile, rows, out),
        2 => of_rows::<2>(weights, tile, rows, out),
        3 => of_rows::<3>(weights, tile, rows, out),
        4 => of_rows::<4>(weights, tile, rows, out),
        5 => of_rows::<5>(weights, tile, rows, out),
        6 => of_rows::<6>(weights, tile, rows, out),
        7 => of_rows::<7>(weights, tile, rows, out),
        _ => of_rows::<MOST>(weights, tile, rows, out),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn of_rows<const ROWS: usize>(weights: &Packed, tile: usize, rows: &Rows, out: &mut [f32]) {
    let (blocks, each) = (weights.inputs / weights.block, weights.block / LINE);
    let lines = &weights.lines[tile * (weights.inputs / LINE)..][..weights.inputs / LINE];
    // What the pointers below rely on.
    assert!(rows.count == ROWS && rows.fours.len() == ROWS * weights.inputs / 4);
    let lower = _mm512_set1_epi8(15);
    let mut sums = [_mm512_setzero_ps(); ROWS];
    for block in 0..blocks {
        // Two sums a row, as one instruction need not wait for the other then.
        let mut products = [[_mm512_setzero_si512(); 2]; ROWS];
        for (row, [product, _]) in products.iter_mut().enumerate() {
            *product = _mm512_set1_epi32(-rows.blocks[block * ROWS + row].1);
        }
        for line in block * each..(block + 1) * each {
            // SAFETY: `lines` has as many as all blocks; a line is as long and as aligned as a register. What is fetched ahead may
            // lie anywhere.
            let codes = unsafe {
                let line = lines.as_ptr().add(line);
                _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(AHEAD).cast());
                _mm512_load_si512(line.cast())
            };
            let a = _mm512_and_si512(codes, lower);
            let b = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), lower);
            for (row, [first, second]) in products.iter_mut().enumerate() {
                // SAFETY: the assertion above; a line has two fours, each of them ROWS rows.
                let four = |half: usize| unsafe {
                    _mm512_set1_epi32(*rows.fours.as_ptr().add((2 * line + half) * ROWS + row))
                };
                *first = _mm512_dpbusd_epi32(*first, a, four(0));
                *second = _mm512_dpbusd_epi32(*second, b, four(1));
            }
        }
        let scales = &weights.scales[(tile * blocks + block) * LANES..][..LANES];
        // SAFETY: they are as many as are loaded.
        let scales = unsafe { _mm512_loadu_ps(scales.as_ptr()) };
        for (row, (sum, [first, second])) in sums.iter_mut().zip(products).enumerate() {
            let product = _mm512_cvtepi32_ps(_mm512_add_epi32(first, second));
            let scale = _mm512_set1_ps(rows.blocks[block * ROWS + row].0);
            *sum = _mm512_fmadd_ps(product, _mm512_mul_ps(scales, scale), *sum);
        }
    }
    let from = tile * LANES;
    let bias = &weights.bias[from..][..LANES];
    // SAFETY: they are as many as are loaded.
    let bias = unsafe { _mm512_loadu_ps(bias.as_ptr()) };
    let columns = LANES.min(weights.columns - from);
    let mask = u16::MAX >> (LANES - columns);
    for (row, sum) in sums.into_iter().enumerate() {
        let out = &mut out[row * weights.columns + from..][..columns];
        // SAFETY: only as many are stored as `out` has.
        unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), mask, _mm512_add_ps(sum, bias)) };
    }
}
