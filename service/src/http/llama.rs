//! `POST /infill`: what llama.vim and llama.vscode ask.

use axum::Json as Answered;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::asked::Asked;
use super::json::{EDITOR_LIMIT, Json};
use crate::app::App;
use crate::error::ApiError;
use crate::wire::{InfillRequest, InfillResponse, LlamaErrorBody};

/// The text goes on, for llama.vim and llama.vscode
///
/// As a llama.cpp server answers, by the rules of `/v1/complete`; `t_max_predict_ms` is the budget. Nothing is learned from what is
/// sent here.
#[utoipa::path(
    post, path = "/infill", tag = "editors",
    request_body = InfillRequest,
    responses(
        (status = 200, body = InfillResponse),
        (status = 400, description = "The body is wrong", body = LlamaErrorBody),
        (status = 413, description = "Over 512 KiB", body = LlamaErrorBody),
        (status = 503, description = "Too much is going on; see Retry-After", body = LlamaErrorBody),
    )
)]
pub(super) async fn infill(
    Asked(app): Asked,
    body: Result<Json<InfillRequest, EDITOR_LIMIT>, ApiError>,
) -> Response {
    match body {
        Ok(body) => complete(&app, body).await.unwrap_or_else(|error| refused(&error)),
        Err(error) => refused(&error),
    }
}

async fn complete(
    app: &App,
    Json { value, arrived }: Json<InfillRequest, EDITOR_LIMIT>,
) -> Result<Response, ApiError> {
    let asked = value.check()?;
    let keystroke = app.of_plugin(asked.keystroke);
    let body = if asked.reply.is_warm_up() {
        app.prepare(keystroke).await?;
        asked.reply.body(None)
    } else {
        asked.reply.body(Some(&app.complete(keystroke, arrived).await?))
    };
    Ok(if asked.reply.stream {
        Sse::new(stream::iter([Event::default().json_data(body)])).into_response()
    } else {
        Answered(body).into_response()
    })
}

pub(super) fn refused(error: &ApiError) -> Response {
    error.in_shape(|status| Answered(LlamaErrorBody::new(status, error)))
}
