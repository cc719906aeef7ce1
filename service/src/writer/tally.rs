//! What was done for writers, counted for operators.

use std::sync::atomic::{AtomicU64, Ordering};

/// Writers as operators see them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WritersState {
    /// Writers in memory.
    pub warm: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Teams in memory.
    pub teams: usize,
    /// Messages learned since the start.
    pub stored: u64,
    /// The same that were known by their idempotency keys.
    pub known: u64,
    /// Writers brought into memory from the store since the start.
    pub loads: u64,
    /// Writers put out of memory since the start.
    pub evictions: u64,
}

/// Counts from several tasks.
#[derive(Debug, Default)]
pub(super) struct Tally {
    stored: AtomicU64,
    known: AtomicU64,
    loads: AtomicU64,
    evictions: AtomicU64,
}

impl Tally {
    pub(super) fn learned(&self, fresh: bool) {
        let counter = if fresh { &self.stored } else { &self.known };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn loaded(&self) {
        self.loads.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn evicted(&self, count: usize) {
        self.evictions.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// What was counted; who is in memory is for the caller to say.
    pub(super) fn state(&self) -> WritersState {
        let [stored, known, loads, evictions] = [&self.stored, &self.known, &self.loads, &self.evictions]
            .map(|counter| counter.load(Ordering::Relaxed));
        WritersState { stored, known, loads, evictions, ..WritersState::default() }
    }
}
