//! The members of the fast tier behind one small contract.

mod charlm;
pub mod fixed;
mod ngram;
mod spells;

pub use charlm::Spelled;
pub use ngram::Ngram;
pub use spells::Spells;

use std::sync::{Arc, OnceLock};

use foretype_charlm::Correction;
use foretype_markov::{Conversation, Matched, PersonalHistory, Role};

/// Where the cursor stands, in surfaces (see `markov::segment`).
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Finished surfaces before the cursor, newest last.
    pub history: &'a [&'a str],
    /// The role whose message starts right before `history`; `None`: it starts earlier.
    pub start: Option<Role>,
    /// The unfinished surface.
    pub prefix: &'a str,
    /// The conversation, and the draft up to the prefix.
    pub conversation: &'a Conversation<'a>,
    /// Where the writer's model keeps what it resolved here; `None`: it resolves anew each time.
    pub resolved: Option<&'a Resolved>,
}

/// The writer's history at a place, and the words the model had learned by then: it is void once it learns more.
pub type Resolved = OnceLock<(u64, Arc<PersonalHistory>)>;

/// One predictor at one place: its history is resolved, its prefix fixed.
///
/// All probabilities are of whole surfaces given the history alone. Dividing by [`View::mass`] conditions
/// them on the prefix. Nothing here can fail: a predictor with nothing to say has no words and mass zero.
pub trait View<'a> {
    /// How much the predictor knows of this place.
    fn matched(&self) -> Matched;

    /// Words the predictor has learned from.
    fn experience(&self) -> u64;

    /// Whether others' messages stand before the draft; to the spelling model it is the same.
    fn answers(&self) -> bool {
        false
    }

    /// P(the next surface starts with the prefix).
    fn mass(&self) -> f32;

    /// P(the next surface is `surface`).
    fn prob(&self, surface: &str) -> f32;

    /// At most `k` surfaces that start with the prefix and are longer, best first, with their probabilities.
    fn top(&self, k: usize) -> Vec<(String, f32)>;

    /// Whether it has learned or lists any surface that starts with the prefix, as opposed to being able to spell it.
    fn knows_prefix(&self) -> bool;

    /// Whether the writer, the team or the conversation has such a surface, or one like it.
    fn uses_prefix(&self) -> bool {
        false
    }

    /// Whether one of them has a surface, with a space before it or without, and whatever its first letter's case.
    fn uses(&self, _surface: &str) -> bool {
        false
    }

    /// Words that the prefix may be a mistyped beginning of, at most `k`; only the spelling model has any.
    fn corrections(&self, _k: usize) -> Vec<Correction> {
        Vec::new()
    }

    /// The same predictor one surface later, with an empty prefix.
    fn after(&self, surface: &str) -> Box<dyn View<'a> + 'a>;
}
