//! The HTTP API as a client meets it.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use common::{Service, start};
use foretype::engine::Predictor;

#[tokio::test]
async fn a_keystroke_is_answered() {
    let service = start();
    let reply = service.post("/v1/complete", r#"{"text":"I can he","min_confidence":0}"#).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let answer = reply.json();
    assert!(answer["suggestions"][0]["text"].as_str().unwrap().starts_with("lp"), "{answer}");
    assert_eq!(answer["suggestions"].as_array().unwrap().len(), 1);
    assert_eq!(answer["silence"], Value::Null);
    assert_eq!((&answer["source"], &answer["budget_ms"]), (&json!("models"), &json!(20)));
    assert!(answer["elapsed_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(answer["predictors"].as_object().unwrap().len(), Predictor::ALL.len());
    assert!(answer.get("stale").is_none() && answer.get("debug").is_none());
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn every_field_is_taken() {
    let service = start();
    let body = json!({
        "text": "I can he", "writer": "anna.o@example.com", "role": "agent", "after": " them", "session": "s1",
        "context": [{"role": "customer", "text": "hello"}], "max_suggestions": 10, "budget_ms": 1000,
        "min_confidence": 0.0, "learn": false, "min_seq": 0, "debug": true, "corrections": true,
    });
    let reply = service.post("/v1/complete", body.to_string()).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let answer = reply.json();
    assert_eq!(answer["budget_ms"], 1000);
    assert!(answer.get("debug").is_some());
    assert!(answer["suggestions"][0].get("replace").is_none(), "absent where nothing is replaced: {answer}");
    for budget in [json!(40.0), json!(12.5)] {
        let body = json!({"text": "I can he", "budget_ms": budget}).to_string();
        assert_eq!(service.post("/v1/complete", body).await.json()["budget_ms"].as_f64(), budget.as_f64());
    }
}

/// Field, and what is wrong with it.
#[tokio::test]
async fn wrong_values_are_named() {
    let service = start();
    let complete = [
        ("text", r#"{}"#),
        ("text", r#"{"text":7}"#),
        ("text", r#"{"text":null}"#),
        ("txet", r#"{"text":"a","txet":"b"}"#),
        ("text", r#"{"text":"a","text":"b"}"#),
        ("writer", r#"{"text":"a","writer":""}"#),
        ("writer", r#"{"text":"a","writer":"a b"}"#),
        ("role", r#"{"text":"a","role":"boss"}"#),
        ("context", r#"{"text":"a","context":"hello"}"#),
        ("context[0]", r#"{"text":"a","context":[7]}"#),
        ("context[1].role", r#"{"text":"a","context":[{"role":"agent","text":""},{"role":1,"text":""}]}"#),
        ("context[0].when", r#"{"text":"a","context":[{"role":"agent","text":"","when":1}]}"#),
        ("max_suggestions", r#"{"text":"a","max_suggestions":0}"#),
        ("max_suggestions", r#"{"text":"a","max_suggestions":11}"#),
        ("max_suggestions", r#"{"text":"a","max_suggestions":1.5}"#),
        ("budget_ms", r#"{"text":"a","budget_ms":0}"#),
        ("budget_ms", r#"{"text":"a","budget_ms":1001}"#),
        ("budget_ms", r#"{"text":"a","budget_ms":-1}"#),
        ("min_confidence", r#"{"text":"a","min_confidence":1.01}"#),
        ("min_confidence", r#"{"text":"a","min_confidence":-0.1}"#),
        ("session", r#"{"text":"a","session":""}"#),
        ("learn", r#"{"text":"a","learn":"no"}"#),
        ("min_seq", r#"{"text":"a","min_seq":-1}"#),
        ("body", r#"["text"]"#),
        ("body", r#"7"#),
    ];
    for (field, body) in complete {
        service.post("/v1/complete", body).await.expect_error(422, "invalid", field);
    }
    let learn = [
        ("writer", r#"{"text":"a"}"#),
        ("text", r#"{"writer":"anna"}"#),
        ("text", r#"{"writer":"anna","text":" \n "}"#),
        ("text", r#"{"writer":"anna","text":"\u0000"}"#),
        ("at", r#"{"writer":"anna","text":"a","at":"yesterday"}"#),
        ("at", r#"{"writer":"anna","text":"a","at":-1}"#),
        ("idempotency_key", r#"{"writer":"anna","text":"a","idempotency_key":""}"#),
        ("session", r#"{"writer":"anna","text":"a","session":"s"}"#),
    ];
    for (field, body) in learn {
        service.post("/v1/learn", body).await.expect_error(422, "invalid", field);
    }
    let feedback = [
        ("id", r#"{"outcome":"accepted"}"#),
        ("outcome", r#"{"id":"x","outcome":"liked"}"#),
        ("index", r#"{"id":"x","outcome":"accepted","index":10}"#),
        ("chars", r#"{"id":"x","outcome":"accepted","chars":-1}"#),
    ];
    for (field, body) in feedback {
        service.post("/v1/feedback", body).await.expect_error(422, "invalid", field);
    }
}

#[tokio::test]
async fn what_is_not_json_is_malformed() {
    let service = start();
    let deep = format!(r#"{{"text":"a","context":{}"#, "[".repeat(500));
    for body in ["", "{", "text=a", r#"{"text":"a"} x"#, r#"{"text":"\ud800"}"#, "{\"text\":\"a\nb\"}", &deep]
    {
        service.post("/v1/complete", body.to_owned()).await.expect_error(400, "malformed", "not JSON");
    }
    service.post("/v1/complete", "{").await.expect_error(400, "malformed", "EOF");
    service.post("/v1/complete", b"{\"text\":\"\xff\"}".to_vec()).await.expect_error(400, "malformed", "");
}

#[tokio::test]
async fn the_body_is_bounded() {
    let service = start();
    let body = |length: usize| json!({ "text": "a".repeat(length - 11) }).to_string();
    assert_eq!(body(64 * 1024).len(), 64 * 1024);
    assert_eq!(service.post("/v1/complete", body(64 * 1024)).await.status, StatusCode::OK);
    service.post("/v1/complete", body(64 * 1024 + 1)).await.expect_error(413, "too_large", "64 KiB");
}

#[tokio::test]
async fn other_paths_methods_and_media_types() {
    let service = start();
    service.get("/v1/nothing").await.expect_error(404, "not_found", "/docs");
    service.get("/v1/complete").await.expect_error(405, "method_not_allowed", "method");
    service.call(Method::PUT, "/v1/writers/anna").await.expect_error(405, "method_not_allowed", "method");
    let form = Request::post("/v1/learn").header("host", "localhost");
    let form =
        form.header("content-type", "application/x-www-form-urlencoded").body(Body::from("{}")).unwrap();
    service.ask(form).await.expect_error(415, "unsupported_media_type", "application/json");
    let bare = Request::post("/v1/learn").header("host", "localhost").body(Body::from("{}")).unwrap();
    service.ask(bare).await.expect_error(415, "unsupported_media_type", "application/json");
}

#[tokio::test]
async fn odd_text_is_answered() {
    let service = start();
    let texts = [
        "",
        "   ",
        "🎉",
        "👩‍👩‍👧‍👦 fam",
        "你好",
        "مرحبا بال",
        "e\u{301}\u{301}",
        "a\0b",
        "\u{7}\u{1b}[31m",
        "\u{202e}abc",
        "\u{feff}he",
        "don'",
        "a\r\nb\tc ",
        &"x".repeat(10_000),
        &"é🎉".repeat(3_000),
        &" ".repeat(9_000),
        &"a\u{301}".repeat(5_000),
    ];
    for text in texts {
        for after in ["", "lp", "\u{301}", "🎉"] {
            let body =
                json!({"text": text, "after": after, "writer": "anna", "session": "s", "max_suggestions": 3});
            let reply = service.post("/v1/complete", body.to_string()).await;
            assert_eq!(reply.status, StatusCode::OK, "{text:?}: {}", reply.text);
            let answer = reply.json();
            let silent = answer["suggestions"].as_array().unwrap().is_empty();
            assert_eq!(silent, answer["silence"].is_string(), "an answer or a typed silence: {answer}");
        }
        if text.chars().any(char::is_alphanumeric) {
            let body = json!({"text": text, "writer": "anna"});
            assert_eq!(service.post("/v1/learn", body.to_string()).await.status, StatusCode::OK, "{text:?}");
        }
    }
}

#[tokio::test]
async fn a_body_is_an_object_as_it_stands() {
    let service = start();
    service.post("/v1/complete", r#" ["I can he"]"#).await.expect_error(422, "invalid", "object");
    let request = Request::post("/v1/complete").header("host", "localhost");
    let request = request.header("content-type", "application/json").header("content-encoding", "gzip");
    let packed = service.ask(request.body(Body::from("x")).unwrap()).await;
    packed.expect_error(415, "unsupported_media_type", "uncompressed");
    let marked = "\u{feff}{\"text\":\"Dear all\"}\n";
    let imported = service.post("/v1/writers/anna/import", marked).await;
    assert_eq!(imported.json()["learned"], 1, "{}", imported.text);
}

async fn answer_id(service: &Service, learn: bool) -> String {
    let body = json!({"text": "I can he", "writer": "anna", "min_confidence": 0, "learn": learn});
    service.post("/v1/complete", body.to_string()).await.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn outcomes_are_kept_for_their_writer() {
    let service = start();
    let id = answer_id(&service, true).await;
    // Each is told twice, as clients do that got no answer.
    for outcome in ["accepted", "partial", "rejected"].into_iter().flat_map(|outcome| [outcome; 2]) {
        let body = json!({"id": id, "outcome": outcome, "index": 0, "chars": 2});
        assert_eq!(service.post("/v1/feedback", body.to_string()).await.status, StatusCode::NO_CONTENT);
    }
    let about = service.get("/v1/writers/anna").await.json();
    assert_eq!(about["outcomes"], json!({"accepted": 1, "partial": 1, "rejected": 1}));
    let beyond = json!({"id": id, "outcome": "accepted", "index": 1}).to_string();
    service.post("/v1/feedback", beyond).await.expect_error(422, "invalid", "index");
    let unknown = json!({"id": "0".repeat(32), "outcome": "accepted"}).to_string();
    service.post("/v1/feedback", unknown).await.expect_error(404, "not_found", "10 minutes");
}

#[tokio::test]
async fn with_learn_false_nothing_is_kept() {
    let service = start();
    let id = answer_id(&service, false).await;
    let body = json!({"id": id, "outcome": "accepted"}).to_string();
    assert_eq!(service.post("/v1/feedback", body).await.status, StatusCode::NO_CONTENT);
    service.get("/v1/writers/anna").await.expect_error(404, "not_found", "nothing is stored");
}

#[tokio::test]
async fn beyond_the_permits_requests_are_shed() {
    let service = start();
    let permits = service.app.admission.available_permits();
    let held =
        service.app.admission.clone().acquire_many_owned(u32::try_from(permits).unwrap()).await.unwrap();
    let reply = service.post("/v1/complete", r#"{"text":"a"}"#).await;
    reply.expect_error(503, "busy", "retry");
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(service.get("/").await.status, StatusCode::OK, "the page is not shed");
    drop(held);
    assert_eq!(service.post("/v1/complete", r#"{"text":"a"}"#).await.status, StatusCode::OK);
}

#[tokio::test]
async fn under_load_open_drafts_go_on_and_new_ones_are_told_to_come_back() {
    let service = start();
    let ask = |session: &str| {
        service.post("/v1/complete", json!({"text": "I can he", "session": session}).to_string())
    };
    assert_eq!(ask("open").await.status, StatusCode::OK);
    let silent = service.post("/v1/complete", r#"{"text":"","session":"begun"}"#).await.json();
    assert_eq!(silent["silence"], "empty_text");
    (0..200).for_each(|_| service.app.door.note(1.0));
    let refused = ask("new").await;
    refused.expect_error(503, "busy", "retry");
    assert_eq!(refused.headers["retry-after"], "1");
    service.post("/v1/complete", r#"{"text":"I can he"}"#).await.expect_error(503, "busy", "retry");
    let refused = service.post("/v1/completions", r#"{"prompt":"I can he"}"#).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text);
    assert_eq!(ask("open").await.status, StatusCode::OK);
    assert_eq!(ask("begun").await.status, StatusCode::OK, "it was let in, though nothing could be shown");
    let learned = service.post("/v1/learn", r#"{"writer":"anna","text":"I can help you."}"#).await;
    assert_eq!(learned.status, StatusCode::OK, "what was sent is never lost to load");
    (0..200).for_each(|_| service.app.door.note(0.0));
    assert_eq!(ask("new").await.status, StatusCode::OK);
}

#[tokio::test]
async fn only_this_machine_may_ask() {
    let service = start();
    let with = |name: &'static str, value: &'static str| {
        let request = Request::post("/v1/complete").header("content-type", "application/json");
        let host = if name == "host" { value } else { "localhost:8080" };
        let request = request.header("host", host);
        let request = if name == "host" { request } else { request.header(name, value) };
        request.body(Body::from(r#"{"text":"a"}"#)).unwrap()
    };
    for (name, value) in [
        ("host", "example.com"),
        ("host", "127.0.0.1.nip.io"),
        ("origin", "http://example.com"),
        ("origin", "http://localhost:9090"),
        ("origin", "null"),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
    ] {
        service.ask(with(name, value)).await.expect_error(403, "forbidden", "without API keys");
    }
    for (name, value) in
        [("host", "127.0.0.1:8080"), ("host", "[::1]:8080"), ("origin", "http://localhost:8080")]
    {
        assert_eq!(service.ask(with(name, value)).await.status, StatusCode::OK, "{name}: {value}");
    }
    let bare = Request::get("/").body(Body::empty()).unwrap();
    service.ask(bare).await.expect_error(403, "forbidden", "localhost");
}

#[tokio::test]
async fn the_page_and_its_files_are_served() {
    let service = start();
    let page = service.get("/").await;
    assert_eq!(
        (page.status, page.headers["content-type"].to_str().unwrap()),
        (StatusCode::OK, "text/html; charset=utf-8")
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    // Whatever the page and its scripts refer to is there.
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
    for file in std::fs::read_dir(assets).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".js") || name.ends_with(".css") || name.ends_with(".svg") {
            let reply = service.get(&format!("/assets/{name}")).await;
            assert_eq!(reply.status, StatusCode::OK, "{name}");
            assert_eq!(reply.text, std::fs::read_to_string(format!("{assets}/{name}")).unwrap());
        }
    }
}

#[tokio::test]
async fn the_api_describes_itself() {
    let service = start();
    let description = service.get("/openapi.json").await.json();
    let paths: BTreeSet<_> = description["paths"].as_object().unwrap().keys().cloned().collect();
    let typing =
        ["complete", "feedback", "learn", "stream", "teams/{team}"].map(|path| format!("/v1/{path}"));
    let writers = ["", "/blocked", "/export", "/forget", "/import", "/snippets", "/team"]
        .map(|part| format!("/v1/writers/{{writer}}{part}"));
    let editors = [
        "/infill",
        "/v1/completions",
        "/v1/events",
        "/v1/health",
        "/v1/models",
        "/v1/models/{id}",
        "/v1beta/server_setting",
    ];
    let editors = editors.map(str::to_owned);
    assert_eq!(paths, typing.into_iter().chain(writers).chain(editors).collect());
    let request = &description["components"]["schemas"]["CompleteRequest"];
    assert_eq!(request["required"], json!(["text"]));
    assert_eq!(request["additionalProperties"], false);
    assert_eq!(service.get("/docs/").await.status, StatusCode::OK);
    assert_eq!(service.get("/docs/swagger-ui-bundle.js").await.status, StatusCode::OK);
}
