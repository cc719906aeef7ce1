//! The operators' dashboard as its page asks it: what it shows, what it changes, who is refused, and that it shows no text.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use common::{Reply, Service};
use foretype::app::{App, Keystroke};
use foretype::caller::{Caller, LOCAL};
use foretype::clock;
use foretype::history::History;
use foretype::server::{self, Listeners};
use foretype::writer::Id;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Stands in what a writer teaches, and nowhere else.
const SECRET: &str = "Zebrafish";

/// A service, its operators' side, and the folder it writes.
struct Operated {
    service: Service,
    operators: Service,
    history: Arc<History>,
    folder: TempDir,
}

impl Operated {
    async fn start() -> Self {
        Self::over(tempfile::tempdir().unwrap()).await
    }

    async fn over(folder: TempDir) -> Self {
        let service = Service::over(folder.path());
        service.app.holdout.read(service.app.writers.store()).await.unwrap();
        let (app, history) = (service.app.clone(), Arc::new(History::new(service.app.clone())));
        let router = foretype::admin::router(app.clone(), Arc::clone(&history), Arc::default());
        Self { service, operators: Service { app, router }, history, folder }
    }

    /// Another process over the same folder.
    async fn restart(self) -> Self {
        let Self { service, operators, history, folder } = self;
        service.app.writers.store().close().await.unwrap();
        drop((service, operators, history));
        Self::over(folder).await
    }

