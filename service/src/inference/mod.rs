//! The neural tier: threads that own a GPT-2 each, behind one bounded queue.
//!
//! A handle puts a question in and awaits its reply. A dropped receiver (a newer keystroke came) or a passed deadline drops it
//! before compute is spent, or stops the work between two passes; what the cache has read by then it keeps.

mod caches;
mod cost;
mod counts;
mod queue;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use foretype_models::{Gpt2, Prompt, Role, Words};
use tokio::sync::oneshot;

pub use self::caches::CacheUse;
use self::caches::Caches;
use self::cost::{Costs, Pace, Shape};
pub use self::counts::Counts;
use self::counts::Tally;
pub use self::queue::QueueUse;
use self::queue::{Queue, Refused};
use self::worker::{Job, Worker};
use crate::engine::{Deadline, SessionKey};

/// The answer must leave the thread this long before the deadline, to be merged and written in time.
const MARGIN: Duration = Duration::from_micros(2_000);

/// Questions about a session that what was read for one of them serves, at least: most of a message is typed behind its context.
const SERVES: usize = 16;

/// As if so many usual questions were ahead when threads are never idle.
const BUSY: f32 = 1.0;

/// What a usual question has to read: a letter, or the word before it.
const USUAL: (usize, Depth) = (4, Depth { passes: 1, narrow: true });

/// How long reading ahead may take.
const PREPARING: Duration = Duration::from_secs(1);

/// A text for the model, owned: it crosses to a thread.
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

    fn bytes(&self) -> usize {
        self.turns.iter().map(|(_, text)| text.len()).sum::<usize>() + self.before.len()
    }
}

/// How far a question may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Passes of the network at most, beside what its text takes to be read. Without any, what was read answers it.
    pub passes: usize,
    /// Whether they are narrow ([`foretype_models::Ask::narrow`]).
    pub narrow: bool,
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
    /// How far it may go.
    pub depth: Depth,
    /// The longest continuation wanted, in words.
    pub phrase_words: usize,
    /// When the answer is due.
    pub deadline: Deadline,
    /// Whose KV cache; `None`: nothing is kept.
    pub session: Option<SessionKey>,
    /// Whether the text may be read when there is time, if it cannot be before the deadline.
    pub read_later: bool,
}

/// What came of a question.
#[derive(Debug)]
pub struct Answered {
    /// What the GPT-2 says.
    pub words: Words,
    /// How long it waited: for a thread, and there for runs that were others'.
    pub waited: Duration,
    /// How long a thread worked on it; of a run that several share its part.
    pub worked: Duration,
}

/// The neural tier as operators see it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NeuralState {
    /// What was done and what was not, since the start.
    pub counts: Counts,
    /// What KV caches take.
    pub caches: CacheUse,
    /// What waits.
    pub queue: QueueUse,
}

/// A handle to the threads; they end when the last one is dropped.
#[derive(Clone)]
pub struct Inference {
    shared: Arc<Shared>,
    threads: usize,
    open: Arc<Open>,
}

/// What handles and threads share.
struct Shared {
    queue: Queue<Job>,
    caches: Caches,
    costs: Costs,
    pace: Pace,
    tally: Tally,
    /// The next question is to panic.
    #[cfg(test)]
    panic_next: std::sync::atomic::AtomicBool,
}

impl Shared {
    fn prepare(&self, text: Text, session: SessionKey) {
        let job = Job::Prepare { text, session, deadline: Deadline::after(PREPARING) };
        if !self.queue.add(job) {
            self.tally.refused(Refused::Full);
        }
    }
}

/// Closes the queue when the last handle is dropped, and waits for the threads: a process that ended while one was at work would
/// take ONNX Runtime away under it.
struct Open {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.queue.close();
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // What it panicked at was told when it did.
            drop(thread.join());
        }
    }
}

