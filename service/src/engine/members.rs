//! The fast tier's members at one keystroke: what they share, and what each sees.

use foretype_markov::{Conversation, PersonalModel, Recall};

use super::{Engine, Memory, Predictor};
use crate::ensemble::mixture::Views;
use crate::predictors::fixed::Fixed;
use crate::predictors::{Ngram, Query, Spelled, Spells};

/// What the members need that is made anew for every keystroke.
pub(super) struct Members<'a> {
    engine: &'a Engine,
    /// What the writer taught; that of nobody has nothing.
    personal: &'a PersonalModel,
    /// What they spell with; `None`: the bundle has no spelling model, and so no fast tier.
    spells: Option<Spells<'a>>,
    recall: Option<Recall<'a>>,
}

impl Engine {
    /// For a writer who is known, or not, in a conversation.
    pub(super) fn members<'a>(
        &'a self,
        memory: Option<&'a Memory>,
        conversation: &Conversation<'_>,
    ) -> Members<'a> {
        let delta = memory.map(|memory| memory.unlisted.delta());
        let personal = memory.map_or(&self.nobody, |memory| &memory.personal);
        let recalls = self.is_enabled(Predictor::Recall) && personal.words_learned() > 0;
        Members {
            engine: self,
            personal,
            spells: self.bundle.spelling.as_ref().map(|spelling| Spells::new(spelling, delta)),
            recall: recalls.then(|| personal.recall(conversation)).flatten(),
        }
    }
}

impl<'a> Members<'a> {
    /// Those that are enabled, at one place.
    pub(super) fn views(&'a self, query: &Query<'_>) -> Views<'a> {
        let mut views: Views<'a> = Vec::with_capacity(4);
        if let Some(words) = &self.engine.fixed {
            views.push((Predictor::Domain, Box::new(Fixed::new(words, query))));
            return views;
        }
        let Some(spells) = &self.spells else { return views };
        let enabled = |predictor| self.engine.is_enabled(predictor);
        // Of a writer who is not known there is still the conversation.
        let taught = (self.personal.words_learned() > 0).then_some(self.personal);
        let knows = taught.is_some() || !query.conversation.is_empty();
        if knows && enabled(Predictor::Personal) {
            views.push((Predictor::Personal, Box::new(Ngram::new(self.personal, spells, query))));
        }
        if let (Some(domain), true) = (&self.engine.bundle.domain, enabled(Predictor::Domain)) {
            views.push((Predictor::Domain, Box::new(Ngram::new(domain, spells, query))));
        }
        if enabled(Predictor::Charlm) {
            views.push((Predictor::Charlm, Box::new(Spelled::new(spells, taught, query))));
        }
        if let Some(recall) = &self.recall {
            views.push((Predictor::Recall, Box::new(Ngram::new(recall, spells, query))));
        }
        views
    }
}
