//! Questions about several conversations that share runs of the network.
//!
//! A question ([`Reader`](crate::Reader)) is a future. Where it needs the network it lays its cache and what is to be run of it on a
//! [`Desk`] and waits; a [`Runner`] runs what lies on several desks at once, and each goes on when it is polled again: iteration-level
//! scheduling with selective batching (Yu et al. 2022, "Orca"). A token of each of eight conversations costs two thirds of what it does
//! alone, as the weights are looked at once for all.
//!
//! Nobody is woken: who polls the questions knows which of them were run. So it is theirs to say who goes first.

use std::cell::RefCell;
use std::future::poll_fn;
use std::ops::DerefMut;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::boundary::Start;
use crate::cache::KvCache;
use crate::distribution::Distribution;
use crate::session::{CHUNK, Sequence, Session};
use crate::step::Halt;

/// The most tokens that are worth a run together: of sixteen each costs hardly less than of eight, and all wait for them.
const TOKENS: usize = 8;

/// What is to be run of one conversation.
pub(crate) struct Order {
    /// Its keys and values, and the tokens that have none yet, 1 to [`CHUNK`] of them.
    pub(crate) cache: KvCache,
    /// The first slot that is to be run.
    pub(crate) past: usize,
    /// Slots whose distributions are wanted, at least one.
    pub(crate) wanted: Vec<usize>,
}

impl Order {
    fn tokens(&self) -> usize {
        self.cache.len() - self.past
    }
}

/// What came of it: the cache again, with keys and values of all its slots if it was run, and a distribution for each that was wanted.
pub(crate) type Ran = (KvCache, Result<Vec<Arc<Distribution>>, Halt>);

#[derive(Default)]
enum State {
    #[default]
    Clear,
    Ordered(Order),
    Ran(Ran),
}

/// Where one question says what it wants run, and finds what came of it.
#[derive(Default)]
pub struct Desk(RefCell<State>);

impl Desk {
    /// The tokens that lie here to be run.
    pub fn tokens(&self) -> usize {
        match &*self.0.borrow() {
            State::Ordered(order) => order.tokens(),
            State::Clear | State::Ran(_) => 0,
        }
    }

    /// Has an order run, unless `stop` says no before that, given the number of its tokens.
    pub(crate) async fn run(&self, order: Order, stop: &dyn Fn(usize) -> bool) -> Ran {
        let mut new = Some(order);
        poll_fn(|_| {
            let mut state = self.0.borrow_mut();
            let order = match (std::mem::take(&mut *state), new.take()) {
                (State::Ran(ran), _) => return Poll::Ready(ran),
                (State::Ordered(order), _) | (State::Clear, Some(order)) => order,
                (State::Clear, None) => panic!("the run that was to do it panicked"),
            };
            if stop(order.tokens()) {
                return Poll::Ready((order.cache, Err(Halt::Stopped)));
            }
            *state = State::Ordered(order);
            Poll::Pending
        })
        .await
    }

    /// Takes up what lies here to be run.
    fn take(&self) -> Option<Order> {
        let mut state = self.0.borrow_mut();
        match std::mem::take(&mut *state) {
            State::Ordered(order) => Some(order),
            other => {
                *state = other;
                None
            }
        }
    }
}

/// The network at work on what lies on desks.
pub struct Runner<'a> {
    pub(crate) session: &'a mut Session,
    pub(crate) starts: &'a [Start],
    pub(crate) failure: &'a mut Option<String>,
}

impl Runner<'_> {
    /// The most tokens of several conversations that are worth a run: with more, all wait longer and the work is hardly less. 1: each is run
    /// by itself, as ONNX Runtime attends to no more at once.
    pub fn batch(&self) -> usize {
        if self.session.attends_to_several() { TOKENS } else { 1 }
    }

    /// Runs what lies on the desks, in one run as far as it has room, and lays down there what came of it.
    pub fn run(&mut self, desks: &[&Desk]) {
        let room = if self.session.attends_to_several() { CHUNK } else { 0 };
        let mut batch: Vec<(&Desk, Order)> = Vec::with_capacity(desks.len());
        let mut tokens = 0;
        for desk in desks {
            let Some(order) = desk.take() else { continue };
            if !batch.is_empty() && tokens + order.tokens() > room {
                self.run_batch(std::mem::take(&mut batch));
                tokens = 0;
            }
            tokens += order.tokens();
            batch.push((desk, order));
        }
        if !batch.is_empty() {
            self.run_batch(batch);
        }
    }

    fn run_batch(&mut self, mut batch: Vec<(&Desk, Order)>) {
        let ran = self.distributions(&mut batch);
        if ran.is_err() && batch.len() > 1 {
            // One of them may be the reason: the others shall have their answers.
            for (desk, mut order) in batch {
                order.cache.unrun(order.past, self.session.slot_width());
                self.run_batch(vec![(desk, order)]);
            }
            return;
        }
        let mut found = match ran {
            Ok(found) => Some(found.into_iter()),
            Err(error) => {
                *self.failure = Some(error.to_string());
                None
            }
        };
        for (desk, Order { cache, wanted, .. }) in batch {
            let found = found.as_mut().map(|found| found.take(wanted.len()).collect());
            *desk.0.borrow_mut() = State::Ran((cache, found.ok_or(Halt::Failed)));
        }
    }

    /// Runs a batch, and says what was wanted of it, one after the other.
    fn distributions(&mut self, batch: &mut [(&Desk, Order)]) -> Result<Vec<Arc<Distribution>>, ort::Error> {
        let mut sequences: Vec<Sequence<'_>> = batch
            .iter_mut()
            .map(|(_, Order { cache, past, wanted })| Sequence { cache, past: *past, wanted })
            .collect();
        let logits = self.session.run(&mut sequences)?;
        Ok(logits.map(|row| Arc::new(Distribution::new(row, self.starts))).collect())
    }

    /// The answer of one question, which has the network to itself.
    pub(crate) fn alone<T>(&mut self, desk: &Desk, question: impl Future<Output = T>) -> T {
        let mut answers = self.all(&[desk], &mut [pin!(question)]);
        answers.pop().expect("one was asked")
    }

    /// The answers of several questions, each with a desk, that share runs to the end.
    pub(crate) fn all<T>(
        &mut self,
        desks: &[&Desk],
        questions: &mut [Pin<impl DerefMut<Target: Future<Output = T>>>],
    ) -> Vec<T> {
        let mut context = Context::from_waker(Waker::noop());
        let mut answers: Vec<Option<T>> = questions.iter().map(|_| None).collect();
        loop {
            for (question, answer) in
                questions.iter_mut().zip(&mut answers).filter(|(_, answer)| answer.is_none())
            {
                if let Poll::Ready(found) = question.as_mut().poll(&mut context) {
                    *answer = Some(found);
                }
            }
            if answers.iter().all(Option::is_some) {
                return answers.into_iter().flatten().collect();
            }
            self.run(desks);
        }
    }

    /// What ONNX Runtime said if it failed since the last call; answers are incomplete then.
    pub fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }
}

#[cfg(test)]
mod tests;
