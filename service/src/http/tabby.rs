//! What Tabby's clients ask beside `POST /v1/completions`: `POST /v1/events`, `GET /v1/health`, `GET /v1beta/server_setting`.

use std::time::Instant;

use axum::Json as Answered;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::asked::Asked;
use super::json::Json;
use crate::app::App;
use crate::error::ApiError;
use crate::wire::{SelectKind, TabbyEvent, TabbyHealth, TabbyRequest, TabbyResponse, TabbySettings, fields};

pub(super) async fn complete(
    app: &App,
    body: Map<String, Value>,
    arrived: Instant,
) -> Result<Response, ApiError> {
    let keystroke = app.of_plugin(fields::<TabbyRequest>(body)?.keystroke());
    let answer = app.complete(keystroke, arrived).await?;
    Ok(Answered(TabbyResponse::from(&answer)).into_response())
}

/// Something happened to a choice
///
/// What was selected or dismissed becomes an outcome, as with `/v1/feedback`.
#[utoipa::path(
    post, path = "/v1/events", tag = "editors",
    params(SelectKind),
    request_body = TabbyEvent,
    responses(
        (status = 200, description = "Heard"),
        (status = 400, description = "The body is wrong", body = String, content_type = "text/plain"),
        (status = 404, description = "No such answer in the last 10 minutes", body = String, content_type = "text/plain"),
        (status = 503, description = "The store is busy or away", body = String, content_type = "text/plain"),
    )
)]
pub(super) async fn events(
    Asked(app): Asked,
    Query(kind): Query<SelectKind>,
    body: Result<Json<TabbyEvent>, ApiError>,
) -> Result<StatusCode, Response> {
    hear(&app, &kind, body).await.map_err(|error| refused(&error))?;
    Ok(StatusCode::OK)
}

async fn hear(
    app: &App,
    kind: &SelectKind,
    body: Result<Json<TabbyEvent>, ApiError>,
) -> Result<(), ApiError> {
    match body?.value.check(kind)? {
        Some(verdict) => app.feedback(verdict).await,
        None => Ok(()),
    }
}

/// The service is there
#[utoipa::path(
    get, path = "/v1/health", tag = "editors",
    responses((status = 200, body = TabbyHealth))
)]
pub(super) async fn health(Asked(app): Asked) -> Answered<TabbyHealth> {
    Answered(app.engine.health().into())
}

/// What clients are to do
#[utoipa::path(
    get, path = "/v1beta/server_setting", tag = "editors",
    responses((status = 200, body = TabbySettings))
)]
pub(super) async fn settings() -> Answered<TabbySettings> {
    Answered(TabbySettings::default())
}

/// Tabby's clients read the status; the text is for people.
pub(super) fn refused(error: &ApiError) -> Response {
    error.in_shape(|_| error.to_string())
}
