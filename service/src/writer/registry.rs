//! All writers: loaded when first asked for, evicted when too many are warm, and the only way to teach one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use foretype_markov::segment::GAP;
use tokio::sync::{Mutex, OnceCell};

use super::event::Content;
use super::state::WriterState;
use super::tally::{Tally, WritersState};
use super::teams::Teams;
use super::warm::Writer;
use crate::engine::{Deadline, Engine, Memory};
use crate::store::{Appended, Event, EventKind, NewEvent, Store, StoreError, Stored, TeamKey, WriterKey};

/// How long an acknowledged event may wait for the ones before it to be applied. They are durable already; only the
/// tasks that carry them have to wake.
const TURN: Duration = Duration::from_secs(1);

/// Of so many loads the bytes of all are looked at once.
const LOOKED_AT: u64 = 64;

/// Bounds on what is warm.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Writers kept in memory.
    pub max_writers: usize,
    /// Their bytes in all.
    pub max_bytes: usize,
    /// Events after which a new snapshot is written; what a start has to replay at most.
    pub snapshot_every: u64,
    /// How many members of a team must have used an n-gram before others are shown it.
    pub team_writers: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_writers: 1_000, max_bytes: 1 << 30, snapshot_every: 256, team_writers: 5 }
    }
}

/// A writer, once it is loaded; everyone who asks meanwhile waits for the same load.
type Slot = Arc<OnceCell<Arc<Writer>>>;

/// See the module. Hands out `Arc`s only: no guard of the map leaves it or is held across another call.
pub struct Writers {
    store: Arc<dyn Store>,
    engine: Arc<Engine>,
    teams: Arc<Teams>,
    warm: DashMap<WriterKey, Slot>,
    settings: Settings,
    /// Counts requests: the clock of least-recently-used.
    requests: AtomicU64,
    tally: Tally,
    /// Held by the one task that evicts.
    tidying: Mutex<()>,
}

impl Writers {
    /// Over `store`; new ones start from what `engine` says.
    pub fn new(store: Arc<dyn Store>, settings: Settings, engine: Arc<Engine>) -> Arc<Self> {
        let (requests, tally, tidying) = (AtomicU64::new(0), Tally::default(), Mutex::new(()));
        let (of_teams, needed) = (Arc::clone(&engine), settings.team_writers);
        let teams = Teams::new(Arc::clone(&store), Box::new(move || of_teams.new_team(needed)));
        Arc::new(Self { store, engine, teams, warm: DashMap::new(), settings, requests, tally, tidying })
    }

    /// Their teams.
    pub fn teams(&self) -> &Arc<Teams> {
        &self.teams
    }

    /// Where their events are kept.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Writers in memory.
    pub fn warm(&self) -> usize {
        self.warm.len()
    }

    /// Whether a writer is in memory.
    pub fn is_warm(&self, key: &WriterKey) -> bool {
        self.warm.get(key).is_some_and(|slot| slot.initialized())
    }

    /// Who is in memory, and what was learned.
    pub fn state(&self) -> WritersState {
        let bytes = self.loaded().iter().map(|writer| writer.bytes()).sum();
        WritersState { warm: self.warm(), bytes, teams: self.teams.warm(), ..self.tally.state() }
    }

    /// The writer, loaded if need be. A writer without events exists too: empty, and only in memory.
    pub async fn get(self: &Arc<Self>, key: &WriterKey) -> Result<Arc<Writer>, StoreError> {
        let slot = self.slot(key);
        let cold = !slot.initialized();
        let writer = slot.get_or_try_init(|| self.load(key)).await?.clone();
        let now = self.requests.fetch_add(1, Ordering::Relaxed);
        writer.touch(now);
        drop(slot);
        // To know their bytes takes a look at each.
        let due = now.is_multiple_of(LOOKED_AT);
        if cold && (due || self.warm.len() > self.settings.max_writers) {
            self.tidy_soon();
        }
        Ok(writer)
    }

    /// The writer if it can be had within half of what is left; predictions do without rather than wait for a disk. The
    /// load goes on, so that the next key finds it.
    pub async fn get_by(self: &Arc<Self>, key: &WriterKey, deadline: Deadline) -> Option<Arc<Writer>> {
        if self.warm.get(key).is_some_and(|slot| slot.initialized()) {
            return self.get(key).await.ok();
        }
        let (writers, key) = (Arc::clone(self), key.clone());
        let load = tokio::spawn(async move { writers.get(&key).await });
        let patience = deadline.left() / 2;
        if patience.is_zero() {
            // A timer of nothing would still take what happens to be ready.
            return None;
        }
        tokio::time::timeout(patience, load).await.ok()?.ok()?.ok()
    }

    /// Appends an event and applies it; resolves with where it landed once it is durable and every later prediction knows it.
    /// Goes on to the end even if the caller stops waiting.
    pub async fn record(
        self: &Arc<Self>,
        key: &WriterKey,
        content: &Content,
        at: i64,
        idempotency_key: Option<String>,
    ) -> Result<Appended, StoreError> {
        self.record_in(None, key, content, at, idempotency_key).await
    }

