//! Writers against a service of whose answers, delays and failures all is known, and against the shipped models over a network.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use clap::Parser;
use foretype::cli::Models;
use foretype::engine::Predictor;
use foretype::writer::Settings;
use foretype_loadtests::corpus::{Stream, interleaved};
use foretype_loadtests::crowd::{Over, Plan, run};
use foretype_loadtests::desk::Setup;
use foretype_loadtests::quality;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How one service misbehaves: requests are counted from 1, the first is the probe before the run.
#[derive(Clone, Default)]
struct Service {
    requests: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
    /// Every so many answers one is a 503; 0: none.
    fail_every: u64,
    /// Every answer takes so long.
    takes: Duration,
}

async fn complete(State(service): State<Service>, Json(body): Json<Value>) -> Response {
    let number = service.requests.fetch_add(1, Ordering::Relaxed) + 1;
    tokio::time::sleep(service.takes).await;
    service.answered.fetch_add(1, Ordering::Relaxed);
    if service.fail_every > 0 && number.is_multiple_of(service.fail_every) {
        let body = json!({"error": {"code": "busy", "message": ""}});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    let through = body["text"].as_str().unwrap().ends_with('b');
    Json(json!({
        "id": "1",
        "suggestions": if through { json!([{"text": "x", "confidence": 0.5}]) } else { json!([]) },
        "source": if through { "type_through" } else { "models" },
        "elapsed_ms": if through { 2.0 } else { 30.0 },
        "budget_ms": 20,
        "predictors": {"gpt2": if through { "skipped" } else { "used" }},
    }))
    .into_response()
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// Starts the service on a free port and returns its address.
async fn start(service: &Service) -> String {
    let ok = || post(async || Json(json!({})));
    let router = Router::new().route("/v1/complete", post(complete)).with_state(service.clone());
    serve(router.route("/v1/learn", ok()).route("/v1/feedback", ok())).await
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    plan: Plan,
}

/// As on the command line.
fn plan(url: &str, options: &str) -> Plan {
    Line::parse_from(["", "--url", url].into_iter().chain(options.split_whitespace())).plan
}

fn write(folder: &Path, streams: &[Value]) -> PathBuf {
    let path = folder.join("streams.jsonl");
    let lines: String = streams.iter().map(|stream| format!("{stream}\n")).collect();
    std::fs::write(&path, lines).unwrap();
    path
}

fn typed(text: &str) -> Vec<Stream> {
    let folder = tempfile::tempdir().unwrap();
    interleaved(&[write(folder.path(), &[json!({"messages": [{"text": text}]})])]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_asked_about_and_every_answer_counted() {
    let service = Service::default();
    let url = start(&service).await;
    // Drafts are "", "a", "ab" over and over; the middle one's answer is the only one typed through, and shows something.
    let plan = plan(&url, "--over rest --writers 4 --patient");
    let report = run(&plan, &vec![typed("abc").remove(0); 40]).await.unwrap();

    assert_eq!((report.drafts, report.answers, report.overtaken), (120, 120, 0));
    assert_eq!(service.requests.load(Ordering::Relaxed), 121);
    assert!(report.errors.is_empty(), "{report:?}");
    let third = 1.0 / 3.0;
    assert!((report.shown - third).abs() < 1e-9 && (report.typed_through - third).abs() < 1e-9, "{report:?}");
    assert_eq!(report.late, 80, "those that are not typed through say 30 ms of 20");
    // Only answers of the models count, and all of these used it.
    assert!((report.gpt2_used() - 1.0).abs() < 1e-9, "{report:?}");
    assert!(
        (report.server_ms.p50 - 30.0).abs() < 0.1 && (report.server_ms.max - 30.0).abs() < 0.1,
        "{report:?}"
    );
    assert_eq!((report.saved.messages, report.saved.characters), (40, 120));
    assert!(report.saved.ksr.abs() < 1e-9 && (report.saved.net + 0.25 / 3.0).abs() < 1e-9, "{report:?}");
    let table = report.to_string();
    assert!(table.contains("120 drafts") && table.contains("used 100.00 %"), "{table}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn who_is_interrupted_says_what_was_measured() {
    let service = Service::default();
    let url = start(&service).await;
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let typing = std::process::Command::new(env!("CARGO_BIN_EXE_loadtests"))
        .args([
            "type",
            "--url",
            &url,
            "--over",
            "rest",
            "--writers",
            "5",
            "--warm-up",
            "0",
            "--for",
            "3600",
            "--json",
        ])
        .arg(&json)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while service.answered.load(Ordering::Relaxed) < 50 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let kill = std::process::Command::new("kill").args(["-INT", &typing.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let ended = tokio::task::spawn_blocking(|| typing.wait_with_output()).await.unwrap().unwrap();
    let table = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success() && table.contains(", interrupted: "), "{table}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert!(report["interrupted"] == true && report["answers"].as_u64() > Some(20), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_no_answer_in_time_goes_on_and_the_older_request_is_dropped() {
    let service = Service { takes: Duration::from_secs(3_600), ..Service::default() };
    let probe = Service::default();
    let (slow, quick) = (start(&service).await, start(&probe).await);
    let options = "--over rest --writers 5 --keys-per-second 40 --warm-up 0 --for 2 --no-personal";
    let streams = typed("somebody types this in a hurry");
    // The probe before the run would wait for ever as well.
    let refused = tokio::time::timeout(Duration::from_secs(1), run(&plan(&slow, options), &streams)).await;
    assert!(refused.is_err(), "the slow one is slow");
    let reference = run(&plan(&quick, options), &streams).await.unwrap();
    assert!(reference.answers > 100 && reference.overtaken < reference.answers / 10, "{reference:?}");

    let takes = Duration::from_millis(400);
    let service = Service { takes, ..Service::default() };
    let report = run(&plan(&start(&service).await, options), &streams).await.unwrap();
    // As many keys as where answers come at once, give or take how long a machine sleeps.
    let ratio = report.drafts as f64 / reference.drafts as f64;
    assert!((0.85..1.15).contains(&ratio), "{} keys instead of {}", report.drafts, reference.drafts);
    assert!(report.overtaken > report.drafts * 8 / 10, "{report:?}");
    assert!(report.errors.is_empty(), "{report:?}");
    assert!(
        report.client_ms.p50 > 5.0,
        "what was not answered counts as long as it was waited for: {report:?}"
    );
    let (asked, done) = (&service.requests, &service.answered);
    tokio::time::sleep(takes).await;
    assert!(done.load(Ordering::Relaxed) < asked.load(Ordering::Relaxed) / 2, "the service notices");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_counted_by_what_went_wrong() {
    let url = start(&Service { fail_every: 4, ..Service::default() }).await;
    let plan = plan(&url, "--over rest --writers 1 --patient --no-personal");
    let report = run(&plan, &vec![typed("acac").remove(0); 10]).await.unwrap();

    assert_eq!(report.errors.get("503 busy in an open draft"), Some(&10));
    assert_eq!((report.unavailable, report.unavailable_open, report.waited), (10, 10, 0));
    assert_eq!((report.drafts, report.answers), (40, 30));
    assert!(report.to_string().contains("503 busy in an open draft: 10"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_come_back_types_on_without_asking_for_a_second() {
    let service = Service { fail_every: 4, ..Service::default() };
    let plan = plan(
        &start(&service).await,
        "--over rest --writers 1 --keys-per-second 20 --warm-up 0 --for 3 --no-personal",
    );
    let report = run(&plan, &typed("somebody types this in a hurry")).await.unwrap();

    let told = report.unavailable;
    assert!((1..=3).contains(&told), "once a second: {report:?}");
    assert!(report.waited > 10 * (told - 1), "{report:?}");
    assert!(report.drafts < 20 && report.drafts >= 4 * (told - 1), "{report:?}");
}

#[tokio::test]
async fn what_makes_no_sense_is_said() {
    let streams = typed("a");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = start(&Service::default()).await;
    let on = |url: &str, options: &str| {
        let (plan, streams) = (plan(url, options), streams.clone());
        async move { format!("{:#}", run(&plan, &streams).await.unwrap_err()) }
    };
    for (told, names) in [
        (on(&format!("http://{free}"), "").await, "start `foretype serve`"),
        (on("127.0.0.1:8080", "").await, "127.0.0.1:8080"),
        (on(&url, "--writers 0").await, "--writers 0"),
        (on(&url, "--for 0").await, "--for 0"),
        (on(&url, "--keys-per-second 0").await, "--keys-per-second 0"),
        (on(&url, "--slips 1.5").await, "--slips 1.5: give a share"),
        (on(&url, "--attention NaN").await, "--attention NaN"),
        (on(&url, "--budget-ms 0").await, "--budget-ms 0: give 1 to 1000"),
        (on(&url, "--for 1 --over rest --pid 4294967295").await, "no such process"),
    ] {
        assert!(told.contains(names), "{told:?} does not name {names:?}");
    }
}

fn predictors() -> Vec<Predictor> {
    vec![Predictor::Personal, Predictor::Domain, Predictor::Charlm]
}

fn bundle() -> Option<PathBuf> {
    Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle"))
}

/// The service itself over the shipped models, without the GPT-2: that is not the same on a busy machine.
async fn shipped() -> (String, TempDir) {
    let (router, data) = open();
    (serve(router).await, data)
}

fn open() -> (Router, TempDir) {
    let data = tempfile::tempdir().unwrap();
    let models = Models {
        data: Some(data.path().to_owned()),
        bundle: bundle(),
        runtime: None,
        predictors: predictors(),
        kv_mib: 1,
        inference_threads: 1,
        int4_kernel: Default::default(),
        thrift: None,
    };
    let app = foretype::serve::open_app(&models, Settings::default(), Duration::from_millis(20)).unwrap();
    (foretype::http::router(app), data)
}

fn writers(folder: &Path, context: &[Value]) -> PathBuf {
    let message = |text: &str| json!({"context": context, "text": text});
    let history = ["The Zarvox gateway dropped the nightly batch again."; 4];
    let stream = json!({
        "history": history,
        "messages": [
            message("Yes, the Zarvox gateway dropped the nightly batch again."),
            message("I will let you know when it is back."),
        ],
    });
    write(folder, &[stream.clone(), stream])
}

/// What is saved over a network by who waits, and in process, is the same to the keystroke.
async fn agrees_with_quality(over: Over, context: &[Value], no_feedback: bool) {
    let folder = tempfile::tempdir().unwrap();
    let streams = interleaved(&[writers(folder.path(), context)]).unwrap();
    let (url, _data) = shipped().await;
    let plan = Plan {
        over,
        no_feedback,
        taught: usize::MAX,
        min_confidence: Some(0.0),
        ..plan(&url, "--writers 1 --patient --budget-ms 1000")
    };
    let report = run(&plan, &streams).await.unwrap();
    assert!(report.errors.is_empty(), "{report:?}");
    let setup = Setup {
        bundle: bundle(),
        predictors: predictors(),
        no_feedback,
        min_confidence: Some(0.0),
        jobs: Some(1),
        ..Setup::default()
    };
    let figures = tokio::task::spawn_blocking(move || quality::run(&setup, &streams).unwrap()).await.unwrap();
    let same = |(a, b): (f64, f64)| (a - b).abs() < 1e-12;
    assert_eq!((report.saved.messages, report.saved.characters), (4, figures.characters));
    assert!(figures.ksr > 0.3, "{figures:?}");
    assert!(
        same((report.saved.ksr, figures.ksr)) && same((report.saved.net, figures.net)),
        "{:?} is not {figures:?}",
        report.saved
    );
    assert!(
        same((report.saved.coverage, figures.coverage)) && same((report.typed_through, figures.type_through))
    );
    assert!(same((report.saved.precision, figures.precision)));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_requests_as_much_is_saved_as_in_process() {
    let context = [json!({"role": "customer", "text": "Is it down?"})];
    agrees_with_quality(Over::Rest, &context, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_websocket_as_much_is_saved_as_in_process() {
    // Outcomes are not acknowledged there: the next key would race what was learned of them. And the conversation is known
    // when a message is learned, which in process it is not.
    agrees_with_quality(Over::Stream, &[], true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_with_every_request_and_connection() {
    let locked = async |request: Request, next: Next| {
        let shown = request.headers().get("authorization").is_some_and(|key| key == "Bearer ft_secret");
        if shown { next.run(request).await } else { StatusCode::UNAUTHORIZED.into_response() }
    };
    let (router, _data) = open();
    let url = serve(router.layer(from_fn(locked))).await;
    let streams = typed("Thanks for calling.");
    for over in ["rest", "stream"] {
        let report =
            run(&plan(&url, &format!("--over {over} --patient --key ft_secret")), &streams).await.unwrap();
        assert!(report.errors.is_empty() && report.answers > 0, "{over}: {report:?}");
        let error = run(&plan(&url, &format!("--over {over} --patient")), &streams).await.unwrap_err();
        assert!(error.to_string().contains("--key"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_type_over_a_websocket_and_the_service_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    let streams = interleaved(&[writers(folder.path(), &[])]).unwrap();
    let (url, _data) = shipped().await;
    let options = "--writers 3 --keys-per-second 40 --warm-up 1 --for 3 --slips 0.2";
    let report = run(&plan(&url, options), &streams).await.unwrap();
    assert!(report.answers > 50 && report.saved.messages > 0 && report.slips > 0, "{report:?}");
    assert!(report.errors.is_empty(), "{report:?}");
    assert!(report.first_ms.p50 <= report.client_ms.p50, "{report:?}");
    // The service is a part of this process.
    let watched = report.service.as_ref().unwrap();
    assert!(watched.resident_mib_most > 10.0 && watched.descriptors_most > 5, "{watched:?}");
    let picture = folder.path().join("run.svg");
    report.draw(&picture).unwrap();
    let drawn = std::fs::read_to_string(picture).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("milliseconds") && drawn.contains("resident, MiB"));
}
