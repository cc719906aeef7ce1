//! What [`heads`](super::heads) computes, compiled for the registers that the processor has.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps, _mm256_add_ps,
    _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_reduce_add_ps, _mm512_setzero_ps,
};

use super::heads::{Seen, WIDTH, append_any, attend_any};

/// [`append_any`], where it can be made quicker; whether it could.
pub(super) fn append(rows: &[f32], heads: usize, keys: &mut Vec<u8>, values: &mut Vec<u8>) -> bool {
    let can = is_x86_feature_detected!("avx2");
    if can {
        // SAFETY: the processor has what the function is compiled for.
        unsafe { append_avx2(rows, heads, keys, values) };
    }
    can
}

/// [`attend_any`], where it can be made quicker; whether it could.
pub(super) fn attend(seen: &Seen<'_>, scores: &mut Vec<f32>, out: &mut [f32]) -> bool {
    let narrow = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
    if wide {
        // SAFETY: the processor has what the function is compiled for.
        unsafe { attend_avx512(seen, scores, out) };
    } else if narrow {
        // SAFETY: the same holds.
        unsafe { attend_avx2(seen, scores, out) };
    }
    wide || narrow
}

#[target_feature(enable = "avx2")]
fn append_avx2(rows: &[f32], heads: usize, keys: &mut Vec<u8>, values: &mut Vec<u8>) {
    append_any(rows, heads, keys, values);
}

#[target_feature(enable = "avx512f,avx512bw")]
fn attend_avx512(seen: &Seen<'_>, scores: &mut Vec<f32>, out: &mut [f32]) {
    attend_any::<true, 4>(seen, scores, out, |a, b| dot_avx512(a, b));
}

#[target_feature(enable = "avx2,fma")]
fn attend_avx2(seen: &Seen<'_>, scores: &mut Vec<f32>, out: &mut [f32]) {
    attend_any::<true, 1>(seen, scores, out, |a, b| dot_avx2(a, b));
}

/// The product of two heads: of plain loops, compilers add the sums of a register up in ways that are far slower.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn dot_avx512(a: &[f32; WIDTH], b: &[f32; WIDTH]) -> f32 {
    let mut sum = _mm512_setzero_ps();
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        // SAFETY: they are as many as are loaded.
        sum = unsafe { _mm512_fmadd_ps(_mm512_loadu_ps(a.as_ptr()), _mm512_loadu_ps(b.as_ptr()), sum) };
    }
    _mm512_reduce_add_ps(sum)
}

/// The same in two sums of half the width.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn dot_avx2(a: &[f32; WIDTH], b: &[f32; WIDTH]) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 2];
    for (at, (a, b)) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0).enumerate() {
        // SAFETY: they are as many as are loaded.
        let (a, b) = unsafe { (_mm256_loadu_ps(a.as_ptr()), _mm256_loadu_ps(b.as_ptr())) };
        sums[at % 2] = _mm256_fmadd_ps(a, b, sums[at % 2]);
    }
    let eight = _mm256_add_ps(sums[0], sums[1]);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// Every way of attending that this processor has.
#[cfg(test)]
pub(super) fn ways() -> Vec<super::heads::Way> {
    let mut ways: Vec<super::heads::Way> = Vec::new();
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor has what the function is compiled for.
        ways.push(|seen, scores, out| unsafe { attend_avx512(seen, scores, out) });
    }
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the same holds.
        ways.push(|seen, scores, out| unsafe { attend_avx2(seen, scores, out) });
    }
    ways
}
