//! The protocols of editors: bodies as their clients build them, answered in their own shapes.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use axum::http::StatusCode;
use common::{Reply, Service, start};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The texts that are suggested there.
async fn openai(service: &Service, body: Value) -> Vec<String> {
    let reply = service.post("/v1/completions", body.to_string()).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let choices = reply.json()["choices"].as_array().unwrap().clone();
    choices.iter().map(|choice| choice["text"].as_str().unwrap().to_owned()).collect()
}

/// As llama.vim builds it.
fn infill(prefix: &str, line: &str, suffix: &str) -> Value {
    json!({
        "input_prefix": prefix, "input_suffix": suffix, "prompt": line, "n_predict": 128, "n_indent": 0,
        "input_extra": [{"text": "Help is near.\nAnd near.\n", "time": [1, 2], "filename": "a.md"}],
        "top_k": 40, "top_p": 0.99, "samplers": ["top_k", "top_p", "infill"], "stream": false, "cache_prompt": true,
        "t_max_prompt_ms": 500, "t_max_predict_ms": 500,
        "response_fields": ["content", "timings/prompt_n", "timings/predicted_n", "timings/predicted_ms", "truncated", "no/such"],
    })
}

#[tokio::test]
async fn an_openai_body_is_answered_in_its_shape() {
    let service = start();
    let body = json!({
        "model": "gpt-3.5-turbo-instruct", "prompt": "I can he", "max_tokens": 64, "temperature": 0.2, "top_p": 1,
        "logit_bias": null, "stop": null, "suffix": null, "user": "anna.o@example.com", "n": 2,
    });
    let reply = service.post("/v1/completions", body.to_string()).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert_eq!(reply.headers["cache-control"], "no-store");
    let answer = reply.json();
    let own = service.post("/v1/complete", r#"{"text":"I can he","max_suggestions":2}"#).await.json();
    let texts = |key: &str, of: &Value| -> Vec<Value> {
        of[key].as_array().unwrap().iter().map(|each| each["text"].clone()).collect()
    };
    assert_eq!(texts("choices", &answer), texts("suggestions", &own), "by the rules of /v1/complete");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!((&answer["object"], &answer["model"]), (&json!("text_completion"), &json!("foretype")));
    assert!(answer["id"].as_str().unwrap().starts_with("cmpl-") && answer["created"].as_i64().unwrap() > 0);
    let usage = &answer["usage"];
    assert_eq!(usage["prompt_tokens"], 3);
    assert_eq!(usage["total_tokens"].as_i64().unwrap(), 3 + usage["completion_tokens"].as_i64().unwrap());
    let model = service.get("/v1/models").await.json()["data"][0].clone();
    assert_eq!(model["id"], "foretype");
    assert_eq!(service.get("/v1/models/foretype").await.json(), model);
    let other = service.get("/v1/models/gpt-4").await;
    assert_eq!(
        (other.status.as_u16(), other.json()["error"]["type"].as_str()),
        (404, Some("invalid_request_error"))
    );
}

#[tokio::test]
async fn a_client_says_how_much_it_takes() {
    let service = start();
    assert_eq!(openai(&service, json!({"prompt": "I can he"})).await, ["lp "]);
    let nothing = service.post("/v1/completions", r#"{"prompt":"I can he","max_tokens":0}"#).await.json();
    assert_eq!(nothing["choices"][0]["text"], "");
    assert_eq!(nothing["choices"][0]["finish_reason"], "length");
    assert_eq!(openai(&service, json!({"prompt": "I can he", "stop": ["x", "p"]})).await, ["l"]);
    assert_eq!(openai(&service, json!({"prompt": "I can he", "stop": " "})).await, ["lp"]);
    assert_eq!(
        openai(&service, json!({"prompt": "", "n": 3})).await,
        [""],
        "silence is a choice that says nothing"
    );
}

#[tokio::test]
async fn what_follows_the_cursor_is_not_said_again() {
    let service = start();
    assert_eq!(openai(&service, json!({"prompt": "I can "})).await, ["help "]);
    for body in [
        json!({"prompt": "I can ", "suffix": "help you."}),
        json!({"prompt": "<|fim_prefix|>I can <|fim_suffix|>help you.<|fim_middle|>"}),
        json!({"prompt": "[SUFFIX]help you.[PREFIX]I can "}),
        json!({"segments": {"prefix": "I can ", "suffix": "help you."}}),
    ] {
        assert_ne!(openai(&service, body.clone()).await, ["help "], "{body}");
    }
    let marked = json!({"prompt": "<fim_prefix>I can <fim_suffix><fim_middle>"});
    assert_eq!(openai(&service, marked).await, ["help "]);
}

#[tokio::test]
async fn a_streamed_answer_says_the_same_in_parts() {
    let service = start();
    let body =
        json!({"prompt": "I can he", "n": 2, "stream": true, "stream_options": {"include_usage": true}});
    let reply = service.post("/v1/completions", body.to_string()).await;
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    let mut events: Vec<_> =
        reply.text.split_terminator("\n\n").map(|e| e.strip_prefix("data: ").unwrap()).collect();
    assert_eq!(events.pop(), Some("[DONE]"));
    let parts: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    assert!(parts.iter().all(|part| part["id"] == parts[0]["id"] && part["object"] == "text_completion"));
    let mut texts = [String::new(), String::new()];
    for choice in parts.iter().flat_map(|part| part["choices"].as_array().unwrap()) {
        texts[choice["index"].as_u64().unwrap() as usize] += choice["text"].as_str().unwrap();
    }
    assert_eq!(texts.to_vec(), openai(&service, json!({"prompt": "I can he", "n": 2})).await);
    let ends = parts.iter().filter(|part| part["choices"][0]["finish_reason"] == "stop").count();
    assert_eq!((ends, parts.len()), (2, 5));
    assert!(parts[4]["usage"]["total_tokens"].is_u64() && parts[4]["choices"] == json!([]));
}

#[tokio::test]
async fn a_tabby_body_is_answered_in_its_shape_and_its_events_are_heard() {
    let service = start();
    let body = json!({
        "language": "markdown", "user": "anna",
        "segments": {"prefix": "I can he", "suffix": "\n", "filepath": "notes.md", "git_url": null, "clipboard": "x"},
    });
    let ask = async || service.post("/v1/completions", body.to_string()).await.json();
    let answer = ask().await;
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["choices", "id"]);
    let text = answer["choices"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("lp"), "{text}");
    let event =
        |kind: &str| json!({"type": kind, "completion_id": answer["id"], "choice_index": 0, "view_id": "v"});
    for (kind, query, rejected) in [("view", "", 0), ("dismiss", "", 1), ("select", "?select_kind=line", 1)] {
        let reply = service.post(&format!("/v1/events{query}"), event(kind).to_string()).await;
        assert_eq!((reply.status, &*reply.text), (StatusCode::OK, ""), "{kind}");
        let about = service.get("/v1/writers/anna").await.json();
        assert_eq!(about["outcomes"]["rejected"].as_u64().unwrap_or(0), rejected, "{kind}: {about}");
    }
    assert_ne!(ask().await["choices"][0]["text"], text, "dismissed here");
    assert_eq!(service.get("/v1beta/server_setting").await.json()["disable_client_side_telemetry"], true);
    assert!(service.get("/v1/health").await.json()["version"]["git_describe"].is_string());
}

#[tokio::test]
async fn llama_vim_is_answered_in_its_shape() {
    let service = start();
    let reply = service.post("/infill", infill("Dear all,\n", "I can he", "\n").to_string()).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert_eq!(reply.headers["cache-control"], "no-store");
    let answer = reply.json();
    assert!(answer["content"].as_str().unwrap().starts_with("lp"), "{answer}");
    assert_eq!((&answer["timings/prompt_n"], &answer["truncated"]), (&json!(5), &json!(false)));
    assert!(answer["timings/predicted_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(answer.as_object().unwrap().len(), 5, "what was asked for and is there: {answer}");
    let mut whole = infill("", "I can he", "");
    whole.as_object_mut().unwrap().remove("response_fields");
    let whole = service.post("/infill", whole.to_string()).await.json();
    assert_eq!((&whole["stop"], &whole["timings"]["prompt_n"]), (&json!(true), &json!(3)));
    let ids = json!({"id": whole["id"], "outcome": "accepted"});
    assert_eq!(service.post("/v1/feedback", ids.to_string()).await.status, StatusCode::NO_CONTENT);
    let mut warm_up = infill("", "", "");
    warm_up["n_predict"] = json!(0);
    warm_up["response_fields"] = json!([""]);
    assert_eq!(service.post("/infill", warm_up.to_string()).await.text, "{}");
    let mut streamed = infill("", "I can he", "");
    streamed["stream"] = json!(true);
    let streamed = service.post("/infill", streamed.to_string()).await;
    assert!(
        streamed.text.starts_with("data: {\"content\":\"lp") && streamed.text.ends_with("}\n\n"),
        "{}",
        streamed.text
    );
}

#[tokio::test]
async fn bad_bodies_are_refused_in_each_protocols_shape() {
    let service = start();
    let refused = async |path: &str, body: &str| -> Reply { service.post(path, body.to_owned()).await };
    let many = json!({"prompt": "a", "stop": vec!["x"; 65]}).to_string();
    let openai = [
        ("prompt", r#"{"prompt":[1,2,3]}"#),
        ("prompt", r#"{"prompt":["a","b"]}"#),
        ("n", r#"{"prompt":"a","n":11}"#),
        ("n", r#"{"prompt":"a","n":"two"}"#),
        ("max_tokens", r#"{"prompt":"a","max_tokens":"many"}"#),
        ("stop", r#"{"prompt":"a","stop":7}"#),
        ("stop", &many),
        ("user", r#"{"prompt":"a","user":7}"#),
    ];
    for (field, body) in openai {
        let reply = refused("/v1/completions", body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}: {}", reply.text);
        let error = &reply.json()["error"];
        assert_eq!(
            (&error["type"], &error["param"]),
            (&json!("invalid_request_error"), &json!(field)),
            "{body}"
        );
        assert!(error["message"].as_str().unwrap().starts_with(field), "{error}");
    }
    let broken = refused("/v1/completions", "{").await;
    assert_eq!((broken.status, &broken.json()["error"]["param"]), (StatusCode::BAD_REQUEST, &Value::Null));
    let empty = refused("/v1/completions", "{}").await;
    assert!(
        empty.status == StatusCode::BAD_REQUEST && empty.text.contains("missing field `prompt`"),
        "{}",
        empty.text
    );
    assert_eq!(empty.json()["error"]["param"], Value::Null);
    let list = refused("/v1/completions", "[]").await;
    assert_eq!(list.status, StatusCode::BAD_REQUEST, "{}", list.text);
    for (path, body, says) in [
        ("/v1/completions", r#"{"segments":{}}"#, "segments: missing field `prefix`"),
        ("/v1/completions", r#"{"segments":{"prefix":7}}"#, "segments.prefix: "),
        (
            "/v1/events",
            r#"{"type":"stare","completion_id":"x","choice_index":0}"#,
            "type: unknown variant `stare`",
        ),
        ("/v1/events", r#"{"type":"select","completion_id":"x","choice_index":10}"#, "choice_index: "),
        ("/v1/events", "{", "the body is not JSON"),
    ] {
        let reply = refused(path, body).await;
        assert!(
            reply.status == StatusCode::BAD_REQUEST && reply.text.starts_with(says),
            "{body}: {}",
            reply.text
        );
    }
    let late = refused("/v1/events", r#"{"type":"select","completion_id":"cmpl-0","choice_index":0}"#).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
    for (field, body) in [
        ("input_prefix", r#"{"input_suffix":""}"#),
        ("input_extra[0]", r#"{"input_prefix":"","input_suffix":"","input_extra":[{"filename":"a"}]}"#),
        ("n_predict", r#"{"input_prefix":"","input_suffix":"","n_predict":"all"}"#),
        ("the body is not JSON", "nonsense"),
    ] {
        let reply = refused("/infill", body).await;
        let error = &reply.json()["error"];
        assert_eq!(
            (&error["code"], &error["type"]),
            (&json!(400), &json!("invalid_request_error")),
            "{body}"
        );
        assert!(error["message"].as_str().unwrap().contains(field), "{error}");
    }
}

#[tokio::test]
async fn a_long_document_is_taken_and_a_longer_one_refused() {
    let service = start();
    let line = "We will review the numbers with the whole team on Monday.\n";
    let document = line.repeat(200 * 1024 / line.len());
    let reply =
        service.post("/infill", infill(&document, "I can he", &format!("\n{document}")).to_string()).await;
    assert!(reply.json()["content"].as_str().unwrap().starts_with("lp"), "{}", reply.text);
    let reply = service.post("/v1/completions", json!({"prompt": document.repeat(3)}).to_string()).await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large"))
    );
    assert!(reply.text.contains("512 KiB"), "{}", reply.text);
}

#[tokio::test]
async fn nothing_is_learned_from_drafts_and_any_user_has_a_writer() {
    let service = start();
    for user in ["anna", "Jane Doe", "", "é".repeat(300).as_str()] {
        let body = json!({"prompt": "The zorbex is zorbexed by the zor", "user": user});
        assert_eq!(openai(&service, body).await.len(), 1, "{user}");
    }
    service.get("/v1/writers/anna").await.expect_error(404, "not_found", "writer");
    let answer = service.post("/v1/completions", r#"{"prompt":"I can he","user":"Jane Doe"}"#).await.json();
    let dismissed = json!({"type": "dismiss", "completion_id": answer["id"], "choice_index": 0});
    assert_eq!(service.post("/v1/events", dismissed.to_string()).await.status, StatusCode::OK);
    let jane = foretype::writer::WriterId::of_name("Jane Doe");
    assert_eq!(service.get(&format!("/v1/writers/{jane}")).await.json()["outcomes"]["rejected"], 1);
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_place() {
    let service = start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = service.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let places = || service.app.admission.available_permits();
    let all = places();
    for path in ["/v1/completions", "/infill"] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
        socket
            .write_all(format!("{head}content-length: 100000\r\n\r\n{{\"prompt\":").as_bytes())
            .await
            .unwrap();
        wait_until(|| places() == all - 1).await;
        drop(socket);
        wait_until(|| places() == all).await;
    }
    // A client that stays is answered still.
    let mut socket = TcpStream::connect(address).await.unwrap();
    let body = r#"{"prompt":"I can he"}"#;
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
}

async fn wait_until(holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it did not come to hold");
}
