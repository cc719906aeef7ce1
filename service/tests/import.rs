//! Imports over HTTP: what was exported says the same elsewhere, once, however it arrives.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use common::{Reply, Service};
use foretype::caller::Caller;
use foretype::engine::Predictor;
use foretype::error::ApiError;
use foretype::store::WriterKey;
use foretype::wire::ImportLine;
use foretype::writer::{Id, WriterId};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const FAST: [Predictor; 3] = [Predictor::Charlm, Predictor::Domain, Predictor::Personal];

async fn import(service: &Service, writer: &str, body: impl Into<Body>) -> Reply {
    let request = Request::post(format!("/v1/writers/{writer}/import")).header("host", "localhost");
    let request = request.header("content-type", "application/jsonl");
    service.ask(request.body(body.into()).unwrap()).await
}

async fn export(service: &Service, writer: &str) -> String {
    service.get(&format!("/v1/writers/{writer}/export")).await.text
}

/// All that is known of a writer, in bytes.
async fn state(service: &Service, writer: &str) -> Vec<u8> {
    let key = WriterKey { tenant: "default".into(), writer: writer.into() };
    service.app.writers.save_all().await;
    service.app.writers.store().load(&key).await.unwrap().unwrap().snapshot.unwrap().blob
}

async fn suggestions(service: &Service, writer: &str, text: &str) -> Value {
    let body =
        json!({"text": text, "writer": writer, "max_suggestions": 5, "min_confidence": 0, "budget_ms": 1000});
    service.post("/v1/complete", body.to_string()).await.json()["suggestions"].take()
}

#[tokio::test]
async fn what_was_exported_says_the_same_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::with(folder.path(), &FAST);
    for n in 0..40 {
        let text = format!("The quarterly Zorblatt review is frobnicated,\ncase {}. Thanks", n % 7);
        let role = if n % 3 == 0 { "agent" } else { "author" };
        let body = json!({"writer": "anna", "text": text, "at": 1_000 + n, "role": role});
        assert_eq!(service.post("/v1/learn", body.to_string()).await.status, 200);
    }
    let exported = export(&service, "anna").await;
    assert_eq!(
        import(&service, "ben", exported.clone()).await.json(),
        json!({"learned": 40, "known": 0, "seq": 40})
    );
    assert_eq!(export(&service, "ben").await, exported);
    assert!(state(&service, "ben").await == state(&service, "anna").await);
    for draft in ["The ", "The quarterly Zorb", "Here the review is frobn", "Than"] {
        let said = suggestions(&service, "anna", draft).await;
        assert_eq!(suggestions(&service, "ben", draft).await, said, "{draft}");
        assert_ne!(said, json!([]), "{draft}");
    }
}

#[tokio::test]
async fn a_line_is_learned_once_however_often_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::over(folder.path());
    // One that was sent twice counts twice.
    let body =
        "{\"text\":\"Thanks!\"}\n\n{\"text\":\"Thanks!\"}\r\n{\"text\":\"Bye\",\"role\":\"agent\",\"at\":7}";
    for (learned, known) in [(3, 0), (0, 3)] {
        let reply = import(&service, "anna", body).await;
        assert_eq!(reply.json(), json!({"learned": learned, "known": known, "seq": 3}));
    }
    let more = format!("{body}\n{{\"text\":\"Thanks!\"}}\n");
    assert_eq!(import(&service, "anna", more).await.json(), json!({"learned": 1, "known": 3, "seq": 4}));
    assert_eq!(service.get("/v1/writers/anna").await.json()["messages"], 4);
    assert_eq!(import(&service, "ben", body).await.json()["learned"], 3, "of each writer");
    assert_eq!(import(&service, "cleo", "").await.json(), json!({"learned": 0, "known": 0, "seq": 0}));
}

#[tokio::test]
async fn the_body_may_arrive_in_any_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::over(folder.path());
    let body = (0..20).map(|n| json!({"text": format!("Zażółć {n}")}).to_string() + "\n").collect::<String>();
    for size in [1, 7, 64, 1_000] {
        let pieces: Vec<_> =
            body.as_bytes().chunks(size).map(<[u8]>::to_vec).map(Ok::<_, Infallible>).collect();
        let writer = format!("writer-{size}");
        let reply = import(&service, &writer, Body::from_stream(stream::iter(pieces))).await;
        assert_eq!(reply.json()["learned"], 20, "{size}: {}", reply.text);
    }
    let whole = export(&service, "writer-1000").await.lines().count();
    assert_eq!(whole, 20);
}

