//! What a question will take, learned from what such questions took.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Classes of text that is new to the cache: nothing, and then by doubling, from 8 bytes to a whole window.
const TEXTS: usize = 10;
/// Passes allowed, 0 to this; more are taken for as many.
const PASSES: usize = 3;

/// Before anything was measured, microseconds: one question, a byte that is new, a pass.
const GUESS: [f32; 3] = [100.0, 40.0, 700.0];
/// How far an estimate moves towards what was measured.
const STEP: f32 = 0.125;

/// The shape of a question, as far as its cost depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bytes of text that the cache has not seen.
    pub(super) unread: usize,
    /// Passes allowed beside these.
    pub(super) passes: usize,
}

impl Shape {
    fn cell(self) -> usize {
        let text = match self.unread {
            0 => 0,
            bytes => (bytes.div_ceil(8).next_power_of_two().trailing_zeros() as usize + 1).min(TEXTS - 1),
        };
        text * (PASSES + 1) + self.passes.min(PASSES)
    }
}

/// An estimate for every shape: moving averages, read and written without a lock.
#[derive(Debug)]
pub(super) struct Costs([AtomicU32; TEXTS * (PASSES + 1)]);

impl Default for Costs {
    fn default() -> Self {
        Self(std::array::from_fn(|cell| {
            let (text, passes) = (cell / (PASSES + 1), cell % (PASSES + 1));
            let bytes = if text == 0 { 0 } else { 8 << (text - 1) };
            let micros = GUESS[0] + GUESS[1] * bytes as f32 + GUESS[2] * passes as f32;
            AtomicU32::new(micros.to_bits())
        }))
    }
}

impl Costs {
    /// What a question of this shape is expected to take.
    pub(super) fn of(&self, shape: Shape) -> Duration {
        let micros = f32::from_bits(self.0[shape.cell()].load(Ordering::Relaxed));
        Duration::from_secs_f32(micros * 1e-6)
    }

    /// Learns what one took. Two threads at once may lose one of two measurements, which the next make up for.
    pub(super) fn learn(&self, shape: Shape, took: Duration) {
        let cell = &self.0[shape.cell()];
        let before = f32::from_bits(cell.load(Ordering::Relaxed));
        let after = before + STEP * (took.as_secs_f32() * 1e6 - before);
        cell.store(after.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(unread: usize, passes: usize) -> Shape {
        Shape { unread, passes }
    }

    #[test]
    fn more_text_and_more_passes_are_guessed_to_take_longer() {
        let costs = Costs::default();
        let texts = [0, 8, 9, 100, 1_000, 1_000_000].map(|unread| costs.of(shape(unread, 1)));
        assert!(texts.is_sorted() && texts[0] < texts[1] && texts[1] < texts[2], "{texts:?}");
        let passes = [0, 1, 2, 3, 9].map(|passes| costs.of(shape(5, passes)));
        assert!(passes.is_sorted() && passes[0] < passes[1] && passes[3] == passes[4], "{passes:?}");
    }

    #[test]
    fn what_was_measured_is_expected_next_time_of_that_shape_alone() {
        let costs = Costs::default();
        let (seen, other) = (shape(5, 3), shape(500, 3));
        let before = costs.of(other);
        for _ in 0..60 {
            costs.learn(seen, Duration::from_millis(7));
        }
        assert!((costs.of(seen).as_secs_f64() - 7e-3).abs() < 1e-5);
        assert_eq!(costs.of(other), before);
    }
}
