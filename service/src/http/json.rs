//! A JSON body, or an error that says where it is wrong.

use std::time::{Duration, Instant};

use axum::body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// Bytes of a body at most.
pub(super) const BODY_LIMIT: usize = 64 * 1024;
/// The same of an editor's, which sends all that is around the cursor and some of what is open beside it.
pub(super) const EDITOR_LIMIT: usize = 512 * 1024;

/// How long a body may take to arrive, so that slow senders do not hold what others need.
pub(super) const ARRIVAL: Duration = Duration::from_secs(10);

/// A body of at most `LIMIT` bytes and the instant its last byte was read, from which its budget counts.
pub(crate) struct Json<T, const LIMIT: usize = BODY_LIMIT> {
    pub(crate) value: T,
    pub(crate) arrived: Instant,
}

impl<T: DeserializeOwned, S: Send + Sync, const LIMIT: usize> FromRequest<S> for Json<T, LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        // Also what keeps other sites' forms out: a browser asks before it sends JSON across origins.
        if !declares(request.headers(), &["application/json"]) || is_packed(request.headers()) {
            return Err(ApiError::MediaType);
        }
        let body = tokio::time::timeout(ARRIVAL, body::to_bytes(request.into_body(), LIMIT));
        let bytes = body.await.map_err(|_| ApiError::Timeout)?.map_err(|error| {
            if error.into_inner().is::<LengthLimitError>() {
                ApiError::TooLarge { limit: LIMIT }
            } else {
                ApiError::Malformed("it did not arrive whole".into())
            }
        })?;
        let arrived = Instant::now();
        Ok(Self { value: parse(&bytes)?, arrived })
    }
}

/// Whether the body is compressed.
fn is_packed(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether the body is declared as one of these types.
pub(super) fn declares(headers: &HeaderMap, types: &[&str]) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    declared.is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        types.iter().any(|name| essence.eq_ignore_ascii_case(name))
    })
}

/// Reads an object of JSON; an error names the field.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // The parser would take a list for an object whose fields come in the order in which we happen to declare them.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::invalid("body", "must be an object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // The parser also calls a value of the wrong type bad syntax where it expects the name of a role, say.
        if let Err(cause) = serde_json::from_slice::<serde_json::Value>(bytes) {
            return ApiError::Malformed(cause.to_string());
        }
        ApiError::wrong_field(error)
    })?;
    reader.end().map_err(|cause| ApiError::Malformed(cause.to_string()))?;
    Ok(value)
}
