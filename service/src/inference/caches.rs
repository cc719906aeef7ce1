//! KV caches by session, bounded in bytes; the least recently used goes first.
//!
//! A thread takes a session's cache out while it works with it, so that no lock is held meanwhile.

use std::sync::{Mutex, MutexGuard, PoisonError};

use foretype_models::KvCache;
use hashbrown::HashMap;

use crate::engine::SessionKey;

/// The caches of all threads.
#[derive(Default)]
pub(super) struct Caches {
    state: Mutex<State>,
    /// The most memory, beside those that are out and the newest.
    bytes: usize,
}

#[derive(Default)]
struct State {
    kept: HashMap<SessionKey, Kept>,
    /// What these take.
    bytes: usize,
    out: Vec<Out>,
    clock: u64,
    evictions: u64,
}

struct Kept {
    used: u64,
    bytes: usize,
    cache: KvCache,
    read: usize,
}

/// A cache that a thread works with.
struct Out {
    session: SessionKey,
    /// Its writer was erased meanwhile.
    forgotten: bool,
    /// Bytes of text that it had read.
    read: usize,
}

/// What is kept, for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheUse {
    /// Sessions with a cache.
    pub sessions: usize,
    /// Bytes their caches take.
    pub bytes: usize,
    /// Bytes they may take.
    pub limit: usize,
    /// Caches that were dropped to make room, since the start.
    pub evictions: u64,
}

impl Caches {
    /// At most `bytes` of them.
    pub(super) fn new(bytes: usize) -> Self {
        Self { state: Mutex::default(), bytes }
    }

    /// Takes out the cache of a session, an empty one if it has none. Nobody else has it out: the queue sees to that.
    pub(super) fn take(&self, session: &SessionKey) -> Held<'_> {
        let mut state = self.lock();
        let kept = state.remove(session);
        let (cache, read) = kept.map(|kept| (kept.cache, kept.read)).unwrap_or_default();
        state.out.push(Out { session: session.clone(), forgotten: false, read });
        drop(state);
        Held { caches: self, session: session.clone(), cache, read }
    }

    /// How many bytes of text the session's cache has read.
    pub(super) fn read(&self, session: &SessionKey) -> usize {
        let state = self.lock();
        let out = || state.out.iter().find(|out| out.session == *session && !out.forgotten);
        state
            .kept
            .get(session)
            .map(|kept| kept.read)
            .or_else(|| out().map(|out| out.read))
            .unwrap_or_default()
    }

    /// Drops all caches of a writer; those that are out are dropped when they come back.
    pub(super) fn forget(&self, tenant: &str, writer: &str) {
        let is_of = |key: &SessionKey| &*key.tenant == tenant && key.writer.as_deref() == Some(writer);
        let mut state = self.lock();
        let of_writer: Vec<_> = state.kept.keys().filter(|session| is_of(session)).cloned().collect();
        for session in of_writer {
            state.remove(&session);
        }
        state.out.iter_mut().filter(|out| is_of(&out.session)).for_each(|out| out.forgotten = true);
    }

    /// What is kept.
    pub(super) fn used(&self) -> CacheUse {
        let state = self.lock();
        let State { kept, bytes, evictions, .. } = &*state;
        CacheUse { sessions: kept.len(), bytes: *bytes, limit: self.bytes, evictions: *evictions }
    }

    /// Whether there is hardly room for more.
    fn is_tight(&self) -> bool {
        self.lock().bytes > self.bytes / 4 * 3
    }

    /// Takes a cache back, at the cost of those unused longest.
    fn put(&self, session: &SessionKey, kept: Option<(KvCache, usize)>) {
        let mut state = self.lock();
        let Some(at) = state.out.iter().position(|out| out.session == *session) else { return };
        let forgotten = state.out.swap_remove(at).forgotten;
        let is_of_use = |kept: &(KvCache, usize)| !forgotten && (!kept.0.is_empty() || kept.1 > 0);
        let Some((cache, read)) = kept.filter(is_of_use) else { return };
        state.clock += 1;
        let used = state.clock;
        state.bytes += cache.bytes();
        state.kept.insert(session.clone(), Kept { used, bytes: cache.bytes(), cache, read });
        let mut evicted = Vec::new();
        while state.bytes > self.bytes
            && state.kept.len() > 1
            && let Some(oldest) = state.oldest()
        {
            evicted.extend(state.remove(&oldest));
        }
        state.evictions += evicted.len() as u64;
        // Giving memory back is no work for a lock.
        drop(state);
        drop(evicted);
    }

    /// A panic while it was held leaves the state whole: each change is one insertion or removal.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, session: &SessionKey) -> Option<Kept> {
        let kept = self.kept.remove(session)?;
        self.bytes -= kept.bytes;
        Some(kept)
    }

    fn oldest(&self) -> Option<SessionKey> {
        self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(session, _)| session.clone())
    }
}

/// A cache that is out; it goes back when this is dropped, unless the thread panicked with it.
pub(super) struct Held<'a> {
    caches: &'a Caches,
    session: SessionKey,
    /// The cache.
    pub(super) cache: KvCache,
    /// Bytes of text it has read.
    pub(super) read: usize,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut cache = std::mem::take(&mut self.cache);
        // Many that hold little are better than few that hold everything: who finds nothing reads the whole conversation again.
        if self.caches.is_tight() {
            cache.thin();
        }
        let kept = (!std::thread::panicking()).then_some((cache, self.read));
        self.caches.put(&self.session, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(writer: &str, session: &str) -> SessionKey {
        SessionKey { tenant: "t".into(), writer: Some(writer.into()), session: session.into() }
    }

    fn is_out(caches: &Caches, writer: &str) -> bool {
        let of = |out: &Out| out.forgotten && out.session.writer.as_deref() == Some(writer);
        caches.lock().out.iter().any(of)
    }

    #[test]
    fn who_is_forgotten_finds_nothing_again_even_of_what_was_out() {
        let caches = Caches::new(1 << 20);
        for name in ["one", "two"] {
            caches.take(&session("ann", name)).read = 7;
            caches.take(&session("bob", name)).read = 8;
        }
        let mut out = caches.take(&session("ann", "one"));
        out.read = 9;
        caches.forget("t", "ann");
        assert!(is_out(&caches, "ann") && !is_out(&caches, "bob"));
        drop(out);
        assert!(!is_out(&caches, "ann"));
        let read = |writer| ["one", "two"].map(|name| caches.read(&session(writer, name)));
        assert_eq!((read("ann"), read("bob")), ([0, 0], [8, 8]));
        assert_eq!(caches.used().sessions, 2);
    }

    #[test]
    fn a_panic_with_a_cache_drops_it_and_nobody_waits_for_it() {
        let caches = Caches::new(1 << 20);
        caches.take(&session("ann", "one")).read = 7;
        let panicked = std::thread::scope(|scope| {
            let broken = scope.spawn(|| {
                let _held = caches.take(&session("ann", "one"));
                panic!("as an inference thread may");
            });
            broken.join().is_err()
        });
        assert!(panicked && !is_out(&caches, "ann"));
        assert_eq!(caches.read(&session("ann", "one")), 0);
    }
}
