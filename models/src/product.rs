//! Products with 4-bit weights, which most of a pass is, by a kernel of our own where the processor has AVX2.
//!
//! ONNX Runtime's kernel for `MatMulNBits` is made for one row: each further one costs it half as much again, and passes over token
//! trees and prefills have up to [`CHUNK`](crate::session::CHUNK). Here weights are unpacked in registers, once for several
//! rows. What is computed is the same: inputs are rounded to 8 bits with a scale for each row and block, products summed in
//! integers, and each block's sum scaled (`accuracy_level` 4).
//!
//! The bundle's graph is ONNX Runtime's own; its nodes are given to ours when it is loaded ([`rewrite`]).

// Elsewhere nothing is rewritten, and so nothing asked for.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

#[cfg(target_arch = "x86_64")]
mod avx2;
mod operator;
mod packed;
mod rewrite;

pub(crate) use operator::domain;
pub(crate) use rewrite::rewrite;

/// The domain of our operators. As long as the name it takes the place of.
const DOMAIN: &str = "foretype.int4";
/// The operator it stands for, and its domain.
const REPLACED: (&str, &str) = ("MatMulNBits", "com.microsoft");

/// Whether this processor has what the kernel needs.
pub(crate) fn is_supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// `rows` `[rows, inputs]` times `weights`, plus the bias, to `out` `[rows, columns]`; `scratch` is for nothing but this.
///
/// # Errors
/// Where there is no kernel for the processor, which [`is_supported`] says before.
fn multiply(
    weights: &packed::Packed,
    rows: &[f32],
    scratch: &mut Vec<packed::Rows>,
    out: &mut [f32],
) -> ort::Result<()> {
    #[cfg(target_arch = "x86_64")]
    if is_supported() {
        avx2::multiply(weights, rows, scratch, out);
        return Ok(());
    }
    let _ = (weights, rows, scratch, out);
    Err(ort::Error::new("there is no kernel for this processor"))
}
