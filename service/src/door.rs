//! Who is let in when there is more to do than can be done in time.
//!
//! Whoever types already goes on typing: drafts that were seen lately are answered, new ones are told to come back later. How
//! much there is to do is seen at the threads that answer: the share of the time that they are not waiting for work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::RuntimeMetrics;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// What a look counts for in the moving average when there is more to do than was, and when there is less: a crowd that comes at
/// once is no load yet, and what is over is over.
const STEPS: (f32, f32) = (0.06, 0.25);
/// Above this nobody new is let in.
const CLOSED: f32 = 0.85;
/// Up to this everybody is. In between a few at each look, so that those who were turned away do not come in together.
const OPEN: f32 = 0.6;
/// How many, just above that.
const FEW: f32 = 20.0;

/// The door. Cloning shares it; without anyone [watching](Self::watch) it is open.
#[derive(Clone, Debug, Default)]
pub struct Door(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// The share of the time that answering threads are at work, as the bits of an f32.
    busy: AtomicU32,
    /// How many more may come in until the next look, when not everybody may.
    left: AtomicU32,
}

impl Door {
    /// Lets a new draft in, or not.
    pub fn admits(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        self.busy() <= OPEN
            || self.0.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
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

    /// Learns how busy the threads were since the last look, from 0 to 1.
    pub fn note(&self, share: f32) {
        let (more, less) = STEPS;
        let change = share.clamp(0.0, 1.0) - self.busy();
        let busy = self.busy() + change * if change > 0.0 { more } else { less };
        let few = FEW * ((CLOSED - busy) / (CLOSED - OPEN)).clamp(0.0, 1.0);
        self.0.busy.store(busy.to_bits(), Ordering::Relaxed);
        self.0.left.store(few as u32, Ordering::Relaxed);
    }
}

fn worked(threads: &RuntimeMetrics) -> Duration {
    (0..threads.num_workers()).map(|worker| threads.worker_total_busy_duration(worker)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(door: &Door, share: f32) {
        (0..200).for_each(|_| door.note(share));
    }

    #[test]
    fn a_moment_is_no_load_and_what_is_over_is_over() {
        let door = Door::default();
        (0..10).for_each(|_| door.note(1.0));
        assert!(door.admits(), "a second of work");
        set(&door, 1.0);
        assert!(!door.admits());
        (0..5).for_each(|_| door.note(0.2));
        assert!(door.admits(), "half a second of rest");
    }

    #[test]
    fn near_the_limit_a_few_come_in_at_each_look() {
        let door = Door::default();
        let let_in = |busy: f32| {
            set(&door, busy);
            (0..1_000).filter(|_| door.admits()).count()
        };
        assert_eq!((let_in(0.5), let_in(0.9)), (1_000, 0));
        let (some, fewer) = (let_in(0.65), let_in(0.8));
        assert!(fewer > 0 && fewer < some && some < 20, "{fewer} {some}");
    }

    #[tokio::test]
    async fn busy_threads_are_seen() {
        let door = Door::default();
        let watch = tokio::spawn(door.clone().watch());
        let until = Instant::now() + Duration::from_millis(1_500);
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
            tokio::task::yield_now().await;
        }
        assert!(door.busy() > 0.3, "{}", door.busy());
        watch.abort();
    }
}
