//! The estimate: interpolated absolute discounting of full rounds.

use super::TeamModel;
use super::keys::{self, LEVELS, Recent};
use super::published::{END, Gram, Node, ROOT};
use crate::personal::MAX_SURFACE;
use crate::{Event, Matched, NextWord, Role, Score};
use std::ops::Range;

/// What every published word is discounted by. Fitted, with the next two, on two teams of 20 and two of hundreds.
const DISCOUNT: f32 = 0.6;

/// What is set aside for other words, for each published one and before any is.
const NOVELTY: f32 = 1.5;
const UNKNOWN: f32 = 1.0;

/// A place in a text, resolved. Void once the model has learned.
#[derive(Clone, Debug)]
pub struct TeamHistory {
    recent: Recent,
    /// The contexts of one word, two words, … that something published came after.
    levels: [Option<Level>; LEVELS],
    /// What a round is worth whatever came before.
    base: f32,
    escape: f32,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    /// Where the context is.
    at: u32,
    /// What a round after it is worth.
    factor: f32,
}

impl TeamHistory {
    fn levels(&self) -> impl DoubleEndedIterator<Item = Level> {
        self.levels.into_iter().flatten()
    }
}

impl TeamModel {
    fn resolve(&self, recent: Recent) -> TeamHistory {
        let mut levels = [None; LEVELS];
        for (level, key) in levels.iter_mut().zip(keys::keys(recent.iter())) {
            let known = self.published.find(key).filter(|&at| self.published.node(at).children > 0);
            *level = known.map(|at| Level { at, factor: 0.0 });
        }
        // What longer contexts leave to shorter ones.
        let mut left = 1.0;
        for level in levels.iter_mut().rev().flatten() {
            let &Node { children, sum, .. } = self.published.node(level.at);
            let rounds = self.published.gram(level.at).rounds.max(sum);
            level.factor = left / rounds as f32;
            left *= ((rounds - sum) as f32 + DISCOUNT * children as f32) / rounds as f32;
        }
        let &Node { children, sum, .. } = self.published.node(ROOT);
        let new = NOVELTY * children as f32 + UNKNOWN;
        let base = left / (sum as f32 + new);
        TeamHistory { recent, levels, base, escape: base * new }
    }

    fn score_of(&self, history: &TeamHistory, token: u64) -> Score {
        let mut keys = keys::keys(std::iter::once(token).chain(history.recent.iter()));
        let mut gram =
            || keys.next().and_then(|key| self.published.find(key)).map(|at| self.published.gram(at));
        let rounds = gram().map_or(0, |alone| alone.rounds);
        let mut score = Score { prob: history.base * rounds as f32, order: 0 };
        for (level, order) in history.levels.iter().zip(1..) {
            if let (Some(gram), Some(level)) = (gram(), level) {
                score = Score { prob: score.prob + worth(level, gram), order };
            }
        }
        score
    }

    /// The children of a context that are words at some ranks, with their ranks.
    fn within(&self, level: Level, ranks: &Range<usize>) -> impl Iterator<Item = (usize, &Gram)> {
        let words = self.published.children(level.at).filter(|gram| gram.word != END);
        words
            .map(|gram| (self.published.words().rank(gram.word), gram))
            .filter(|(rank, _)| ranks.contains(rank))
    }

    /// The probabilities of the words at some ranks.
    fn probs(&self, history: &TeamHistory, ranks: &Range<usize>) -> Vec<f32> {
        let rounds = self.published.words().rounds(ranks.clone());
        let mut probs: Vec<f32> = rounds.iter().map(|&rounds| history.base * rounds as f32).collect();
        for level in history.levels() {
            for (rank, gram) in self.within(level, ranks) {
                probs[rank - ranks.start] += worth(&level, gram);
            }
        }
        probs
    }
}

fn worth(level: &Level, gram: &Gram) -> f32 {
    level.factor * (gram.rounds as f32 - DISCOUNT)
}

impl NextWord for TeamModel {
    type History = TeamHistory;

    fn history(&self, surfaces: &[&str], start: Option<Role>) -> TeamHistory {
        let mut recent = Recent::default();
        if let Some(role) = start {
            recent.push(keys::start(role));
        }
        surfaces.iter().for_each(|surface| recent.follow(surface));
        self.resolve(recent)
    }

    fn advance(&self, history: &TeamHistory, surface: &str) -> TeamHistory {
        let mut recent = history.recent;
        recent.follow(surface);
        self.resolve(recent)
    }

    /// How often a context was seen is what its full rounds vouch for: at least so often.
    fn matched(&self, history: &TeamHistory) -> Matched {
        let longest = history.levels.iter().rposition(Option::is_some);
        let at = longest.and_then(|level| history.levels[level]).map_or(ROOT, |level| level.at);
        let order = longest.map_or(0, |level| level as u8 + 1);
        let rounds = self.published.node(at).sum;
        Matched { order, count: rounds.saturating_mul(self.limits.writers_needed.into()) }
    }

    fn score(&self, history: &TeamHistory, surface: &str) -> Score {
        self.score_of(history, keys::token(surface))
    }

    fn end(&self, history: &TeamHistory) -> f32 {
        self.score_of(history, keys::END).prob
    }

    fn escape(&self, history: &TeamHistory) -> f32 {
        history.escape
    }

    fn mass(&self, history: &TeamHistory, prefix: &str) -> f32 {
        let words = self.published.words();
        let ranks = words.with_prefix(prefix);
        let rounds: u64 = words.rounds(ranks.clone()).iter().map(|&rounds| u64::from(rounds)).sum();
        let mut mass = history.base * rounds as f32;
        for level in history.levels() {
            mass += self.within(level, &ranks).map(|(_, gram)| worth(&level, gram)).sum::<f32>();
        }
        mass
    }

    fn top<'a>(&'a self, history: &'a TeamHistory, prefix: &str, k: usize) -> Vec<(&'a str, f32)> {
        let words = self.published.words();
        let mut ranks = words.with_prefix(prefix);
        // The prefix itself, if it is a word, is the first.
        if !ranks.is_empty() && words.at(ranks.start) == prefix {
            ranks.start += 1;
        }
        let mut best: Vec<(usize, f32)> = Vec::with_capacity(k.min(ranks.len()) + 1);
        for (rank, prob) in ranks.clone().zip(self.probs(history, &ranks)) {
            if best.len() == k && best.last().is_none_or(|&(_, least)| least >= prob) {
                continue;
            }
            let place = best.partition_point(|&(_, other)| other >= prob);
            best.insert(place, (rank, prob));
            best.truncate(k);
        }
        best.into_iter().map(|(rank, prob)| (words.at(rank), prob)).collect()
    }

    fn distribution(&self, history: &TeamHistory) -> Vec<(Event, f32)> {
        let words = self.published.words();
        let probs = self.probs(history, &(0..words.len()));
        let words =
            probs.into_iter().enumerate().map(|(rank, prob)| (Event::Word(words.at(rank).to_owned()), prob));
        words.chain([(Event::End, self.end(history)), (Event::Unknown, self.escape(history))]).collect()
    }
}

impl Recent {
    /// Adds a surface; an over-long one hides what was before it.
    fn follow(&mut self, surface: &str) {
        if surface.len() > MAX_SURFACE {
            *self = Self::default();
        } else {
            self.push(keys::token(surface));
        }
    }
}
