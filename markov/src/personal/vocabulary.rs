//! The surfaces one writer used, with their counts.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;
use std::ops::Range;

/// Numbers a surface; small, because every n-gram stores some.
pub(super) type WordId = u16;

/// The end of a message.
pub(super) const END: WordId = 0;
/// The start of a message, by who writes it. These only ever stand in histories.
pub(super) const START_AUTHOR: WordId = 1;
pub(super) const START_AGENT: WordId = 2;
pub(super) const START_CUSTOMER: WordId = 3;
/// The first id of a real word.
pub(super) const FIRST_WORD: WordId = 4;
/// No word: the history is shorter, or the word is not in the vocabulary.
pub(super) const NONE: WordId = WordId::MAX;

/// Longer surfaces are pasted keys and links: nobody wants them suggested, so they are not kept.
pub(super) const MAX_SURFACE: usize = 64;

/// How many of the most frequent words are kept in order: what is asked for before a letter is typed.
const LISTED: usize = 32;

/// Marks a count that was raised since the last time the model forgot.
const FRESH: u32 = 1 << 31;

#[derive(Clone, Copy, Debug)]
struct Word {
    /// Where its surface starts in `surfaces`; it ends where the next one starts.
    start: u32,
    /// How often it was seen, and `FRESH`.
    tally: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Vocabulary {
    surfaces: String,
    /// By id; the first four are `END` and the starts, with empty surfaces.
    words: Vec<Word>,
    /// Ids of real words in byte order of their surfaces: the words with a prefix are a range.
    sorted: Vec<WordId>,
    index: HashTable<WordId>,
    /// The most frequent words, ties in byte order.
    frequent: Vec<WordId>,
    hasher: DefaultHashBuilder,
    /// The sum of all counts.
    total: u64,
}

impl Vocabulary {
    pub(super) fn new() -> Self {
        Self {
            surfaces: String::new(),
            words: vec![Word { start: 0, tally: 0 }; FIRST_WORD.into()],
            sorted: Vec::new(),
            index: HashTable::new(),
            frequent: Vec::with_capacity(LISTED + 1),
            hasher: DefaultHashBuilder::default(),
            total: 0,
        }
    }

    /// Number of ids in use, the four that are no words included.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// The ids of real words, in order.
    pub(super) fn ids(&self) -> Range<WordId> {
        FIRST_WORD..self.words.len() as WordId
    }

    pub(super) fn surface(&self, id: WordId) -> &str {
        let start = self.words[usize::from(id)].start as usize;
        let end = self.words.get(usize::from(id) + 1).map_or(self.surfaces.len(), |next| next.start as usize);
        &self.surfaces[start..end]
    }

    pub(super) fn count(&self, id: WordId) -> u32 {
        self.words[usize::from(id)].tally & !FRESH
    }

    pub(super) fn is_fresh(&self, id: WordId) -> bool {
        self.words[usize::from(id)].tally & FRESH != 0
    }

    /// The sum of all counts, ends of messages included.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn find(&self, surface: &str) -> Option<WordId> {
        let hash = self.hasher.hash_one(surface);
        self.index.find(hash, |&id| self.surface(id) == surface).copied()
    }

    /// The id of `surface`, a new one if need be; `NONE` if it is too long to keep.
    pub(super) fn intern(&mut self, surface: &str) -> WordId {
        match self.find(surface) {
            Some(id) => id,
            None if surface.is_empty() || surface.len() > MAX_SURFACE || self.words.len() >= NONE.into() => {
                NONE
            }
            None => self.insert(surface),
        }
    }

    fn insert(&mut self, surface: &str) -> WordId {
        let rank = self.sorted.partition_point(|&other| self.surface(other) < surface);
        let id = self.append(surface);
        reserve(&mut self.sorted);
        self.sorted.insert(rank, id);
        id
    }

    /// Adds a surface that is not there, without its place in the order.
    fn append(&mut self, surface: &str) -> WordId {
        let id = self.words.len() as WordId;
        reserve(&mut self.words);
        self.words.push(Word { start: self.surfaces.len() as u32, tally: 0 });
        if self.surfaces.capacity() - self.surfaces.len() < surface.len() {
            self.surfaces.reserve_exact(self.surfaces.len() / 8 + MAX_SURFACE);
        }
        self.surfaces.push_str(surface);
        let Self { index, hasher, words, surfaces, .. } = self;
        index.insert_unique(hasher.hash_one(surface), id, |&other| {
            let start = words[usize::from(other)].start as usize;
            let end = words.get(usize::from(other) + 1).map_or(surfaces.len(), |next| next.start as usize);
            hasher.hash_one(&surfaces[start..end])
        });
        id
    }

