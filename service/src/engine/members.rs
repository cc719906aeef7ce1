//! The fast tier's members at one keystroke: what they share, and what each sees.

use foretype_markov::{Conversation, PersonalModel, Recall, TeamModel};

use super::{Engine, Memory, Predictor};
use crate::ensemble::mixture::{Learned, Views};
use crate::ensemble::weights::MEMBERS;
use crate::predictors::fixed::Fixed;
use crate::predictors::{Ngram, Query, Spelled, Spells};
use crate::writer::Shared;

/// What the members need that is made anew for every keystroke.
pub(super) struct Members<'a> {
    engine: &'a Engine,
    /// What the writer taught; that of nobody has nothing.
    personal: &'a PersonalModel,
    /// What the team shares; `None`: nothing yet.
    team: Option<&'a TeamModel>,
    /// What they spell with; `None`: the bundle has no spelling model, and so no fast tier.
    spells: Option<Spells<'a>>,
    recall: Option<Recall<'a>>,
}

/// What is known of a writer.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// What the writer taught; `None`: nobody is named.
    pub(super) memory: Option<&'a Memory>,
    /// What the writer's team shares; `None`: the writer is in none.
    pub(super) team: Option<&'a Shared>,
}

impl<'a> Known<'a> {
    /// The mixture weights.
    pub(super) fn weights(self) -> Learned<'a> {
        Learned {
            team: self.team.map(|team| &team.weights),
            writer: self.memory.map(|memory| &memory.weights),
        }
    }
}

impl Engine {
    /// For a writer in a conversation.
    pub(super) fn members<'a>(&'a self, of: Known<'a>, conversation: &Conversation<'_>) -> Members<'a> {
        let memory = of.memory;
        let delta = memory.map(|memory| memory.unlisted.delta());
        let personal = memory.map_or(&self.nobody, |memory| &memory.personal);
        let recalls = self.is_enabled(Predictor::Recall) && personal.words_learned() > 0;
        Members {
            engine: self,
            personal,
            team: of.team.map(|team| &team.model).filter(|model| model.words() > 0),
            spells: self.bundle.spelling.as_ref().map(|spelling| Spells::new(spelling, delta)),
            recall: recalls.then(|| personal.recall(conversation)).flatten(),
        }
    }
}

impl<'a> Members<'a> {
    /// Those that are enabled, at one place.
    pub(super) fn views(&'a self, query: &Query<'_>) -> Views<'a> {
        let mut views: Views<'a> = Vec::with_capacity(MEMBERS);
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
        if let (Some(team), true) = (self.team, enabled(Predictor::Team)) {
            views.push((Predictor::Team, Box::new(Ngram::new(team, spells, query))));
        }
        if let Some(recall) = &self.recall {
            views.push((Predictor::Recall, Box::new(Ngram::new(recall, spells, query))));
        }
        views
    }
}
