//! What speaks for each next word at one place: occurrences of the words before it, in the writer's text and in the
//! conversation at hand, weighed by age and by how many words match.

use super::conversation;
use super::vocabulary::{END, FRESH, NONE, WordId, is_start};
use super::{ORDER, PersonalModel};

/// Contexts of one word to `LEVELS` words.
pub(super) const LEVELS: usize = ORDER - 1;

/// The newest places of a context that are looked at.
const PLACES: usize = 384;

/// Places looked at to find those of a pair: some others share the hash.
const STEPS: usize = 2 * PLACES;

/// Surfaces that count as said a moment ago.
const RECENT: usize = conversation::LONGEST;

/// A place counts the less the longer ago it is: 1 / √(1 + age / `FADING`), in words. Human memory forgets so (Anderson
/// and Schooler 1991), and on writers' text no half-life does as well.
const FADING: f32 = 100.0;

/// A word said a moment ago, whatever came before it, counts 1 / (1 + age / `RECENT_FADING`) sightings of `sighting`.
const RECENT_FADING: f32 = 20.0;

/// What one sighting counts beside what was said a moment ago, and the most all sightings may.
const SIGHTING: f32 = 0.03;
const SIGHTINGS: f32 = 600.0;

pub(super) fn weight(age: usize) -> f32 {
    (1.0 + age as f32 / FADING).sqrt().recip()
}

pub(super) fn recent_weight(age: usize) -> f32 {
    (1.0 + age as f32 / RECENT_FADING).recip()
}

/// What a sighting counts once there are `total`.
pub(super) fn sighting(total: u64) -> f32 {
    SIGHTING.min(SIGHTINGS / total.max(1) as f32)
}

/// A token of the conversation: its id, and whether it was sent.
pub(super) type Token = (WordId, bool);

/// What was found for one next word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    pub(super) id: WordId,
    /// Sightings in the conversation; what was sent counts twice.
    pub(super) seen: u8,
    /// Words of the longest context it came after.
    pub(super) order: u8,
    /// The weight it has whatever came before.
    pub(super) recent: f32,
    /// Its weight after contexts of one word, two words, …
    pub(super) sums: [f32; LEVELS],
    /// The largest single one of these.
    pub(super) tops: [f32; LEVELS],
}

/// All next words at one place.
#[derive(Debug)]
pub(super) struct Tallies {
    pub(super) all: Vec<Tally>,
    /// Over all words, by level: the sum of their weights, of their largest weights, and the number of places.
    pub(super) sums: [f32; LEVELS],
    pub(super) tops: [f32; LEVELS],
    pub(super) places: [u32; LEVELS],
    /// The same whatever came before.
    pub(super) recent: f32,
    pub(super) recent_tops: f32,
    pub(super) index: Index,
}

/// Finds what there is on an id: an open-addressing table of positions, one more than each, 0 for none.
#[derive(Clone, Debug)]
pub(super) struct Index(Box<[u16; Index::SLOTS]>);

impl Index {
    /// Twice the places that can be looked at, so that probing stays short.
    const SLOTS: usize = 2048;

    /// The position of `id` in `all`, or the slot where it belongs.
    pub(super) fn find(&self, id: WordId, is_at: impl Fn(usize) -> bool) -> Result<usize, usize> {
        let mut slot = usize::from(id.wrapping_mul(0x9e37) >> 5);
        loop {
            match self.0[slot] {
                0 => return Err(slot),
                at if is_at(usize::from(at) - 1) => return Ok(usize::from(at) - 1),
                _ => slot = (slot + 1) % Self::SLOTS,
            }
        }
    }
}

impl Tallies {
    pub(super) fn new() -> Self {
        Self {
            all: Vec::with_capacity(512),
            sums: [0.0; LEVELS],
            tops: [0.0; LEVELS],
            places: [0; LEVELS],
            recent: 0.0,
            recent_tops: 0.0,
            index: Index(Box::new([0; Index::SLOTS])),
        }
    }

    fn of(&mut self, id: WordId) -> &mut Tally {
        let all = &mut self.all;
        let at = self.index.find(id, |at| all[at].id == id).unwrap_or_else(|slot| {
            all.push(Tally { id, seen: 0, order: 0, recent: 0.0, sums: [0.0; LEVELS], tops: [0.0; LEVELS] });
            self.index.0[slot] = all.len() as u16;
            all.len() - 1
        });
        &mut all[at]
    }

