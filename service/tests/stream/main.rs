//! `GET /v1/stream`, over a real socket as a client meets it.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod alone;
#[path = "../common/mod.rs"]
mod common;

use std::time::Duration;

use axum::http::StatusCode;
use common::Service;
use foretype::caller::{Caller, Scope};
use foretype::keyring::NewKey;
use foretype::store::{Keys, StoredKey};
use foretype::writer::WriterId;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
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
