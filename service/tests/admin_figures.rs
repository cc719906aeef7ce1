//! The operators' dashboard: what its figures count, and what of them outlives a restart.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use common::operated::Operated;
use foretype::clock;
use serde_json::{Value, json};

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
        assert_eq!((&now[of]["partial"], &now[of]["accepted"]), (&json!(1), &json!(1)), "told again");
        assert_eq!(now[of]["sent_chars"], "I can help you.".len());
        assert_eq!(now[of]["sent_saved"], length - 1, "all of it in what was sent");
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
    let domain = operated.row("predictors", "domain").await;
    assert_eq!((&domain["skipped"], &domain["used"]), (&json!(0), &json!(60 - count)), "{domain}");
    let page = operated.service.app.metrics_page();
    for (status, count) in [("held_out", count), ("skipped", 0), ("used", 60 - count)] {
        let sample =
            format!("foretype_predictors_total{{predictor=\"domain\",status=\"{status}\"}} {count}\n");
        assert!(page.contains(&sample), "{sample} of\n{page}");
    }

    // Its drafts are open, it learns, and how fast it types is compared.
    let session = format!("s{}", held.iter().position(|held| *held).unwrap());
    for text in ["I can hel", "I can help", "I can help "] {
        tokio::time::sleep(Duration::from_millis(20)).await;
        operated.key(&session, text).await;
    }
    operated.learn("ann", "I can help you.").await;
    let holdout = operated.now().await["holdout"].clone();
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
    let holdout = operated.now().await["holdout"].clone();
    assert_eq!((&holdout["sessions"], &holdout["chars_per_minute"]), (&json!(0), &Value::Null), "{holdout}");

    let operated = operated.restart().await;
    assert_eq!(operated.get("/holdout").await, json!({"share": 0.5}));
    assert_eq!(operated.get("/status").await["holdout_share"], 0.5);
    assert_eq!(sides(&operated).await, held, "a session stays on its side");
    assert_eq!(operated.hold_out(json!(0)).await.status, StatusCode::OK);
    assert!(!sides(&operated).await.contains(&true));

    for wrong in [json!(0.51), json!(-0.1), json!(1e-40), json!(0.0009), json!("much"), Value::Null] {
        operated.hold_out(wrong).await.expect_error(422, "invalid", "share");
    }
    let text = Request::put("/admin/api/holdout").header("host", "localhost");
    let reply = operated.operators.ask(text.body(Body::from(r#"{"share":0.5}"#)).unwrap()).await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

/// Two keys in each of many sessions, as fast as keys count.
async fn type_in_sessions(operated: &Operated, sessions: usize) {
    for n in 0..sessions {
        for text in ["I can he", "I can hel"] {
            operated.key(&format!("s{n}"), text).await;
        }
    }
}

#[tokio::test]
async fn what_is_told_of_all_time_outlives_a_restart() {
    let operated = Operated::start().await;
    assert_eq!(operated.hold_out(json!(0.5)).await.status, StatusCode::OK);
    let team = json!({"team": "desk-4"}).to_string();
    assert_eq!(operated.service.put("/v1/writers/ann/team", team).await.status, StatusCode::NO_CONTENT);
    type_in_sessions(&operated, 120).await;
    let take = async |operated: &Operated| {
        // Whoever is not held out.
        for n in 0.. {
            let answer = operated.key(&format!("s{n}"), "I can he").await;
            if answer["silence"].is_null() {
                return operated.take(&answer, "accepted", 0).await;
            }
        }
    };
    take(&operated).await;
    let step = clock::now_ms() / 10_000 * 10;
    operated.history.end_step(step).await;
    let before = operated.now().await;
    let holdout = &before["holdout"];
    assert!(holdout["sessions"].as_u64().unwrap() >= 30, "{holdout}");
    assert!(holdout["difference"]["low"].as_f64() <= holdout["difference"]["faster"].as_f64(), "{holdout}");
    assert!(holdout["difference"]["faster"].is_number(), "{holdout}");

    let operated = operated.restart().await;
    let after = operated.now().await;
    for of in ["holdout", "teams", "predictors", "tables_since"] {
        assert_eq!(after[of], before[of], "{of}");
    }
    assert_eq!(after["since_start"]["answers"], 0);
    let hour = operated.get("/history?range=hour").await;
    assert!(at(&hour, "answers", step - 10).as_u64().unwrap() > 240, "the hour is there as well");
    take(&operated).await;
    assert_eq!(operated.row("teams", "desk-4").await["accepted"], 2, "it goes on");
    assert_eq!(operated.row("predictors", "domain").await["accepted"], 2);

    // A comparison that is over does not come back, not even when nobody was told of its end.
    for share in [0.4, 0.5] {
        assert_eq!(operated.hold_out(json!(share)).await.status, StatusCode::OK);
    }
    let operated = operated.crash().await;
    let after = operated.now().await;
    assert_eq!((&after["holdout"]["sessions"], &after["holdout"]["difference"]), (&json!(0), &Value::Null));
    assert_eq!(after["predictors"], before["predictors"], "what was not stored is lost, and no more");
}

#[tokio::test]
async fn a_share_is_told_of_what_was_sent_only() {
    let operated = Operated::start().await;
    let figures = async |operated: &Operated| {
        let now = operated.now().await["since_start"].clone();
        ["saved_chars", "sent_saved", "sent_chars", "learned"].map(|name| now[name].as_u64().unwrap())
    };
    let text = "I can help you.";
    let length = text.len() as u64;
    let answer = operated.key("s", "I can he").await;
    let saved = answer["suggestions"][0]["text"].as_str().unwrap().chars().count() as u64 - 1;
    operated.take(&answer, "accepted", 0).await;
    let lesson = json!({"writer": "ann", "text": text, "idempotency_key": "k"}).to_string();
    for _ in 0..3 {
        assert_eq!(operated.service.post("/v1/learn", lesson.clone()).await.status, StatusCode::OK);
    }
    assert_eq!(figures(&operated).await, [saved, saved, length, 1], "a retry sends nothing");

    // A plugin tells what was taken, and not what was sent.
    let body = json!({"prompt": "I can he", "user": "ann"}).to_string();
    let choice = operated.service.post("/v1/completions", body).await.json();
    let event = json!({"type": "select", "completion_id": choice["id"], "choice_index": 0}).to_string();
    assert_eq!(operated.service.post("/v1/events", event).await.status, StatusCode::OK);
    let plugin = choice["choices"][0]["text"].as_str().unwrap().chars().count() as u64 - 1;
    operated.learn("ann", text).await;
    operated.learn("bob", text).await;
    assert_eq!(figures(&operated).await, [saved + plugin, saved, length, 3]);

    assert_eq!(operated.hold_out(json!(0.5)).await.status, StatusCode::OK);
    for n in 0.. {
        let answer = operated.key(&format!("h{n}"), "I can he").await;
        operated.learn("ann", text).await;
        if answer["silence"] == "disabled" {
            let [.., sent, learned] = figures(&operated).await;
            assert_eq!((sent, learned), (length * (n + 1), 3 + n + 1), "all but the one that was held out");
            break;
        }
    }
}

#[tokio::test]
async fn writers_who_type_are_counted_once_each() {
    let operated = Operated::start().await;
    for (writer, learn) in
        [(json!("ann"), true), (json!("bob"), true), (json!("cleo"), false), (Value::Null, true)]
    {
        for text in ["I can h", "I can he"] {
            let body = json!({"text": text, "writer": writer, "session": "s", "learn": learn}).to_string();
            assert_eq!(operated.service.post("/v1/complete", body).await.status, StatusCode::OK);
        }
    }
    let now = operated.now().await;
    for of in ["writers_minute", "writers_hour"] {
        assert_eq!(
            now["last_minute"][of], 2,
            "nothing is kept of who says so, nor of who has no name: {now}"
        );
    }
    let page = operated.service.app.metrics_page();
    for within in ["minute", "hour"] {
        assert!(page.contains(&format!("foretype_writers_active{{within=\"{within}\"}} 2\n")), "{page}");
    }
    let step = clock::now_ms() / 10_000 * 10;
    operated.history.end_step(step).await;
    assert_eq!(at(&operated.get("/history?range=hour").await, "writers_minute", step - 10), 2);
}
