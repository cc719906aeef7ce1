//! What one conversation keeps between keystrokes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use ort::value::Tensor;

use crate::context::Encoded;
use crate::distribution::Distribution;

/// Distributions kept: the word being typed and its likeliest spellings, and the words proposed after it. Each is the
/// size of the vocabulary, so more would soon weigh as much as the keys and values.
const MEMO: usize = 24;

/// One layer's keys and values, f32 `[1, heads, positions, width of a head]` each.
pub(crate) type KeysValues = (Tensor<f32>, Tensor<f32>);

/// One conversation's keys and values, the tokens they belong to, and the newest distributions.
///
/// Belongs to the [`Gpt2`](crate::Gpt2) that made it, or to another of the same model. Nothing of a conversation can be
/// read out of it or reach another cache.
pub struct KvCache {
    number: u64,
    keys_and_values: Vec<KeysValues>,
    tokens: Vec<u32>,
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
            tokens: Vec::new(),
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
        self.tokens.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Forgets the conversation and keeps the memory, for another one.
    pub fn clear(&mut self) {
        self.tokens.clear();
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

    /// How many tokens the cache and `tokens` have in common from the start.
    pub(crate) fn common(&self, tokens: &[u32]) -> usize {
        self.tokens.iter().zip(tokens).take_while(|(held, wanted)| held == wanted).count()
    }

    /// Holds only the first `length` tokens: the keys and values behind them are overwritten by what comes next.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.tokens.truncate(length);
    }

    /// Notes that the keys and values of `tokens` were appended.
    pub(crate) fn extend(&mut self, tokens: &[u32]) {
        self.tokens.extend_from_slice(tokens);
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
