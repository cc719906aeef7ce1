//! The bounded queue before the inference threads: the earliest deadline goes first (Liu and Layland 1973).
//!
//! Two lanes. Questions are urgent, admitted if what is expected to go before them leaves them time. What can wait (reading
//! ahead, what a sent message teaches) is done when nothing urgent is there. Work whose asker is gone or whose time has passed is
//! dropped when it is its turn, before anything is spent on it; two threads never work for one session at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::{Deadline, SessionKey};

/// Questions that may wait. More would only be late.
const URGENT: usize = 64;
/// Other work that may wait.
const PATIENT: usize = 64;

/// What the queue needs to know of its entries.
pub(super) trait Job {
    /// Whose cache it works with.
    fn session(&self) -> Option<&SessionKey>;
    /// Why it is not worth starting any more.
    fn is_void(&self) -> Option<Void>;
}

/// Why an entry was dropped when its turn came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Void {
    /// Its asker is gone: a newer keystroke came.
    Superseded,
    /// Its time has passed.
    Expired,
}

/// Why a question was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// So many wait already.
    Full,
    /// It would not be answered in time.
    Late,
}

struct Urgent<J> {
    deadline: Deadline,
    /// What it is expected to take.
    cost: Duration,
    job: J,
}

/// How much there is to do, for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QueueUse {
    /// Questions that wait.
    pub questions: usize,
    /// Other work that waits.
    pub patient: usize,
    /// The share of the time that threads answered questions lately.
    pub busy: f32,
    /// How many they are.
    pub threads: usize,
}

/// Over how long it is looked back at how busy threads were, seconds.
const LATELY: f32 = 1.0;

/// What a thread is at.
#[derive(Clone, Default)]
struct Running {
    session: Option<SessionKey>,
    /// Since when, and when it is expected to be done.
    times: Option<(Instant, Instant)>,
}

/// The share of the time that something went on, the longer ago the less it counts.
struct Share {
    share: f32,
    at: Instant,
}

impl Share {
    fn now(&self) -> f32 {
        self.share * (-self.at.elapsed().as_secs_f32() / LATELY).exp()
    }

    /// It went on for so long until now.
    fn add(&mut self, time: Duration) {
        self.share = self.now() + 1.0 - (-time.as_secs_f32() / LATELY).exp();
        self.at = Instant::now();
    }
}

struct State<J> {
    urgent: Vec<Urgent<J>>,
    patient: VecDeque<J>,
    running: Vec<Running>,
    busy: Share,
    open: bool,
}

/// The queue of all threads. Locked for microseconds, never while a thread works.
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    arrived: Condvar,
    /// Questions that wait: what patient work gives way to.
    waiting: AtomicUsize,
    closed: AtomicBool,
}

impl<J: Job> Queue<J> {
    /// For so many threads.
    pub(super) fn new(threads: usize) -> Self {
        let running = vec![Running::default(); threads];
        let busy = Share { share: 0.0, at: Instant::now() };
        let state = State { urgent: Vec::new(), patient: VecDeque::new(), running, busy, open: true };
        let (waiting, closed) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { state: Mutex::new(state), arrived: Condvar::new(), waiting, closed }
    }

    /// Puts a question in, due at `deadline` less `margin`, if it can be answered in time.
    pub(super) fn ask(
        &self,
        job: J,
        deadline: Deadline,
        cost: Duration,
        margin: Duration,
    ) -> Result<(), Refused> {
        let mut state = self.lock();
        let ahead = state.ahead(deadline);
        // With nothing ahead its own work ends at the deadline by itself, and what was found until then counts.
        let wait = if ahead.is_zero() { Duration::ZERO } else { ahead + cost };
        if deadline.left() <= wait + margin {
            return Err(Refused::Late);
        }
        if state.urgent.len() >= URGENT {
            state.urgent.retain(|entry| entry.job.is_void().is_none());
            if state.urgent.len() >= URGENT {
                return Err(Refused::Full);
            }
        }
        state.urgent.push(Urgent { deadline, cost, job });
        self.note(&state);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Puts work in that can wait; `false`: there is no room. Of a session only the newest is kept.
    pub(super) fn add(&self, job: J) -> bool {
        let mut state = self.lock();
        if let Some(session) = job.session() {
            let session = session.clone();
            state.patient.retain(|other| other.session() != Some(&session));
        }
        if state.patient.len() >= PATIENT {
            return false;
        }
        state.patient.push_back(job);
        drop(state);
        self.arrived.notify_one();
        true
    }

    /// What a question due at `deadline` would wait for, and the share of the time that threads answered questions lately.
    pub(super) fn pressure(&self, deadline: Deadline) -> (Duration, f32) {
        let state = self.lock();
        (state.ahead(deadline), state.busy())
    }

    /// How much there is to do.
    pub(super) fn used(&self) -> QueueUse {
        let state = self.lock();
        let (questions, patient, threads) = (state.urgent.len(), state.patient.len(), state.running.len());
        QueueUse { questions, patient, busy: state.busy(), threads }
    }

    /// Whether nothing waits and no thread is at work.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.urgent.is_empty()
            && state.patient.is_empty()
            && state.running.iter().all(|running| running.times.is_none())
    }

