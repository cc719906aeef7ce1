//! A writer in memory: the fold so far, and events whose turn has not come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::watch;

use super::state::{Counts, LONG, WriterState};
use crate::engine::Memory;
use crate::store::{Appended, Event, NewEvent, Snapshot, TeamKey, WriterKey};

/// A warm writer; shared by requests, never cloned. What keystrokes ask of it stands outside `inner`: while a long message is
/// folded, that is held for milliseconds.
pub struct Writer {
    key: WriterKey,
    team: Option<TeamKey>,
    /// What predictions read.
    memory: Arc<RwLock<Memory>>,
    /// Unset until the writer's first event.
    epoch: OnceLock<u64>,
    inner: RwLock<Inner>,
    /// Bytes in memory, as of the last event applied.
    bytes: AtomicUsize,
    /// Tells waiters the last event applied.
    applied: watch::Sender<u64>,
    /// The last event that a snapshot holds, or will once the one being written is durable.
    saved: AtomicU64,
    /// When it was last asked for, by the registry's count of requests.
    touched: AtomicU64,
}

struct Inner {
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
        let (memory, bytes) = (Arc::clone(&state.memory), AtomicUsize::new(bytes_of(&state)));
        let epoch = epoch.map_or_else(OnceLock::new, OnceLock::from);
        let inner = RwLock::new(Inner { state, early: BTreeMap::new() });
        let (saved, touched) = (AtomicU64::new(saved), AtomicU64::new(0));
        Self { key, team, memory, epoch, inner, bytes, applied, saved, touched }
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
        Arc::clone(&self.memory)
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
        self.bytes.load(Ordering::Relaxed)
    }

    /// Waits until `seq` is applied, at most `patience`. `false`: it is not.
    pub async fn reached(&self, seq: u64, patience: Duration) -> bool {
        let mut applied = self.applied.subscribe();
        let reached = applied.wait_for(|applied| *applied >= seq);
        matches!(tokio::time::timeout(patience, reached).await, Ok(Ok(_)))
    }

    /// The life of theirs that this is; `None`: nothing is stored.
    pub fn epoch(&self) -> Option<u64> {
        self.epoch.get().copied()
    }

    /// As [`accept`](Self::accept); a long event, which others would notice, beside the threads that answer.
    pub(super) async fn take(self: &Arc<Self>, at: Appended, event: NewEvent) -> bool {
        if event.payload.len() <= LONG {
            return self.accept(at, event);
        }
        let writer = Arc::clone(self);
        // Where that fails the event is durable all the same, and folded when it is asked for next.
        tokio::task::spawn_blocking(move || writer.accept(at, event)).await.unwrap_or_default()
    }

    /// Applies a durable event when all before it are; keeps it until then. `false`: it belongs to another epoch, so
    /// this object's time is over. A long message takes milliseconds.
    fn accept(&self, at: Appended, event: NewEvent) -> bool {
        if *self.epoch.get_or_init(|| at.epoch) != at.epoch {
            return false;
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let NewEvent { at: time, kind, payload, .. } = event;
        if at.seq > inner.state.seq {
            inner.early.insert(at.seq, Event { seq: at.seq, at: time, kind, payload });
        }
        loop {
            let next = inner.state.seq + 1;
            let Some(event) = inner.early.remove(&next) else { break };
            inner.state.apply(&event);
            self.bytes.store(bytes_of(&inner.state), Ordering::Relaxed);
            self.applied.send_replace(inner.state.seq);
        }
        true
    }

    /// Events applied that no snapshot holds.
    pub(super) fn unsaved(&self) -> u64 {
        self.seq().saturating_sub(self.saved.load(Ordering::Relaxed))
    }

    /// The snapshot to write now; `None` when there is nothing new, or somebody else is writing it.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let inner = self.read();
        let (epoch, seq) = (self.epoch()?, inner.state.seq);
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

fn bytes_of(state: &WriterState) -> usize {
    size_of::<Writer>() + state.bytes()
}
