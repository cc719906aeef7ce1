//! The words that are published.

use crate::personal::reserve;
use std::ops::Range;

/// Every word by number, the earlier published first, and in byte order, where the words with a prefix are a range.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    surfaces: Vec<Box<str>>,
    /// Bytes of all surfaces.
    letters: usize,
    /// The rank in byte order, by number.
    ranks: Vec<u32>,
    /// The number, by rank.
    sorted: Vec<u32>,
    /// The rounds, by rank: summed over a prefix, they are read in one go.
    rounds: Vec<u32>,
}

impl Words {
    pub(super) fn len(&self) -> usize {
        self.surfaces.len()
    }

    pub(super) fn surfaces(&self) -> &[Box<str>] {
        &self.surfaces
    }

    pub(super) fn surface(&self, word: u32) -> &str {
        &self.surfaces[word as usize]
    }

    pub(super) fn rank(&self, word: u32) -> usize {
        self.ranks[word as usize] as usize
    }

    /// The surface at a rank.
    pub(super) fn at(&self, rank: usize) -> &str {
        self.surface(self.sorted[rank])
    }

    /// The rounds of the words at some ranks.
    pub(super) fn rounds(&self, ranks: Range<usize>) -> &[u32] {
        &self.rounds[ranks]
    }

    /// The ranks of the words that start with `prefix`.
    pub(super) fn with_prefix(&self, prefix: &str) -> Range<usize> {
        let from = self.sorted.partition_point(|&word| self.surface(word) < prefix);
        let rest = &self.sorted[from..];
        from..from + rest.partition_point(|&word| self.surface(word).starts_with(prefix))
    }

    /// Counts another round of a word.
    pub(super) fn count(&mut self, word: u32) {
        let rank = self.rank(word);
        self.rounds[rank] = self.rounds[rank].saturating_add(1);
    }

    /// Adds a word that is not there, with one round.
    pub(super) fn add(&mut self, surface: &str) -> u32 {
        let word = self.len() as u32;
        let rank = self.sorted.partition_point(|&other| self.surface(other) < surface);
        self.letters += surface.len();
        reserve(&mut self.surfaces);
        reserve(&mut self.ranks);
        reserve(&mut self.sorted);
        reserve(&mut self.rounds);
        self.surfaces.push(surface.into());
        self.ranks.push(rank as u32);
        self.sorted.insert(rank, word);
        self.rounds.insert(rank, 1);
        for &later in &self.sorted[rank + 1..] {
            self.ranks[later as usize] += 1;
        }
        word
    }

    /// Words by number, without their rounds.
    pub(super) fn restore(surfaces: &[&str]) -> Self {
        let mut sorted: Vec<u32> = (0..surfaces.len() as u32).collect();
        sorted.sort_unstable_by_key(|&word| surfaces[word as usize]);
        let mut ranks = vec![0; sorted.len()];
        sorted.iter().zip(0..).for_each(|(&word, rank)| ranks[word as usize] = rank);
        Self {
            letters: surfaces.iter().map(|surface| surface.len()).sum(),
            surfaces: surfaces.iter().map(|&surface| surface.into()).collect(),
            rounds: vec![0; sorted.len()],
            ranks,
            sorted,
        }
    }

    pub(super) fn set(&mut self, word: u32, rounds: u32) {
        let rank = self.rank(word);
        self.rounds[rank] = rounds;
    }

    pub(super) fn bytes(&self) -> usize {
        let numbers = self.ranks.capacity() + self.sorted.capacity() + self.rounds.capacity();
        self.surfaces.capacity() * size_of::<Box<str>>() + numbers * size_of::<u32>() + self.letters
    }

    /// An upper bound of `bytes` (less a constant) from the content alone.
    pub(super) fn content_bytes(&self) -> usize {
        self.len() * (size_of::<Box<str>>() + 3 * size_of::<u32>()) * 9 / 8 + self.letters
    }
}
