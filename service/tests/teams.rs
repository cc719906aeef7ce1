//! Teams over a real store: what enough members write reaches the others, what fewer write does not, and all of it can be taken
//! back.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, dead_code, reason = "the shared module is not a crate")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Method;
use foretype::app::App;
use foretype::caller::Caller;
use foretype::engine::{Engine, Predictor, Settings as Models};
use foretype::http;
use foretype::metrics::Metrics;
use foretype::store::{Sqlite, Store, TeamKey};
use foretype::wire::CompleteRequest;
use foretype::writer::{Id, Settings, Writers};
use serde_json::{Value, json};

mod common;

use common::Service;

/// What no model of the bundle says by itself.
const PHRASE: &str = "Kindly frobnicate the Zebrafish quorum";

fn open(folder: &Path) -> Service {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle");
    let predictors = vec![Predictor::Charlm, Predictor::Domain, Predictor::Personal, Predictor::Team];
    let engine = Engine::open(&Models::new(bundle, predictors)).unwrap();
    let (engine, metrics) = (Arc::new(engine), Arc::new(Metrics::default()));
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(folder, Box::new(|_, _| {})).unwrap());
    let settings = Settings { team_writers: 3, ..Settings::default() };
    let writers = Writers::new(store, settings, Arc::clone(&engine));
    let app = App::new(engine, writers, metrics, Duration::from_secs(1));
    Service { router: http::router(app.clone()), app }
}

impl Service {
    async fn join(&self, writer: &str, team: &str) {
        let reply = self.put(&format!("/v1/writers/{writer}/team"), json!({"team": team}).to_string()).await;
        assert_eq!(reply.status, 204, "{}", reply.text);
    }

    async fn learn(&self, writer: &str, text: &str) {
        let body = json!({"writer": writer, "text": text});
        assert_eq!(self.post("/v1/learn", body.to_string()).await.status, 200);
    }

    /// What the team shares by now; asking makes it follow the store to the end.
    async fn about(&self, team: &str) -> Value {
        self.get(&format!("/v1/teams/{team}")).await.json()
    }

    /// The best suggestion.
    async fn complete(&self, writer: &str, text: &str) -> Value {
        let body = json!({"writer": writer, "text": text, "min_confidence": 0, "budget_ms": 1000});
        self.post("/v1/complete", body.to_string()).await.json()
    }

    /// Drops what is in memory of a team, as if nobody had asked for it for long.
    fn forget(&self, team: &str) {
        self.app.writers.teams().forget(&TeamKey { tenant: "default".into(), team: team.into() });
    }

    async fn suggests(&self, writer: &str, text: &str) -> String {
        self.complete(writer, text).await["suggestions"][0]["text"].as_str().unwrap_or_default().to_owned()
    }

    /// Which n-grams are published, in bytes: equal bytes are equal models.
    async fn model(&self, team: &str) -> Vec<u8> {
        let key = TeamKey { tenant: "default".into(), team: team.into() };
        let teams = self.app.writers.teams();
        let team = teams.get(&key);
        teams.follow(&team).await.unwrap();
        let shared = team.read();
        [shared.model.to_bytes(), shared.weights.to_bytes()].concat()
    }
}

#[tokio::test]
async fn what_enough_members_write_is_suggested_to_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let service = open(folder.path());
    for writer in ["anna", "ben", "cleo", "dora"] {
        service.join(writer, "desk").await;
    }
    service.learn("ben", PHRASE).await;
    service.learn("ben", PHRASE).await;
    service.learn("cleo", PHRASE).await;
    assert_eq!(service.about("desk").await["phrases"], 0, "two writers are too few");
    assert!(!service.suggests("anna", "Kindly frobnicate the Zebr").await.starts_with("afish"));

    service.learn("dora", PHRASE).await;
    let about = service.about("desk").await;
    assert_eq!((&about["members"], &about["taught_by"]), (&json!(4), &json!(3)));
    assert!(about["phrases"].as_u64() > Some(5), "{about}");
    let suggested = service.suggests("anna", "Kindly frobnicate the Zebr").await;
    assert!(suggested.starts_with("afish"), "{suggested:?}");
    let answer = service.complete("anna", "Kindly frobnicate the Zebr").await;
    assert_eq!(answer["suggestions"][0]["predictor"], "team");
    assert_eq!(answer["predictors"]["team"], "used");
    // Who is in no team, in another one, or nobody, is told nothing.
    service.join("eve", "other").await;
    service.learn("frank", "Good morning").await;
    for stranger in ["eve", "frank"] {
        assert!(
            !service.suggests(stranger, "Kindly frobnicate the Zebr").await.starts_with("afish"),
            "{stranger}"
        );
        assert_eq!(service.complete(stranger, "Kindly ").await["predictors"]["team"], "empty");
    }
}

#[tokio::test]
async fn a_key_of_a_team_shows_what_it_shares_from_the_first_word() {
    let folder = tempfile::tempdir().unwrap();
    let service = open(folder.path());
    for writer in ["anna", "ben", "cleo"] {
        service.join(writer, "desk").await;
        service.learn(writer, PHRASE).await;
    }
    service.about("desk").await;
    let ask = async |team: Option<&str>, writer: Option<&str>| {
        let team = team.map(|team| Id::new(team).unwrap());
        let app = service.app.asked_by(Arc::new(Caller { team, ..Caller::local() }));
        let body = json!({"text": "Kindly frobnicate the Zebr", "writer": writer, "min_confidence": 0, "budget_ms": 1000});
        let request: CompleteRequest = serde_json::from_value(body).unwrap();
        let answer = app.complete(request.check().unwrap(), Instant::now()).await.unwrap();
        answer.completion.suggestions.first().map(|best| best.text.clone()).unwrap_or_default()
    };
    for writer in [Some("zoe"), None] {
        assert!(ask(Some("desk"), writer).await.starts_with("afish"), "{writer:?}");
        for team in [Some("other"), None] {
            assert!(!ask(team, writer).await.starts_with("afish"), "{writer:?} in {team:?}");
        }
    }
    service.join("eve", "sales").await;
    assert!(!ask(Some("desk"), Some("eve")).await.starts_with("afish"), "their own team goes before");
}

