//! Answers that were not what they could have been, one by one: when, by how much and why; never text, never whose.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use crate::clock;
use crate::engine::{Predictor, Status};

/// Kept of each reason, so that what is frequent does not push out what is rare.
const KEPT: usize = 20;
/// Noted of each reason in a second.
const A_SECOND: u32 = 2;
/// How far a listener may be behind.
const BEHIND: usize = 64;

/// Why it counts as degraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was later than its budget and 1 ms.
    Late,
    /// The GPT-2 did not make the deadline.
    Gpt2Late,
    /// The GPT-2 was too busy to be asked.
    Gpt2Skipped,
    /// There was too much to do to answer at all.
    TurnedAway,
    /// A bug of ours.
    Failed,
}

impl Reason {
    const COUNT: usize = 5;

    /// The name the dashboard uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Gpt2Late => "gpt2_late",
            Self::Gpt2Skipped => "gpt2_skipped",
            Self::TurnedAway => "turned_away",
            Self::Failed => "failed",
        }
    }
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Degraded {
    /// Counts upwards, over restarts too.
    pub id: u64,
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// What it took.
    pub elapsed: Duration,
    /// What it might have taken.
    pub budget: Duration,
    /// Why.
    pub reason: Reason,
    /// What became of each predictor; empty: none was asked.
    pub predictors: Vec<(Predictor, Status)>,
    /// Whose customer asked; `None`: it did not come that far.
    pub tenant: Option<Arc<str>>,
}

/// The latest.
pub struct Log {
    state: Mutex<State>,
    news: broadcast::Sender<Arc<Degraded>>,
}

struct State {
    last_id: u64,
    of_reason: [OfReason; Reason::COUNT],
}

#[derive(Default)]
struct OfReason {
    kept: VecDeque<Arc<Degraded>>,
    /// When the second began in which so many were noted.
    second: Option<Instant>,
    noted: u32,
}

impl OfReason {
    fn may(&mut self, now: Instant) -> bool {
        if self.second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1)) {
            (self.second, self.noted) = (Some(now), 0);
        }
        self.noted += 1;
        self.noted <= A_SECOND
    }
}

impl Default for Log {
    fn default() -> Self {
        // There are fewer than one a millisecond: who listened to the process before this one misses nothing.
        let state = State { last_id: clock::now_ms().unsigned_abs(), of_reason: Default::default() };
        Self { state: Mutex::new(state), news: broadcast::Sender::new(BEHIND) }
    }
}

impl Log {
    /// Notes one, unless there were several of its kind this second.
    pub(super) fn note(
        &self,
        reason: Reason,
        [elapsed, budget]: [Duration; 2],
        predictors: &[(Predictor, Status)],
        tenant: Option<&Arc<str>>,
    ) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.of_reason[reason as usize].may(Instant::now()) {
            return;
        }
        state.last_id += 1;
        let (id, at, predictors, tenant) =
            (state.last_id, clock::now_ms(), predictors.to_vec(), tenant.cloned());
        let degraded = Arc::new(Degraded { id, at, elapsed, budget, reason, predictors, tenant });
        let kept = &mut state.of_reason[reason as usize].kept;
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&degraded));
        // Nobody may be listening.
        drop(self.news.send(degraded));
    }

    /// Those that are kept, the oldest first, and the ones to come: none is missing in between.
    pub fn listen(&self) -> (Vec<Arc<Degraded>>, broadcast::Receiver<Arc<Degraded>>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept: Vec<_> = state.of_reason.iter().flat_map(|of| of.kept.iter().cloned()).collect();
        kept.sort_by_key(|degraded| degraded.id);
        (kept, self.news.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_frequent_does_not_push_out_what_is_rare() {
        let log = Log::default();
        let took = [Duration::from_millis(30), Duration::from_millis(20)];
        log.note(Reason::Late, took, &[], None);
        let (_, mut news) = log.listen();
        for _ in 0..1_000 {
            log.note(Reason::Gpt2Skipped, took, &[(Predictor::Gpt2, Status::Skipped)], Some(&"acme".into()));
            // As if a second had passed.
            log.state.lock().expect("no test panics with it").of_reason[Reason::Gpt2Skipped as usize]
                .second = None;
        }
        let (kept, _) = log.listen();
        assert_eq!(kept.len(), 1 + KEPT);
        assert_eq!((kept[0].reason, kept[KEPT].id - kept[0].id), (Reason::Late, 1_000));
        assert!(matches!(news.try_recv(), Err(broadcast::error::TryRecvError::Lagged(_))));
    }

    #[test]
    fn a_burst_is_noted_twice_a_second() {
        let log = Log::default();
        (0..50).for_each(|_| log.note(Reason::TurnedAway, [Duration::ZERO; 2], &[], None));
        assert_eq!(log.listen().0.len(), 2);
    }
}
