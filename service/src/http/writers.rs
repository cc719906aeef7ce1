//! `/v1/writers/{writer}`: what is stored about one, all of it, and nothing of it.

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use futures_util::stream::{self, TryStreamExt};

use super::asked::Asked;
use super::json::Json;
use crate::app::App;
use crate::error::{ApiError, BodyRefused, WriteRefused, WriterRefused};
use crate::store::{StoreError, WriterKey};
use crate::wire::{ExportLine, LearnResponse, SnippetList, WriterResponse};
use crate::writer::{Id, Snippets, WriterId};

/// Events read at once for an export, which bounds what it holds in memory.
const PAGE: usize = 256;

/// What is stored about a writer
#[utoipa::path(
    get, path = "/v1/writers/{writer}", tag = "writers",
    params(("writer" = String, Path, description = "The writer's id")),
    responses(
        (status = 200, body = WriterResponse),
        WriterRefused,
    )
)]
pub(super) async fn about(Asked(app): Asked, writer: Named) -> Result<axum::Json<WriterResponse>, ApiError> {
    let about = app.about(&checked("writer", writer)?).await?;
    Ok(axum::Json(about.into()))
}

/// Every message of a writer
///
/// JSON Lines, oldest first: a message a line with its text as it is stored.
#[utoipa::path(
    get, path = "/v1/writers/{writer}/export", tag = "writers",
    params(("writer" = String, Path, description = "The writer's id")),
    responses(
        (status = 200, description = "A line a message", body = ExportLine, content_type = "application/jsonl"),
        WriterRefused,
    )
)]
pub(super) async fn export(Asked(app): Asked, writer: Named) -> Result<impl IntoResponse, ApiError> {
    exported(app, &checked("writer", writer)?).await
}

/// Every message of a writer.
pub(crate) async fn exported(app: App, writer: &WriterId) -> Result<impl IntoResponse + use<>, ApiError> {
    let key = app.caller.key_of(writer)?;
    app.known(&key).await?;
    let pages = stream::try_unfold(0, move |seq| page(app.clone(), key.clone(), seq));
    let body = Body::from_stream(pages.inspect_err(|error| tracing::error!(%error, "an export broke off")));
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], body))
}

/// Erase a writer
///
/// Answers once no byte of what the writer taught is left in memory or in the store's files; what keystrokes under way still hold
/// is gone 2.5 s later. API keys bound to the writer stay.
#[utoipa::path(
    delete, path = "/v1/writers/{writer}", tag = "writers",
    params(("writer" = String, Path, description = "The writer's id")),
    responses(
        (status = 204, description = "Erased"),
        WriterRefused,
        WriteRefused,
    )
)]
pub(super) async fn erase(Asked(app): Asked, writer: Named) -> Result<StatusCode, ApiError> {
    app.erase(&checked("writer", writer)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The texts a writer keeps ready
#[utoipa::path(
    get, path = "/v1/writers/{writer}/snippets", tag = "writers",
    params(("writer" = String, Path, description = "The writer's id")),
    responses(
        (status = 200, body = SnippetList),
        WriterRefused,
    )
)]
pub(super) async fn snippets(Asked(app): Asked, writer: Named) -> Result<axum::Json<SnippetList>, ApiError> {
    Ok(axum::Json(app.snippets(&checked("writer", writer)?).await?.into()))
}

/// Keep texts ready
///
/// They take the place of those that were kept before. A snippet is suggested whole where its first three characters are typed,
/// or, to a client that asks for `corrections`, in place of its trigger. Answers once they are durable.
#[utoipa::path(
    put, path = "/v1/writers/{writer}/snippets", tag = "writers",
    params(("writer" = String, Path, description = "The writer's id")),
    request_body = SnippetList,
    responses(
        (status = 200, body = LearnResponse),
        BodyRefused,
        WriteRefused,
    )
)]
pub(super) async fn keep(
    Asked(app): Asked,
    writer: Named,
    Json { value, .. }: Json<SnippetList>,
) -> Result<axum::Json<LearnResponse>, ApiError> {
    let seq = app.keep(&checked("writer", writer)?, value.check()?).await?;
    Ok(axum::Json(LearnResponse { seq }))
}

/// Keep no texts ready
#[utoipa::path(
    delete, path = "/v1/writers/{writer}/snippets", tag = "writers",
    params(("writer" = String, Path, description = "The writer's id")),
    responses(
        (status = 204, description = "There are none"),
        WriterRefused,
        WriteRefused,
    )
)]
pub(super) async fn drop_snippets(Asked(app): Asked, writer: Named) -> Result<StatusCode, ApiError> {
    let writer = checked("writer", writer)?;
    app.snippets(&writer).await?;
    app.keep(&writer, Snippets::default()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The last part of the path that names somebody or something.
pub(super) type Named = Result<Path<String>, PathRejection>;

/// Checks a name; `what` it is of.
pub(super) fn checked(what: &str, named: Named) -> Result<Id, ApiError> {
    let wrong = |message: String| ApiError::invalid(what, message);
    let Path(id) = named.map_err(|rejection| wrong(rejection.body_text()))?;
    Id::new(&id).map_err(|error| wrong(error.to_string()))
}

/// The lines of the events after `seq`, and where to go on; `None` after the last.
async fn page(app: App, key: WriterKey, seq: u64) -> Result<Option<(Bytes, u64)>, StoreError> {
    let events = app.writers.store().events(&key, seq, PAGE).await?;
    let Some(last) = events.last().map(|event| event.seq) else {
        return Ok(None);
    };
    let mut lines = Vec::new();
    for line in events.iter().filter_map(ExportLine::of) {
        serde_json::to_writer(&mut lines, &line).expect("strings and numbers can be written to memory");
        lines.push(b'\n');
    }
    Ok(Some((lines.into(), last)))
}
