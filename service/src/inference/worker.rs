//! One inference thread.
//!
//! It is at several questions at once, each about a conversation of its own, and runs the network for as many of them together as pays:
//! a question that comes joins those that are at work at the next run (Yu et al. 2022, "Orca"). What is due first goes first, and is not
//! made late by what shares its run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use foretype_models::{Ask, Desk, Gpt2, KvCache, Reader, Runner};
use tokio::sync::oneshot;

use super::cost::Shape;
use super::queue::{self, Ticket, Void};
use super::{Answered, MARGIN, Question, Shared, Text};
use crate::engine::{Deadline, SessionKey};

/// Bytes a token spells, about.
const TOKEN_BYTES: usize = 4;

/// The best words that are looked for.
const TOP: usize = 4;

/// What a thread is given to do.
pub(super) enum Job {
    Predict { question: Box<Question>, asked: Instant, reply: oneshot::Sender<Answered> },
    Prepare { text: Text, session: SessionKey, deadline: Deadline },
    Losses { text: Text, surfaces: Vec<String>, max_passes: usize, reply: oneshot::Sender<Vec<Option<f32>>> },
}

impl queue::Job for Job {
    fn session(&self) -> Option<&SessionKey> {
        match self {
            Self::Predict { question, .. } => question.session.as_ref(),
            Self::Prepare { session, .. } => Some(session),
            Self::Losses { .. } => None,
        }
    }

    fn is_void(&self) -> Option<Void> {
        let (gone, late) = match self {
            Self::Predict { question, reply, .. } => (reply.is_closed(), question.deadline.left() <= MARGIN),
            Self::Prepare { deadline, .. } => (false, deadline.left().is_zero()),
            Self::Losses { reply, .. } => (reply.is_closed(), false),
        };
        if gone { Some(Void::Superseded) } else { late.then_some(Void::Expired) }
    }
}

/// What a token of a run is expected to take at most, when it is asked whether there is time for it: what is not begun on a slow core
/// is lost for sure.
const A_TOKEN: Duration = Duration::from_micros(300);

/// Questions that a thread is at, at most: hardly more share a run.
const QUESTIONS: usize = 8;

/// What is left to do when work is done, given what it took: to say so.
type Reply<'a> = Box<dyn FnOnce(Duration) + 'a>;

/// Work that goes on when it is polled.
type Working<'a> = Pin<Box<dyn Future<Output = Reply<'a>> + 'a>>;

/// Work that a thread is at.
struct Live<'a> {
    ticket: Ticket,
    /// When a question is due; `None`: it can wait.
    deadline: Option<Deadline>,
    desk: Rc<Desk>,
    /// What it took so far: of a run that several shared its part.
    spent: Duration,
    working: Working<'a>,
}

/// What a thread owns.
pub(super) struct Worker {
    model: Gpt2,
    shared: Arc<Shared>,
}

impl Worker {
    pub(super) fn new(model: Gpt2, shared: Arc<Shared>) -> Self {
        Self { model, shared }
    }

    /// Works until the queue is closed.
    pub(super) fn run(mut self) {
        let (reader, mut runner) = self.model.split();
        let work = Work { reader, shared: &self.shared };
        let most = if runner.batch() > 1 { QUESTIONS } else { 1 };
        let mut live = Vec::new();
        while work.fill(&mut live, most) {
            let started = Instant::now();
            let asked = live.iter().any(|job| job.deadline.is_some());
            work.advance(&mut live);
            work.run(&mut live, &mut runner);
            // Who was overtaken meanwhile makes way for the newer key.
            work.advance(&mut live);
            let busy = if asked { started.elapsed() } else { Duration::ZERO };
            self.shared.queue.worked(live.iter().map(|job| (job.ticket, job.spent)), busy);
        }
    }
}

/// What a thread works with.
#[derive(Clone, Copy)]
struct Work<'a> {
    reader: &'a Reader,
    shared: &'a Shared,
}

