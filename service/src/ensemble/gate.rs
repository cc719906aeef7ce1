//! Whether the GPT-2 is worth a thread's time at a place.
//!
//! What asking gains is learned from held-out text: how much oftener the right word is shown first, less what more wrong ones cost
//! to read, by how much of the word is typed and how sure the fast tier is without it. How much that is for this writer, and what
//! more passes add to it, is learned while they type ([`Gained`]): where every second sentence was written before it is ten times
//! what it is in mails. What a thread's time costs is its price: nothing while nobody waits, more the longer the queue. A question
//! is put as deep as pays.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mixture::PREFIX_CLASSES;
use crate::inference::Depth;

/// Classes of the fast tier's best probability, equally wide.
pub const BINS: usize = 10;
/// Examples that the mean of a class weighs as much as, in each of its bins.
const PULL: f32 = 20.0;
/// What a wrong word that is shown costs, in keystrokes.
const WRONG: f32 = 0.25;

/// How deep a question may go, and what of the urgency found at its place is gained by that: of the first words, and of what follows
/// them. Fitted to what whole messages gained when they were typed with each depth, in chats, meetings and mails.
const DEPTHS: [(Depth, f32, f32); 5] = [
    (Depth { passes: 6, narrow: false }, 1.0, 0.58),
    (Depth { passes: 3, narrow: true }, 1.0, 0.56),
    (Depth { passes: 2, narrow: true }, 1.0, 0.32),
    (Depth { passes: 1, narrow: true }, 0.92, 0.0),
    (Depth { passes: 0, narrow: true }, 0.38, 0.0),
];

/// What asking gains that the urgency of one place does not show, as a multiple of what the fit says: who is never asked is not
/// asked at the next key either.
const BEYOND: f32 = 0.65;

/// How many questions back it counts what asking gained.
const MEMORY: f32 = 64.0;
/// Questions that what holds for everybody weighs as much as, against what was found of one writer.
const BEFORE: f32 = 8.0;
/// Keystrokes that the fit expects of a question, about.
const USUAL: f32 = 0.08;
/// Keystrokes that more passes gain, before anything was found.
const DEEPER: f32 = 0.01;

/// Keystrokes that asking gains at least: the fit counts first words only.
const LEAST: f32 = 0.02;

/// Keystrokes that a usual question's time is worth for each such that the queue is long. With too little the queue grows until it is
/// deadlines that refuse questions, and those ask nobody what would have been gained.
const PRICE: f32 = 0.01;

/// What asking gained lately, of one writer or of everybody: sums of which the older count less. Written without a lock: of two at
/// once one may be lost, which the next make up for.
#[derive(Debug, Default)]
pub struct Gained {
    questions: AtomicU32,
    expected: AtomicU32,
    found: AtomicU32,
    deeper: AtomicU32,
}

impl Gained {
    /// What the fit `expected` of a question, what its first pass was `found` to gain, and what the others added; keystrokes.
    pub fn learn(&self, expected: f32, found: f32, deeper: f32) {
        let sums = [
            (&self.questions, 1.0),
            (&self.expected, expected),
            (&self.found, found),
            (&self.deeper, deeper),
        ];
        for (sum, new) in sums {
            sum.store((load(sum) * (1.0 - 1.0 / MEMORY) + new).to_bits(), Ordering::Relaxed);
        }
    }

    /// What is to be expected, as far as `before` was right.
    fn since(&self, before: Gain) -> Gain {
        let expected = BEFORE * USUAL + load(&self.expected);
        let found = BEFORE * USUAL * before.ratio + load(&self.found);
        let deeper = BEFORE * before.deeper + load(&self.deeper);
        Gain {
            ratio: (found / expected).max(0.0),
            deeper: (deeper / (BEFORE + load(&self.questions))).max(0.0),
        }
    }
}

fn load(sum: &AtomicU32) -> f32 {
    f32::from_bits(sum.load(Ordering::Relaxed))
}

/// What asking is expected to gain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    /// With one pass, as a multiple of what the fit says.
    ratio: f32,
    /// Keystrokes that more passes add.
    deeper: f32,
}

