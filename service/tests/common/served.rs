//! A service on its ports, as `foretype serve` runs it, and the folder it writes for as long as the test runs.

use std::net::SocketAddr;

use foretype::app::App;
use foretype::server::{self, Listeners};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Service;

pub struct Served {
    pub app: App,
    /// The API.
    pub address: SocketAddr,
    /// The operators' side.
    pub admin: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub running: JoinHandle<std::io::Result<()>>,
    pub folder: TempDir,
}

pub async fn serve() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let app = Service::over(folder.path()).app;
    let bind = || TcpListener::bind("127.0.0.1:0");
    let listeners = Listeners { public: bind().await.unwrap(), admin: bind().await.unwrap() };
    let [address, admin] =
        [&listeners.public, &listeners.admin].map(|listener| listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let running = tokio::spawn(server::run(listeners, app.clone(), shutdown));
    Served { app, address, admin, stop, running, folder }
}
