//! Forgetting: what keeps a personal model within its bytes.

use super::PersonalModel;
use super::vocabulary::{NONE, is_start};

/// The most bytes one learned word can add: itself, and a chunk of text.
const MOST_BYTES: usize = 1024;

/// What a word takes beside its places in the text.
const WORD_BYTES: usize = 40;

/// The share of its bytes that words without a place in the text may take before they fade.
const DORMANT_SHARE: usize = 8;

impl PersonalModel {
    /// Forgets until the next word fits: the oldest text, and with it what was seen there only; of the words that
    /// remain without a place the rare ones.
    pub(super) fn make_room(&mut self) {
        while self.is_full() {
            let too_many = self.vocabulary.dormant() * WORD_BYTES > self.limits.max_bytes / DORMANT_SHARE;
            let chunk = if too_many { None } else { self.text.drop_oldest() };
            match chunk {
                Some(words) => self.vocabulary.leave(words.into_iter().filter(|&id| id != NONE)),
                None if self.vocabulary.dormant() > 0 => self.vocabulary.fade(),
                // One chunk of text and its words are left.
                None => return,
            }
        }
    }

    fn is_full(&self) -> bool {
        let bytes = self.content_bytes() + MOST_BYTES;
        bytes > self.limits.max_bytes || self.text.is_full() || self.vocabulary.is_full()
    }

    /// Forgets one surface: it is gone from the vocabulary and from the text. Returns whether it was known.
    /// Histories made before are void.
    pub fn forget(&mut self, surface: &str) -> bool {
        let Some(id) = self.vocabulary.find(surface).filter(|&id| !is_start(id)) else {
            return false;
        };
        self.text.blank(id);
        self.vocabulary.remove(id);
        true
    }
}
