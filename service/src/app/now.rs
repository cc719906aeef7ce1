//! The service as operators see it.

use super::{App, CONCURRENCY};
use crate::metrics::Now;

impl App {
    /// What `/metrics` says.
    pub fn metrics_page(&self) -> String {
        self.metrics.render(&self.now())
    }

    fn now(&self) -> Now {
        Now {
            busy: self.door.busy(),
            door: self.door.room(),
            totals: self.ledger.totals(),
            lag: self.door.lag(),
            in_flight: CONCURRENCY.saturating_sub(self.admission.available_permits()),
            sessions: self.engine.open_sessions(),
            active: self.ledger.active(),
            keys: self.keys.count(),
            writers: self.writers.state(),
            store: self.writers.store().state(),
            neural: self.engine.neural(),
        }
    }
}
