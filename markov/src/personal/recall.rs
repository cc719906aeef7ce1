//! The nearest of what a writer sent: an n-gram model of just these messages, trained while a session needs it.
//!
//! As Test-Time Training on Nearest Neighbors (Hardt and Sun 2024) does with gradient steps, the messages that are most
//! like what is being written are looked up and learned from, the nearest most. The index is the writer's text itself: the
//! chain of a word's places lists the messages it is in. Nearness is BM25 (Robertson et al. 1994). The estimate is that of
//! the whole model, with a place weighing what its message does.

use super::conversation::Conversation;
use super::evidence::{Tallies, Token, context, event};
use super::predict::PersonalHistory;
use super::vocabulary::{FRESH, START_AGENT, START_AUTHOR, START_CUSTOMER, WordId};
use super::{PersonalModel, Role};
use crate::{Event, Matched, NextWord, Score};

/// Messages that are learned from, and the words of all of them.
const NEAREST: usize = 20;
const WORDS: usize = 2_000;

/// The newest messages that are searched.
const SEARCHED: usize = 1_024;

/// Of the newest words said the rarest are looked up, each at its newest places.
const SAID: usize = 160;
const RAREST: usize = 16;
const PLACES: usize = 64;

/// BM25's saturation, and how much length counts.
const SATURATION: f32 = 1.2;
const LENGTH: f32 = 0.75;

/// A message that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Near {
    /// Where its words begin, and how many there are, its end among them.
    pub(super) from: u32,
    words: u32,
    /// What its places count: 1 for the nearest.
    weight: f32,
}

/// The messages of a writer nearest to a conversation, as a model of the next word.
///
/// ```
/// use foretype_markov::{Conversation, Limits, NextWord, PersonalModel, Role};
/// let mut model = PersonalModel::new(Limits::default());
/// model.learn("Your refund takes five days", Role::Agent);
/// model.learn("Your delivery takes two weeks", Role::Agent);
/// let conversation = Conversation::new([], Role::Agent, "Your refund takes");
/// let recall = model.recall(&conversation).unwrap();
/// let history = recall.history_in(&conversation);
/// assert!(recall.score(&history, " five").prob > recall.score(&history, " two").prob);
/// ```
#[derive(Clone, Debug)]
pub struct Recall<'a> {
    model: &'a PersonalModel,
    /// Nearest first.
    messages: Vec<Near>,
}

impl PersonalModel {
    /// The messages nearest to a conversation; `None` if none has a word in common with it.
    pub fn recall(&self, conversation: &Conversation<'_>) -> Option<Recall<'_>> {
        let (tokens, _) = self.tokens(conversation);
        let messages = self.nearest(&self.rarest(&tokens));
        (!messages.is_empty()).then_some(Recall { model: self, messages })
    }

    /// The rarest of the words said last.
    pub(super) fn rarest(&self, tokens: &[Token]) -> Vec<WordId> {
        let said = tokens.iter().rev().take(SAID).map(|&(id, _)| id);
        let mut words: Vec<_> = said.filter(|&id| id < FRESH && self.vocabulary.is_word(id)).collect();
        words.sort_unstable_by_key(|&id| (self.vocabulary.count(id), id));
        words.dedup();
        words.truncate(RAREST);
        words
    }

    pub(super) fn nearest(&self, words: &[WordId]) -> Vec<Near> {
        let mut starts: Vec<u32> = [START_AUTHOR, START_AGENT, START_CUSTOMER]
            .into_iter()
            .flat_map(|start| self.text.places_of(self.vocabulary.last(start)).take(SEARCHED))
            .collect();
        starts.sort_unstable();
        let starts = &starts[starts.len().saturating_sub(SEARCHED)..];
        let Some(&first) = starts.first() else { return Vec::new() };
        let messages = starts.len() as f32;
        let usual = (self.text.now() - first) as f32 / messages;
        let end = |message: usize| starts.get(message + 1).copied().unwrap_or(self.text.now());
        let length = |message: usize| (end(message) - starts[message]) as f32;
        let mut scores = vec![0.0_f32; starts.len()];
        let mut found: Vec<(usize, f32)> = Vec::with_capacity(PLACES);
        for &word in words {
            found.clear();
            let places = self.text.places_of(self.vocabulary.last(word));
            let mut seen = 0;
            for at in places.take(PLACES).take_while(|&at| at > first) {
                let message = starts.partition_point(|&start| start < at) - 1;
                seen += 1;
                match found.last_mut() {
                    Some((last, times)) if *last == message => *times += 1.0,
                    _ => found.push((message, 1.0)),
                }
            }
            // Of a frequent word the newest places stand for all.
            let all = self.vocabulary.count(word).max(seen) as f32 / seen.max(1) as f32;
            let holding = (found.len() as f32 * all).min(messages);
            let rarity = (1.0 + (messages - holding + 0.5) / (holding + 0.5)).ln();
            for &(message, times) in &found {
                let norm = SATURATION * (1.0 - LENGTH + LENGTH * length(message) / usual);
                scores[message] += rarity * times * (SATURATION + 1.0) / (times + norm);
            }
        }
        let mut best: Vec<_> = (0..scores.len()).filter(|&message| scores[message] > 0.0).collect();
        let nearer = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(b.cmp(a));
        if best.len() > NEAREST {
            best.select_nth_unstable_by(NEAREST, nearer);
            best.truncate(NEAREST);
        }
        best.sort_unstable_by(nearer);
        let top = best.first().map_or(1.0, |&message| scores[message]);
        let mut left = WORDS;
        let near = best.into_iter().map_while(|message| {
            let words = (length(message) as usize).min(left);
            left -= words;
            let weight = scores[message] / top;
            (words > 0).then_some(Near { from: starts[message] + 1, words: words as u32, weight })
        });
        near.collect()
    }
}

impl Recall<'_> {
    /// Resolves the place where a conversation stands.
    pub fn history_in(&self, conversation: &Conversation<'_>) -> PersonalHistory {
        let (tokens, fresh) = self.model.tokens(conversation);
        self.model.settle(self.tallies(&tokens), 0.0, tokens, fresh)
    }

