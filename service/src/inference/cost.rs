//! What a question will take, learned from what such questions took.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::Depth;

/// Passes that are made of those allowed, at most.
const PASSES: usize = 6;
/// Bytes of text that are counted as one.
const BYTES: f32 = 64.0;
/// More text than this is no window's.
const MOST: usize = 1 << 11;

/// What a question may consist of: itself, a pass, a narrow one, a run that reads what is new, [`BYTES`] of that.
const PARTS: usize = 5;
/// Before anything was measured, microseconds.
const GUESS: [f32; PARTS] = [100.0, 600.0, 400.0, 300.0, 1_000.0];
/// How far an estimate moves towards what was measured.
const STEP: f32 = 0.125;

/// The shape of a question, as far as its cost depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bytes of text that the cache has not seen, as far as the question answers for them.
    pub(super) bytes: usize,
    /// Whether there are any.
    pub(super) reads: bool,
    /// Passes beside these.
    pub(super) depth: Depth,
}

impl Shape {
    /// Of a text of which the cache has not seen so many bytes.
    pub(super) fn new(unread: usize, depth: Depth) -> Self {
        Self { bytes: unread, reads: unread > 0, depth }
    }

    /// What it is made of, in the order of [`GUESS`].
    fn parts(self) -> [f32; PARTS] {
        let passes = self.depth.passes.min(PASSES) as f32;
        let (wide, narrow) = if self.depth.narrow { (0.0, passes) } else { (passes, 0.0) };
        [1.0, wide, narrow, f32::from(u8::from(self.reads)), self.bytes.min(MOST) as f32 / BYTES]
    }
}

/// A time that is so much for each part of something: normalised least mean squares (Widrow and Hoff
/// 1960), read and written without a lock. What was not asked for lately is estimated from what was.
#[derive(Debug)]
struct Linear<const N: usize>([AtomicU32; N]);

impl<const N: usize> Linear<N> {
    fn new(guess: [f32; N]) -> Self {
        Self(guess.map(|micros| AtomicU32::new(micros.to_bits())))
    }

    fn micros(&self, parts: [f32; N]) -> f32 {
        parts.iter().zip(&self.0).map(|(part, micros)| part * load(micros)).sum()
    }

    fn of(&self, parts: [f32; N]) -> Duration {
        Duration::from_secs_f32(self.micros(parts) * 1e-6)
    }

    /// Two threads at once may lose one of two measurements, which the next make up for.
    fn learn(&self, parts: [f32; N], took: Duration) {
        let expected = self.micros(parts);
        // Somebody else had the core now and then, for much longer than a question takes: that is no shape's cost, and believed it
        // would keep questions from being asked that would show it is not.
        let error = (took.as_secs_f32() * 1e6 - expected).clamp(-expected, expected);
        let step = STEP * error / parts.iter().map(|part| part * part).sum::<f32>();
        for (part, micros) in parts.into_iter().zip(&self.0) {
            micros.store((load(micros) + step * part).max(0.0).to_bits(), Ordering::Relaxed);
        }
    }
}

/// What questions take, by their shape: of a run that several share each has its part.
#[derive(Debug)]
pub(super) struct Costs(Linear<PARTS>);

impl Default for Costs {
    fn default() -> Self {
        Self(Linear::new(GUESS))
    }
}

impl Costs {
    /// What a question of this shape is expected to take.
    pub(super) fn of(&self, shape: Shape) -> Duration {
        self.0.of(shape.parts())
    }

    /// Learns what one took.
    pub(super) fn learn(&self, shape: Shape, took: Duration) {
        self.0.learn(shape.parts(), took);
    }
}

/// What a run of the network takes, by its tokens. One that has begun goes on to its end.
#[derive(Debug)]
pub(super) struct Pace(Linear<2>);

impl Default for Pace {
    /// As on a core that others use too.
    fn default() -> Self {
        Self(Linear::new([300.0, 300.0]))
    }
}

