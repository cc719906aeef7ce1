//! One writer's mixture weights, and the losses they learn from.
//!
//! The weights sit in evidence buckets and are learned online as the proportions of a mixture (Helmbold, Schapire,
//! Singer and Warmuth 1997, "A comparison of new and old algorithms for a mixture estimation problem"), with a share
//! that returns to the prior (Herbster and Warmuth 1998) and members that may sleep (Freund et al. 1997). They are
//! kept *relative* to the bundle's fitted prior, or to that and what the writer's team says of it, and an event carries the prior it was
//! made under, so the fold over a writer's events needs neither bundle nor team.
//!
//! Fixed share alone, whose step is the posterior over members, looks for the one best member of each stretch: a
//! single rare word moves all weight, and the mixture is the poorer for it. A step of one twentieth towards that
//! posterior estimates the mixture itself.

use super::bucket::{ALONE, BUCKETS, FIRST_BUCKETS, first_of, of_first, of_one_kind};
use crate::engine::Predictor;

/// Members of the mixture.
pub const MEMBERS: usize = Predictor::ALL.len();

/// Members, as the first releases stored them.
const FIRST_MEMBERS: usize = 4;

/// The share of every weight that returns to the prior at each word: writers change topic.
const SHARE: f32 = 0.01;

/// How far one word moves the weights towards their posterior.
const RATE: f32 = 0.05;

/// What one loss takes when stored: bucket, priors, log-probabilities.
const fn stored(members: usize) -> usize {
    1 + members + 2 * members
}

/// The log-probability that is stored for a sleeping member.
const ASLEEP: i16 = i16::MIN;

/// A prior weight as it is stored, in 255ths. Who has some has one of them at least: nothing could never become more.
pub fn in_255ths(weight: f32) -> u8 {
    let least = f32::from(u8::from(weight > 0.0));
    (weight * 255.0).round().clamp(least, 255.0) as u8
}

/// What each member lost on one word.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loss {
    /// Where the word stood: an index below [`BUCKETS`].
    pub bucket: u8,
    /// The weights there that the writer's own start from, the bundle's or a team's, in 255ths, by [`Predictor`].
    pub prior: [u8; MEMBERS],
    /// Natural log-probability of the word by [`Predictor`]; `None`: asleep.
    pub log_probs: [Option<f32>; MEMBERS],
}

/// The losses of one message, a word each; part of its learn event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses(pub Vec<Loss>);

impl Losses {
    /// The stored form: the number of members, then per word the bucket, the prior and log-probabilities in hundredths of a
    /// nat.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + self.0.len() * stored(MEMBERS));
        out.push(MEMBERS as u8);
        for loss in &self.0 {
            out.push(loss.bucket);
            out.extend(loss.prior);
            for log_prob in loss.log_probs {
                // Clamped above ASLEEP: a probability of e^-327 is as good as none.
                let centi = log_prob.map_or(ASLEEP, |p| (p * 100.0).round().clamp(-32_767.0, 0.0) as i16);
                out.extend(centi.to_le_bytes());
            }
        }
        out
    }

    /// `None`: not a stored form. Members that came after it was written slept.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (members, words) = bytes.split_first()?;
        Self::read(words, usize::from(*members), |bucket| bucket)
    }

    /// The same of versions 2 and 3 of the events; whether the message answered others is to be guessed.
    pub fn from_one_kind(bytes: &[u8], answers: bool) -> Option<Self> {
        let (members, words) = bytes.split_first()?;
        Self::read(words, usize::from(*members), |bucket| of_one_kind(bucket, answers))
    }

    /// The same of version 1.
    pub fn from_first(bytes: &[u8], answers: bool) -> Option<Self> {
        Self::read(bytes, FIRST_MEMBERS, |bucket| of_one_kind(of_first(bucket), answers))
    }

    fn read(bytes: &[u8], members: usize, bucket_of: impl Fn(usize) -> usize) -> Option<Self> {
        if members > MEMBERS || !bytes.len().is_multiple_of(stored(members)) {
            return None;
        }
        let losses = bytes.chunks_exact(stored(members)).map(|chunk| {
            let (head, tail) = chunk.split_at(1 + members);
            let (mut prior, mut log_probs) = ([0; MEMBERS], [None; MEMBERS]);
            prior[..members].copy_from_slice(&head[1..]);
            for (slot, pair) in log_probs.iter_mut().zip(tail.chunks_exact(2)) {
                let centi = i16::from_le_bytes([pair[0], pair[1]]);
                *slot = (centi != ASLEEP && centi <= 0).then(|| f32::from(centi) / 100.0);
            }
            let bucket = bucket_of(usize::from(head[0]));
            (bucket < BUCKETS).then_some(Loss { bucket: bucket as u8, prior, log_probs })
        });
        losses.collect::<Option<Vec<_>>>().map(Self)
    }
}

