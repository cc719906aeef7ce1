//! New connections, and who is told at once to come back later.
//!
//! A client that gives a request up gives up its connection with it, and its next key brings another. When there is more to do
//! than can be done, accepting and reading these takes the time that answers need: nobody is answered any more, so everybody
//! comes again. They are told to come back in a canned answer. Who is being answered has a connection already.

use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::door::Door;
use crate::error::{ApiError, ErrorBody};
use crate::ledger::Ledger;
use crate::metrics::{Metrics, Turned};

/// Clients that are being told; more are hung up on.
const TOLD: usize = 256;
/// How long telling may take.
const TELLING: Duration = Duration::from_millis(500);
/// Bytes of a request that are read before it is answered: those unread would take the answer back at the close.
const READ: usize = 16 * 1024;

/// Connections of clients that may be open; those that became WebSockets have places of their own.
const PLACES: usize = 4_096;
/// Connections of operators that may be open: more wait.
const OPERATORS: usize = 256;

/// Where connections come from.
pub trait Accept: Send {
    /// The next one, and the place it takes until it ends.
    fn accept(&mut self) -> impl Future<Output = (TcpStream, OwnedSemaphorePermit)> + Send;
}

/// Accepts connections; turns them away while the door is shut and its threads have no time left, or when all places are taken.
pub struct Public {
    listener: TcpListener,
    places: Arc<Semaphore>,
    door: Door,
    metrics: Arc<Metrics>,
    ledger: Arc<Ledger>,
    telling: Arc<Semaphore>,
    answer: Arc<str>,
}

impl Public {
    /// Asks the door about each.
    pub fn new(listener: TcpListener, door: Door, metrics: Arc<Metrics>, ledger: Arc<Ledger>) -> Self {
        let (places, telling) = (Arc::new(Semaphore::new(PLACES)), Arc::new(Semaphore::new(TOLD)));
        Self { listener, places, door, metrics, ledger, telling, answer: canned() }
    }
}

/// [`ApiError::Busy`] as it goes over the wire.
fn canned() -> Arc<str> {
    let body = ErrorBody { error: ApiError::Busy.detail() };
    let body = serde_json::to_string(&body).expect("strings can be written to memory");
    let head = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n";
    format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into()
}

impl Accept for Public {
    async fn accept(&mut self) -> (TcpStream, OwnedSemaphorePermit) {
        loop {
            let socket = connected(&mut self.listener).await;
            if !self.door.is_overrun()
                && let Ok(place) = Arc::clone(&self.places).try_acquire_owned()
            {
                return (socket, place);
            }
            self.metrics.turned_away(Turned::Connections);
            self.ledger.turned_away(None);
            if let Ok(permit) = Arc::clone(&self.telling).try_acquire_owned() {
                tokio::spawn(tell(socket, Arc::clone(&self.answer), permit));
            }
        }
    }
}

/// Accepts operators' connections.
pub struct Operators {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Operators {
    /// All places are free.
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(OPERATORS)) }
    }
}

impl Accept for Operators {
    async fn accept(&mut self) -> (TcpStream, OwnedSemaphorePermit) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        (connected(&mut self.listener).await, place)
    }
}

/// The next connection, whatever fails before it.
async fn connected(listener: &mut TcpListener) -> TcpStream {
    let (socket, _) = Listener::accept(listener).await;
    // Answers are one small packet; waiting to fill it (Nagle) would cost more than the budget.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    socket
}

async fn tell(mut socket: TcpStream, answer: Arc<str>, _permit: OwnedSemaphorePermit) {
    let mut request = [0; READ];
    let telling = async {
        // What was sent at once is what most requests are; whoever sends more slowly may lose the answer.
        let _read = socket.read(&mut request).await?;
        socket.write_all(answer.as_bytes()).await?;
        socket.shutdown().await
    };
    // Who left does not hear it.
    drop(tokio::time::timeout(TELLING, telling).await);
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[tokio::test]
    async fn who_comes_when_nobody_has_time_is_told_to_come_back() {
        let door = Door::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut public = Public::new(listener, door.clone(), Arc::default(), Arc::default());
        (0..200).for_each(|_| door.note(1.0));
        let accepting = tokio::spawn(async move {
            drop(public.accept().await);
        });
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: 1"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["error"]["code"], "busy");
        assert!(!accepting.is_finished());

        (0..20).for_each(|_| door.note(0.0));
        let _socket = TcpStream::connect(address).await.unwrap();
        accepting.await.unwrap();
    }
}
