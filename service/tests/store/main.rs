//! What every storage engine must do, run on each there is.

#![expect(clippy::unwrap_used, reason = "tests")]

mod sqlite;

use foretype::store::{
    Event, EventKind, ListedWriter, NewEvent, Period, RETAINED_EVENTS, Rewrite, Snapshot, Store, StoreError,
    TeamKey, TeamPage, WriterKey,
};

fn key(writer: &str) -> WriterKey {
    WriterKey { tenant: "default".into(), writer: writer.into() }
}

fn event(text: &str) -> NewEvent {
    NewEvent { at: 7, kind: EventKind::Learn, payload: text.into(), idempotency_key: None }
}

fn retry(text: &str, idempotency_key: &str) -> NewEvent {
    NewEvent { idempotency_key: Some(idempotency_key.into()), ..event(text) }
}

fn texts(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| String::from_utf8(event.payload.clone()).unwrap()).collect()
}

async fn seqs_have_no_gaps_and_writers_do_not_meet(store: &dyn Store) {
    for n in 1..=5 {
        assert_eq!(store.append(&key("anna"), None, event(&format!("a{n}"))).await.unwrap().seq, n);
    }
    assert_eq!(store.append(&key("ben"), None, event("b1")).await.unwrap().seq, 1);
    let other = WriterKey { tenant: "other".into(), writer: "anna".into() };
    assert_eq!(store.load(&other).await.unwrap(), None);
    let stored = store.load(&key("anna")).await.unwrap().unwrap();
    assert_eq!((stored.last_seq, stored.snapshot), (5, None));
    assert_eq!(texts(&stored.events), ["a1", "a2", "a3", "a4", "a5"]);
    assert_eq!(texts(&store.events(&key("anna"), 1, 2).await.unwrap()), ["a2", "a3"]);
    assert_eq!(store.usage(&key("anna")).await.unwrap().events, 5);
}

async fn a_retry_gets_the_first_answer(store: &dyn Store) {
    let first = store.append(&key("idem"), None, retry("one", "k")).await.unwrap();
    let again = store.append(&key("idem"), None, retry("one", "k")).await.unwrap();
    assert!(first.fresh && !again.fresh);
    assert_eq!(first.seq, again.seq);
    assert_eq!(store.append(&key("idem"), None, event("two")).await.unwrap().seq, 2, "a retry leaves no gap");
    assert_eq!(
        store.append(&key("idem2"), None, retry("one", "k")).await.unwrap().seq,
        1,
        "keys are per writer"
    );
}

async fn retries_in_one_batch_write_once(store: &dyn Store) {
    let writer = key("burst");
    let calls = (0..20).map(|_| store.append(&writer, None, retry("same", "k")));
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| answer.unwrap().seq == 1));
    assert_eq!(store.load(&writer).await.unwrap().unwrap().events.len(), 1);
}

