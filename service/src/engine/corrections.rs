//! What a mistyped prefix was to be: the spelling model's proposals, weighed by every member.

use foretype_markov::segment::Cut;

use super::place::Place;
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
    /// P(it was meant) · P(the prefix was typed for it), from the mixture; a share of what `Table::meant` divides by.
    pub(crate) joint: f32,
}

impl Engine {
    /// Takes a prefix for a slip if no listed word, none of the writer's and none of the conversation begins with it, and
    /// the request wants that said. What is left of the prefix's probability in `here` is that of a new word.
    pub(super) fn corrections(
        &self,
        views: &Views<'_>,
        here: &mut Table,
        place: &Place<'_>,
        request: &Request,
    ) -> Vec<Meant> {
        if !request.corrections || !is_whole(&place.cut) || views.iter().any(|(_, view)| view.knows_prefix())
        {
            return Vec::new();
        }
        let mut proposed: Vec<_> = views.iter().flat_map(|(_, view)| view.corrections(PROPOSALS)).collect();
        // What goes on from the letters as they are corrects nothing.
        proposed.retain(|correction| !correction.word.starts_with(place.cut.prefix));
        let surfaces: Vec<(&str, f32)> = proposed.iter().map(|c| (c.word.as_str(), c.channel)).collect();
        let joint = here.slip(views, &surfaces).into_iter().zip(proposed);
        joint.map(|(joint, c)| Meant { surface: c.word, joint }).collect()
    }
}

/// Whether the prefix is all of a word, rather than the end of a link, a path, or a word with a mark in it.
fn is_whole(cut: &Cut<'_>) -> bool {
    let before = cut.history.last().and_then(|surface| surface.chars().next_back());
    cut.prefix.starts_with(' ') || before.map_or(cut.start, |mark| "([{\"“‘«".contains(mark))
}

impl Meant {
    /// As a candidate, if it is worth a look: the whole word instead of the letters of the prefix.
    pub(super) fn ranked(&self, here: &Table) -> Option<Ranked> {
        let (prefix, prob) = (here.prefix.as_str(), here.meant(self.joint));
        if prob < LEAST {
            return None;
        }
        let letters = prefix.trim_start();
        let mut ranked = Ranked {
            surfaces: vec![self.surface.clone()],
            probs: vec![prob],
            raw: prob,
            follows: false,
            replace: letters.chars().count(),
            predictor: Predictor::Charlm,
            worth: 0.0,
            urgency: 0.0,
        };
        ranked.reckon(prefix);
        Some(ranked)
    }
}
