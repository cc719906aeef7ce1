//! The hash table of a vocabulary: chains that grow by one bucket a word (linear hashing, Litwin 1980), so that no word ever
//! waits for the others to be rehashed.

use std::hash::BuildHasher;

use super::{NONE, Vocabulary, WordId, reserve};

impl Vocabulary {
    pub(in super::super) fn hash(&self, surface: &str) -> u64 {
        self.hasher.hash_one(surface)
    }

    pub(in super::super) fn find(&self, surface: &str) -> Option<WordId> {
        self.find_hashed(surface, self.hash(surface))
    }

    /// The same given the surface's [`hash`](Self::hash).
    pub(in super::super) fn find_hashed(&self, surface: &str, hash: u64) -> Option<WordId> {
        let mut id = self.buckets[self.bucket(hash)];
        while id != NONE {
            if self.surface(id) == surface {
                return Some(id);
            }
            id = self.words[usize::from(id)].next;
        }
        None
    }

    /// Buckets below the split have been divided in two already.
    fn bucket(&self, hash: u64) -> usize {
        let hash = hash as usize;
        let above = self.buckets.len().next_power_of_two();
        let wide = hash & (above - 1);
        if wide < self.buckets.len() { wide } else { wide & (above / 2 - 1) }
    }

    /// Adds a bucket and divides the one whose turn it is.
    pub(super) fn split(&mut self) {
        // At a power of two the round is over, and the first bucket is next.
        let from = self.buckets.len() - (1 << self.buckets.len().ilog2());
        reserve(&mut self.buckets);
        self.buckets.push(NONE);
        let mut id = std::mem::replace(&mut self.buckets[from], NONE);
        while id != NONE {
            let next = self.words[usize::from(id)].next;
            self.link(id);
            id = next;
        }
    }

    pub(super) fn link(&mut self, id: WordId) {
        let bucket = self.bucket(self.hash(self.surface(id)));
        self.words[usize::from(id)].next = std::mem::replace(&mut self.buckets[bucket], id);
    }

    pub(super) fn unlink(&mut self, id: WordId) {
        let bucket = self.bucket(self.hash(self.surface(id)));
        let next = self.words[usize::from(id)].next;
        let mut at = self.buckets[bucket];
        if at == id {
            self.buckets[bucket] = next;
            return;
        }
        while at != NONE {
            let word = &mut self.words[usize::from(at)];
            if word.next == id {
                word.next = next;
                return;
            }
            at = word.next;
        }
    }
}
