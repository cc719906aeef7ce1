//! A share of the lists stands in random order below the first place, to tell what a place itself does.
//!
//! Writers favour what stands high, and what stands high is likelier. Only where chance decided what stood where can the two be told
//! apart: what is seen there counts by the inverse of its propensity, the probability that it stood there (Horvitz and Thompson
//! 1952; for rankings Joachims, Swaminathan and Schnabel 2017), so that in what is learned every candidate stood everywhere below
//! the first place equally often.

use crate::session::Offer;
use crate::writer::{SLOTS, slot};

/// How lists are shuffled, and the chance of one of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shuffle {
    share: f32,
    seed: u64,
}

impl Shuffle {
    /// Of all lists the `share`, from 0 to 1, is shuffled; `seed` says whether and how this one is.
    pub fn new(share: f32, seed: u64) -> Self {
        Self { share, seed }
    }

    /// For each place of a list the rank of what stands there. The first stays the first.
    pub fn order(self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        let mut chance = Chance(self.seed);
        if count > 2 && chance.unit() < f64::from(self.share) {
            for place in (2..count).rev() {
                // One of those up to here, but the first.
                let other = 1 + (chance.unit() * place as f64) as usize;
                order.swap(place, other.min(place));
            }
        }
        order
    }

    /// What one look counts at what has this rank and stands at this place of a list: 1 on average.
    pub fn weight(self, count: usize, rank: usize, place: usize) -> f32 {
        if count < 3 || place == 0 || self.share <= 0.0 {
            return 1.0;
        }
        let others = (count - 1) as f32;
        // Of the places below the first one is the second, and all others are the last slot.
        let by_chance = if slot(place) == SLOTS - 1 { (others - 1.0) / others } else { 1.0 / others };
        let unmoved = if slot(rank) == slot(place) { 1.0 - self.share } else { 0.0 };
        by_chance / (unmoved + self.share * by_chance)
    }

    /// A list in the order in which it is shown.
    pub(crate) fn placed(self, order: &[usize], offers: &[Offer]) -> Vec<Offer> {
        let at = |(place, &rank): (usize, &usize)| {
            let weight = self.weight(offers.len(), rank, place);
            Offer { weight, ..offers[rank].clone() }
        };
        order.iter().enumerate().map(at).collect()
    }
}

/// Splitmix64 (Steele, Lea and Flood 2014): good enough to shuffle ten things, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as f64 / 2.0_f64.powi(64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::writer::Attention;
    use crate::writer::event::fixed;

    #[test]
    fn a_share_of_the_lists_is_shuffled_and_each_order_as_often() {
        let mut seen = std::collections::BTreeMap::<Vec<usize>, u32>::new();
        for seed in 0..60_000 {
            *seen.entry(Shuffle::new(0.6, seed).order(4)).or_default() += 1;
        }
        assert_eq!(seen.len(), 6);
        let as_ranked = seen.remove(&vec![0, 1, 2, 3]).unwrap_or_default();
        assert!((as_ranked as f32 / 60_000.0 - (0.4 + 0.6 / 6.0)).abs() < 0.01, "{as_ranked}");
        assert!(seen.values().all(|times| (*times as f32 / 60_000.0 - 0.1).abs() < 0.01), "{seen:?}");
        assert_eq!(Shuffle::new(1.0, 7).order(2), [0, 1], "nothing to shuffle");
        assert_eq!(Shuffle::new(0.0, 7).order(9), (0..9).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn every_order_is_one_and_weights_make_up_for_it(
            seed: u64, share in 0.05..1.0_f32, count in 1_usize..10, rank in 1_usize..10,
        ) {
            let shuffle = Shuffle::new(share, seed);
            let mut order = shuffle.order(count);
            prop_assert_eq!(order.first(), Some(&0));
            order.sort_unstable();
            prop_assert_eq!(order, (0..count).collect::<Vec<_>>());
            // Weighed, what has any rank stands in each slot as often as if all lists were shuffled.
            if count > 2 && rank < count {
                let others = (count - 1) as f32;
                let share_of = |place: usize| {
                    let unmoved = if place == rank { 1.0 - share } else { 0.0 };
                    (unmoved + share / others) * shuffle.weight(count, rank, place)
                };
                prop_assert!((share_of(1) - 1.0 / others).abs() < 1e-4);
                let below: f32 = (2..count).map(share_of).sum();
                prop_assert!((below - (others - 1.0) / others).abs() < 1e-4);
            }
        }
    }

    /// A writer who looks at the slots with these probabilities, and takes what has the second rank more readily than what has a
    /// lower one: what is learned, as the share of looks that find.
    fn learned(share: f32, words: u64) -> [f32; SLOTS] {
        const LOOKS: [f64; SLOTS] = [0.8, 0.5, 0.25];
        const TAKEN: [f64; 4] = [1.0, 0.9, 0.5, 0.5];
        const COUNT: usize = 4;
        let (mut chance, mut attention) = (Chance(1), Attention::default());
        let mut key = 0;
        for _ in 0..words {
            let rank = [0, 0, 1, 1, 2, 3][(chance.unit() * 6.0) as usize];
            let mut passed = [0.0; SLOTS];
            loop {
                key += 1;
                let shuffle = Shuffle::new(share, key);
                let order = shuffle.order(COUNT);
                let place = order.iter().position(|at| *at == rank).unwrap_or_default();
                let weight = shuffle.weight(COUNT, rank, place);
                if chance.unit() < LOOKS[slot(place)] * TAKEN[rank] {
                    attention.took(place, fixed(weight), passed.map(fixed));
                    break;
                }
                passed[slot(place)] += weight;
            }
        }
        attention.untaken().map(|untaken| 1.0 - untaken)
    }

    #[test]
    fn what_is_learned_of_the_slots_is_unbiased_where_lists_are_shuffled() {
        let [first, second, last] = learned(0.2, 60_000);
        assert!((first - 0.8).abs() < 0.02, "{first}");
        // Whatever stands there, the second slot is looked at twice as often as those below.
        assert!((second / last - 2.0).abs() < 0.15, "{second} and {last}");
        let [_, second, last] = learned(0.0, 60_000);
        assert!(
            second / last > 3.0,
            "without chance its likelier words are taken for the slot: {second} and {last}"
        );
    }
}
