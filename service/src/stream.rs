//! One WebSocket of `GET /v1/stream`: a loop over what arrives and what is done, in one task.
//!
//! The newest edit wins: what has arrived is read before anything is worked on, and an edit under way is dropped when
//! another comes, which also cancels its neural work. A client that does not read is waited for, and then let go;
//! meanwhile nothing more is read from it, so that nothing piles up here.

use std::error::Error;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::time::Duration;

use axum::extract::ws::Message;
use futures_util::future::OptionFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use crate::app::{Answer, App};
use crate::caller::Scope;
use crate::engine::Early;
use crate::error::ApiError;
use crate::metrics::Turned;
use crate::wire::{ClientMessage, Edit, FeedbackRequest, Open, Sent, ServerMessage};

pub use end::End;

mod end;
#[cfg(test)]
mod tests;

/// How long the whole answer is waited for before the fast tier's goes out.
const PATIENCE: Duration = Duration::from_millis(4);
/// Between two pings.
const PING: Duration = Duration::from_secs(20);
/// Nothing heard for so long, not even a pong: nobody is there.
const SILENT: Duration = Duration::from_secs(60);
/// No message for so long: the page was left open.
const IDLE: Duration = Duration::from_secs(600);
/// How long a client may take to read a message.
const SEND: Duration = Duration::from_secs(5);
/// How long a client that was told goodbye may take to say it as well: what it sent and nobody read would take ours back.
const FAREWELL: Duration = Duration::from_secs(1);
/// Outcomes and messages to learn that may be under way; nothing is read while there are as many.
const PENDING: usize = 16;
/// Refused messages in a row, after which a client is thought to be broken.
const REFUSED: u32 = 32;
/// Bytes of a message.
pub(crate) const LONGEST: usize = 64 * 1024;

/// An edit's number, and what the fast tier says to it.
type First = (u64, Answer);

type Work = Pin<Box<dyn Future<Output = Option<ServerMessage>> + Send>>;

type Preparation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A client's end of the conversation with the service.
pub struct Connection {
    app: App,
    open: Option<Open>,
    /// The newest edit's number.
    seq: Option<u64>,
    /// The newest edit, while it is worked on.
    current: OptionFuture<Work>,
    /// Answers of the fast tier, with the numbers of their edits.
    early: (mpsc::Sender<First>, mpsc::Receiver<First>),
    /// What is done for the newest `open`, before its first edit.
    preparing: OptionFuture<Preparation>,
    /// Outcomes and messages to learn.
    others: FuturesUnordered<Work>,
    refused: u32,
}

impl Connection {
    /// Nothing is open yet.
    pub fn new(app: App) -> Self {
        Self {
            app,
            open: None,
            seq: None,
            current: None.into(),
            early: mpsc::channel(4),
            preparing: None.into(),
            others: FuturesUnordered::new(),
            refused: 0,
        }
    }

    /// Answers until one side ends it.
    pub async fn run<S, E>(mut self, mut socket: S) -> End
    where
        S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
        E: Error + 'static,
    {
        let end = self.talk(&mut socket).await;
        // Nobody may be there to hear it.
        match end.frame() {
            Some(frame) => {
                drop(time::timeout(SEND, socket.send(Message::Close(Some(frame)))).await);
                let goodbye = async { while let Some(Ok(_)) = socket.next().await {} };
                // After a broken frame nothing is read, not even that the client went: it has its time all the same.
                if end.is_broken() {
                    time::sleep(FAREWELL).await;
                } else {
                    drop(time::timeout(FAREWELL, goodbye).await);
                }
            }
            // The client's goodbye is answered by the library.
            None if end == End::Client => drop(time::timeout(SEND, socket.close()).await),
            None => {}
        }
        end
    }