impl Losses {
    /// The same as they will be read back, so that what is applied now and what is replayed later agree.
    pub fn as_stored(self) -> Self {
        Self::from_bytes(&self.to_bytes()).unwrap_or_default()
    }
}

/// One writer's mixture weights, as factors on the bundle's.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    factors: Vec<[f32; MEMBERS]>,
}

impl Default for Weights {
    fn default() -> Self {
        Self::new()
    }
}

impl Weights {
    /// Those of a new writer: the bundle's.
    pub fn new() -> Self {
        Self { factors: vec![[1.0; MEMBERS]; BUCKETS] }
    }

    /// The factors of a bucket, by [`Predictor`].
    pub fn factors(&self, bucket: usize) -> [f32; MEMBERS] {
        self.factors[bucket]
    }

    /// Learns from one message, a word after the other.
    pub fn apply(&mut self, losses: &Losses) {
        for loss in &losses.0 {
            self.apply_word(loss, loss.prior);
        }
    }

    /// Learns from one message under another prior than it was sent with: a row a bucket, in 255ths.
    pub fn apply_under(&mut self, losses: &Losses, prior: &[[u8; MEMBERS]]) {
        for loss in &losses.0 {
            self.apply_word(loss, prior[usize::from(loss.bucket)]);
        }
    }

    /// π ← (1 - η) π + η π P(w) / Σ π P(w) over the members that are awake, their total kept, then the share back to
    /// the prior.
    fn apply_word(&mut self, loss: &Loss, prior: [u8; MEMBERS]) {
        let factors = &mut self.factors[usize::from(loss.bucket)];
        // Relative to the best, so that the exponentials cannot all vanish.
        let best = loss.log_probs.iter().flatten().copied().fold(f32::NEG_INFINITY, f32::max);
        if best == f32::NEG_INFINITY {
            return;
        }
        let (mut total, mut mixed) = (0.0, 0.0);
        for ((factor, prior), log_prob) in factors.iter().zip(prior).zip(loss.log_probs) {
            if let Some(log_prob) = log_prob {
                let weight = factor * f32::from(prior);
                total += weight;
                mixed += weight * (log_prob - best).exp();
            }
        }
        if mixed <= 0.0 {
            return;
        }
        for ((factor, prior), log_prob) in factors.iter_mut().zip(prior).zip(loss.log_probs) {
            // A factor on nothing would be part of no total, and grow without an end.
            if let (Some(log_prob), true) = (log_prob, prior > 0) {
                let posterior = *factor * (log_prob - best).exp() * total / mixed;
                let moved = (1.0 - RATE) * *factor + RATE * posterior;
                *factor = (1.0 - SHARE) * moved + SHARE;
            }
        }
    }

    /// The stored form: the number of members, then the factors as little-endian f32.
    pub fn to_bytes(&self) -> Vec<u8> {
        let factors = self.factors.iter().flatten().flat_map(|f| f.to_le_bytes());
        std::iter::once(MEMBERS as u8).chain(factors).collect()
    }

