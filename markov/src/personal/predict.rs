//! The estimate: Witten-Bell interpolation of the contexts a history ends with.

use super::contexts::{Follower, List};
use super::vocabulary::{END, FIRST_WORD, NONE, WordId};
use super::{ORDER, PersonalModel, start_id, suffixes};
use crate::{Event, Matched, NextWord, Role, Score};

/// What a distinct continuation counts as evidence of new ones. Witten and Bell's own 1 trusts the sparse contexts of one
/// writer too much: 3 takes 0.2 nats a word off the log-loss on each of three sets of writers.
const NOVELTY: f32 = 3.0;

/// The contexts of a [`PersonalModel`] that end a text, resolved. Void once the model has learned.
#[derive(Clone, Copy, Debug)]
pub struct PersonalHistory {
    recent: [WordId; ORDER - 1],
    /// By number of words, shortest first.
    levels: [Option<Level>; ORDER - 1],
    /// What the unigrams' distribution is multiplied by.
    base: f32,
}

/// One context: P(w | history) contains `weight · c(w)`.
#[derive(Clone, Copy, Debug)]
struct Level {
    list: List,
    weight: f32,
    total: u32,
}

impl PersonalModel {
    fn resolve(&self, recent: [WordId; ORDER - 1]) -> PersonalHistory {
        let mut levels = [None; ORDER - 1];
        for (level, key) in levels.iter_mut().zip(suffixes(&recent)) {
            let Some(list) = self.contexts.find(key) else { break };
            *level = Some(Level { list, weight: 0.0, total: 0 });
        }
        let mut base = 1.0;
        for level in levels.iter_mut().rev().flatten() {
            let followers = self.contexts.followers(&level.list);
            let distinct = NOVELTY * followers.len() as f32;
            level.total = followers.map(Follower::count).sum();
            let all = level.total as f32 + distinct;
            level.weight = base / all;
            base *= distinct / all;
        }
        PersonalHistory { recent, levels, base }
    }

    /// 1 / (N + T) of the unigrams. The end of the message counts as a type from the start, so an empty model is all
    /// escape.
    fn unigram_weight(&self) -> f32 {
        1.0 / (self.vocabulary.total() as f32 + self.unigram_types())
    }

    fn unigram_types(&self) -> f32 {
        self.vocabulary.ids().len() as f32 + 1.0
    }

    fn prob(&self, history: &PersonalHistory, id: WordId) -> Score {
        let mut prob = history.base * self.unigram_weight() * self.vocabulary.count(id) as f32;
        let mut order = 0;
        for (words, level) in (1..).zip(history.levels.iter().flatten()) {
            if let Some(found) = self.contexts.followers(&level.list).find(|follower| follower.word() == id) {
                prob += level.weight * found.count() as f32;
                order = words;
            }
        }
        Score { prob, order }
    }

    /// As [`NextWord::top`], of the words that `keep` lets through, given a surface and how often it was seen.
    pub fn top_where(
        &self,
        history: &PersonalHistory,
        prefix: &str,
        k: usize,
        keep: impl Fn(&str, u32) -> bool,
    ) -> Vec<(&str, f32)> {
        let wanted = |id: WordId| {
            let surface = self.vocabulary.surface(id);
            surface.len() > prefix.len() && keep(surface, self.vocabulary.count(id))
        };
        if k == 0 {
            return Vec::new();
        }
        let per_count = history.base * self.unigram_weight();
        let mut candidates: Vec<(WordId, f32)> = Vec::with_capacity(64);
        // A word that follows none of the contexts is as probable as it is frequent, so the k most frequent suffice.
        candidates.extend(self.most_frequent(prefix, k, wanted).into_iter().map(|id| (id, 0.0)));
        for level in history.levels.iter().flatten() {
            for follower in self.contexts.followers(&level.list) {
                let id = follower.word();
                if self.is_word_with(id, prefix) {
                    candidates.push((id, level.weight * follower.count() as f32));
                }
            }
        }
        // Stable, and summed in the order of `prob`, so that both round alike.
        candidates.sort_by_key(|&(id, _)| id);
        let mut merged: Vec<(WordId, &str, f32)> = Vec::with_capacity(candidates.len());
        for same in candidates.chunk_by(|a, b| a.0 == b.0) {
            let id = same[0].0;
            let unigram = per_count * self.vocabulary.count(id) as f32;
            let prob = same.iter().fold(unigram, |sum, &(_, part)| sum + part);
            merged.push((id, self.vocabulary.surface(id), prob));
        }
        merged.sort_unstable_by(|a, b| b.2.total_cmp(&a.2).then_with(|| a.1.cmp(b.1)));
        // The condition may cost a look-up: it is asked of the best only, until k have passed.
        let kept = merged.into_iter().filter(|&(id, ..)| wanted(id));
        kept.take(k).map(|(_, surface, prob)| (surface, prob)).collect()
    }

