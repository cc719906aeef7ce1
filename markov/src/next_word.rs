//! The contract all n-gram models fulfil.

/// Who writes a message. Selects the event a message starts with, because agents and customers begin differently.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Someone who writes alone: notes, mail, commit messages.
    Author,
    /// The one who helps.
    Agent,
    /// The one who is helped.
    Customer,
}

/// What can come next.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Event {
    /// A surface of the vocabulary.
    Word(String),
    /// The message ends.
    End,
    /// A word outside the vocabulary.
    Unknown,
}

/// How much a model knows about a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Matched {
    /// Words of the longest context that was seen with a continuation: at most one fewer than its order.
    pub order: u8,
    /// How often that context was seen with one; a static model estimates it.
    pub count: u32,
}

/// The probability of one surface.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Score {
    /// P(surface | history), natural scale; 0 for a word outside the vocabulary.
    pub prob: f32,
    /// Words of the longest context after which this very surface is known: at most one fewer than its order.
    pub order: u8,
}

/// A model of the next word.
///
/// All probabilities are over the same events: the surfaces of the vocabulary (for a personal model with those of the
/// conversation), the end of the message, and a word outside the vocabulary; they sum to one. A history belongs to the model that made it, and is good until that model
/// learns something.
pub trait NextWord {
    /// What the model remembers of the text so far, resolved once a keystroke.
    type History: Clone;

    /// Resolves the `surfaces` before the cursor, newest last. With `start`, the message begins right before the first.
    fn history(&self, surfaces: &[&str], start: Option<Role>) -> Self::History;

    /// The history one surface later.
    fn advance(&self, history: &Self::History, surface: &str) -> Self::History;

    /// The longest context known, and how much evidence it holds.
    fn matched(&self, history: &Self::History) -> Matched;

    /// P(surface | history).
    fn score(&self, history: &Self::History, surface: &str) -> Score;

    /// P(the message ends here | history).
    fn end(&self, history: &Self::History) -> f32;

    /// P(a word outside the vocabulary | history).
    fn escape(&self, history: &Self::History) -> f32;

    /// The sum of P(w | history) over the words of the vocabulary that start with `prefix`.
    fn mass(&self, history: &Self::History, prefix: &str) -> f32;

    /// The `k` most probable words that start with `prefix` and are longer than it, with P(w | history), best first;
    /// ties are in byte order. Divide by [`mass`](Self::mass) for P(w | history, prefix).
    fn top<'a>(&'a self, history: &'a Self::History, prefix: &str, k: usize) -> Vec<(&'a str, f32)>;

    /// The most probable next surfaces one after another, each with its probability given those before it. Stops
    /// where the end of the message, or a word outside the vocabulary, is likelier than any word.
    fn continuation(&self, history: &Self::History, max_words: usize) -> Vec<(String, f32)> {
        let mut words = Vec::new();
        let mut history = history.clone();
        while words.len() < max_words {
            let Some(&(word, prob)) = self.top(&history, "", 1).first() else { break };
            if self.end(&history).max(self.escape(&history)) >= prob {
                break;
            }
            let word = word.to_owned();
            history = self.advance(&history, &word);
            words.push((word, prob));
        }
        words
    }

    /// Every event with its probability: for tests and inspection, not for the hot path.
    fn distribution(&self, history: &Self::History) -> Vec<(Event, f32)>;
}
