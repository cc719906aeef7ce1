//! What a mistyped prefix was to be: the spelling model's proposals, weighed by every member.

use super::{Engine, Predictor, Request};
use crate::ensemble::mixture::{Table, Views};
use crate::ensemble::rank::Ranked;

/// Words the spelling model may propose.
const PROPOSALS: usize = 6;

/// A word less likely to have been meant is not worth a look.
const LEAST: f32 = 0.01;

/// A word that was meant where something else is typed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Meant {
    /// The whole surface.
    pub(crate) surface: String,
    /// P(it was meant | the prefix was typed), from the mixture.
    pub(crate) prob: f32,
}

impl Engine {
    /// Takes a prefix for a slip if no listed word and none of the writer's begins with it, and the request wants that
    /// said. What is left of the prefix's probability in `here` is that of a new word.
    pub(super) fn corrections(&self, views: &Views<'_>, here: &mut Table, request: &Request) -> Vec<Meant> {
        if !request.corrections || views.iter().any(|(_, view)| view.knows_prefix()) {
            return Vec::new();
        }
        let proposed: Vec<_> = views.iter().flat_map(|(_, view)| view.corrections(PROPOSALS)).collect();
        let surfaces: Vec<(&str, f32)> = proposed.iter().map(|c| (c.word.as_str(), c.channel)).collect();
        let meant = here.meant(views, &surfaces).into_iter().zip(proposed);
        let mut meant: Vec<_> = meant.map(|(prob, c)| Meant { surface: c.word, prob }).collect();
        meant.retain(|meant| meant.prob >= LEAST);
        meant
    }
}

impl Meant {
    /// As a candidate: the whole word instead of the letters of `prefix`.
    pub(super) fn ranked(&self, prefix: &str) -> Ranked {
        let letters = prefix.trim_start();
        let mut ranked = Ranked {
            surfaces: vec![self.surface.clone()],
            probs: vec![self.prob],
            raw: self.prob,
            follows: false,
            replace: letters.chars().count(),
            predictor: Predictor::Charlm,
            worth: 0.0,
            urgency: 0.0,
        };
        ranked.reckon(prefix);
        ranked
    }
}
