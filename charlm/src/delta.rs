//! What a writer's own words change in the character model.

use std::fmt;

use crate::{
    Spelling,
    memo::Memo,
    tables::{END, OTHER, START},
};

/// Characters of the contexts that are counted: shorter ones the static model knows better than any writer's few words.
const SHORTEST: usize = 3;
const LONGEST: usize = 6;
/// A shorter context is worth as many sightings, at most.
const STRENGTH: f64 = 16.0;

/// A longer "word" is a pasted key or link.
const LONGEST_WORD: usize = 32;
/// Symbols kept; with them a delta stays below 64 KiB.
const MOST_SYMBOLS: usize = 16_300;
const SYMBOLS: usize = 256;
/// A key looks back as far: the text begins with as many zeros.
const BACK: usize = 7;

/// The words one writer used that the lexicon does not have, indexed by what stands before each of their characters.
///
/// With c(h, s) how often the character s comes after the context h in these words (START is a character too), N(h) their sum and
/// T(h) the number of different s, for contexts of 3 to 6 characters
///
/// ```text
/// P(s | h) = (c(h, s) + t · p(s | h)) / (N(h) + t)                t = 16 · T(h) / (T(h) + 2)
/// p(s | h) = share(s, h) + escape(h) · P(s | h without its oldest character)
/// ```
///
/// where share and escape are the static model's: the shorter of the writer's contexts count for little where that knows a longer
/// one well. Each step is a mean of distributions, so all sum to one whatever was learned and dropped.
///
/// The text is its own index, as in a suffix array: its positions, sorted by the characters before them, have all of a context
/// in one range, for three bytes a character.
#[derive(Clone, PartialEq, Eq)]
pub struct Delta {
    /// START, the characters and END of each word as symbols, oldest word first, behind [`BACK`] zeros.
    text: Vec<u8>,
    /// The positions of all symbols but START, by [`key`](Self::key), then by themselves.
    sorted: Vec<u16>,
    /// Where in `sorted` those after each symbol begin; most contexts of a text have a newest symbol with few.
    after: Box<[u16; SYMBOLS + 1]>,
    /// P_chars of listed words, since the last word was learned.
    spelled: Memo,
}

impl Default for Delta {
    fn default() -> Self {
        let after = Box::new([0; SYMBOLS + 1]);
        Self { text: vec![END; BACK], sorted: Vec::new(), after, spelled: Memo::default() }
    }
}

impl Delta {
    /// Learns a surface the writer used. Nothing happens if the lexicon lists it, if it is known already, or if it is no word:
    /// without a letter, with a character `spelling` has no symbol for, or too long. Always the same `spelling`: symbols are its
    /// own.
    ///
    /// When there is no room left the older half of all words goes.
    pub fn learn(&mut self, spelling: &Spelling, surface: &str) {
        let long = surface.chars().nth(LONGEST_WORD).is_some();
        if long || !surface.contains(char::is_alphabetic) || spelling.contains(surface) {
            return;
        }
        let symbols = surface.chars().map(|c| spelling.chars().symbol(c));
        let word: Vec<u8> = std::iter::once(START).chain(symbols).chain([END]).collect();
        if !word.contains(&OTHER) && !self.has(&word) {
            if self.text.len() + word.len() > MOST_SYMBOLS {
                self.halve();
            }
            self.append(&word);
        }
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The words learned and kept, oldest first: learned again in this order they make an equal delta.
    pub fn words(&self, spelling: &Spelling) -> impl Iterator<Item = String> {
        self.spelled().map(|word| word.iter().filter_map(|&symbol| spelling.chars().char(symbol)).collect())
    }

    /// Forgets a surface. Returns whether it was known.
    pub fn forget(&mut self, spelling: &Spelling, surface: &str) -> bool {
        let kept: Vec<String> = self.words(spelling).filter(|word| word != surface).collect();
        let known = kept.len() < self.spelled().count();
        if known {
            *self = Self::default();
            kept.iter().for_each(|word| self.learn(spelling, word));
        }
        known
    }

    /// Bytes of memory in use, counting capacity rather than content.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.text.capacity()
            + size_of_val(&*self.after)
            + size_of::<u16>() * self.sorted.capacity()
            + self.spelled.bytes()
    }

