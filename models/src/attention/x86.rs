//! Products of two heads: compilers add the sums of a register up in ways that are far slower.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps, _mm256_add_ps,
    _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_reduce_add_ps, _mm512_setzero_ps,
};

use super::heads::WIDTH;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,fma")]
pub(super) fn dot_avx512(a: &[f32; WIDTH], b: &[f32; WIDTH]) -> f32 {
    let mut sum = _mm512_setzero_ps();
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        // SAFETY: they are as many as are loaded.
        sum = unsafe { _mm512_fmadd_ps(_mm512_loadu_ps(a.as_ptr()), _mm512_loadu_ps(b.as_ptr()), sum) };
    }
    _mm512_reduce_add_ps(sum)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn dot_avx2(a: &[f32; WIDTH], b: &[f32; WIDTH]) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 2];
    for (at, (a, b)) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0).enumerate() {
        // SAFETY: they are as many as are loaded.
        sums[at % 2] = unsafe {
            _mm256_fmadd_ps(_mm256_loadu_ps(a.as_ptr()), _mm256_loadu_ps(b.as_ptr()), sums[at % 2])
        };
    }
    let eight = _mm256_add_ps(sums[0], sums[1]);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
