//! Counting and logging of requests, in one place. Neither paths nor bodies are logged: they hold names and text.

use std::any::Any;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::error::ApiError;
use crate::ledger::Ledger;

/// Counts the request by the pattern of its route.
pub(super) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let status = response.status();
    app.metrics.requested(route, status.as_u16());
    tracing::debug!(route, status = status.as_u16(), took = ?started.elapsed(), "request");
    response
}

/// A bug of ours costs one request, not the service.
#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
pub(crate) fn panicked(ledger: &Ledger, panic: Box<dyn Any + Send>) -> Response {
    ledger.failed();
    let message =
        panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = message.unwrap_or("unknown"), "a request panicked");
    ApiError::Internal.into_response()
}