    /// The same in one epoch only: [`StoreError::Erased`] once it is over.
    pub async fn record_in(
        self: &Arc<Self>,
        epoch: Option<u64>,
        key: &WriterKey,
        content: &Content,
        at: i64,
        idempotency_key: Option<String>,
    ) -> Result<Appended, StoreError> {
        let event = NewEvent { at, kind: content.kind(), payload: content.encode(), idempotency_key };
        let (writers, key) = (Arc::clone(self), key.clone());
        let task = tokio::spawn(async move { writers.append(&key, epoch, event).await });
        task.await.unwrap_or_else(|error| {
            // The error has the panic's message, which may hold text.
            tracing::error!(panicked = error.is_panic(), "a learn task failed");
            Err(StoreError::Unavailable)
        })
    }

    /// Whether an event is another message than `text`; one that is gone by now, or has lost a word to forgetting, is not.
    pub async fn is_other(&self, key: &WriterKey, seq: u64, text: &str) -> Result<bool, StoreError> {
        let stored = self.store.events(key, seq.saturating_sub(1), 1).await?;
        let of = |event: &Event| match Content::decode(event) {
            Ok(Content::Learned(learned)) => Some(learned.text),
            _ => None,
        };
        let before = stored.first().filter(|event| event.seq == seq).and_then(of);
        Ok(before.is_some_and(|before| before != text && !before.contains(GAP)))
    }

    /// Erases all of a writer, on disk and in memory, and what they taught their team. `false`: there was nothing.
    pub async fn erase(self: &Arc<Self>, key: &WriterKey) -> Result<bool, StoreError> {
        let (writers, key) = (Arc::clone(self), key.clone());
        self.remove(key.clone(), async move { writers.store.erase(&key).await }).await
    }

    /// Puts a writer into a team, or into none; resolves once that is durable and what they taught their team before is
    /// taken back from it.
    pub async fn assign(self: &Arc<Self>, key: &WriterKey, team: Option<Arc<str>>) -> Result<(), StoreError> {
        let (writers, key) = (Arc::clone(self), key.clone());
        self.remove(key.clone(), async move { writers.store.assign(&key, team).await }).await
    }

    /// What a writer starts from.
    pub(super) fn new_memory(&self) -> Memory {
        self.engine.new_memory()
    }

    /// Takes a writer out of memory, and the team they were in, after `change` was made to what is stored of them. Goes on
    /// to the end even if the caller stops waiting.
    pub(super) async fn remove<T: Send + 'static>(
        self: &Arc<Self>,
        key: WriterKey,
        change: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let writers = Arc::clone(self);
        let task = tokio::spawn(async move {
            // One that cannot be folded can still be erased.
            let before = match writers.get(&key).await {
                Ok(writer) => writer.team(),
                Err(StoreError::Busy) => return Err(StoreError::Busy),
                Err(_) => {
                    let stored = writers.store.load(&key).await.ok().flatten();
                    stored.and_then(|stored| of_team(&key, stored.team))
                }
            };
            let changed = change.await;
            // Also when its fate is unknown: memory must not outlive the disk.
            writers.warm.remove(&key);
            if let Some(team) = before {
                writers.teams.forget(&team);
            }
            changed
        });
        task.await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Writes a snapshot of everyone with news, so that the next start has nothing to replay.
    pub async fn save_all(self: &Arc<Self>) {
        for writer in self.loaded() {
            // Failures are logged by `save`; the events themselves are durable already.
            let _ = self.save(&writer).await;
        }
    }

    async fn append(
        self: &Arc<Self>,
        key: &WriterKey,
        only: Option<u64>,
        event: NewEvent,
    ) -> Result<Appended, StoreError> {
        let learned = event.kind == EventKind::Learn;
        loop {
            let writer = self.get(key).await?;
            let appended = match self.store.append(key, only.or(writer.epoch()), event.clone()).await {
                Ok(appended) => appended,
                Err(StoreError::Erased) if only.is_none() => {
                    self.forget(&writer);
                    continue;
                }
                Err(StoreError::Unavailable) => {
                    // Its fate is unknown, so memory may lag behind the disk: the next one to ask loads it anew.
                    self.forget(&writer);
                    return Err(StoreError::Unavailable);
                }
                Err(error) => return Err(error),
            };
            if learned {
                self.tally.learned(appended.fresh);
            }
            let current = !appended.fresh || writer.take(appended, event).await;
            if !current || !writer.reached(appended.seq, TURN).await || !self.holds(&writer) {
                // Another object may have taken its place, and been loaded before this event was durable.
                self.warm.remove(key);
            } else if writer.unsaved() >= self.settings.snapshot_every {
                self.save_soon(Arc::clone(&writer));
            }
            if let (Some(team), true) = (writer.team(), learned) {
                self.teams.taught(&team);
            }
            return Ok(appended);
        }
    }