    async fn talk<S, E>(&mut self, socket: &mut S) -> End
    where
        S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
        E: Error + 'static,
    {
        let mut stopping = self.app.stopping();
        let mut tick = time::interval(PING);
        tick.reset();
        let (mut heard, mut typed) = (Instant::now(), Instant::now());
        loop {
            let said = tokio::select! {
                biased;
                () = stopping.wait() => return End::Stopping,
                // Who sends much to be stored waits for it.
                arrived = socket.next(), if self.others.len() < PENDING => {
                    heard = Instant::now();
                    let message = match arrived {
                        Some(Ok(message)) => message,
                        Some(Err(error)) => return End::of(&error),
                        None => return End::Client,
                    };
                    match message {
                        Message::Close(_) => return End::Client,
                        // Pings are answered by the library.
                        Message::Ping(_) | Message::Pong(_) => None,
                        Message::Text(text) => {
                            typed = heard;
                            self.read(&text)
                        }
                        Message::Binary(_) => {
                            Some(self.refuse("", &ApiError::Malformed("send text frames".into())))
                        }
                    }
                }
                Some((seq, answer)) = self.early.1.recv() =>
                    (self.seq == Some(seq)).then(|| ServerMessage::suggestions(seq, false, answer)),
                Some(answer) = &mut self.current => {
                    self.current = None.into();
                    // What the fast tier said in the same moment comes too late.
                    self.drop_early();
                    answer
                }
                Some(()) = &mut self.preparing => {
                    self.preparing = None.into();
                    None
                }
                Some(done) = self.others.next() => done,
                _ = tick.tick() => {
                    if heard.elapsed() > SILENT {
                        return End::Silent;
                    }
                    if typed.elapsed() > IDLE {
                        return End::Idle;
                    }
                    if !self.app.keys.holds(&self.app.caller) {
                        return End::Stranger;
                    }
                    match send(socket, Message::Ping(Default::default())).await {
                        Ok(()) => None,
                        Err(end) => return end,
                    }
                }
            };
            if let Some(ServerMessage::Error { detail, .. }) = &said {
                self.app.metrics.stream_refused(detail.code);
            }
            if let Some(said) = said
                && let Err(end) = send(socket, Message::Text(said.to_text().into())).await
            {
                return end;
            }
            if self.refused >= REFUSED {
                return End::Nonsense;
            }
        }
    }

    /// Takes a message; what is said to it at once.
    fn read(&mut self, text: &str) -> Option<ServerMessage> {
        let message = if text.len() > LONGEST {
            Err(ApiError::TooLarge { limit: LONGEST })
        } else {
            ClientMessage::read(text)
        };
        let message = match message {
            Ok(message) => message,
            Err(error) => return Some(self.refuse(text, &error)),
        };
        self.app.metrics.streamed(message.name());
        let (seq, key) = match &message {
            ClientMessage::Edit(edit) => (Some(edit.seq), None),
            ClientMessage::Learn(sent) => (None, sent.idempotency_key.clone()),
            ClientMessage::Open(_) | ClientMessage::Outcome(_) => (None, None),
        };
        let revoked = !matches!(message, ClientMessage::Open(_)) && !self.app.keys.holds(&self.app.caller);
        let taken = match message {
            _ if revoked => Err(ApiError::Unauthorized("send open with an API key that holds first")),
            ClientMessage::Open(open) => self.open(open).map(Some),
            ClientMessage::Edit(edit) => self.edit(edit).map(|()| None),
            ClientMessage::Outcome(outcome) => self.hear(outcome).map(|()| None),
            ClientMessage::Learn(sent) => self.learn(sent).map(|()| None),
        };
        match taken {
            Ok(said) => {
                self.refused = 0;
                said
            }
            Err(error) => {
                self.refused += 1;
                Some(refusal(seq, key, &error))
            }
        }
    }

    fn refuse(&mut self, text: &str, error: &ApiError) -> ServerMessage {
        self.refused += 1;
        let (seq, key) = ClientMessage::names(text);
        refusal(seq, key, error)
    }