impl Pace {
    /// What a run of so many tokens is expected to take.
    pub(super) fn of(&self, tokens: usize) -> Duration {
        self.0.of([1.0, tokens as f32])
    }

    /// Learns what one took.
    pub(super) fn learn(&self, tokens: usize, took: Duration) {
        self.0.learn([1.0, tokens as f32], took);
    }
}

fn load(micros: &AtomicU32) -> f32 {
    f32::from_bits(micros.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(unread: usize, passes: usize) -> Shape {
        Shape::new(unread, Depth { passes, narrow: false })
    }

    #[test]
    fn more_text_and_more_passes_are_guessed_to_take_longer() {
        let costs = Costs::default();
        let texts = [0, 8, 9, 100, 1_000, MOST, usize::MAX].map(|unread| costs.of(shape(unread, 1)));
        assert!(texts.is_sorted() && texts[0] < texts[1] && texts[4] < texts[5], "{texts:?}");
        assert_eq!(texts[5], texts[6], "as much as there is room for");
        let passes = [0, 1, 2, PASSES, 9].map(|passes| costs.of(shape(5, passes)));
        assert!(passes.is_sorted() && passes[0] < passes[1] && passes[3] == passes[4], "{passes:?}");
    }

    #[test]
    fn what_was_measured_is_expected_next_time() {
        // A machine that takes 100 µs, 300 a pass, 200 a narrow one, 150 to read and 5 a byte.
        let takes = |unread: usize, Depth { passes, narrow }: Depth| {
            let (pass, read) = (if narrow { 200 } else { 300 }, if unread > 0 { 150 } else { 0 });
            Duration::from_micros(100 + pass * passes as u64 + read + 5 * unread as u64)
        };
        let (costs, mut seed) = (Costs::default(), 7_usize);
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let unread = if seed >> 40 & 7 == 0 { seed >> 50 & 511 } else { 4 * (seed >> 36 & 1) };
            let depth = Depth { passes: seed >> 32 & 3, narrow: seed >> 35 & 1 == 0 };
            costs.learn(Shape::new(unread, depth), takes(unread, depth));
        }
        // 1,000 bytes were never read at once.
        for (unread, passes, narrow) in
            [(0, 0, true), (0, 1, false), (0, 2, true), (100, 1, true), (500, 0, false), (1_000, 1, false)]
        {
            let depth = Depth { passes, narrow };
            let (found, true_) = (costs.of(Shape::new(unread, depth)), takes(unread, depth));
            assert!(found.abs_diff(true_) < true_ / 20, "{unread} {depth:?}: {found:?} {true_:?}");
        }
    }

    #[test]
    fn a_rare_pause_is_not_believed() {
        let costs = Costs::default();
        for i in 0..300 {
            let pause = if i % 30 == 29 { 90 } else { 0 };
            costs.learn(shape(4, 1), Duration::from_millis(1 + pause));
        }
        let found = costs.of(shape(4, 1));
        assert!(found < Duration::from_micros(1_500), "{found:?}");
    }

    #[test]
    fn a_run_takes_as_long_as_such_runs_took() {
        let pace = Pace::default();
        assert!(pace.of(1) < pace.of(16));
        for i in 0..2_000_u64 {
            let tokens = 1 + i * i % 7;
            pace.learn(tokens as usize, Duration::from_micros(100 + 80 * tokens));
        }
        for (tokens, true_) in [(1, 180), (8, 740), (16, 1_380)] {
            let found = pace.of(tokens).as_micros() as u64;
            assert!(found.abs_diff(true_) < true_ / 20, "{tokens}: {found}");
        }
    }

    #[test]
    fn nothing_takes_less_than_no_time() {
        let costs = Costs::default();
        for unread in [0, 10_000, 0, 500] {
            costs.learn(shape(unread, 1), Duration::ZERO);
            assert!(costs.of(shape(MOST, 3)) >= costs.of(shape(0, 3)));
        }
    }
}
