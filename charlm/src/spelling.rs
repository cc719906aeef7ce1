//! The spelling model of the service: lexicon and character n-gram, mixed.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Adapted, CharNgram, Delta, Error, Lexicon, correct};

/// P(w) = λ · P_lexicon(w) + (1 − λ) · P_chars(w), for every string.
#[derive(Debug)]
pub struct Spelling {
    lexicon: Lexicon,
    chars: CharNgram,
    /// The bits of P_chars of each listed word that was asked for; 0: not yet. Spelling a word letter by letter is most of
    /// what a candidate costs, and the same words are asked for all day.
    spelled: Vec<AtomicU32>,
}

impl Spelling {
    /// Opens the two files of a bundle.
    ///
    /// # Errors
    /// As [`Lexicon::open`] and [`CharNgram::open`]; the error names the file.
    pub fn open(lexicon: impl AsRef<Path>, chars: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self::new(Lexicon::open(lexicon)?, CharNgram::open(chars)?))
    }

    /// Joins a lexicon and a character model; λ is the one stored with the latter.
    pub fn new(lexicon: Lexicon, chars: CharNgram) -> Self {
        let spelled = (0..lexicon.len()).map(|_| AtomicU32::new(0)).collect();
        Self { lexicon, chars, spelled }
    }

    /// The lexicon.
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// The character model.
    pub fn chars(&self) -> &CharNgram {
        &self.chars
    }

    /// Whether the surface is in the lexicon.
    pub fn contains(&self, surface: &str) -> bool {
        self.lexicon.contains(surface)
    }

    /// This model as a writer's words change it.
    pub fn with<'a>(&'a self, delta: Option<&'a Delta>) -> Adapted<'a> {
        Adapted::new(self, delta)
    }

    /// The probability of the whole word. Of very long strings it is too small for an f32, and the smallest there is:
    /// use [`log_prob`](Self::log_prob) to compare those.
    pub fn prob(&self, surface: &str) -> f32 {
        self.with(None).prob(surface)
    }

    /// ln of [`prob`](Self::prob), finite for every string.
    pub fn log_prob(&self, surface: &str) -> f32 {
        self.with(None).log_prob(surface)
    }

    /// The probability of all words that start with `prefix`: what [`prob`](Self::prob) is divided by once it is typed.
    pub fn mass(&self, prefix: &str) -> f32 {
        self.with(None).mass(prefix)
    }

    /// ln of [`mass`](Self::mass), finite for every string.
    pub fn log_mass(&self, prefix: &str) -> f32 {
        self.with(None).log_mass(prefix)
    }

    /// The `k` best [suggestible](crate::suggestible) words that start with `prefix` and are longer, with their
    /// [`prob`](Self::prob), best first, ties in byte order.
    ///
    /// They are the best of the lexicon and, once two letters are typed, of the words that the character model spells
    /// and the lexicon does not have.
    pub fn top(&self, prefix: &str, k: usize) -> Vec<(String, f32)> {
        self.with(None).top(prefix, k)
    }

    /// Whether no listed word starts with a prefix of three letters or more: then it is a new word, or a slip.
    pub fn leads_nowhere(&self, prefix: &str) -> bool {
        let mut letters = prefix.strip_prefix(' ').unwrap_or(prefix).chars();
        letters.clone().nth(correct::SHORTEST - 1).is_some()
            && letters.all(char::is_alphabetic)
            && self.lexicon.mass(prefix) == 0.0
    }

    /// P_chars of a listed word. Threads that ask for it at once all work out the same.
    pub(crate) fn remembered(&self, word: usize, spell: impl FnOnce() -> f32) -> f32 {
        match self.spelled[word].load(Ordering::Relaxed) {
            0 => {
                let prob = spell();
                self.spelled[word].store(prob.to_bits(), Ordering::Relaxed);
                prob
            }
            bits => f32::from_bits(bits),
        }
    }

    pub(crate) fn mix(&self, listed: f32, spelled: f32) -> f32 {
        let lambda = self.chars.lambda();
        lambda * listed + (1.0 - lambda) * spelled
    }

    pub(crate) fn mix_logs(&self, listed: f32, ln_spelled: f32) -> f32 {
        let lambda = f64::from(self.chars.lambda());
        let spelled = (1.0 - lambda).ln() + f64::from(ln_spelled);
        let listed = (lambda * f64::from(listed)).ln();
        let (high, low) = if listed > spelled { (listed, spelled) } else { (spelled, listed) };
        (high + (low - high).exp().ln_1p()) as f32
    }
}
