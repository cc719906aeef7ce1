//! One question's work: distributions, from the memo or from the network, until told to stop.

use std::sync::Arc;

use crate::batch::{Desk, Order};
use crate::cache::KvCache;
use crate::config::Config;
use crate::distribution::Distribution;
use crate::session::CHUNK;
use crate::vocabulary::Vocabulary;

/// Slots beyond the tokens asked for that are worth more than the memory, and the time that ONNX Runtime's attention takes for them.
const SPREAD: usize = 64;

/// Why no distribution could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The caller said stop.
    Stopped,
    /// The passes allowed are spent.
    Spent,
    /// No positions are left.
    Full,
    /// ONNX Runtime failed; the cache is truncated to what it had before.
    Failed,
}

/// The network at work on one question about one conversation.
pub(crate) struct Steps<'a> {
    pub(crate) config: &'a Config,
    pub(crate) vocabulary: &'a Vocabulary,
    /// Bytes that a slot takes in every part of what is held.
    pub(crate) slot_width: usize,
    pub(crate) desk: &'a Desk,
    pub(crate) cache: &'a mut KvCache,
    pub(crate) stop: &'a dyn Fn(usize) -> bool,
    /// Passes that may still be made.
    pub(crate) left: usize,
    /// Passes made: runs of the network, beside the prefill.
    pub(crate) taken: u32,
    /// Tokens that went through the network in them.
    pub(crate) tokens: u32,
    /// Tokens that went through the network before the first pass.
    pub(crate) prefilled: u32,
}

/// Slots made and not yet run, and whose distributions are wanted of them: slot, and index of the asker.
struct Pending {
    from: usize,
    wanted: Vec<(usize, usize)>,
}

impl Steps<'_> {
    /// The distribution after `context`, which is no pass: it is the prefill.
    pub(crate) async fn prefill(&mut self, context: &[u32]) -> Result<Arc<Distribution>, Halt> {
        if let Some(known) = self.known(context) {
            return Ok(known);
        }
        let (taken, tokens) = (self.taken, self.tokens);
        let fed = self.feed(&[context]).await;
        self.prefilled += self.tokens - tokens;
        (self.taken, self.tokens) = (taken, tokens);
        fed?.pop().flatten().ok_or(Halt::Full)
    }

    /// The distribution after `tokens`, if it was asked for lately.
    pub(crate) fn known(&mut self, tokens: &[u32]) -> Option<Arc<Distribution>> {
        self.cache.recall(tokens)
    }

    /// The distributions after each of `sequences`, in one pass over all tokens that are not held: a token tree. More
    /// than [`CHUNK`] tokens take more than one run. `None` where there is no room.
    pub(crate) async fn pass(
        &mut self,
        sequences: &[&[u32]],
    ) -> Result<Vec<Option<Arc<Distribution>>>, Halt> {
        if self.left == 0 {
            return Err(Halt::Spent);
        }
        self.left -= 1;
        self.feed(sequences).await
    }

    async fn feed(&mut self, sequences: &[&[u32]]) -> Result<Vec<Option<Arc<Distribution>>>, Halt> {
        let mut found = vec![None; sequences.len()];
        self.make_room(sequences);
        let mut pending = Pending { from: self.cache.len(), wanted: Vec::new() };
        for (index, tokens) in sequences.iter().enumerate() {
            let (mut at, mut held) = self.cache.walk(tokens);
            if held == tokens.len() && at.is_some_and(|slot| slot < pending.from) {
                // Keys and values do not hold the logits of their token, so it is run again.
                held -= 1;
                at = at.and_then(|slot| self.cache.slots()[slot].parent);
            }
            if self.cache.len() + (tokens.len() - held) > self.config.n_positions {
                continue;
            }
            for &token in &tokens[held..] {
                if self.cache.len() - pending.from == CHUNK {
                    self.flush(&mut pending, sequences, &mut found).await?;
                }
                at = Some(self.cache.push(token, at));
            }
            pending.wanted.extend(at.map(|slot| (slot, index)));
        }
        self.flush(&mut pending, sequences, &mut found).await?;
        Ok(found)
    }

    /// Gives up the slots that none of `sequences` leads through, if there are too many of them.
    fn make_room(&mut self, sequences: &[&[u32]]) {
        let longest = sequences.iter().map(|tokens| tokens.len()).max().unwrap_or_default();
        let limit = self.config.n_positions.min(longest + SPREAD);
        let walks: Vec<(Option<usize>, usize)> =
            sequences.iter().map(|tokens| self.cache.walk(tokens)).collect();
        let missing: usize =
            sequences.iter().zip(&walks).map(|(tokens, (_, held))| (tokens.len() - held).max(1)).sum();
        if self.cache.len() + missing > limit {
            self.cache.compact(walks.iter().map(|&(slot, _)| slot), self.slot_width);
        }
    }

    /// Has what is pending run.
    async fn flush(
        &mut self,
        pending: &mut Pending,
        sequences: &[&[u32]],
        found: &mut [Option<Arc<Distribution>>],
    ) -> Result<(), Halt> {
        let width = self.cache.len() - pending.from;
        if width == 0 {
            return Ok(());
        }
        pending.wanted.sort_unstable();
        let mut slots: Vec<usize> = pending.wanted.iter().map(|&(slot, _)| slot).collect();
        slots.dedup();
        if slots.is_empty() {
            // The graph computes at least one row.
            slots.push(self.cache.len() - 1);
        }
        let cache = std::mem::take(self.cache);
        let order = Order { cache, past: pending.from, wanted: slots.clone() };
        let (cache, ran) = self.desk.run(order, self.stop).await;
        *self.cache = cache;
        if ran.as_ref().err() != Some(&Halt::Stopped) {
            self.taken += 1;
            self.tokens += width as u32;
        }
        let distributions = match ran {
            Ok(distributions) => distributions,
            Err(halt) => {
                self.cache.truncate(pending.from, self.slot_width);
                return Err(halt);
            }
        };
        // Who was asked for first is worth most, and so remembered as the newest.
        for (slot, distribution) in slots.into_iter().zip(distributions).rev() {
            for &(_, index) in pending.wanted.iter().filter(|(wanted, _)| *wanted == slot) {
                self.cache.remember(sequences[index], &distribution);
                found[index] = Some(Arc::clone(&distribution));
            }
        }
        (pending.from, pending.wanted) = (self.cache.len(), Vec::new());
        Ok(())
    }
}