    fn open(&mut self, mut open: Open) -> Result<ServerMessage, ApiError> {
        let key = open.key.take();
        if key.is_some() || !self.app.keys.holds(&self.app.caller) {
            let caller = self.app.keys.caller(key.as_deref())?;
            caller.may(Scope::Complete)?;
            self.app = self.app.asked_by(caller);
            // Nobody goes on with another's draft.
            self.open = None;
        }
        let session = open.session.get_or_insert_with(new_session).clone();
        let nothing = Edit { seq: 0, text: String::new(), after: String::new(), min_seq: None, debug: false };
        let keystroke = open.keystroke(nothing)?;
        let app = self.app.clone();
        self.preparing = Some(Box::pin(async move {
            // It was asked for by nobody: who may not is told at the first key.
            drop(app.prepare(keystroke).await);
        }) as Preparation)
        .into();
        // An edit of the former draft is answered no more.
        self.current = None.into();
        self.drop_early();
        self.open = Some(open);
        Ok(ServerMessage::Opened { session })
    }

    fn edit(&mut self, edit: Edit) -> Result<(), ApiError> {
        let seq = edit.seq;
        if self.seq.is_some_and(|newest| seq <= newest) {
            self.app.metrics.stale_edit();
            return Ok(());
        }
        let keystroke = self.opened()?.keystroke(edit)?;
        self.seq = Some(seq);
        let app = self.app.traced(self.app.begin_trace(None));
        let (early, arrived) = (self.early.0.clone(), std::time::Instant::now());
        self.current = Some(Box::pin(async move {
            let Ok(_permit) = app.admission.try_acquire() else {
                app.metrics.turned_away(Turned::Requests);
                app.ledger.turned_away(Some(&app.caller.tenant));
                return Some(refusal(Some(seq), None, &ApiError::Busy));
            };
            // If the one before was not read yet, this one is not missed either: the whole answer follows.
            let mut hear = |answer| drop(early.try_send((seq, answer)));
            let early = Early { after: PATIENCE, hear: &mut hear };
            let answer = app.complete_in_stages(keystroke, arrived, Some(early)).await;
            if let Some(trace) = &app.trace {
                trace.finish_edit(answer.as_ref().is_err_and(ApiError::is_ours));
            }
            Some(match answer {
                Ok(answer) => ServerMessage::suggestions(seq, true, answer),
                Err(error) => refusal(Some(seq), None, &error),
            })
        }) as Work)
        .into();
        Ok(())
    }

    fn hear(&mut self, outcome: FeedbackRequest) -> Result<(), ApiError> {
        let verdict = outcome.check()?;
        let app = self.app.clone();
        self.work(async move { app.feedback(verdict).await.err().map(|error| refusal(None, None, &error)) });
        Ok(())
    }

    fn learn(&mut self, sent: Sent) -> Result<(), ApiError> {
        let key = sent.idempotency_key.clone();
        self.app.caller.may(Scope::Learn)?;
        let lesson = self.opened()?.lesson(sent)?;
        let app = self.app.clone();
        self.work(async move {
            Some(match app.learn(lesson).await {
                Ok(seq) => ServerMessage::Learned { seq, idempotency_key: key },
                Err(error) => refusal(None, key, &error),
            })
        });
        Ok(())
    }

    fn drop_early(&mut self) {
        while self.early.1.try_recv().is_ok() {}
    }

    fn opened(&self) -> Result<&Open, ApiError> {
        self.open.as_ref().ok_or_else(|| ApiError::invalid("type", "send open first"))
    }

    fn work(&mut self, work: impl Future<Output = Option<ServerMessage>> + Send + 'static) {
        self.others.push(Box::pin(work));
    }
}

fn refusal(seq: Option<u64>, idempotency_key: Option<String>, error: &ApiError) -> ServerMessage {
    ServerMessage::Error { seq, idempotency_key, detail: error.detail() }
}

/// Sends a message to a client that reads.
async fn send<S, E>(socket: &mut S, message: Message) -> Result<(), End>
where
    S: Sink<Message, Error = E> + Unpin,
{
    match time::timeout(SEND, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Client),
        Err(_) => Err(End::Slow),
    }
}

/// A name that nobody else has or can guess.
fn new_session() -> String {
    let half = || RandomState::new().hash_one(());
    format!("{:016x}{:016x}", half(), half())
}
