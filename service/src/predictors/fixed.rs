//! A fixed distribution over surfaces: what tests put where a model would be.

use foretype_markov::Matched;

use super::{Query, View};

/// The same words everywhere.
pub struct Fixed<'a> {
    words: &'a [(String, f32)],
    prefix: String,
}

impl<'a> Fixed<'a> {
    /// `words` are surfaces with their probabilities.
    pub fn new(words: &'a [(String, f32)], query: &Query<'_>) -> Self {
        Self { words, prefix: query.prefix.to_owned() }
    }

    fn agreeing(&self) -> impl Iterator<Item = &(String, f32)> {
        self.words.iter().filter(|(word, _)| word.starts_with(&self.prefix))
    }
}

impl<'a> View<'a> for Fixed<'a> {
    fn matched(&self) -> Matched {
        Matched { order: 0, count: 0 }
    }

    fn experience(&self) -> u64 {
        u64::MAX
    }

    fn mass(&self) -> f32 {
        self.agreeing().map(|(_, p)| p).sum()
    }

    fn prob(&self, surface: &str) -> f32 {
        self.words.iter().find(|(word, _)| word == surface).map_or(0.0, |(_, p)| *p)
    }

    fn top(&self, k: usize) -> Vec<(String, f32)> {
        let mut words: Vec<_> =
            self.agreeing().filter(|(w, _)| w.len() > self.prefix.len()).cloned().collect();
        words.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        words.truncate(k);
        words
    }

    fn knows_prefix(&self) -> bool {
        self.agreeing().next().is_some()
    }

    fn after(&self, _surface: &str) -> Box<dyn View<'a> + 'a> {
        Box::new(Self { words: self.words, prefix: String::new() })
    }
}
