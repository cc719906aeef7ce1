//! A body of many lines, read as it arrives.

use axum::body::BodyDataStream;
use axum::extract::{FromRequest, Request};
use futures_util::StreamExt as _;

use super::json::{ARRIVAL, declares};
use crate::error::ApiError;

/// Bytes of a line at most.
const LONGEST: usize = 64 * 1024;
/// Lines of a body at most.
const MOST: usize = 50_000;
/// Bytes of a body at most.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// What some editors begin a file of UTF-8 with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What lines of JSON are declared as.
const TYPES: [&str; 3] = ["application/jsonl", "application/x-ndjson", "application/json"];

/// The lines of a body.
pub(super) struct Lines {
    body: BodyDataStream,
    /// What has arrived; before `from` it is read.
    held: Vec<u8>,
    from: usize,
    /// Lines read.
    number: usize,
    /// Bytes arrived.
    arrived: usize,
}

/// One that is not blank.
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    pub(super) bytes: Vec<u8>,
}

impl<S: Send + Sync> FromRequest<S> for Lines {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !declares(request.headers(), &TYPES) {
            return Err(ApiError::MediaType);
        }
        let body = request.into_body().into_data_stream();
        Ok(Self { body, held: Vec::new(), from: 0, number: 0, arrived: 0 })
    }
}

impl Lines {
    /// The next line that is not blank; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, ApiError> {
        loop {
            let rest = &self.held[self.from..];
            let end = rest.iter().position(|byte| *byte == b'\n');
            if end.unwrap_or(rest.len()) > LONGEST {
                let field = format!("line {}", self.number + 1);
                return Err(ApiError::invalid(field, format!("has more than {LONGEST} bytes")));
            }
            let bytes = match end {
                Some(end) => {
                    let line = rest[..end].to_vec();
                    self.from += end + 1;
                    line
                }
                None if self.more().await? => continue,
                // The last one may lack its end.
                None if self.held.is_empty() => return Ok(None),
                None => std::mem::take(&mut self.held),
            };
            self.number += 1;
            let bytes = match bytes.strip_prefix(BYTE_ORDER_MARK) {
                Some(rest) if self.number == 1 => rest.to_vec(),
                _ => bytes,
            };
            if self.number > MOST {
                let message =
                    format!("has more than {MOST} lines, and these are learned; send the rest next");
                return Err(ApiError::invalid("body", message));
            }
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some(Line { number: self.number, bytes }));
            }
        }
    }

    /// Waits for more of the body. `false`: that was all.
    async fn more(&mut self) -> Result<bool, ApiError> {
        self.held.drain(..self.from);
        self.from = 0;
        let chunk = tokio::time::timeout(ARRIVAL, self.body.next()).await.map_err(|_| ApiError::Timeout)?;
        let Some(chunk) = chunk else { return Ok(false) };
        let chunk = chunk.map_err(|_| ApiError::Malformed("it did not arrive whole".into()))?;
        self.arrived += chunk.len();
        if self.arrived > BODY_LIMIT {
            return Err(ApiError::TooLarge { limit: BODY_LIMIT });
        }
        self.held.extend_from_slice(&chunk);
        Ok(true)
    }
}
