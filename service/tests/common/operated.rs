//! A service without a network, with its operators' side, over a folder that it can be started over again.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use foretype::history::History;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Reply, Service};

/// A service, its operators' side, and the folder it writes.
pub struct Operated {
    pub service: Service,
    pub operators: Service,
    pub history: Arc<History>,
    folder: TempDir,
}

impl Operated {
    pub async fn start() -> Self {
        Self::over(tempfile::tempdir().unwrap()).await
    }

    async fn over(folder: TempDir) -> Self {
        let service = Service::over(folder.path());
        service.app.holdout.read(service.app.writers.store()).await.unwrap();
        let (app, history) = (service.app.clone(), Arc::new(History::new(service.app.clone())));
        history.restore().await.unwrap();
        let router = foretype::admin::router(app.clone(), Arc::clone(&history), Arc::default());
        Self { service, operators: Service { app, router }, history, folder }
    }

    /// Stops, and another process over the same folder begins.
    pub async fn restart(self) -> Self {
        self.history.close().await;
        self.crash().await
    }

    /// The same without a farewell.
    pub async fn crash(self) -> Self {
        let Self { service, operators, history, folder } = self;
        service.app.writers.store().close().await.unwrap();
        drop((service, operators, history));
        Self::over(folder).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let reply = self.operators.get(&format!("/admin/api{path}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text);
        assert_eq!(reply.headers["cache-control"], "no-store", "{path}");
        reply.json()
    }

    pub async fn key(&self, session: &str, text: &str) -> Value {
        let body = json!({"text": text, "writer": "ann", "session": session, "min_confidence": 0});
        let reply = self.service.post("/v1/complete", body.to_string()).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        reply.json()
    }

    pub async fn take(&self, answer: &Value, outcome: &str, chars: u64) {
        let body = json!({"id": answer["id"], "outcome": outcome, "chars": chars}).to_string();
        assert_eq!(self.service.post("/v1/feedback", body).await.status, StatusCode::NO_CONTENT);
    }

    pub async fn learn(&self, writer: &str, text: &str) {
        let body = json!({"writer": writer, "text": text}).to_string();
        assert_eq!(self.service.post("/v1/learn", body).await.status, StatusCode::OK);
    }

    /// One of the tables of all time, by name.
    pub async fn row(&self, table: &str, name: &str) -> Value {
        let now = self.now().await;
        let rows = now[table].as_array().unwrap();
        rows.iter().find(|row| row.as_object().unwrap().values().any(|value| value == name)).unwrap().clone()
    }

    /// What goes on. One that was asked for within the second is shown again, so another is waited for.
    pub async fn now(&self) -> Value {
        tokio::time::sleep(Duration::from_millis(1_050)).await;
        self.get("/now").await
    }

    pub async fn hold_out(&self, share: Value) -> Reply {
        self.operators.put("/admin/api/holdout", json!({"share": share}).to_string()).await
    }
}
