//! Processors for which there is no kernel.

use super::packed::{Packed, Rows};

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
}