#[tokio::test]
async fn who_leaves_or_is_erased_takes_everything_back() {
    let folder = tempfile::tempdir().unwrap();
    let service = open(folder.path());
    let taught = async || {
        for writer in ["anna", "ben", "cleo"] {
            service.join(writer, "desk").await;
            service.learn(writer, PHRASE).await;
        }
        assert!(service.about("desk").await["phrases"].as_u64() > Some(5));
    };
    taught().await;
    assert_eq!(service.call(Method::DELETE, "/v1/writers/cleo/team").await.status, 204);
    let about = service.about("desk").await;
    assert_eq!((&about["members"], &about["words"], &about["phrases"]), (&json!(2), &json!(0), &json!(0)));
    assert!(service.suggests("cleo", "Kindly frobnicate the Zebr").await.starts_with("afish"), "still hers");
    service.join("cleo", "desk").await;
    assert_eq!(service.about("desk").await["phrases"], 0, "what was taken back stays so");

    taught().await;
    assert_eq!(service.call(Method::DELETE, "/v1/writers/ben").await.status, 204);
    let about = service.about("desk").await;
    assert_eq!((&about["members"], &about["phrases"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn what_a_member_forgets_the_team_forgets() {
    let folder = tempfile::tempdir().unwrap();
    let service = open(folder.path());
    for writer in ["anna", "ben", "cleo"] {
        service.join(writer, "desk").await;
        service.learn(writer, PHRASE).await;
    }
    service.join("dora", "desk").await;
    let draft = "Kindly frobnicate the Zebr";
    service.about("desk").await;
    assert!(service.suggests("dora", draft).await.starts_with("afish"));
    let forget = json!({"word": "zebrafish"}).to_string();
    let reply = service.post("/v1/writers/ben/forget", forget).await;
    assert_eq!(reply.json(), json!({"messages": 1}));
    let about = service.about("desk").await;
    assert_eq!((&about["members"], &about["taught_by"]), (&json!(4), &json!(3)), "one writer is still one");
    assert!(!service.suggests("dora", draft).await.starts_with("afish"), "two writers are too few");
    assert!(service.suggests("dora", "Kindly frobn").await.starts_with("icate"), "the rest stays");
    assert!(service.suggests("anna", draft).await.starts_with("afish"), "still hers");
}

#[tokio::test]
async fn a_team_folded_again_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let service = open(folder.path());
    // The store's order is not that of the writers.
    for writer in ["anna", "ben", "cleo", "dora"] {
        service.join(writer, "desk").await;
    }
    for round in 0..12 {
        for writer in ["dora", "anna", "cleo", "ben"].iter().skip(round % 3) {
            service.learn(writer, &format!("{PHRASE} in round {}, please", round % 4)).await;
        }
        // Followed a piece at a time.
        service.about("desk").await;
    }
    let live = service.model("desk").await;
    service.forget("desk");
    assert!(service.model("desk").await == live);
}

/// Keystrokes and lessons of a whole team at once, while it is folded.
#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let service = Arc::new(open(folder.path()));
    let members: Vec<_> = (0..8).map(|n| format!("writer-{n}")).collect();
    for writer in &members {
        service.join(writer, "desk").await;
    }
    let typists = members.iter().cloned().map(|writer| {
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            for n in 0..10 {
                service.learn(&writer, &format!("{PHRASE}, case {n}")).await;
                service.complete(&writer, "Kindly frob").await;
            }
        })
    });
    for typist in typists.collect::<Vec<_>>() {
        typist.await.unwrap();
    }
    let live = service.model("desk").await;
    assert_eq!(service.about("desk").await["taught_by"], 8);
    service.forget("desk");
    assert!(service.model("desk").await == live);
}

#[tokio::test]
async fn teams_are_told_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::over(folder.path());
    let path = "/v1/writers/anna/team";
    service.put(path, json!({"team": "a b"}).to_string()).await.expect_error(422, "invalid", "team");
    service.put(path, "{}").await.expect_error(422, "invalid", "team");
    service
        .put("/v1/writers/a%20b/team", json!({"team": "a"}).to_string())
        .await
        .expect_error(422, "invalid", "writer");
    service.call(Method::DELETE, path).await.expect_error(404, "not_found", "writer");
    service.get("/v1/teams/desk").await.expect_error(404, "not_found", "team");
    service.join("anna", "desk").await;
    service.join("anna", "desk").await;
    let about = service.get("/v1/writers/anna").await.json();
    assert_eq!((&about["team"], &about["seq"]), (&json!("desk"), &json!(0)));
    assert_eq!(service.about("desk").await["members"], 1);
    service.join("anna", "other").await;
    service.get("/v1/teams/desk").await.expect_error(404, "not_found", "team");
    assert_eq!(service.call(Method::DELETE, path).await.status, 204);
    service.get("/v1/writers/anna").await.expect_error(404, "not_found", "writer");
}
