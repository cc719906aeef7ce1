//! What a client is told when something is wrong: one type, one place that picks the status.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::store::StoreError;

/// Seconds a client is asked to wait before it tries again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What a request with a JSON body can be answered when the body is wrong, for the API's description.
#[derive(IntoResponses)]
pub enum BodyRefused {
    /// Not JSON
    #[response(status = 400)]
    Malformed(ErrorBody),
    /// Over 64 KiB
    #[response(status = 413)]
    TooLarge(ErrorBody),
    /// Not declared as JSON, or compressed
    #[response(status = 415)]
    MediaType(ErrorBody),
    /// A field is wrong; the message names it
    #[response(status = 422)]
    Invalid(ErrorBody),
    /// Too much is going on, or the store is away; see Retry-After
    #[response(status = 503)]
    Busy(ErrorBody),
}

/// What a request that stores something can be answered, for the API's description.
#[derive(IntoResponses)]
pub enum WriteRefused {
    /// More waits to be stored than can be taken: nothing of this is; see Retry-After
    #[response(status = 429)]
    Full(ErrorBody),
}

/// What a request about one writer can be answered, for the API's description.
#[derive(IntoResponses)]
pub enum WriterRefused {
    /// Nothing is stored
    #[response(status = 404)]
    NotFound(ErrorBody),
    /// Not a writer id
    #[response(status = 422)]
    Invalid(ErrorBody),
    /// The store is busy or away; see Retry-After
    #[response(status = 503)]
    Busy(ErrorBody),
}

/// An answer that is not a success. Messages say what to do; causes are logged and never sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// The body is not JSON.
    Malformed(String),
    /// No API key that holds.
    Unauthorized(&'static str),
    /// Refused to this caller, or whoever asks: another site's page, a proxy, a foreign host name.
    Forbidden(&'static str),
    /// No such thing.
    NotFound(Cow<'static, str>),
    /// The path exists, the method does not; where to read which do.
    Method(&'static str),
    /// The path is for WebSockets.
    Upgrade,
    /// The body did not arrive in time.
    Timeout,
    /// The body is over the limit.
    TooLarge {
        /// Bytes.
        limit: usize,
    },
    /// The body is not declared as JSON, or compressed.
    MediaType,
    /// A field's value, type or name is wrong.
    Invalid {
        /// Where, such as `context[2].role`.
        field: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// What is stored of the writer was erased, all or in part, since it was begun.
    Erased,
    /// More is going on than the service takes.
    Busy,
    /// More of something is open than the service takes.
    Crowded(&'static str),
    /// More waits to be stored than the queue holds.
    Full,
    /// The store is away.
    Unavailable,
    /// A bug of ours.
    Internal,
}

impl ApiError {
    /// The codes that clients are told.
    pub const CODES: [&str; 15] = [
        "malformed",
        "unauthorized",
        "forbidden",
        "not_found",
        "method_not_allowed",
        "upgrade_required",
        "timeout",
        "too_large",
        "unsupported_media_type",
        "invalid",
        "erased",
        "busy",
        "too_many_requests",
        "unavailable",
        "internal",
    ];

    /// A wrong value of `field`.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// The same of one line of many, those before which are done.
    pub(crate) fn at_line(self, number: usize) -> Self {
        match self {
            Self::Malformed(what) => {
                Self::Malformed(format!("line {number}: {what}; the lines before it are learned"))
            }
            Self::Invalid { field, message } => {
                let message = format!("{message}; the lines before it are learned");
                Self::Invalid { field: format!("line {number}, {field}"), message }
            }
            other => other,
        }
    }

    /// What does not fit the type that is expected there.
    pub(crate) fn wrong_field(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = error.path().to_string();
        let field = if path == "." { "body".to_owned() } else { path };
        Self::Invalid { field, message: error.into_inner().to_string() }
    }

    /// Whether it is no fault of the client's.
    pub fn is_ours(&self) -> bool {
        self.status().0.is_server_error()
    }

    /// Whether the same request may succeed a little later.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Busy | Self::Crowded(_) | Self::Full | Self::Unavailable)
    }

    /// The answer to a client of another protocol, which knows errors of its own shape and calls a wrong value a bad request.
    pub(crate) fn in_shape<T: IntoResponse>(&self, body: impl FnOnce(StatusCode) -> T) -> Response {
        let status = match self.status().0 {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        };
        respond(status, body(status))
    }

    /// What a client is told.
    pub fn detail(&self) -> ErrorDetail {
        ErrorDetail { code: self.status().1, message: self.message() }
    }

    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Upgrade => (StatusCode::UPGRADE_REQUIRED, "upgrade_required"),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Self::Erased => (StatusCode::CONFLICT, "erased"),
            Self::Busy | Self::Crowded(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Full => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Malformed(what) => format!("the body is not JSON: {what}"),
            Self::Unauthorized(what) | Self::Forbidden(what) | Self::Crowded(what) => (*what).into(),
            Self::NotFound(what) => what.clone().into_owned(),
            Self::Method(see) => format!("this path does not take this method; see {see}"),
            Self::Upgrade => "connect here with a WebSocket; POST /v1/complete answers plain requests".into(),
            Self::Timeout => "the body did not arrive in time; send it again".into(),
            Self::TooLarge { limit } => format!("the body is over {} KiB; send less", limit / 1024),
            Self::MediaType => {
                "send JSON, uncompressed, with the header content-type: application/json".into()
            }
            Self::Invalid { field, message } => format!("{field}: {message}"),
            Self::Erased => {
                "the writer, or a word of theirs, was erased since this began; nothing was learned after that, send again \
                 what is still to be learned"
                    .into()
            }
            Self::Busy => "too much is going on; retry in a second".into(),
            Self::Full => {
                "more waits to be stored than can be taken; nothing of this is stored, retry in a second"
                    .into()
            }
            Self::Unavailable => {
                "what was asked could not be stored or read; retry with the same idempotency_key".into()
            }
            Self::Internal => "something went wrong here, and was logged".into(),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for ApiError {}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Full,
            StoreError::Unavailable => Self::Unavailable,
            StoreError::Erased => Self::Erased,
        }
    }
}

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// For programs; does not change.
    #[schema(example = "invalid")]
    pub code: &'static str,
    /// For people; says what to do.
    #[schema(example = "max_suggestions: must be between 1 and 10")]
    pub message: String,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = respond(self.status().0, Json(ErrorBody { error: self.detail() }));
        response.extensions_mut().insert(Refusal(Arc::new(self)));
        response
    }
}

/// What an answer refuses, for who says it in another shape.
#[derive(Clone, Debug)]
pub(crate) struct Refusal(pub(crate) Arc<ApiError>);

fn respond(status: StatusCode, body: impl IntoResponse) -> Response {
    let mut response = (status, body).into_response();
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
