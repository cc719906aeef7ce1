//! `personal` and `domain`: an n-gram model whose escape mass goes to the spelling model,
//! P(w | h) = P_ngram(w | h) + P(new | h) · P_spelling(w).

use foretype_charlm::Spelling;
use foretype_markov::{Matched, NextWord};

use super::{Query, View};

/// An n-gram model at one place.
pub struct Ngram<'a, M: NextWord> {
    model: &'a M,
    spelling: &'a Spelling,
    history: M::History,
    prefix: String,
}

impl<'a, M: NextWord> Ngram<'a, M> {
    /// Resolves the history once.
    pub fn new(model: &'a M, spelling: &'a Spelling, query: &Query<'_>) -> Self {
        let history = model.history(query.history, query.start);
        Self { model, spelling, history, prefix: query.prefix.to_owned() }
    }
}

impl<'a, M: NextWord> View<'a> for Ngram<'a, M>
where
    M::History: 'a, {
    fn matched(&self) -> Matched {
        self.model.matched(&self.history)
    }

    fn mass(&self) -> f32 {
        let escape = self.model.escape(&self.history);
        self.model.mass(&self.history, &self.prefix) + escape * self.spelling.mass(&self.prefix)
    }

    fn prob(&self, surface: &str) -> f32 {
        let known = self.model.score(&self.history, surface).prob;
        known + self.model.escape(&self.history) * self.spelling.prob(surface)
    }

    fn end(&self) -> f32 {
        self.model.end(&self.history)
    }

    fn top(&self, k: usize) -> Vec<(String, f32)> {
        self.model.top(&self.history, &self.prefix, k).into_iter().map(|(w, p)| (w.to_string(), p)).collect()
    }

    fn after(&self, surface: &str) -> Box<dyn View<'a> + 'a> {
        let history = self.model.advance(&self.history, surface);
        Box::new(Self { model: self.model, spelling: self.spelling, history, prefix: String::new() })
    }
}
