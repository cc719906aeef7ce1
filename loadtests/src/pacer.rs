//! Wakes writers when their keys are due. A thread of its own: the runtime's timers are a millisecond coarse, which would
//! count as latency.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Pacer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Asks the thread; cheap to clone.
#[derive(Clone, Debug)]
pub struct Pace(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something was put before what the thread sleeps for, or it is over.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    due: BinaryHeap<Reverse<Due>>,
    /// Counts what was asked, so that no two are equal.
    asked: u64,
    over: bool,
}

#[derive(Debug)]
struct Due {
    at: (Instant, u64),
    wake: oneshot::Sender<()>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_until_over(&self) {
        let mut queue = self.lock();
        while !queue.over {
            let now = Instant::now();
            let next = queue.due.peek().map(|Reverse(due)| due.at.0);
            queue = match next {
                Some(at) if at <= now => {
                    if let Some(Reverse(due)) = queue.due.pop() {
                        // The writer may have gone home.
                        due.wake.send(()).unwrap_or_default();
                    }
                    queue
                }
                Some(at) => {
                    let waited = self.changed.wait_timeout(queue, at - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
        // Who still waits is woken by it.
        queue.due.clear();
    }
}

impl Pacer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has none left.
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("pacer".to_owned());
        let thread = thread.spawn(move || own.wake_until_over())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A way to ask it.
    pub fn pace(&self) -> Pace {
        Pace(Arc::clone(&self.shared))
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that a panic could have left half done.
            drop(thread.join());
        }
    }
}

impl Pace {
    /// Resolves at `at`, at once if that is past or the thread is gone. May be dropped.
    pub async fn until(&self, at: Instant) {
        if at <= Instant::now() {
            return;
        }
        let (wake, woken) = oneshot::channel();
        {
            let mut queue = self.0.lock();
            if queue.over {
                return;
            }
            queue.asked += 1;
            let first = queue.due.peek().is_none_or(|Reverse(due)| at < due.at.0);
            let due = Due { at: (at, queue.asked), wake };
            queue.due.push(Reverse(due));
            if first {
                self.0.changed.notify_one();
            }
        }
        drop(woken.await);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn everyone_is_woken_in_order_and_never_early() {
        let pacer = Pacer::start().expect("a thread");
        let begin = Instant::now();
        let (sender, mut woken) = tokio::sync::mpsc::unbounded_channel();
        for ms in [40_u64, 10, 30, 20, 10, 0] {
            let (pace, sender) = (pacer.pace(), sender.clone());
            tokio::spawn(async move {
                pace.until(begin + Duration::from_millis(ms)).await;
                sender.send((ms, begin.elapsed())).expect("the test listens");
            });
        }
        drop(sender);
        let mut order = Vec::new();
        while let Some((ms, at)) = woken.recv().await {
            assert!(at >= Duration::from_millis(ms), "{at:?} is before {ms} ms");
            order.push(ms);
        }
        assert_eq!(order, [0, 10, 10, 20, 30, 40]);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_thread_that_is_gone() {
        let pacer = Pacer::start().expect("a thread");
        let pace = pacer.pace();
        let far = Instant::now() + Duration::from_secs(3_600);
        let waiting = tokio::spawn({
            let pace = pace.clone();
            async move { pace.until(far).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(pacer);
        pace.until(far).await;
        drop(pace);
        waiting.await.expect("woken");
    }
}
