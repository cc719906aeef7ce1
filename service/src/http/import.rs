//! `POST /v1/writers/{writer}/import`.

use super::asked::Asked;
use super::json::parse;
use super::lines::Lines;
use super::writers::{Named, checked};
use crate::error::{ApiError, BodyRefused, ErrorBody, WriteRefused};
use crate::wire::{ImportLine, ImportResponse};

/// Bring messages along
///
/// JSON Lines, oldest first: a message a line, as an export has them. They are learned one after the other as the body arrives; the
/// answer comes once all are durable. A line that cannot be read is named, and what came before it is learned. Within 24 hours a
/// line is learned once, so that after any failure the same body can simply be sent again; a line that stands twice in it counts
/// twice. Erasing the writer, or one of their words, ends it.
#[utoipa::path(
    post, path = "/v1/writers/{writer}/import", tag = "writers",
    params(("writer" = String, Path, description = "The writer's id")),
    request_body(content = ImportLine, content_type = "application/jsonl",
                 description = "At most 50,000 lines of 64 KiB, 64 MiB in all"),
    responses(
        (status = 200, body = ImportResponse),
        (status = 409, description = "The writer, or a word of theirs, was erased since it began; nothing was learned after that",
         body = ErrorBody),
        BodyRefused,
        WriteRefused,
    )
)]
pub(super) async fn import(
    Asked(app): Asked,
    writer: Named,
    mut lines: Lines,
) -> Result<axum::Json<ImportResponse>, ApiError> {
    let mut import = app.import(checked("writer", writer)?).await?;
    while let Some(line) = lines.next().await? {
        let lesson = parse(&line.bytes).and_then(|read: ImportLine| read.lesson(import.writer()));
        let lesson = lesson.map_err(|error| error.at_line(line.number))?;
        import.learn(&line.bytes, lesson).await?;
    }
    Ok(axum::Json(import.done().into()))
}
