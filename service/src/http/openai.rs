//! What OpenAI's clients ask: `POST /v1/completions`, `GET /v1/models`. Tabby's clients ask at the first path too.

use std::time::Instant;

use axum::Json as Answered;
use axum::extract::Path;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Map, Value};

use super::asked::Asked;
use super::json::{EDITOR_LIMIT, Json};
use super::tabby;
use crate::app::App;
use crate::error::ApiError;
use crate::wire::{
    CompletionsRequest, OpenAiErrorBody, OpenAiModel, OpenAiModels, OpenAiRequest, OpenAiResponse, fields,
};

/// The text goes on, for plugins
///
/// Takes the bodies of OpenAI's clients (`prompt`) and of Tabby's (`segments`), whose fields that are not listed here are ignored.
/// Answers by the rules of `/v1/complete`, within the service's budget. Nothing is learned from what is sent here.
#[utoipa::path(
    post, path = "/v1/completions", tag = "editors",
    request_body = CompletionsRequest,
    responses(
        (status = 200, description = "To Tabby's clients only `id`, and `index` and `text` of each choice", body = OpenAiResponse),
        (status = 400, description = "The body is wrong; Tabby's clients are told in plain text", body = OpenAiErrorBody),
        (status = 413, description = "Over 512 KiB", body = OpenAiErrorBody),
        (status = 503, description = "Too much is going on; see Retry-After", body = OpenAiErrorBody),
    )
)]
pub(super) async fn completions(
    Asked(app): Asked,
    body: Result<Json<Map<String, Value>, EDITOR_LIMIT>, ApiError>,
) -> Response {
    match body {
        Ok(Json { value, arrived }) if value.contains_key("segments") => {
            tabby::complete(&app, value, arrived).await.unwrap_or_else(|error| tabby::refused(&error))
        }
        Ok(Json { value, arrived }) => {
            complete(&app, value, arrived).await.unwrap_or_else(|error| refused(&error))
        }
        Err(error) => refused(&error),
    }
}

async fn complete(app: &App, body: Map<String, Value>, arrived: Instant) -> Result<Response, ApiError> {
    let asked = fields::<OpenAiRequest>(body)?.check()?;
    let answer = app.complete(app.of_plugin(asked.keystroke), arrived).await?;
    Ok(if asked.reply.stream {
        events(asked.reply.parts(&answer)).into_response()
    } else {
        Answered(asked.reply.whole(&answer)).into_response()
    })
}

/// What there is to complete with
#[utoipa::path(
    get, path = "/v1/models", tag = "editors",
    responses((status = 200, body = OpenAiModels))
)]
pub(super) async fn models() -> Answered<OpenAiModels> {
    Answered(OpenAiModels::default())
}

/// One of these
#[utoipa::path(
    get, path = "/v1/models/{id}", tag = "editors",
    params(("id" = String, Path, description = "Always `foretype`")),
    responses(
        (status = 200, body = OpenAiModel),
        (status = 404, description = "There is no other", body = OpenAiErrorBody)
    )
)]
pub(super) async fn model(Path(id): Path<String>) -> Result<Answered<OpenAiModel>, ApiError> {
    let [model] = OpenAiModels::default().data;
    let unknown = || ApiError::NotFound(format!("the only model is {}", model.id).into());
    if id == model.id { Ok(Answered(model)) } else { Err(unknown()) }
}

/// The parts of an answer as server-sent events. All are there when the first is sent.
fn events(parts: Vec<OpenAiResponse>) -> impl IntoResponse {
    let parts = parts.into_iter().map(|part| Event::default().json_data(part));
    let done = std::iter::once(Ok(Event::default().data("[DONE]")));
    Sse::new(stream::iter(parts.chain(done)))
}

pub(super) fn refused(error: &ApiError) -> Response {
    error.in_shape(|_| Answered(OpenAiErrorBody::from(error)))
}
