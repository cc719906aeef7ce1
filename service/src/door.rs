//! Who is let in when there is more to do than can be done in time.
//!
//! Whoever types already goes on typing: drafts that were seen lately are answered, new ones are told to come back later. How
//! much there is to do is seen at the threads that answer: the share of the time that they are not waiting for work. A draft that
//! was just let in is not seen there yet, so what it will need is set aside for it; otherwise a crowd that comes at once is in
//! before anybody notices that it is too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::RuntimeMetrics;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// What a look counts for in the moving average when there is more to do than was, and when there is less: a moment of work is no
/// load yet, and what is over is over.
const STEPS: (f32, f32) = (0.06, 0.25);
/// Above this nobody new is let in.
const CLOSED: f32 = 0.85;
/// Above this nothing is read ahead: the cores are wanted for what is asked.
const TOO_BUSY_TO_READ: f32 = 0.6;
/// Above this nothing is waited for: the cores are wanted for answers, and what was waited for would be heard of late.
const NO_WAITING: f32 = 0.75;
/// What timers are always late by.
const TIMER: Duration = Duration::from_millis(1);
/// From this on a look saw no time left.
const OVERRUN: f32 = 0.95;
/// Answers a second that a draft needs: people make five keys a second, some of which take a word.
const ANSWERS: f32 = 3.0;
/// What an answer takes before any was measured, as a share of a second of all threads.
const COST: f32 = 0.000_2;
/// Answers within a look from which their cost can be told.
const ENOUGH: u32 = 10;
/// What such a look counts for in the moving average of the cost.
const STEP: f32 = 0.05;
/// What a look counts for in the moving average of how late threads are, when they are later than they were, and when sooner.
const LATER: f32 = 0.5;
const SOONER: f32 = 0.05;

/// The door. Cloning shares it; without anyone [watching](Self::watch) it closes once it is full.
#[derive(Clone, Debug, Default)]
pub struct Door(Arc<State>);

/// Floats are kept as their bits.
#[derive(Debug)]
struct State {
    /// The share of the time that answering threads are at work.
    busy: AtomicU32,
    /// The same in the last look alone.
    just_now: AtomicU32,
    /// The share that was set aside for drafts which are not seen in it yet.
    promised: AtomicU32,
    /// What an answer takes of a second of all threads.
    cost: AtomicU32,
    /// Answers since the last look.
    answers: AtomicU32,
    /// How late threads come to what is ready, seconds.
    lag: AtomicU32,
}

impl Default for State {
    fn default() -> Self {
        let [busy, just_now, promised, cost, lag] =
            [0.0, 0.0, 0.0, COST, 0.0].map(|float: f32| AtomicU32::new(float.to_bits()));
        Self { busy, just_now, promised, cost, answers: AtomicU32::new(0), lag }
    }
}

impl Door {
    /// Lets a new draft in, or not. `goes_on`: more keys of it will come.
    pub fn admits(&self, goes_on: bool) -> bool {
        let (busy, needs) = (self.busy(), if goes_on { ANSWERS * get(&self.0.cost) } else { 0.0 });
        let promise = |promised: u32| {
            let promised = f32::from_bits(promised) + needs;
            (busy + promised <= CLOSED).then(|| promised.to_bits())
        };
        self.0.promised.fetch_update(Ordering::Relaxed, Ordering::Relaxed, promise).is_ok()
    }

    /// Whether nobody new is let in, for what is done already.
    pub fn is_shut(&self) -> bool {
        self.busy() > CLOSED
    }

    /// Whether there is time for what nobody has asked yet.
    pub fn leaves_time(&self) -> bool {
        self.busy() < TOO_BUSY_TO_READ
    }

    /// Whether it is shut and the threads have no time left even to say so.
    pub fn is_overrun(&self) -> bool {
        get(&self.0.just_now) > OVERRUN
            && self.busy() + get(&self.0.promised) > CLOSED - ANSWERS * get(&self.0.cost)
    }