impl std::fmt::Debug for Inference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inference").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Inference {
    /// Gives each model a thread of its own. At most `kv_bytes` of KV caches are kept, least recently used first out.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(models: Vec<Gpt2>, kv_bytes: usize) -> std::io::Result<Self> {
        let queue = Queue::new(models.len());
        let (caches, costs, tally) = (Caches::new(kv_bytes), Costs::default(), Tally::default());
        let shared = Arc::new(Shared {
            queue,
            caches,
            costs,
            pace: Pace::default(),
            tally,
            #[cfg(test)]
            panic_next: Default::default(),
        });
        // Threads that were started end with it if another cannot be.
        let (threads, started) = (models.len(), Mutex::default());
        let open = Arc::new(Open { shared: Arc::clone(&shared), threads: started });
        let handle = Self { shared: Arc::clone(&shared), threads, open };
        for (number, model) in models.into_iter().enumerate() {
            let worker = Worker::new(model, Arc::clone(&shared));
            let thread = std::thread::Builder::new().name(format!("inference-{number}"));
            let thread = thread.spawn(move || worker.run())?;
            handle.open.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(handle)
    }

    /// Asks, if the answer can be expected in time. `None`: not admitted. The text may be read when there is time, then, so that
    /// the next question about it is cheaper.
    pub fn ask(&self, question: Question) -> Option<oneshot::Receiver<Answered>> {
        let (deadline, cost) = (question.deadline, self.cost(&question));
        let session = question.session.clone().filter(|_| question.read_later);
        let late = session.map(|session| (question.text.clone(), session));
        let (reply, answer) = oneshot::channel();
        let job = Job::Predict { question: Box::new(question), asked: Instant::now(), reply };
        match self.shared.queue.ask(job, deadline, cost, MARGIN) {
            Ok(()) => Some(answer),
            Err(refused) => {
                self.shared.tally.refused(refused);
                if let (Some((text, session)), Refused::Late) = (late, refused) {
                    self.prepare(text, session);
                }
                None
            }
        }
    }

    /// What a question is expected to take.
    fn cost(&self, question: &Question) -> Duration {
        self.shared.costs.of(Shape::new(self.unread(question), question.depth))
    }

    /// As much of that as the question answers for, if it went so deep: of a long text that is read for a session its next questions
    /// have as much.
    pub fn own_cost(&self, question: &Question, depth: Depth) -> Duration {
        let serves = if question.session.is_some() { SERVES } else { 1 };
        let shape = Shape::new(self.unread(question), depth);
        self.shared.costs.of(Shape { bytes: shape.bytes / serves, ..shape })
    }

    /// Bytes of a question's text, the unfinished surface aside, that its cache has not seen.
    fn unread(&self, question: &Question) -> usize {
        let read = question.session.as_ref().map_or(0, |session| self.shared.caches.read(session));
        question.text.bytes().saturating_sub(read)
    }

    /// How long a question due at `deadline` would wait for a thread, and longer the busier threads were lately: the next ones
    /// are about to come.
    pub fn wait(&self, deadline: Deadline) -> Duration {
        let (ahead, busy) = self.shared.queue.pressure(deadline);
        ahead + self.usual().mul_f32(BUSY * busy * busy)
    }

    /// What a usual question takes.
    pub fn usual(&self) -> Duration {
        let (unread, depth) = USUAL;
        self.shared.costs.of(Shape::new(unread, depth))
    }

    /// log P of each surface of a message, if the threads have nothing else to do. Gives way to any question.
    pub fn losses(
        &self,
        text: Text,
        surfaces: Vec<String>,
        max_passes: usize,
    ) -> Option<oneshot::Receiver<Vec<Option<f32>>>> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Losses { text, surfaces, max_passes, reply };
        (self.shared.queue.is_idle() && self.shared.queue.add(job)).then_some(answer)
    }

    /// Reads a text into a session's cache when there is nothing else to do. Gives way to any question; what was read by then is
    /// kept.
    pub fn prepare(&self, text: Text, session: SessionKey) {
        self.shared.prepare(text, session);
    }

    /// Drops all caches of a writer and what waits to be read into them; resolves when they are gone.
    pub async fn forget(&self, tenant: &str, writer: &str) {
        let is_of = |key: &SessionKey| &*key.tenant == tenant && key.writer.as_deref() == Some(writer);
        let Shared { queue, caches, .. } = &*self.shared;
        let forget = || {
            queue.forget(is_of);
            caches.forget(tenant, writer);
        };
        forget();
        // A thread may be at work for the writer; it comes to an end within a budget, and may leave something to be read later.
        let under_way = queue.under_way(is_of);
        while queue.is_at(&under_way) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        forget();
    }

    /// What was done and what was not, since the start.
    pub fn counts(&self) -> Counts {
        self.shared.tally.counts()
    }

    /// The threads there are.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// How it does.
    pub fn state(&self) -> NeuralState {
        let Shared { queue, caches, .. } = &*self.shared;
        NeuralState { counts: self.counts(), caches: caches.used(), queue: queue.used() }
    }
}
