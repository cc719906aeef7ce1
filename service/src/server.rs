//! Serving until told to stop, then stopping without losing anything.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::app::App;
use crate::history::History;
use crate::listener::{Accept, Operators, Public};
use crate::{admin, http};

/// How long a connection may stay without a request, and the head of one may take: who vanished without a word is let go.
const WAITING: Duration = Duration::from_secs(60);
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
    let admin = tokio::spawn(serve(Operators::new(listeners.admin), operators, stopped));
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
            public.map_err(io::Error::other)?;
            admin.map_err(io::Error::other)?;
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

/// Serves connections until it is told to stop, then waits for the requests in flight. Nothing is sent through `stopped`: its
/// sender is dropped.
async fn serve(mut listener: impl Accept, router: Router, mut stopped: watch::Receiver<()>) {
    let service = TowerToHyperService::new(router);
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(WAITING);
    let (alive, mut ended) = mpsc::channel::<()>(1);
    loop {
        let (socket, place) = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        let connection = protocol.serve_connection(TokioIo::new(socket), service.clone()).with_upgrades();
        let (mut stopped, alive) = (stopped.clone(), alive.clone());
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let done = tokio::select! {
                done = &mut connection => done,
                _ = stopped.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = done {
                tracing::debug!(%error, "a connection ended");
            }
            drop((place, alive));
        });
    }
    drop((listener, alive));
    // All of them, when their senders are gone.
    let _none = ended.recv().await;
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    use super::*;

    /// Time is not waited for: it goes on to the next timer when nothing else happens.
    #[tokio::test(start_paused = true)]
    async fn who_sends_no_request_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(());
        let router = Router::new().route("/", get(async || "here"));
        let serving = tokio::spawn(serve(Operators::new(listener), router, stopped));
        for (sent, answers) in
            [("", 0), ("GET / HTTP/1.1\r\nhost:", 0), ("GET / HTTP/1.1\r\nhost: x\r\n\r\n", 1)]
        {
            let began = Instant::now();
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket.write_all(sent.as_bytes()).await.unwrap();
            let mut said = String::new();
            socket.read_to_string(&mut said).await.unwrap();
            assert_eq!(said.matches("200 OK").count(), answers, "{said}");
            let took = began.elapsed();
            assert!(took >= WAITING && took < 2 * WAITING, "{sent:?}: {took:?}");
        }
        drop(stop);
        serving.await.unwrap();
    }
}
