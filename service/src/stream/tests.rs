//! What the loop says, and what it leaves out.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::*;
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::store::Sqlite;
use crate::writer::{Settings, Writers};

/// A client that says nothing and hears what it is sent.
struct Listener(mpsc::UnboundedSender<Message>);

impl Stream for Listener {
    type Item = Result<Message, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

impl Sink<Message> for Listener {
    type Error = Infallible;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Infallible> {
        drop(self.0.send(message));
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_the_fast_tier_says_at_the_last_moment_is_not_said() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(folder.path(), Box::new(|_, _| {})).unwrap());
    let engine = Arc::new(Engine::fixed(&[(" help", 0.7)]));
    let writers = Writers::new(store, Settings::default(), Arc::clone(&engine));
    let app = App::new(engine, writers, Arc::new(Metrics::default()), Duration::from_secs(1));
    let edit = Edit { seq: 1, text: "I can he".into(), after: String::new(), min_seq: None, debug: false };
    let open: Open = serde_json::from_str("{}").unwrap();
    let keystroke = open.keystroke(edit).unwrap();
    let answer = app.complete(keystroke, std::time::Instant::now()).await.unwrap();

    let mut connection = Connection::new(app);
    connection.seq = Some(1);
    let early = connection.early.0.clone();
    // Both are there in the same poll, as when the GPT-2 is done while the other answer is made.
    connection.current = Some(Box::pin(async move {
        early.try_send((1, answer)).unwrap();
        Some(refusal(Some(1), None, &ApiError::Busy))
    }) as Work)
    .into();
    let (sender, mut heard) = mpsc::unbounded_channel();
    let talk = connection.run(Listener(sender));
    assert!(time::timeout(Duration::from_millis(100), talk).await.is_err(), "nobody hangs up");
    let Some(Message::Text(last)) = heard.recv().await else { panic!("an answer") };
    assert!(last.contains("busy") && heard.recv().await.is_none(), "{last}");
}
