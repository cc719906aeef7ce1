//! The load generator against a small service whose answers, delays and failures are known.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use foretype_loadtests::load::{Plan, run};
use serde_json::{Value, json};

/// How one service misbehaves: requests are counted from 1, the first is the probe before the run.
#[derive(Clone, Default)]
struct Service {
    requests: Arc<AtomicU64>,
    /// Every so many answers one is a 503; 0: none.
    fail_every: u64,
    /// This answer takes so long.
    stall: Option<(u64, Duration)>,
}

async fn complete(State(service): State<Service>, Json(body): Json<Value>) -> Response {
    let number = service.requests.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some((_, time)) = service.stall.filter(|&(stalled, _)| stalled == number) {
        tokio::time::sleep(time).await;
    }
    if service.fail_every > 0 && number.is_multiple_of(service.fail_every) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let through = body["text"].as_str().unwrap().ends_with('b');
    Json(json!({
        "id": "1",
        "suggestions": if through { json!([{"text": "x"}]) } else { json!([]) },
        "source": if through { "type_through" } else { "models" },
        "elapsed_ms": if through { 2.0 } else { 30.0 },
        "budget_ms": 20,
        "predictors": {"gpt2": if through { "skipped" } else { "used" }},
    }))
    .into_response()
}

/// Starts the service on a free port and returns its address.
async fn start(service: Service) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/complete", post(complete)).with_state(service);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn plan(url: String, writers: u32, keys_per_second: f64) -> Plan {
    Plan { url, writers, keys_per_second, seconds: 1, warmup: 0, texts: None, budget_ms: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_sent_and_every_answer_counted() {
    let service = Service::default();
    let url = start(service.clone()).await;
    // Half the drafts are "a", half "ab", so every share is one half.
    let report = run(&plan(url, 4, 20.0), &["ab".to_owned()]).await.unwrap();

    assert_eq!(report.answers, 80);
    assert_eq!(service.requests.load(Ordering::Relaxed), 81);
    assert!(report.errors.is_empty());
    let half = |share: f64| (share - 0.5).abs() < 1e-9;
    assert!(half(report.shown) && half(report.late), "{report:?}");
    assert!(half(report.sources["models"]) && half(report.sources["type_through"]), "{report:?}");
    // Only answers of the models count, and all of these used it.
    assert_eq!(report.predictors["gpt2"].get("skipped"), None);
    assert!((report.predictors["gpt2"]["used"] - 1.0).abs() < 1e-9);
    assert!(
        (report.server_ms.p50 - 2.0).abs() < 0.01 && (report.server_ms.max - 30.0).abs() < 0.1,
        "{report:?}"
    );
    let table = report.to_string();
    assert!(table.contains("80 answers") && table.contains("used 100.00 %"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_charged_to_every_key_it_delays() {
    let stall = Duration::from_millis(500);
    let url = start(Service { stall: Some((2, stall)), ..Service::default() }).await;
    // One writer, 100 keys in a second; the first stalls half of it, so the 25th key still waits a quarter second.
    let report = run(&plan(url, 1, 100.0), &["ab".to_owned()]).await.unwrap();

    assert_eq!(report.answers, 100);
    assert!(report.client_ms.max >= 500.0, "{report:?}");
    // Measured from when it was sent, only one key in a hundred would be slow.
    assert!(report.client_ms.p90 >= 350.0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_counted_by_what_went_wrong() {
    let url = start(Service { fail_every: 4, ..Service::default() }).await;
    let report = run(&plan(url, 2, 20.0), &["ab".to_owned()]).await.unwrap();

    assert_eq!(report.errors.get("status 503"), Some(&10));
    assert_eq!(report.answers, 30);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_an_error() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(run(&plan(format!("http://{free}"), 1, 5.0), &["a".to_owned()]).await.is_err());
    let wrong = run(&plan("127.0.0.1:8080".to_owned(), 1, 5.0), &["a".to_owned()]).await;
    assert!(wrong.unwrap_err().to_string().contains("127.0.0.1:8080"));
}
