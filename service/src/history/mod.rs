//! What the service did over time: an hour in steps of ten seconds, two days in steps of five minutes and a month in hours. All of it
//! is in the store; the hour is in memory too, as it is what is looked at.
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
pub use step::{Gauge, Step};

use columns::{Sample, sample};

mod columns;
mod kept;
mod step;
mod stored;
mod system;

/// Seconds of the shortest period.
pub const STEP: u32 = 10;
/// The same of the next.
pub const FIVE_MINUTES: u32 = 300;
/// The same of the longest.
pub const HOUR: u32 = 3_600;
/// For how many seconds each is kept.
const KEPT: [(u32, i64); 3] = [(STEP, HOUR as i64), (FIVE_MINUTES, 2 * DAY), (HOUR, 31 * DAY)];
const DAY: i64 = 86_400;
/// Steps in memory: an hour.
const STEPS: usize = (HOUR / STEP) as usize;
/// Seconds after which a running period is stored: so much a crash may cost.
const SAVED: i64 = 60;
/// Ends of steps that are remembered, for what happened in the last minute.
const ENDS: usize = 6;
/// Rows that wait for a store that is away.
const WAITING: usize = 64;

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
    /// What was so far, by [`KEPT`].
    periods: [Option<Begun>; KEPT.len()],
    /// To be stored, each with how long it is kept.
    rows: Vec<(Period, i64)>,
    /// What was stored last of all time.
    kept: String,
}

/// A period that runs.
struct Begun {
    at: i64,
    so_far: Step,
    /// Whether there is more than was put in line to be stored.
    is_new: bool,
}

impl History {
    /// Of a service that starts.
    pub fn new(app: App) -> Self {
        Self { app, recent: Mutex::default(), running: tokio::sync::Mutex::default() }
    }

    /// Goes on where the process before this one ended; before anything is counted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn restore(&self) -> Result<(), StoreError> {
        let store = self.app.writers.store();
        if let Some(kept) = store.setting(kept::SETTING).await?
            && let Err(error) = kept::restore(&self.app.ledger, &kept, self.app.holdout.since())
        {
            tracing::error!(%error, "what was counted before cannot be read; counting begins anew");
        }
        let hour = store.periods(STEP, clock::now_ms() / 1_000 - i64::from(HOUR)).await?;
        let read = |period: &Period| Some(sample(period.at, &stored::decode(period)?));
        self.recent().samples = hour.iter().filter_map(read).collect();
        Ok(())
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
        let Running { before, periods, rows, kept } = &mut *running;
        let totals = self.totals();
        let step = Step::new(totals.since(before), gauges);
        before.clone_from(&totals);
        self.remember_end(totals);
        let is_minute = now.rem_euclid(SAVED) < i64::from(STEP);
        let mut is_due = is_last || is_minute;
        for ((seconds, age), period) in KEPT.into_iter().zip(periods) {
            // What ends now was before now.
            let at = (now - 1).div_euclid(i64::from(seconds)) * i64::from(seconds);
            if let Some(over) = period.take_if(|begun| begun.at != at)
                && over.is_new
            {
                rows.push((stored::encode(&over.so_far, seconds, over.at), age));
                is_due |= seconds != STEP;
            }
            let begun = match period {
                Some(begun) => begun,
                none => none.insert(Begun { at, so_far: self.stored(seconds, at).await, is_new: false }),
            };
            begun.so_far.merge(&step);
            if seconds == STEP {
                self.remember(sample(at, &begun.so_far));
            }
            let is_over = now >= at + i64::from(seconds);
            if is_last || is_over || is_minute {
                rows.push((stored::encode(&begun.so_far, seconds, at), age));
                is_due |= seconds != STEP;
            }
            begun.is_new = !(is_last || is_over || is_minute);
        }
        if is_due {
            self.store(rows, kept).await;
        }
    }

    /// Stores what is new; what cannot be stored now is later.
    async fn store(&self, rows: &mut Vec<(Period, i64)>, kept: &mut String) {
        let store = self.app.writers.store();
        let told = |error| tracing::warn!(%error, "the history was not stored; it is tried again");
        match store.keep_periods(rows.clone()).await {
            Ok(()) => rows.clear(),
            Err(error) => {
                told(error);
                if rows.len() > WAITING {
                    // What is kept longest is worth most.
                    rows.retain(|(period, _)| period.seconds != STEP);
                }
                rows.drain(..rows.len().saturating_sub(WAITING));
            }
        }
        let now = kept::encode(&self.app.ledger);
        if now != *kept {
            match store.set(kept::SETTING, now.clone()).await {
                Ok(()) => *kept = now,
                Err(error) => told(error),
            }
        }
    }

    /// What a process before this one stored of a period.
    async fn stored(&self, seconds: u32, at: i64) -> Step {
        // What began later is this one's own.
        if at * 1_000 > self.app.ledger.started {
            return Step::default();
        }
        let found = self.app.writers.store().periods(seconds, at).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what was stored of this period is not known");
            Vec::new()
        });
        found.iter().find(|period| period.at == at).and_then(stored::decode).unwrap_or_default()
    }

    /// Of one step several samples may come: what a process before this one saw of it, and more.
    fn remember(&self, (at, values): Sample) {
        let samples = &mut self.recent().samples;
        if samples.back().is_some_and(|(last, _)| *last == at) {
            samples.pop_back();
        }
        if samples.len() == STEPS {
            samples.pop_front();
        }
        samples.push_back((at, values));
    }

    fn remember_end(&self, totals: Totals) {
        let ends = &mut self.recent().ends;
        if ends.len() == ENDS {
            ends.pop_front();
        }
        ends.push_back((Instant::now(), totals));
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
