//! Who goes first, who waits for whom, and what is dropped.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;

const MS: Duration = Duration::from_millis(1);

#[derive(Clone, Debug, Default)]
struct Task {
    name: &'static str,
    session: Option<SessionKey>,
    gone: Arc<AtomicBool>,
}

impl Job for Task {
    fn session(&self) -> Option<&SessionKey> {
        self.session.as_ref()
    }

    fn is_void(&self) -> Option<Void> {
        self.gone.load(Ordering::Relaxed).then_some(Void::Superseded)
    }
}

fn task(name: &'static str) -> Task {
    Task { name, ..Task::default() }
}

fn of_session(name: &'static str, session: &str) -> Task {
    let session = SessionKey { tenant: "t".into(), writer: None, session: session.into() };
    Task { name, session: Some(session), ..Task::default() }
}

fn in_ms(ms: u32) -> Deadline {
    Deadline::after(MS * ms)
}

fn next(queue: &Queue<Task>, thread: usize) -> &'static str {
    let task = queue.next(thread, |_| ()).expect("it is open");
    task.name
}

#[test]
fn the_earliest_deadline_goes_first_and_what_can_wait_last() {
    let queue = Queue::new(1);
    assert!(queue.add(task("patient")));
    for (name, due) in [("second", 2_000), ("first", 1_000), ("third", 3_000)] {
        queue.ask(task(name), in_ms(due), MS, MS).expect("there is time");
    }
    assert_eq!(queue.used().questions, 3);
    assert_eq!([(); 4].map(|()| next(&queue, 0)), ["first", "second", "third", "patient"]);
    queue.done(0);
    assert!(queue.is_idle());
}

#[test]
fn only_what_can_be_answered_in_time_is_admitted() {
    let queue = Queue::new(1);
    assert_eq!(queue.ask(task("past"), in_ms(0), MS, MS), Err(Refused::Late));
    // Alone it may try, however long it may take.
    queue.ask(task("long"), in_ms(500), 10_000 * MS, MS).expect("nothing is ahead");
    assert_eq!(queue.ask(task("behind it"), in_ms(900), MS, MS), Err(Refused::Late));
    queue.ask(task("before it"), in_ms(400), MS, MS).expect("it is due earlier");
    // What nobody waits for takes no time.
    let queue = Queue::new(1);
    let gone = task("gone");
    queue.ask(gone.clone(), in_ms(500), 10_000 * MS, MS).expect("nothing is ahead");
    gone.gone.store(true, Ordering::Relaxed);
    queue.ask(task("next"), in_ms(900), MS, MS).expect("nothing is ahead any more");
    let mut dropped = Vec::new();
    assert_eq!(queue.next(0, |why| dropped.push(why)).map(|task| task.name), Some("next"));
    assert_eq!(dropped, [Void::Superseded]);
}

#[test]
fn work_that_could_wait_is_no_load() {
    let queue = Queue::new(1);
    let busy = |work: fn(&Queue<Task>)| {
        work(&queue);
        next(&queue, 0);
        std::thread::sleep(Duration::from_millis(100));
        queue.done(0);
        queue.pressure(in_ms(1_000)).1
    };
    assert!(busy(|queue| assert!(queue.add(task("patient")))) == 0.0);
    let share = busy(|queue| queue.ask(task("question"), in_ms(60_000), MS, MS).expect("there is time"));
    assert!(share > 0.08 && share < 0.8, "{share}");
}

#[test]
fn two_threads_share_the_wait_but_never_a_session() {
    let queue = Queue::new(2);
    for name in ["one", "two"] {
        queue.ask(of_session(name, "a"), in_ms(60_000), 10_000 * MS, MS).expect("there is time");
    }
    queue.ask(of_session("other", "b"), in_ms(90_000), MS, MS).expect("there is time");
    assert_eq!(next(&queue, 0), "one");
    assert_eq!(next(&queue, 1), "other", "the session of the second is at work");
    queue.done(0);
    assert_eq!(next(&queue, 0), "two");
}

#[test]
fn it_is_bounded_and_keeps_of_a_session_the_newest_to_prepare() {
    let queue = Queue::new(1);
    for _ in 0..URGENT {
        queue.ask(task("question"), in_ms(60_000), Duration::ZERO, MS).expect("there is room");
    }
    assert_eq!(queue.ask(task("one more"), in_ms(60_000), Duration::ZERO, MS), Err(Refused::Full));
    assert!(queue.add(of_session("old", "a")) && queue.add(of_session("new", "a")));
    (1..PATIENT).for_each(|_| assert!(queue.add(task("patient"))));
    assert!(!queue.add(task("one more")));
    (0..URGENT).for_each(|_| assert_eq!(next(&queue, 0), "question"));
    assert_eq!(next(&queue, 0), "new");
    queue.close();
    assert!(queue.next(0, |_| ()).is_none());
}

#[test]
fn who_is_forgotten_has_nothing_waiting() {
    let queue = Queue::new(1);
    for session in ["a", "b"] {
        queue.ask(of_session(session, session), in_ms(60_000), MS, MS).expect("there is time");
        assert!(queue.add(of_session("patient", session)));
    }
    queue.forget(|key| &*key.session == "a");
    assert_eq!((queue.used().questions, queue.used().patient), (1, 1));
    assert_eq!(next(&queue, 0), "b");
}
