//! A model of one writer, learned message by message within a fixed number of bytes.
//!
//! Order 4, interpolated with Witten and Bell's estimate (1991, method C): a context of N continuations, T of them
//! distinct, gives P(w|h) = (c(hw) + aT·P(w|h')) / (N + aT), down to the unigrams, where a = 1 and T / (N + T) is the
//! probability of a new word. What is stored is exactly what the estimate sums over, so the distribution sums to one whatever was
//! forgotten.

mod contexts;
mod forget;
mod predict;
mod snapshot;
mod vocabulary;

use crate::{Role, segment};
use contexts::{Contexts, Key};
pub use predict::PersonalHistory;
use vocabulary::{END, NONE, Vocabulary, WordId};

/// The length of its longest n-grams: three words of history and the next one.
const ORDER: usize = 4;

/// The most bytes one learned event can add: a word, and a list grown to its cap in three contexts.
const MAX_EVENT_BYTES: usize = 2048;

/// How much a personal model may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of memory, at least 16 KiB. When they are used up the model forgets what is rare and old.
    pub max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 768 << 10 }
    }
}

/// An n-gram model of what one writer wrote, learned message by message within a fixed number of bytes.
///
/// ```
/// use foretype_markov::{Limits, NextWord, PersonalModel, Role};
/// let mut model = PersonalModel::new(Limits::default());
/// for _ in 0..2 {
///     model.learn("Kind regards, Ann", Role::Author);
/// }
/// let history = model.history(&["Kind", " regards"], Some(Role::Author));
/// assert_eq!(model.top(&history, "", 1)[0].0, ",");
/// ```
#[derive(Clone, Debug)]
pub struct PersonalModel {
    limits: Limits,
    vocabulary: Vocabulary,
    contexts: Contexts,
    words_learned: u64,
}

impl PersonalModel {
    /// A model that knows nothing yet: [`escape`](crate::NextWord::escape) is 1.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { max_bytes: limits.max_bytes.max(16 << 10) };
        Self { limits, vocabulary: Vocabulary::new(), contexts: Contexts::with_room(0), words_learned: 0 }
    }

    /// Learns one message that was sent. `normal` is [normalised](segment::normalise). Deterministic: the same messages
    /// in the same order make the same model. Histories made before are void.
    pub fn learn(&mut self, normal: &str, role: Role) {
        let mut recent = [NONE, NONE, start_id(role)];
        for surface in segment::surfaces(normal) {
            self.make_room(&mut recent);
            let id = self.vocabulary.intern(surface);
            self.count(&recent, id);
            recent = [recent[1], recent[2], id];
            self.words_learned += 1;
        }
        self.make_room(&mut recent);
        self.count(&recent, END);
    }

    /// Counts `id` after each suffix of `recent`. An over-long word is not in the vocabulary and breaks the history.
    fn count(&mut self, recent: &[WordId; ORDER - 1], id: WordId) {
        if id == NONE {
            return;
        }
        self.vocabulary.add(id);
        for key in suffixes(recent) {
            self.contexts.add(key, id);
        }
    }

    /// How often the writer used `surface`, as far as the model remembers. Two sightings make a word suggestible.
    pub fn sightings(&self, surface: &str) -> u32 {
        self.vocabulary.find(surface).map_or(0, |id| self.vocabulary.count(id))
    }

    /// Words learned so far, including those that were forgotten.
    pub fn words_learned(&self) -> u64 {
        self.words_learned
    }

    /// Bytes of memory in use, counting capacity rather than content.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.vocabulary.bytes() + self.contexts.bytes()
    }

    /// An upper bound of [`bytes`](Self::bytes) that depends on content only, so that forgetting happens at the same
    /// words whether or not the model was saved and loaded in between.
    fn content_bytes(&self) -> usize {
        2048 + self.vocabulary.content_bytes() + self.contexts.content_bytes()
    }
}

fn start_id(role: Role) -> WordId {
    match role {
        Role::Author => vocabulary::START_AUTHOR,
        Role::Agent => vocabulary::START_AGENT,
        Role::Customer => vocabulary::START_CUSTOMER,
    }
}

/// The contexts of one, two and three words that end a history, shortest first, as far as it is known.
fn suffixes(recent: &[WordId; ORDER - 1]) -> impl Iterator<Item = Key> {
    let known = recent.iter().rev().take_while(|&&id| id != NONE).count();
    let [a, b, c] = *recent;
    [[NONE, NONE, c], [NONE, b, c], [a, b, c]].into_iter().take(known)
}

#[cfg(test)]
mod tests;