    /// Drops what waits of some sessions.
    pub(super) fn forget(&self, is_of: impl Fn(&SessionKey) -> bool) {
        let mut state = self.lock();
        let stays = |job: &J| !job.session().is_some_and(&is_of);
        state.urgent.retain(|entry| stays(&entry.job));
        state.patient.retain(stays);
        self.note(&state);
    }

    /// Whether patient work is to end: a question waits, or nobody wants anything any more.
    pub(super) fn is_pressing(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 || self.closed.load(Ordering::Relaxed)
    }

    /// The next entry for a thread, when there is one; those it passed over as void go to `dropped`. `None`: the queue is closed.
    pub(super) fn next(&self, thread: usize, mut dropped: impl FnMut(Void)) -> Option<J> {
        let mut state = self.lock();
        loop {
            if !state.open {
                return None;
            }
            state.urgent.retain(|entry| entry.job.is_void().map(&mut dropped).is_none());
            state.patient.retain(|job| job.is_void().map(&mut dropped).is_none());
            if let Some((job, cost)) = state.first() {
                let session = job.session().cloned();
                let now = Instant::now();
                state.running[thread] = Running { session, times: Some((now, now + cost)) };
                self.note(&state);
                return Some(job);
            }
            self.note(&state);
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A thread is done with its entry.
    pub(super) fn done(&self, thread: usize) {
        let mut state = self.lock();
        let was = std::mem::take(&mut state.running[thread]);
        // What could wait is no load: it is done because there is nothing else.
        if let Some((since, until)) = was.times
            && until > since
        {
            state.busy.add(since.elapsed());
        }
        drop(state);
        // An entry may have waited for its session.
        self.arrived.notify_one();
    }

    /// Drops what waits and lets the threads end.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        let mut state = self.lock();
        state.open = false;
        state.urgent.clear();
        state.patient.clear();
        drop(state);
        self.arrived.notify_all();
    }

    fn note(&self, state: &State<J>) {
        self.waiting.store(state.urgent.len(), Ordering::Relaxed);
    }

    /// A panic while it was held leaves the state whole: each change is one insertion or removal.
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J: Job> State<J> {
    /// The share of the time that threads answered questions lately.
    fn busy(&self) -> f32 {
        (self.busy.now() / self.running.len() as f32).min(1.0)
    }

    /// The expected time until a thread is free for a question that is due at `deadline`.
    fn ahead(&self, deadline: Deadline) -> Duration {
        let now = Instant::now();
        let rest = self.running.iter().filter_map(|running| running.times);
        let rest: Duration = rest.map(|(_, until)| until.saturating_duration_since(now)).sum();
        let before = self.urgent.iter().filter(|entry| entry.deadline <= deadline);
        let before: Duration =
            before.filter(|entry| entry.job.is_void().is_none()).map(|entry| entry.cost).sum();
        (rest + before) / self.running.len() as u32
    }

    /// Takes out what goes next: the question due first, else what waited longest.
    fn first(&mut self) -> Option<(J, Duration)> {
        let free = |job: &J| {
            job.session().is_none_or(|session| {
                self.running.iter().all(|running| running.session.as_ref() != Some(session))
            })
        };
        let urgent = (0..self.urgent.len()).filter(|&at| free(&self.urgent[at].job));
        if let Some(at) = urgent.min_by_key(|&at| self.urgent[at].deadline) {
            let Urgent { cost, job, .. } = self.urgent.swap_remove(at);
            return Some((job, cost));
        }
        let patient = self.patient.iter().position(free)?;
        // It gives way, so that nobody waits for it.
        Some((self.patient.remove(patient)?, Duration::ZERO))
    }
}

#[cfg(test)]
mod tests;
