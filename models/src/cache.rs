//! What one conversation keeps between keystrokes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use ort::value::Tensor;

use crate::context::Encoded;
use crate::distribution::Distribution;

/// Distributions kept: the word being typed and its likeliest spellings, and the words proposed after it. Each is the
/// size of the vocabulary, so more would soon weigh as much as the keys and values.
const MEMO: usize = 32;

/// One layer's keys and values, f32 `[1, heads, slots, width of a head]` each.
pub(crate) type KeysValues = (Tensor<f32>, Tensor<f32>);

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
/// needed. Belongs to the [`Gpt2`](crate::Gpt2) that made it, or to another of the same model. Nothing of a conversation
/// can be read out of it or reach another cache.
pub struct KvCache {
    number: u64,
    keys_and_values: Vec<KeysValues>,
    slots: Vec<Slot>,
    memo: HashMap<Vec<u32>, (u64, Arc<Distribution>)>,
    clock: u64,
    encoded: Encoded,
    bytes: usize,
}

impl KvCache {
    /// `vocabulary` is the number of tokens the model knows.
    pub(crate) fn new(keys_and_values: Vec<KeysValues>, vocabulary: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let tensors: usize = keys_and_values
            .iter()
            .map(|(keys, values)| keys.extract_tensor().1.len() + values.extract_tensor().1.len())
            .sum();
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            keys_and_values,
            slots: Vec::new(),
            memo: HashMap::new(),
            clock: 0,
            encoded: Encoded::default(),
            bytes: (tensors + MEMO * vocabulary) * size_of::<f32>(),
        }
    }

    /// The most memory this cache takes, in bytes; the same for all caches of a model.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Tokens whose keys and values are held.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Forgets the conversation and keeps the memory, for another one.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.memo.clear();
        self.encoded = Encoded::default();
        for (keys, values) in &mut self.keys_and_values {
            keys.extract_tensor_mut().1.fill(0.0);
            values.extract_tensor_mut().1.fill(0.0);
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn keys_and_values(&mut self) -> &mut [KeysValues] {
        &mut self.keys_and_values
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

    /// Holds only the first `length` slots.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.slots.truncate(length);
    }

    /// Keeps only what `ends` and their ancestors hold, moved together at the front. About 2 µs a slot moved.
    pub(crate) fn compact(&mut self, ends: impl Iterator<Item = Option<usize>>) {
        let mut moved: Vec<Option<usize>> = vec![None; self.slots.len()];
        for end in ends {
            self.ancestors(end).for_each(|slot| moved[slot] = Some(slot));
        }
        let kept: Vec<usize> = moved.iter().copied().flatten().collect();
        for (to, &from) in kept.iter().enumerate() {
            moved[from] = Some(to);
            let slot = self.slots[from];
            self.slots[to] = Slot { parent: slot.parent.and_then(|parent| moved[parent]), ..slot };
        }
        self.slots.truncate(kept.len());
        for tensor in self.keys_and_values.iter_mut().flat_map(|(keys, values)| [keys, values]) {
            let (shape, cells) = tensor.extract_tensor_mut();
            let (slots, width) = (shape[2] as usize, shape[3] as usize);
            for head in cells.chunks_exact_mut(slots * width) {
                for (to, &from) in kept.iter().enumerate().filter(|(to, from)| to != *from) {
                    head.copy_within(from * width..(from + 1) * width, to * width);
                }
            }
        }
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
