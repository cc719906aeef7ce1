//! What the neural tier did and did not do, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use super::queue::{Refused, Void};

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Questions answered.
    pub answered: u64,
    /// Questions not admitted: they would not have been answered in time.
    pub refused: u64,
    /// Work not admitted: too much waited.
    pub full: u64,
    /// Work dropped when its turn came: its asker was gone.
    pub superseded: u64,
    /// The same: its time had passed.
    pub expired: u64,
    /// Panics of a thread, each of which took one answer.
    pub panics: u64,
    /// Runs of the network.
    pub runs: u64,
    /// Questions they were for, of which several may share one.
    pub shares: u64,
    /// Runs of ONNX Runtime that failed.
    pub failures: u64,
    /// Tokens of context that caches held.
    pub tokens_held: u64,
    /// Tokens that went through the network.
    pub tokens_run: u64,
}

/// The same, counted from several threads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    answered: AtomicU64,
    refused: AtomicU64,
    full: AtomicU64,
    superseded: AtomicU64,
    expired: AtomicU64,
    panics: AtomicU64,
    runs: AtomicU64,
    shares: AtomicU64,
    failures: AtomicU64,
    tokens_held: AtomicU64,
    tokens_run: AtomicU64,
}

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Tally {
    pub(super) fn answered(&self, tokens_held: u64, tokens_run: u64) {
        count(&self.answered, 1);
        count(&self.tokens_held, tokens_held);
        count(&self.tokens_run, tokens_run);
    }

    pub(super) fn refused(&self, why: Refused) {
        count(if why == Refused::Full { &self.full } else { &self.refused }, 1);
    }

    pub(super) fn dropped(&self, why: Void) {
        count(if why == Void::Superseded { &self.superseded } else { &self.expired }, 1);
    }

    pub(super) fn panicked(&self) {
        count(&self.panics, 1);
    }

    pub(super) fn ran(&self, shares: usize) {
        count(&self.runs, 1);
        count(&self.shares, shares as u64);
    }

    pub(super) fn failed(&self) {
        count(&self.failures, 1);
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            answered: read(&self.answered),
            refused: read(&self.refused),
            full: read(&self.full),
            superseded: read(&self.superseded),
            expired: read(&self.expired),
            panics: read(&self.panics),
            runs: read(&self.runs),
            shares: read(&self.shares),
            failures: read(&self.failures),
            tokens_held: read(&self.tokens_held),
            tokens_run: read(&self.tokens_run),
        }
    }
}
