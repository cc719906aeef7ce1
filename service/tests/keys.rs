//! API keys: who is let in, for what, and as whom.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

mod common;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use common::{Reply, Service};
use foretype::caller::{Caller, Scope};
use foretype::keyring::NewKey;
use foretype::store::{Keys, StoredKey};
use foretype::writer::Id;
use serde_json::{Value, json};

/// A service with keys, and its folder.
struct Keyed {
    service: Service,
    folder: tempfile::TempDir,
}

fn id(name: &str) -> Id {
    Id::new(name).unwrap()
}

/// A key of the tenant `acme` for everything.
fn free() -> Caller {
    Caller { tenant: "acme".into(), key: None, ..Caller::local() }
}

impl Keyed {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { service: Service::over(folder.path()), folder }
    }

    /// As `foretype keys add` does it, beside the service.
    async fn add(&self, caller: Caller) -> NewKey {
        let key = NewKey::random().unwrap();
        let stored = StoredKey { id: key.id.clone(), hash: key.hash(), caller, created_at: 1 };
        Keys::open(self.folder.path()).unwrap().add(&stored).unwrap();
        self.refresh().await;
        key
    }

    async fn refresh(&self) {
        self.service.app.keys.refresh(self.service.app.writers.store()).await.unwrap();
    }

    async fn ask(&self, method: Method, path: &str, key: Option<&str>, body: Option<Value>) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "foretype.example.com");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.header("content-type", "application/json");
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.service.ask(request.body(body).unwrap()).await
    }

    async fn post(&self, path: &str, key: &NewKey, body: Value) -> Reply {
        self.ask(Method::POST, path, Some(&key.text), Some(body)).await
    }

    async fn get(&self, path: &str, key: &NewKey) -> Reply {
        self.ask(Method::GET, path, Some(&key.text), None).await
    }
}

/// All of the API, by scope.
fn paths() -> Vec<(Method, &'static str, Scope)> {
    let of_writers = |path| (Method::GET, path, Scope::Writers);
    let mut paths: Vec<_> = ["/v1/complete", "/v1/feedback", "/v1/completions", "/v1/events", "/infill"]
        .map(|path| (Method::POST, path, Scope::Complete))
        .into();
    paths.extend(
        ["/v1/models", "/v1/models/foretype", "/v1/health", "/v1beta/server_setting"]
            .map(|path| (Method::GET, path, Scope::Complete)),
    );
    paths.extend(["/v1/learn", "/v1/writers/ann/import"].map(|path| (Method::POST, path, Scope::Learn)));
    paths.extend(["/v1/writers/ann", "/v1/writers/ann/export", "/v1/writers/ann/snippets"].map(of_writers));
    paths.extend(["/v1/writers/ann/blocked", "/v1/teams/desk"].map(of_writers));
    paths.push((Method::DELETE, "/v1/writers/ann", Scope::Writers));
    paths.push((Method::POST, "/v1/writers/ann/forget", Scope::Writers));
    paths.push((Method::PUT, "/v1/writers/ann/team", Scope::Writers));
    paths
}

