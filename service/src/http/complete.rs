//! `POST /v1/complete`.

use super::asked::Asked;
use super::json::Json;
use crate::error::{ApiError, BodyRefused};
use crate::wire::{CompleteRequest, CompleteResponse};

/// What comes next
///
/// Asked on every keystroke; answers within the budget with suggestions, or with the reason there is none.
#[utoipa::path(
    post, path = "/v1/complete", tag = "typing",
    request_body = CompleteRequest,
    responses(
        (status = 200, body = CompleteResponse),
        BodyRefused,
    )
)]
pub(super) async fn complete(
    Asked(app): Asked,
    Json { value, arrived }: Json<CompleteRequest>,
) -> Result<axum::Json<CompleteResponse>, ApiError> {
    let answer = app.complete(value.check()?, arrived).await?;
    Ok(axum::Json(answer.into()))
}