impl Gain {
    /// As everybody's questions have it, and the writer's own, if there are any.
    pub fn of(everybody: &Gained, writer: Option<&Gained>) -> Self {
        let all = everybody.since(Self { ratio: 1.0, deeper: DEEPER });
        writer.map_or(all, |writer| writer.since(all))
    }
}

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

    /// How deep a question is worth going that would wait so long, and take so long for each depth, where one takes so long as a rule;
    /// `None`: it is not worth asking.
    pub fn depth(
        &self,
        (class, best): (usize, f32),
        gain: Gain,
        (wait, usual): (Duration, Duration),
        cost: impl Fn(Depth) -> Duration,
    ) -> Option<Depth> {
        let questions = |time: Duration| time.as_secs_f32() / usual.as_secs_f32().max(1e-6);
        // Where nothing better was seen it may still go on further: it is asked as long as that costs nothing.
        let first = ((BEYOND + gain.ratio) * self.gain(class, best)).max(LEAST);
        let price = PRICE * questions(wait);
        let profits = DEPTHS.into_iter().map(|(depth, of_first, of_deeper)| {
            (depth, of_first * first + of_deeper * gain.deeper - price * questions(cost(depth)))
        });
        // The deepest of the best, which come first.
        let best = profits.reduce(|best, other| if other.1 > best.1 { other } else { best });
        best.filter(|(_, profit)| *profit > 0.0).map(|(depth, _)| depth)
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
    fn the_longer_others_wait_the_less_is_asked_and_least_where_it_gains_least() {
        let gate = Gate(vec![[0.1; BINS]; PREFIX_CLASSES]);
        let cost = |depth: Depth| Duration::from_micros(100 + 500 * depth.passes as u64);
        let usual = cost(Depth { passes: 1, narrow: true });
        let passes = |gain: Gain, waiting: u32| {
            gate.depth((1, 0.2), gain, (usual * waiting / 10, usual), cost).map(|depth| depth.passes)
        };
        let (chat, mail) = (Gain { ratio: 3.0, deeper: 0.2 }, Gain { ratio: 0.5, deeper: 0.0 });
        assert_eq!((passes(chat, 0), passes(mail, 0)), (Some(6), Some(6)), "time costs nothing");
        assert_eq!((passes(chat, 2), passes(mail, 2)), (Some(3), Some(2)));
        assert_eq!((passes(chat, 30), passes(mail, 30)), (Some(3), Some(1)));
        assert_eq!((passes(chat, 90), passes(mail, 90)), (Some(2), Some(0)));
        assert_eq!((passes(chat, 200), passes(mail, 200)), (Some(1), Some(0)));
        assert_eq!((passes(chat, 2_000), passes(mail, 2_000)), (None, None));
        let slower = |wait: Duration| gate.depth((1, 0.2), chat, (wait, usual * 9), |depth| 9 * cost(depth));
        assert_eq!(
            slower(usual * 9 * 3).map(|depth| depth.passes),
            passes(chat, 30),
            "the same on any machine"
        );
    }

    #[test]
    fn what_asking_gained_is_learned_of_each_writer() {
        let (everybody, chat, mail) = (Gained::default(), Gained::default(), Gained::default());
        let start = Gain::of(&everybody, None);
        assert_eq!((start.ratio, Gain::of(&everybody, Some(&chat))), (1.0, start), "as the fit has it");
        for _ in 0..200 {
            for (writer, found, deeper) in [(&chat, 0.3, 0.2), (&mail, 0.02, 0.0)] {
                writer.learn(0.1, found, deeper);
                everybody.learn(0.1, found, deeper);
            }
        }
        let newcomer = Gained::default();
        let of = |writer| Gain::of(&everybody, writer);
        let [chat, mail, new] = [&chat, &mail, &newcomer].map(|writer| of(Some(writer)));
        assert!((chat.ratio - 3.0).abs() < 0.3 && (chat.deeper - 0.2).abs() < 0.02, "{chat:?}");
        assert!(mail.ratio < 0.5 && mail.deeper < 0.02, "{mail:?}");
        assert_eq!(new, of(None), "who is new is like the others");
        assert!(mail.ratio < new.ratio && new.ratio < chat.ratio, "{new:?}");
    }

    #[test]
    fn a_loss_is_no_reason_to_be_paid_for_asking() {
        let gained = Gained::default();
        (0..500).for_each(|_| gained.learn(0.1, -0.5, -0.1));
        assert_eq!(Gain::of(&gained, None), Gain { ratio: 0.0, deeper: 0.0 });
    }

    #[test]
    fn without_a_fit_everything_is_asked() {
        let gate = Gate::default();
        assert!(gate.is_valid() && gate.gain(0, 1.0) > 1e6);
    }
}
