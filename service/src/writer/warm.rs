//! A writer in memory: the fold so far, and events whose turn has not come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::watch;

use super::state::{Counts, WriterState};
use crate::engine::Memory;
use crate::store::{Appended, Event, NewEvent, Snapshot, TeamKey, WriterKey};

/// A warm writer; shared by requests, never cloned.
pub struct Writer {
    key: WriterKey,
    team: Option<TeamKey>,
    inner: RwLock<Inner>,
    /// Tells waiters the last event applied.
    applied: watch::Sender<u64>,
    /// The last event that a snapshot holds, or will once the one being written is durable.
    saved: AtomicU64,
    /// When it was last asked for, by the registry's count of requests.
    touched: AtomicU64,
}

struct Inner {
    /// `None` until the writer's first event.
    epoch: Option<u64>,
    state: WriterState,
    /// Durable events that came back before an earlier one did. Commits answer in order, tasks do not wake in order.
    early: BTreeMap<u64, Event>,
}

impl Writer {
    pub(super) fn new(
        key: WriterKey,
        team: Option<TeamKey>,
        epoch: Option<u64>,
        state: WriterState,
        saved: u64,
    ) -> Self {
        let applied = watch::Sender::new(state.seq);
        let inner = RwLock::new(Inner { epoch, state, early: BTreeMap::new() });
        Self { key, team, inner, applied, saved: AtomicU64::new(saved), touched: AtomicU64::new(0) }
    }

    /// Whose it is.
    pub fn key(&self) -> &WriterKey {
        &self.key
    }

    /// The team they are in. Who changes teams is loaded anew.
    pub fn team(&self) -> Option<TeamKey> {
        self.team.clone()
    }

    /// What predictions read.
    pub fn memory(&self) -> Arc<RwLock<Memory>> {
        Arc::clone(&self.read().state.memory)
    }

    /// Totals.
    pub fn counts(&self) -> Counts {
        self.read().state.counts
    }

    /// The last event applied; 0: none.
    pub fn seq(&self) -> u64 {
        *self.applied.borrow()
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.read().state.bytes() + size_of::<Self>()
    }

    /// Waits until `seq` is applied, at most `patience`. `false`: it is not.
    pub async fn reached(&self, seq: u64, patience: Duration) -> bool {
        let mut applied = self.applied.subscribe();
        let reached = applied.wait_for(|applied| *applied >= seq);
        matches!(tokio::time::timeout(patience, reached).await, Ok(Ok(_)))
    }

    pub(super) fn epoch(&self) -> Option<u64> {
        self.read().epoch
    }

    /// Applies a durable event when all before it are; keeps it until then. `false`: it belongs to another epoch, so
    /// this object's time is over.
    pub(super) fn accept(&self, at: Appended, event: NewEvent) -> bool {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if *inner.epoch.get_or_insert(at.epoch) != at.epoch {
            return false;
        }
        let NewEvent { at: time, kind, payload, .. } = event;
        if at.seq > inner.state.seq {
            inner.early.insert(at.seq, Event { seq: at.seq, at: time, kind, payload });
        }
        loop {
            let next = inner.state.seq + 1;
            let Some(event) = inner.early.remove(&next) else { break };
            inner.state.apply(&event);
        }
        self.applied.send_replace(inner.state.seq);
        true
    }

    /// Events applied that no snapshot holds.
    pub(super) fn unsaved(&self) -> u64 {
        self.seq().saturating_sub(self.saved.load(Ordering::Relaxed))
    }

    /// The snapshot to write now; `None` when there is nothing new, or somebody else is writing it.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let inner = self.read();
        let (epoch, seq) = (inner.epoch?, inner.state.seq);
        (self.saved.fetch_max(seq, Ordering::Relaxed) < seq).then(|| inner.state.snapshot(epoch))
    }

    /// The snapshot was not written after all.
    pub(super) fn not_saved(&self) {
        self.saved.store(0, Ordering::Relaxed);
    }

    pub(super) fn touch(&self, now: u64) {
        self.touched.store(now, Ordering::Relaxed);
    }

    pub(super) fn touched(&self) -> u64 {
        self.touched.load(Ordering::Relaxed)
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}
