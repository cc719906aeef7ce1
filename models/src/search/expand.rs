//! What opening a node of the token tree adds to it: children, ended words, the mass that agrees with what is typed.

use std::sync::Arc;

use crate::boundary::{End, Start, first_inside};
use crate::distribution::Distribution;

use super::{FLOOR_ASKED, Search};

/// e⁻⁸: what a token that covers only part of the typed bytes is worth until it is opened. Training never tokenised
/// so, unless the pre-tokeniser cuts there or greedy encoding does.
const PARTIAL: f32 = 3.354_626e-4;
/// Nodes below this share are not made at all: a tenth of what is opened at the least, as the mass may shrink yet.
const FLOOR_NODE: f32 = FLOOR_ASKED / 10.0;

impl Search<'_> {
    /// Makes the children of `node`, whose next token is distributed so, and counts the words that end at it.
    pub(super) fn expand(&mut self, node: usize, distribution: &Arc<Distribution>) {
        if self.nodes[node].opened.is_some() {
            return;
        }
        let path = self.path(node);
        let text = self.text(&path);
        if text.len() < self.typed.len() {
            self.expand_typed(node, &text, distribution);
        } else if text.len() == self.query.held.len() {
            self.expand_beginning(node, &text, distribution);
        } else {
            self.expand_word(node, &path, &text, distribution);
        }
        self.nodes[node].opened = Some(Arc::clone(distribution));
    }

    /// Typed bytes remain: only tokens that agree with them.
    fn expand_typed(&mut self, node: usize, text: &[u8], distribution: &Distribution) {
        let rest = self.typed[text.len()..].to_vec();
        let (vocabulary, parent) = (self.vocabulary, self.nodes[node].prob);
        let partial = self.partial(node, &rest);
        let (covering, beyond) = self.agreeing(node, distribution, &rest, &partial);
        self.mass += covering + beyond - self.nodes[node].share;
        self.unsure += beyond - self.nodes[node].share;
        let floor = self.floor();
        for &token in vocabulary.starting_with(&rest) {
            let prob = parent * distribution.prob(token);
            if !self.cross(text, token, prob) && prob > floor {
                self.add_child(node, token, prob, prob, f64::from(prob));
            }
        }
        for (token, worth) in partial {
            let prob = parent * distribution.prob(token);
            self.add_child(node, token, prob, prob * worth, f64::from(prob * worth));
        }
    }

    /// Below this a node is not worth being made.
    fn floor(&self) -> f32 {
        FLOOR_NODE * (self.mass - self.unsure).max(0.0) as f32
    }

    /// What the tokens behind `node` are worth together that agree with `rest`: those that cover it, and the `partial`.
    pub(super) fn agreeing(
        &self,
        node: usize,
        distribution: &Distribution,
        rest: &[u8],
        partial: &[(u32, f32)],
    ) -> (f64, f64) {
        let prob = self.nodes[node].prob;
        let covering = self.vocabulary.starting_with(rest).iter();
        let covering = covering.map(|&token| f64::from(prob * distribution.prob(token)));
        let partial =
            partial.iter().map(|&(token, worth)| f64::from(prob * distribution.prob(token) * worth));
        (covering.sum(), partial.sum())
    }

    /// Tokens behind `node` that cover a part of `rest`, and what such a token is worth.
    pub(super) fn partial(&self, node: usize, rest: &[u8]) -> Vec<(u32, f32)> {
        let path = self.path(node);
        let next = self.canonical.starts_with(&path).then(|| self.canonical.get(path.len())).flatten();
        let partial = (1..rest.len()).filter_map(|length| {
            let token = self.vocabulary.exactly(&rest[..length])?;
            let sure = next == Some(&token) || cut_by_pretokeniser(rest, length);
            Some((token, if sure { 1.0 } else { PARTIAL }))
        });
        partial.collect()
    }

    /// Nothing of the surface is typed: any token that starts at a boundary.
    fn expand_beginning(&mut self, node: usize, text: &[u8], distribution: &Distribution) {
        let (prob, end) = (self.nodes[node].prob, self.query.end);
        self.mass += f64::from(prob * distribution.boundary(end)) - self.nodes[node].share;
        if end != End::Empty {
            self.message_end += prob * distribution.end();
        }
        self.continue_with(node, text, distribution, |start| start != Start::Special && end.splits(start));
    }

    /// All that is typed is spelled: the word may end, or go on.
    fn expand_word(&mut self, node: usize, path: &[u32], text: &[u8], distribution: &Distribution) {
        let prob = self.nodes[node].prob;
        let surface = &text[self.query.held.len()..];
        let end = End::of(surface);
        let ends = distribution.boundary(end);
        if let (true, Ok(spelled)) = (ends > 0.0, std::str::from_utf8(text))
            && self.vocabulary.encode(spelled) == path
        {
            *self.ended.entry(surface.to_vec()).or_insert(0.0) += prob * ends;
        }
        let goes_on = |start| !matches!(start, Start::Special | Start::Space) && !end.splits(start);
        self.continue_with(node, text, distribution, goes_on);
    }

    fn continue_with(
        &mut self,
        node: usize,
        text: &[u8],
        distribution: &Distribution,
        allowed: impl Fn(Start) -> bool,
    ) {
        let parent = self.nodes[node].prob;
        let floor = self.floor() / parent.max(f32::MIN_POSITIVE);
        let starts = self.vocabulary.starts();
        for (token, prob) in distribution.above(floor) {
            let start = starts[token as usize];
            if allowed(start) && !self.cross(text, token, parent * prob) && self.is_typed(token, start) {
                self.add_child(node, token, parent * prob, parent * prob, 0.0);
            }
        }
    }

    /// Whether a surface may begin or go on with `token`: it has one space before it, and no other white space.
    fn is_typed(&self, token: u32, start: Start) -> bool {
        start != Start::Space || self.vocabulary.bytes(token).first() == Some(&b' ')
    }

    /// If a word ends inside `token` behind `text`, counts the word as ended.
    fn cross(&mut self, text: &[u8], token: u32, prob: f32) -> bool {
        let Some(surface) = self.crossed(text, token) else { return false };
        *self.ended.entry(surface).or_insert(0.0) += prob;
        true
    }

    fn crossed(&self, text: &[u8], token: u32) -> Option<Vec<u8>> {
        if !self.vocabulary.is_crossing(token) {
            return None;
        }
        let text = [text, self.vocabulary.bytes(token)].concat();
        let surface = text.get(self.query.held.len()..)?;
        let cut = first_inside(surface, self.query.prefix.len())?;
        Some(surface[..cut].to_vec())
    }
}

/// Whether the pre-tokeniser cuts `text` at `at` for certain: letters, digits and other characters never share a token,
/// a space goes with what follows it.
fn cut_by_pretokeniser(text: &[u8], at: usize) -> bool {
    let (Ok(before), Ok(after)) = (std::str::from_utf8(&text[..at]), std::str::from_utf8(&text[at..])) else {
        return false;
    };
    let kind = |char: char| (char.is_alphabetic(), char.is_numeric());
    match (before.chars().next_back(), after.chars().next()) {
        (Some(' ') | None, _) | (_, None) => false,
        (Some(a), Some(b)) => kind(a) != kind(b),
    }
}