async fn concurrent_appends_fill_the_sequence(store: &dyn Store) {
    let writer = key("many");
    let calls: Vec<_> = (0..200).map(|n| (n, event(&format!("m{n}")))).collect();
    let calls = calls.into_iter().map(|(_, event)| store.append(&writer, None, event));
    let mut seqs: Vec<u64> =
        futures_util::future::join_all(calls).await.into_iter().map(|answer| answer.unwrap().seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
}

async fn a_snapshot_replaces_its_events(store: &dyn Store) {
    let writer = key("snap");
    for n in 1..=3 {
        store.append(&writer, None, event(&format!("s{n}"))).await.unwrap();
    }
    let epoch = store.load(&writer).await.unwrap().unwrap().epoch;
    let snapshot = |seq, blob: &str| Snapshot { epoch, seq, format: 1, blob: blob.into() };
    store.snapshot(&writer, snapshot(2, "two")).await.unwrap();
    store.snapshot(&writer, snapshot(1, "late")).await.unwrap();
    store.snapshot(&writer, snapshot(9, "from the future")).await.unwrap();
    let stored = store.load(&writer).await.unwrap().unwrap();
    assert_eq!(stored.snapshot, Some(snapshot(2, "two")));
    assert_eq!(texts(&stored.events), ["s3"]);
    assert_eq!(store.events(&writer, 0, 9).await.unwrap().len(), 3, "events stay for export");
}

async fn old_events_go_with_a_snapshot(store: &dyn Store) {
    let (writer, extra) = (key("old"), 5);
    for batch in 0..=RETAINED_EVENTS / 500 {
        let size = if batch == RETAINED_EVENTS / 500 { extra } else { 500 };
        let calls = (0..size).map(|_| store.append(&writer, None, event("x")));
        assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok));
    }
    let stored = store.load(&writer).await.unwrap().unwrap();
    assert_eq!(
        stored.events.len() as u64,
        RETAINED_EVENTS + extra,
        "nothing goes before a snapshot holds it"
    );
    let snapshot = Snapshot { epoch: stored.epoch, seq: stored.last_seq, format: 1, blob: vec![1] };
    store.snapshot(&writer, snapshot).await.unwrap();
    let kept = store.events(&writer, 0, usize::MAX).await.unwrap();
    assert_eq!((kept.len() as u64, kept[0].seq), (RETAINED_EVENTS, extra + 1));
}

async fn erasure_ends_the_epoch(store: &dyn Store) {
    let writer = key("gone");
    let before = store.append(&writer, None, retry("old", "k")).await.unwrap();
    let snapshot = Snapshot { epoch: before.epoch, seq: 1, format: 1, blob: vec![1] };
    store.snapshot(&writer, snapshot.clone()).await.unwrap();
    assert!(store.erase(&writer).await.unwrap());
    assert!(!store.erase(&writer).await.unwrap(), "nothing is left to erase");
    assert_eq!(store.load(&writer).await.unwrap(), None);
    assert_eq!(store.append(&writer, Some(before.epoch), event("late")).await, Err(StoreError::Erased));
    store.snapshot(&writer, snapshot.clone()).await.unwrap();
    assert_eq!(store.load(&writer).await.unwrap(), None, "a late snapshot brings nothing back");

    let after = store.append(&writer, None, retry("new", "k")).await.unwrap();
    assert!(after.fresh && after.epoch > before.epoch && after.seq == 1);
    assert_eq!(store.append(&writer, Some(before.epoch), event("late")).await, Err(StoreError::Erased));
    store.snapshot(&writer, snapshot).await.unwrap();
    assert_eq!(store.load(&writer).await.unwrap().unwrap().snapshot, None);
}

async fn a_team_has_its_members_events_in_the_order_stored(store: &dyn Store) {
    let team = TeamKey { tenant: "default".into(), team: "desk".into() };
    let page = async |n, limit| store.team_events(&team, n, limit).await.unwrap();
    let texts = |page: &TeamPage| -> Vec<_> {
        page.events.iter().map(|shared| String::from_utf8(shared.event.payload.clone()).unwrap()).collect()
    };
    let (one, two) = (key("member1"), key("member2"));
    store.append(&one, None, event("before")).await.unwrap();
    for writer in [&one, &two] {
        store.assign(writer, Some("desk".into())).await.unwrap();
    }
    assert_eq!(store.load(&two).await.unwrap().unwrap().team.as_deref(), Some("desk"));
    for (writer, text) in [(&two, "a"), (&one, "b"), (&two, "c"), (&two, "d")] {
        store.append(writer, None, event(text)).await.unwrap();
    }
    let judged = NewEvent { kind: EventKind::Outcome, ..event("outcome") };
    store.append(&one, None, judged).await.unwrap();
    let all = page(0, 9).await;
    assert_eq!(texts(&all), ["a", "b", "c", "d"], "messages only, and none of before");
    assert_eq!(texts(&page(all.events[1].n, 1).await), ["c"]);
    assert_eq!(all.events[0].writer, all.events[2].writer);
    assert_ne!(all.events[0].writer, all.events[1].writer);
    assert_eq!(store.members(&team).await.unwrap(), 2);
    store.assign(&two, Some("desk".into())).await.unwrap();
    assert_eq!(page(0, 9).await, all, "already there");

    store.assign(&two, None).await.unwrap();
    let left = page(0, 9).await;
    assert_eq!(texts(&left), ["b"]);
    assert!(left.epoch > all.epoch, "who folded the others must know");
    store.append(&two, None, event("e")).await.unwrap();
    assert_eq!(store.load(&two).await.unwrap().unwrap().events.len(), 4, "they stay the writer's own");
    store.erase(&one).await.unwrap();
    let erased = page(0, 9).await;
    assert!(erased.events.is_empty() && erased.epoch > left.epoch);
    assert_eq!(store.members(&team).await.unwrap(), 0);
    let other = TeamKey { tenant: "other".into(), team: "desk".into() };
    assert_eq!(store.team_events(&other, 0, 9).await.unwrap(), TeamPage { epoch: 0, events: Vec::new() });
    store.assign(&key("never was"), None).await.unwrap();
    assert_eq!(store.load(&key("never was")).await.unwrap(), None);
}

