//! `POST /v1/complete`.

use axum::extract::State;

use super::json::Json;
use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::wire::{CompleteRequest, CompleteResponse};

/// What comes next
///
/// Asked on every keystroke; answers within the budget with suggestions, or with the reason there is none.
#[utoipa::path(
    post, path = "/v1/complete", tag = "typing",
    request_body = CompleteRequest,
    responses(
        (status = 200, body = CompleteResponse),
        (status = 400, description = "Not JSON", body = ErrorBody),
        (status = 413, description = "Over 64 KiB", body = ErrorBody),
        (status = 415, description = "Not declared as JSON", body = ErrorBody),
        (status = 422, description = "A field is wrong; the message names it", body = ErrorBody),
        (status = 503, description = "Too much is going on; see Retry-After", body = ErrorBody),
    )
)]
pub(super) async fn complete(
    State(app): State<App>,
    Json { value, arrived }: Json<CompleteRequest>,
) -> Result<axum::Json<CompleteResponse>, ApiError> {
    let answer = app.complete(value.check()?, arrived).await;
    Ok(axum::Json(answer.into()))
}
