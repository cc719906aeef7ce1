//! What operators are told, over a fixed engine and a real store.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

#[path = "common/mod.rs"]
mod common;

use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};

use common::{Service, start};
use foretype::engine::{Predictor, Status};
use foretype::ledger::Count;
use foretype::metrics::{Metrics, Now};
use foretype::panics;
use serde_json::json;

/// The sample of that name and labels, as it stands on the page.
#[track_caller]
fn sample(service: &Service, name: &str) -> f64 {
    let page = service.app.metrics_page();
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in\n{page}")).parse().unwrap()
}

#[tokio::test]
async fn what_happened_is_counted_and_who_it_was_is_not_told() {
    let service = start();
    let typed =
        r#"{"text":"Thanks, I can he","writer":"anna","session":"secret-session","min_confidence":0}"#;
    let answer = service.post("/v1/complete", typed).await.json();
    let outcome = format!(r#"{{"id":{},"outcome":"accepted","index":0,"chars":4}}"#, answer["id"]);
    assert_eq!(service.post("/v1/feedback", outcome).await.status, 204);
    let lesson = r#"{"writer":"anna","text":"The zorbex is calibrated.","idempotency_key":"k"}"#;
    for _ in 0..2 {
        assert_eq!(service.post("/v1/learn", lesson).await.status, 200);
    }
    service.get("/v1/writers/anna").await;
    service.get("/v1/writers/anna/zorbex").await;

    for (name, value) in [
        ("foretype_complete_seconds_count", 1.0),
        ("foretype_suggestions_total{kind=\"word\",predictor=\"domain\"}", 1.0),
        ("foretype_outcomes_total{outcome=\"accepted\"}", 1.0),
        ("foretype_learned_total{result=\"stored\"}", 1.0),
        ("foretype_learned_total{result=\"known\"}", 1.0),
        // Three characters with one key.
        ("foretype_saved_keystrokes_total{predictor=\"domain\"}", 2.0),
        // The retry sent nothing.
        ("foretype_sent_characters_total", "The zorbex is calibrated.".len() as f64),
        ("foretype_sent_saved_keystrokes_total", 2.0),
        ("foretype_writers_active{within=\"minute\"}", 1.0),
        ("foretype_typing_seconds_total{group=\"held_out\"}", 0.0),
        ("foretype_sessions_open", 1.0),
        ("foretype_writers_warm", 1.0),
        ("foretype_requests_total{route=\"/v1/writers/{writer}\",status=\"200\"}", 1.0),
        ("foretype_requests_total{route=\"/v1/writers/{writer}\",status=\"503\"}", 0.0),
        ("foretype_requests_total{route=\"/v1/learn\",status=\"500\"}", 0.0),
        ("foretype_requests_total{route=\"other\",status=\"404\"}", 1.0),
        ("foretype_store_queue_length", 0.0),
        ("foretype_busy_ratio", 0.0),
        ("foretype_budget_seconds", 0.02),
    ] {
        assert_eq!(sample(&service, name), value, "{name}");
    }
    let build = concat!("foretype_build_info{bundle=\"none\",version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    assert_eq!(sample(&service, build), 1.0);
    assert!(sample(&service, "foretype_writers_warm_bytes") > 1_000.0);
    assert!(sample(&service, "foretype_store_bytes{file=\"wal\"}") > 4_096.0);
    let page = service.app.metrics_page();
    for private in ["anna", "zorbex", "Thanks", "secret"] {
        assert!(!page.contains(private), "{private}");
    }
}

#[tokio::test]
async fn a_request_too_many_is_turned_away_and_counted() {
    let service = start();
    let all = service.app.admission.available_permits() as u32;
    let held = service.app.admission.try_acquire_many(all).unwrap();
    service.post("/v1/complete", r#"{"text":"I can"}"#).await.expect_error(503, "busy", "retry");
    assert_eq!(sample(&service, "foretype_turned_away_total{reason=\"requests\"}"), 1.0);
    assert_eq!(sample(&service, "foretype_requests_in_flight"), f64::from(all));
    assert_eq!(sample(&service, "foretype_requests_total{route=\"/v1/complete\",status=\"503\"}"), 1.0);
    drop(held);
    assert_eq!(sample(&service, "foretype_requests_in_flight"), 0.0);
}

#[tokio::test]
async fn who_is_not_to_be_asked_is_not_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::with(folder.path(), &[Predictor::Gpt2, Predictor::Domain, Predictor::Charlm]);
    let key = async |text: &str| {
        let body = json!({"text": text, "session": "s", "min_confidence": 0, "budget_ms": 1000});
        service.post("/v1/complete", body.to_string()).await.json()
    };
    assert_eq!(key("").await["silence"], "empty_text");
    let shown = key("Thanks for calling, I can he").await;
    assert!(shown["suggestions"][0]["text"].as_str().unwrap().starts_with("lp"), "{shown}");
    let rest = key("Thanks for calling, I can hel").await;
    assert_eq!(
        (&rest["source"], &rest["predictors"]["gpt2"]),
        (&json!("type_through"), &json!("skipped")),
        "one word for clients, as documented"
    );
    for (predictor, status, times) in [
        ("gpt2", "used", 1.0),
        ("gpt2", "unasked", 2.0),
        ("gpt2", "skipped", 0.0),
        ("domain", "used", 2.0),
        ("domain", "unasked", 1.0),
    ] {
        let name = format!("foretype_predictors_total{{predictor=\"{predictor}\",status=\"{status}\"}}");
        assert_eq!(sample(&service, &name), times, "{name}");
    }
    let totals = service.app.ledger.totals();
    assert_eq!(totals.count(Count::Member(Predictor::Gpt2, Status::Skipped)), 0);
    assert_eq!(totals.count(Count::Brownout), 0);
}

#[tokio::test]
async fn a_damaged_database_is_named() {
    let service = start();
    for file in ["foretype.sqlite3", "foretype.sqlite3-wal"].map(|name| service.folder.path().join(name)) {
        let length = std::fs::metadata(&file).unwrap().len() as usize;
        std::fs::write(file, vec![b'x'; length]).unwrap();
    }
    service.get("/v1/writers/anna").await.expect_error(503, "unavailable", "stored or read");
    assert_eq!(sample(&service, "foretype_store_failures_total{reason=\"corrupt\"}"), 1.0);
    assert_eq!(sample(&service, "foretype_store_failures_total{reason=\"io\"}"), 0.0);
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_panic_is_counted_and_logged_without_the_text_it_quotes() {
    let (metrics, log) = (Arc::new(Metrics::default()), Log::default());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let before = std::panic::take_hook();
    panics::count(Arc::clone(&metrics));
    let quoting = || tracing::subscriber::with_default(subscriber, || "what Anna typed, é"[..18].len());
    let panicked = catch_unwind(std::panic::AssertUnwindSafe(quoting)).is_err();
    std::panic::set_hook(before);

    assert!(panicked, "a slice through a character");
    let page = metrics.render(&Now::default());
    assert!(page.contains("foretype_panics_total{thread=\"service\"} 1\n"), "{page}");
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("tests/metrics.rs:"), "the place: {logged}");
    assert!(!logged.contains("Anna"), "{logged}");
}