    async fn load(&self, key: &WriterKey) -> Result<Arc<Writer>, StoreError> {
        let blank = WriterState::new(self.engine.new_memory());
        let Some(mut stored) = self.store.load(key).await? else {
            return Ok(Arc::new(Writer::new(key.clone(), None, None, blank, 0)));
        };
        self.tally.loaded();
        let team = of_team(key, stored.team.take());
        // Reading what a writer taught takes milliseconds, and keystrokes are answered on these threads.
        let mut restored = None;
        if let Some(snapshot) = stored.snapshot.take() {
            let memory = self.engine.new_memory();
            restored = blocking(move || WriterState::restore(&snapshot, memory)).await?;
            if restored.is_none() {
                tracing::error!("a snapshot cannot be read; folding the kept events instead");
                stored.events = self.store.events(key, 0, usize::MAX).await?;
            }
        }
        let (saved, epoch) = (restored.as_ref().map_or(0, |state| state.seq), stored.epoch);
        let state = blocking(move || fold(restored.unwrap_or(blank), &stored)).await?;
        Ok(Arc::new(Writer::new(key.clone(), team, Some(epoch), state, saved)))
    }

    fn slot(&self, key: &WriterKey) -> Slot {
        if let Some(slot) = self.warm.get(key) {
            return slot.clone();
        }
        self.warm.entry(key.clone()).or_default().clone()
    }

    fn loaded(&self) -> Vec<Arc<Writer>> {
        self.warm.iter().filter_map(|slot| slot.get().cloned()).collect()
    }

    /// Whether this object is the one that others are handed.
    fn holds(&self, writer: &Arc<Writer>) -> bool {
        self.warm.get(writer.key()).is_some_and(|slot| is_of(&slot, writer))
    }

    /// Drops this object, unless another has taken its place already.
    fn forget(&self, writer: &Arc<Writer>) {
        self.warm.remove_if(writer.key(), |_, slot| is_of(slot, writer));
    }

    fn save_soon(self: &Arc<Self>, writer: Arc<Writer>) {
        let writers = Arc::clone(self);
        tokio::spawn(async move {
            // Failures are logged by `save`; the next event tries again.
            let _ = writers.save(&writer).await;
            drop(writer);
            writers.tidy().await;
        });
    }

    async fn save(&self, writer: &Arc<Writer>) -> Result<(), StoreError> {
        let encode = {
            let writer = Arc::clone(writer);
            tokio::task::spawn_blocking(move || writer.snapshot())
        };
        let Some(snapshot) = encode.await.map_err(|_| StoreError::Unavailable)? else {
            return Ok(());
        };
        self.store.snapshot(writer.key(), snapshot).await.inspect_err(|error| {
            writer.not_saved();
            tracing::warn!(%error, "a snapshot was not written; it is tried again");
        })
    }

    fn tidy_soon(self: &Arc<Self>) {
        let writers = Arc::clone(self);
        tokio::spawn(async move { writers.tidy().await });
    }

    /// Evicts until the bounds hold, or nobody is left who can go.
    async fn tidy(&self) {
        let Ok(_only) = self.tidying.try_lock() else { return };
        while self.evict_some().await > 0 {}
    }

    /// Evicts the least recently used down to nine tenths of the bounds, so that it is rarely called; 0 when the bounds
    /// hold or everyone is in use.
    async fn evict_some(&self) -> usize {
        let mut writers: Vec<_> = self.loaded().into_iter().map(|writer| (writer.bytes(), writer)).collect();
        let mut bytes: usize = writers.iter().map(|(bytes, _)| bytes).sum();
        let mut count = writers.len();
        if count <= self.settings.max_writers && bytes <= self.settings.max_bytes {
            return 0;
        }
        let (most, most_bytes) = (self.settings.max_writers / 10 * 9, self.settings.max_bytes / 10 * 9);
        writers.sort_by_key(|(_, writer)| writer.touched());
        let mut evicted = 0;
        for (size, writer) in writers {
            if count <= most && bytes <= most_bytes {
                break;
            }
            if self.save(&writer).await.is_ok() && self.evict(writer) {
                count -= 1;
                bytes -= size;
                evicted += 1;
            }
        }
        self.tally.evicted(evicted);
        evicted
    }

    /// Removes the writer if nobody holds it and a snapshot has all of it. Whoever asks for it takes the map's lock to do
    /// so, hence counting references under that lock leaves no gap.
    fn evict(&self, writer: Arc<Writer>) -> bool {
        let key = writer.key().clone();
        drop(writer);
        let idle = |slot: &Slot| {
            Arc::strong_count(slot) == 1
                && slot.get().is_none_or(|held| Arc::strong_count(held) == 1 && held.unsaved() == 0)
        };
        self.warm.remove_if(&key, |_, slot| idle(slot)).is_some()
    }
}

fn is_of(slot: &Slot, writer: &Arc<Writer>) -> bool {
    slot.get().is_some_and(|held| Arc::ptr_eq(held, writer))
}

fn of_team(writer: &WriterKey, team: Option<Arc<str>>) -> Option<TeamKey> {
    team.map(|team| TeamKey { tenant: Arc::clone(&writer.tenant), team })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Unavailable)
}

fn fold(mut state: WriterState, stored: &Stored) -> WriterState {
    stored.events.iter().for_each(|event| state.apply(event));
    state
}
