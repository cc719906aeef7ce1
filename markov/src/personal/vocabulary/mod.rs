//! The surfaces one writer used, with their counts.

mod buckets;
mod frequent;
mod restore;

use frequent::{Frequent, LISTS};
use hashbrown::DefaultHashBuilder;
use std::cmp::Reverse;
use std::ops::Range;

/// Numbers a surface; small, because every word of the text is one.
pub(super) type WordId = u16;

/// The start of a message, by who writes it. As a next word each stands for the end of the message before.
pub(super) const START_AUTHOR: WordId = 0;
pub(super) const START_AGENT: WordId = 1;
pub(super) const START_CUSTOMER: WordId = 2;
/// The end of a message, whoever wrote it.
pub(super) const END: WordId = START_AUTHOR;
/// The first id of a real word.
const FIRST_WORD: WordId = 3;
/// Ids from here on are words of the conversation at hand that the model does not know.
pub(super) const FRESH: WordId = 0xe000;
/// No word: too long to keep, or forgotten.
pub(super) const NONE: WordId = WordId::MAX;

/// Longer surfaces are pasted keys and links: nobody wants them suggested, so they are not kept.
pub(crate) const MAX_SURFACE: usize = 64;

/// A word seen less often is let go with the last of its places.
const KEPT: u32 = 3;

pub(super) fn is_start(id: WordId) -> bool {
    id < FIRST_WORD
}

#[derive(Clone, Copy, Debug)]
struct Word {
    /// Where its surface lies in `surfaces`.
    at: u32,
    /// One more than its newest position in the text, 0 for none.
    last: u32,
    /// How often it was seen.
    count: u32,
    /// Places in the text.
    places: u16,
    /// The next word in the same bucket, or the next one.
    next: WordId,
    /// Bytes of its surface; 0: the id is free, or that of a start.
    len: u8,
}

impl Word {
    fn range(&self) -> Range<usize> {
        self.at as usize..self.at as usize + usize::from(self.len)
    }
}

const BLANK: Word = Word { at: 0, last: 0, count: 0, places: 0, next: NONE, len: 0 };

/// Every surface once, by id, by spelling and in order.
#[derive(Clone, Debug)]
pub(super) struct Vocabulary {
    surfaces: String,
    /// Bytes of `surfaces` that belong to no word any more.
    waste: usize,
    /// By id; the first three are the starts.
    words: Vec<Word>,
    /// Free ids, highest first, so that the lowest is taken next.
    free: Vec<WordId>,
    buckets: Vec<WordId>,
    hasher: DefaultHashBuilder,
    /// Ids of real words in byte order of their surfaces: the words with a prefix are a range.
    sorted: Vec<WordId>,
    frequent: Frequent,
    /// Words without a place in the text.
    dormant: usize,
}

impl Vocabulary {
    pub(super) fn new() -> Self {
        Self {
            surfaces: String::new(),
            waste: 0,
            words: vec![BLANK; FIRST_WORD.into()],
            free: Vec::new(),
            buckets: vec![NONE],
            hasher: DefaultHashBuilder::default(),
            sorted: Vec::new(),
            frequent: Frequent::default(),
            dormant: 0,
        }
    }

    /// The ids of words, free ones included.
    pub(super) fn ids(&self) -> Range<WordId> {
        FIRST_WORD..self.words.len() as WordId
    }

    /// Messages ended.
    pub(super) fn ends(&self) -> u32 {
        self.count(END)
    }