    async fn get(&self, path: &str) -> Value {
        let reply = self.operators.get(&format!("/admin/api{path}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text);
        assert_eq!(reply.headers["cache-control"], "no-store", "{path}");
        reply.json()
    }

    async fn key(&self, session: &str, text: &str) -> Value {
        let body = json!({"text": text, "writer": "ann", "session": session, "min_confidence": 0});
        let reply = self.service.post("/v1/complete", body.to_string()).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        reply.json()
    }

    async fn take(&self, answer: &Value, outcome: &str, chars: u64) {
        let body = json!({"id": answer["id"], "outcome": outcome, "chars": chars}).to_string();
        assert_eq!(self.service.post("/v1/feedback", body).await.status, StatusCode::NO_CONTENT);
    }

    async fn learn(&self, writer: &str, text: &str) {
        let body = json!({"writer": writer, "text": text}).to_string();
        assert_eq!(self.service.post("/v1/learn", body).await.status, StatusCode::OK);
    }

    async fn hold_out(&self, share: Value) -> Reply {
        self.operators.put("/admin/api/holdout", json!({"share": share}).to_string()).await
    }
}

/// The value of a series at a time.
fn at(history: &Value, name: &str, time: i64) -> Value {
    let row = history["at"].as_array().unwrap().iter().position(|at| *at == json!(time));
    row.map_or(Value::Null, |row| history["series"][name][row].clone())
}

#[tokio::test]
async fn what_was_saved_is_shown_now_and_after_a_restart() {
    let operated = Operated::start().await;
    let begun = clock::now_ms() / 3_600_000 * 3_600 - 7_200;
    let answer = operated.key("s", "I can he").await;
    let length = answer["suggestions"][0]["text"].as_str().unwrap().chars().count() as u64;
    assert!(length > 2, "{answer}");
    operated.take(&answer, "partial", 2).await;
    operated.take(&answer, "accepted", length).await;
    operated.take(&answer, "accepted", length).await;
    operated.learn("ann", "I can help you.").await;

    let now = operated.get("/now").await;
    for of in ["since_start", "last_minute"] {
        assert_eq!(now[of]["answers"], 1, "{now}");
        assert_eq!(now[of]["saved_chars"], length - 1, "told twice, and saved once");
        assert_eq!((&now[of]["partial"], &now[of]["accepted"]), (&json!(1), &json!(2)));
        assert_eq!(now[of]["typed_chars"], "I can help you.".len());
        assert!(now[of]["latency_p99_ms"].as_f64().unwrap() > 0.0);
    }
    let domain = now["predictors"].as_array().unwrap().iter().find(|of| of["predictor"] == "domain").unwrap();
    assert_eq!((&domain["saved_chars"], &domain["used"]), (&json!(length - 1), &json!(1)));
    assert_eq!(now["teams"][0]["team"], Value::Null);
    assert_eq!(now["teams"][0]["saved_chars"], length - 1);

    // Stored each minute; what the next process sees of the same five minutes is added.
    operated.history.end_step(begun + 60).await;
    let operated = operated.restart().await;
    operated.key("s", "I can he").await;
    operated.key("s", "I can hel").await;
    for time in [70, 120, 300, 310, 3_600] {
        operated.history.end_step(begun + time).await;
    }
    for (range, step_s) in [("day", 300), ("month", 3_600)] {
        let history = operated.get(&format!("/history?range={range}")).await;
        assert_eq!((&history["range"], &history["step_s"]), (&json!(range), &json!(step_s)));
        assert_eq!(at(&history, "answers", begun), 3, "{range}");
        assert_eq!(at(&history, "saved_chars", begun), length - 1);
        assert_eq!(at(&history, "saved.domain", begun), length - 1);
        assert!(at(&history, "latency_p50_ms", begun).as_f64().unwrap() > 0.0);
        for column in history["series"].as_object().unwrap().values() {
            assert_eq!(column.as_array().unwrap().len(), history["at"].as_array().unwrap().len());
        }
    }

    let now = clock::now_ms() / 1_000 / 10 * 10;
    operated.key("s", "I can help").await;
    operated.history.end_step(now).await;
    let hour = operated.get("/history?range=hour").await;
    assert_eq!(at(&hour, "answers", now - 10), 1);
    assert_eq!(at(&hour, "speed_heldout", now - 10), Value::Null);
    let wrong = operated.operators.get("/admin/api/history?range=year").await;
    wrong.expect_error(422, "invalid", "range");
}

#[tokio::test]
async fn an_hour_is_kept_in_memory() {
    let operated = Operated::start().await;
    let now = clock::now_ms() / 1_000 / 10 * 10;
    for step in (0..400).rev() {
        operated.history.end_step(now - 10 * step).await;
    }
    let hour = operated.get("/history?range=hour").await;
    let times = hour["at"].as_array().unwrap();
    assert!((359..=360).contains(&times.len()), "{}", times.len());
    assert_eq!(times.last(), Some(&json!(now - 10)));
    assert_eq!(at(&hour, "answers", now - 10), 0);
    assert_eq!(at(&hour, "latency_p50_ms", now - 10), Value::Null, "nobody asked");
    assert_eq!(at(&hour, "memory_bytes", now - 10).is_number(), cfg!(target_os = "linux"));
}

#[tokio::test]
async fn teams_are_told_apart() {
    let operated = Operated::start().await;
    for (writer, team) in [("ann", "desk-4"), ("bob", "desk-4"), ("cleo", "desk-7")] {
        let path = format!("/v1/writers/{writer}/team");
        assert_eq!(operated.service.put(&path, json!({"team": team}).to_string()).await.status, 204);
    }
    for writer in ["ann", "bob", "cleo", "dan"] {
        let body = json!({"text": "I can he", "writer": writer, "min_confidence": 0}).to_string();
        let answer = operated.service.post("/v1/complete", body).await.json();
        operated.take(&answer, if writer == "cleo" { "rejected" } else { "accepted" }, 0).await;
    }
    let now = operated.get("/now").await;
    let teams = now["teams"].as_array().unwrap();
    let of = |team: Value| teams.iter().find(|of| of["team"] == team).unwrap();
    assert_eq!((&of(json!("desk-4"))["members"], &of(json!("desk-4"))["accepted"]), (&json!(2), &json!(2)));
    assert_eq!(
        (&of(json!("desk-7"))["rejected"], &of(json!("desk-7"))["saved_chars"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(of(Value::Null)["accepted"], 1);
    assert_eq!(teams[0]["team"], "desk-4", "most saved first: {now}");
}

#[tokio::test]
async fn a_share_of_sessions_is_held_out_and_it_is_remembered() {
    let operated = Operated::start().await;
    assert_eq!(operated.get("/holdout").await, json!({"share": 0}));
    let reply = operated.hold_out(json!(0.5)).await;
    assert_eq!((reply.status, reply.json()), (StatusCode::OK, json!({"share": 0.5})));
    let sides = async |operated: &Operated| {
        let mut sides = Vec::new();
        for n in 0..60 {
            let answer = operated.key(&format!("s{n}"), "I can he").await;
            assert_eq!(answer["suggestions"].as_array().unwrap().is_empty(), !answer["silence"].is_null());
            sides.push(answer["silence"] == "disabled");
        }
        sides
    };
    let held = sides(&operated).await;
    let count = held.iter().filter(|held| **held).count();
    assert!((15..=45).contains(&count), "{count} of 60");
    let now = operated.get("/now").await;
    assert_eq!(now["since_start"]["silences.disabled"], count, "{now}");

    // Its drafts are open, it learns, and how fast it types is compared.
    let session = format!("s{}", held.iter().position(|held| *held).unwrap());
    for text in ["I can hel", "I can help", "I can help "] {
        tokio::time::sleep(Duration::from_millis(20)).await;
        operated.key(&session, text).await;
    }
    operated.learn("ann", "I can help you.").await;
    // One that was asked for within the second is shown again.
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    let holdout = operated.get("/now").await["holdout"].clone();
    assert_eq!((&holdout["share"], &holdout["sessions"]), (&json!(0.5), &json!(1)), "{holdout}");
    assert!(holdout["chars_per_minute"].as_f64().unwrap() > 100.0, "{holdout}");
    assert_eq!(holdout["others"]["chars_per_minute"], Value::Null);
    for user in 0..12 {
        let body = json!({"prompt": "I can he", "user": format!("u{user}")}).to_string();
        let answer = operated.service.post("/v1/completions", body).await.json();
        assert_ne!(answer["choices"][0]["text"], "", "a plugin's session has no end: {answer}");
    }
    // With another share another comparison begins.
    for share in [0.4, 0.5] {
        assert_eq!(operated.hold_out(json!(share)).await.status, StatusCode::OK);
    }
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    let holdout = operated.get("/now").await["holdout"].clone();
    assert_eq!((&holdout["sessions"], &holdout["chars_per_minute"]), (&json!(0), &Value::Null), "{holdout}");

    let operated = operated.restart().await;
    assert_eq!(operated.get("/holdout").await, json!({"share": 0.5}));
    assert_eq!(operated.get("/status").await["holdout_share"], 0.5);
    assert_eq!(sides(&operated).await, held, "a session stays on its side");
    assert_eq!(operated.hold_out(json!(0)).await.status, StatusCode::OK);
    assert!(!sides(&operated).await.contains(&true));

    for wrong in [json!(0.51), json!(-0.1), json!("much"), Value::Null] {
        operated.hold_out(wrong).await.expect_error(422, "invalid", "share");
    }
    let text = Request::put("/admin/api/holdout").header("host", "localhost");
    let reply = operated.operators.ask(text.body(Body::from(r#"{"share":0.5}"#)).unwrap()).await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn writers_are_listed_exported_and_erased_without_a_word_of_theirs() {
    let operated = Operated::start().await;
    for writer in ["ann", "anna", "bob", "Zoe"] {
        operated.learn(writer, &format!("The {SECRET} is calibrated.")).await;
    }
    let acme = Caller::operator(&Id::new("acme").unwrap());
    let elsewhere = operated.service.app.asked_by(Arc::new(acme));
    elsewhere.assign(&Id::new("ann").unwrap(), Some(Id::new("desk-4").unwrap())).await.unwrap();

    assert_eq!(operated.get("/tenants").await, json!({"tenants": ["acme", LOCAL]}));
    let list = async |query: &str| {
        let list = operated.get(&format!("/tenants/{LOCAL}/writers{query}")).await;
        let names: Vec<_> =
            list["writers"].as_array().unwrap().iter().map(|of| of["writer"].clone()).collect();
        (json!(names), list["more"] == true)
    };
    assert_eq!(list("").await, (json!(["Zoe", "ann", "anna", "bob"]), false));
    assert_eq!(list("?prefix=ann").await, (json!(["ann", "anna"]), false));
    assert_eq!(list("?prefix=ann&limit=1").await, (json!(["ann"]), true));
    assert_eq!(list("?prefix=nobody").await, (json!([]), false));
    let own = json!({"writers": [{"writer": "ann", "warm": false, "last_seq": 0, "team": "desk-4"}], "more": false});
    assert_eq!(operated.get("/tenants/acme/writers").await, own);
    for (query, names) in [("?limit=0", "limit"), ("?limit=x", "limit"), ("?prefix=a%20b", "prefix")] {
        let path = format!("/admin/api/tenants/{LOCAL}/writers{query}");
        operated.operators.get(&path).await.expect_error(422, "invalid", names);
    }

    let ann = format!("/admin/api/tenants/{LOCAL}/writers/ann");
    let about = operated.operators.get(&ann).await.json();
    assert_eq!(about, operated.service.get("/v1/writers/ann").await.json());
    let answer = operated.key("s", &format!("The {SECRET} can he")).await;
    operated.take(&answer, "accepted", 0).await;
    operated.history.end_step(clock::now_ms() / 1_000).await;
    let paths = ["/status", "/now", "/history?range=hour", "/history?range=day", "/tenants", "/holdout"];
    for path in paths.map(|path| format!("/admin/api{path}")).iter().chain([&ann]) {
        let text = operated.operators.get(path).await.text;
        assert!(!text.to_lowercase().contains(&SECRET.to_lowercase()), "{path}: {text}");
    }

    let export = operated.operators.get(&format!("{ann}/export")).await;
    assert!(export.text.contains(SECRET) && export.headers["content-type"] == "application/jsonl");
    assert_eq!(export.headers["content-disposition"], "attachment; filename=\"ann.jsonl\"");
    let forgotten =
        operated.operators.post(&format!("{ann}/forget"), json!({"word": SECRET}).to_string()).await;
    assert_eq!(forgotten.json(), json!({"messages": 1}), "{}", forgotten.text);
    assert!(!operated.operators.get(&format!("{ann}/export")).await.text.contains(SECRET));
    assert_eq!(operated.operators.call(Method::DELETE, &ann).await.status, StatusCode::NO_CONTENT);
    operated.operators.call(Method::DELETE, &ann).await.expect_error(404, "not_found", "nothing is stored");
    operated.operators.get(&format!("{ann}/export")).await.expect_error(
        404,
        "not_found",
        "nothing is stored",
    );
    assert_eq!(list("?prefix=ann").await, (json!(["anna"]), false));
    assert_eq!(operated.get("/tenants/acme/writers").await["writers"][0]["writer"], "ann", "another's");
}

#[tokio::test]
async fn other_sites_and_proxies_are_refused() {
    let operated = Operated::start().await;
    operated.learn("ann", "Kept.").await;
    let ann = format!("/admin/api/tenants/{LOCAL}/writers/ann");
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        operated.operators.ask(request.body(Body::empty()).unwrap()).await
    };
    let foreign: [&[(&str, &str)]; 5] = [
        &[("host", "127.0.0.1:8081"), ("origin", "http://example.com")],
        &[("host", "127.0.0.1:8081"), ("origin", "http://127.0.0.1:8080")],
        &[("host", "127.0.0.1:8081"), ("origin", "null")],
        &[("host", "rebound.example.com:8081")],
        &[("host", "127.0.0.1:8081"), ("x-forwarded-for", "10.0.0.7")],
    ];
    for headers in foreign {
        for (method, path) in [
            (Method::DELETE, ann.as_str()),
            (Method::PUT, "/admin/api/holdout"),
            (Method::GET, "/admin/api/live"),
            (Method::GET, ann.as_str()),
            (Method::GET, "/admin"),
        ] {
            ask(method, path, headers).await.expect_error(403, "forbidden", "the dashboard");
        }
        assert_eq!(ask(Method::GET, "/metrics", headers).await.status, StatusCode::OK, "{headers:?}");
    }
    let own = [("host", "127.0.0.1:8081"), ("origin", "http://127.0.0.1:8081")];
    assert_eq!(ask(Method::DELETE, &ann, &own).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn the_page_is_served_whole_and_strictly() {
    let operated = Operated::start().await;
    let root = operated.operators.get("/").await;
    assert_eq!((root.status.as_u16(), &root.headers["location"]), (307, &"/admin".parse().unwrap()));
    let page = operated.operators.get("/admin").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let links = page.text.split(['"', '\'']).filter(|part| part.starts_with("/admin/assets/"));
    let links: Vec<_> = links.collect();
    assert!(links.len() >= 3, "{links:?}");
    for link in links.into_iter().chain(["/admin/assets/vendor/uPlot.js"]) {
        let file = operated.operators.get(link).await;
        assert_eq!(file.status, StatusCode::OK, "{link}");
        let policy = file.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(file.headers["cache-control"], "no-cache");
    }
    operated.operators.get("/admin/api/nothing").await.expect_error(404, "not_found", "/admin");
}

/// The service on its ports.
struct Served {
    app: App,
    admin: String,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<std::io::Result<()>>,
    _folder: TempDir,
}

async fn serve() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let app = Service::over(folder.path()).app;
    let bind = || TcpListener::bind("127.0.0.1:0");
    let listeners = Listeners { public: bind().await.unwrap(), admin: bind().await.unwrap() };
    let admin = listeners.admin.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let running = tokio::spawn(server::run(listeners, app.clone(), shutdown));
    Served { app, admin, stop, running, _folder: folder }
}

/// Server-sent events as they come.
struct Events(BufReader<TcpStream>);

impl Events {
    /// The stream, or the status line of a refusal.
    async fn open(served: &Served, headers: &str) -> Result<Self, String> {
        let mut socket = TcpStream::connect(&served.admin).await.unwrap();
        let request = format!("GET /admin/api/live HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", served.admin);
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self(BufReader::new(socket));
        let status = events.line().await.unwrap();
        if status.contains(" 200 ") { Ok(events) } else { Err(status) }
    }

    /// `None`: it ended.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(10), self.0.read_line(&mut line));
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
        session_is_named: true,
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
    assert!(refused.contains(" 503 "), "{refused}");
    open.clear();
    let patience = Instant::now();
    while Events::open(&served, "").await.is_err() {
        assert!(patience.elapsed() < Duration::from_secs(10), "their places stay taken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
