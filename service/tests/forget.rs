//! Forgetting a word over HTTP, with the shipped bundle's fast tier: it is not suggested from what its writer wrote, and no byte
//! of it is left.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use std::path::Path;

use axum::http::Method;
use common::Service;
use foretype::engine::Predictor;
use serde_json::json;

const FAST: [Predictor; 3] = [Predictor::Charlm, Predictor::Domain, Predictor::Personal];

async fn learn(service: &Service, text: &str) {
    let body = json!({"writer": "anna", "text": text}).to_string();
    assert_eq!(service.post("/v1/learn", body).await.status, 200);
}

async fn forget(service: &Service, word: &str) -> u64 {
    let body = json!({ "word": word }).to_string();
    let reply = service.post("/v1/writers/anna/forget", body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["messages"].as_u64().unwrap()
}

async fn suggests(service: &Service, text: &str) -> String {
    let body =
        json!({"text": text, "writer": "anna", "session": "s", "min_confidence": 0, "budget_ms": 1000});
    let answer = service.post("/v1/complete", body.to_string()).await.json();
    answer["suggestions"][0]["text"].as_str().unwrap_or_default().to_owned()
}

fn in_files(folder: &Path, word: &[u8]) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| bytes.windows(word.len()).any(|window| window == word))
}

#[tokio::test]
async fn a_forgotten_word_is_not_suggested_until_it_is_taught_again() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::with(folder.path(), &FAST);
    for n in 0..3 {
        learn(&service, &format!("The quarterly Zorblatt review is frobnicated, case {n}")).await;
    }
    learn(&service, "Good morning").await;
    let draft = "The quarterly Zorb";
    assert!(suggests(&service, draft).await.starts_with("latt review"));
    assert!(in_files(folder.path(), b"Zorblatt"));

    assert_eq!(forget(&service, "zorblatt").await, 3);
    assert!(!suggests(&service, draft).await.starts_with("latt"));
    assert!(!in_files(folder.path(), b"Zorblatt"));
    let lines = service.get("/v1/writers/anna/export").await.text;
    assert_eq!(lines.matches("The quarterly \u{fffc} review").count(), 3, "{lines}");
    assert_eq!(service.get("/v1/writers/anna").await.json()["messages"], 4);
    // What was on either side of it is not joined; what was elsewhere stays.
    assert!(!suggests(&service, "The quarterly ").await.starts_with("review"));
    assert!(suggests(&service, "Here the review is frobn").await.starts_with("icated"));

    assert_eq!(forget(&service, "Zorblatt").await, 0);
    learn(&service, "The quarterly Zorblatt").await;
    learn(&service, "The quarterly Zorblatt").await;
    assert!(suggests(&service, draft).await.starts_with("latt"), "it may be learned again");
}

#[tokio::test]
async fn an_accent_is_part_of_its_letter_however_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::with(folder.path(), &FAST);
    let (one, two) = ("Zor\u{e9}blatt", "Zore\u{301}blatt");
    for text in [one, two] {
        learn(&service, &format!("The quarterly {text} review")).await;
    }
    for begun in ["The quarterly Zor\u{e9}", "The quarterly Zore\u{301}"] {
        assert!(suggests(&service, begun).await.starts_with("blatt"), "{begun:?}");
    }
    assert_eq!(forget(&service, two).await, 2);
    assert!(!in_files(folder.path(), b"blatt"));
}

#[tokio::test]
async fn what_cannot_be_forgotten_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::over(folder.path());
    let path = "/v1/writers/anna/forget";
    let ask = async |body: serde_json::Value| service.post(path, body.to_string()).await;
    ask(json!({"word": "Zebrafish"})).await.expect_error(404, "not_found", "nothing is stored");
    learn(&service, "Zebrafish").await;
    for bad in [json!("two words"), json!(""), json!(","), json!("x".repeat(65)), json!(7)] {
        ask(json!({ "word": bad })).await.expect_error(422, "invalid", "word");
    }
    ask(json!({"word": "a", "case": 1})).await.expect_error(422, "invalid", "case");
    service.call(Method::GET, path).await.expect_error(405, "method_not_allowed", "method");
    assert_eq!(ask(json!({"word": "unheard"})).await.json(), json!({"messages": 0}));
}
