//! `charlm`: words by their spelling, whatever came before: the spelling model, and what the writer's own words change in it.

use foretype_charlm::Correction;
use foretype_markov::{Conversation, Matched, PersonalModel};

use super::{Ngram, Query, Spells, View};

/// The spelling model at one place.
pub struct Spelled<'a> {
    spells: &'a Spells<'a>,
    /// The writer's words without their contexts; what they leave to new words the spelling model has.
    own: Option<Ngram<'a, PersonalModel>>,
    prefix: String,
}

impl<'a> Spelled<'a> {
    /// Only the prefix matters. `writer`: who has taught something.
    pub fn new(spells: &'a Spells<'a>, writer: Option<&'a PersonalModel>, query: &Query<'_>) -> Self {
        let conversation = Conversation::default();
        let anywhere =
            Query { history: &[], start: None, conversation: &conversation, resolved: None, ..*query };
        let own = writer.map(|model| Ngram::new(model, spells, &anywhere));
        Self { spells, own, prefix: query.prefix.to_owned() }
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
        self.own.as_ref().map_or_else(|| self.spells.mass(&self.prefix), Ngram::mass)
    }

    fn prob(&self, surface: &str) -> f32 {
        self.own.as_ref().map_or_else(|| self.spells.prob(surface), |own| own.prob(surface))
    }

    fn top(&self, k: usize) -> Vec<(String, f32)> {
        let mut words = self.spells.top(&self.prefix, k);
        if let Some(own) = &self.own {
            words.extend(own.top(k));
            words.iter_mut().for_each(|(word, p)| *p = own.prob(word));
            words.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            words.dedup();
            words.truncate(k);
        }
        words
    }

    fn knows_prefix(&self) -> bool {
        self.uses_prefix() || !self.spells.model().leads_nowhere(&self.prefix)
    }

    fn uses_prefix(&self) -> bool {
        self.own.as_ref().is_some_and(Ngram::knows_prefix)
    }

    fn uses(&self, surface: &str) -> bool {
        self.own.as_ref().is_some_and(|own| own.uses(surface))
    }

    fn corrections(&self, k: usize) -> Vec<Correction> {
        self.spells.model().lexicon().correct(&self.prefix, k)
    }

    fn after(&self, _surface: &str) -> Box<dyn View<'a> + 'a> {
        let own = self.own.as_ref().map(|own| own.with_prefix(""));
        Box::new(Self { spells: self.spells, own, prefix: String::new() })
    }
}
