//! `GET /admin/api/now`: the service since its start, in the last minute, and what is told of all time. Made at most once a second,
//! whoever asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Admin;
use super::number::number;
use crate::app::{App, mean_factors};
use crate::clock;
use crate::engine::{Outcome, Predictor, Status};
use crate::history::Step;
use crate::ledger::{Count, ENOUGH_SESSIONS, Group, OUTCOMES, PROPOSERS, Saved, Totals, Who};
use crate::store::{Failure, TeamKey};

/// How long one is as good as new.
const FRESH: Duration = Duration::from_secs(1);
/// The same of how many are in a team, which the store counts.
const COUNTED: Duration = Duration::from_secs(30);
/// Teams that are listed.
const TEAMS: usize = 100;

/// The last one made. Held while the next is.
#[derive(Default)]
pub(super) struct Now(Mutex<Made>);

#[derive(Default)]
struct Made {
    text: Option<(Instant, Arc<str>)>,
    members: HashMap<TeamKey, (Instant, u64)>,
}

pub(super) async fn now(State(admin): State<Admin>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text(&admin).await.to_string())
}

/// As JSON.
pub(super) async fn text(admin: &Admin) -> Arc<str> {
    let mut made = admin.now.0.lock().await;
    if let Some((at, text)) = &made.text
        && at.elapsed() < FRESH
    {
        return Arc::clone(text);
    }
    let (whole, minute, window) = admin.history.now().await;
    let teams = teams(&admin.app, &mut made.members).await;
    let (since, of_all_time) = admin.app.ledger.of_all_time();
    let text: Arc<str> = json!({
        "at": clock::now_ms() / 1_000,
        "since_start": values(&whole),
        "window_s": window.as_secs(),
        "last_minute": values(&minute),
        "tables_since": since,
        "teams": teams,
        "predictors": PROPOSERS.map(|who| predictor(&of_all_time, who)),
        "holdout": holdout(&admin.app),
        "store_failed": store_failed(&admin.app),
        "keys": admin.app.keys.count(),
    })
    .to_string()
    .into();
    made.text = Some((Instant::now(), Arc::clone(&text)));
    text
}

fn values(step: &Step) -> Map<String, Value> {
    step.series().into_iter().map(|(name, value)| (name.into_owned(), number(value))).collect()
}

fn predictor(of_all_time: &Totals, who: Predictor) -> Value {
    let count = |count| of_all_time.count(count);
    let judged = |outcome| count(Count::Judged(who, outcome));
    // Snippets are no member of the mixture.
    let member = |status| (who != Predictor::Snippet).then(|| count(Count::Member(who, status)));
    json!({
        "predictor": who.name(),
        "saved_chars": count(Count::Saved(who)),
        "accepted": judged(Outcome::Accepted),
        "partial": judged(Outcome::Partial),
        "rejected": judged(Outcome::Rejected),
        "used": member(Status::Used),
        "late": member(Status::Late),
        "skipped": member(Status::Skipped),
    })
}

fn holdout(app: &App) -> Value {
    let compared = app.ledger.compared();
    let group = |group| json!({"sessions": compared.sessions(group), "chars_per_minute": number(compared.speed(group))});
    let mut held = group(Group::HeldOut);
    held["share"] = number(f64::from(app.holdout.share()));
    held["since"] = compared.begun.into();
    held["others"] = group(Group::Others);
    held["enough_sessions"] = ENOUGH_SESSIONS.into();
    held["difference"] = compared.difference().map_or(Value::Null, |difference| {
        let [faster, low, high] = [difference.faster, difference.low, difference.high].map(number);
        json!({"faster": faster, "low": low, "high": high})
    });
    held
}

/// What the store failed in since the start; null: in nothing.
fn store_failed(app: &App) -> Value {
    let state = app.writers.store().state();
    let told = |(why, at): (Failure, i64)| json!({"reason": why.name(), "at": at / 1_000, "times": state.failures[why as usize]});
    state.failed.map_or(Value::Null, told)
}

/// The teams that saved most. How many are in one is counted now and then.
async fn teams(app: &App, members: &mut HashMap<TeamKey, (Instant, u64)>) -> Vec<Value> {
    let listed = app.ledger.teams(TEAMS);
    members.retain(|_, (at, _)| at.elapsed() < COUNTED);
    let unknown: Vec<_> =
        listed.iter().filter_map(|(who, _)| key(who)).filter(|key| !members.contains_key(key)).collect();
    let counted = join_all(unknown.iter().map(|key| app.writers.store().members(key))).await;
    let known = unknown.into_iter().zip(counted).filter_map(|(key, count)| Some((key, count.ok()?)));
    members.extend(known.map(|(key, count)| (key, (Instant::now(), count))));
    listed.iter().map(|(who, saved)| team(app, who, saved, members)).collect()
}

fn key(who: &Who) -> Option<TeamKey> {
    Some(TeamKey { tenant: Arc::clone(&who.tenant), team: Arc::clone(who.team.as_ref()?) })
}

fn team(app: &App, who: &Who, saved: &Saved, members: &HashMap<TeamKey, (Instant, u64)>) -> Value {
    let key = key(who);
    let members = key.as_ref().and_then(|key| members.get(key)).map(|(_, count)| count);
    let held = key.as_ref().and_then(|key| app.writers.teams().peek(key));
    let weights = held.map(|team| mean_factors(&team.read().weights));
    let named = |weights| Predictor::ALL.into_iter().map(Predictor::name).zip(weights);
    let weights: Map<_, _> = weights
        .into_iter()
        .flat_map(named)
        .map(|(name, weight)| (name.to_owned(), number(f64::from(weight))))
        .collect();
    let mut told = json!({
        "tenant": who.tenant,
        "team": who.team,
        "members": members,
        "saved_chars": saved.characters,
        "weights": weights,
    });
    for (outcome, times) in OUTCOMES.into_iter().zip(saved.outcomes) {
        told[outcome.name()] = times.into();
    }
    told
}
