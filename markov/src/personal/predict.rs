//! The estimate: interpolated absolute discounting of weighed places.

use std::sync::Arc;

use super::conversation::{Conversation, LONGEST, Spoken};
use super::evidence::{LEVELS, Tallies, Token, sighting};
use super::vocabulary::{END, FRESH, NONE, WordId, is_start};
use super::{PersonalModel, start_id};
use crate::{Event, Matched, NextWord, Role, Score};

/// What every word is discounted by, in shares of its newest place after the context.
const DISCOUNT: f32 = 0.8;

/// What the shorter context has beside the discounts (the strength of a Pitman-Yor process).
const STRENGTH: f32 = 0.3;

/// The same for new words, in shares of what each word's newest sighting counts: a writer's next word is new more often
/// than a place's next word is new there.
const NOVELTY: f32 = 1.5;

/// What is set aside for new words before any is known.
const UNKNOWN: f32 = 1.0;

/// A place in a text, resolved: the next words there is evidence for. Void once the model has learned.
#[derive(Clone, Debug)]
pub struct PersonalHistory {
    tokens: Vec<Token>,
    /// Words of the conversation that the model does not know; their ids begin with `FRESH`.
    fresh: Arc<Vec<String>>,
    /// By id.
    evidence: Vec<Evidence>,
    /// What a sighting is worth.
    per_sighting: f32,
    escape: f32,
    matched: Matched,
}

/// What a word has beyond its sightings.
#[derive(Clone, Copy, Debug)]
struct Evidence {
    id: WordId,
    /// Sightings in the conversation.
    seen: u8,
    /// Words of the longest context it came after.
    order: u8,
    prob: f32,
}

impl PersonalModel {
    /// Resolves the place where a conversation stands.
    pub fn history_in(&self, conversation: &Conversation<'_>) -> PersonalHistory {
        let mut fresh = Vec::new();
        let tokens = conversation.spoken().iter().map(|&spoken| match spoken {
            Spoken::Start(role) => (start_id(role), true),
            Spoken::Surface(surface, sent) => (self.token(surface, &mut fresh), sent),
        });
        let tokens = tokens.collect();
        self.resolve(tokens, Arc::new(fresh))
    }

    /// The id of a word of the conversation, a fresh one if need be.
    fn token(&self, surface: &str, fresh: &mut Vec<String>) -> WordId {
        self.vocabulary.find(surface).unwrap_or_else(|| {
            let at = fresh.iter().position(|known| known == surface).unwrap_or_else(|| {
                fresh.push(surface.to_owned());
                fresh.len() - 1
            });
            // A conversation has a few hundred surfaces.
            WordId::try_from(at).ok().and_then(|at| FRESH.checked_add(at)).unwrap_or(NONE)
        })
    }

    fn resolve(&self, tokens: Vec<Token>, fresh: Arc<Vec<String>>) -> PersonalHistory {
        let tallies = self.tallies(&tokens);
        // What each level's weights are multiplied by, longest context first; the rest is left to shorter ones.
        let mut factors = [0.0; LEVELS];
        let mut left = 1.0;
        for level in (0..LEVELS).rev().filter(|&level| tallies.places[level] > 0) {
            let all = tallies.sums[level] + STRENGTH;
            factors[level] = left / all;
            left *= (STRENGTH + DISCOUNT * tallies.tops[level]) / all;
        }
        let total = self.vocabulary.total();
        let sighting = sighting(total);
        let types = self.vocabulary.sorted().len() + usize::from(self.vocabulary.count(END) > 0);
        let new = NOVELTY * (sighting * types as f32 + tallies.recent_tops) + UNKNOWN;
        let base = left / (sighting * total as f32 + tallies.recent + new);
        let mut evidence: Vec<Evidence> = tallies
            .all
            .iter()
            .map(|tally| {
                let levels = factors.iter().zip(tally.sums.iter().zip(&tally.tops));
                let prob = levels.fold(base * tally.recent, |prob, (factor, (sum, top))| {
                    prob + factor * (sum - DISCOUNT * top)
                });
                let order = tally.sums.iter().take_while(|&&sum| sum > 0.0).count() as u8;
                Evidence { id: tally.id, seen: tally.seen, order, prob }
            })
            .collect();
        evidence.sort_unstable_by_key(|evidence| evidence.id);
        let (per_sighting, escape) = (base * sighting, base * new);
        PersonalHistory { matched: self.match_of(&tallies), tokens, fresh, evidence, per_sighting, escape }
    }

    fn match_of(&self, tallies: &Tallies) -> Matched {
        let order = tallies.places.iter().take_while(|&&places| places > 0).count();
        let count = match order {
            0 => u32::try_from(self.vocabulary.total()).unwrap_or(u32::MAX),
            _ => tallies.places[order - 1],
        };
        Matched { order: order as u8, count }
    }

    fn count(&self, id: WordId) -> u32 {
        if id < FRESH { self.vocabulary.count(id) } else { 0 }
    }

    fn prob(&self, history: &PersonalHistory, id: WordId) -> Score {
        let found = history.evidence.binary_search_by_key(&id, |evidence| evidence.id).ok();
        let (prob, order) =
            found.map_or((0.0, 0), |at| (history.evidence[at].prob, history.evidence[at].order));
        Score { prob: prob + history.per_sighting * self.count(id) as f32, order }
    }

    fn surface<'a>(&'a self, history: &'a PersonalHistory, id: WordId) -> &'a str {
        match id.checked_sub(FRESH) {
            Some(at) => history.fresh.get(usize::from(at)).map_or("", String::as_str),
            None => self.vocabulary.surface(id),
        }
    }

