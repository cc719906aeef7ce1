//! What the system says of this process.

use super::step::{Gauge, Gauges};
use crate::app::App;
use crate::metrics::Usage;

/// All gauges as they are now.
pub(super) async fn gauges(app: &App) -> Gauges {
    // The system makes these up when they are read, which may take a millisecond with thousands of sockets.
    let system = tokio::task::spawn_blocking(Usage::now).await.ok().flatten();
    let (memory, fds) = system
        .map_or((f64::NAN, f64::NAN), |usage| (usage.resident_kib as f64 * 1024.0, usage.open_fds as f64));
    let [minute, hour] = app.ledger.active();
    let kv_bytes = app.engine.neural().map_or(0, |neural| neural.caches.bytes);
    Gauge::ALL.map(|gauge| match gauge {
        Gauge::Busy => f64::from(app.door.busy()),
        Gauge::KvBytes => kv_bytes as f64,
        Gauge::StoreQueue => app.writers.store().state().waiting as f64,
        Gauge::MemoryBytes => memory,
        Gauge::OpenFds => fds,
        Gauge::WritersMinute => minute as f64,
        Gauge::WritersHour => hour as f64,
        Gauge::WritersWarm => app.writers.warm() as f64,
        Gauge::StreamsOpen => app.streams_open() as f64,
    })
}