    /// Whether an id is a word, and starts with `prefix`.
    fn is_word_with(&self, id: WordId, prefix: &str) -> bool {
        id >= FIRST_WORD && (prefix.is_empty() || self.vocabulary.surface(id).starts_with(prefix))
    }

    /// The `k` words with `prefix` that were seen most often, ties in byte order.
    fn most_frequent(&self, prefix: &str, k: usize, wanted: impl Fn(WordId) -> bool) -> Vec<WordId> {
        if prefix.is_empty() {
            let (frequent, all) = self.vocabulary.frequent();
            let best: Vec<WordId> = frequent.iter().copied().filter(|&id| wanted(id)).take(k).collect();
            if best.len() == k || all {
                return best;
            }
        }
        let mut best: Vec<(u32, WordId)> = Vec::with_capacity(k.min(64) + 1);
        for &id in self.vocabulary.with_prefix(prefix) {
            let count = self.vocabulary.count(id);
            let full = best.len() == k;
            if full && best.last().is_some_and(|&(least, _)| count <= least) || !wanted(id) {
                continue;
            }
            let rank = best.partition_point(|&(other, _)| other >= count);
            best.insert(rank, (count, id));
            best.truncate(k);
        }
        best.into_iter().map(|(_, id)| id).collect()
    }
}

impl NextWord for PersonalModel {
    type History = PersonalHistory;

    fn history(&self, surfaces: &[&str], start: Option<Role>) -> PersonalHistory {
        let mut recent = [NONE; ORDER - 1];
        if surfaces.len() < recent.len()
            && let Some(role) = start
        {
            recent[recent.len() - 1 - surfaces.len()] = start_id(role);
        }
        for (place, surface) in recent.iter_mut().rev().zip(surfaces.iter().rev()) {
            *place = self.vocabulary.find(surface).unwrap_or(NONE);
        }
        self.resolve(recent)
    }

    fn advance(&self, history: &PersonalHistory, surface: &str) -> PersonalHistory {
        let [_, b, c] = history.recent;
        self.resolve([b, c, self.vocabulary.find(surface).unwrap_or(NONE)])
    }

    fn matched(&self, history: &PersonalHistory) -> Matched {
        let order = history.levels.iter().flatten().count();
        let count = match history.levels.iter().flatten().last() {
            Some(level) => level.total,
            None => self.vocabulary.total().try_into().unwrap_or(u32::MAX),
        };
        Matched { order: order as u8, count }
    }

    fn score(&self, history: &PersonalHistory, surface: &str) -> Score {
        match self.vocabulary.find(surface) {
            Some(id) => self.prob(history, id),
            None => Score { prob: 0.0, order: 0 },
        }
    }

    fn end(&self, history: &PersonalHistory) -> f32 {
        self.prob(history, END).prob
    }

    fn escape(&self, history: &PersonalHistory) -> f32 {
        history.base * self.unigram_weight() * self.unigram_types()
    }

    fn mass(&self, history: &PersonalHistory, prefix: &str) -> f32 {
        let counts = |ids: &[WordId]| ids.iter().map(|&id| u64::from(self.vocabulary.count(id))).sum();
        let seen: u64 = match prefix {
            "" => self.vocabulary.total() - u64::from(self.vocabulary.count(END)),
            _ => counts(self.vocabulary.with_prefix(prefix)),
        };
        let mut mass = history.base * self.unigram_weight() * seen as f32;
        for level in history.levels.iter().flatten() {
            let followers = self.contexts.followers(&level.list);
            let seen: u32 = followers
                .filter(|follower| self.is_word_with(follower.word(), prefix))
                .map(Follower::count)
                .sum();
            mass += level.weight * seen as f32;
        }
        mass
    }

    /// Of the words that were seen at least twice; [`top_where`](PersonalModel::top_where) takes another condition.
    fn top(&self, history: &PersonalHistory, prefix: &str, k: usize) -> Vec<(&str, f32)> {
        self.top_where(history, prefix, k, |_, sightings| sightings >= 2)
    }

    fn distribution(&self, history: &PersonalHistory) -> Vec<(Event, f32)> {
        let words = self
            .vocabulary
            .ids()
            .map(|id| (Event::Word(self.vocabulary.surface(id).to_owned()), self.prob(history, id).prob));
        words.chain([(Event::End, self.end(history)), (Event::Unknown, self.escape(history))]).collect()
    }
}