impl<'a> Work<'a> {
    /// Takes on as many questions as can share runs, and waits for something to do if there is none; `false`: there never will be.
    fn fill(self, live: &mut Vec<Live<'a>>, most: usize) -> bool {
        let Shared { queue, tally, .. } = self.shared;
        if live.is_empty() {
            let Some((ticket, job)) = queue.next(|void| tally.dropped(void)) else { return false };
            live.push(self.begin(ticket, job));
        }
        // What can wait shares nothing, and ends when a question comes.
        while live.len() < most
            && live.iter().all(|job| job.deadline.is_some())
            && let Some((ticket, job)) = queue.another(live.len(), |void| tally.dropped(void))
        {
            // What is new takes longest until it needs the network, and whether there is time left is to be asked of the others after that.
            live.insert(0, self.begin(ticket, job));
        }
        true
    }

    fn begin(self, ticket: Ticket, job: Job) -> Live<'a> {
        let desk = Rc::new(Desk::default());
        let at = Rc::clone(&desk);
        let (deadline, working): (_, Working<'a>) = match job {
            Job::Predict { question, asked, reply } => {
                (Some(question.deadline), Box::pin(self.predict(at, question, asked, reply)))
            }
            Job::Losses { text, surfaces, max_passes, reply } => {
                (None, Box::pin(self.losses(at, text, surfaces, max_passes, reply)))
            }
            Job::Prepare { text, session, deadline } => {
                (None, Box::pin(self.prepare(at, text, session, deadline)))
            }
        };
        Live { ticket, deadline, desk, spent: Duration::ZERO, working }
    }

    /// Lets everything go on to where it needs the network, and says what is done, once it counts as that: who hears it may ask again at
    /// once.
    fn advance(self, live: &mut Vec<Live<'a>>) {
        let mut context = Context::from_waker(Waker::noop());
        live.retain_mut(|job| {
            let started = Instant::now();
            // One bad keystroke must not take the GPT-2 from every writer. The cache it was working with is dropped.
            let polled = catch_unwind(AssertUnwindSafe(|| job.working.as_mut().poll(&mut context)));
            job.spent += started.elapsed();
            let reply = match polled {
                Ok(Poll::Pending) => return true,
                Ok(Poll::Ready(reply)) => Some(reply),
                Err(_) => None,
            };
            self.shared.queue.done(job.ticket);
            if let Some(reply) = reply {
                reply(job.spent);
            } else {
                tracing::error!("an inference thread panicked at one question; it goes on with the others");
                self.shared.tally.panicked();
            }
            false
        });
    }

    /// Runs the network for what is due first, and for as much of the rest as shares the run for next to nothing and does not make it
    /// late.
    fn run(self, live: &mut [Live<'a>], runner: &mut Runner<'_>) {
        live.sort_by_key(|job| job.deadline);
        let pace = &self.shared.pace;
        let (mut tokens, mut patience) = (0, Duration::MAX);
        let mut shares: Vec<(usize, &mut Live<'a>)> = Vec::new();
        for job in live {
            let own = job.desk.tokens();
            let fits = tokens + own <= runner.batch() && pace.of(tokens + own) <= patience;
            if own == 0 || (tokens > 0 && !fits) {
                continue;
            }
            if let (0, Some(deadline)) = (tokens, job.deadline) {
                patience = deadline.left().saturating_sub(MARGIN);
            }
            tokens += own;
            shares.push((own, job));
        }
        if tokens == 0 {
            return;
        }
        let desks: Vec<&Desk> = shares.iter().map(|(_, job)| &*job.desk).collect();
        let started = Instant::now();
        // If it panics the desks stay clear, and each question panics with its own cache when it finds nothing there.
        let ran = catch_unwind(AssertUnwindSafe(|| runner.run(&desks)));
        let (took, failure) = (started.elapsed(), runner.take_failure());
        if ran.is_ok() && failure.is_none() {
            pace.learn(tokens, took);
        }
        self.shared.tally.ran(shares.len());
        for (own, job) in shares {
            job.spent += took * own as u32 / tokens as u32;
        }
        if let Some(failure) = failure {
            tracing::error!(failure, "ONNX Runtime failed; the answer goes on without it");
            self.shared.tally.failed();
        }
    }

    async fn predict(
        self,
        desk: Rc<Desk>,
        question: Box<Question>,
        asked: Instant,
        reply: oneshot::Sender<Answered>,
    ) -> Reply<'a> {
        let shared = self.shared;
        #[cfg(test)]
        assert!(!shared.panic_next.swap(false, std::sync::atomic::Ordering::Relaxed), "a test asked for it");
        let turns = question.text.turns();
        let prompt = question.text.prompt(&turns, &question.prefix);
        let (candidates, next_candidates) = (refs(&question.candidates), refs(&question.next_candidates));
        let ask = Ask {
            candidates: &candidates,
            next_candidates: &next_candidates,
            top: TOP,
            max_passes: question.depth.passes,
            narrow: question.depth.narrow,
            phrase_words: question.phrase_words,
        };
        let stop = |tokens: usize| {
            let takes = shared.pace.of(tokens).min(A_TOKEN * tokens as u32);
            reply.is_closed() || question.deadline.left() <= MARGIN + takes
        };
        let bytes = question.text.bytes();
        let mut learned = None;
        let words = if let Some(session) = &question.session {
            let mut held = shared.caches.take(session);
            let unread = bytes.saturating_sub(held.read);
            let words = self.reader.words(&desk, &mut held.cache, &prompt, &ask, &stop).await;
            // Of a word that is too long it says nothing, and reads nothing.
            if words.context > 0 {
                held.read = read_of(&held.cache, bytes, words.mass > 0.0);
            }
            if words.complete && words.mass > 0.0 {
                learned = Some(Shape::new(unread, question.depth));
            }
            if !words.complete && words.mass <= 0.0 && question.read_later && !reply.is_closed() {
                // A budget too short for what is new would be so at the next key as well.
                shared.prepare(question.text.clone(), session.clone());
            }
            words
        } else {
            self.reader.words(&desk, &mut KvCache::default(), &prompt, &ask, &stop).await
        };
        let run = u64::from(words.prefilled + words.tokens);
        if run == 0 && words.mass <= 0.0 && !words.complete {
            shared.tally.dropped(if reply.is_closed() { Void::Superseded } else { Void::Expired });
        } else {
            shared.tally.answered(u64::from(words.context - words.prefilled), run);
        }
        Box::new(move |worked| {
            if let Some(shape) = learned {
                shared.costs.learn(shape, worked);
            }
            let waited = asked.elapsed().saturating_sub(worked);
            drop(reply.send(Answered { words, waited, worked }));
        })
    }

    async fn prepare(self, desk: Rc<Desk>, text: Text, session: SessionKey, deadline: Deadline) -> Reply<'a> {
        let turns = text.turns();
        let stop = |_| deadline.left().is_zero() || self.shared.queue.is_pressing();
        let mut held = self.shared.caches.take(&session);
        let prompt = text.prompt(&turns, "");
        let whole = self.reader.prefill(&desk, &mut held.cache, &prompt, &stop).await;
        held.read = read_of(&held.cache, text.bytes(), whole);
        Box::new(|_| ())
    }

    async fn losses(
        self,
        desk: Rc<Desk>,
        text: Text,
        surfaces: Vec<String>,
        max_passes: usize,
        reply: oneshot::Sender<Vec<Option<f32>>>,
    ) -> Reply<'a> {
        let turns = text.turns();
        let stop = |_| reply.is_closed() || self.shared.queue.is_pressing();
        let (prompt, mut cache) = (text.prompt(&turns, ""), KvCache::default());
        let surfaces = refs(&surfaces);
        let losses = self.reader.losses(&desk, &mut cache, &prompt, &surfaces, max_passes, &stop).await;
        Box::new(move |_| drop(reply.send(losses)))
    }
}

/// How much of a text of so many bytes a cache holds.
fn read_of(cache: &KvCache, bytes: usize, whole: bool) -> usize {
    if whole { bytes } else { bytes.min(TOKEN_BYTES * cache.len()) }
}

fn refs(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}