    /// A vocabulary of the words that `count` leaves above zero, and the new id of each old one, `NONE` for the others.
    pub(super) fn rebuilt(
        &self,
        count: impl Fn(WordId) -> u32,
        fresh: impl Fn(WordId) -> bool,
    ) -> (Self, Vec<WordId>) {
        let mut new = Self::new();
        let mut map = vec![NONE; self.len()];
        for id in (0..FIRST_WORD).chain(self.ids().filter(|&id| count(id) > 0)) {
            let now = if id < FIRST_WORD { id } else { new.append(self.surface(id)) };
            new.set(now, count(id), fresh(id));
            map[usize::from(id)] = now;
        }
        new.sorted.reserve_exact(new.ids().len());
        new.sorted.extend(self.sorted.iter().map(|&id| map[usize::from(id)]).filter(|&id| id != NONE));
        (new, map)
    }

    /// Counts one more sighting.
    pub(super) fn add(&mut self, id: WordId) {
        let tally = &mut self.words[usize::from(id)].tally;
        *tally = (*tally & !FRESH).saturating_add(1).min(FRESH - 1) | FRESH;
        self.total += 1;
        self.list(id);
    }

    /// Gives a word whose count has risen its place among the most frequent.
    fn list(&mut self, id: WordId) {
        let before = |a: WordId, b: WordId| {
            self.count(b).cmp(&self.count(a)).then_with(|| self.surface(a).cmp(self.surface(b))).is_lt()
        };
        let full = self.frequent.len() == LISTED;
        if id < FIRST_WORD || full && self.frequent.last().is_some_and(|&last| last != id && before(last, id))
        {
            return;
        }
        let listed = self.frequent.iter().position(|&other| other == id);
        let from = listed.unwrap_or(self.frequent.len());
        // Only those with the same count stand between it and its place: mostly none.
        let to = self.frequent[..from].iter().rposition(|&other| before(other, id)).map_or(0, |at| at + 1);
        match listed {
            Some(from) => self.frequent[to..=from].rotate_right(1),
            None => self.frequent.insert(to, id),
        }
        self.frequent.truncate(LISTED);
    }

    /// The most frequent words, best first, ties in byte order, and whether these are all.
    pub(super) fn frequent(&self) -> (&[WordId], bool) {
        (&self.frequent, self.frequent.len() == self.ids().len())
    }

    /// Sets a count, as when a model is read or rebuilt. One that falls leaves [`frequent`](Self::frequent) wrong until
    /// then.
    pub(super) fn set(&mut self, id: WordId, count: u32, fresh: bool) {
        self.total = self.total - u64::from(self.count(id)) + u64::from(count);
        self.words[usize::from(id)].tally = count | if fresh { FRESH } else { 0 };
        self.list(id);
    }

    /// The words that start with `prefix`, in byte order.
    pub(super) fn with_prefix(&self, prefix: &str) -> &[WordId] {
        let start = self.sorted.partition_point(|&id| self.surface(id) < prefix);
        let rest = &self.sorted[start..];
        &rest[..rest.partition_point(|&id| self.surface(id).starts_with(prefix))]
    }

    pub(super) fn bytes(&self) -> usize {
        self.surfaces.capacity()
            + self.words.capacity() * size_of::<Word>()
            + self.sorted.capacity() * size_of::<WordId>()
            + self.index.allocation_size()
    }

    /// An upper bound of `bytes` (less a constant) from the content alone: vectors keep at most an eighth spare, the
    /// index takes 3 bytes a bucket and is at least 7/16 full.
    pub(super) fn content_bytes(&self) -> usize {
        self.surfaces.len() * 9 / 8
            + self.words.len() * ((size_of::<Word>() + size_of::<WordId>()) * 9 / 8 + 8)
    }
}

/// Makes room for one more, leaving at most an eighth spare: doubling would cost every writer half its memory.
fn reserve<T>(vec: &mut Vec<T>) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact(vec.len() / 8 + 4);
    }
}
