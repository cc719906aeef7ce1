//! The estimate: P(w|h) = (1 - backoff(h)) · share(w|h) / Σ share(v|h) + backoff(h) · P(w|h').

use super::{ORDER, StaticModel};
use crate::layout::{self, END, FIRST_WORD, STARTS, UNKNOWN};
use crate::{Event, Matched, NextWord, Role, Score};
use std::ops::Range;

/// No word: the history is shorter.
const NONE: u16 = u16::MAX;

/// The contexts of a [`StaticModel`] that end a text, resolved.
#[derive(Clone, Debug)]
pub struct StaticHistory {
    recent: [u16; ORDER - 1],
    /// By number of words, shortest first.
    pub(super) levels: [Option<Level>; ORDER - 1],
    /// What the unigrams are multiplied by.
    pub(super) base: f32,
}

/// One context: P(w | history) contains `weight · share(w)`.
#[derive(Clone, Debug)]
pub(super) struct Level {
    /// The order of the n-grams that begin with the context.
    pub(super) order: usize,
    /// Its children among them.
    pub(super) children: Range<usize>,
    pub(super) weight: f32,
    backoff: f32,
}

impl StaticModel {
    fn resolve(&self, recent: [u16; ORDER - 1]) -> StaticHistory {
        let known = recent.iter().rev().take_while(|&&id| id != NONE).count();
        let mut levels = [const { None }; ORDER - 1];
        let mut base = 1.0;
        for len in (1..=known).rev() {
            let Some(context) = self.context(&recent[recent.len() - len..]) else { continue };
            let children = self.sections.children(len, context);
            let backoff = self.backoffs[usize::from(self.sections.backoffs(len)[context])];
            let sum = match children.len() {
                ..=layout::LARGE => self.sum(len + 1, &children),
                _ => self.sections.stored_sum(len, context).expect("every large context has its sum"),
            };
            levels[len - 1] =
                Some(Level { order: len + 1, children, weight: base * (1.0 - backoff) / sum, backoff });
            base *= backoff;
        }
        StaticHistory { recent, levels, base }
    }

    /// The number of the context of exactly these words among those of its length.
    fn context(&self, ids: &[u16]) -> Option<usize> {
        let mut node = usize::from(ids[0]);
        for (len, &id) in (1..).zip(&ids[1..]) {
            let context = self.sections.context(len, node)?;
            node = self.sections.child(len + 1, self.sections.children(len, context), id)?;
        }
        self.sections.context(ids.len(), node)
    }

    pub(super) fn prob(&self, history: &StaticHistory, id: u16) -> Score {
        let mut prob = history.base * self.sections.unigrams()[usize::from(id)];
        let mut order = 0;
        for level in history.levels.iter().flatten() {
            if let Some(at) = self.sections.child(level.order, level.children.clone(), id) {
                prob += level.weight * self.share(level.order, at);
                order = level.order as u8 - 1;
            }
        }
        Score { prob, order }
    }

    fn sum(&self, order: usize, children: &Range<usize>) -> f32 {
        self.sections.codes(order)[children.clone()].iter().map(|&code| self.probs[usize::from(code)]).sum()
    }

    fn share(&self, order: usize, at: usize) -> f32 {
        self.probs[usize::from(self.sections.codes(order)[at])]
    }

    /// The children of a context that are in a range of ids.
    pub(super) fn children_in(&self, level: &Level, ids: &Range<u16>) -> Range<usize> {
        let words = &self.sections.words(level.order)[level.children.clone()];
        let start = words.partition_point(|&word| word < ids.start);
        let end = start + words[start..].partition_point(|&word| word < ids.end);
        level.children.start + start..level.children.start + end
    }

    fn id(&self, surface: &str) -> u16 {
        self.sections.find(surface).unwrap_or(UNKNOWN)
    }

    fn word_ids(&self) -> Range<u16> {
        FIRST_WORD..self.sections.unigrams().len() as u16
    }
}

impl NextWord for StaticModel {
    type History = StaticHistory;

    fn history(&self, surfaces: &[&str], start: Option<Role>) -> StaticHistory {
        let mut recent = [NONE; ORDER - 1];
        if surfaces.len() < recent.len()
            && let Some(role) = start
        {
            recent[recent.len() - 1 - surfaces.len()] = STARTS.start + role as u16;
        }
        for (place, surface) in recent.iter_mut().rev().zip(surfaces.iter().rev()) {
            *place = self.id(surface);
        }
        self.resolve(recent)
    }

    fn advance(&self, history: &StaticHistory, surface: &str) -> StaticHistory {
        let mut recent = history.recent;
        recent.rotate_left(1);
        recent[ORDER - 2] = self.id(surface);
        self.resolve(recent)
    }

    /// The count is estimated: with T continuations and about three quarters taken from the count of each, a context that
    /// was seen N times backs off with 3T / 4N. Without any context it is that of nothing, 0. A context with a word that is
    /// not known is that of any such word: it says little.
    fn matched(&self, history: &StaticHistory) -> Matched {
        let known = history.recent.iter().rev().take_while(|&&id| id != NONE && id != UNKNOWN).count();
        match history.levels[..known].iter().flatten().next_back() {
            Some(level) => {
                let count = (0.75 * level.children.len() as f32 / level.backoff).round() as u32;
                Matched { order: level.order as u8 - 1, count: count.max(1) }
            }
            None => Matched { order: 0, count: 0 },
        }
    }

    fn score(&self, history: &StaticHistory, surface: &str) -> Score {
        match self.sections.find(surface) {
            Some(id) => self.prob(history, id),
            None => Score { prob: 0.0, order: 0 },
        }
    }

    fn end(&self, history: &StaticHistory) -> f32 {
        self.prob(history, END).prob
    }

    fn escape(&self, history: &StaticHistory) -> f32 {
        self.prob(history, UNKNOWN).prob
    }

    fn mass(&self, history: &StaticHistory, prefix: &str) -> f32 {
        let ids = self.sections.with_prefix(prefix);
        let before = |id: u16| self.unigrams_before[usize::from(id - FIRST_WORD)];
        let mut mass = history.base * (before(ids.end) - before(ids.start)) as f32;
        for level in history.levels.iter().flatten() {
            mass += level.weight * self.sum(level.order, &self.children_in(level, &ids));
        }
        mass
    }

    fn top<'a>(&'a self, history: &'a StaticHistory, prefix: &str, k: usize) -> Vec<(&'a str, f32)> {
        let top = self.top_ids(history, prefix, k);
        top.into_iter().map(|(id, prob)| (self.sections.surface(id), prob)).collect()
    }

    fn distribution(&self, history: &StaticHistory) -> Vec<(Event, f32)> {
        let words = self
            .word_ids()
            .map(|id| (Event::Word(self.sections.surface(id).to_owned()), self.prob(history, id).prob));
        words.chain([(Event::End, self.end(history)), (Event::Unknown, self.escape(history))]).collect()
    }
}
