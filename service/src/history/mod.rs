//! What the service did over time: an hour in steps of ten seconds in memory, two days in steps of five minutes and a month in hours in
//! the store.
//!
//! A step is what the ledger says less what it said before. Steps add up, so that a period a restart falls into is whole: what is
//! stored of it is where the next process goes on.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::app::App;
use crate::clock;
use crate::ledger::{Count, Totals};
use crate::store::{Period, StoreError};

pub use columns::Columns;
pub use step::{Gauge, Step, speed};

use columns::{Sample, sample};

mod columns;
mod step;
mod stored;
mod system;

/// Seconds of a step in memory.
pub const STEP: u32 = 10;
/// Steps in memory: an hour.
const STEPS: usize = 360;
/// Seconds of the periods in the store.
pub const FIVE_MINUTES: u32 = 300;
/// The same.
pub const HOUR: u32 = 3_600;
/// For how many seconds each is kept.
const KEPT: [(u32, i64); 2] = [(FIVE_MINUTES, 2 * DAY), (HOUR, 31 * DAY)];
const DAY: i64 = 86_400;
/// Seconds after which a running period is stored: so much a crash may cost.
const SAVED: i64 = 60;
/// Ends of steps that are remembered, for what happened in the last minute.
const ENDS: usize = 6;
/// Rows that wait for a store that is away.
const WAITING: usize = 8;

/// The history of this service.
pub struct History {
    app: App,
    recent: Mutex<Recent>,
    running: tokio::sync::Mutex<Running>,
}

#[derive(Default)]
struct Recent {
    samples: VecDeque<Sample>,
    ends: VecDeque<(Instant, Totals)>,
}

/// Held by whoever ends a step.
#[derive(Default)]
struct Running {
    before: Totals,
    /// What was so far, by [`KEPT`]; with when it began.
    periods: [Option<(i64, Step)>; KEPT.len()],
    /// To be stored, each with how long it is kept.
    rows: Vec<(Period, i64)>,
}

impl History {
    /// Of a service that starts.
    pub fn new(app: App) -> Self {
        Self { app, recent: Mutex::default(), running: tokio::sync::Mutex::default() }
    }

    /// Ends a step every ten seconds for as long as it is polled.
    pub async fn run(&self) {
        let step = i64::from(STEP) * 1_000;
        loop {
            let wait = step - clock::now_ms().rem_euclid(step);
            tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())).await;
            // Timers are a little early or late.
            self.end_step((clock::now_ms() + step / 2).div_euclid(step) * i64::from(STEP)).await;
        }
    }

    /// Ends a step at `now`, seconds since the Unix epoch, and stores what is due.
    pub async fn end_step(&self, now: i64) {
        self.end(now, false).await;
    }

    /// Ends the last step, and stores all.
    pub async fn close(&self) {
        self.end(clock::now_ms().div_euclid(1_000), true).await;
    }

    async fn end(&self, now: i64, is_last: bool) {
        let gauges = system::gauges(&self.app).await;
        let mut running = self.running.lock().await;
        let Running { before, periods, rows } = &mut *running;
        let totals = self.totals();
        let step = Step::new(totals.since(before), gauges);
        before.clone_from(&totals);
        self.remember(now, &step, totals);
        for ((seconds, kept), period) in KEPT.into_iter().zip(periods) {
            // What ends now was before now.
            let at = (now - 1).div_euclid(i64::from(seconds)) * i64::from(seconds);
            if let Some((begun, whole)) = period.take_if(|(begun, _)| *begun != at) {
                rows.push((stored::encode(&whole, seconds, begun), kept));
            }
            let (_, so_far) = match period {
                Some(period) => period,
                none => none.insert((at, self.stored(seconds, at).await)),
            };
            so_far.merge(&step);
            if is_last || now >= at + i64::from(seconds) || now.rem_euclid(SAVED) < i64::from(STEP) {
                rows.push((stored::encode(so_far, seconds, at), kept));
            }
        }
        if rows.is_empty() {
            return;
        }
        match self.app.writers.store().keep_periods(rows.clone()).await {
            Ok(()) => rows.clear(),
            Err(error) => {
                tracing::warn!(%error, "the history was not stored; it is tried again");
                rows.drain(..rows.len().saturating_sub(WAITING));
            }
        }
    }

    /// What a process before this one stored of a period.
    async fn stored(&self, seconds: u32, at: i64) -> Step {
        let found = self.app.writers.store().periods(seconds, at).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what was stored of this period is not known");
            Vec::new()
        });
        found.iter().find(|period| period.at == at).and_then(stored::decode).unwrap_or_default()
    }

    fn remember(&self, now: i64, step: &Step, totals: Totals) {
        let mut recent = self.recent();
        if recent.samples.len() == STEPS {
            recent.samples.pop_front();
        }
        recent.samples.push_back(sample(now - i64::from(STEP), step));
        if recent.ends.len() == ENDS {
            recent.ends.pop_front();
        }
        recent.ends.push_back((Instant::now(), totals));
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was counted since the start, by the neural tier too.
    fn totals(&self) -> Totals {
        let mut totals = self.app.ledger.totals();
        if let Some(neural) = self.app.engine.neural() {
            totals.set(Count::KvHeld, neural.counts.tokens_held);
            totals.set(Count::KvRun, neural.counts.tokens_run);
        }
        totals
    }

    /// What happened since the start, what happened in the last minute, and how long that minute is.
    pub async fn now(&self) -> (Step, Step, Duration) {
        let gauges = system::gauges(&self.app).await;
        let totals = self.totals();
        let started = Duration::from_millis((clock::now_ms() - self.app.ledger.started).unsigned_abs());
        let (window, minute) = match self.recent().ends.front() {
            Some((end, then)) => (end.elapsed(), totals.since(then)),
            None => (started, totals.clone()),
        };
        (Step::new(totals, gauges), Step::new(minute, gauges), window)
    }

    /// The last hour.
    pub fn hour(&self, now: i64) -> Columns {
        Columns::new(STEP, self.recent().samples.make_contiguous(), now - i64::from(HOUR), now)
    }

    /// What the store has of the periods of a length that began in the last `seconds` and are over.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn past(&self, length: u32, seconds: i64, now: i64) -> Result<Columns, StoreError> {
        let rows = self.app.writers.store().periods(length, now - seconds).await?;
        // A month is some megabytes to read, and keystrokes are answered on these threads.
        let read = move || {
            let read = |period: &Period| stored::decode(period).map(|step| sample(period.at, &step));
            let samples: Vec<_> = rows.iter().filter_map(read).collect();
            // One that runs is not to be seen as if it were over.
            Columns::new(length, &samples, now - seconds, now - i64::from(length) + 1)
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Unavailable)
    }
}
