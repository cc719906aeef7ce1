//! Who is in which team, and what teams share.

use axum::http::StatusCode;

use super::asked::Asked;
use super::json::Json;
use super::writers::{Named, checked};
use crate::error::{ApiError, BodyRefused, WriteRefused, WriterRefused};
use crate::wire::{TeamRequest, TeamResponse};

/// Put a writer into a team
///
/// From now on the words and phrases they use are suggested to the others of the team, once enough of them use the same, and those
/// of the others to them. A writer is in one team at most; what they taught a former one is taken back from it.
#[utoipa::path(
    put, path = "/v1/writers/{writer}/team", tag = "teams",
    params(("writer" = String, Path, description = "The writer's id")),
    request_body = TeamRequest,
    responses(
        (status = 204, description = "The writer is in it"),
        BodyRefused,
        WriteRefused,
    )
)]
pub(super) async fn join(
    Asked(app): Asked,
    writer: Named,
    Json { value, .. }: Json<TeamRequest>,
) -> Result<StatusCode, ApiError> {
    app.assign(&checked("writer", writer)?, Some(value.check()?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a writer out of their team
///
/// What they taught it is taken back. Their own suggestions stay as they are.
#[utoipa::path(
    delete, path = "/v1/writers/{writer}/team", tag = "teams",
    params(("writer" = String, Path, description = "The writer's id")),
    responses(
        (status = 204, description = "The writer is in none"),
        WriterRefused,
        WriteRefused,
    )
)]
pub(super) async fn leave(Asked(app): Asked, writer: Named) -> Result<StatusCode, ApiError> {
    app.assign(&checked("writer", writer)?, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a team shares
#[utoipa::path(
    get, path = "/v1/teams/{team}", tag = "teams",
    params(("team" = String, Path, description = "The team's name")),
    responses(
        (status = 200, body = TeamResponse),
        WriterRefused,
    )
)]
pub(super) async fn about(Asked(app): Asked, team: Named) -> Result<axum::Json<TeamResponse>, ApiError> {
    Ok(axum::Json(app.about_team(&checked("team", team)?).await?.into()))
}
