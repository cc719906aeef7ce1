//! Whom the language server asks: a service over HTTP, or the engine in its own process.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use crate::app::{App, Keystroke, Lesson, Verdict};
use crate::error::ApiError;
use crate::writer::WriterId;

/// How long a service is waited for beyond the budget.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer at most.
const LONGEST: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Nobody is there.
    #[error("no Foretype at {url} ({cause}): start `foretype serve`, or name another address with --url")]
    Unreachable {
        /// Where.
        url: String,
        /// What happened.
        cause: String,
    },
    /// There is no room or no time just now.
    #[error("Foretype refused for now: {0}")]
    Later(String),
    /// The service says no.
    #[error("Foretype refused: {0}")]
    Refused(String),
}

impl Fault {
    /// Whether the same may succeed a little later.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Later(_))
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        let of = if error.passes() { Self::Later } else { Self::Refused };
        of(error.to_string())
    }
}

/// What is suggested.
#[derive(Clone, Debug, Default)]
pub(super) struct Suggested {
    /// Names the answer in [`Service::judge`].
    pub(super) id: String,
    /// Inserted at the cursor as they stand.
    pub(super) texts: Vec<String>,
}

/// Whom to ask.
pub(super) enum Service {
    /// A service over HTTP.
    Remote(Remote),
    /// The engine in this process.
    Embedded(App),
}

impl Service {
    pub(super) async fn complete(&self, keystroke: Keystroke) -> Result<Suggested, Fault> {
        match self {
            Self::Remote(remote) => remote.complete(&keystroke).await,
            Self::Embedded(app) => {
                let answer = app.complete(keystroke, std::time::Instant::now()).await?;
                let texts = answer.completion.suggestions.into_iter().map(|suggestion| suggestion.text);
                Ok(Suggested { id: answer.id, texts: texts.collect() })
            }
        }
    }

    pub(super) async fn learn(&self, lesson: Lesson) -> Result<(), Fault> {
        match self {
            Self::Remote(remote) => {
                let Lesson { writer, text, role, at, idempotency_key, .. } = lesson;
                let writer = writer.as_ref().map(WriterId::as_str);
                let role = crate::wire::Role::from(role);
                let key = idempotency_key.as_deref();
                let body =
                    json!({"writer": writer, "text": text, "role": role, "at": at, "idempotency_key": key});
                remote.post("/v1/learn", &body).await.map(drop)
            }
            Self::Embedded(app) => Ok(app.learn(lesson).await.map(drop)?),
        }
    }

    pub(super) async fn accepted(&self, verdict: Verdict) -> Result<(), Fault> {
        match self {
            Self::Remote(remote) => {
                let Verdict { id, index, chars, .. } = verdict;
                let body = json!({"id": id, "outcome": "accepted", "index": index, "chars": chars});
                remote.post("/v1/feedback", &body).await.map(drop)
            }
            Self::Embedded(app) => Ok(app.feedback(verdict).await?),
        }
    }
}

/// A service over HTTP. Dropping a request closes its connection, which tells the service that nobody waits.
pub(super) struct Remote {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    /// The header that has the key.
    key: Option<HeaderValue>,
}

impl Remote {
    /// The service at `http://host:port`, or behind a proxy at `https://host`.
    ///
    /// # Errors
    /// Says what an address or a key looks like, or that this machine trusts nobody's certificate.
    pub(super) fn new(url: &str, key: Option<&str>) -> Result<Self, String> {
        let url = url.trim_end_matches('/');
        let parsed = url.parse::<Uri>().ok().filter(|uri| uri.host().is_some());
        let roots = match parsed.as_ref().and_then(Uri::scheme_str) {
            Some("http") => RootCertStore::empty(),
            Some("https") => trusted()?,
            _ => {
                return Err(format!("{url} is no address of a service: give one like http://127.0.0.1:8080"));
            }
        };
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let header = |key: &str| {
            let mut header = HeaderValue::try_from(format!("Bearer {key}"))
                .map_err(|_| "--key is no API key: `foretype keys add` makes one".to_owned())?;
            header.set_sensitive(true);
            Ok::<_, String>(header)
        };
        Ok(Self { client, url: url.to_owned(), key: key.map(header).transpose()? })
    }

    async fn complete(&self, keystroke: &Keystroke) -> Result<Suggested, Fault> {
        let body = json!({
            "text": keystroke.text,
            "after": keystroke.after,
            "writer": keystroke.writer.as_ref().map(WriterId::as_str),
            "role": crate::wire::Role::from(keystroke.role),
            "session": keystroke.session,
            "max_suggestions": keystroke.max_suggestions,
            "budget_ms": keystroke.budget.map(|budget| budget.as_secs_f64() * 1e3),
            "min_confidence": keystroke.min_confidence,
        });
        let answer = self.post("/v1/complete", &body).await?;
        let text = |suggestion: &Value| suggestion["text"].as_str().map(str::to_owned);
        let texts = answer["suggestions"].as_array().into_iter().flatten().filter_map(text).collect();
        Ok(Suggested { id: answer["id"].as_str().unwrap_or_default().to_owned(), texts })
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        let unreachable = |cause: String| Fault::Unreachable { url: self.url.clone(), cause };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.url))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))
            .map_err(|error| unreachable(error.to_string()))?;
        if let Some(key) = &self.key {
            request.headers_mut().insert(header::AUTHORIZATION, key.clone());
        }
        let asked = async {
            let reply = self.client.request(request).await.map_err(|error| causes(&error))?;
            let status = reply.status();
            let body = Limited::new(reply.into_body(), LONGEST).collect().await;
            Ok::<_, String>((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        let late = || unreachable("it does not answer".to_owned());
        let (status, bytes) =
            tokio::time::timeout(PATIENCE, asked).await.map_err(|_| late())?.map_err(unreachable)?;
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let answer = serde_json::from_slice::<Value>(&bytes);
        if status.is_success() {
            return answer.map_err(|_| unreachable("what answers is no Foretype".to_owned()));
        }
        // A proxy in between has pages of its own.
        let answer = answer.unwrap_or_default();
        let message = answer["error"]["message"].as_str().unwrap_or(status.as_str());
        // The last three are also what a proxy says while the service is started anew.
        let passes = [408, 429, 502, 503, 504].contains(&status.as_u16());
        let of = if passes { Fault::Later } else { Fault::Refused };
        Err(of(message.to_owned()))
    }
}

/// Whose certificates this machine trusts.
fn trusted() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("no certificates that this machine trusts were found: install ca-certificates, or name a file of them with SSL_CERT_FILE".into());
    }
    Ok(roots)
}

/// The last cause is what a person understands: connection refused.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let last = std::iter::successors(Some(error), |error| error.source()).last();
    last.unwrap_or(error).to_string()
}
