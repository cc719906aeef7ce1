//! Counting and logging of requests, in one place. Neither paths nor bodies are logged: they hold names and text.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use utoipa::openapi::OpenApi;

use crate::app::App;
use crate::error::ApiError;
use crate::ledger::Ledger;

/// Has the series of all that the API says it may answer there from the start.
pub(super) fn expect(app: &App, description: &OpenApi) {
    for (route, item) in &description.paths.paths {
        let methods = [&item.get, &item.put, &item.post, &item.delete];
        let statuses = methods.into_iter().flatten().flat_map(|method| method.responses.responses.keys());
        // No route documents a bug of ours, and every one may have one.
        statuses
            .map(String::as_str)
            .chain(["500"])
            .for_each(|status| app.metrics.expect_request(route, status));
    }
}

/// Counts the request by the pattern of its route.
pub(super) async fn count(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let trace = app.begin_trace(Some(request.headers()));
    if let Some(trace) = &trace {
        request.extensions_mut().insert(Arc::clone(trace));
    }
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let status = response.status();
    app.metrics.requested(route, status.as_u16());
    if let Some(trace) = trace {
        trace.finish_request(&method, route, status.as_u16());
    }
    tracing::debug!(route, status = status.as_u16(), took = ?started.elapsed(), "request");
    response
}

/// A bug of ours costs one request, not the service.
pub(crate) fn panicked(ledger: &Ledger, _panic: Box<dyn Any + Send>) -> Response {
    ledger.failed();
    // Its message may quote what was typed; `panics` logs the place.
    tracing::error!("a request panicked");
    ApiError::Internal.into_response()
}
