//! The neural tier: one thread owns the GPT-2 and the KV caches, behind a bounded queue.
//!
//! A handle sends an entry and awaits its reply. Entries whose receiver is gone are skipped before compute is
//! spent, and a dropped receiver or a passed deadline stops the work between two passes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use foretype_models::{Ask, Gpt2, KvCache, Prompt, Role, Words};
use hashbrown::HashMap;
use tokio::sync::{mpsc, oneshot};

use crate::engine::{Deadline, SessionKey};

#[cfg(test)]
mod tests;

/// Keystrokes that may wait for the thread. More would only be late.
const QUEUE: usize = 64;

/// The answer must leave the thread this long before the deadline, to be merged and written in time.
const MARGIN: Duration = Duration::from_micros(2_000);

/// What a token of a run may take, on a core that others use too. A run that has begun goes on to its end.
const A_TOKEN: Duration = Duration::from_micros(300);

/// A text for the model, owned: it crosses to the thread.
#[derive(Clone, Debug)]
pub struct Text {
    /// The conversation before the draft.
    pub turns: Vec<(Role, String)>,
    /// Who is writing.
    pub role: Role,
    /// The draft up to the unfinished surface.
    pub before: String,
}

impl Text {
    fn prompt<'a>(&'a self, turns: &'a [(Role, &'a str)], prefix: &'a str) -> Prompt<'a> {
        Prompt { turns, role: self.role, before: &self.before, prefix }
    }

    fn turns(&self) -> Vec<(Role, &str)> {
        self.turns.iter().map(|(role, text)| (*role, text.as_str())).collect()
    }
}

/// What is asked about one place.
#[derive(Clone, Debug)]
pub struct Question {
    /// The text.
    pub text: Text,
    /// The unfinished surface.
    pub prefix: String,
    /// Surfaces that start with the prefix, to be scored.
    pub candidates: Vec<String>,
    /// Surfaces that may follow if the prefix is already whole, to be scored.
    pub next_candidates: Vec<String>,
    /// The most passes of the network to spend.
    pub max_passes: usize,
    /// The longest continuation wanted, in words.
    pub phrase_words: usize,
    /// When the answer is due.
    pub deadline: Deadline,
    /// Whose KV cache; `None`: nothing is kept.
    pub session: Option<SessionKey>,
}

enum Entry {
    Predict(Box<Question>, oneshot::Sender<Words>),
    Prepare { text: Text, session: SessionKey, deadline: Deadline },
    Forget { tenant: String, writer: String, done: oneshot::Sender<()> },
    Losses { text: Text, surfaces: Vec<String>, max_passes: usize, reply: oneshot::Sender<Vec<Option<f32>>> },
}

/// Shared between the handles and the thread: what admission needs to know.
#[derive(Debug, Default)]
struct Load {
    /// Entries sent and not yet answered.
    waiting: AtomicUsize,
    /// Moving average of what a prediction takes, microseconds.
    typical: AtomicU64,
    /// Entries at which the thread panicked.
    panics: AtomicU64,
    /// The next prediction is to panic.
    #[cfg(test)]
    panic_next: std::sync::atomic::AtomicBool,
}

