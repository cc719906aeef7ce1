//! What the system says of this process.

use super::step::{Gauge, Gauges};
use crate::app::App;

/// Bytes of memory that the process has (resident set); NaN where the system does not tell.
fn memory_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kibibytes.map_or(f64::NAN, |kibibytes| kibibytes * 1024.0)
}

/// Files and sockets that are open; NaN where the system does not tell.
fn open_fds() -> f64 {
    // One is what they are listed through.
    std::fs::read_dir("/proc/self/fd").map_or(f64::NAN, |open| open.count().saturating_sub(1) as f64)
}

/// All gauges as they are now.
pub(super) async fn gauges(app: &App) -> Gauges {
    // The system makes these up when they are read, which may take a millisecond with thousands of sockets.
    let system = tokio::task::spawn_blocking(|| (memory_bytes(), open_fds())).await;
    let (memory, fds) = system.unwrap_or((f64::NAN, f64::NAN));
    let kv_bytes = app.engine.neural().map_or(0, |neural| neural.caches.bytes);
    Gauge::ALL.map(|gauge| match gauge {
        Gauge::Busy => f64::from(app.door.busy()),
        Gauge::KvBytes => kv_bytes as f64,
        Gauge::StoreQueue => app.writers.store().state().waiting as f64,
        Gauge::MemoryBytes => memory,
        Gauge::OpenFds => fds,
        Gauge::WritersWarm => app.writers.warm() as f64,
        Gauge::StreamsOpen => app.streams_open() as f64,
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells() {
        let before = super::open_fds();
        let file = std::fs::File::open("/proc/self/status");
        assert!(file.is_ok() && super::open_fds() > 0.0 && before > 0.0);
        assert!(super::memory_bytes() > 1e6, "{}", super::memory_bytes());
    }
}
