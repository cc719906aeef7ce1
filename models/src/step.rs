//! One question's work: distributions, from the memo or from the network, until told to stop.

use std::sync::Arc;

use crate::cache::KvCache;
use crate::config::Config;
use crate::distribution::Distribution;
use crate::session::{CHUNK, Session};
use crate::vocabulary::Vocabulary;

/// Why no distribution could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The caller said stop.
    Stopped,
    /// The steps allowed are spent.
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
    pub(crate) session: &'a mut Session,
    pub(crate) cache: &'a mut KvCache,
    pub(crate) stop: &'a dyn Fn() -> bool,
    /// Steps that may still be taken.
    pub(crate) left: usize,
    /// Steps taken: distributions the network was run for, beside the prefill.
    pub(crate) taken: u32,
    /// Tokens that went through the network before the first step.
    pub(crate) prefilled: u32,
    /// What ONNX Runtime said when it failed.
    pub(crate) failure: Option<String>,
}

impl Steps<'_> {
    /// The distribution after `context`, which costs no step: it is the prefill.
    pub(crate) fn prefill(&mut self, context: &[u32]) -> Result<Arc<Distribution>, Halt> {
        if let Some(known) = self.cache.recall(context) {
            return Ok(known);
        }
        let (distribution, fed) = self.feed(context)?;
        self.prefilled += fed as u32;
        Ok(distribution)
    }

    /// The distribution after `context` and `path`. One step, or none if it was asked for lately.
    pub(crate) fn after(&mut self, context: &[u32], path: &[u32]) -> Result<Arc<Distribution>, Halt> {
        let tokens = [context, path].concat();
        if let Some(known) = self.cache.recall(&tokens) {
            return Ok(known);
        }
        if self.left == 0 {
            return Err(Halt::Spent);
        }
        self.left -= 1;
        self.taken += 1;
        Ok(self.feed(&tokens)?.0)
    }

    /// Runs what the cache does not hold of `tokens`, in chunks that are kept, and says how many tokens that were.
    fn feed(&mut self, tokens: &[u32]) -> Result<(Arc<Distribution>, usize), Halt> {
        if tokens.len() > self.config.n_positions {
            return Err(Halt::Full);
        }
        // The last token is run again if all are held: keys and values do not hold its logits.
        let from = self.cache.common(tokens).min(tokens.len().saturating_sub(1));
        self.cache.truncate(from);
        let mut distribution = None;
        let chunks = tokens[from..].chunks(CHUNK);
        let last = chunks.len();
        for (chunk, number) in chunks.zip(1..) {
            if (self.stop)() {
                return Err(Halt::Stopped);
            }
            let past = self.cache.len();
            match self.session.run(self.cache, past, chunk) {
                Ok(logits) if number == last => {
                    distribution = Some(Arc::new(Distribution::new(logits, self.vocabulary.starts())));
                }
                Ok(_) => {}
                Err(error) => {
                    self.failure = Some(error.to_string());
                    return Err(Halt::Failed);
                }
            }
            self.cache.extend(chunk);
        }
        let distribution = distribution.ok_or(Halt::Full)?;
        self.cache.remember(tokens, &distribution);
        Ok((distribution, tokens.len() - from))
    }
}