    /// Counts a place where `id` came after `levels` of the context's words. Places come newest first, so the first
    /// weight a word gets is its largest.
    pub(super) fn add(&mut self, id: WordId, levels: std::ops::Range<usize>, weight: f32) {
        let tally = self.of(id);
        tally.order = tally.order.max(levels.end as u8);
        let mut tops = [0.0; LEVELS];
        for level in levels.clone() {
            tally.sums[level] += weight;
            if tally.tops[level] == 0.0 {
                tally.tops[level] = weight;
                tops[level] = weight;
            }
        }
        for level in levels {
            self.sums[level] += weight;
            self.tops[level] += tops[level];
            self.places[level] += 1;
        }
    }

    pub(super) fn add_recent(&mut self, id: WordId, weight: f32, seen: u8) {
        let tally = self.of(id);
        let first = tally.recent == 0.0;
        tally.recent += weight;
        tally.seen = tally.seen.saturating_add(seen);
        self.recent += weight;
        self.recent_tops += if first { weight } else { 0.0 };
    }
}

/// The last words of the conversation, newest first, back to the start of the message or a word that is not known.
pub(super) fn context(tokens: &[Token]) -> impl Iterator<Item = WordId> {
    let mut done = false;
    tokens.iter().rev().map(|&(id, _)| id).take(LEVELS).take_while(move |&id| {
        let go_on = !done && id != NONE;
        done = is_start(id);
        go_on
    })
}

/// The event a word is when it comes after `before`.
pub(super) fn event(before: Option<WordId>, word: WordId) -> Option<WordId> {
    match before {
        _ if word == NONE => None,
        // The start of a message ends the one before, if there is one.
        None if is_start(word) => None,
        Some(before) if is_start(word) && is_start(before) => None,
        _ if is_start(word) => Some(END),
        _ => Some(word),
    }
}

impl PersonalModel {
    /// Everything that is known of the word that comes after `tokens`.
    pub(super) fn tallies(&self, tokens: &[Token]) -> Tallies {
        let mut tallies = Tallies::new();
        let mut words = [NONE; LEVELS];
        let mut known = 0;
        for (slot, word) in words.iter_mut().zip(context(tokens)) {
            *slot = word;
            known += 1;
        }
        self.tally_conversation(&mut tallies, tokens, &words[..known]);
        self.tally_recent(&mut tallies, tokens.len());
        self.tally_text(&mut tallies, tokens.len(), &words[..known]);
        tallies
    }

    fn tally_conversation(&self, tallies: &mut Tallies, tokens: &[Token], context: &[WordId]) {
        let sighting = sighting(self.vocabulary.total());
        for at in (0..tokens.len()).rev() {
            let before = at.checked_sub(1).map(|at| tokens[at].0);
            let (word, sent) = tokens[at];
            let Some(word) = event(before, word) else { continue };
            let age = tokens.len() - at;
            tallies.add_recent(word, recent_weight(age) + sighting, 1 + u8::from(sent));
            let matching =
                tokens[..at].iter().rev().zip(context).take_while(|(token, word)| token.0 == **word);
            let levels = matching.count();
            if levels > 0 {
                tallies.add(word, 0..levels, weight(age));
            }
        }
    }

    /// The writer's last words before the conversation.
    fn tally_recent(&self, tallies: &mut Tallies, spoken: usize) {
        for back in 1..=RECENT.saturating_sub(spoken).min(self.text.len()) {
            let at = self.text.now() - back as u32;
            if let Some(word) = event(self.text.before(at), self.text.word(at)) {
                tallies.add_recent(word, recent_weight(spoken + back), 0);
            }
        }
    }

    /// The places of the context in the writer's text.
    fn tally_text(&self, tallies: &mut Tallies, spoken: usize, context: &[WordId]) {
        let Some(&last) = context.first().filter(|&&last| last < FRESH) else { return };
        let now = self.text.now();
        let next = |at: u32| {
            let next = (at + 1 < now).then(|| self.text.word(at + 1))?;
            Some((event(Some(last), next)?, weight(spoken + (now - at - 1) as usize)))
        };
        for at in self.text.places_of(self.vocabulary.last(last)).take(PLACES) {
            if let Some((word, weight)) = next(at) {
                tallies.add(word, 0..1, weight);
            }
        }
        let Some(&before) = context.get(1).filter(|&&before| before < FRESH) else { return };
        for at in self.text.places_of_pair(before, last, STEPS).take(PLACES) {
            if let Some((word, weight)) = next(at) {
                let more = context[2..].iter().zip(2..);
                let more = more.take_while(|&(&word, back)| self.text.back(at, back) == Some(word));
                tallies.add(word, 1..2 + more.count(), weight);
            }
        }
    }
}
