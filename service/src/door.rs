//! Who is let in when there is more to do than can be done in time.
//!
//! Whoever types already goes on typing: drafts that were seen lately are answered, new ones are told to come back later. How
//! much there is to do is seen at the threads that answer: the share of the time that they are not waiting for work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::RuntimeMetrics;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// What a look counts for in the moving average.
const STEP: f32 = 0.25;
/// Above this nobody new is let in.
const CLOSE: f32 = 0.85;
/// Below this everybody is again.
const OPEN: f32 = 0.7;

/// The door. Cloning shares it; without anyone [watching](Self::watch) it is open.
#[derive(Clone, Debug, Default)]
pub struct Door(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// The share of the time that answering threads are at work, as the bits of an f32.
    busy: AtomicU32,
    closed: AtomicBool,
}

impl Door {
    /// Whether a new draft is let in.
    pub fn is_open(&self) -> bool {
        !self.0.closed.load(Ordering::Relaxed)
    }

    /// The share of the time that the threads that answer are at work, lately.
    pub fn busy(&self) -> f32 {
        f32::from_bits(self.0.busy.load(Ordering::Relaxed))
    }

    /// Looks at the threads of this runtime for as long as it is polled.
    pub async fn watch(self) {
        let threads = tokio::runtime::Handle::current().metrics();
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut then, mut worked) = (Instant::now(), worked(&threads));
        loop {
            ticks.tick().await;
            let (now, by_now) = (Instant::now(), self::worked(&threads));
            let time = now.duration_since(then) * threads.num_workers() as u32;
            if !time.is_zero() {
                self.note((by_now.saturating_sub(worked)).as_secs_f32() / time.as_secs_f32());
                (then, worked) = (now, by_now);
            }
        }
    }

    /// Learns how busy the threads were at a look.
    fn note(&self, share: f32) {
        let busy = self.busy() + STEP * (share.min(1.0) - self.busy());
        self.0.busy.store(busy.to_bits(), Ordering::Relaxed);
        let closed = if self.is_open() { busy > CLOSE } else { busy > OPEN };
        self.0.closed.store(closed, Ordering::Relaxed);
    }
}

fn worked(threads: &RuntimeMetrics) -> Duration {
    (0..threads.num_workers()).map(|worker| threads.worker_total_busy_duration(worker)).sum()
}

#[cfg(test)]
impl Door {
    /// For tests: as if the threads had been so busy for long.
    pub(crate) fn set(&self, share: f32) {
        (0..100).for_each(|_| self.note(share));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_under_load_and_opens_only_well_below() {
        let door = Door::default();
        assert!(door.is_open());
        door.note(1.0);
        assert!(door.is_open(), "a moment is no load");
        door.set(1.0);
        assert!(!door.is_open());
        door.set(0.8);
        assert!(!door.is_open(), "it does not flutter");
        door.set(0.5);
        assert!(door.is_open());
    }

    #[tokio::test]
    async fn busy_threads_are_seen() {
        let door = Door::default();
        let watch = tokio::spawn(door.clone().watch());
        let until = Instant::now() + Duration::from_millis(700);
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
            tokio::task::yield_now().await;
        }
        assert!(door.busy() > 0.5, "{}", door.busy());
        watch.abort();
    }
}
