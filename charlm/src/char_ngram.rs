//! The character n-gram: a probability for every string.

use std::path::Path;

use crate::{
    AdaptedChars, Delta, Error,
    suggestible::is_apostrophe,
    tables::{FIRST, Layout, OTHER, Tables},
};

/// Unicode scalar values: 1,114,112 code points less 2,048 surrogates.
const SCALARS: f64 = 1_112_064.0;

/// An interpolated n-gram over the characters of surfaces (see the crate's README for how it is estimated).
///
/// A word is a walk from START to END; P(w) = Π P(cᵢ | the n − 1 before) · P(END | …), so the probabilities of all
/// strings sum to 1. Characters outside the alphabet share the probability of one escape symbol evenly.
#[derive(Debug)]
pub struct CharNgram {
    layout: Layout,
    /// ln of the share one character has of the escape symbol.
    ln_other: f64,
    /// Which characters of the alphabet a suggested word may have; asked for at every step of a search.
    letters: Vec<bool>,
}

/// What may follow a prefix; all probabilities together are 1.
#[derive(Debug, Clone, PartialEq)]
pub struct NextChars {
    /// Each character of the alphabet, in order.
    pub chars: Vec<(char, f32)>,
    /// The word ends here.
    pub end: f32,
    /// Any of the characters outside the alphabet.
    pub other: f32,
}

impl CharNgram {
    /// Opens a file that a [`CharBuilder`](crate::CharBuilder) wrote.
    ///
    /// # Errors
    /// [`Error::Read`] if it cannot be read, [`Error::Corrupt`] if it is not an intact character model.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let layout = Layout::open(path.as_ref())?;
        let ln_other = -(SCALARS - layout.alphabet.len() as f64).ln();
        let letters = layout.alphabet.iter().map(|&c| c.is_alphabetic() || is_apostrophe(c)).collect();
        Ok(Self { layout, ln_other, letters })
    }

    /// This model as a writer's words change it.
    pub fn with<'a>(&'a self, delta: Option<&'a Delta>) -> AdaptedChars<'a> {
        AdaptedChars::new(self, delta)
    }

    /// ln P of the whole string as a word, its end included; finite for every string.
    pub fn log_prob(&self, surface: &str) -> f32 {
        self.with(None).log_prob(surface)
    }

    /// ln of the probability of all strings that start with `prefix`: [`log_prob`](Self::log_prob) without the end.
    pub fn log_mass(&self, prefix: &str) -> f32 {
        self.with(None).log_mass(prefix)
    }

    /// What may come after `prefix`.
    pub fn next_chars(&self, prefix: &str) -> NextChars {
        self.with(None).next_chars(prefix)
    }

    /// The `k` likeliest [suggestible](crate::suggestible) words that start with `prefix` and are longer, with their
    /// probabilities as whole words (not given the prefix), best first. Of an identifier (`snake_ca`, `camelCa`) the word at
    /// its end is completed.
    ///
    /// A string is at least as likely as any of its continuations, so best-first search meets words in order. It stops
    /// after `beam` strings were extended, or when what is left has less than 1/1000 of the prefix's mass: the work is
    /// bounded, and words of little probability may be missing.
    pub fn complete(&self, prefix: &str, k: usize, beam: usize) -> Vec<(String, f32)> {
        self.with(None).complete(prefix, k, beam)
    }

    /// The weight λ of the lexicon beside this model, in [0, 1), as fitted when it was built.
    pub fn lambda(&self) -> f32 {
        self.layout.lambda
    }

    pub(crate) fn letters(&self) -> &[bool] {
        &self.letters
    }

    pub(crate) fn tables(&self) -> Tables<'_> {
        self.layout.tables()
    }

    /// ln of the share one character has of a symbol.
    pub(crate) fn ln_share(&self, symbol: u8) -> f64 {
        if symbol == OTHER { self.ln_other } else { 0.0 }
    }

    pub(crate) fn alphabet(&self) -> &[char] {
        &self.layout.alphabet
    }

    pub(crate) fn symbol(&self, c: char) -> u8 {
        self.layout.alphabet.binary_search(&c).map_or(OTHER, |i| FIRST + i as u8)
    }

    /// The character of a symbol that stands for one.
    pub(crate) fn char(&self, symbol: u8) -> Option<char> {
        self.layout.alphabet.get(usize::from(symbol.checked_sub(FIRST)?)).copied()
    }
}
