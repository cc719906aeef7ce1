//! Drops the n-grams that matter least until the file is small enough.
//!
//! An n-gram is worth the number of its occurrences times the nats it adds over the shorter context (the weighted
//! difference of Seymore and Rosenfeld 1996), and is kept if that reaches a threshold, or if a longer one that is kept
//! begins with it. Counting occurrences measured slightly better than counting what Kneser-Ney counts.

use super::count::Grams;
use super::smooth::{Gains, hand_down, initial_counts};
use super::write;
use crate::static_model::ORDER;

/// What is left of the model.
pub(super) struct Kept {
    /// Of orders 2 to [`ORDER`]: whether each n-gram is kept.
    pub(super) flags: Vec<Vec<bool>>,
    /// Of orders 1 to [`ORDER`]: what each n-gram counts, given what was dropped above it.
    pub(super) counts: Vec<Vec<u32>>,
}

/// Finds the lowest threshold at which the file, `fixed` bytes without its n-grams, has at most `max_bytes`.
pub(super) fn to_size(
    orders: &[Grams],
    gains: &Gains,
    fixed: u64,
    max_bytes: u64,
    progress: &mut dyn FnMut(f32),
) -> Kept {
    const ROUNDS: usize = 12;
    let fits = |kept: &Kept| fixed + write::ngram_bytes(orders, kept) <= max_bytes;
    let mut best = at_threshold(orders, gains, 0.0);
    if fits(&best) {
        return best;
    }
    // Bisect the exponent: what n-grams are worth spans orders of magnitude.
    let (mut low, mut high) = (1e-2_f32.ln(), 1e6_f32.ln());
    best = at_threshold(orders, gains, f32::INFINITY);
    for round in 0..ROUNDS {
        let middle = f32::midpoint(low, high);
        let kept = at_threshold(orders, gains, middle.exp());
        if fits(&kept) {
            high = middle;
            best = kept;
        } else {
            low = middle;
        }
        progress((round + 1) as f32 / ROUNDS as f32);
    }
    best
}

fn at_threshold(orders: &[Grams], gains: &Gains, threshold: f32) -> Kept {
    let mut flags: Vec<Vec<bool>> = orders.iter().map(|grams| vec![false; grams.len()]).collect();
    let mut counts = vec![Vec::new(); ORDER];
    counts[ORDER - 1].clone_from(&orders[ORDER - 2].counts);
    for order in (2..=ORDER).rev() {
        let grams = &orders[order - 2];
        let (shorter, these) = flags.split_at_mut(order - 2);
        let these = &mut these[0];
        for at in 0..grams.len() {
            let worth = grams.counts[at] as f32 * gains.nats[order - 2][at];
            these[at] |= worth >= threshold;
            if these[at]
                && let Some(shorter) = shorter.last_mut()
            {
                shorter[grams.prefix[at] as usize] = true;
            }
        }
        let mut below = if order == 2 { vec![0; gains.ids] } else { initial_counts(&orders[order - 3]) };
        hand_down(grams, &counts[order - 1], |at| these[at], &mut below);
        counts[order - 2] = below;
    }
    Kept { flags, counts }
}
