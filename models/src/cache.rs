//! What one conversation keeps between keystrokes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;

use crate::context::Encoded;
use crate::distribution::Distribution;
use crate::rounded::Held;

/// Distributions kept: the word being typed and its likeliest spellings, and the words proposed after it. Each is the
/// size of the vocabulary, so more would soon weigh as much as the keys and values.
const MEMO: usize = 32;

/// A token whose keys and values are held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) token: u32,
    /// The slot of the token before it, always a lower one.
    pub(crate) parent: Option<usize>,
    /// Tokens before it.
    pub(crate) position: usize,
}

/// One conversation's keys and values, the tree of tokens they belong to, and the newest distributions.
///
/// The tokens are a tree, not a row: words that were looked into keep their slots beside one another, until room is
/// needed. It is plain memory, as much as the conversation needs, and may move between [`Gpt2`](crate::Gpt2)s of the same
/// model. Nothing of a conversation can be read out of it or reach another cache.
#[derive(Default)]
pub struct KvCache {
    /// What it was when it was last worked on: no other content ever has the same stamp. 0: nothing yet.
    stamp: u64,
    slots: Vec<Slot>,
    /// Keys and values, [rounded](crate::rounded).
    held: Held,
    memo: HashMap<Vec<u32>, (u64, Arc<Distribution>)>,
    clock: u64,
    /// The last slot of the text that was asked about; what is not before it was only looked into.
    spine: Option<usize>,
    encoded: Encoded,
}

/// Distributions that a cache keeps when memory is short: after the text, and of its likeliest words.
const FEW: usize = 6;

/// Slots for which it keeps room then.
const ROOM: usize = 16;

impl KvCache {
    /// The memory that keys, values, distributions and the conversation's text take, in bytes.
    pub fn bytes(&self) -> usize {
        let memo = self.memo.iter();
        let distributions =
            memo.map(|(tokens, (_, distribution))| size_of_val(&tokens[..]) + distribution.bytes());
        let slots = self.slots.capacity() * size_of::<Slot>();
        let held: usize = self.held.iter().map(Vec::capacity).sum();
        held + slots + distributions.sum::<usize>() + self.encoded.bytes()
    }

    /// Tokens whose keys and values are held.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Keeps what the next question surely needs, keys and values of the text and the newest distributions, where memory is short.
    pub fn thin(&mut self) {
        let width = self.held.first().map_or(0, Vec::len) / self.slots.len().max(1);
        if let Some(spine) = self.spine
            && spine + 1 < self.slots.len()
        {
            self.compact(std::iter::once(Some(spine)), width);
            self.spine = self.slots.len().checked_sub(1);
        }
        // The next words shall not have to move it all.
        self.held.iter_mut().for_each(|part| part.shrink_to(part.len() + ROOM * width));
        if self.memo.len() > FEW {
            let mut used: Vec<u64> = self.memo.values().map(|(used, _)| *used).collect();
            used.sort_unstable_by(|a, b| b.cmp(a));
            self.memo.retain(|_, (at, _)| *at > used[FEW]);
        }
    }

    /// A question about `tokens` is answered: theirs is what is needed next.
    pub(crate) fn answered(&mut self, tokens: &[u32]) {
        self.recall(tokens);
        self.spine = self.walk(tokens).0;
    }

    /// Forgets the conversation.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// See the field.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Its content has changed: a stamp that was never given before.
    pub(crate) fn change(&mut self) -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        self.stamp = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        self.stamp
    }

    /// Keys and values of the slots that have been run.
    pub(crate) fn held(&mut self) -> &mut Held {
        &mut self.held
    }

    /// The texts of this conversation as tokens.
    pub(crate) fn encoded(&mut self) -> &mut Encoded {
        &mut self.encoded
    }

    /// The tree, parents before children.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// `slot` and those before it, up to the first token.
    pub(crate) fn ancestors(&self, slot: Option<usize>) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(slot, |&slot| self.slots[slot].parent)
    }

    /// How far `tokens` are held: the slot of the last one that is, and their number.
    pub(crate) fn walk(&self, tokens: &[u32]) -> (Option<usize>, usize) {
        let (mut at, mut next) = (None, 0);
        for (&token, depth) in tokens.iter().zip(0..) {
            // In a long context the child is the next slot.
            let child = (next..self.slots.len())
                .find(|&slot| self.slots[slot].parent == at && self.slots[slot].token == token);
            let Some(child) = child else { return (at, depth) };
            (at, next) = (Some(child), child + 1);
        }
        (at, tokens.len())
    }

    /// A slot for `token` behind `parent`; its keys and values are there after the next run.
    pub(crate) fn push(&mut self, token: u32, parent: Option<usize>) -> usize {
        let position = parent.map_or(0, |parent| self.slots[parent].position + 1);
        self.slots.push(Slot { token, parent, position });
        self.slots.len() - 1
    }

    /// Holds only the first `length` slots, of which each takes `width` bytes in every part of what is held.
    pub(crate) fn truncate(&mut self, length: usize, width: usize) {
        self.slots.truncate(length);
        self.held.iter_mut().for_each(|part| part.truncate(length * width));
        self.spine = self.spine.filter(|spine| *spine < length);
    }

    /// Gives up keys and values from slot `length` on, `width` bytes a slot in every part, but not the slots: they are to be run again.
    pub(crate) fn unrun(&mut self, length: usize, width: usize) {
        self.held.iter_mut().for_each(|part| part.truncate(length * width));
        self.change();
    }

    /// Keeps only what `ends` and their ancestors hold, moved together at the front, `width` bytes a slot in every part.
    pub(crate) fn compact(&mut self, ends: impl Iterator<Item = Option<usize>>, width: usize) {
        let mut moved: Vec<Option<usize>> = vec![None; self.slots.len()];
        for end in ends {
            self.ancestors(end).for_each(|slot| moved[slot] = Some(slot));
        }
        let kept: Vec<usize> = moved.iter().copied().flatten().collect();
        for (to, &from) in kept.iter().enumerate() {
            moved[from] = Some(to);
            let slot = self.slots[from];
            self.slots[to] = Slot { parent: slot.parent.and_then(|parent| moved[parent]), ..slot };
            for part in self.held.iter_mut().filter(|_| from != to) {
                part.copy_within(from * width..(from + 1) * width, to * width);
            }
        }
        self.spine = None;
        self.truncate(kept.len(), width);
        self.change();
    }

    /// The distribution after exactly `tokens`, if it was asked for lately.
    pub(crate) fn recall(&mut self, tokens: &[u32]) -> Option<Arc<Distribution>> {
        self.clock += 1;
        let (used, distribution) = self.memo.get_mut(tokens)?;
        *used = self.clock;
        Some(Arc::clone(distribution))
    }

    /// Keeps the distribution after `tokens`, at the cost of the one unused longest.
    pub(crate) fn remember(&mut self, tokens: &[u32], distribution: &Arc<Distribution>) {
        self.clock += 1;
        if self.memo.len() >= MEMO {
            let oldest =
                self.memo.iter().min_by_key(|(_, (used, _))| *used).map(|(tokens, _)| tokens.clone());
            oldest.and_then(|tokens| self.memo.remove(&tokens));
        }
        self.memo.insert(tokens.to_vec(), (self.clock, Arc::clone(distribution)));
    }

    /// Drops the memo and keeps keys and values, so that a test sees what is computed from them.
    #[cfg(test)]
    pub(crate) fn forget_distributions(&mut self) {
        self.memo.clear();
    }
}
