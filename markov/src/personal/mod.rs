//! A model of one writer, learned message by message within a fixed number of bytes.
//!
//! The model is the writer's text itself, indexed: the places where the words before the cursor came before are looked
//! up, and what followed there votes for the next word (as in Infini-gram, Liu et al. 2024, for contexts of up to eight
//! words). A vote counts the less the longer ago it was cast, and the conversation at hand votes as well, so one formula
//! is n-gram model, recency and cache (Kuhn and De Mori 1990). Let w(i) be the weight of a place i by its age, and of the
//! places where context h came before
//!
//! ```text
//! c(h, w) = Σ w(i) of those followed by w      t(h, w) = the largest of these      N(h) = Σ c(h, w)    T(h) = Σ t(h, w)
//! P(w | h) = [c(h, w) − d·t(h, w) + (θ + d·T(h)) · P(w | shorter h)] / (N(h) + θ)
//! ```
//!
//! with d and θ by the length of h, which is a Pitman-Yor process with one table a word (Teh 2006: interpolated absolute discounting) if all weights are
//! one. Whatever was forgotten, what is summed over is what is there, so the distribution sums to one.

mod conversation;
mod evidence;
mod forget;
mod fresh;
mod predict;
mod recall;
mod snapshot;
mod text;
mod vocabulary;

use crate::{Role, segment};
pub use conversation::Conversation;
pub use predict::PersonalHistory;
pub use recall::Recall;
use text::Text;
pub(crate) use vocabulary::{MAX_SURFACE, reserve};
use vocabulary::{NONE, Vocabulary, WordId};

/// The length of its longest n-grams: eight words of history and the next one. What agrees so far is being copied.
const ORDER: usize = 9;

/// How much a personal model may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of memory, at least 32 KiB. When they are used up the model forgets what is rare and old.
    pub max_bytes: usize,
}

impl Limits {
    const LEAST: usize = 32 << 10;
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
    text: Text,
    words_learned: u64,
}

impl PersonalModel {
    /// A model that knows nothing yet: where nothing has been said, [`escape`](crate::NextWord::escape) is 1.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { max_bytes: limits.max_bytes.max(Limits::LEAST) };
        let text = Text::new(limits.max_bytes);
        Self { limits, vocabulary: Vocabulary::new(), text, words_learned: 0 }
    }

    /// Learns one message that was sent. `normal` is [normalised](segment::normalise). Deterministic: the same messages
    /// in the same order make the same model. Histories made before are void.
    pub fn learn(&mut self, normal: &str, role: Role) {
        if self.text.is_worn_out() {
            self.renew();
        }
        let start = start_id(role);
        if self.text.last() != Some(start) {
            self.make_room();
            let at = self.text.push(start, self.vocabulary.last(start));
            self.vocabulary.began(start, at);
        }
        for surface in segment::surfaces(normal) {
            self.make_room();
            self.append(surface);
            self.words_learned += 1;
        }
        // The end of this message is where the next one starts.
        self.make_room();
        let at = self.text.push(start, self.vocabulary.last(start));
        self.vocabulary.ended(start, at);
    }

    /// An over-long word is not in the vocabulary and breaks the context, as a gap does.
    fn append(&mut self, surface: &str) {
        match if segment::is_gap(surface) { NONE } else { self.vocabulary.intern(surface) } {
            NONE => {
                self.text.push(NONE, 0);
            }
            id => {
                let at = self.text.push(id, self.vocabulary.last(id));
                self.vocabulary.saw(id, at);
            }
        }
    }

    /// Begins to count positions anew.
    fn renew(&mut self) {
        if let Ok(renewed) = Self::from_bytes(&self.to_bytes()) {
            *self = renewed;
        }
    }

    /// How often the writer used `surface`, as far as the model remembers. Two sightings make a word suggestible.
    pub fn sightings(&self, surface: &str) -> u32 {
        self.vocabulary.find(surface).map_or(0, |id| self.vocabulary.count(id))
    }

    /// The surfaces the model remembers, the earlier learned mostly first.
    pub fn surfaces(&self) -> impl Iterator<Item = &str> {
        self.vocabulary.ids().map(|id| self.vocabulary.surface(id)).filter(|surface| !surface.is_empty())
    }

    /// Words learned so far, including those that were forgotten.
    pub fn words_learned(&self) -> u64 {
        self.words_learned
    }

    /// Bytes of memory in use, counting capacity rather than content.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.vocabulary.bytes() + self.text.bytes()
    }

    /// An upper bound of [`bytes`](Self::bytes) that depends on content only, so that forgetting happens at the same
    /// words whether or not the model was saved and loaded in between.
    fn content_bytes(&self) -> usize {
        4096 + self.vocabulary.content_bytes() + self.text.content_bytes()
    }
}

fn start_id(role: Role) -> WordId {
    match role {
        Role::Author => vocabulary::START_AUTHOR,
        Role::Agent => vocabulary::START_AGENT,
        Role::Customer => vocabulary::START_CUSTOMER,
    }
}

#[cfg(test)]
mod tests;
