//! `POST /v1/learn` and `POST /v1/feedback`.

use axum::extract::State;
use axum::http::StatusCode;

use super::json::Json;
use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::wire::{FeedbackRequest, LearnRequest, LearnResponse};

/// A message was sent
///
/// Answers once the message is durable and known to every later completion. Personal data is replaced before it is
/// stored.
#[utoipa::path(
    post, path = "/v1/learn", tag = "typing",
    request_body = LearnRequest,
    responses(
        (status = 200, body = LearnResponse),
        (status = 400, description = "Not JSON", body = ErrorBody),
        (status = 413, description = "Over 64 KiB", body = ErrorBody),
        (status = 415, description = "Not declared as JSON", body = ErrorBody),
        (status = 422, description = "A field is wrong; the message names it", body = ErrorBody),
        (status = 503, description = "The store is busy or away; retry with the same idempotency_key", body = ErrorBody),
    )
)]
pub(super) async fn learn(
    State(app): State<App>,
    Json { value, .. }: Json<LearnRequest>,
) -> Result<axum::Json<LearnResponse>, ApiError> {
    let seq = app.learn(value.check()?).await?;
    Ok(axum::Json(LearnResponse { seq }))
}

/// What became of a suggestion
///
/// Ids live 10 minutes.
#[utoipa::path(
    post, path = "/v1/feedback", tag = "typing",
    request_body = FeedbackRequest,
    responses(
        (status = 204, description = "Heard"),
        (status = 400, description = "Not JSON", body = ErrorBody),
        (status = 404, description = "No such answer in the last 10 minutes", body = ErrorBody),
        (status = 415, description = "Not declared as JSON", body = ErrorBody),
        (status = 422, description = "A field is wrong; the message names it", body = ErrorBody),
        (status = 503, description = "The store is busy or away", body = ErrorBody),
    )
)]
pub(super) async fn feedback(
    State(app): State<App>,
    Json { value, .. }: Json<FeedbackRequest>,
) -> Result<StatusCode, ApiError> {
    app.feedback(value.check()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