async fn a_rewritten_writer_begins_an_epoch(store: &dyn Store) {
    let (writer, mate) = (key("rewritten"), key("mate"));
    let team = TeamKey { tenant: "default".into(), team: "rewriters".into() };
    let page = async || store.team_events(&team, 0, 9).await.unwrap();
    for member in [&writer, &mate] {
        store.assign(member, Some("rewriters".into())).await.unwrap();
        for text in ["one", "two", "three"] {
            store.append(member, None, retry(text, text)).await.unwrap();
        }
    }
    let (before, taught) = (store.load(&writer).await.unwrap().unwrap(), page().await);
    let rewrite = |seq: u64, epoch: u64| Rewrite {
        payloads: vec![(2, b"gap".to_vec())],
        snapshot: Snapshot { epoch, seq, format: 1, blob: b"without".to_vec() },
    };
    assert!(!store.rewrite(&writer, rewrite(2, before.epoch)).await.unwrap(), "an event came in between");
    let over = before.epoch + 1_000;
    assert_eq!(store.rewrite(&writer, rewrite(3, over)).await, Err(StoreError::Erased));
    assert_eq!(store.rewrite(&key("never was"), rewrite(3, 1)).await, Err(StoreError::Erased));
    assert_eq!(store.load(&writer).await.unwrap().unwrap(), before, "nothing is changed so far");

    assert!(store.rewrite(&writer, rewrite(3, before.epoch)).await.unwrap());
    let after = store.load(&writer).await.unwrap().unwrap();
    assert!(after.epoch > before.epoch && after.last_seq == 3 && after.team == before.team);
    assert_eq!(after.snapshot, Some(Snapshot { epoch: after.epoch, ..rewrite(3, 0).snapshot }));
    assert_eq!(texts(&store.events(&writer, 0, 9).await.unwrap()), ["one", "gap", "three"]);
    // What was folded from the old events is void, and what comes late from there is refused.
    assert_eq!(store.append(&writer, Some(before.epoch), event("late")).await, Err(StoreError::Erased));
    let old = Snapshot { epoch: before.epoch, seq: 3, format: 1, blob: b"with".to_vec() };
    store.snapshot(&writer, old).await.unwrap();
    assert_eq!(store.load(&writer).await.unwrap().unwrap(), after);
    // A retry is still known, and the sequence goes on.
    assert!(!store.append(&writer, None, retry("two", "two")).await.unwrap().fresh);
    assert_eq!(store.append(&writer, Some(after.epoch), event("four")).await.unwrap().seq, 4);
    // The team sees one writer, as before, and the same of the others.
    let rewritten = page().await;
    assert!(rewritten.epoch > taught.epoch);
    let of = |page: &TeamPage, epoch: u64| -> Vec<Vec<u8>> {
        let own = page.events.iter().filter(|shared| shared.writer == epoch);
        own.map(|shared| shared.event.payload.clone()).collect()
    };
    assert_eq!(of(&rewritten, after.epoch), [&b"one"[..], b"gap", b"three", b"four"]);
    let others = store.load(&mate).await.unwrap().unwrap().epoch;
    assert_eq!(of(&rewritten, others), of(&taught, others));
}

