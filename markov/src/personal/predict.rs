//! The estimate: interpolated absolute discounting of weighed places.

use std::cmp::Ordering;

use super::conversation::{Conversation, LONGEST, Spoken};
use super::evidence::{Index, LEVELS, Tallies, Token, sighting};
use super::fresh::FreshWords;
use super::vocabulary::{END, FRESH, MAX_SURFACE, NONE, WordId, is_start};
use super::{PersonalModel, start_id};
use crate::{Event, Matched, NextWord, Role, Score};

/// What every word is discounted by, in shares of its newest place after the context, by the context's length: a long one
/// that came before is likely to go on as it did.
const DISCOUNT: [f32; LEVELS] = [0.8, 0.8, 0.8, 0.8, 0.7, 0.5, 0.4, 0.3];

/// What the shorter context has beside the discounts (the strength of a Pitman-Yor process).
const STRENGTH: [f32; LEVELS] = [0.3, 0.3, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2];

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
    fresh: FreshWords,
    evidence: Vec<Evidence>,
    index: Index,
    /// What a sighting is worth.
    per_sighting: f32,
    escape: f32,
    matched: Matched,
}

/// What is known of a word that there is more to say of than how often it was seen.
#[derive(Clone, Copy, Debug)]
struct Evidence {
    id: WordId,
    /// Words of the longest context it came after.
    order: u8,
    /// How often it was seen, in the text that was learned and in all.
    count: u32,
    sightings: u32,
    prob: f32,
}

impl PersonalHistory {
    fn of(&self, id: WordId) -> Option<&Evidence> {
        let at = self.index.find(id, |at| self.evidence[at].id == id).ok()?;
        Some(&self.evidence[at])
    }
}

impl PersonalModel {
    /// Resolves the place where a conversation stands.
    pub fn history_in(&self, conversation: &Conversation<'_>) -> PersonalHistory {
        let (tokens, fresh) = self.tokens(conversation);
        self.resolve(tokens, fresh)
    }

    /// What was said, as ids, with the words that are not known.
    pub(super) fn tokens(&self, conversation: &Conversation<'_>) -> (Vec<Token>, FreshWords) {
        let mut fresh = FreshWords::default();
        let tokens = conversation.spoken().iter().map(|&spoken| match spoken {
            Spoken::Start(role) => (start_id(role), true),
            Spoken::Surface(surface, sent) => (self.token(surface, &mut fresh), sent),
        });
        (tokens.collect(), fresh)
    }

    /// The same one surface later.
    pub(super) fn with(&self, history: &PersonalHistory, surface: &str) -> (Vec<Token>, FreshWords) {
        let mut fresh = history.fresh.clone();
        let id = self.token(surface, &mut fresh);
        let mut tokens = Vec::with_capacity(history.tokens.len() + 1);
        tokens.extend_from_slice(&history.tokens[(history.tokens.len() + 1).saturating_sub(LONGEST)..]);
        tokens.push((id, false));
        (tokens, fresh)
    }

    /// The id of a word of the conversation, a fresh one if need be.
    fn token(&self, surface: &str, fresh: &mut FreshWords) -> WordId {
        let hash = self.vocabulary.hash(surface);
        let known = self.vocabulary.find_hashed(surface, hash);
        // What is too long to be learned is too long to be said again.
        known.unwrap_or_else(|| {
            if surface.len() > MAX_SURFACE { NONE } else { fresh.intern(surface, hash as u32) }
        })
    }

    fn resolve(&self, tokens: Vec<Token>, fresh: FreshWords) -> PersonalHistory {
        let sighting = sighting(self.vocabulary.total());
        self.settle(self.tallies(&tokens), sighting, tokens, fresh)
    }

    /// The estimate from what was tallied. `sighting`: what a word counts for each time it was seen, wherever.
    pub(super) fn settle(
        &self,
        tallies: Tallies,
        sighting: f32,
        tokens: Vec<Token>,
        fresh: FreshWords,
    ) -> PersonalHistory {
        // What each level's weights are multiplied by, longest context first; the rest is left to shorter ones.
        let mut factors = [0.0; LEVELS];
        let mut left = 1.0;
        for level in (0..LEVELS).rev().filter(|&level| tallies.places[level] > 0) {
            let all = tallies.sums[level] + STRENGTH[level];
            factors[level] = left / all;
            left *= (STRENGTH[level] + DISCOUNT[level] * tallies.tops[level]) / all;
        }
        let total = self.vocabulary.total();
        let types = self.vocabulary.sorted().len() + usize::from(self.vocabulary.count(END) > 0);
        let new = NOVELTY * (sighting * types as f32 + tallies.recent_tops) + UNKNOWN;
        let base = left / (sighting * total as f32 + tallies.recent + new);
        let per_sighting = base * sighting;
        let evidence = tallies.all.iter().map(|tally| {
            let count = self.count(tally.id);
            let mut prob = base * tally.recent + per_sighting * count as f32;
            for level in 0..usize::from(tally.order) {
                prob += factors[level] * (tally.sums[level] - DISCOUNT[level] * tally.tops[level]);
            }
            Evidence {
                id: tally.id,
                order: tally.order,
                count,
                sightings: count.saturating_add(tally.seen.into()),
                prob,
            }
        });
        PersonalHistory {
            evidence: evidence.collect(),
            matched: self.match_of(&tallies),
            index: tallies.index,
            tokens,
            fresh,
            per_sighting,
            escape: base * new,
        }
    }