    fn id(&self, history: &PersonalHistory, surface: &str) -> Option<WordId> {
        self.vocabulary.find(surface).or_else(|| {
            let at = history.fresh.iter().position(|fresh| fresh == surface)?;
            Some(FRESH + at as WordId)
        })
    }

    /// The words that there is evidence for and that start with `prefix`.
    fn evident<'a>(
        &'a self,
        history: &'a PersonalHistory,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Evidence> {
        let words = history.evidence.iter().filter(|evidence| !is_start(evidence.id));
        words.filter(move |evidence| {
            prefix.is_empty() || self.surface(history, evidence.id).starts_with(prefix)
        })
    }

    /// As [`NextWord::top`], of the words that `keep` lets through, given a surface and how often it was seen; a word of
    /// a message that was sent in the conversation counts as seen twice.
    pub fn top_where<'a>(
        &'a self,
        history: &'a PersonalHistory,
        prefix: &str,
        k: usize,
        keep: impl Fn(&str, u32) -> bool,
    ) -> Vec<(&'a str, f32)> {
        if k == 0 {
            return Vec::new();
        }
        let mut found: Vec<(f32, u32, &str)> = self
            .evident(history, prefix)
            .map(|evidence| {
                let count = self.count(evidence.id);
                let prob = evidence.prob + history.per_sighting * count as f32;
                (prob, count + u32::from(evidence.seen), self.surface(history, evidence.id))
            })
            .filter(|(.., surface)| surface.len() > prefix.len())
            .collect();
        // A word there is no evidence for is as probable as it is frequent, so the k most frequent suffice.
        let evident = |id: WordId| history.evidence.binary_search_by_key(&id, |evidence| evidence.id).is_ok();
        let wanted = |id: WordId| {
            let surface = self.vocabulary.surface(id);
            surface.len() > prefix.len() && !evident(id) && keep(surface, self.vocabulary.count(id))
        };
        found.extend(self.most_frequent(prefix, k, wanted).into_iter().map(|id| {
            let count = self.vocabulary.count(id);
            (history.per_sighting * count as f32, count, self.vocabulary.surface(id))
        }));
        // The condition may cost a look-up: it is asked of the best only, until k have passed.
        let better =
            |a: &(f32, u32, &str), b: &(f32, u32, &str)| b.0.total_cmp(&a.0).then_with(|| a.2.cmp(b.2));
        let mut best = Vec::with_capacity(k.min(found.len()));
        let mut rest = found.as_mut_slice();
        while best.len() < k && !rest.is_empty() {
            let ahead = (4 * k).min(rest.len());
            if ahead < rest.len() {
                rest.select_nth_unstable_by(ahead - 1, better);
            }
            let (head, tail) = rest.split_at_mut(ahead);
            head.sort_unstable_by(better);
            let kept = head.iter().filter(|&&(_, count, surface)| keep(surface, count));
            best.extend(kept.take(k - best.len()).map(|&(prob, _, surface)| (surface, prob)));
            rest = tail;
        }
        best
    }

    /// The `k` words with `prefix` that were seen most often, ties in byte order.
    fn most_frequent(&self, prefix: &str, k: usize, wanted: impl Fn(WordId) -> bool) -> Vec<WordId> {
        if let Some((frequent, all)) = self.vocabulary.frequent(prefix) {
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
        self.history_in(&Conversation::of(surfaces, start))
    }

    fn advance(&self, history: &PersonalHistory, surface: &str) -> PersonalHistory {
        let mut fresh = Arc::clone(&history.fresh);
        let id = self.id(history, surface).unwrap_or_else(|| self.token(surface, Arc::make_mut(&mut fresh)));
        let mut tokens = Vec::with_capacity(history.tokens.len() + 1);
        tokens.extend_from_slice(&history.tokens[(history.tokens.len() + 1).saturating_sub(LONGEST)..]);
        tokens.push((id, false));
        self.resolve(tokens, fresh)
    }

    fn matched(&self, history: &PersonalHistory) -> Matched {
        history.matched
    }

    fn score(&self, history: &PersonalHistory, surface: &str) -> Score {
        self.id(history, surface).map_or(Score { prob: 0.0, order: 0 }, |id| self.prob(history, id))
    }

    fn end(&self, history: &PersonalHistory) -> f32 {
        self.prob(history, END).prob
    }

    fn escape(&self, history: &PersonalHistory) -> f32 {
        history.escape
    }

    fn mass(&self, history: &PersonalHistory, prefix: &str) -> f32 {
        let evident: f32 = self.evident(history, prefix).map(|evidence| evidence.prob).sum();
        evident + history.per_sighting * self.vocabulary.counts_with(prefix) as f32
    }

    /// Of the words that were seen at least twice; [`top_where`](PersonalModel::top_where) takes another condition.
    fn top<'a>(&'a self, history: &'a PersonalHistory, prefix: &str, k: usize) -> Vec<(&'a str, f32)> {
        self.top_where(history, prefix, k, |_, sightings| sightings >= 2)
    }

    fn distribution(&self, history: &PersonalHistory) -> Vec<(Event, f32)> {
        let fresh = (0..history.fresh.len()).map(|at| FRESH + at as WordId);
        let words = self.vocabulary.sorted().iter().copied().chain(fresh);
        let words =
            words.map(|id| (Event::Word(self.surface(history, id).to_owned()), self.prob(history, id).prob));
        words.chain([(Event::End, self.end(history)), (Event::Unknown, self.escape(history))]).collect()
    }
}
