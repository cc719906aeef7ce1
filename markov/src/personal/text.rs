//! The writer's text itself, as word ids, with two chains through it: all places of a word, and all places of a pair.
//!
//! This is the match finder of LZ77 compressors: a head per key, and at every place the distance to the one before with
//! the same key. Learning a word is one append. Text lies in chunks, so nothing is ever moved or rehashed when it grows,
//! and the oldest chunk can be let go.

use super::vocabulary::{NONE, WordId, is_start};

/// Words in a chunk: what is forgotten at once.
pub(super) const CHUNK: usize = 128;

/// The most words that are kept: distances fit 16 bits.
const LONGEST: usize = u16::MAX as usize;

/// Bytes of memory for each head of a chain of pairs.
const BYTES_A_HEAD: usize = 64;

/// Positions only rise; before they would overflow the model is read anew from its snapshot.
const WORN_OUT: u32 = if cfg!(test) { 30_000 } else { u32::MAX / 2 };

/// One place. Distances are 0 where there is none, or it is too far.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    word: WordId,
    /// To the last place with the same word.
    word_before: u16,
    /// To the last place whose pair of words has the same hash.
    pair_before: u16,
}

#[derive(Clone, Debug)]
pub(super) struct Text {
    #[expect(clippy::vec_box, reason = "what is there does not move when more is added")]
    chunks: Vec<Box<[Cell; CHUNK]>>,
    /// The position of the first place kept.
    from: u32,
    /// The position of the next one.
    now: u32,
    /// One more than the newest position of a pair of each hash, 0 for none. A power of two of them.
    pairs: Box<[u32]>,
}

impl Text {
    pub(super) fn new(max_bytes: usize) -> Self {
        let heads = (max_bytes / BYTES_A_HEAD).clamp(1, LONGEST).next_power_of_two();
        Self { chunks: Vec::new(), from: 0, now: 0, pairs: vec![0; heads].into_boxed_slice() }
    }

    /// The position the next word will have.
    pub(super) fn now(&self) -> u32 {
        self.now
    }

    pub(super) fn is_worn_out(&self) -> bool {
        self.now > WORN_OUT
    }

    /// Words kept.
    pub(super) fn len(&self) -> usize {
        (self.now - self.from) as usize
    }

    pub(super) fn last(&self) -> Option<WordId> {
        (self.now > self.from).then(|| self.word(self.now - 1))
    }

    /// The word at a position that is kept.
    pub(super) fn word(&self, position: u32) -> WordId {
        self.cell(position).word
    }

    /// The word before a position that is kept, if that is kept too.
    pub(super) fn before(&self, position: u32) -> Option<WordId> {
        self.back(position, 1)
    }

    /// The word some places before a position that is kept, if that is kept too.
    pub(super) fn back(&self, position: u32, places: u32) -> Option<WordId> {
        (position - self.from >= places).then(|| self.word(position - places))
    }

    pub(super) fn words(&self) -> impl ExactSizeIterator<Item = WordId> + '_ {
        (0..self.len()).map(|at| self.word(self.from + at as u32))
    }

    fn cell(&self, position: u32) -> Cell {
        let at = (position - self.from) as usize;
        self.chunks[at / CHUNK][at % CHUNK]
    }

    /// Appends a word whose last place is known (one more than its position, 0 for none), and says where it is.
    pub(super) fn push(&mut self, word: WordId, last: u32) -> u32 {
        let position = self.now;
        let word_before = if word == NONE { 0 } else { self.distance(position, last) };
        let pair = self.last().filter(|&before| before != NONE && word != NONE && !is_start(word));
        let pair_before = pair.map_or(0, |before| {
            let head = self.head(before, word);
            let last = std::mem::replace(&mut self.pairs[head], position + 1);
            self.distance(position, last)
        });
        let at = self.len();
        if at.is_multiple_of(CHUNK) {
            self.chunks.push(Box::new([Cell::default(); CHUNK]));
        }
        self.chunks[at / CHUNK][at % CHUNK] = Cell { word, word_before, pair_before };
        self.now += 1;
        position
    }

    fn distance(&self, position: u32, last: u32) -> u16 {
        if last > self.from { u16::try_from(position + 1 - last).unwrap_or(0) } else { 0 }
    }

    fn head(&self, before: WordId, word: WordId) -> usize {
        let packed = u32::from(before) << 16 | u32::from(word);
        (packed.wrapping_mul(0x9e37_79b1) >> (32 - self.pairs.len().ilog2())) as usize
    }

    /// Positions of a word, newest first, given one more than the newest (0 for none).
    pub(super) fn places_of(&self, last: u32) -> impl Iterator<Item = u32> + '_ {
        self.chain(last, |cell| cell.word_before)
    }

    /// Positions of `word` right after `before`, newest first. At most `steps` places are looked at: others share the
    /// hash.
    pub(super) fn places_of_pair(
        &self,
        before: WordId,
        word: WordId,
        steps: usize,
    ) -> impl Iterator<Item = u32> + '_ {
        let last = self.pairs[self.head(before, word)];
        let chain = self.chain(last, |cell| cell.pair_before).take(steps);
        chain.filter(move |&at| self.word(at) == word && at > self.from && self.word(at - 1) == before)
    }

    fn chain(&self, last: u32, before: impl Fn(Cell) -> u16) -> impl Iterator<Item = u32> {
        let mut next = last.checked_sub(1).filter(|&at| at >= self.from);
        std::iter::from_fn(move || {
            let at = next?;
            let back = u32::from(before(self.cell(at)));
            next = (back > 0 && at - self.from >= back).then(|| at - back);
            Some(at)
        })
    }

    /// Lets the oldest chunk go, unless it is the last; its words.
    pub(super) fn drop_oldest(&mut self) -> Option<[WordId; CHUNK]> {
        if self.chunks.len() < 2 {
            return None;
        }
        self.from += CHUNK as u32;
        Some(self.chunks.remove(0).map(|cell| cell.word))
    }

    /// Whether a chunk must go before there is room for another word.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= LONGEST
    }

    /// Makes a word unknown wherever it stands. Its places stay in the chains of pairs, and match nothing.
    pub(super) fn blank(&mut self, word: WordId) {
        let cells =
            self.chunks.iter_mut().flat_map(|chunk| chunk.iter_mut()).take((self.now - self.from) as usize);
        cells.filter(|cell| cell.word == word).for_each(|cell| cell.word = NONE);
    }

    pub(super) fn bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<Box<[Cell; CHUNK]>>()
            + self.chunks.len() * size_of::<[Cell; CHUNK]>()
            + size_of_val(&*self.pairs)
    }

    /// An upper bound of `bytes` (less a constant) from the content alone: the list of chunks doubles.
    pub(super) fn content_bytes(&self) -> usize {
        let chunk = size_of::<[Cell; CHUNK]>() + 2 * size_of::<Box<[Cell; CHUNK]>>();
        self.len().div_ceil(CHUNK) * chunk + size_of_val(&*self.pairs)
    }
}