    /// How much the whole model has learned.
    pub fn words_learned(&self) -> u64 {
        self.model.words_learned()
    }

    /// [`PersonalModel::top_where`].
    pub fn top_where<'a>(
        &'a self,
        history: &'a PersonalHistory,
        prefix: &str,
        k: usize,
        keep: impl Fn(&str, u32) -> bool,
    ) -> Vec<(&'a str, f32)> {
        self.model.top_where(history, prefix, k, keep)
    }

    /// What the messages say of the word after `tokens`.
    fn tallies(&self, tokens: &[Token]) -> Tallies {
        let mut tallies = Tallies::new();
        let context: Vec<WordId> = context(tokens).collect();
        let text = &self.model.text;
        for near in &self.messages {
            for at in near.from..near.from + near.words {
                let Some(word) = event(text.before(at), text.word(at)) else { continue };
                tallies.add_recent(word, near.weight, 0);
                let before = (1..).zip(&context);
                let levels = before.take_while(|&(back, &word)| text.back(at, back) == Some(word)).count();
                if levels > 0 {
                    tallies.add(word, 0..levels, near.weight);
                }
            }
        }
        tallies
    }
}

impl NextWord for Recall<'_> {
    type History = PersonalHistory;

    fn history(&self, surfaces: &[&str], start: Option<Role>) -> PersonalHistory {
        self.history_in(&Conversation::of(surfaces, start))
    }

    fn advance(&self, history: &PersonalHistory, surface: &str) -> PersonalHistory {
        let (tokens, fresh) = self.model.with(history, surface);
        self.model.settle(self.tallies(&tokens), 0.0, tokens, fresh)
    }

    fn matched(&self, history: &PersonalHistory) -> Matched {
        self.model.matched(history)
    }

    fn score(&self, history: &PersonalHistory, surface: &str) -> Score {
        self.model.score(history, surface)
    }

    fn end(&self, history: &PersonalHistory) -> f32 {
        self.model.end(history)
    }

    fn escape(&self, history: &PersonalHistory) -> f32 {
        self.model.escape(history)
    }

    fn mass(&self, history: &PersonalHistory, prefix: &str) -> f32 {
        self.model.mass(history, prefix)
    }

    fn top<'a>(&'a self, history: &'a PersonalHistory, prefix: &str, k: usize) -> Vec<(&'a str, f32)> {
        self.model.top(history, prefix, k)
    }

    fn distribution(&self, history: &PersonalHistory) -> Vec<(Event, f32)> {
        self.model.distribution(history)
    }
}
