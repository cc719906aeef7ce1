//! What a mistyped prefix was to be: the spelling model's proposals, weighed by every member.

use foretype_charlm::{LIKELIEST_SLIP, is_misspelt};
use foretype_markov::segment::Cut;

use super::place::Place;
use super::tables::Tables;
use super::{Engine, Predictor, Request};
use crate::ensemble::mixture::{Table, Views};
use crate::ensemble::rank::Ranked;

/// Words the spelling model may propose.
const PROPOSALS: usize = 6;

/// A word less likely to have been meant is not worth a look.
const LEAST: f32 = 0.01;

/// What the corpora have is mostly meant. With 0.5 two thirds more right prefixes would be replaced, for one to three in a hundred more
/// of the mistyped ones (tools/corrections.py).
const LEAST_LISTED: f32 = 0.8;

/// The words that a mistyped prefix may have been meant for, in the order of the table's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Meant {
    /// Whole surfaces.
    surfaces: Vec<String>,
    /// Whether listed words begin with the prefix as it is.
    listed: bool,
}

impl Engine {
    /// Takes a prefix for a slip if the request wants that said, and no word of the writer's, the team's or the conversation
    /// begins with it. One that begins a listed word must be a slip in all likelihood; a common misspelling is one
    /// whoever writes it. What is left of the prefix's probability in `here` is that of another word.
    pub(super) fn corrections(
        &self,
        views: &Views<'_>,
        here: &mut Table,
        place: &Place<'_>,
        request: &Request,
    ) -> Meant {
        let prefix = place.cut.prefix;
        if !request.corrections || !is_whole(&place.cut) {
            return Meant::default();
        }
        let misspelt = is_misspelt(prefix);
        let listed = views.iter().any(|(_, view)| view.knows_prefix());
        let used = views.iter().any(|(_, view)| view.uses_prefix());
        if !misspelt && (used || listed && here.prefix_prob() >= LIKELIEST_SLIP) {
            return Meant::default();
        }
        let mut proposed: Vec<_> = views.iter().flat_map(|(_, view)| view.corrections(PROPOSALS)).collect();
        // What goes on from the letters as they are corrects nothing.
        proposed.retain(|c| !c.word.starts_with(prefix) && !is_misspelt(&c.word));
        let habit = proposed.iter().position(|c| c.habit);
        if used && habit.is_none() {
            return Meant::default();
        }
        let words: Vec<_> = proposed.iter().map(|c| (c.word.as_str(), c.channel)).collect();
        here.slip(views, &words, habit);
        let surfaces = proposed.into_iter().map(|c| c.word).collect();
        let mut meant = Meant { surfaces, listed: listed && habit.is_none() };
        meant.doubt(here);
        meant
    }
}

/// Whether the prefix is all of a word, rather than the end of a link, a path, or a word with a mark in it.
fn is_whole(cut: &Cut<'_>) -> bool {
    let before = cut.history.last().and_then(|surface| surface.chars().next_back());
    cut.prefix.starts_with(' ') || before.map_or(cut.start, |mark| "([{\"“‘«".contains(mark))
}

impl Meant {
    /// Drops all if a listed word is the likelier reading, by those who have spoken.
    pub(super) fn doubt(&mut self, here: &mut Table) {
        if self.listed && here.slipped() < LEAST_LISTED {
            self.surfaces.clear();
            here.no_slip();
        }
    }
}

impl Tables {
    /// What was meant, as candidates, if it is worth a look: the whole word instead of the letters of the prefix.
    pub(super) fn meant(&self) -> impl Iterator<Item = Ranked> {
        let prefix = self.here.prefix.as_str();
        let likely = |at: usize| Some(self.here.meant(at)).filter(|prob| *prob >= LEAST);
        self.meant.surfaces.iter().enumerate().filter_map(move |(at, surface)| {
            let prob = likely(at)?;
            let mut ranked = Ranked {
                surfaces: vec![surface.clone()],
                probs: vec![prob],
                raw: prob,
                follows: false,
                replace: prefix.trim_start().chars().count(),
                predictor: Predictor::Charlm,
                worth: 0.0,
                urgency: 0.0,
            };
            ranked.reckon(prefix);
            Some(ranked)
        })
    }
}
