//! `foretype serve`: loads, binds, says where it is, serves.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::net::TcpListener;

use crate::app::App;
use crate::cli::{Models, Serve};
use crate::engine::{self, Engine, Predictor};
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::panics;
use crate::server::{self, Listeners};
use crate::store::{Sqlite, Store};
use crate::traces::Traces;
use crate::writer::{Settings, Writers};

/// Runs until SIGTERM or Ctrl+C.
pub fn run(serve: &Serve) -> Result<()> {
    let started = Instant::now();
    ensure!(
        serve.admin_listen.ip().is_loopback(),
        "{} can be reached from other machines, and whoever reaches it is taken for an operator: listen on 127.0.0.1",
        serve.admin_listen
    );
    let threads = usize::try_from(serve.threads)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let listeners = Listeners {
            public: bind(serve.listen, "--listen").await?,
            admin: bind(serve.admin_listen, "--admin-listen").await?,
        };
        let settings = Settings {
            max_writers: usize::try_from(serve.warm_writers)?,
            max_bytes: usize::try_from(serve.warm_mib << 20)?,
            team_writers: serve.team_writers,
            ..Settings::default()
        };
        let mut app = open_app(&serve.models, settings, Duration::from_millis(serve.budget_ms))?;
        app.shuffle_share = serve.shuffle_share;
        app.traces = Traces::open(serve.trace_endpoint.as_deref(), serve.trace_share)?.map(Arc::new);
        with_keys(serve, &app).await?;
        panics::count(Arc::clone(&app.metrics));
        app.engine.warm_up().await;
        app.metrics.started(started.elapsed());
        announce(serve, &listeners, &app, started.elapsed())?;
        server::run(listeners, app, shutdown()).await.context("serving")
    })
}

/// Everything but the network: models, store and writers.
pub fn open_app(models: &Models, settings: Settings, budget: Duration) -> Result<App> {
    let (metrics, ledger) = (Arc::new(Metrics::default()), Arc::new(Ledger::default()));
    let folder = data_folder(models)?;
    let (count, enter) = (Arc::clone(&metrics), Arc::clone(&ledger));
    let on_commit = move |writes, took| {
        count.committed(writes, took);
        enter.committed(took);
    };
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&folder, Box::new(on_commit))?);
    let engine = Arc::new(open_engine(models)?);
    let writers = Writers::new(store, settings, Arc::clone(&engine));
    let mut app = App::new(engine, writers, metrics, budget);
    app.ledger = ledger;
    Ok(app)
}

/// Reads the API keys, and goes on doing so. Without any, only this machine may ask.
async fn with_keys(serve: &Serve, app: &App) -> Result<()> {
    app.keys.refresh(app.writers.store()).await?;
    if !serve.listen.ip().is_loopback() {
        ensure!(
            app.keys.is_required(),
            "{} can be reached from other machines, and there are no API keys to tell who asks: make one with \
             `foretype keys add`, or listen on 127.0.0.1",
            serve.listen
        );
    }
    let app = app.clone();
    tokio::spawn(async move { app.keys.follow(app.writers.store()).await });
    Ok(())
}

/// Opens the engine with the models these options name.
pub fn open_engine(models: &Models) -> Result<Engine> {
    let settings = engine::Settings {
        bundle: bundle_folder(models.bundle.as_ref())?,
        runtime: models.runtime.clone(),
        predictors: models.predictors.clone(),
        kv_bytes: usize::try_from(models.kv_mib << 20)?,
        inference_threads: usize::try_from(models.inference_threads)?,
        kernel: models.int4_kernel,
        thrift: models.thrift,
    };
    Ok(Engine::open(&settings)?)
}

/// The folder of what writers taught.
pub fn data_folder(models: &Models) -> Result<PathBuf> {
    folder_of(models.data.as_ref())
}

/// The folder that is named, or the platform's.
pub fn folder_of(data: Option<&PathBuf>) -> Result<PathBuf> {
    let platform =
        || directories::ProjectDirs::from("", "", "foretype").map(|folders| folders.data_local_dir().into());
    let folder = data.cloned().or_else(platform);
    folder.context("this account has no home folder to keep data in: name one with --data or FORETYPE_DATA")
}

/// The folder of the models: the one that is named, or the checkout's.
pub fn bundle_folder(bundle: Option<&PathBuf>) -> Result<PathBuf> {
    if let Some(folder) = bundle {
        return Ok(folder.clone());
    }
    let binary = std::env::current_exe().ok();
    let shell = std::env::current_dir().ok();
    let starts = [binary, shell].into_iter().flatten();
    let found = starts
        .flat_map(|start| start.ancestors().map(bundle_in).collect::<Vec<_>>())
        .find(|folder| folder.join("bundle.toml").is_file());
    found.context(
        "no models found: there is no models/bundle above the binary or this folder. Start from the checkout, or name \
         the folder with --bundle or FORETYPE_BUNDLE",
    )
}

fn bundle_in(folder: &Path) -> PathBuf {
    folder.join("models/bundle")
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    let advice =
        || format!("cannot listen on {address}: stop what does, or choose another address with {flag}");
    TcpListener::bind(address).await.with_context(advice)
}

/// For the person who started it; everything else goes to the log on standard error.
fn announce(serve: &Serve, listeners: &Listeners, app: &App, took: Duration) -> Result<()> {
    let health = app.engine.health();
    let predictors: Vec<_> = health.predictors.into_iter().map(Predictor::name).collect();
    let mut out = io::stdout().lock();
    writeln!(out, "Foretype is ready: open http://{}", listeners.public.local_addr()?)?;
    writeln!(out, "  predictors  {} (bundle {})", predictors.join(", "), health.bundle)?;
    writeln!(out, "  data        {}", data_folder(&serve.models)?.display())?;
    writeln!(out, "  operators   http://{}/admin", listeners.admin.local_addr()?)?;
    writeln!(out, "  API         http://{}/docs", listeners.public.local_addr()?)?;
    writeln!(out, "  started in  {} ms; stop with Ctrl+C", took.as_millis())?;
    Ok(out.flush()?)
}

/// Resolves when the service is asked to stop.
async fn shutdown() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        let Ok(mut terminate) = terminate else {
            return drop(interrupt.await);
        };
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    drop(interrupt.await);
}
