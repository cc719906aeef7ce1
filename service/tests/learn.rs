//! What a writer teaches over HTTP, and what becomes of it: learned once, exported, replaced, erased.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use common::start;
use foretype::engine::Predictor;

#[tokio::test]
async fn learning_counts_and_is_known_at_once() {
    let service = start();
    service.get("/v1/writers/anna").await.expect_error(404, "not_found", "nothing is stored");
    for n in 1..=3 {
        let body =
            json!({"writer": "anna", "text": "Thanks for calling, I can help", "at": n, "role": "agent"});
        assert_eq!(service.post("/v1/learn", body.to_string()).await.json(), json!({"seq": n}));
    }
    let about = service.get("/v1/writers/anna").await.json();
    assert_eq!((&about["seq"], &about["messages"], &about["last_at"]), (&json!(3), &json!(3), &json!(3)));
    assert_eq!((&about["stored_events"], &about["characters"]), (&json!(3), &json!(90)));
    assert_eq!(about["weights"].as_object().unwrap().len(), Predictor::ALL.len());
    for (min_seq, stale) in [(3, Value::Null), (4, json!(true))] {
        let body = json!({"text": "I", "writer": "anna", "min_seq": min_seq});
        let answer = service.post("/v1/complete", body.to_string()).await.json();
        assert_eq!(answer.get("stale").unwrap_or(&Value::Null), &stale);
    }
}

#[tokio::test]
async fn a_retried_message_is_learned_once() {
    let service = start();
    let body = json!({"writer": "anna", "text": "once", "idempotency_key": "k1"}).to_string();
    for _ in 0..3 {
        assert_eq!(service.post("/v1/learn", body.clone()).await.json()["seq"], 1);
    }
    assert_eq!(service.get("/v1/writers/anna").await.json()["messages"], 1);
}

#[tokio::test]
async fn another_message_under_a_known_key_is_refused() {
    let service = start();
    let learn = async |text: &str| {
        let body = json!({"writer": "anna", "text": text, "idempotency_key": "k1"});
        service.post("/v1/learn", body.to_string()).await
    };
    assert_eq!(learn("Ask Zebulon, anna@example.com").await.status, StatusCode::OK);
    learn("another").await.expect_error(422, "invalid", "idempotency_key: was another message's");
    assert_eq!(service.get("/v1/writers/anna").await.json()["messages"], 1, "it is not learned");
    let forget = json!({"word": "Zebulon"}).to_string();
    assert!(service.post("/v1/writers/anna/forget", forget).await.status.is_success());
    let again = learn("Ask Zebulon, anna@example.com").await;
    assert_eq!(again.json()["seq"], 1, "a retry is no other message for what was forgotten of it since");
}

#[tokio::test]
async fn of_two_at_once_under_one_key_one_is_learned() {
    let service = start();
    let learn = async |text: &str, key: &str| {
        let body = json!({"writer": "anna", "text": text, "idempotency_key": key});
        service.post("/v1/learn", body.to_string()).await
    };
    let (one, again) = tokio::join!(learn("once", "k1"), learn("once", "k1"));
    assert_eq!((one.json(), again.json()), (json!({"seq": 1}), json!({"seq": 1})));
    let (one, other) = tokio::join!(learn("this", "k2"), learn("that", "k2"));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422], "{} {}", one.text, other.text);
    assert_eq!(service.get("/v1/writers/anna").await.json()["messages"], 2);
}

#[tokio::test]
async fn an_export_has_a_message_a_line_without_personal_data() {
    let service = start();
    for n in 0..300 {
        let text = format!("message {n}: write to anna{n}@example.com");
        let body = json!({"writer": "anna", "text": text, "at": n, "role": "author"});
        assert_eq!(service.post("/v1/learn", body.to_string()).await.status, StatusCode::OK);
    }
    let reply = service.get("/v1/writers/anna/export").await;
    assert_eq!(reply.headers["content-type"], "application/jsonl");
    let lines: Vec<Value> = reply.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 300);
    for (n, line) in lines.iter().enumerate() {
        let text = format!("message {n}: write to <email>");
        assert_eq!(line, &json!({"seq": n + 1, "at": n, "role": "author", "text": text}));
    }
    service.get("/v1/writers/ben/export").await.expect_error(404, "not_found", "nothing is stored");
    service.get("/v1/writers/a%20b/export").await.expect_error(422, "invalid", "writer");
}