    fn match_of(&self, tallies: &Tallies) -> Matched {
        let order = tallies.places.iter().rposition(|&places| places > 0).map_or(0, |level| level + 1);
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
        match history.of(id) {
            Some(evidence) => Score { prob: evidence.prob, order: evidence.order },
            None => Score { prob: history.per_sighting * self.count(id) as f32, order: 0 },
        }
    }

    fn surface<'a>(&'a self, history: &'a PersonalHistory, id: WordId) -> &'a str {
        if id < FRESH { self.vocabulary.surface(id) } else { history.fresh.surface(id) }
    }

    fn id(&self, history: &PersonalHistory, surface: &str) -> Option<WordId> {
        let hash = self.vocabulary.hash(surface);
        self.vocabulary.find_hashed(surface, hash).or_else(|| history.fresh.find(surface, hash as u32))
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
        // A word there is no evidence for is as probable as it is frequent, so the k most frequent suffice.
        if let Some((frequent, all)) = self.vocabulary.frequent(prefix) {
            let best = self.best(history, prefix, k, &keep, frequent.iter().copied());
            let least = frequent.last().map_or(0, |&id| self.count(id)) as f32 * history.per_sighting;
            // Those that are not listed are no more frequent than the last that is.
            if all || best.len() == k && best.last().is_some_and(|&(_, prob)| prob > least) {
                return best;
            }
        }
        let wanted = |id: WordId| {
            let surface = self.vocabulary.surface(id);
            surface.len() > prefix.len()
                && history.of(id).is_none()
                && keep(surface, self.vocabulary.count(id))
        };
        self.best(history, prefix, k, &keep, self.most_frequent(prefix, k, wanted).into_iter())
    }

    /// The `k` best of the words there is evidence for and of some frequent ones.
    fn best<'a>(
        &'a self,
        history: &'a PersonalHistory,
        prefix: &str,
        k: usize,
        keep: impl Fn(&str, u32) -> bool,
        frequent: impl Iterator<Item = WordId>,
    ) -> Vec<(&'a str, f32)> {
        let mut found: Vec<(f32, WordId)> = Vec::with_capacity(history.evidence.len() + k.min(64));
        found.extend(self.evident(history, prefix).map(|evidence| (evidence.prob, evidence.id)));
        let frequent = frequent.filter(|&id| history.per_sighting > 0.0 && history.of(id).is_none());
        found.extend(frequent.map(|id| (history.per_sighting * self.vocabulary.count(id) as f32, id)));
        let better = |a: &(f32, WordId), b: &(f32, WordId)| {
            let surface = |id| self.surface(history, id);
            b.0.total_cmp(&a.0).then_with(|| surface(a.1).cmp(surface(b.1)))
        };
        let kept = |&(prob, id): &(f32, WordId)| {
            let surface = self.surface(history, id);
            let sightings = history.of(id).map_or_else(|| self.count(id), |evidence| evidence.sightings);
            (surface.len() > prefix.len() && keep(surface, sightings)).then_some((surface, prob))
        };
        // The condition may cost a look-up: it is asked of the best only, and of the others if too few of these pass.
        let ahead = k.saturating_mul(2);
        let leading: Vec<_> = leading(&found, ahead, better).iter().filter_map(kept).take(k).collect();
        if leading.len() == k || found.len() <= ahead {
            return leading;
        }
        found.sort_unstable_by(better);
        found.iter().filter_map(kept).take(k).collect()
    }

    /// The `k` words with `prefix` that were seen most often, ties in byte order.
    fn most_frequent(&self, prefix: &str, k: usize, wanted: impl Fn(WordId) -> bool) -> Vec<WordId> {
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

/// The first `count` in an order, best first: most are turned away by one comparison.
fn leading<T: Copy>(all: &[T], count: usize, order: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let mut first: Vec<T> = Vec::with_capacity(count.min(all.len()) + 1);
    for item in all {
        if first.len() == count && first.last().is_some_and(|last| order(last, item).is_le()) {
            continue;
        }
        let rank = first.iter().rposition(|other| order(other, item).is_le()).map_or(0, |at| at + 1);
        first.insert(rank, *item);
        first.truncate(count);
    }
    first
}

impl NextWord for PersonalModel {
    type History = PersonalHistory;

    fn history(&self, surfaces: &[&str], start: Option<Role>) -> PersonalHistory {
        self.history_in(&Conversation::of(surfaces, start))
    }

    fn advance(&self, history: &PersonalHistory, surface: &str) -> PersonalHistory {
        let (tokens, fresh) = self.with(history, surface);
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
        let (mut mass, mut counted) = (0.0, 0);
        for evidence in self.evident(history, prefix) {
            mass += evidence.prob;
            counted += u64::from(evidence.count);
        }
        mass + history.per_sighting * (self.vocabulary.counts_with(prefix) - counted) as f32
    }

    /// Of the words that were seen at least twice; [`top_where`](PersonalModel::top_where) takes another condition.
    fn top<'a>(&'a self, history: &'a PersonalHistory, prefix: &str, k: usize) -> Vec<(&'a str, f32)> {
        self.top_where(history, prefix, k, |_, sightings| sightings >= 2)
    }

    fn distribution(&self, history: &PersonalHistory) -> Vec<(Event, f32)> {
        let words = self.vocabulary.sorted().iter().copied().chain(history.fresh.ids());
        let words =
            words.map(|id| (Event::Word(self.surface(history, id).to_owned()), self.prob(history, id).prob));
        words.chain([(Event::End, self.end(history)), (Event::Unknown, self.escape(history))]).collect()
    }
}