    /// Whether all ids are taken.
    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty() && self.words.len() >= FRESH.into()
    }

    /// Real words, in byte order.
    pub(super) fn sorted(&self) -> &[WordId] {
        &self.sorted
    }

    pub(super) fn surface(&self, id: WordId) -> &str {
        &self.surfaces[self.words[usize::from(id)].range()]
    }

    pub(super) fn is_word(&self, id: WordId) -> bool {
        self.words.get(usize::from(id)).is_some_and(|word| word.len > 0)
    }

    pub(super) fn count(&self, id: WordId) -> u32 {
        self.words[usize::from(id)].count
    }

    /// One more than the newest position, 0 for none.
    pub(super) fn last(&self, id: WordId) -> u32 {
        self.words[usize::from(id)].last
    }

    /// The sum of all counts, ends of messages included.
    pub(super) fn total(&self) -> u64 {
        self.frequent.total() + u64::from(self.count(END))
    }

    /// The id of `surface`, a new one if need be; `NONE` if it is too long to keep.
    pub(super) fn intern(&mut self, surface: &str) -> WordId {
        match self.find(surface) {
            Some(id) => id,
            None if surface.is_empty() || surface.len() > MAX_SURFACE => NONE,
            None => self.insert(surface),
        }
    }

    fn insert(&mut self, surface: &str) -> WordId {
        let Some(id) = self.free.pop().or_else(|| self.append()) else { return NONE };
        let rank = self.rank(surface);
        reserve(&mut self.sorted);
        self.sorted.insert(rank, id);
        if self.surfaces.capacity() - self.surfaces.len() < surface.len() {
            self.surfaces.reserve_exact(self.surfaces.len() / 8 + MAX_SURFACE);
        }
        let at = self.surfaces.len() as u32;
        self.surfaces.push_str(surface);
        self.words[usize::from(id)] = Word { at, len: surface.len() as u8, ..BLANK };
        self.link(id);
        self.dormant += 1;
        id
    }

    fn rank(&self, surface: &str) -> usize {
        self.sorted.partition_point(|&other| self.surface(other) < surface)
    }

    fn append(&mut self) -> Option<WordId> {
        let id = WordId::try_from(self.words.len()).ok().filter(|&id| id < FRESH)?;
        reserve(&mut self.words);
        self.words.push(BLANK);
        self.split();
        Some(id)
    }

    /// Counts one more sighting, at a position of the text.
    pub(super) fn saw(&mut self, id: WordId, position: u32) {
        let word = &mut self.words[usize::from(id)];
        word.count = word.count.saturating_add(1);
        word.last = position + 1;
        self.dormant -= usize::from(word.places == 0);
        word.places += 1;
        self.counted(id, 1);
        frequent::lists_of(self.surface(id)).for_each(|number| self.list(number, id));
    }

    /// A start that ends no message: it has a place, and counts for nothing.
    pub(super) fn began(&mut self, id: WordId, position: u32) {
        let word = &mut self.words[usize::from(id)];
        word.last = position + 1;
        word.places += 1;
    }

    /// Counts the end of a message at the start `id` that stands for it.
    pub(super) fn ended(&mut self, id: WordId, position: u32) {
        self.began(id, position);
        let end = &mut self.words[usize::from(END)].count;
        *end = end.saturating_add(1);
    }

    fn counted(&mut self, id: WordId, change: i64) {
        let surface = &self.surfaces[self.words[usize::from(id)].range()];
        self.frequent.count(surface, change);
    }

    /// Gives a word whose count has risen its place in a list.
    fn list(&mut self, number: usize, id: WordId) {
        let Self { frequent, words, surfaces, .. } = self;
        let key = |id: WordId| {
            let word = &words[usize::from(id)];
            (Reverse(word.count), &surfaces[word.range()])
        };
        frequent.rise(number, id, |a, b| key(a) < key(b));
    }

    /// The most frequent words with `prefix`, best first, ties in byte order, and whether these are all; `None` where no
    /// list is kept.
    pub(super) fn frequent(&self, prefix: &str) -> Option<(&[WordId], bool)> {
        self.frequent.with(prefix)
    }

    /// The words that start with `prefix`, in byte order.
    pub(super) fn with_prefix(&self, prefix: &str) -> &[WordId] {
        let rest = &self.sorted[self.rank(prefix)..];
        &rest[..rest.partition_point(|&id| self.surface(id).starts_with(prefix))]
    }

    /// The sum of the counts of the words that start with `prefix`.
    pub(super) fn counts_with(&self, prefix: &str) -> u64 {
        self.frequent
            .sum(prefix)
            .unwrap_or_else(|| self.with_prefix(prefix).iter().map(|&id| u64::from(self.count(id))).sum())
    }

    /// Places have left the text; rare words go with their last ones.
    pub(super) fn leave(&mut self, places: impl IntoIterator<Item = WordId>) {
        let mut lists = 0;
        for id in places {
            let word = &mut self.words[usize::from(id)];
            word.places -= 1;
            if word.places > 0 || is_start(id) {
                continue;
            }
            word.last = 0;
            self.dormant += 1;
            if word.count < KEPT {
                let rank = self.rank(self.surface(id));
                self.sorted.remove(rank);
                lists |= self.release(id);
            }
        }
        self.freed(lists);
    }

    /// Forgets a word: its id is free, and must be nowhere in the text.
    pub(super) fn remove(&mut self, id: WordId) {
        let rank = self.rank(self.surface(id));
        self.sorted.remove(rank);
        let lists = self.release(id);
        self.freed(lists);
        // Its letters go too.
        self.tidy();
    }

    /// Words that are in no text kept.
    pub(super) fn dormant(&self) -> usize {
        self.dormant
    }

    /// Halves the counts of dormant words; those that reach zero are forgotten.
    pub(super) fn fade(&mut self) {
        let mut lists = 0;
        for at in 0..self.sorted.len() {
            let id = self.sorted[at];
            let word = self.words[usize::from(id)];
            if word.places > 0 {
                continue;
            }
            let left = word.count / 2;
            self.counted(id, i64::from(left) - i64::from(word.count));
            self.words[usize::from(id)].count = left;
            lists |= self.frequent.containing(self.surface(id), id);
            if left == 0 {
                lists |= self.release(id);
            }
        }
        let words = &self.words;
        self.sorted.retain(|&id| words[usize::from(id)].len > 0);
        self.freed(lists);
    }

    /// Gives an id back. The caller sees to `sorted`, and then calls `freed` with what this says: the lists, a bit each,
    /// that had the word and may lack another now.
    fn release(&mut self, id: WordId) -> u32 {
        let word = self.words[usize::from(id)];
        let lists = self.frequent.containing(self.surface(id), id);
        self.counted(id, -i64::from(word.count));
        self.unlink(id);
        self.waste += usize::from(word.len);
        self.dormant -= usize::from(word.places == 0);
        self.words[usize::from(id)] = BLANK;
        self.free.push(id);
        lists
    }

    fn freed(&mut self, lists: u32) {
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        (0..LISTS).filter(|number| lists >> number & 1 == 1).for_each(|number| self.relist(number));
        // The surfaces move together when a good part of them is waste.
        if self.waste > (self.surfaces.len() - self.waste) / 8 + 256 {
            self.tidy();
        }
    }

    /// Makes a list anew.
    fn relist(&mut self, number: usize) {
        self.frequent.clear(number);
        let words = self.with_prefix(&frequent::prefix_of(number)).to_vec();
        words.into_iter().for_each(|id| self.list(number, id));
    }

    fn tidy(&mut self) {
        let mut surfaces = String::with_capacity(self.surfaces.len() - self.waste + MAX_SURFACE);
        for word in &mut self.words {
            let range = word.range();
            word.at = surfaces.len() as u32;
            surfaces.push_str(&self.surfaces[range]);
        }
        self.surfaces = surfaces;
        self.waste = 0;
    }

    pub(super) fn bytes(&self) -> usize {
        let ids = self.sorted.capacity() + self.buckets.capacity() + self.free.capacity();
        self.surfaces.capacity()
            + self.words.capacity() * size_of::<Word>()
            + ids * size_of::<WordId>()
            + self.frequent.bytes()
    }

    /// An upper bound of `bytes` (less a constant) from the content alone: surfaces have at most an eighth of waste and
    /// vectors an eighth to spare; free ids are at most doubled.
    pub(super) fn content_bytes(&self) -> usize {
        let live = self.surfaces.len() - self.waste;
        live * 81 / 64 + self.words.len() * ((size_of::<Word>() + 2 * size_of::<WordId>()) * 9 / 8 + 4)
    }
}

/// Makes room for one more, leaving at most an eighth spare: doubling would cost every writer half its memory.
pub(crate) fn reserve<T>(vec: &mut Vec<T>) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact(vec.len() / 8 + 4);
    }
}
