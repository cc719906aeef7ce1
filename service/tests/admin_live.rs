//! The operators' dashboard as things happen: what is told, to how many, and to those who do not listen.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use std::convert::Infallible;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use common::operated::Operated;
use common::served::{Served, serve};
use foretype::app::{App, Keystroke};
use foretype::caller::LOCAL;
use foretype::http;
use foretype::writer::Id;
use futures_util::stream::poll_fn;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tower::ServiceExt as _;

/// Nothing here takes so long, even on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// Stands in what a writer teaches, and nowhere else.
const SECRET: &str = "Zebrafish";

/// Server-sent events as they come.
struct Events(BufReader<TcpStream>);

impl Events {
    /// The stream, or what is said to refuse it.
    async fn open(served: &Served, headers: &str) -> Result<Self, String> {
        let mut socket = TcpStream::connect(served.admin).await.unwrap();
        let request = format!("GET /admin/api/live HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", served.admin);
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self(BufReader::new(socket));
        let said = events.line().await.unwrap();
        if said.contains(" 200 ") {
            return Ok(events);
        }
        let mut reason = said.into_bytes();
        tokio::time::timeout(SOON, events.0.read_until(b'}', &mut reason)).await.unwrap().unwrap();
        Err(String::from_utf8(reason).unwrap())
    }

    /// `None`: it ended.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(SOON, self.0.read_line(&mut line));
        (read.await.unwrap().ok()? > 0).then(|| line.trim_end().to_owned())
    }

    /// The lines of the next event of a kind.
    async fn next(&mut self, kind: &str) -> Option<(Option<u64>, Value)> {
        let (mut is_it, mut id, mut data) = (false, None, None);
        loop {
            let line = self.line().await?;
            match line.split_once(": ") {
                Some(("event", name)) => is_it = name == kind,
                Some(("id", number)) => id = number.parse().ok(),
                Some(("data", text)) => data = Some(serde_json::from_str(text).unwrap()),
                _ if line.is_empty() && is_it && data.is_some() => return Some((id, data?)),
                _ => {}
            }
        }
    }
}

/// A key whose answer is late however fast it is found.
async fn late(app: &App) {
    let keystroke = Keystroke {
        text: format!("The {SECRET} can he"),
        after: String::new(),
        context: Vec::new(),
        role: foretype_markov::Role::Author,
        writer: Some(Id::new("ann").unwrap()),
        session: Some("s".into()),
        is_own: true,
        max_suggestions: 1,
        budget: None,
        min_confidence: None,
        learn: true,
        min_seq: None,
        corrections: false,
        look_ahead: false,
        debug: false,
    };
    app.complete(keystroke, Instant::now() - Duration::from_millis(30)).await.unwrap();
}

#[tokio::test]
async fn a_late_answer_is_seen_as_it_happens_without_its_text() {
    let served = serve().await;
    late(&served.app).await;
    let mut events = Events::open(&served, "").await.unwrap();
    let (id, first) = events.next("degraded").await.unwrap();
    assert_eq!((&first["reason"], &first["budget_ms"]), (&json!("late"), &json!(20)));
    assert!(first["elapsed_ms"].as_f64().unwrap() >= 30.0 && first["tenant"] == LOCAL);
    assert_eq!(first["predictors"]["domain"], "used");
    assert!(!first.to_string().contains(SECRET) && !first.to_string().contains("ann"), "{first}");
    let (_, now) = events.next("now").await.unwrap();
    assert_eq!((&now["since_start"]["late"], &now["last_minute"]["answers"]), (&json!(1), &json!(1)));

    late(&served.app).await;
    let (second, _) = events.next("degraded").await.unwrap();
    assert!(second > id);
    // Who comes back hears what is new.
    let again = format!("last-event-id: {}\r\n", id.unwrap());
    let mut again = Events::open(&served, &again).await.unwrap();
    assert_eq!(again.next("degraded").await.unwrap().0, second);
    assert!(events.next("now").await.is_some(), "every two seconds");

    let asked = Instant::now();
    served.stop.send(()).unwrap();
    while events.line().await.is_some() {}
    served.running.await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5), "an open dashboard does not hold it up");
}

#[tokio::test]
async fn dashboards_are_few_and_make_room_when_they_go() {
    let served = serve().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(Events::open(&served, "").await.unwrap());
    }
    let refused = Events::open(&served, "").await.err().unwrap();
    assert!(refused.contains(" 503 ") && refused.contains("16 dashboards are open"), "{refused}");
    open.clear();
    let patience = Instant::now();
    while Events::open(&served, "").await.is_err() {
        assert!(patience.elapsed() < SOON, "their places stay taken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_bug_of_ours_is_told_as_failed_without_what_it_says() {
    let served = serve().await;
    let mut events = Events::open(&served, "").await.unwrap();
    let breaks =
        poll_fn(|_| -> Poll<Option<Result<Bytes, Infallible>>> { panic!("{SECRET} is not expected") });
    let request = Request::post("/v1/complete").header("host", "localhost");
    let request = request.header("content-type", "application/json").body(Body::from_stream(breaks)).unwrap();
    let reply = http::router(served.app.clone()).oneshot(request).await.unwrap();
    assert_eq!(reply.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let (_, told) = events.next("degraded").await.unwrap();
    assert_eq!(
        (&told["reason"], &told["tenant"], &told["predictors"]),
        (&json!("failed"), &Value::Null, &json!({}))
    );
    assert!(!told.to_string().contains(SECRET), "{told}");
}

/// What is sent to a reader waits in its socket, then here; then it is let go.
#[tokio::test(start_paused = true)]
async fn who_does_not_read_gives_a_place_back() {
    let operated = Operated::start().await;
    let open = async || {
        let request = Request::get("/admin/api/live").header("host", "localhost").body(Body::empty());
        operated.operators.router.clone().oneshot(request.unwrap()).await.unwrap()
    };
    let mut deaf = Vec::new();
    for _ in 0..16 {
        let reply = open().await;
        assert_eq!(reply.status(), StatusCode::OK);
        deaf.push(reply);
    }
    assert_eq!(open().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    // Eight events, one every two seconds, and ten seconds of patience.
    let begun = tokio::time::Instant::now();
    while open().await.status() != StatusCode::OK {
        assert!(begun.elapsed() < Duration::from_secs(40), "their places stay taken");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(20), "who is slow for a moment is waited for");
    let late = axum::body::to_bytes(deaf.remove(0).into_body(), 1 << 20).await.unwrap();
    let late = String::from_utf8(late.to_vec()).unwrap();
    assert_eq!(late.matches("event: now").count(), 8, "what waited is all there is, and the stream ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_that_do_not_read_hold_up_nobody() {
    let served = serve().await;
    let mut deaf = Vec::new();
    for _ in 0..16 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut socket = socket.connect(served.admin).await.unwrap();
        let request = format!("GET /admin/api/live HTTP/1.1\r\nhost: {}\r\n\r\n", served.admin);
        socket.write_all(request.as_bytes()).await.unwrap();
        deaf.push(socket);
    }
    let asked = Instant::now();
    for _ in 0..200 {
        late(&served.app).await;
    }
    assert!(asked.elapsed() < SOON, "keys are answered as ever");
    served.stop.send(()).unwrap();
    tokio::time::timeout(SOON, served.running).await.expect("it stops").unwrap().unwrap();
    drop(deaf);
}