    /// A keystroke was answered.
    pub fn answered(&self) {
        self.0.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// The share of the time that the threads that answer are at work, lately.
    pub fn busy(&self) -> f32 {
        get(&self.0.busy)
    }

    /// How much of the time that is `left` others may be waited for, so that their answer is heard of within it.
    pub fn patience(&self, left: Duration) -> Duration {
        if self.busy() > NO_WAITING {
            Duration::ZERO
        } else {
            left.saturating_sub(self.lag().saturating_sub(TIMER))
        }
    }

    /// How late the threads come to what is ready, lately.
    pub fn lag(&self) -> Duration {
        Duration::from_secs_f32(get(&self.0.lag))
    }

    /// Learns how late the threads came to something.
    pub fn came_late(&self, late: Duration) {
        let late = late.as_secs_f32();
        set(&self.0.lag, |lag| lag + (late - lag) * if late > lag { LATER } else { SOONER });
    }

    /// The share of the time that is left for new drafts.
    pub fn room(&self) -> f32 {
        (CLOSED - self.busy() - get(&self.0.promised)).max(0.0)
    }

    /// Looks at the threads of this runtime for as long as it is polled.
    pub async fn watch(self) {
        let threads = tokio::runtime::Handle::current().metrics();
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut then, mut worked) = (Instant::now(), worked(&threads));
        loop {
            self.came_late(ticks.tick().await.elapsed());
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
        let state = &self.0;
        let share = share.clamp(0.0, 1.0);
        set(&state.just_now, |_| share);
        let answers = state.answers.swap(0, Ordering::Relaxed);
        if answers >= ENOUGH {
            let cost = share * LOOK.as_secs_f32() / answers as f32;
            set(&state.cost, |before| before + STEP * (cost - before));
        }
        let (more, less) = STEPS;
        set(&state.busy, |busy| busy + (share - busy) * if share > busy { more } else { less });
        // What was promised is seen at the threads by now, as far as they are looked at.
        set(&state.promised, |promised| promised * (1.0 - more));
    }
}

fn get(float: &AtomicU32) -> f32 {
    f32::from_bits(float.load(Ordering::Relaxed))
}

fn set(float: &AtomicU32, change: impl Fn(f32) -> f32) {
    let changed = |bits| Some(change(f32::from_bits(bits)).to_bits());
    // It is never refused.
    let _before = float.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
}

fn worked(threads: &RuntimeMetrics) -> Duration {
    (0..threads.num_workers()).map(|worker| threads.worker_total_busy_duration(worker)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_busy(door: &Door, share: f32) {
        (0..200).for_each(|_| door.note(share));
    }

    fn let_in(door: &Door) -> usize {
        (0..10_000).filter(|_| door.admits(true)).count()
    }

    #[test]
    fn a_moment_is_no_load_and_what_is_over_is_over() {
        let door = Door::default();
        (0..10).for_each(|_| door.note(1.0));
        assert!(door.admits(true), "a second of work");
        set_busy(&door, 1.0);
        assert!(!door.admits(true) && !door.admits(false));
        (0..5).for_each(|_| door.note(0.2));
        assert!(door.admits(true), "half a second of rest");
    }

    #[test]
    fn a_crowd_is_not_in_before_it_is_noticed() {
        let door = Door::default();
        let all = let_in(&door);
        assert!((1_300..1_500).contains(&all), "{all} need all there is");
        assert!(door.admits(false), "a single question needs nothing afterwards");
        door.note(0.0);
        let more = let_in(&door);
        assert!(more > 0 && more < all / 10, "{more}: who was let in is still to be seen");
        (0..100).for_each(|_| door.note(0.1));
        assert!(let_in(&door) > all / 2, "they did not do much");
    }

    #[test]
    fn what_answers_take_is_learned() {
        let door = Door::default();
        for _ in 0..200 {
            (0..50).for_each(|_| door.answered());
            door.note(0.1);
        }
        // 0.1 of 100 ms for 50 answers: a draft needs 3 · 0.0002; with twice the work, half as many come in.
        let before = let_in(&door);
        for _ in 0..200 {
            (0..25).for_each(|_| door.answered());
            door.note(0.1);
        }
        let ratio = before as f32 / let_in(&door) as f32;
        assert!((1.9..2.1).contains(&ratio), "{before} {ratio}");
    }

    #[test]
    fn the_busier_the_fewer() {
        let door = Door::default();
        let counts = [0.2, 0.5, 0.8, 0.9].map(|busy| {
            set_busy(&door, busy);
            let_in(&door)
        });
        assert!(counts.is_sorted_by(|a, b| a > b) && counts[3] == 0, "{counts:?}");
    }

    #[test]
    fn late_threads_are_believed_at_once_and_forgotten_slowly() {
        let (door, ms) = (Door::default(), Duration::from_millis);
        (0..5).for_each(|_| door.came_late(ms(40)));
        assert!(door.lag() > ms(35), "{:?}", door.lag());
        assert_eq!(door.patience(ms(20)), ms(0));
        assert!((ms(60)..ms(70)).contains(&door.patience(ms(100))));
        (0..5).for_each(|_| door.came_late(ms(0)));
        assert!(door.lag() > ms(25), "{:?}", door.lag());
        (0..100).for_each(|_| door.came_late(ms(0)));
        assert!(door.lag() < ms(1), "{:?}", door.lag());
        assert_eq!(door.patience(ms(20)), ms(20), "timers are that late anyway");
        set_busy(&door, 0.9);
        assert_eq!(door.patience(ms(20)), ms(0), "nobody is waited for when there is so much to do");
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
