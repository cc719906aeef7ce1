//! One inference thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foretype_models::{Ask, Gpt2, KvCache, Words};
use tokio::sync::oneshot;

use super::cost::Shape;
use super::queue::{self, Void};
use super::{Answered, MARGIN, Question, Shared, Text};
use crate::engine::{Deadline, SessionKey};

/// What a token of a run may take, on a core that others use too. A run that has begun goes on to its end.
const A_TOKEN: Duration = Duration::from_micros(300);

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

/// What a thread owns.
pub(super) struct Worker {
    number: usize,
    model: Gpt2,
    /// For work without a session: emptied after each use, so nothing passes from one to the next.
    scratch: KvCache,
    shared: Arc<Shared>,
}

impl Worker {
    pub(super) fn new(number: usize, model: Gpt2, shared: Arc<Shared>) -> Self {
        Self { number, model, scratch: KvCache::default(), shared }
    }

    /// Works until the queue is closed.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        while let Some(job) = shared.queue.next(self.number, |void| shared.tally.dropped(void)) {
            // One bad keystroke must not take the GPT-2 from every writer. The cache it was working with is dropped.
            let worked = catch_unwind(AssertUnwindSafe(|| self.work(job)));
            shared.queue.done(self.number);
            match worked {
                // Its asker may be gone: a newer keystroke dropped the receiver.
                Ok(reply) => reply(),
                Err(_) => {
                    tracing::error!("an inference thread panicked at one question; it goes on with the next");
                    shared.tally.panicked();
                    self.scratch.clear();
                }
            }
        }
    }

    /// Does the work; what is left is to say so, once the thread counts as free: who hears it may ask again at once.
    fn work(&mut self, job: Job) -> Box<dyn FnOnce()> {
        match job {
            Job::Predict { question, asked, reply } => {
                let (waited, started) = (asked.elapsed(), Instant::now());
                let words = self.predict(&question, &reply);
                let answered = Answered { words, waited, worked: started.elapsed() };
                Box::new(move || drop(reply.send(answered)))
            }
            Job::Losses { text, surfaces, max_passes, reply } => {
                let losses = self.losses(&text, &surfaces, max_passes, &reply);
                Box::new(move || drop(reply.send(losses)))
            }
            Job::Prepare { text, session, deadline } => {
                self.prepare(&text, &session, deadline);
                Box::new(|| ())
            }
        }
    }

    fn predict(&mut self, question: &Question, reply: &oneshot::Sender<Answered>) -> Words {
        #[cfg(test)]
        assert!(
            !self.shared.panic_next.swap(false, std::sync::atomic::Ordering::Relaxed),
            "a test asked for it"
        );
        let (turns, started) = (question.text.turns(), Instant::now());
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
        let stop =
            |tokens: usize| reply.is_closed() || question.deadline.left() <= MARGIN + A_TOKEN * tokens as u32;
        let shared = Arc::clone(&self.shared);
        let bytes = question.text.bytes();
        let words = if let Some(session) = &question.session {
            let mut held = shared.caches.take(session);
            let unread = bytes.saturating_sub(held.read);
            let words = self.model.words(&mut held.cache, &prompt, &ask, &stop);
            // Of a word that is too long it says nothing, and reads nothing.
            if words.context > 0 {
                held.read = read_of(&held.cache, bytes, words.mass > 0.0);
            }
            if words.complete && words.mass > 0.0 {
                shared.costs.learn(Shape::new(unread, question.depth), started.elapsed());
            }
            if !words.complete && words.mass <= 0.0 && question.read_later && !reply.is_closed() {
                // A budget too short for what is new would be so at the next key as well.
                shared.prepare(question.text.clone(), session.clone());
            }
            words
        } else {
            let words = self.model.words(&mut self.scratch, &prompt, &ask, &stop);
            self.scratch.clear();
            words
        };
        let run = u64::from(words.prefilled + words.tokens);
        shared.tally.answered(u64::from(words.context - words.prefilled), run);
        self.tell_failure();
        words
    }

    fn prepare(&mut self, text: &Text, session: &SessionKey, deadline: Deadline) {
        let turns = text.turns();
        let shared = Arc::clone(&self.shared);
        let stop = |_| deadline.left().is_zero() || shared.queue.is_pressing();
        let mut held = shared.caches.take(session);
        let whole = self.model.prefill(&mut held.cache, &text.prompt(&turns, ""), &stop);
        held.read = read_of(&held.cache, text.bytes(), whole);
        self.tell_failure();
    }

    fn losses(
        &mut self,
        text: &Text,
        surfaces: &[String],
        max_passes: usize,
        reply: &oneshot::Sender<Vec<Option<f32>>>,
    ) -> Vec<Option<f32>> {
        let turns = text.turns();
        let shared = Arc::clone(&self.shared);
        let stop = |_| reply.is_closed() || shared.queue.is_pressing();
        let prompt = text.prompt(&turns, "");
        let losses = self.model.losses(&mut self.scratch, &prompt, &refs(surfaces), max_passes, &stop);
        self.scratch.clear();
        self.tell_failure();
        losses
    }

    fn tell_failure(&mut self) {
        if let Some(failure) = self.model.take_failure() {
            tracing::error!(failure, "ONNX Runtime failed; the answer goes on without it");
            self.shared.tally.failed();
        }
    }
}

/// How much of a text of so many bytes a cache holds.
fn read_of(cache: &KvCache, bytes: usize, whole: bool) -> usize {
    if whole { bytes } else { bytes.min(TOKEN_BYTES * cache.len()) }
}

fn refs(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}
