//! What is to be learned: one message after the other, in the order they were written, each once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lsp_server::{Message, Notification};
use lsp_types::notification::{Notification as _, ShowMessage};
use lsp_types::{MessageType, ShowMessageParams};
use tokio::sync::mpsc;

use super::learning::MESSAGES;
use super::options::Options;
use super::service::{Fault, Service};
use crate::app::Lesson;
use crate::clock;
use crate::wire::composed;

/// Messages that may wait.
const WAITING: usize = 1_024;
/// Until what could not be learned is tried again; a fraction of the time that is left when the editor goes.
const AGAIN: Duration = Duration::from_millis(400);

type Senders = crossbeam_channel::Sender<Message>;

/// Where messages are put that are to be learned.
pub(super) struct Lessons {
    queue: mpsc::Sender<Lesson>,
    /// Tells this editor's messages from others'.
    name: u64,
    /// The number of the next.
    number: u64,
}

impl Lessons {
    /// The queue, and the work of learning what is in it, which ends with the queue.
    pub(super) fn new(service: Arc<Service>, name: u64, sender: Senders) -> (Self, impl Future<Output = ()>) {
        let (queue, lessons) = mpsc::channel(WAITING);
        (Self { queue, name, number: 0 }, teach(service, lessons, sender))
    }

    /// Whether as many find room as a save may have.
    pub(super) fn have_room(&self) -> bool {
        self.queue.capacity() >= MESSAGES
    }

    /// Has a message learned, if there is room.
    pub(super) fn put(&mut self, text: String, options: &Options) {
        let key = format!("lsp-{:016x}{:016x}", self.name, self.number);
        self.number += 1;
        let lesson = Lesson {
            writer: options.writer.clone(),
            text: composed(text),
            context: Vec::new(),
            role: options.role.map_or(foretype_markov::Role::Author, Into::into),
            at: clock::now_ms(),
            idempotency_key: Some(key),
        };
        if self.queue.try_send(lesson).is_err() {
            tracing::warn!("a message is not learned: too many wait");
        }
    }
}

async fn teach(service: Arc<Service>, mut lessons: mpsc::Receiver<Lesson>, sender: Senders) {
    // Whether the writer was told that nothing is learned: that completing works says nothing about it.
    let told = AtomicBool::new(false);
    while let Some(lesson) = lessons.recv().await {
        // What cannot be learned now waits, and all that is saved after it; its key has it learned once.
        let mut waits = false;
        loop {
            let Err(fault) = service.learn(lesson.clone()).await else {
                told.store(false, Ordering::Relaxed);
                break;
            };
            if !waits {
                complain(&sender, &fault, &told);
            }
            if !fault.passes() {
                break;
            }
            waits = true;
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Tells the writer once what is wrong, until it is right again; the log every time.
pub(super) fn complain(sender: &Senders, fault: &Fault, told: &AtomicBool) {
    tracing::warn!(%fault, "no answer");
    if !told.swap(true, Ordering::Relaxed) {
        let params = ShowMessageParams { typ: MessageType::WARNING, message: fault.to_string() };
        drop(sender.send(Notification::new(ShowMessage::METHOD.to_owned(), params).into()));
    }
}
