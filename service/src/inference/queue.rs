//! The bounded queue before the inference threads: the earliest deadline goes first (Liu and Layland 1973).
//!
//! Two lanes. Questions are urgent, admitted if what is expected to go before them leaves them time. What can wait (reading
//! ahead, what a sent message teaches) is done when nothing urgent is there. Work whose asker is gone or whose time has passed is
//! dropped when it is its turn, before anything is spent on it; nobody works twice for one session at once.

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
    /// Questions that wait for a thread.
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

/// An entry that a thread is at.
struct Running {
    ticket: Ticket,
    session: Option<SessionKey>,
    /// When it is due; `None`: it can wait.
    deadline: Option<Deadline>,
    /// What it is expected to take; nothing, if it can wait.
    cost: Duration,
    /// What it took so far.
    spent: Duration,
}

/// Names an entry while a thread is at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

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
    tickets: u64,
    threads: usize,
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
        let state = State {
            urgent: Vec::new(),
            patient: VecDeque::new(),
            running: Vec::new(),
            tickets: 0,
            threads,
            busy: Share { share: 0.0, at: Instant::now() },
            open: true,
        };
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
        let (questions, patient) = (state.urgent.len(), state.patient.len());
        QueueUse { questions, patient, busy: state.busy(), threads: state.threads }
    }

    /// Whether nothing waits and no thread is at work.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.urgent.is_empty() && state.patient.is_empty() && state.running.is_empty()
    }

    /// Drops what waits of some sessions.
    pub(super) fn forget(&self, is_of: impl Fn(&SessionKey) -> bool) {
        let mut state = self.lock();
        let stays = |job: &J| !job.session().is_some_and(&is_of);
        state.urgent.retain(|entry| stays(&entry.job));
        state.patient.retain(stays);
        self.note(&state);
    }

    /// What threads are at for some sessions.
    pub(super) fn under_way(&self, is_of: impl Fn(&SessionKey) -> bool) -> Vec<Ticket> {
        let state = self.lock();
        let of = |running: &&Running| running.session.as_ref().is_some_and(&is_of);
        state.running.iter().filter(of).map(|running| running.ticket).collect()
    }

    /// Whether a thread is still at one of them.
    pub(super) fn is_at(&self, tickets: &[Ticket]) -> bool {
        self.lock().running.iter().any(|running| tickets.contains(&running.ticket))
    }

    /// Whether patient work is to end: a question waits, or nobody wants anything any more.
    pub(super) fn is_pressing(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 || self.closed.load(Ordering::Relaxed)
    }

    /// The next entry for a thread that has none, when there is one; those it passed over as void go to `dropped`. `None`: the queue is
    /// closed.
    pub(super) fn next(&self, mut dropped: impl FnMut(Void)) -> Option<(Ticket, J)> {
        let mut state = self.lock();
        loop {
            if !state.open {
                return None;
            }
            state.drop_void(&mut dropped);
            // What can wait would end at once, and unread, where questions wait for those whose sessions are at work.
            let found = if state.urgent.is_empty() { state.patient() } else { state.urgent() };
            self.note(&state);
            if found.is_some() {
                return found;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next question for a thread that is at so many already, if one waits whose session is not at work. Threads share them evenly.
    pub(super) fn another(&self, at: usize, dropped: impl FnMut(Void)) -> Option<(Ticket, J)> {
        // The usual case, and no reason to lock.
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut state = self.lock();
        state.drop_void(dropped);
        let share = (state.running.len() + state.urgent.len()).div_ceil(state.threads);
        let found = if at < share { state.urgent() } else { None };
        self.note(&state);
        let idle = state.urgent.is_empty() && !state.patient.is_empty();
        drop(state);
        if idle {
            // A thread may sleep that left what can wait alone.
            self.arrived.notify_one();
        }
        found
    }

    /// A thread has spent so long by now on each entry it is at, and was `busy` with questions since it last said so: what can wait is
    /// no load, it is done because there is nothing else.
    pub(super) fn worked(&self, spent: impl Iterator<Item = (Ticket, Duration)>, busy: Duration) {
        let mut state = self.lock();
        for (ticket, spent) in spent {
            if let Some(running) = state.running.iter_mut().find(|running| running.ticket == ticket) {
                running.spent = spent;
            }
        }
        if !busy.is_zero() {
            state.busy.add(busy);
        }
    }

    /// A thread is done with an entry.
    pub(super) fn done(&self, ticket: Ticket) {
        self.lock().running.retain(|running| running.ticket != ticket);
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
        (self.busy.now() / self.threads as f32).min(1.0)
    }

    /// The expected time until a question that is due at `deadline` is run.
    fn ahead(&self, deadline: Deadline) -> Duration {
        let due = |running: &&Running| running.deadline.is_some_and(|due| due <= deadline);
        let rest = self.running.iter().filter(due).map(|running| running.cost.saturating_sub(running.spent));
        let rest: Duration = rest.sum();
        let before = self.urgent.iter().filter(|entry| entry.deadline <= deadline);
        let before: Duration =
            before.filter(|entry| entry.job.is_void().is_none()).map(|entry| entry.cost).sum();
        (rest + before) / self.threads as u32
    }

    fn drop_void(&mut self, mut dropped: impl FnMut(Void)) {
        self.urgent.retain(|entry| entry.job.is_void().map(&mut dropped).is_none());
        self.patient.retain(|job| job.is_void().map(&mut dropped).is_none());
    }

    /// Takes out the question that is due first.
    fn urgent(&mut self) -> Option<(Ticket, J)> {
        let free = (0..self.urgent.len()).filter(|&at| self.is_free(&self.urgent[at].job));
        let first = free.min_by_key(|&at| self.urgent[at].deadline)?;
        let Urgent { deadline, cost, job } = self.urgent.swap_remove(first);
        Some(self.start(job, Some(deadline), cost))
    }

    /// Takes out what waited longest of what can wait. It gives way, so that nobody waits for it.
    fn patient(&mut self) -> Option<(Ticket, J)> {
        let first = self.patient.iter().position(|job| self.is_free(job))?;
        let job = self.patient.remove(first)?;
        Some(self.start(job, None, Duration::ZERO))
    }

    /// Whether nobody is at work for its session.
    fn is_free(&self, job: &J) -> bool {
        job.session().is_none_or(|session| {
            self.running.iter().all(|running| running.session.as_ref() != Some(session))
        })
    }

    fn start(&mut self, job: J, deadline: Option<Deadline>, cost: Duration) -> (Ticket, J) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let session = job.session().cloned();
        self.running.push(Running { ticket, session, deadline, cost, spent: Duration::ZERO });
        (ticket, job)
    }
}

#[cfg(test)]
mod tests;
