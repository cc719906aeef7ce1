//! Kneser-Ney: counts of each order, discounts, and what an n-gram is worth.

use super::count::Grams;
use crate::layout::STARTS;
use crate::static_model::ORDER;

/// What is taken from counts of one, two, and more (Chen and Goodman 1998, equation 26).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Discounts([f32; 3]);

impl Discounts {
    /// From how many n-grams occur once, twice, three and four times. Tiny corpora, where that is no estimate, get the
    /// fallback of KenLM.
    pub(super) fn estimate(counts: impl Iterator<Item = u32>) -> Self {
        let mut n = [0.0_f32; 5];
        for count in counts.filter(|count| (1..=4).contains(count)) {
            n[count as usize] += 1.0;
        }
        let y = n[1] / (n[1] + 2.0 * n[2]);
        let estimates = [1, 2, 3].map(|k| k as f32 - (k + 1) as f32 * y * n[k + 1] / n[k]);
        let mut discounts = [0.5, 1.0, 1.5];
        for (k, estimate) in (1_u8..).zip(estimates) {
            if n[1..].iter().all(|&n| n >= 20.0) && (0.0..f32::from(k)).contains(&estimate) {
                discounts[usize::from(k) - 1] = estimate;
            }
        }
        Self(discounts)
    }

    pub(super) fn of(self, count: u32) -> f32 {
        match count {
            0 => 0.0,
            1..=3 => self.0[count as usize - 1],
            _ => self.0[2],
        }
    }

    /// The count after discounting.
    pub(super) fn apply(self, count: u32) -> f32 {
        (count as f32 - self.of(count)).max(0.0)
    }
}

/// The counts of the order below, from counts of an order and which of its n-grams are kept: each hands down one if it
/// is kept, all if not. With all kept these are Kneser-Ney's continuation counts.
pub(super) fn hand_down(grams: &Grams, counts: &[u32], kept: impl Fn(usize) -> bool, into: &mut [u32]) {
    for (at, (&suffix, &count)) in grams.suffix.iter().zip(counts).enumerate() {
        into[suffix as usize] += if kept(at) { count.min(1) } else { count };
    }
}

/// What counts of an order start with: occurrences for what starts a message, else nothing.
pub(super) fn initial_counts(grams: &Grams) -> Vec<u32> {
    let count = |at| if grams.starts_message(at) { grams.counts[at] } else { 0 };
    (0..grams.len()).map(count).collect()
}

/// P of each id: discounted shares and, for the rest, the same for all that can be predicted.
pub(super) fn unigrams(counts: &[u32], discounts: Discounts) -> Vec<f32> {
    let predicted = |id: usize| !STARTS.contains(&(id as u16));
    let total: f64 = counts.iter().map(|&count| f64::from(count)).sum();
    let kept: f64 = counts.iter().map(|&count| f64::from(discounts.apply(count))).sum();
    let rest = (1.0 - kept / total) / (counts.len() - STARTS.len()) as f64;
    let prob = |(id, &count)| {
        if predicted(id) { (f64::from(discounts.apply(count)) / total + rest) as f32 } else { 0.0 }
    };
    counts.iter().enumerate().map(prob).collect()
}

/// The full model, before anything is dropped.
pub(super) struct Gains {
    /// Of orders 1 to [`ORDER`].
    pub(super) discounts: [Discounts; ORDER],
    /// For each n-gram of orders 2 to [`ORDER`], how much its probability exceeds that by the shorter context, in nats.
    pub(super) nats: Vec<Vec<f32>>,
    /// Number of ids.
    pub(super) ids: usize,
}

/// Estimates the unpruned model to find out what each n-gram adds to it.
pub(super) fn gains(orders: &[Grams], ids: usize, progress: &mut dyn FnMut(f32)) -> Gains {
    let mut counts = vec![Vec::new(); ORDER];
    counts[ORDER - 1].clone_from(&orders[ORDER - 2].counts);
    for order in (1..ORDER).rev() {
        let mut below = if order == 1 { vec![0; ids] } else { initial_counts(&orders[order - 2]) };
        hand_down(&orders[order - 1], &counts[order], |_| true, &mut below);
        counts[order - 1] = below;
        progress(0.5 * (1.0 - order as f32 / ORDER as f32));
    }
    let discounts = std::array::from_fn(|at| Discounts::estimate(counts[at].iter().copied()));
    let mut probs = unigrams(&counts[0], discounts[0]);
    let mut nats = Vec::new();
    for order in 2..=ORDER {
        let grams = &orders[order - 2];
        let counts = &counts[order - 1];
        let discount = discounts[order - 1];
        let mut these = vec![0.0; grams.len()];
        let mut gains = vec![0.0; grams.len()];
        for run in grams.contexts() {
            let total = counts[run.clone()].iter().sum::<u32>() as f32;
            let taken: f32 = counts[run.clone()].iter().map(|&count| discount.of(count)).sum();
            for at in run {
                let shorter = taken / total * probs[grams.suffix[at] as usize];
                these[at] = discount.apply(counts[at]) / total + shorter;
                gains[at] = (these[at] / shorter).ln();
            }
        }
        probs = these;
        nats.push(gains);
        progress(0.5 + 0.5 * (order - 1) as f32 / (ORDER - 1) as f32);
    }
    Gains { discounts, nats, ids }
}
