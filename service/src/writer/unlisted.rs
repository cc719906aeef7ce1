//! The words a writer uses that the lexicon does not have, and what they change in the spelling model.

use std::sync::Arc;

use foretype_charlm::{Delta, Spelling};
use foretype_markov::segment;

/// A writer's delta with the spelling model it is of; without one, as in tests, it stays empty.
#[derive(Clone, Debug, Default)]
pub struct Unlisted {
    spelling: Option<Arc<Spelling>>,
    delta: Delta,
}

impl Unlisted {
    /// No words yet.
    pub fn new(spelling: Option<Arc<Spelling>>) -> Self {
        Self { spelling, delta: Delta::default() }
    }

    /// Learns the words of the message `normal`, normalised text, that are not listed.
    pub fn learn(&mut self, normal: &str) {
        self.extend(segment::surfaces(normal));
    }

    /// What they change.
    pub fn delta(&self) -> &Delta {
        &self.delta
    }

    /// Forgets the words that are `gone`.
    pub fn forget(&mut self, gone: impl Fn(&str) -> bool) {
        let Some(spelling) = self.spelling.clone() else { return };
        let known: Vec<String> = self.delta.words(&spelling).filter(|word| gone(word)).collect();
        for word in &known {
            self.delta.forget(&spelling, word);
        }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.delta.bytes()
    }

    /// The stored form: the words, oldest first, an LF after each. No surface has one inside, and the next bundle may have other
    /// symbols and more words, so neither the model's numbers are stored nor what was counted.
    pub fn to_bytes(&self) -> Vec<u8> {
        let words = self.spelling.iter().flat_map(|spelling| self.delta.words(spelling));
        words.flat_map(|word| format!("{word}\n").into_bytes()).collect()
    }

    /// Reads the stored form into one that knows nothing yet; `None`: it is not UTF-8.
    pub fn restore(mut self, bytes: &[u8]) -> Option<Self> {
        self.extend(std::str::from_utf8(bytes).ok()?.lines());
        Some(self)
    }

    /// Learns surfaces in this order.
    pub fn extend<'a>(&mut self, surfaces: impl IntoIterator<Item = &'a str>) {
        if let Some(spelling) = &self.spelling {
            surfaces.into_iter().for_each(|surface| self.delta.learn(spelling, surface));
        }
    }
}
