//! `GET /admin/api/status`: what runs here, since when, and with which settings.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Admin;
use super::number::number;
use crate::clock;
use crate::engine::Predictor;
use crate::history::{FIVE_MINUTES, HOUR, STEP};

pub(super) async fn status(State(Admin { app, .. }): State<Admin>) -> Json<Value> {
    let health = app.engine.health();
    let predictors: Vec<_> = health.predictors.into_iter().map(Predictor::name).collect();
    let started = app.ledger.started;
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "bundle": health.bundle,
        "started_at": started,
        "uptime_s": (clock::now_ms() - started).max(0) / 1_000,
        "predictors": predictors,
        "budget_ms": number(app.budget.as_secs_f64() * 1e3),
        "inference_threads": app.engine.inference_threads(),
        "keys_required": app.keys.is_required(),
        "holdout_share": number(f64::from(app.holdout.share())),
        "history": {"step_s": STEP, "day_step_s": FIVE_MINUTES, "month_step_s": HOUR},
    }))
}