#[tokio::test]
async fn every_path_of_the_api_wants_a_key_for_it() {
    let keyed = Keyed::start();
    let description = keyed.service.get("/openapi.json").await.json();
    let described = description["paths"].as_object().unwrap().len();
    let mut tried: Vec<_> = paths()
        .iter()
        .map(|(_, path, _)| {
            path.replace("/ann", "/{writer}").replace("/desk", "/{team}").replace("/foretype", "/{id}")
        })
        .collect();
    tried.sort();
    tried.dedup();
    assert_eq!(tried.len() + 1, described, "all but /v1/stream are tried here");
    let keys = [
        keyed.add(Caller { scopes: vec![Scope::Complete], ..free() }).await,
        keyed.add(Caller { scopes: vec![Scope::Learn], ..free() }).await,
        keyed.add(Caller { scopes: vec![Scope::Writers], ..free() }).await,
    ];
    for (method, path, scope) in paths() {
        let ask = async |key: Option<&str>| keyed.ask(method.clone(), path, key, Some(json!({}))).await;
        let none = ask(None).await;
        assert_eq!(none.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(none.text.contains("authorization: Bearer"), "{}", none.text);
        assert_eq!(none.headers["www-authenticate"], "Bearer");
        for wrong in ["", "none", "ft-000000000000-0", &format!("{}0", keys[0].text)] {
            let refused = ask(Some(wrong)).await;
            assert!(refused.status == StatusCode::UNAUTHORIZED && refused.text.contains("does not hold"));
        }
        for (key, of) in keys.iter().zip(Scope::ALL) {
            let reply = ask(Some(&key.text)).await;
            if of == scope {
                assert!(![401, 403].contains(&reply.status.as_u16()), "{path} by {of}: {}", reply.text);
            } else {
                assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path} by {of}");
                assert!(reply.text.contains(scope.name()), "{}", reply.text);
            }
        }
    }
    assert_eq!(keyed.ask(Method::GET, "/docs/", None, None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_has_no_key_is_told_so_in_the_protocol_of_the_path() {
    let keyed = Keyed::start();
    keyed.add(free()).await;
    let error = async |path| {
        let reply = keyed.ask(Method::POST, path, None, Some(json!({}))).await;
        assert_eq!(
            (reply.status, reply.headers["x-content-type-options"].to_str().unwrap()),
            (StatusCode::UNAUTHORIZED, "nosniff")
        );
        reply
    };
    error("/v1/complete").await.expect_error(401, "unauthorized", "send an API key");
    let openai = error("/v1/completions").await.json();
    assert_eq!(
        (&openai["error"]["type"], &openai["error"]["param"]),
        (&json!("invalid_request_error"), &Value::Null)
    );
    assert_eq!(error("/infill").await.json()["error"]["type"], "authentication_error");
    let tabby = error("/v1/events").await;
    assert!(tabby.headers["content-type"].to_str().unwrap().starts_with("text/plain"), "{}", tabby.text);
}

#[tokio::test]
async fn a_key_bound_to_a_writer_makes_an_unchanged_plugin_personal() {
    let keyed = Keyed::start();
    let ann = keyed.add(Caller { writer: Some(id("ann")), ..free() }).await;
    for text in ["The zorbex is calibrated.", "We cleaned the zorbex."] {
        assert_eq!(keyed.post("/v1/learn", &ann, json!({"text": text})).await.status, StatusCode::OK);
    }
    assert_eq!(keyed.get("/v1/writers/ann", &ann).await.json()["messages"], 2);
    let answer = keyed.post("/v1/completions", &ann, json!({"prompt": "I can he"})).await.json();
    let dismissed = json!({"type": "dismiss", "completion_id": answer["id"], "choice_index": 0});
    assert_eq!(keyed.post("/v1/events", &ann, dismissed).await.status, StatusCode::OK);
    assert_eq!(keyed.get("/v1/writers/ann", &ann).await.json()["outcomes"]["rejected"], 1, "it is hers");
    assert_eq!(
        keyed.post("/v1/complete", &ann, json!({"text": "a", "writer": "ann"})).await.status,
        StatusCode::OK
    );
    let another = "another writer";
    keyed.post("/v1/complete", &ann, json!({"text": "a", "writer": "ben"})).await.expect_error(
        403,
        "forbidden",
        another,
    );
    keyed.post("/v1/learn", &ann, json!({"text": "a", "writer": "ben"})).await.expect_error(
        403,
        "forbidden",
        another,
    );
    keyed.get("/v1/writers/ben", &ann).await.expect_error(403, "forbidden", another);
    let plugin = keyed.post("/v1/completions", &ann, json!({"prompt": "a", "user": "ben"})).await;
    assert!(plugin.status == StatusCode::FORBIDDEN && plugin.text.contains(another), "{}", plugin.text);
    let join =
        keyed.ask(Method::PUT, "/v1/writers/ann/team", Some(&ann.text), Some(json!({"team": "desk"}))).await;
    join.expect_error(403, "forbidden", "cannot change teams");
}

#[tokio::test]
async fn nameless_plugins_of_one_key_do_not_meet() {
    let keyed = Keyed::start();
    let (company, ann) =
        (keyed.add(free()).await, keyed.add(Caller { writer: Some(id("ann")), ..free() }).await);
    // What one dismisses stays away from whoever has a session, and only from them.
    for (key, user, stays_away) in
        [(&company, None, false), (&company, Some("ben"), true), (&ann, None, true)]
    {
        let ask = async || {
            keyed.post("/v1/completions", key, json!({"prompt": "I can he", "user": user})).await.json()
        };
        let answer = ask().await;
        let dismissed = json!({"type": "dismiss", "completion_id": answer["id"], "choice_index": 0});
        assert_eq!(keyed.post("/v1/events", key, dismissed).await.status, StatusCode::OK);
        let again = ask().await["choices"][0]["text"] == answer["choices"][0]["text"];
        assert_eq!(again, !stays_away, "{user:?}");
    }
}

#[tokio::test]
async fn another_tenants_writer_does_not_exist() {
    let keyed = Keyed::start();
    let acme = keyed.add(free()).await;
    let other = keyed.add(Caller { tenant: "other".into(), ..free() }).await;
    keyed.post("/v1/learn", &acme, json!({"writer": "ann", "text": "The zorbex is calibrated."})).await;
    assert_eq!(keyed.get("/v1/writers/ann", &acme).await.json()["messages"], 1);
    for path in ["/v1/writers/ann", "/v1/writers/ann/export", "/v1/writers/ann/snippets"] {
        keyed.get(path, &other).await.expect_error(404, "not_found", "nothing is stored");
    }
    keyed.ask(Method::DELETE, "/v1/writers/ann", Some(&other.text), None).await.expect_error(
        404,
        "not_found",
        "",
    );
    let answer = keyed.post("/v1/complete", &acme, json!({"text": "I can he", "writer": "ann"})).await.json();
    let judged = json!({"id": answer["id"], "outcome": "accepted"});
    keyed.post("/v1/feedback", &other, judged.clone()).await.expect_error(404, "not_found", "");
    let ben = keyed.add(Caller { writer: Some(id("ben")), ..free() }).await;
    keyed.post("/v1/feedback", &ben, judged.clone()).await.expect_error(404, "not_found", "");
    assert_eq!(keyed.post("/v1/feedback", &acme, judged).await.status, StatusCode::NO_CONTENT);
    let nameless = keyed.post("/v1/complete", &acme, json!({"text": "I can he"})).await.json();
    let judged = json!({"id": nameless["id"], "outcome": "accepted"});
    keyed.post("/v1/feedback", &other, judged).await.expect_error(404, "not_found", "");
    assert_eq!(
        keyed.ask(Method::DELETE, "/v1/writers/ann", Some(&acme.text), None).await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn a_key_of_a_team_puts_its_writers_into_it() {
    let keyed = Keyed::start();
    let desk = keyed.add(Caller { team: Some(id("desk")), ..free() }).await;
    keyed.post("/v1/learn", &desk, json!({"writer": "ann", "text": "I can help you."})).await;
    assert_eq!(keyed.get("/v1/writers/ann", &desk).await.json()["team"], "desk");
    assert_eq!(keyed.get("/v1/teams/desk", &desk).await.json()["members"], 1);
    keyed.get("/v1/teams/sales", &desk).await.expect_error(403, "forbidden", "another team");
    keyed.post("/v1/learn", &desk, json!({"writer": "ann", "text": "I can help you."})).await;
    assert_eq!(keyed.get("/v1/teams/desk", &desk).await.json()["taught_by"], 1);
}

#[tokio::test]
async fn what_is_revoked_holds_no_more_and_the_door_stays_shut() {
    let keyed = Keyed::start();
    let local = keyed.service.post("/v1/complete", r#"{"text":"I can he"}"#).await;
    assert_eq!(local.status, StatusCode::OK, "without keys this machine may ask");
    let key = keyed.add(free()).await;
    assert_eq!(keyed.post("/v1/complete", &key, json!({"text": "I can he"})).await.status, StatusCode::OK);
    let mut keys = Keys::open(keyed.folder.path()).unwrap();
    assert_eq!(keys.list().unwrap().len(), 1);
    assert!(keys.revoke(&key.id).unwrap() && !keys.revoke(&key.id).unwrap());
    keyed.refresh().await;
    keyed.post("/v1/complete", &key, json!({"text": "I can he"})).await.expect_error(
        401,
        "unauthorized",
        "revoked",
    );
    let local = keyed.service.post("/v1/complete", r#"{"text":"I can he"}"#).await;
    local.expect_error(401, "unauthorized", "send an API key");
}

#[tokio::test]
async fn only_the_hash_is_stored() {
    let keyed = Keyed::start();
    let key = keyed.add(free()).await;
    let secret = key.text.rsplit_once('-').unwrap().1.as_bytes();
    for file in std::fs::read_dir(keyed.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
}
