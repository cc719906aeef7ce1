//! What others know at the moment of a scrape.

use std::time::Duration;

use prometheus::{IntCounter, IntGauge};

use super::Metrics;
use crate::engine::NeuralState;
use crate::ledger::{Count, Group, PROPOSERS, Totals};
use crate::store::{Failure, StoreState};
use crate::writer::WritersState;

/// What is not counted where it happens, because who knows it keeps count anyway.
#[derive(Clone, Debug, Default)]
pub struct Now {
    /// See `foretype_busy_ratio`.
    pub busy: f32,
    /// See `foretype_door_room_ratio`.
    pub door: f32,
    /// What was typed and saved.
    pub totals: Totals,
    /// See `foretype_lag_seconds`.
    pub lag: Duration,
    /// Requests and keystrokes being worked on.
    pub in_flight: usize,
    /// Drafts that were typed in lately.
    pub sessions: usize,
    /// Writers who typed in the last minute, and in the last hour.
    pub active: [usize; 2],
    /// API keys that hold.
    pub keys: usize,
    /// Who is in memory.
    pub writers: WritersState,
    /// What the store keeps and what waits for it.
    pub store: StoreState,
    /// The neural tier; `None`: there is none.
    pub neural: Option<NeuralState>,
}

impl Metrics {
    /// Takes over what others know.
    pub(super) fn look(&self, now: &Now) {
        self.process.look();
        let traffic = &self.traffic;
        traffic.busy.set(f64::from(now.busy));
        traffic.door.set(f64::from(now.door));
        traffic.lag.set(now.lag.as_secs_f64());
        set(&traffic.in_flight, now.in_flight);
        set(&traffic.sessions, now.sessions);
        set(&traffic.keys, now.keys);
        for (within, writers) in ["minute", "hour"].into_iter().zip(now.active) {
            set(&traffic.active.with_label_values(&[within]), writers);
        }
        self.look_at_totals(&now.totals);
        self.look_at_writers(&now.writers);
        self.look_at_store(&now.store);
        if let Some(neural) = &now.neural {
            self.look_at_neural(neural);
        }
    }

    fn look_at_totals(&self, now: &Totals) {
        let answers = &self.answers;
        for who in PROPOSERS {
            catch_up(&answers.saved.with_label_values(&[who.name()]), now.count(Count::Saved(who)));
        }
        catch_up(&answers.sent, now.count(Count::SentChars));
        catch_up(&answers.sent_saved, now.count(Count::SentSaved));
        for group in Group::ALL {
            let label = [group.name()];
            catch_up(&answers.appeared.with_label_values(&label), now.count(Count::Appeared(group)));
            let (typing, ms) = (answers.typing.with_label_values(&label), now.count(Count::Typing(group)));
            typing.inc_by((ms as f64 / 1e3 - typing.get()).max(0.0));
        }
    }

    fn look_at_writers(&self, now: &WritersState) {
        let learning = &self.learning;
        set(&learning.warm, now.warm);
        set(&learning.warm_bytes, now.bytes);
        set(&learning.teams, now.teams);
        catch_up(&learning.loads, now.loads);
        catch_up(&learning.evictions, now.evictions);
        for (result, count) in [("stored", now.stored), ("known", now.known)] {
            catch_up(&learning.learned.with_label_values(&[result]), count);
        }
    }

    fn look_at_store(&self, now: &StoreState) {
        let learning = &self.learning;
        set(&learning.queue, now.waiting);
        for (file, bytes) in [("database", now.database_bytes), ("wal", now.wal_bytes)] {
            learning.bytes.with_label_values(&[file]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        for (failure, count) in Failure::ALL.into_iter().zip(now.failures) {
            catch_up(&learning.failures.with_label_values(&[failure.name()]), count);
        }
    }

    fn look_at_neural(&self, now: &NeuralState) {
        let (neural, counts) = (&self.neural, &now.counts);
        for (outcome, count) in [
            ("answered", counts.answered),
            ("refused", counts.refused),
            ("full", counts.full),
            ("superseded", counts.superseded),
            ("expired", counts.expired),
            ("panicked", counts.panics),
        ] {
            catch_up(&neural.questions.with_label_values(&[outcome]), count);
        }
        for (kind, count) in [("held", counts.tokens_held), ("run", counts.tokens_run)] {
            catch_up(&neural.kv_tokens.with_label_values(&[kind]), count);
        }
        catch_up(&neural.runs, counts.runs);
        catch_up(&neural.shares, counts.shares);
        catch_up(&neural.failures, counts.failures);
        for (lane, length) in [("questions", now.queue.questions), ("patient", now.queue.patient)] {
            set(&neural.queue.with_label_values(&[lane]), length);
        }
        neural.busy.set(f64::from(now.queue.busy));
        set(&neural.threads, now.queue.threads);
        set(&neural.kv_bytes, now.caches.bytes);
        set(&neural.kv_limit, now.caches.limit);
        set(&neural.kv_sessions, now.caches.sessions);
        catch_up(&neural.kv_evictions, now.caches.evictions);
    }
}

fn set(gauge: &IntGauge, now: usize) {
    gauge.set(i64::try_from(now).unwrap_or(i64::MAX));
}

/// Adds what came since the last look.
fn catch_up(counter: &IntCounter, now: u64) {
    counter.inc_by(now.saturating_sub(counter.get()));
}
