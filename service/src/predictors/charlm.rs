//! `charlm`: words by their spelling alone, whatever came before.

use foretype_charlm::Correction;
use foretype_markov::Matched;

use super::{Query, Spells, View};

/// The spelling model at one place.
pub struct Spelled<'a> {
    spells: &'a Spells<'a>,
    prefix: String,
}

impl<'a> Spelled<'a> {
    /// Only the prefix matters.
    pub fn new(spells: &'a Spells<'a>, query: &Query<'_>) -> Self {
        Self { spells, prefix: query.prefix.to_owned() }
    }
}

impl<'a> View<'a> for Spelled<'a> {
    fn matched(&self) -> Matched {
        Matched { order: 0, count: 0 }
    }

    fn experience(&self) -> u64 {
        u64::MAX
    }

    fn mass(&self) -> f32 {
        self.spells.mass(&self.prefix)
    }

    fn prob(&self, surface: &str) -> f32 {
        self.spells.prob(surface)
    }

    fn top(&self, k: usize) -> Vec<(String, f32)> {
        self.spells.top(&self.prefix, k)
    }

    fn knows_prefix(&self) -> bool {
        !self.spells.model().leads_nowhere(&self.prefix)
    }

    fn corrections(&self, k: usize) -> Vec<Correction> {
        self.spells.model().lexicon().correct(&self.prefix, k)
    }

    fn after(&self, _surface: &str) -> Box<dyn View<'a> + 'a> {
        Box::new(Self { spells: self.spells, prefix: String::new() })
    }
}
