//! What the model says comes next: a probability for every token.

use std::cell::RefCell;

use crate::boundary::{End, STARTS, Start};
use crate::exp::exp;

/// The softmax of one position's logits.
pub(crate) struct Distribution {
    /// The upper half of an f32 each, which is two to three digits: conversations keep many of these.
    probs: Box<[u16]>,
    /// Probability that the next token begins so, by [`Start`].
    by_start: [f32; STARTS],
}

impl Distribution {
    /// The softmax of `logits`, one for each token.
    pub(crate) fn new(logits: &[f32], starts: &[Start]) -> Self {
        thread_local! {
            static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
        }
        SCRATCH.with_borrow_mut(|scratch| Self::by(logits, starts, scratch))
    }

    #[cfg_attr(target_arch = "x86_64", allow(unsafe_code))]
    fn by(logits: &[f32], starts: &[Start], scratch: &mut Vec<f32>) -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { softmax_avx512(logits, starts, scratch) };
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the same holds.
            return unsafe { softmax_avx2(logits, starts, scratch) };
        }
        softmax(logits, starts, scratch)
    }

    /// The memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.probs[..])
    }

    /// P(the next token is `token`).
    pub(crate) fn prob(&self, token: u32) -> f32 {
        whole(self.probs[token as usize])
    }

    /// Tokens likelier than `floor`, and their probabilities, by token id: few of many.
    pub(crate) fn above(&self, floor: f32) -> impl Iterator<Item = (u32, f32)> {
        // Positive floats are in the order of their bits, also as signed numbers, which any processor compares many at a time.
        let least = (floor.to_bits() >> 16) as i16;
        let most = |probs: &[u16]| probs.iter().fold(0, |most: i16, prob| most.max(*prob as i16));
        let chunks = self.probs.chunks(CHUNK).zip((0..).step_by(CHUNK));
        chunks.filter(move |(probs, _)| most(probs) >= least).flat_map(move |(probs, from)| {
            probs
                .iter()
                .zip(from..)
                .map(|(prob, token)| (token, whole(*prob)))
                .filter(move |(_, prob)| *prob > floor)
        })
    }

    /// The likeliest token, the first of equals.
    pub(crate) fn best(&self) -> u32 {
        let most = self.probs.iter().copied().max().unwrap_or_default();
        self.probs.iter().position(|prob| *prob == most).unwrap_or_default() as u32
    }

    /// All probabilities, by token id.
    #[cfg(test)]
    pub(crate) fn probs(&self) -> impl Iterator<Item = f32> {
        self.probs.iter().map(|prob| whole(*prob))
    }

    /// P(a boundary follows a text that ends so).
    pub(crate) fn boundary(&self, end: End) -> f32 {
        KINDS.iter().filter(|start| end.splits(**start)).map(|start| self.by_start[*start as usize]).sum()
    }

    /// P(the message ends here).
    pub(crate) fn end(&self) -> f32 {
        self.by_start[Start::Special as usize]
    }
}

/// The same for processors with wider registers, which is a fifth of a pass otherwise.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
fn softmax_avx512(logits: &[f32], starts: &[Start], probs: &mut Vec<f32>) -> Distribution {
    softmax(logits, starts, probs)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn softmax_avx2(logits: &[f32], starts: &[Start], probs: &mut Vec<f32>) -> Distribution {
    softmax(logits, starts, probs)
}

#[inline(always)]
fn softmax(logits: &[f32], starts: &[Start], probs: &mut Vec<f32>) -> Distribution {
    let most = highest(logits);
    probs.clear();
    probs.extend(logits.iter().map(|logit| exp(logit - most)));
    let by_start = by_start(probs, starts);
    let scale = 1.0 / by_start.iter().sum::<f32>();
    let probs = probs.iter().map(|prob| upper(prob * scale)).collect();
    Distribution { probs, by_start: by_start.map(|mass| mass * scale) }
}

/// Tokens that are passed over together where none is likely.
const CHUNK: usize = 64;

/// Sums that run beside each other: one at a time, each addition would wait for the one before.
const LANES: usize = 16;

/// The highest of some logits; compiled for the processor of who asks.
#[inline(always)]
pub(crate) fn highest(logits: &[f32]) -> f32 {
    let (groups, rest) = logits.as_chunks::<LANES>();
    let mut most = [f32::NEG_INFINITY; LANES];
    for group in groups {
        for (most, logit) in most.iter_mut().zip(group) {
            // `max` would ask of each whether it is a number.
            *most = if *logit > *most { *logit } else { *most };
        }
    }
    most.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

#[inline(always)]
fn by_start(probs: &[f32], starts: &[Start]) -> [f32; STARTS] {
    let mut lanes = [[0.0; STARTS]; LANES];
    for (probs, starts) in probs.chunks(LANES).zip(starts.chunks(LANES)) {
        for ((lane, prob), start) in lanes.iter_mut().zip(probs).zip(starts) {
            lane[*start as usize] += prob;
        }
    }
    std::array::from_fn(|start| lanes.iter().map(|lane| lane[start]).sum())
}

/// The nearest bfloat16 to a number that is finite: without the branch for others loops over it are vectorised.
fn upper(prob: f32) -> u16 {
    (prob.to_bits().wrapping_add(0x8000) >> 16) as u16
}

fn whole(upper: u16) -> f32 {
    f32::from_bits(u32::from(upper) << 16)
}

const KINDS: [Start; STARTS] = [
    Start::Special,
    Start::Space,
    Start::Letter,
    Start::Digit,
    Start::Underscore,
    Start::Contraction,
    Start::Mark,
    Start::Other,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_number_is_a_number_to_three_parts_in_a_thousand() {
        for prob in [0.0, 1e-38, 3.3e-9, 0.125, 0.123_456_7, 0.999_999, 1.0] {
            assert!((whole(upper(prob)) - prob).abs() <= 0.003 * prob, "{prob}");
        }
    }

    #[test]
    fn tokens_above_a_floor_are_those_that_are_likelier() {
        let logits: Vec<f32> = (0..1_000).map(|i| (i as f32 * 0.37).sin() * 12.0).collect();
        let distribution = Distribution::new(&logits, &vec![Start::Space; 1_000]);
        for floor in [0.0, 1e-30, 1e-6, 1e-3, 0.004, 0.02, 1.0] {
            let all = (0..).zip(distribution.probs()).filter(|(_, prob)| *prob > floor);
            assert!(distribution.above(floor).eq(all), "{floor}");
        }
    }

    #[test]
    fn probabilities_sum_to_one_over_tokens_and_over_starts() {
        let logits: Vec<f32> = (0..40).map(|i| (i as f32 * 0.7).sin() * 5.0).collect();
        let starts: Vec<Start> = (0..40).map(|i| KINDS[i % STARTS]).collect();
        let distribution = Distribution::new(&logits, &starts);
        assert!((distribution.probs().sum::<f32>() - 1.0).abs() < 1e-3);
        assert!((distribution.by_start.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        // After a letter a word ends unless a letter, digit, _, 's or mark follows.
        let inside: f32 = [2, 3, 4, 5, 6].iter().map(|&kind| distribution.by_start[kind]).sum();
        assert!((distribution.boundary(End::Alnum) + inside - 1.0).abs() < 1e-5);
    }
}
