//! The loop of a connection alone, where time or a bad client matter.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ws;
use foretype::caller::Caller;
use foretype::keyring::NewKey;
use foretype::store::{Keys, StoredKey};
use foretype::stream::{Connection, End};
use futures_util::{Sink, Stream};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::common::Service;
use crate::edit;

/// A socket without a network: what a client sends, and what it reads if it does.
struct Pipe {
    sent: mpsc::UnboundedReceiver<ws::Message>,
    heard: mpsc::UnboundedSender<ws::Message>,
    reads: bool,
}

impl Stream for Pipe {
    type Item = Result<ws::Message, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.sent.poll_recv(context).map(|message| message.map(Ok))
    }
}

impl Sink<ws::Message> for Pipe {
    type Error = Infallible;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.reads { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn start_send(self: Pin<&mut Self>, message: ws::Message) -> Result<(), Infallible> {
        self.heard.send(message).unwrap_or_default();
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

type Ends = (mpsc::UnboundedSender<ws::Message>, mpsc::UnboundedReceiver<ws::Message>);

fn pipe(reads: bool) -> (Pipe, Ends) {
    let ((send, sent), (heard, hear)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    (Pipe { sent, heard, reads }, (send, hear))
}

fn text(message: &Value) -> ws::Message {
    ws::Message::Text(message.to_string().into())
}

/// What was heard by now, pings left out.
fn heard(hear: &mut mpsc::UnboundedReceiver<ws::Message>) -> Vec<Value> {
    let all = std::iter::from_fn(|| hear.try_recv().ok());
    all.filter_map(|message| serde_json::from_str(message.to_text().ok()?).ok()).collect()
}

fn connection() -> (Connection, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Connection::new(Service::over(folder.path()).app), folder)
}

#[tokio::test]
async fn of_edits_that_came_together_the_newest_is_answered() {
    let (connection, _folder) = connection();
    let (socket, (send, mut hear)) = pipe(true);
    send.send(text(&json!({"type": "open", "min_confidence": 0}))).unwrap();
    for (seq, draft) in [(1, "I can h"), (2, "I can he"), (4, "I can hea"), (3, "I can hel"), (4, "I can he")]
    {
        send.send(text(&edit(seq, draft))).unwrap();
    }
    let running = tokio::spawn(connection.run(socket));
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(send);
    assert_eq!(running.await.unwrap(), End::Client);
    let heard = heard(&mut hear);
    assert_eq!(heard.len(), 2, "nothing but `opened` and one answer: {heard:?}");
    assert_eq!((&heard[0]["type"], &heard[1]["seq"]), (&json!("opened"), &json!(4)));
    assert!(heard[1]["suggestions"][0]["text"].as_str().unwrap().starts_with('r'), "{}", heard[1]);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_there_is_let_go() {
    let (connection, _folder) = connection();
    let (socket, (send, mut hear)) = pipe(true);
    send.send(text(&json!({"type": "open"}))).unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(connection.run(socket).await, End::Silent);
    let took = began.elapsed();
    assert!((Duration::from_secs(60)..=Duration::from_secs(90)).contains(&took), "{took:?}");
    let pings =
        std::iter::from_fn(|| hear.try_recv().ok()).filter(|m| matches!(m, ws::Message::Ping(_))).count();
    assert!((3..=4).contains(&pings), "{pings} pings");
    drop(send);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_type_is_let_go_later_and_told() {
    let (connection, _folder) = connection();
    let (socket, (send, mut hear)) = pipe(true);
    send.send(text(&json!({"type": "open"}))).unwrap();
    let answers = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(20)).await;
            if send.send(ws::Message::Pong(Default::default())).is_err() {
                return;
            }
        }
    });
    let began = tokio::time::Instant::now();
    assert_eq!(connection.run(socket).await, End::Idle);
    let took = began.elapsed();
    assert!((Duration::from_secs(600)..=Duration::from_secs(640)).contains(&took), "{took:?}");
    let last = std::iter::from_fn(|| hear.try_recv().ok()).last();
    assert!(matches!(&last, Some(ws::Message::Close(Some(frame))) if frame.code == 1000), "{last:?}");
    answers.abort();
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_let_go() {
    let (connection, _folder) = connection();
    let (socket, (send, _hear)) = pipe(false);
    send.send(text(&json!({"type": "open"}))).unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(connection.run(socket).await, End::Slow);
    assert!(began.elapsed() <= Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(send.is_closed(), "nothing more is taken from them");
}

#[tokio::test]
async fn who_sends_nonsense_is_told_and_let_go() {
    let (connection, _folder) = connection();
    let (socket, (send, mut hear)) = pipe(true);
    for at in 0..100 {
        let nonsense =
            if at % 2 == 0 { ws::Message::Text("{".into()) } else { ws::Message::Binary(vec![0xff].into()) };
        send.send(nonsense).unwrap();
    }
    assert_eq!(connection.run(socket).await, End::Nonsense);
    let heard: Vec<_> = std::iter::from_fn(|| hear.try_recv().ok()).collect();
    assert_eq!(heard.len(), 33, "each is refused, then it is over");
    assert!(matches!(heard.last(), Some(ws::Message::Close(Some(frame))) if frame.code == 1008));
}

#[tokio::test]
async fn what_waits_to_be_learned_is_learned_all_of_it() {
    let (connection, _folder) = connection();
    let (socket, (send, mut hear)) = pipe(true);
    send.send(text(&json!({"type": "open", "writer": "anna"}))).unwrap();
    for n in 0..100 {
        let message = json!({"type": "learn", "text": "Thanks", "idempotency_key": format!("m{n}")});
        send.send(text(&message)).unwrap();
    }
    let running = tokio::spawn(connection.run(socket));
    let mut learned = Vec::new();
    while learned.len() < 100 {
        let Some(ws::Message::Text(said)) = hear.recv().await else { panic!("it ended after {learned:?}") };
        let said: Value = serde_json::from_str(&said).unwrap();
        if said["type"] != "opened" {
            assert_eq!(said["type"], "learned", "{said}");
            learned.push(said["idempotency_key"].clone());
        }
    }
    drop(send);
    assert_eq!(running.await.unwrap(), End::Client);
    assert!((0..100).all(|n| learned.contains(&json!(format!("m{n}")))));
}

#[tokio::test(start_paused = true)]
async fn who_has_no_key_is_let_go_where_one_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::over(folder.path());
    let key = NewKey::random().unwrap();
    let stored = StoredKey { id: key.id.clone(), hash: key.hash(), caller: Caller::local(), created_at: 1 };
    Keys::open(folder.path()).unwrap().add(&stored).unwrap();
    service.app.keys.refresh(service.app.writers.store()).await.unwrap();
    let (socket, (send, mut hear)) = pipe(true);
    let began = tokio::time::Instant::now();
    assert_eq!(Connection::new(service.app).run(socket).await, End::Stranger);
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    let last = std::iter::from_fn(|| hear.try_recv().ok()).last();
    assert!(matches!(&last, Some(ws::Message::Close(Some(frame))) if frame.code == 1008), "{last:?}");
    drop(send);
}