#[tokio::test]
async fn snippets_are_kept_replaced_and_erased() {
    let service = start();
    let path = "/v1/writers/anna/snippets";
    service.get(path).await.expect_error(404, "not_found", "nothing is stored");
    let kept = json!({"snippets": [{"trigger": ";sig", "text": "Kind regards,\nAnn"}, {"text": "Zebrafish quorum"}]});
    assert_eq!(service.put(path, kept.to_string()).await.json(), json!({"seq": 1}));
    assert_eq!(service.get(path).await.json(), kept);
    assert_eq!(service.get("/v1/writers/anna").await.json()["snippets"], 2);
    let body = json!({"text": "Zebra", "writer": "anna", "min_confidence": 0}).to_string();
    let answer = service.post("/v1/complete", body.clone()).await.json();
    let first = &answer["suggestions"][0];
    assert_eq!((&first["text"], &first["kind"]), (&json!("fish quorum"), &json!("snippet")), "{answer}");
    assert_eq!(first["predictor"], "snippet");
    let verdict = json!({"id": answer["id"], "outcome": "accepted", "index": 0, "chars": 11});
    assert_eq!(service.post("/v1/feedback", verdict.to_string()).await.status, StatusCode::NO_CONTENT);
    let many = json!({"snippets": vec![json!({"text": "word"}); 101]}).to_string();
    for (bad, field) in [
        (many, "snippets"),
        (json!({"snippets": [{"text": "four"}, {"text": "abc"}]}).to_string(), "snippets[1].text"),
        (json!({"snippets": [{"text": "x".repeat(2_001)}]}).to_string(), "snippets[0].text"),
        (json!({"snippets": [{"text": "four", "trigger": "a b"}]}).to_string(), "snippets[0].trigger"),
        (json!({"snippets": [{"text": "four", "word": "x"}]}).to_string(), "word"),
    ] {
        service.put(path, bad).await.expect_error(422, "invalid", field);
    }
    assert_eq!(service.get(path).await.json(), kept, "a refused list changes nothing");
    assert_eq!(service.call(Method::DELETE, path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(service.get(path).await.json(), json!({"snippets": []}));
    let answer = service.post("/v1/complete", body).await.json();
    assert!(answer["suggestions"].as_array().unwrap().iter().all(|s| s["kind"] != "snippet"), "{answer}");
}

#[tokio::test]
async fn blocked_words_are_kept_replaced_and_not_shown() {
    let service = start();
    let path = "/v1/writers/anna/blocked";
    service.get(path).await.expect_error(404, "not_found", "nothing is stored");
    service.call(Method::DELETE, path).await.expect_error(404, "not_found", "nothing is stored");
    let list = json!({"blocked": ["HELP", "as per my last e-mail"]});
    assert_eq!(service.put(path, list.to_string()).await.json(), json!({"seq": 1}));
    assert_eq!(service.get(path).await.json(), list);
    assert_eq!(service.get("/v1/writers/anna").await.json()["blocked"], 2);
    let ask = async |draft: &str, writer: &str| {
        let body = json!({"text": draft, "writer": writer, "min_confidence": 0}).to_string();
        service.post("/v1/complete", body).await.json()
    };
    assert_eq!(ask("I can he", "anna").await["suggestions"][0]["text"], "ar ");
    assert_eq!(ask("I can hel", "anna").await["silence"], "blocked");
    assert!(ask("I can he", "ben").await["suggestions"][0]["text"].as_str().unwrap().starts_with("lp"));
    for (bad, field) in [
        (json!({"blocked": vec!["word"; 501]}), "blocked"),
        (json!({"blocked": ["fine", " "]}), "blocked[1]"),
        (json!({"blocked": ["x".repeat(65)]}), "blocked[0]"),
        (json!({"blocked": ["a b c d e f g h i"]}), "blocked[0]"),
        (json!({"blocked": [7]}), "blocked[0]"),
        (json!({"words": []}), "words"),
    ] {
        service.put(path, bad.to_string()).await.expect_error(422, "invalid", field);
    }
    assert_eq!(service.get(path).await.json(), list, "a refused list changes nothing");
    assert_eq!(service.call(Method::DELETE, path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(service.get(path).await.json(), json!({"blocked": []}));
    assert!(ask("I can hel", "anna").await["suggestions"][0]["text"].as_str().unwrap().starts_with('p'));
}

#[tokio::test]
async fn an_erased_writer_is_gone() {
    let service = start();
    let body = json!({"writer": "anna", "text": "Zebrafish quorum"}).to_string();
    assert_eq!(service.post("/v1/learn", body.clone()).await.json()["seq"], 1);
    assert_eq!(service.call(Method::DELETE, "/v1/writers/anna").await.status, StatusCode::NO_CONTENT);
    for file in std::fs::read_dir(service.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"Zebrafish"));
    }
    service.get("/v1/writers/anna").await.expect_error(404, "not_found", "nothing is stored");
    service.call(Method::DELETE, "/v1/writers/anna").await.expect_error(
        404,
        "not_found",
        "nothing is stored",
    );
    assert_eq!(service.post("/v1/learn", body).await.json()["seq"], 1);
}