async fn periods_take_the_place_of_the_same_and_old_ones_go(store: &dyn Store) {
    let period = |seconds, at, blob: &str| Period { seconds, at, format: 1, blob: blob.into() };
    let first = vec![(period(300, 600, "a"), 900), (period(3_600, 0, "hour"), 7_200)];
    store.keep_periods(first).await.unwrap();
    store.keep_periods(vec![(period(300, 900, "b"), 900), (period(300, 600, "c"), 900)]).await.unwrap();
    assert_eq!(
        store.periods(300, 0).await.unwrap(),
        [period(300, 600, "c"), period(300, 900, "b")],
        "by when they began"
    );
    assert_eq!(store.periods(300, 601).await.unwrap(), [period(300, 900, "b")]);
    store.keep_periods(vec![(period(300, 1_600, "d"), 900)]).await.unwrap();
    assert_eq!(store.periods(300, 0).await.unwrap(), [period(300, 900, "b"), period(300, 1_600, "d")]);
    assert_eq!(store.periods(3_600, 0).await.unwrap(), [period(3_600, 0, "hour")], "another length");
}

async fn settings_hold_until_they_change(store: &dyn Store) {
    assert_eq!(store.setting("share").await.unwrap(), None);
    for value in ["0.05", "0.1"] {
        store.set("share", value.into()).await.unwrap();
        assert_eq!(store.setting("share").await.unwrap().as_deref(), Some(value));
    }
}

async fn writers_are_listed_by_name(store: &dyn Store) {
    let of = |tenant: &str, writer: &str| WriterKey { tenant: tenant.into(), writer: writer.into() };
    for writer in ["w", "w-", "w@z", "wz", "x"] {
        store.append(&of("lists", writer), None, event("x")).await.unwrap();
    }
    store.assign(&of("lists2", "w"), Some("desk".into())).await.unwrap();
    let tenants = store.tenants().await.unwrap();
    assert!(
        tenants.is_sorted() && ["default", "lists", "lists2"].iter().all(|t| tenants.contains(&(*t).into()))
    );
    let names = async |prefix: &str, limit| -> Vec<String> {
        let found = store.writers("lists", prefix, limit).await.unwrap();
        found.iter().map(|listed| listed.writer.to_string()).collect()
    };
    assert_eq!(names("", 9).await, ["w", "w-", "w@z", "wz", "x"]);
    assert_eq!(names("w", 3).await, ["w", "w-", "w@z"]);
    assert_eq!(names("w@", 9).await, ["w@z"]);
    assert!(names("y", 9).await.is_empty() && store.writers("nobody", "", 9).await.unwrap().is_empty());
    let listed = ListedWriter { writer: "w".into(), last_seq: 0, team: Some("desk".into()) };
    assert_eq!(store.writers("lists2", "", 9).await.unwrap(), [listed]);
}

async fn conformance(store: &dyn Store) {
    seqs_have_no_gaps_and_writers_do_not_meet(store).await;
    a_retry_gets_the_first_answer(store).await;
    retries_in_one_batch_write_once(store).await;
    concurrent_appends_fill_the_sequence(store).await;
    a_snapshot_replaces_its_events(store).await;
    old_events_go_with_a_snapshot(store).await;
    erasure_ends_the_epoch(store).await;
    a_team_has_its_members_events_in_the_order_stored(store).await;
    a_rewritten_writer_begins_an_epoch(store).await;
    periods_take_the_place_of_the_same_and_old_ones_go(store).await;
    settings_hold_until_they_change(store).await;
    writers_are_listed_by_name(store).await;
    assert_eq!(store.state().waiting, 0, "all that was written is durable");
}
