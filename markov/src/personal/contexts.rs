//! What followed which words: an open-addressing table of contexts, each with a short list of followers.
//!
//! Most contexts have one follower, which is kept in the slot itself: 12 bytes a context. Longer lists live in blocks
//! of a power of two cells. The table is our own because hashbrown only doubles, which would leave a bounded model half
//! empty just before its bound.

use super::ORDER;
use super::vocabulary::{NONE, WordId};

/// The words of a context, newest last, `NONE` in front of a shorter one.
pub(super) type Key = [WordId; ORDER - 1];

/// The most followers a context keeps. A new one then replaces the rarest.
pub(super) const MAX_FOLLOWERS: usize = 128;

/// A word that came after a context, how often, and whether since the last time the model forgot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Follower(u32);

impl Follower {
    pub(super) const MAX_COUNT: u32 = (1 << 15) - 1;

    pub(super) fn new(word: WordId, count: u32, fresh: bool) -> Self {
        Self(u32::from(word) << 16 | count.min(Self::MAX_COUNT) << 1 | u32::from(fresh))
    }

    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(super) fn bits(self) -> u32 {
        self.0
    }

    pub(super) fn word(self) -> WordId {
        (self.0 >> 16) as WordId
    }

    pub(super) fn count(self) -> u32 {
        self.0 >> 1 & Self::MAX_COUNT
    }

    pub(super) fn is_fresh(self) -> bool {
        self.0 & 1 == 1
    }
}

/// A context and its list: one follower in place, or `len` of them at `list` in a block of `1 << class` cells.
#[derive(Clone, Copy, Debug)]
struct Slot {
    key: Key,
    /// 0: the slot is free.
    len: u8,
    class: u8,
    list: u32,
}

const FREE: Slot = Slot { key: [NONE; ORDER - 1], len: 0, class: 0, list: 0 };

/// Ends a chain of free blocks.
const NO_BLOCK: u32 = u32::MAX;
const CLASSES: usize = MAX_FOLLOWERS.ilog2() as usize + 1;

/// Where a context's followers are; what a history keeps of it. Void once the model has learned.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    single: [Follower; 1],
    start: u32,
    len: u8,
}

#[derive(Clone, Debug)]
pub(super) struct Contexts {
    slots: Vec<Slot>,
    used: usize,
    cells: Vec<u32>,
    /// Cells in blocks that belong to a context.
    live_cells: usize,
    /// The first free block of each class; its first cell holds the next.
    free: [u32; CLASSES],
}

impl Contexts {
    /// Room for `contexts`. Who adds many in the order of another table must ask for it: while a table that grows is
    /// small, they would all belong into its first slots.
    pub(super) fn with_room(contexts: usize) -> Self {
        Self {
            slots: vec![FREE; (contexts * 3 / 2).max(64)],
            used: 0,
            cells: Vec::new(),
            live_cells: 0,
            free: [NO_BLOCK; CLASSES],
        }
    }

    pub(super) fn find(&self, key: Key) -> Option<List> {
        let slot = &self.slots[self.probe(key)];
        (slot.len > 0).then(|| slot.as_list())
    }

    /// The followers of a context, in the order in which they are kept; empty if `list` is void.
    pub(super) fn followers<'a>(&'a self, list: &'a List) -> impl ExactSizeIterator<Item = Follower> + 'a {
        let cells = if list.len == 1 {
            std::slice::from_ref(&list.single[0].0)
        } else {
            let start = list.start as usize;
            self.cells.get(start..start + usize::from(list.len)).unwrap_or(&[])
        };
        cells.iter().map(|&cell| Follower(cell))
    }

