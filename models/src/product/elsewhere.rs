//! Processors for which there is no kernel.

use super::packed::{Packed, Rows};
use super::refine::Exact;

/// None has what a kernel needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Processor {}

impl Processor {
    /// None.
    pub(crate) fn detect() -> Option<Self> {
        None
    }

    /// Never called, as there is no such processor.
    pub(super) fn multiply(self, _: &Packed, _: &[f32], _: &mut Vec<Rows>, _: &mut [f32]) {
        match self {}
    }

    /// Never called either.
    pub(super) fn refine(self, _: Exact<'_>, _: &[f32], _: &mut [f32]) {
        match self {}
    }
}