    /// What was seen after a context.
    pub(crate) fn seen(&self, context: u64) -> Seen<'_> {
        let wanted = context.swap_bytes();
        let mut seen = Seen { text: &self.text, ..Seen::default() };
        let newest = usize::from(context as u8);
        let mut range = &self.sorted[usize::from(self.after[newest])..usize::from(self.after[newest + 1])];
        for length in SHORTEST..=LONGEST {
            // END in a context says that it is not that long.
            if (context >> (8 * (length - 1))) as u8 == END || range.is_empty() {
                break;
            }
            let others = u64::MAX >> (8 * length);
            let from = range.partition_point(|&at| self.key(at) < wanted & !others);
            let to = range[from..].partition_point(|&at| self.key(at) <= wanted | others);
            range = &range[from..from + to];
            seen.places[length - SHORTEST] = range;
        }
        seen
    }

    /// The symbols before a position, newest first, then its own. Those of an earlier word are behind an END, and no context has
    /// any.
    fn key(&self, at: u16) -> u64 {
        let at = usize::from(at);
        let symbols = self.text[at - BACK..].first_chunk().expect("the text is padded, and goes on to `at`");
        u64::from_le_bytes(*symbols).rotate_left(8)
    }

    /// P_chars of the listed word of this number, spelled out if need be.
    pub(crate) fn remembered(&self, word: usize, spell: impl FnOnce() -> f32) -> f32 {
        self.spelled.get(word, spell)
    }

    fn append(&mut self, word: &[u8]) {
        self.spelled.clear();
        let from = self.text.len();
        reserve(&mut self.text, word.len());
        self.text.extend_from_slice(word);
        reserve(&mut self.sorted, word.len());
        for at in from + 1..self.text.len() {
            let at = at as u16;
            let key = self.key(at);
            let rank = self.sorted.partition_point(|&other| self.key(other) <= key);
            self.sorted.insert(rank, at);
            self.after[usize::from(self.text[usize::from(at) - 1]) + 1..]
                .iter_mut()
                .for_each(|from| *from += 1);
        }
    }

    /// Drops the older half of the words.
    fn halve(&mut self) {
        let middle = self.text.len() / 2;
        let end = self.text[middle..].iter().position(|&symbol| symbol == END);
        let kept = self.text.split_off(end.map_or(self.text.len(), |end| middle + end + 1));
        *self = Self::default();
        kept.split_inclusive(|&symbol| symbol == END).for_each(|word| self.append(word));
    }

    /// The symbols of each word, START and END included.
    fn spelled(&self) -> impl Iterator<Item = &[u8]> {
        self.text[BACK..].split_inclusive(|&symbol| symbol == END)
    }

    fn has(&self, word: &[u8]) -> bool {
        self.spelled().any(|known| known == word)
    }
}

/// The places in the writer's words after each suffix of a context that is counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen<'a> {
    text: &'a [u8],
    places: [&'a [u16]; LONGEST - SHORTEST + 1],
}

impl<'a> Seen<'a> {
    /// P(symbol | the newest `length` symbols of the context), given what is said of it without these places.
    pub(crate) fn prob(&self, length: usize, symbol: u8, without: f64) -> f64 {
        self.after(length).map_or(without, |(places, held)| {
            let count = places.iter().filter(|&&at| self.symbol(at) == symbol).count();
            (count as f64 + held * without) / (places.len() as f64 + held)
        })
    }

    /// Adds what the places give each symbol, in shares of `weight`; what is left of the weight.
    pub(crate) fn add(&self, length: usize, weight: f32, all: &mut [f32; 256]) -> f32 {
        self.after(length).map_or(weight, |(places, held)| {
            let sighting = weight / (places.len() as f32 + held as f32);
            places.iter().for_each(|&at| all[usize::from(self.symbol(at))] += sighting);
            sighting * held as f32
        })
    }

    /// The places after so many symbols, if there are any, and how many sightings is worth what is said without them.
    fn after(&self, length: usize) -> Option<(&'a [u16], f64)> {
        let places = *self.places.get(length.checked_sub(SHORTEST)?)?;
        let mut different = [0_u64; 4];
        for &at in places {
            let symbol = self.symbol(at);
            different[usize::from(symbol >> 6)] |= 1 << (symbol & 63);
        }
        let types = f64::from(different.iter().map(|bits| bits.count_ones()).sum::<u32>());
        (types > 0.0).then_some((places, STRENGTH * types / (types + 2.0)))
    }

    fn symbol(&self, at: u16) -> u8 {
        self.text[usize::from(at)]
    }
}

/// Makes room, leaving at most an eighth spare.
fn reserve<T>(vec: &mut Vec<T>, more: usize) {
    if vec.capacity() - vec.len() < more {
        vec.reserve_exact(more + vec.len() / 8);
    }
}

/// No words: they are the writer's.
impl fmt::Debug for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delta").field("symbols", &self.sorted.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
