//! How spans are sent: over the service's own HTTP client and runtime, asked from the thread that gathers them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of its answer at most.
const LONGEST: usize = 64 * 1024;

/// A client whose connections live on the service's runtime.
#[derive(Debug)]
pub(super) struct Client {
    client: HyperClient<HttpConnector, Full<Bytes>>,
    runtime: Handle,
    /// Whether the last was not taken, so that an outage is logged once.
    failing: AtomicBool,
}

impl Client {
    /// Of the runtime it is called in.
    pub(super) fn new() -> Self {
        let client = HyperClient::builder(TokioExecutor::new()).build_http();
        Self { client, runtime: Handle::current(), failing: AtomicBool::new(false) }
    }

    fn note(&self, failure: Option<String>) {
        let was_failing = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(error) if !was_failing => tracing::warn!(error, "traces cannot be sent, and are dropped"),
            None if was_failing => tracing::info!("traces are sent again"),
            _ => {}
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let send = async move {
            let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, LONGEST).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(parts, body))
        };
        let sent = self.runtime.spawn(async { tokio::time::timeout(PATIENCE, send).await });
        let sent = sent.await.map_err(HttpError::from).and_then(|sent| sent.map_err(HttpError::from));
        let answer = sent.and_then(|answer| answer);
        self.note(match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        });
        answer
    }
}
