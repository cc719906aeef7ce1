//! A service over a fixed engine and a real store, asked without a network.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use foretype::app::App;
use foretype::engine::{Engine, Predictor, Settings as Models};
use foretype::http;
use foretype::metrics::Metrics;
use foretype::store::{Sqlite, Store};
use foretype::writer::{Settings, Writers};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

pub mod operated;
pub mod served;

/// The service.
pub struct Service {
    pub app: App,
    pub router: Router,
}

/// The service, and the folder it writes for as long as the test runs.
pub struct Started {
    service: Service,
    pub folder: TempDir,
}

impl Deref for Started {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

/// A service that knows nobody yet.
pub fn start() -> Started {
    let folder = tempfile::tempdir().unwrap();
    Started { service: Service::over(folder.path()), folder }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Service {
    pub fn over(folder: &Path) -> Self {
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(folder, Box::new(|_, _| {})).unwrap());
        let engine = Arc::new(Engine::fixed(&[(" help", 0.7), (" hear", 0.2), (" you", 0.1)]));
        let writers = Writers::new(store, Settings::default(), Arc::clone(&engine));
        let app = App::new(engine, writers, Arc::new(Metrics::default()), Duration::from_millis(20));
        Self { router: http::router(app.clone()), app }
    }

    /// Over the shipped bundle.
    pub fn with(folder: &Path, predictors: &[Predictor]) -> Self {
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(folder, Box::new(|_, _| {})).unwrap());
        let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle");
        let settings = Models::new(bundle, predictors.to_vec());
        let engine = Arc::new(Engine::open(&settings).unwrap());
        let writers = Writers::new(store, Settings::default(), Arc::clone(&engine));
        let app = App::new(engine, writers, Arc::new(Metrics::default()), Duration::from_secs(1));
        Self { router: http::router(app.clone()), app }
    }

    pub async fn ask(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Reply {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Reply {
        self.send(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: impl Into<Body>) -> Reply {
        self.send(Method::PUT, path, body).await
    }

    async fn send(&self, method: Method, path: &str, body: impl Into<Body>) -> Reply {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = request.header("content-type", "application/json");
        self.ask(request.body(body.into()).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path).await
    }

    pub async fn call(&self, method: Method, path: &str) -> Reply {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        self.ask(request.body(Body::empty()).unwrap()).await
    }
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    /// Checks the status, and that the error says what it should.
    #[track_caller]
    pub fn expect_error(&self, status: u16, code: &str, names: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let body = self.json();
        assert_eq!(body["error"]["code"], code);
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(names), "{message:?} does not name {names:?}");
        assert_eq!(body.as_object().unwrap().len(), 1);
        assert_eq!(body["error"].as_object().unwrap().len(), 2);
    }
}
