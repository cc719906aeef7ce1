//! Serving until told to stop, then stopping without losing anything.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app::App;
use crate::history::History;
use crate::listener::Public;
use crate::{admin, http};

/// How long requests in flight may take to end.
const DRAIN: Duration = Duration::from_secs(10);
/// How long the snapshots of warm writers may take; what is not written is folded from events at the next start.
const SAVE: Duration = Duration::from_secs(10);

/// Where to listen.
pub struct Listeners {
    /// The API and the page.
    pub public: TcpListener,
    /// The dashboard, health and metrics.
    pub admin: TcpListener,
}

/// Serves until `shutdown` resolves, then ends what is in flight, writes snapshots and closes the store.
pub async fn run(listeners: Listeners, app: App, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    app.holdout.read(app.writers.store()).await.map_err(io::Error::other)?;
    let (closing, history) = (Arc::new(AtomicBool::new(false)), Arc::new(History::new(app.clone())));
    history.restore().await.map_err(io::Error::other)?;
    let (stop, stopped) = watch::channel(());
    let (metrics, ledger) = (Arc::clone(&app.metrics), Arc::clone(&app.ledger));
    let public = Public::new(listeners.public, app.door.clone(), metrics, ledger);
    let public = tokio::spawn(serve(public, http::router(app.clone()), stopped.clone()));
    let operators = admin::router(app.clone(), Arc::clone(&history), Arc::clone(&closing));
    let admin = tokio::spawn(serve(listeners.admin, operators, stopped));
    let watch = tokio::spawn(app.door.clone().watch());
    let steps = Arc::clone(&history);
    let steps = tokio::spawn(async move { steps.run().await });
    shutdown.await;

    watch.abort();
    steps.abort();
    closing.store(true, Ordering::Relaxed);
    app.stop();
    drop(stop);
    let drained = async { (public.await, admin.await) };
    match tokio::time::timeout(DRAIN, drained).await {
        Ok((public, admin)) => {
            public.map_err(io::Error::other)??;
            admin.map_err(io::Error::other)??;
        }
        Err(_) => tracing::warn!("some requests did not end in time and were cut off"),
    }
    if tokio::time::timeout(SAVE, app.writers.save_all()).await.is_err() {
        tracing::warn!("some snapshots were not written in time; the next start folds events instead");
    }
    history.close().await;
    if let Some(traces) = app.traces.clone() {
        // It blocks, and what it sends goes over this runtime.
        drop(tokio::task::spawn_blocking(move || traces.shutdown()).await);
    }
    app.writers.store().close().await.map_err(io::Error::other)
}

async fn serve<L>(listener: L, router: Router, mut stopped: watch::Receiver<()>) -> io::Result<()>
where
    L: Listener<Addr: std::fmt::Debug>,
{
    let stop = async move { while stopped.changed().await.is_ok() {} };
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}
