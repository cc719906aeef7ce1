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

fn next(queue: &Queue<Task>) -> (Ticket, &'static str) {
    let (ticket, task) = queue.next(|_| ()).expect("it is open");
    (ticket, task.name)
}

fn done(queue: &Queue<Task>) -> &'static str {
    let (ticket, name) = next(queue);
    queue.done(ticket);
    name
}

#[test]
fn the_earliest_deadline_goes_first_and_what_can_wait_last() {
    let queue = Queue::new(1);
    assert!(queue.add(task("patient")));
    for (name, due) in [("second", 2_000), ("first", 1_000), ("third", 3_000)] {
        queue.ask(task(name), in_ms(due), MS, MS).expect("there is time");
    }
    assert_eq!(queue.used().questions, 3);
    assert_eq!([(); 4].map(|()| done(&queue)), ["first", "second", "third", "patient"]);
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
    assert_eq!(queue.next(|why| dropped.push(why)).map(|(_, task)| task.name), Some("next"));
    assert_eq!(dropped, [Void::Superseded]);
}

#[test]
fn work_that_could_wait_is_no_load() {
    let queue = Queue::new(1);
    assert!(queue.add(task("patient")));
    let (ticket, _) = next(&queue);
    queue.worked(std::iter::once((ticket, 100 * MS)), Duration::ZERO);
    queue.done(ticket);
    assert!(queue.pressure(in_ms(1_000)).1 == 0.0);
    queue.ask(task("question"), in_ms(60_000), MS, MS).expect("there is time");
    let (ticket, _) = next(&queue);
    queue.worked(std::iter::once((ticket, 100 * MS)), 100 * MS);
    queue.done(ticket);
    let share = queue.pressure(in_ms(1_000)).1;
    assert!(share > 0.08 && share < 0.1, "{share}");
}

#[test]
fn what_was_worked_is_no_longer_ahead() {
    let queue = Queue::new(1);
    queue.ask(task("first"), in_ms(60_000), 10 * MS, MS).expect("there is time");
    let ahead = || queue.pressure(in_ms(90_000)).0;
    assert_eq!(ahead(), 10 * MS);
    let (ticket, _) = next(&queue);
    assert_eq!(ahead(), 10 * MS);
    assert_eq!(queue.pressure(in_ms(30_000)).0, Duration::ZERO, "what is due earlier goes first");
    queue.worked(std::iter::once((ticket, 4 * MS)), 4 * MS);
    assert_eq!(ahead(), 6 * MS);
    queue.worked(std::iter::once((ticket, 40 * MS)), 40 * MS);
    assert_eq!(ahead(), Duration::ZERO, "it takes longer than was expected");
    queue.done(ticket);
    assert!(queue.is_idle());
}

#[test]
fn a_session_is_worked_for_by_one_at_a_time() {
    let queue = Queue::new(2);
    for name in ["one", "two"] {
        queue.ask(of_session(name, "a"), in_ms(60_000), 10_000 * MS, MS).expect("there is time");
    }
    queue.ask(of_session("other", "b"), in_ms(90_000), MS, MS).expect("there is time");
    let (one, name) = next(&queue);
    assert_eq!(name, "one");
    assert_eq!(next(&queue).1, "other", "the session of the second is at work");
    queue.done(one);
    assert_eq!(next(&queue).1, "two");
}

#[test]
fn who_is_at_a_question_is_given_more_of_them_but_nothing_that_can_wait() {
    let queue: Queue<Task> = Queue::new(1);
    let another = || queue.another(1, |_| ()).map(|(_, task)| task.name);
    assert_eq!(another(), None);
    assert!(queue.add(task("patient")));
    for (name, session, due) in [("one", "a", 1_000), ("two", "a", 2_000), ("three", "b", 3_000)] {
        queue.ask(of_session(name, session), in_ms(due), MS, MS).expect("there is time");
    }
    let (one, name) = next(&queue);
    assert_eq!((name, another(), another()), ("one", Some("three"), None), "the other's session is at work");
    assert!(queue.is_pressing());
    queue.done(one);
    assert_eq!((another(), another()), (Some("two"), None));
    assert!(!queue.is_pressing());
    assert_eq!(next(&queue).1, "patient");
}

#[test]
fn threads_share_what_waits_evenly() {
    let queue = Queue::new(2);
    for (name, due) in [("one", 1), ("two", 2), ("three", 3), ("four", 4), ("five", 5)] {
        queue.ask(task(name), in_ms(due * 10_000), MS, MS).expect("there is time");
    }
    let names = [next(&queue).1].into_iter();
    let names: Vec<_> = names.chain((1..8).map_while(|at| Some(queue.another(at, |_| ())?.1.name))).collect();
    assert_eq!(names, ["one", "two", "three"]);
    assert_eq!([(); 2].map(|()| next(&queue).1), ["four", "five"]);
}

#[test]
fn what_can_wait_is_left_alone_while_a_question_waits_for_its_session() {
    let queue = Queue::new(2);
    queue.ask(of_session("one", "a"), in_ms(10_000), MS, MS).expect("there is time");
    let (one, _) = next(&queue);
    queue.ask(of_session("two", "a"), in_ms(20_000), MS, MS).expect("there is time");
    assert!(queue.add(of_session("patient", "b")));
    let under_way = |session: &str| queue.under_way(|key| &*key.session == session);
    assert!(under_way("a") == [one] && under_way("b").is_empty() && queue.is_at(&[one]));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| next(&queue).1);
        std::thread::sleep(20 * MS);
        assert!(!other.is_finished(), "it would end at once");
        queue.done(one);
        assert_eq!(other.join().expect("no panic"), "two");
    });
    assert!(!queue.is_at(&[one]));
    assert_eq!(next(&queue).1, "patient");
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
    (0..URGENT).for_each(|_| assert_eq!(next(&queue).1, "question"));
    assert_eq!(next(&queue).1, "new");
    queue.close();
    assert!(queue.next(|_| ()).is_none());
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
    assert_eq!(next(&queue).1, "b");
}
