//! A WebSocket a writer. It is opened when it is first needed, and again, a second later at the earliest, when it broke.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Answer, ERRANDS, Heard, Line, Opening, Outcome, PATIENCE, Reason, no_answer};
use crate::client::Address;

/// Until another attempt to connect.
const RETRY: Duration = Duration::from_secs(1);

/// A writer's WebSocket.
#[derive(Debug)]
pub(crate) struct Stream {
    address: Address,
    opening: Opening,
    socket: Option<WebSocketStream<TcpStream>>,
    not_before: Instant,
    /// The newest edit.
    seq: u64,
    /// Messages that were sent.
    sent: u64,
    /// Those whose `learned` is to come.
    learning: usize,
}

/// What the service says. Fields that are not used here are left out.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Frame {
    Opened {},
    Suggestions {
        seq: u64,
        r#final: bool,
        #[serde(flatten)]
        answer: Answer,
    },
    Learned {},
    Error {
        seq: Option<u64>,
        idempotency_key: Option<String>,
        code: String,
    },
}

#[derive(Serialize)]
struct Typed<'a, T> {
    r#type: &'a str,
    #[serde(flatten)]
    fields: T,
}

impl Stream {
    /// Not open yet.
    pub(crate) fn new(address: Address) -> Self {
        Self {
            address,
            opening: Opening::default(),
            socket: None,
            not_before: Instant::now(),
            seq: 0,
            sent: 0,
            learning: 0,
        }
    }

    /// Sends a message; connects before, and opens, if there is no connection.
    async fn send(&mut self, kind: &str, fields: impl Serialize + Send) -> Result<(), Reason> {
        if self.socket.is_none() {
            self.connect().await?;
            if kind != "open" {
                self.write(&frame("open", &self.opening)).await?;
            }
        }
        self.write(&frame(kind, fields)).await
    }

    async fn connect(&mut self) -> Result<(), Reason> {
        if Instant::now() < self.not_before {
            return Err("no connection".to_owned());
        }
        let connected = tokio::time::timeout(PATIENCE, self.address.connect_stream()).await;
        match connected.unwrap_or_else(|_| Err(no_answer())) {
            Ok(socket) => {
                self.socket = Some(socket);
                self.learning = 0;
                Ok(())
            }
            Err(reason) => {
                self.not_before = Instant::now() + RETRY;
                Err(reason)
            }
        }
    }

    async fn write(&mut self, text: &str) -> Result<(), Reason> {
        let Some(socket) = &mut self.socket else { return Err("no connection".to_owned()) };
        let sent = tokio::time::timeout(PATIENCE, socket.send(Message::text(text))).await;
        if matches!(sent, Ok(Ok(()))) {
            return Ok(());
        }
        self.lose();
        Err("connection".to_owned())
    }

    fn lose(&mut self) {
        self.socket = None;
        self.learning = 0;
        self.not_before = Instant::now() + RETRY;
    }

    /// What a frame means to the writer, if anything.
    fn understand(&mut self, text: &str) -> Option<Heard> {
        match serde_json::from_str(text) {
            Ok(Frame::Opened {}) => None,
            Ok(Frame::Suggestions { seq, r#final: whole, answer }) => {
                (seq == self.seq).then_some(Heard::Answer { answer, whole })
            }
            Ok(Frame::Learned {}) => {
                self.learning = self.learning.saturating_sub(1);
                Some(Heard::Errand(Ok(())))
            }
            Ok(Frame::Error { seq: Some(seq), code, .. }) => {
                (seq == self.seq).then(|| Heard::Refused(reason(code)))
            }
            Ok(Frame::Error { idempotency_key, code, .. }) => {
                self.learning = self.learning.saturating_sub(usize::from(idempotency_key.is_some()));
                Some(Heard::Errand(Err(reason(code))))
            }
            Err(_) => Some(Heard::Refused("unreadable answer".to_owned())),
        }
    }
}

impl Line for Stream {
    async fn open(&mut self, opening: Opening) -> Result<(), Reason> {
        self.opening = opening.clone();
        self.send("open", opening).await
    }

    async fn edit(&mut self, draft: &str) -> Result<(), Reason> {
        self.seq += 1;
        self.send("edit", json!({"seq": self.seq, "text": draft})).await
    }

    async fn heard(&mut self) -> Heard {
        loop {
            let Some(socket) = &mut self.socket else { return std::future::pending().await };
            match socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    if let Some(heard) = self.understand(&text) {
                        return heard;
                    }
                }
                // Pings are answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => {
                    self.lose();
                    return Heard::Refused("connection".to_owned());
                }
            }
        }
    }

    async fn outcome(&mut self, outcome: Outcome) -> Result<(), Reason> {
        self.send("outcome", outcome).await
    }

    async fn learn(&mut self, text: &str) -> Result<(), Reason> {
        if self.learning >= ERRANDS {
            return Err("too many messages under way".to_owned());
        }
        self.sent += 1;
        // Names the message among all of a run: sessions are not used twice.
        let key = format!("{}-{}", self.opening.session, self.sent);
        self.send("learn", json!({"text": text, "idempotency_key": key})).await?;
        self.learning += 1;
        Ok(())
    }

    fn errands(&self) -> usize {
        self.learning
    }
}

fn frame(kind: &str, fields: impl Serialize) -> String {
    serde_json::to_string(&Typed { r#type: kind, fields })
        .expect("strings and numbers can be written to memory")
}

/// As the status of a request would say it.
fn reason(code: String) -> Reason {
    if ["busy", "unavailable"].contains(&code.as_str()) { format!("503 {code}") } else { code }
}

impl Address {
    /// Opens a WebSocket of `/v1/stream`.
    async fn connect_stream(&self) -> Result<WebSocketStream<TcpStream>, Reason> {
        let socket = self.connect().await.map_err(|_| "connection".to_owned())?;
        let url = format!("ws://{}/v1/stream", self.authority());
        let mut request = url.into_client_request().map_err(|_| "connection".to_owned())?;
        request.headers_mut().extend(self.key());
        let opened = client_async(request, socket).await;
        opened.map(|(socket, _)| socket).map_err(|error| match error {
            Error::Http(response) => {
                let body = response.body().as_deref().unwrap_or_default();
                let code = serde_json::from_slice(body)
                    .ok()
                    .and_then(|body: Value| Some(body.get("error")?.get("code")?.as_str()?.to_owned()));
                format!("{} {}", response.status().as_u16(), code.unwrap_or_default()).trim_end().to_owned()
            }
            _ => "connection".to_owned(),
        })
    }
}
