//! Who asks: the API key of a request, and the service as its holder sees it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::caller::{Caller, Scope};
use crate::error::ApiError;
use crate::traces::Trace;

/// The service, asked by whoever [`authorise`] let in.
pub(super) struct Asked(pub(super) App);

impl FromRequestParts<App> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Arc<Caller>>().cloned();
        if caller.is_none() {
            tracing::error!("a path of the API is not behind its check for keys");
        }
        let trace = parts.extensions.get::<Arc<Trace>>().cloned();
        caller.map(|caller| Self(app.asked_by(caller).traced(trace))).ok_or(ApiError::Internal)
    }
}

/// Lets in who has a key for this.
pub(super) async fn authorise(
    State((app, scope)): State<(App, Scope)>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = app.keys.caller(bearer(request.headers()))?;
    caller.may(scope)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// The key in `authorization: Bearer KEY`. What cannot be read is none that holds.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, key) = value.split_once(' ').unwrap_or_default();
    Some(if scheme.eq_ignore_ascii_case("bearer") { key.trim() } else { "" })
}
