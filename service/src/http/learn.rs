//! `POST /v1/learn` and `POST /v1/feedback`.

use axum::http::StatusCode;

use super::asked::Asked;
use super::json::Json;
use crate::error::{ApiError, BodyRefused, ErrorBody, WriteRefused};
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
        BodyRefused,
        WriteRefused,
    )
)]
pub(super) async fn learn(
    Asked(app): Asked,
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
        (status = 404, description = "No such answer in the last 10 minutes", body = ErrorBody),
        BodyRefused,
    )
)]
pub(super) async fn feedback(
    Asked(app): Asked,
    Json { value, .. }: Json<FeedbackRequest>,
) -> Result<StatusCode, ApiError> {
    app.feedback(value.check()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
