//! Errors as other protocols' clients read them, also of what never reaches a handler: no key, another site's page, no time.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use super::{llama, openai, tabby};
use crate::error::{ApiError, Refusal};

/// Says again, in the protocol of the path, what was refused in our own.
pub(super) async fn as_spoken(request: Request, next: Next) -> Response {
    let shape = of(request.uri().path());
    let response = next.run(request).await;
    match (shape, response.extensions().get::<Refusal>()) {
        (Some(shape), Some(Refusal(error))) => shape(error),
        _ => response,
    }
}

fn of(path: &str) -> Option<fn(&ApiError) -> Response> {
    match path {
        "/v1/completions" | "/v1/models" => Some(openai::refused),
        path if path.starts_with("/v1/models/") => Some(openai::refused),
        "/infill" => Some(llama::refused),
        "/v1/events" | "/v1/health" | "/v1beta/server_setting" => Some(tabby::refused),
        _ => None,
    }
}
