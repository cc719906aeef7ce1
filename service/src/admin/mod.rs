//! The operators' listener: health, readiness, metrics, and the dashboard at `/admin`. Whoever reaches it is taken for an operator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use self::now::Now;
use crate::app::App;
use crate::engine::Predictor;
use crate::error::ApiError;
use crate::history::History;
use crate::http::{Foreign, panicked, secure};

mod assets;
mod history;
mod holdout;
mod live;
mod now;
mod number;
mod status;
mod writers;

/// Dashboards that may be open at once.
const READERS: usize = 16;

/// What handlers here share.
#[derive(Clone)]
struct Admin {
    app: App,
    history: Arc<History>,
    now: Arc<Now>,
    /// Permits for the live stream.
    readers: Arc<Semaphore>,
    /// Set while the service shuts down, so that a balancer sends nobody new.
    closing: Arc<AtomicBool>,
}

/// The operators' side. `closing` is set when the service begins to shut down.
pub fn router(app: App, history: Arc<History>, closing: Arc<AtomicBool>) -> Router {
    let (now, readers) = (Arc::default(), Arc::new(Semaphore::new(READERS)));
    let ledger = Arc::clone(&app.ledger);
    Router::new()
        .merge(dashboard().route_layer(from_fn(own)))
        .route("/", get(async || Redirect::temporary("/admin")))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(async || ApiError::NotFound("no such path; see /admin".into()))
        .method_not_allowed_fallback(async || ApiError::Method("/admin"))
        .with_state(Admin { app, history, now, readers, closing })
        .layer(CatchPanicLayer::custom(move |panic| panicked(&ledger, panic)))
        .layer(from_fn(secure))
}

fn dashboard() -> Router<Admin> {
    let writer = "/admin/api/tenants/{tenant}/writers/{writer}";
    Router::new()
        .merge(assets::router())
        .route("/admin/", get(async || Redirect::temporary("/admin")))
        .route("/admin/api/status", get(status::status))
        .route("/admin/api/history", get(history::history))
        .route("/admin/api/now", get(now::now))
        .route("/admin/api/live", get(live::live))
        .route("/admin/api/holdout", get(holdout::share).put(holdout::set))
        .route("/admin/api/tenants", get(writers::tenants))
        .route("/admin/api/tenants/{tenant}/writers", get(writers::list))
        .route(writer, get(writers::about).delete(writers::erase))
        .route(&format!("{writer}/export"), get(writers::export))
        .route(&format!("{writer}/forget"), post(writers::forget))
}

/// Refuses what is not the dashboard's own, nor a program's on this machine: it shows who writes, and can erase them.
async fn own(request: Request, next: Next) -> Result<Response, ApiError> {
    let refusal = match Foreign::of(&request) {
        None => return Ok(next.run(request).await),
        Some(Foreign::Proxy) => "the dashboard is for this machine, not for use behind a proxy",
        Some(Foreign::Host) => "the dashboard is asked as localhost or 127.0.0.1 only",
        Some(Foreign::Origin) => "the dashboard answers its own page only, not other sites",
    };
    Err(ApiError::Forbidden(refusal))
}

async fn ready(State(Admin { app, closing, .. }): State<Admin>) -> impl IntoResponse {
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
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics_page())
}
