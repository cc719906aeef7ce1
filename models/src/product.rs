//! Products with 4-bit weights, which most of a pass is, by a kernel of our own where the processor has AVX2, or AVX-512 with
//! instructions for such products (VNNI).
//!
//! ONNX Runtime's kernel for `MatMulNBits` is made for one row: each further one costs it half as much again, and passes over token
//! trees and prefills have up to [`CHUNK`](crate::session::CHUNK). Here weights are unpacked in registers, once for several
//! rows. What is computed is the same: inputs are rounded to 8 bits with a scale for each row and block, products summed in
//! integers, and each block's sum scaled (`accuracy_level` 4).
//!
//! The bundle's graph is ONNX Runtime's own; its nodes are given to ours when it is loaded ([`rewrite`](crate::rewrite)).

// Elsewhere nothing is rewritten, and so nothing asked for.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere;
mod operator;
mod packed;
mod refine;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use elsewhere::Processor;

pub(crate) use operator::{ROWS, domain};
pub(crate) use packed::STEP;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::Processor;

/// The operator it stands for.
pub(crate) const NAME: &str = "MatMulNBits";