/// One entry at work; dropped when it is answered, also by a panic.
struct Busy(Arc<Load>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A handle to the thread; the thread ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Inference {
    sender: mpsc::Sender<Entry>,
    load: Arc<Load>,
}

impl Inference {
    /// Gives the model a thread of its own. At most `kv_bytes` of KV caches are kept, least recently used first out.
    pub fn start(model: Gpt2, kv_bytes: usize) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let load = Arc::new(Load::default());
        let worker = Worker { model, caches: Caches::new(kv_bytes), load: Arc::clone(&load) };
        std::thread::Builder::new().name("inference".to_owned()).spawn(move || worker.run(receiver))?;
        Ok(Self { sender, load })
    }

    /// Asks, if the answer can be expected in time. `None`: not admitted.
    pub fn ask(&self, question: Question) -> Option<oneshot::Receiver<Words>> {
        let ahead = self.load.waiting.load(Ordering::Relaxed) as u64;
        // With nothing ahead its own work ends at the deadline by itself, and what was found until then counts. Refusing
        // it would also keep an old estimate for ever: only answers correct the average.
        let works = if ahead == 0 { 0 } else { ahead + 1 };
        let wait = Duration::from_micros(works * self.load.typical.load(Ordering::Relaxed)) + MARGIN;
        if question.deadline.left() <= wait {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        self.send(Entry::Predict(Box::new(question), reply)).then_some(answer)
    }

    /// log P of each surface of a message, if the thread has nothing else to do. Gives way to any prediction.
    pub fn losses(
        &self,
        text: Text,
        surfaces: Vec<String>,
        max_passes: usize,
    ) -> Option<oneshot::Receiver<Vec<Option<f32>>>> {
        if self.load.waiting.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        self.send(Entry::Losses { text, surfaces, max_passes, reply }).then_some(answer)
    }

    /// Runs a text into a session's cache before anything is asked about it, if the thread has nothing else to do. Gives way to
    /// any prediction; what was run by then is kept.
    pub fn prepare(&self, text: Text, session: SessionKey, deadline: Deadline) {
        if self.load.waiting.load(Ordering::Relaxed) == 0 {
            self.send(Entry::Prepare { text, session, deadline });
        }
    }

    /// Drops all caches of a writer; resolves when they are gone. Waits for a place in the queue: it must not be lost.
    pub async fn forget(&self, tenant: &str, writer: &str) {
        let (done, gone) = oneshot::channel();
        let entry = Entry::Forget { tenant: tenant.to_owned(), writer: writer.to_owned(), done };
        // An error says that the thread ended, and its caches with it.
        let Ok(place) = self.sender.reserve().await else { return };
        self.load.waiting.fetch_add(1, Ordering::Relaxed);
        place.send(entry);
        drop(gone.await);
    }

    /// How many entries the thread panicked at and went on without.
    pub fn panics(&self) -> u64 {
        self.load.panics.load(Ordering::Relaxed)
    }

    fn send(&self, entry: Entry) -> bool {
        self.load.waiting.fetch_add(1, Ordering::Relaxed);
        let sent = self.sender.try_send(entry).is_ok();
        if !sent {
            self.load.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        sent
    }
}

/// What the thread owns.
struct Worker {
    model: Gpt2,
    caches: Caches,
    load: Arc<Load>,
}

impl Worker {
    fn run(mut self, mut receiver: mpsc::Receiver<Entry>) {
        while let Some(entry) = receiver.blocking_recv() {
            // One bad keystroke must not take the GPT-2 from every writer.
            let answered = catch_unwind(AssertUnwindSafe(|| self.answer(entry)));
            if answered.is_err() {
                tracing::error!("the inference thread panicked at one question; its caches are dropped");
                self.load.panics.fetch_add(1, Ordering::Relaxed);
                self.caches.clear();
            }
        }
    }

    fn answer(&mut self, entry: Entry) {
        let busy = Busy(Arc::clone(&self.load));
        match entry {
            Entry::Predict(question, reply) if !reply.is_closed() && question.deadline.left() > MARGIN => {
                let started = Instant::now();
                let words = self.predict(&question, &reply);
                self.note(started.elapsed());
                // Before the reply: who gets it may ask again at once, and must not find the thread busy with itself.
                drop(busy);
                // The receiver may be gone: a newer keystroke dropped it.
                drop(reply.send(words));
            }
            Entry::Losses { text, surfaces, max_passes, reply } if !reply.is_closed() => {
                let losses = self.losses(&text, &surfaces, max_passes, &reply);
                drop(busy);
                drop(reply.send(losses));
            }
            Entry::Prepare { text, session, deadline } => self.prepare(&text, &session, deadline),
            Entry::Forget { tenant, writer, done } => {
                self.caches.forget(&tenant, &writer);
                // Nobody may be waiting any more.
                done.send(()).unwrap_or_default();
            }
            // Its asker is gone or it is too late: dropping the sender says so.
            Entry::Predict(..) | Entry::Losses { .. } => {}
        }
    }

    fn predict(&mut self, question: &Question, reply: &oneshot::Sender<Words>) -> Words {
        #[cfg(test)]
        assert!(!self.load.panic_next.swap(false, Ordering::Relaxed), "a test asked for it");
        let turns = question.text.turns();
        let prompt = question.text.prompt(&turns, &question.prefix);
        let (candidates, next_candidates) = (refs(&question.candidates), refs(&question.next_candidates));
        let ask = Ask {
            candidates: &candidates,
            next_candidates: &next_candidates,
            top: 4,
            max_passes: question.max_passes,
            phrase_words: question.phrase_words,
        };
        let stop =
            |tokens: usize| reply.is_closed() || question.deadline.left() <= MARGIN + A_TOKEN * tokens as u32;
        let cache = self.caches.of(question.session.as_ref(), &self.model);
        let words = self.model.words(cache, &prompt, &ask, &stop);
        self.tidy();
        words
    }

    fn prepare(&mut self, text: &Text, session: &SessionKey, deadline: Deadline) {
        let turns = text.turns();
        // More than this entry waits: a keystroke is more urgent.
        let load = Arc::clone(&self.load);
        let stop = |_| deadline.left().is_zero() || load.waiting.load(Ordering::Relaxed) > 1;
        let cache = self.caches.of(Some(session), &self.model);
        self.model.prefill(cache, &text.prompt(&turns, ""), &stop);
        self.tidy();
    }

    /// After every use: failures are logged, and a text without a session leaves nothing behind.
    fn tidy(&mut self) {
        if let Some(failure) = self.model.take_failure() {
            tracing::error!(failure, "ONNX Runtime failed; the answer goes on without it");
        }
        if let Some(scratch) = &mut self.caches.scratch {
            scratch.clear();
        }
    }

    fn losses(
        &mut self,
        text: &Text,
        surfaces: &[String],
        max_passes: usize,
        reply: &oneshot::Sender<Vec<Option<f32>>>,
    ) -> Vec<Option<f32>> {
        let turns = text.turns();
        // More than this entry waits: a keystroke is more urgent.
        let load = Arc::clone(&self.load);
        let stop = |_| reply.is_closed() || load.waiting.load(Ordering::Relaxed) > 1;
        let cache = self.caches.of(None, &self.model);
        let losses = self.model.losses(cache, &text.prompt(&turns, ""), &refs(surfaces), max_passes, &stop);
        self.tidy();
        losses
    }

    /// Keeps the moving average that admission uses.
    fn note(&self, took: Duration) {
        let took = took.as_micros() as u64;
        let before = self.load.typical.load(Ordering::Relaxed);
        self.load.typical.store(if before == 0 { took } else { (7 * before + took) / 8 }, Ordering::Relaxed);
    }
}

fn refs(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

/// KV caches by session, bounded in bytes; the least recently used goes first and its memory is reused.
struct Caches {
    by_session: HashMap<SessionKey, (u64, KvCache)>,
    /// For requests without a session: emptied after each use, so nothing passes from one to the next.
    scratch: Option<KvCache>,
    clock: u64,
    bytes: usize,
}

impl Caches {
    fn new(bytes: usize) -> Self {
        Self { by_session: HashMap::new(), scratch: None, clock: 0, bytes }
    }

    fn of(&mut self, session: Option<&SessionKey>, model: &Gpt2) -> &mut KvCache {
        let Some(session) = session else {
            return self.scratch.get_or_insert_with(|| model.new_cache());
        };
        self.clock += 1;
        if !self.by_session.contains_key(session) {
            let cache = self.evicted().unwrap_or_else(|| model.new_cache());
            self.by_session.insert(session.clone(), (self.clock, cache));
        }
        let (used, cache) =
            self.by_session.get_mut(session).expect("it was there or was inserted just above");
        *used = self.clock;
        cache
    }

    fn clear(&mut self) {
        self.by_session.clear();
        self.scratch = None;
    }

    fn forget(&mut self, tenant: &str, writer: &str) {
        self.by_session.retain(|key, _| &*key.tenant != tenant || key.writer.as_deref() != Some(writer));
    }

    /// The cleared cache of the session that was silent longest, if there is no room for one more.
    fn evicted(&mut self) -> Option<KvCache> {
        let each = self.by_session.values().next()?.1.bytes();
        if (self.by_session.len() + 1) * each <= self.bytes {
            return None;
        }
        let oldest = self.by_session.iter().min_by_key(|(_, (used, _))| *used)?.0.clone();
        let (_, mut cache) = self.by_session.remove(&oldest)?;
        cache.clear();
        Some(cache)
    }
}
