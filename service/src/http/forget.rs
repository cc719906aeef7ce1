//! `POST /v1/writers/{writer}/forget`.

use super::asked::Asked;
use super::json::Json;
use super::writers::{Named, checked};
use crate::error::{ApiError, BodyRefused, ErrorBody, WriteRefused};
use crate::wire::{ForgetRequest, ForgetResponse};

/// Forget a word
///
/// It is taken out of every message, whatever its case and its possessive too; a gap (U+FFFC) stands in its place, and what was on
/// either side is not joined. Answers once no byte of it is left in memory, in the store's files or in what the writer's team
/// learned from them; what keystrokes under way still hold is gone 2.5 s later. Snippets and blocked words are the writer's own lists and stay. It may be learned again.
#[utoipa::path(
    post, path = "/v1/writers/{writer}/forget", tag = "writers",
    params(("writer" = String, Path, description = "The writer's id")),
    request_body = ForgetRequest,
    responses(
        (status = 200, body = ForgetResponse),
        (status = 404, description = "Nothing is stored", body = ErrorBody),
        BodyRefused,
        WriteRefused,
    )
)]
pub(super) async fn forget(
    Asked(app): Asked,
    writer: Named,
    Json { value, .. }: Json<ForgetRequest>,
) -> Result<axum::Json<ForgetResponse>, ApiError> {
    let messages = app.forget(&checked("writer", writer)?, value.check()?).await?;
    Ok(axum::Json(ForgetResponse { messages }))
}
