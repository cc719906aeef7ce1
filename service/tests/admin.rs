//! The operators' dashboard as its page asks it: writers, who is refused, and that it shows no text.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use common::operated::Operated;
use foretype::caller::{Caller, LOCAL};
use foretype::clock;
use foretype::writer::Id;
use serde_json::{Value, json};

/// Stands in what a writer teaches, and nowhere else.
const SECRET: &str = "Zebrafish";

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
    let wrong = operated.operators.call(Method::DELETE, "/metrics").await;
    wrong.expect_error(405, "method_not_allowed", "see /admin");
}
