//! The character n-gram: a probability for every string.

use std::path::Path;

use crate::{
    Error,
    suggestible::is_apostrophe,
    tables::{END, FIRST, Layout, OTHER, START},
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
    /// Keeps the newest n − 1 symbols of a context.
    mask: u64,
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
        let mask = (1 << (8 * (layout.order - 1))) - 1;
        let ln_other = -(SCALARS - layout.alphabet.len() as f64).ln();
        let letters = layout.alphabet.iter().map(|&c| c.is_alphabetic() || is_apostrophe(c)).collect();
        Ok(Self { layout, mask, ln_other, letters })
    }

    /// ln P of the whole string as a word, its end included; finite for every string.
    pub fn log_prob(&self, surface: &str) -> f32 {
        let (log, context) = self.walk(surface);
        (log + self.layout.tables().prob(context, END).ln()) as f32
    }

    /// ln of the probability of all strings that start with `prefix`: [`log_prob`](Self::log_prob) without the end.
    pub fn log_mass(&self, prefix: &str) -> f32 {
        self.walk(prefix).0 as f32
    }

    /// What may come after `prefix`.
    pub fn next_chars(&self, prefix: &str) -> NextChars {
        let all = self.layout.tables().distribution(self.walk(prefix).1, self.layout.alphabet.len());
        let chars =
            self.layout.alphabet.iter().copied().zip(all[usize::from(FIRST)..].iter().copied()).collect();
        NextChars { chars, end: all[usize::from(END)], other: all[usize::from(OTHER)] }
    }

    /// The weight λ of the lexicon beside this model, in [0, 1), as fitted when it was built.
    pub fn lambda(&self) -> f32 {
        self.layout.lambda
    }

    pub(crate) fn letters(&self) -> &[bool] {
        &self.letters
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// ln of the probability of a string without its end, and the context it leads to.
    pub(crate) fn walk(&self, text: &str) -> (f64, u64) {
        let tables = self.layout.tables();
        text.chars().fold((0.0, u64::from(START) & self.mask), |(log, context), c| {
            let symbol = self.symbol(c);
            let spread = if symbol == OTHER { self.ln_other } else { 0.0 };
            (log + tables.prob(context, symbol).ln() + spread, self.extend(context, symbol))
        })
    }

    pub(crate) fn extend(&self, context: u64, symbol: u8) -> u64 {
        (context << 8 | u64::from(symbol)) & self.mask
    }

    fn symbol(&self, c: char) -> u8 {
        self.layout.alphabet.binary_search(&c).map_or(OTHER, |i| FIRST + i as u8)
    }
}