    /// Every context with its list, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, List)> {
        self.slots.iter().filter(|slot| slot.len > 0).map(|slot| (slot.key, slot.as_list()))
    }

    /// Counts `word` once more after `key`.
    pub(super) fn add(&mut self, key: Key, word: WordId) {
        let mut at = self.probe(key);
        if self.slots[at].len == 0 {
            at = self.occupy(key, at);
            self.push(at, Follower::new(word, 1, true));
            return;
        }
        let slot = self.slots[at];
        let list = self.list_mut(at);
        if let Some(cell) = list.iter_mut().find(|cell| Follower(**cell).word() == word) {
            let count = Follower(*cell).count();
            if count == Follower::MAX_COUNT {
                halve(list);
            } else {
                *cell = Follower::new(word, count + 1, true).0;
            }
        } else if usize::from(slot.len) < MAX_FOLLOWERS {
            self.push(at, Follower::new(word, 1, true));
        } else if let Some(rarest) = list.iter_mut().min_by_key(|cell| **cell & 0xffff) {
            // Space is kept for what repeats: the rarest goes, of those the one not seen lately.
            *rarest = Follower::new(word, 1, true).0;
        }
    }

    /// Sets the whole list of a context that is not there yet, as when a model is read or rebuilt.
    pub(super) fn insert(&mut self, key: Key, followers: impl Iterator<Item = Follower>) {
        let mut at = None;
        for follower in followers {
            let at = *at.get_or_insert_with(|| self.occupy(key, self.probe(key)));
            self.push(at, follower);
        }
    }

    /// The slot of `key`, or the free one where it would go.
    fn probe(&self, key: Key) -> usize {
        let packed = key.iter().fold(0_u64, |packed, &word| packed << 16 | u64::from(word));
        let hash = packed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let mut at = ((hash * self.slots.len() as u64) >> 32) as usize;
        while self.slots[at].len > 0 && self.slots[at].key != key {
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
        at
    }

    /// Takes the free slot `at` for `key`; the caller pushes its first follower. Grows by a quarter at 4/5 full.
    fn occupy(&mut self, key: Key, mut at: usize) -> usize {
        if (self.used + 1) * 5 > self.slots.len() * 4 {
            let mut slots = Vec::new();
            slots.reserve_exact(self.slots.len() * 5 / 4);
            slots.resize(self.slots.len() * 5 / 4, FREE);
            let old = std::mem::replace(&mut self.slots, slots);
            for slot in old.into_iter().filter(|slot| slot.len > 0) {
                let at = self.probe(slot.key);
                self.slots[at] = slot;
            }
            at = self.probe(key);
        }
        self.used += 1;
        self.slots[at] = Slot { key, ..FREE };
        at
    }

    fn push(&mut self, at: usize, follower: Follower) {
        let slot = self.slots[at];
        let len = usize::from(slot.len);
        if len == 0 {
            self.slots[at] = Slot { len: 1, list: follower.0, ..slot };
            return;
        }
        let mut block = slot.list as usize;
        let mut class = slot.class;
        if len == 1 << slot.class {
            class += 1;
            block = self.allocate(class);
            // The allocation may have moved every block.
            let old = self.slots[at];
            if len == 1 {
                self.cells[block] = old.list;
            } else {
                let from = old.list as usize;
                self.cells.copy_within(from..from + len, block);
                self.release(from, old.class);
            }
        }
        self.cells[block + len] = follower.0;
        self.slots[at] = Slot { len: slot.len + 1, class, list: block as u32, ..slot };
    }

    fn allocate(&mut self, class: u8) -> usize {
        let size = 1 << class;
        self.live_cells += size;
        let head = self.free[usize::from(class)];
        if head != NO_BLOCK {
            self.free[usize::from(class)] = self.cells[head as usize];
            return head as usize;
        }
        if self.cells.len() + size > self.cells.capacity() {
            let idle = self.cells.len() + size - self.live_cells;
            if idle * 8 > self.cells.len() {
                self.compact();
            }
            if self.cells.len() + size > self.cells.capacity() {
                self.cells.reserve_exact(self.cells.len() / 8 + size);
            }
        }
        let block = self.cells.len();
        self.cells.resize(block + size, 0);
        block
    }

    fn release(&mut self, block: usize, class: u8) {
        self.live_cells -= 1 << class;
        self.cells[block] = self.free[usize::from(class)];
        self.free[usize::from(class)] = block as u32;
    }

    /// Moves all blocks together. Nothing that can be seen changes.
    fn compact(&mut self) {
        let mut cells = Vec::new();
        cells.reserve_exact(self.live_cells + self.live_cells / 16);
        for slot in self.slots.iter_mut().filter(|slot| slot.len > 1) {
            let from = slot.list as usize;
            slot.list = cells.len() as u32;
            cells.extend_from_slice(&self.cells[from..from + (1 << slot.class)]);
        }
        self.cells = cells;
        self.free = [NO_BLOCK; CLASSES];
    }

    fn list_mut(&mut self, at: usize) -> &mut [u32] {
        let slot = &mut self.slots[at];
        if slot.len == 1 {
            std::slice::from_mut(&mut slot.list)
        } else {
            let start = slot.list as usize;
            &mut self.cells[start..start + usize::from(slot.len)]
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.cells.capacity() * size_of::<u32>()
    }

    /// An upper bound of `bytes` (less a constant) from the content alone: slots are at least 16/25 full; of the cells
    /// at most an eighth is idle and an eighth spare.
    pub(super) fn content_bytes(&self) -> usize {
        self.used * 19 + self.live_cells * size_of::<u32>() * 13 / 10
    }
}

impl Slot {
    fn as_list(&self) -> List {
        List { single: [Follower(self.list)], start: self.list, len: self.len }
    }
}

/// Makes room in a count that is full: the proportions stay.
fn halve(list: &mut [u32]) {
    for cell in list {
        let follower = Follower(*cell);
        *cell = Follower::new(follower.word(), follower.count().div_ceil(2), follower.is_fresh()).0;
    }
}