    /// `None`: not a stored form.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (members, factors) = bytes.split_first()?;
        Self::read(factors, usize::from(*members), BUCKETS, |bucket| bucket)
    }

    /// The same of snapshots that told no conversations from other texts: the factors hold for both.
    pub fn from_one_kind(bytes: &[u8]) -> Option<Self> {
        let (members, factors) = bytes.split_first()?;
        Self::read(factors, usize::from(*members), ALONE, |bucket| bucket % ALONE)
    }

    /// The same of the first versions of the snapshots. What is new takes the factors of what it was part of.
    pub fn from_first(bytes: &[u8]) -> Option<Self> {
        Self::read(bytes, FIRST_MEMBERS, FIRST_BUCKETS, first_of)
    }

    /// `stored_at`: where a bucket's factors are among those stored. Members that came later have the bundle's weight.
    fn read(
        bytes: &[u8],
        members: usize,
        buckets: usize,
        stored_at: impl Fn(usize) -> usize,
    ) -> Option<Self> {
        if members == 0 || members > MEMBERS || bytes.len() != buckets * members * 4 {
            return None;
        }
        let mut weights = Self::new();
        for (bucket, factors) in weights.factors.iter_mut().enumerate() {
            let from = stored_at(bucket) * members * 4;
            for (factor, b) in factors.iter_mut().zip(bytes[from..from + members * 4].chunks_exact(4)) {
                *factor = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                if !(factor.is_finite() && *factor >= 0.0) {
                    return None;
                }
            }
        }
        Some(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of four members; the others sleep.
    fn loss(bucket: u8, four: [Option<f32>; 4]) -> Loss {
        let mut log_probs = [None; MEMBERS];
        log_probs[..4].copy_from_slice(&four);
        Loss { bucket, prior: [51; MEMBERS], log_probs }
    }

    #[test]
    fn one_word_is_a_step_towards_the_posterior_and_a_share() {
        let mut weights = Weights::new();
        weights.apply(&Losses(vec![loss(3, [Some(0.5_f32.ln()), Some(0.1_f32.ln()), None, None])]));
        let [a, b, c, d, ..] = weights.factors(3);
        let (good, bad) = (2.0 * 0.5 / 0.6, 2.0 * 0.1 / 0.6);
        let step = |posterior: f32| 0.99 * (0.95 + 0.05 * posterior) + 0.01;
        assert!((a - step(good)).abs() < 1e-4, "{a}");
        assert!((b - step(bad)).abs() < 1e-4, "{b}");
        assert_eq!((c, d), (1.0, 1.0), "who sleeps keeps its weight");
        assert_eq!(weights.factors(4), [1.0; MEMBERS], "other buckets are untouched");
    }

    #[test]
    fn estimates_the_proportions_of_a_mixture() {
        // Three words of four are the first member's, the fourth is the second's: not the better one alone.
        let words = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.001, 0.5]];
        let losses = words.map(|[a, b]: [f32; 2]| loss(0, [Some(a.ln()), Some(b.ln()), None, None]));
        let mut weights = Weights::new();
        for _ in 0..100 {
            weights.apply(&Losses(losses.to_vec()));
        }
        let [a, b, ..] = weights.factors(0);
        let share = b / (a + b);
        // The likeliest share by brute force, which the step towards the prior moves to the middle a little.
        let likelihood = |s: f32| words.iter().map(|[a, b]| ((1.0 - s) * a + s * b).ln()).sum::<f32>();
        let best =
            (1..100).map(|i| i as f32 / 100.0).max_by(|a, b| likelihood(*a).total_cmp(&likelihood(*b)));
        let best = best.expect("a hundred shares");
        assert!((share - best).abs() < 0.08, "{share}, likeliest {best}");
    }

    #[test]
    fn converges_to_the_better_member_and_back_after_a_change() {
        let mut weights = Weights::new();
        let early = loss(0, [Some(-4.0), Some(-1.0), Some(-4.0), Some(-4.0)]);
        weights.apply(&Losses(vec![early; 200]));
        assert!(weights.factors(0)[1] > 3.0, "{:?}", weights.factors(0));
        let late = loss(0, [Some(-1.0), Some(-4.0), Some(-4.0), Some(-4.0)]);
        weights.apply(&Losses(vec![late; 60]));
        assert!(weights.factors(0)[0] > 2.5, "the share back lets it change: {:?}", weights.factors(0));
    }

    #[test]
    fn impossible_words_leave_finite_weights() {
        let mut weights = Weights::new();
        weights.apply(&Losses(vec![loss(0, [Some(-400.0), Some(-1.0), None, None]); 200]));
        assert!(weights.factors(0).iter().all(|f| f.is_finite() && *f >= 0.0));
        weights.apply(&Losses(vec![loss(0, [None; 4])]));
    }

    #[test]
    fn who_weighs_nothing_does_not_grow() {
        let mut weights = Weights::new();
        let prior = [0, 254, 1, 0, 0, 0];
        let word = Loss { prior, ..loss(5, [Some(-0.1), Some(-2.0), Some(-0.1), None]) };
        (0..5_000).for_each(|_| weights.apply(&Losses(vec![word.clone()])));
        let factors = weights.factors(5);
        assert_eq!(factors[0], 1.0);
        assert!(factors.iter().all(|factor| factor.is_finite()) && factors[2] > 100.0, "{factors:?}");
        assert_eq!(Weights::from_bytes(&weights.to_bytes()), Some(weights));
    }

    proptest! {
        #[test]
        fn weights_reload_as_learned(words in prop::collection::vec((0..BUCKETS as u8, -9.0..0.0_f32), 0..40)) {
            let losses = Losses(words.iter().map(|&(b, p)| loss(b, [Some(p), Some(-1.0), None, Some(p / 2.0)])).collect());
            let reloaded = Losses::from_bytes(&losses.to_bytes()).expect("own bytes");
            prop_assert_eq!(reloaded.to_bytes(), losses.to_bytes());
            let mut weights = Weights::new();
            weights.apply(&reloaded);
            prop_assert_eq!(Weights::from_bytes(&weights.to_bytes()), Some(weights));
        }

        #[test]
        fn weights_of_the_first_releases_are_read(words in prop::collection::vec((0_u8..60, 0.0..3.0_f32), 1..40)) {
            let mut factors = [[1.0_f32; FIRST_MEMBERS]; 60];
            words.iter().for_each(|&(bucket, factor)| factors[usize::from(bucket)][1] = factor);
            let bytes: Vec<u8> = factors.iter().flatten().flat_map(|factor| factor.to_le_bytes()).collect();
            let weights = Weights::from_first(&bytes).expect("their bytes");
            for (bucket, stored) in factors.iter().enumerate() {
                for answers in [false, true] {
                    let bucket = of_one_kind(of_first(bucket), answers);
                    prop_assert_eq!(&weights.factors(bucket)[..FIRST_MEMBERS], stored);
                }
            }
            prop_assert!(Weights::from_first(&bytes[4..]).is_none());
        }

        #[test]
        fn weights_of_one_kind_are_those_of_both(words in prop::collection::vec((0..ALONE as u8, -9.0..0.0_f32), 0..40)) {
            let losses = Losses(words.iter().map(|&(b, p)| loss(b, [Some(p), Some(-1.0), None, Some(p / 2.0)])).collect());
            let of = |answers| Losses::from_one_kind(&losses.to_bytes(), answers).expect("their bytes");
            prop_assert_eq!(of(false).to_bytes(), losses.to_bytes());
            let mut weights = Weights::new();
            weights.apply(&of(false));
            let bytes = weights.to_bytes();
            let both = Weights::from_one_kind(&bytes[..1 + ALONE * MEMBERS * 4]).expect("their bytes");
            for bucket in 0..ALONE {
                prop_assert_eq!(both.factors(bucket), weights.factors(bucket));
                prop_assert_eq!(both.factors(bucket + ALONE), weights.factors(bucket));
            }
            weights.apply(&of(true));
            prop_assert!((0..ALONE).all(|bucket| weights.factors(bucket) == weights.factors(bucket + ALONE)));
            prop_assert!(Losses::from_one_kind(&Losses(vec![loss(ALONE as u8, [None; 4])]).to_bytes(), false).is_none());
        }

        #[test]
        fn foreign_bytes_are_refused_or_harmless(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(losses) = Losses::from_bytes(&bytes) {
                Weights::new().apply(&losses);
            }
            prop_assert!(Weights::from_bytes(&bytes).is_none());
        }
    }
}
