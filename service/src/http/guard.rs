//! Who may ask at all: without API keys only this machine's own programs and pages, and not too many at once.

use std::net::IpAddr;

use axum::body::{HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use super::json::{ARRIVAL, BODY_LIMIT};
use crate::app::App;
use crate::error::ApiError;
use crate::metrics::Turned;

/// What tells that a request is not of this machine's own programs and pages. The listener is on loopback, but a page of another
/// site can reach it through the browser (its origin tells, or, after DNS rebinding, its host name), and a proxy can bring in
/// strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// It came through one.
    Proxy,
    /// It asks for another host.
    Host,
    /// A page of another site sent it.
    Origin,
}

impl Foreign {
    /// `None`: it is our own.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let headers = request.headers();
        if ["forwarded", "x-forwarded-for"].iter().any(|name| headers.contains_key(*name)) {
            return Some(Self::Proxy);
        }
        let host = host(request).unwrap_or_default();
        if !is_loopback(host) {
            return Some(Self::Host);
        }
        let is_other = |origin: &str| origin.strip_prefix("http://") != Some(host);
        origin(headers).is_some_and(is_other).then_some(Self::Origin)
    }
}

/// Refuses what is foreign, while there are no keys.
pub(super) async fn loopback(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    // A key is nothing that a browser adds by itself: who sends one was given it.
    if app.keys.is_required() {
        return Ok(next.run(request).await);
    }
    let refusal = match Foreign::of(&request) {
        None => return Ok(next.run(request).await),
        Some(Foreign::Proxy) => "without API keys the service is not for use behind a proxy",
        Some(Foreign::Host) => "without API keys the service is asked as localhost or 127.0.0.1 only",
        Some(Foreign::Origin) => "without API keys the service answers its own page only, not other sites",
    };
    Err(ApiError::Forbidden(refusal))
}

/// Sheds what exceeds the permits, at once: waiting would only make everyone late. A body that is declared to be short is there
/// before a permit is taken, so that who sends slowly holds none; of the others few may hold one while they arrive.
pub(super) async fn admit(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let short = length(request.headers()).filter(|length| (1..=BODY_LIMIT).contains(length));
    let request = match short {
        Some(length) => arrived(request, length).await?,
        None => request,
    };
    let may_dawdle = short.is_none() && !request.body().is_end_stream();
    let busy = |_| {
        app.metrics.turned_away(Turned::Requests);
        app.ledger.turned_away(None);
        ApiError::Busy
    };
    let _place = may_dawdle.then(|| app.long_bodies.try_acquire()).transpose().map_err(busy)?;
    let _permit = app.admission.try_acquire().map_err(busy)?;
    Ok(next.run(request).await)
}

fn length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The request with its whole body, which is read when this resolves.
async fn arrived(request: Request, length: usize) -> Result<Request, ApiError> {
    let (parts, body) = request.into_parts();
    let body = tokio::time::timeout(ARRIVAL, to_bytes(body, length)).await.map_err(|_| ApiError::Timeout)?;
    let body = body.map_err(|_| ApiError::Malformed("it did not arrive whole".into()))?;
    Ok(Request::from_parts(parts, body.into()))
}

/// HTTP/2 names the host in the URI.
fn host(request: &Request) -> Option<&str> {
    let authority = request.uri().authority().map(Authority::as_str);
    authority.or_else(|| request.headers().get(header::HOST)?.to_str().ok())
}

/// What cannot be read counts as foreign.
fn origin(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("unreadable"))
}

/// `localhost`, `127.0.0.0/8` or `[::1]`, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map_or(v6, |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn hosts() {
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.8.8.8", "[::1]:8080", "[::1]"] {
            assert!(is_loopback(own), "{own}");
        }
        for foreign in
            ["", "example.com", "localhost.example.com", "127.0.0.1.nip.io", "10.0.0.1", "[::2]", "::1"]
        {
            assert!(!is_loopback(foreign), "{foreign}");
        }
    }
}
