//! `/v1/writers/{writer}/blocked`: words and phrases that a writer is never shown.

use axum::http::StatusCode;

use super::asked::Asked;
use super::json::Json;
use super::writers::{Named, checked};
use crate::error::{ApiError, BodyRefused, WriteRefused, WriterRefused};
use crate::wire::{BlockedList, LearnResponse};
use crate::writer::Blocked;

/// What a writer is never shown
#[utoipa::path(
    get, path = "/v1/writers/{writer}/blocked", tag = "writers",
    params(("writer" = String, Path, description = "The writer's id")),
    responses(
        (status = 200, body = BlockedList),
        WriterRefused,
    )
)]
pub(super) async fn blocked(Asked(app): Asked, writer: Named) -> Result<axum::Json<BlockedList>, ApiError> {
    let blocked = app.blocked(&checked("writer", writer)?).await?;
    Ok(axum::Json((&*blocked).into()))
}

/// Block words and phrases
///
/// They take the place of those that were blocked before. No suggestion shows one of them, whatever its case; one that would is
/// cut before it, or left out. Parts of words do not count. Answers once they are durable.
#[utoipa::path(
    put, path = "/v1/writers/{writer}/blocked", tag = "writers",
    params(("writer" = String, Path, description = "The writer's id")),
    request_body = BlockedList,
    responses(
        (status = 200, body = LearnResponse),
        BodyRefused,
        WriteRefused,
    )
)]
pub(super) async fn block(
    Asked(app): Asked,
    writer: Named,
    Json { value, .. }: Json<BlockedList>,
) -> Result<axum::Json<LearnResponse>, ApiError> {
    let seq = app.block(&checked("writer", writer)?, value.check()?).await?;
    Ok(axum::Json(LearnResponse { seq }))
}

/// Block nothing
#[utoipa::path(
    delete, path = "/v1/writers/{writer}/blocked", tag = "writers",
    params(("writer" = String, Path, description = "The writer's id")),
    responses(
        (status = 204, description = "Nothing is blocked"),
        WriterRefused,
        WriteRefused,
    )
)]
pub(super) async fn unblock(Asked(app): Asked, writer: Named) -> Result<StatusCode, ApiError> {
    let writer = checked("writer", writer)?;
    app.blocked(&writer).await?;
    app.block(&writer, Blocked::default()).await?;
    Ok(StatusCode::NO_CONTENT)
}
