//! The sections of a model file as slices of their element types.

use super::ORDER;
use crate::layout::{self, CHECKED_FROM, FIRST_WORD, HEADER, MAGIC, SECTIONS, SELECTED, VERSION};
use std::ops::Range;

#[derive(Debug)]
pub(super) struct Sections {
    map: memmap2::Mmap,
    ranges: [Range<usize>; SECTIONS],
    /// The first 8 bytes of each word as a number: searching these touches one array instead of surfaces all over.
    keys: Vec<u64>,
    /// The ids of words where their hashes say, or after it; 0: free. Half empty at least.
    slots: Vec<u16>,
}

impl Sections {
    /// Checks header, length, checksum and that every section holds whole elements.
    pub(super) fn new(map: memmap2::Mmap) -> Result<Self, &'static str> {
        if cfg!(target_endian = "big") {
            return Err("models are little endian, and this machine is not");
        }
        if map.get(..4) != Some(&MAGIC) {
            return Err("it does not begin with FTNG");
        }
        if map.len() < HEADER {
            return Err("it is cut short");
        }
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| map[at + byte]));
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| map[at + byte]));
        if u32_at(4) != VERSION {
            return Err("it is of another version");
        }
        if u64_at(16) != map.len() as u64 {
            return Err("its length is not what it says");
        }
        if u32_at(8) != crc32fast::hash(&map[CHECKED_FROM..]) {
            return Err("its checksum does not match");
        }
        let mut end = HEADER;
        let mut ranges = [const { 0..0 }; SECTIONS];
        for (section, range) in ranges.iter_mut().enumerate() {
            let len = usize::try_from(u64_at(24 + 8 * section)).ok().filter(|&len| len <= map.len() - end);
            let len = len.ok_or("a section is longer than the file")?;
            *range = end..end + len;
            end = (end + len).next_multiple_of(8);
            if end > map.len() {
                return Err("a section is longer than the file");
            }
        }
        let sections = Self { map, ranges, keys: Vec::new(), slots: Vec::new() };
        let whole = |section: usize, size: usize| sections.ranges[section].len().is_multiple_of(size);
        let mut fine = whole(layout::OFFSETS, 4) && whole(layout::UNIGRAMS, 4);
        for len in 1..ORDER {
            let at = layout::contexts(len);
            fine &= whole(at.has_children, 8) && whole(at.ranks, 4) && whole(at.firsts, 8);
            fine &= whole(at.selects, 4) && whole(at.large, 4) && whole(at.sums, 4);
            fine &= whole(layout::nodes(len + 1).0, 2);
        }
        if fine { Ok(sections) } else { Err("a section ends within an element") }
    }

    /// The elements of a section; all start at multiples of 8 and hold whole elements.
    fn slice<T: bytemuck::AnyBitPattern>(&self, section: usize) -> &[T] {
        bytemuck::cast_slice(&self.map[self.ranges[section].clone()])
    }

    pub(super) fn file_len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn offsets(&self) -> &[u32] {
        self.slice(layout::OFFSETS)
    }

    pub(super) fn surfaces(&self) -> &[u8] {
        self.slice(layout::SURFACES)
    }

    /// By id.
    pub(super) fn unigrams(&self) -> &[f32] {
        self.slice(layout::UNIGRAMS)
    }

    pub(super) fn has_children(&self, len: usize) -> &[u64] {
        self.slice(layout::contexts(len).has_children)
    }

    pub(super) fn ranks(&self, len: usize) -> &[u32] {
        self.slice(layout::contexts(len).ranks)
    }

    pub(super) fn firsts(&self, len: usize) -> &[u64] {
        self.slice(layout::contexts(len).firsts)
    }

    pub(super) fn selects(&self, len: usize) -> &[u32] {
        self.slice(layout::contexts(len).selects)
    }

    pub(super) fn backoffs(&self, len: usize) -> &[u8] {
        self.slice(layout::contexts(len).backoffs)
    }

    pub(super) fn large(&self, len: usize) -> &[u32] {
        self.slice(layout::contexts(len).large)
    }

    pub(super) fn sums(&self, len: usize) -> &[f32] {
        self.slice(layout::contexts(len).sums)
    }

    pub(super) fn words(&self, order: usize) -> &[u16] {
        self.slice(layout::nodes(order).0)
    }

    pub(super) fn codes(&self, order: usize) -> &[u8] {
        self.slice(layout::nodes(order).1)
    }

    pub(super) fn vocabulary_len(&self) -> usize {
        self.offsets().len() - 1
    }

    /// The surface of word number `word`, counted from 0, as bytes.
    fn bytes(&self, word: usize) -> &[u8] {
        let offsets = self.offsets();
        &self.surfaces()[offsets[word] as usize..offsets[word + 1] as usize]
    }

    /// The surface of a word's id.
    pub(super) fn surface(&self, id: u16) -> &str {
        let bytes = self.bytes(usize::from(id - FIRST_WORD));
        std::str::from_utf8(bytes).expect("every surface was checked when the file was opened")
    }

    /// Prepares the search for surfaces, once the vocabulary is known to be in order.
    pub(super) fn index(&mut self) {
        let words = self.vocabulary_len();
        self.keys = (0..words).map(|word| key(self.bytes(word), 0)).collect();
        self.slots = vec![0; (2 * words).next_power_of_two()];
        for word in 0..words {
            let mut slot = self.slot(self.bytes(word));
            while self.slots[slot] != 0 {
                slot = (slot + 1) % self.slots.len();
            }
            self.slots[slot] = word as u16 + FIRST_WORD;
        }
    }

    /// Where to look for a word first.
    fn slot(&self, bytes: &[u8]) -> usize {
        let mixed = bytes.chunks(KEY).fold(bytes.len() as u64, |hash, chunk| {
            (hash.rotate_left(23) ^ key(chunk, 0)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        (mixed >> 40) as usize & (self.slots.len() - 1)
    }

    pub(super) fn find(&self, surface: &str) -> Option<u16> {
        let bytes = surface.as_bytes();
        let mut slot = self.slot(bytes);
        let wanted = key(bytes, 0);
        loop {
            let id = self.slots[slot];
            let word = usize::from(id.checked_sub(FIRST_WORD)?);
            if self.keys[word] == wanted && self.bytes(word) == bytes {
                return Some(id);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// The ids of the words that start with `prefix`.
    pub(super) fn with_prefix(&self, prefix: &str) -> Range<u16> {
        let prefix = prefix.as_bytes();
        let start = self.first_from(prefix);
        let last = key(prefix, 0xff);
        let mut end = start + self.keys[start..].partition_point(|&key| key <= last);
        if prefix.len() > KEY {
            end = start + partition_point(start..end, |word| self.bytes(word).starts_with(prefix));
        }
        start as u16 + FIRST_WORD..end as u16 + FIRST_WORD
    }

    /// The number of words that come before these bytes.
    fn first_from(&self, bytes: &[u8]) -> usize {
        let wanted = key(bytes, 0);
        let start = self.keys.partition_point(|&key| key < wanted);
        let end = start + self.keys[start..].partition_point(|&key| key <= wanted);
        start + partition_point(start..end, |word| self.bytes(word) < bytes)
    }

    /// The number of the context that is `node` among those of `len` words, if that node has children.
    pub(super) fn context(&self, len: usize, node: usize) -> Option<usize> {
        let bits = self.has_children(len)[node / 64];
        let bit = 1 << (node % 64);
        (bits & bit != 0)
            .then(|| self.ranks(len)[node / 64] as usize + (bits & (bit - 1)).count_ones() as usize)
    }

    /// Where among the nodes of order `len + 1` the children of a context are.
    pub(super) fn children(&self, len: usize, context: usize) -> Range<usize> {
        let firsts = self.firsts(len);
        let near = self.selects(len)[context / SELECTED] as usize;
        let start = nth_bit(firsts, near, context % SELECTED).expect("every context has a first child");
        start..nth_bit(firsts, start + 1, 0).unwrap_or(self.words(len + 1).len())
    }

    /// The sum of the shares of a context's children, if it has enough of them to have it stored.
    pub(super) fn stored_sum(&self, len: usize, context: usize) -> Option<f32> {
        let at = self.large(len).binary_search(&(context as u32)).ok()?;
        Some(self.sums(len)[at])
    }

    /// Where among the nodes of `order` the child with this id is.
    pub(super) fn child(&self, order: usize, children: Range<usize>, id: u16) -> Option<usize> {
        let words = &self.words(order)[children.clone()];
        words.binary_search(&id).ok().map(|at| children.start + at)
    }
}

/// The place of the `n`th set bit, from 0, at or after `from`.
pub(super) fn nth_bit(bits: &[u64], from: usize, mut n: usize) -> Option<usize> {
    let mut at = from / 64;
    let mut word = bits.get(at)? & (u64::MAX << (from % 64));
    loop {
        let ones = word.count_ones() as usize;
        if n < ones {
            for _ in 0..n {
                word &= word - 1;
            }
            return Some(at * 64 + word.trailing_zeros() as usize);
        }
        n -= ones;
        at += 1;
        word = *bits.get(at)?;
    }
}

/// Bytes that [`key`] looks at.
const KEY: usize = 8;

/// The first bytes as a number of the same order, those that are not there as `rest`.
fn key(bytes: &[u8], rest: u8) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(rest)))
}

/// How many of the range `before` is true of, all of which come first.
fn partition_point(range: Range<usize>, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low - range.start
}
