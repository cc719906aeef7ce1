//! Whether the GPT-2 is worth a thread's time at a place.
//!
//! What asking gains is learned from held-out text: how much oftener the right word is shown first, less what more wrong ones cost
//! to read, by how much of the word is typed and how sure the fast tier is without it. What a thread's time costs is its price:
//! nothing while nobody waits, more the longer the queue. A question is put as deep as pays.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mixture::PREFIX_CLASSES;

/// Classes of the fast tier's best probability, equally wide.
pub const BINS: usize = 10;
/// Examples that the mean of a class weighs as much as, in each of its bins.
const PULL: f32 = 20.0;
/// What a wrong word that is shown costs, in keystrokes.
const WRONG: f32 = 0.25;

/// How deep a question may go: passes of the network, and what of the gain that has.
const DEPTHS: [(usize, f32); 2] = [(3, 1.0), (1, 0.9)];

/// Keystrokes that asking gains at least: the fit counts first words only.
const LEAST: f32 = 0.02;

/// Keystrokes a millisecond of a thread's time is worth for each that the queue is long.
const PRICE: f32 = 0.004;

/// Keystrokes that asking gains, by class of prefix and how sure the fast tier is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gate(Vec<[f32; BINS]>);

/// Asking always pays, whatever it costs: where nothing was fitted.
impl Default for Gate {
    fn default() -> Self {
        Self(vec![[f32::MAX; BINS]; PREFIX_CLASSES])
    }
}

/// A held-out place, answered without the GPT-2 and with it.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// Of the prefix.
    pub class: usize,
    /// The fast tier's best probability.
    pub best: f32,
    /// What was shown without it: whether that was right; `None`: nothing.
    pub without: Option<bool>,
    /// The same with it.
    pub with: Option<bool>,
}

impl Example {
    fn gain(&self) -> f32 {
        let worth = |shown: Option<bool>| shown.map_or(0.0, |right| if right { 1.0 } else { -WRONG });
        worth(self.with) - worth(self.without)
    }
}

impl Gate {
    /// Whether there is a finite gain for every place.
    pub fn is_valid(&self) -> bool {
        self.0.len() == PREFIX_CLASSES && self.0.iter().flatten().all(|gain| gain.is_finite())
    }

    /// Keystrokes that asking is expected to gain.
    pub fn gain(&self, class: usize, best: f32) -> f32 {
        self.0[class][bin(best)]
    }

    /// How many passes a question is worth that would wait so long, and take so long for each number of passes; `None`: it is not
    /// worth asking.
    pub fn passes(
        &self,
        (class, best): (usize, f32),
        wait: Duration,
        cost: impl Fn(usize) -> Duration,
    ) -> Option<usize> {
        let ms = |duration: Duration| duration.as_secs_f32() * 1e3;
        // Where nothing better was seen it may still go on further: it is asked as long as that costs nothing.
        let (gain, price) = (self.gain(class, best).max(LEAST), PRICE * ms(wait));
        let profit = |(passes, share): (usize, f32)| (passes, share * gain - price * ms(cost(passes)));
        let best = DEPTHS.into_iter().map(profit).max_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        best.filter(|(_, profit)| *profit > 0.0).map(|(passes, _)| passes)
    }

    /// The mean gain of the examples in each bin, pulled towards that of its class.
    pub fn fit(examples: &[Example]) -> Self {
        let mean = |sum: f32, count: f32, pull: f32| (sum + PULL * pull) / (count + PULL);
        let mut gate = Self(vec![[0.0; BINS]; PREFIX_CLASSES]);
        for (class, gains) in gate.0.iter_mut().enumerate() {
            let (mut sums, mut counts) = ([0.0; BINS], [0.0; BINS]);
            for example in examples.iter().filter(|example| example.class == class) {
                sums[bin(example.best)] += example.gain();
                counts[bin(example.best)] += 1.0;
            }
            let of_class = mean(sums.iter().sum(), counts.iter().sum(), 0.0);
            for ((gain, sum), count) in gains.iter_mut().zip(sums).zip(counts) {
                *gain = mean(sum, count, of_class);
            }
        }
        gate
    }
}

fn bin(best: f32) -> usize {
    ((best * BINS as f32) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_changed_nothing_it_is_not_worth_asking() {
        let example = |best, without, with| Example { class: 1, best, without, with };
        let sure = std::iter::repeat_n(example(0.95, Some(true), Some(true)), 500);
        let helped = std::iter::repeat_n(example(0.15, Some(false), Some(true)), 500);
        let silenced = std::iter::repeat_n(example(0.35, Some(false), None), 500);
        let gate = Gate::fit(&sure.chain(helped).chain(silenced).collect::<Vec<_>>());
        assert!(gate.is_valid());
        assert!(gate.gain(1, 0.99) < 0.05, "{gate:?}");
        assert!((gate.gain(1, 0.1) - 1.25).abs() < 0.1, "{gate:?}");
        assert!((gate.gain(1, 0.3) - 0.25).abs() < 0.05, "{gate:?}");
        assert!(gate.gain(0, 0.5) == 0.0, "nobody asked there");
        assert!(gate.gain(1, 0.5) > 0.3, "few examples: as elsewhere in the class");
    }

    #[test]
    fn without_a_fit_everything_is_asked() {
        let gate = Gate::default();
        assert!(gate.is_valid() && gate.gain(0, 1.0) > 1e6);
    }
}
