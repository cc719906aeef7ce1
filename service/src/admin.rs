//! The operators' listener: health, readiness, metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::app::App;
use crate::engine::Predictor;
use crate::error::ApiError;
use crate::http::secure;

/// What handlers here share.
#[derive(Clone)]
struct Admin {
    app: App,
    /// Set while the service shuts down, so that a balancer sends nobody new.
    closing: Arc<AtomicBool>,
}

/// The operators' side. `closing` is set when the service begins to shut down.
pub fn router(app: App, closing: Arc<AtomicBool>) -> Router {
    Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(async || ApiError::NotFound("no such path; see /".into()))
        .method_not_allowed_fallback(async || ApiError::Method)
        .with_state(Admin { app, closing })
        .layer(from_fn(secure))
}

const PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Foretype: operators</title>\
<h1>Foretype</h1><ul><li><a href=/healthz>healthz</a>: the process answers\
<li><a href=/readyz>readyz</a>: it may be sent requests, and what it serves\
<li><a href=/metrics>metrics</a>: for Prometheus</ul></html>\n";

async fn ready(State(Admin { app, closing }): State<Admin>) -> impl IntoResponse {
    let health = app.engine.health();
    let closing = closing.load(Ordering::Relaxed);
    let status = if closing { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let predictors: Vec<_> = health.predictors.into_iter().map(Predictor::name).collect();
    let version = env!("CARGO_PKG_VERSION");
    let body =
        json!({"ready": !closing, "version": version, "bundle": health.bundle, "predictors": predictors});
    (status, Json(body))
}

async fn metrics(State(Admin { app, .. }): State<Admin>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        app.metrics.render(app.writers.warm(), app.door.busy(), app.engine.neural()),
    )
}
