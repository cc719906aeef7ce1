//! `GET /v1/stream`: over a real socket as a client meets it, and the loop alone where time or a bad client matter.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ws;
use axum::http::StatusCode;
use common::Service;
use foretype::caller::{Caller, Scope};
use foretype::keyring::NewKey;
use foretype::store::{Keys, StoredKey};
use foretype::stream::{Connection, End};
use foretype::writer::WriterId;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A service on a port, and the folder it writes for as long as the test runs.
struct Served {
    service: Service,
    url: String,
    _folder: TempDir,
}

async fn serve() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::over(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/v1/stream", listener.local_addr().unwrap());
    let router = service.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Served { service, url, _folder: folder }
}

/// A client.
struct Client(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Client {
    async fn connect(served: &Served) -> Self {
        Self(connect_async(&served.url).await.unwrap().0)
    }

    async fn open(served: &Served, open: Value) -> Self {
        let mut client = Self::connect(served).await;
        client.send(open).await;
        assert_eq!(client.heard().await["type"], "opened");
        client
    }

    async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next text frame.
    async fn heard(&mut self) -> Value {
        let next = tokio::time::timeout(Duration::from_secs(10), self.0.next());
        serde_json::from_str(next.await.unwrap().unwrap().unwrap().to_text().unwrap()).unwrap()
    }

    /// What is said to a message.
    async fn ask(&mut self, message: Value) -> Value {
        self.send(message).await;
        self.heard().await
    }
}

fn edit(seq: u64, text: &str) -> Value {
    json!({"type": "edit", "seq": seq, "text": text})
}

#[tokio::test]
async fn a_draft_is_answered_as_over_rest() {
    let served = serve().await;
    let mut client = Client::connect(&served).await;
    let opened = client.ask(json!({"type": "open", "min_confidence": 0, "max_suggestions": 2})).await;
    assert_eq!(opened["session"].as_str().unwrap().len(), 32, "one was made up");
    let mut answer = client.ask(edit(1, "I can he")).await;
    let body = r#"{"text":"I can he","min_confidence":0,"max_suggestions":2}"#;
    let mut same = served.service.post("/v1/complete", body).await.json();
    assert_eq!(
        (&answer["type"], &answer["seq"], &answer["final"]),
        (&json!("suggestions"), &json!(1), &json!(true))
    );
    for name in ["type", "seq", "final", "id", "elapsed_ms"] {
        answer.as_object_mut().unwrap().remove(name);
        same.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(answer, same);
    assert_eq!(client.ask(edit(7, "I can hel")).await["source"], "type_through", "the session is kept");
}

#[tokio::test]
async fn a_session_goes_on_after_a_reconnect() {
    let served = serve().await;
    let open = json!({"type": "open", "session": "draft-1", "min_confidence": 0});
    let mut client = Client::connect(&served).await;
    assert_eq!(client.ask(open.clone()).await, json!({"type": "opened", "session": "draft-1"}));
    client.ask(edit(5, "I can he")).await;
    drop(client);
    let mut client = Client::open(&served, open).await;
    assert_eq!(client.ask(edit(1, "I can hel")).await["source"], "type_through");
}

#[tokio::test]
async fn what_is_sent_is_learned_and_what_is_rejected_stays_away() {
    let served = serve().await;
    let mut client =
        Client::open(&served, json!({"type": "open", "writer": "anna", "min_confidence": 0})).await;
    let learned =
        client.ask(json!({"type": "learn", "text": "I can help you.", "idempotency_key": "m1"})).await;
    assert_eq!(learned, json!({"type": "learned", "seq": 1, "idempotency_key": "m1"}));
    assert_eq!(served.service.get("/v1/writers/anna").await.json()["messages"], 1, "durable by then");
    let answer = client.ask(edit(1, "I can he")).await;
    let first = answer["suggestions"][0]["text"].as_str().unwrap().to_owned();
    client.send(json!({"type": "outcome", "id": answer["id"], "outcome": "rejected"})).await;
    // A refusal is the only answer to an outcome: wait until it is counted.
    while served.service.get("/v1/writers/anna").await.json()["outcomes"]["rejected"] != 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let again = client.ask(edit(2, "I can he")).await;
    assert_ne!(again["suggestions"][0]["text"].as_str(), Some(first.as_str()), "{again}");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_the_connection_stays() {
    let served = serve().await;
    let mut client = Client::connect(&served).await;
    for (message, code, names) in [
        (edit(1, "I can he"), "invalid", "send open first"),
        (json!({"type": "close"}), "invalid", "open, edit, outcome or learn"),
        (json!({"type": "open", "writer": "a b"}), "invalid", "writer"),
        (json!({"type": "open", "colour": 1}), "invalid", "colour"),
        (json!({"type": "open", "context": [{"role": "boss", "text": ""}]}), "invalid", "context[0].role"),
        (json!({"type": "open", "budget_ms": 0}), "invalid", "budget_ms: must be between 1 and 1000"),
        (json!({"type": "edit", "text": "a"}), "invalid", "seq"),
        (json!(["open"]), "malformed", "object"),
        (json!({"type": "open", "session": "x".repeat(70_000)}), "too_large", "64 KiB"),
    ] {
        let error = client.ask(message.clone()).await;
        assert_eq!(
            (&error["type"], error["code"].as_str()),
            (&json!("error"), Some(code)),
            "{message}: {error}"
        );
        assert!(error["message"].as_str().unwrap().contains(names), "{error} does not name {names}");
    }
    client.ask(json!({"type": "open", "min_confidence": 0})).await;
    let error = client.ask(json!({"type": "learn", "text": "Hello.", "idempotency_key": "k"})).await;
    assert_eq!(
        (&error["code"], &error["idempotency_key"]),
        (&json!("invalid"), &json!("k")),
        "nobody is named"
    );
    let error = client.ask(json!({"type": "outcome", "id": "0", "outcome": "accepted"})).await;
    assert_eq!(error["code"], "not_found");
    assert_eq!(client.ask(edit(1, "I can he")).await["type"], "suggestions");
    let error = client.ask(json!({"type": "edit", "seq": 2, "text": "a", "min_seq": -1})).await;
    assert!(error["message"].as_str().unwrap().starts_with("min_seq"), "{error}");
}

#[tokio::test]
async fn only_websockets_of_this_machine_are_taken() {
    let served = serve().await;
    served.service.get("/v1/stream").await.expect_error(426, "upgrade_required", "WebSocket");
    let mut request = served.url.as_str().into_client_request().unwrap();
    request.headers_mut().insert("origin", "http://elsewhere.example".parse().unwrap());
    let Err(Error::Http(refused)) = connect_async(request).await else {
        panic!("another site's page got in")
    };
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_connection_too_many_is_refused_and_a_place_is_given_back() {
    let served = serve().await;
    let most = served.service.app.streams.available_permits();
    let all = served.service.app.streams.try_acquire_many(u32::try_from(most).unwrap() - 1).unwrap();
    let last = Client::open(&served, json!({"type": "open"})).await;
    let Err(Error::Http(refused)) = connect_async(&served.url).await else { panic!("there was no place") };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(last);
    while connect_async(&served.url).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(all);
}

#[tokio::test]
async fn all_are_told_when_the_service_stops() {
    let served = serve().await;
    let mut client = Client::open(&served, json!({"type": "open"})).await;
    served.service.app.stop();
    let Some(Ok(Message::Close(Some(frame)))) = client.0.next().await else { panic!("no farewell") };
    assert_eq!(u16::from(frame.code), 1001);
}

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

#[tokio::test]
async fn what_is_refused_is_named() {
    let served = serve().await;
    let mut client = Client::open(&served, json!({"type": "open"})).await;
    let long = "x".repeat(70_000);
    for (message, field, name) in [
        (json!({"type": "edit", "seq": 7, "text": "a", "min_seq": -1}), "seq", json!(7)),
        (
            json!({"type": "learn", "text": "a", "idempotency_key": "m1", "foo": 1}),
            "idempotency_key",
            json!("m1"),
        ),
        (json!({"type": "learn", "text": long, "idempotency_key": "m2"}), "idempotency_key", json!("m2")),
        (json!({"type": "outcome", "seq": 3}), "seq", Value::Null),
    ] {
        let error = client.ask(message).await;
        assert_eq!((&error["type"], &error[field]), (&json!("error"), &name), "{error}");
    }
}

#[tokio::test]
async fn a_goodbye_is_answered() {
    let served = serve().await;
    let mut client = Client::open(&served, json!({"type": "open"})).await;
    client.0.close(None).await.unwrap();
    let said = client.0.next().await;
    assert!(matches!(said, Some(Ok(Message::Close(_)))), "{said:?}");
    assert!(client.0.next().await.is_none(), "and that was in order");
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

#[tokio::test]
async fn a_key_comes_in_the_header_or_in_the_first_message() {
    let served = serve().await;
    let key = |writer: &str, scopes: &[Scope]| {
        let key = NewKey::random().unwrap();
        let writer = Some(WriterId::new(writer).unwrap());
        let caller = Caller { writer, scopes: scopes.to_vec(), ..Caller::local() };
        let stored = StoredKey { id: key.id.clone(), hash: key.hash(), caller, created_at: 1 };
        Keys::open(served._folder.path()).unwrap().add(&stored).unwrap();
        key
    };
    let refresh = async || served.service.app.keys.refresh(served.service.app.writers.store()).await.unwrap();
    let (ann, ben) = (key("ann", &[Scope::Complete, Scope::Learn]), key("ben", &[Scope::Complete]));
    let nothing = key("cleo", &[Scope::Writers]);
    refresh().await;
    let open = |key: &str| json!({"type": "open", "min_confidence": 0, "key": key});

    let mut client = Client::connect(&served).await;
    for first in
        [json!({"type": "open"}), edit(1, "I can he"), open("none"), json!({"type": "learn", "text": "a"})]
    {
        assert_eq!(client.ask(first.clone()).await["code"], "unauthorized", "{first}");
    }
    assert_eq!(client.ask(open(&nothing.text)).await["code"], "forbidden");
    assert_eq!(client.ask(open(&ann.text)).await["type"], "opened");
    assert_eq!(client.ask(edit(1, "I can he")).await["type"], "suggestions");
    assert_eq!(client.ask(json!({"type": "learn", "text": "I can help you."})).await["seq"], 1, "hers");
    assert_eq!(client.ask(open(&ben.text)).await["type"], "opened");
    assert_eq!(client.ask(json!({"type": "learn", "text": "I can help you."})).await["code"], "forbidden");
    let other = json!({"type": "open", "key": ben.text, "writer": "ann"});
    client.ask(other).await;
    assert_eq!(client.ask(edit(2, "I can he")).await["code"], "forbidden", "another writer");

    let connect = async |key: &str| {
        let mut request = served.url.as_str().into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        connect_async(request).await
    };
    let Err(Error::Http(refused)) = connect("none").await else { panic!("a key that does not hold") };
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let mut client = Client(connect(&ann.text).await.unwrap().0);
    assert_eq!(client.ask(json!({"type": "open", "min_confidence": 0})).await["type"], "opened");
    assert_eq!(client.ask(edit(1, "I can he")).await["type"], "suggestions");
    Keys::open(served._folder.path()).unwrap().revoke(&ann.id).unwrap();
    refresh().await;
    assert_eq!(client.ask(edit(2, "I can hel")).await["code"], "unauthorized", "revoked");
}