#[tokio::test]
async fn a_bad_line_is_named_and_what_came_before_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::over(folder.path());
    let good = r#"{"text":"fine"}"#;
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(64 * 1024));
    let deep = format!(r#"{{"text":"a","context":{}"#, "[".repeat(500));
    for (n, (bad, status, code, names)) in [
        ("{", 400, "malformed", "line 3"),
        ("7", 422, "invalid", "line 3"),
        (r#"{"text":" "}"#, 422, "invalid", "line 3, text"),
        (r#"{"text":"a","writer":"ben"}"#, 422, "invalid", "line 3, writer"),
        (r#"{"text":"a","role":"boss"}"#, 422, "invalid", "line 3, role"),
        (r#"{"text":"a","at":-1}"#, 422, "invalid", "line 3, at"),
        (&long, 422, "invalid", "line 3"),
        (&deep, 400, "malformed", "line 3"),
    ]
    .into_iter()
    .enumerate()
    {
        let writer = format!("writer-{n}");
        let body = format!("{good}\n{good}\n{bad}\n{good}\n");
        import(&service, &writer, body).await.expect_error(status, code, names);
        let about = service.get(&format!("/v1/writers/{writer}")).await.json();
        assert_eq!(about["messages"], 2, "{bad}");
    }
    import(&service, "a%20b", good).await.expect_error(422, "invalid", "writer");
    let untyped = Request::post("/v1/writers/anna/import").header("host", "localhost");
    service.ask(untyped.body(good.into()).unwrap()).await.expect_error(415, "unsupported_media_type", "JSON");
}

#[tokio::test]
async fn few_imports_run_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::over(folder.path());
    let permits = u32::try_from(service.app.imports.available_permits()).unwrap();
    let held = service.app.imports.clone().acquire_many_owned(permits).await.unwrap();
    import(&service, "anna", r#"{"text":"fine"}"#).await.expect_error(503, "busy", "retry");
    drop(held);
    assert_eq!(import(&service, "anna", r#"{"text":"fine"}"#).await.json()["learned"], 1);
}

/// A body of three lines, of which two arrive once `between` was asked of the service.
fn parted(service: &Service, between: Request<Body>) -> Body {
    let router = service.router.clone();
    let rest = async move {
        let reply = router.oneshot(between).await.unwrap();
        assert!(reply.status().is_success(), "{}", reply.status());
        Ok::<_, Infallible>("{\"text\":\"Marigold after\"}\n{\"text\":\"Marigold at last\"}\n")
    };
    let first = stream::iter([Ok("{\"text\":\"Marigold before\"}\n")]);
    Body::from_stream(first.chain(stream::once(rest)))
}

fn erasing(writer: &str) -> Request<Body> {
    let request = Request::delete(format!("/v1/writers/{writer}")).header("host", "localhost");
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn an_import_ends_when_its_writer_is_erased() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::over(folder.path());
    let ended = import(&service, "anna", parted(&service, erasing("anna"))).await;
    ended.expect_error(409, "erased", "nothing was learned after that");
    service.get("/v1/writers/anna").await.expect_error(404, "not_found", "nothing is stored");
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"Marigold"));
    }
    assert_eq!(
        import(&service, "anna", r#"{"text":"anew"}"#).await.json()["seq"],
        1,
        "she may be taught again"
    );
    let anothers = import(&service, "ben", parted(&service, erasing("anna"))).await;
    assert_eq!(anothers.json()["learned"], 3);
}

#[tokio::test]
async fn an_import_that_has_not_learned_yet_ends_too() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::over(folder.path());
    let anna = WriterId::new("anna").unwrap();
    // Whose lessons put her into a team, if she is in none.
    let caller = Caller { team: Some(Id::new("desk").unwrap()), ..Caller::local() };
    let app = service.app.asked_by(Arc::new(caller));
    assert_eq!(import(&service, "anna", r#"{"text":"of long ago"}"#).await.json()["learned"], 1);
    let mut begun = app.import(anna.clone()).await.unwrap();
    assert_eq!(service.ask(erasing("anna")).await.status, 204);
    for line in ["one", "two"] {
        let line = json!({"text": line}).to_string();
        let lesson = serde_json::from_str::<ImportLine>(&line).unwrap().lesson(&anna).unwrap();
        assert_eq!(begun.learn(line.as_bytes(), lesson).await, Err(ApiError::Erased));
    }
    let key = app.caller.record(&anna);
    assert_eq!(app.writers.store().load(&key).await.unwrap(), None, "not even her name is there");
}

#[tokio::test]
async fn an_import_ends_when_a_word_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::over(folder.path());
    let forget = Request::post("/v1/writers/anna/forget").header("host", "localhost");
    let forget = forget.header("content-type", "application/json");
    let forget = forget.body(json!({"word": "marigold"}).to_string().into()).unwrap();
    import(&service, "anna", parted(&service, forget)).await.expect_error(409, "erased", "a word of theirs");
    let exported = export(&service, "anna").await;
    assert!(exported.lines().count() == 1 && exported.contains("\u{fffc} before"), "{exported}");
}
