//! Writers over a real store: what is learned is there, in order, once, and survives eviction and restarts.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use foretype::engine::{self, Deadline, Engine, Losses, Outcome, Predictor};
use foretype::store::{Event, Snapshot, Sqlite, Store, StoreError, WriterKey};
use foretype::writer::event::{Content, Judged, Learned};
use foretype::writer::{Blocked, Forgotten, Settings, Snippet, Snippets, WriterState, Writers};
use foretype_charlm::Delta;
use foretype_markov::Role;

fn key(writer: &str) -> WriterKey {
    WriterKey { tenant: "default".into(), writer: writer.into() }
}

fn message(text: &str) -> Content {
    Content::Learned(Learned { text: text.into(), role: Role::Author, losses: Losses::default() })
}

fn open(folder: &Path, settings: Settings) -> Arc<Writers> {
    over(Engine::fixed(&[]), folder, settings)
}

/// With the spelling model of the shipped bundle.
fn spelling() -> Engine {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle");
    let predictors = vec![Predictor::Charlm];
    Engine::open(&engine::Settings::new(bundle, predictors)).unwrap()
}

fn over(engine: Engine, folder: &Path, settings: Settings) -> Arc<Writers> {
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(folder, Box::new(|_, _| {})).unwrap());
    Writers::new(store, settings, Arc::new(engine))
}

/// The personal model's bytes: equal bytes are equal models.
async fn model(writers: &Arc<Writers>, writer: &str) -> Vec<u8> {
    let memory = writers.get(&key(writer)).await.unwrap().memory();
    let memory = memory.read().unwrap();
    memory.personal.to_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_learns_apply_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let writers = open(folder.path(), Settings::default());
    let (anna, tasks) = (key("anna"), 64);
    let learns = (0..tasks).map(|n| {
        let (writers, anna) = (Arc::clone(&writers), anna.clone());
        tokio::spawn(async move { writers.record(&anna, &message(&format!("word{n} again")), 5, None).await })
    });
    let mut seqs: Vec<u64> = Vec::new();
    for learn in learns.collect::<Vec<_>>() {
        seqs.push(learn.await.unwrap().unwrap().seq);
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=tasks).collect::<Vec<_>>());
    let writer = writers.get(&anna).await.unwrap();
    assert_eq!((writer.seq(), writer.counts().messages, writer.counts().words), (tasks, tasks, tasks * 2));

    // A second registry folds the stored events from the start: the same order gives the same bytes.
    let live = model(&writers, "anna").await;
    writers.store().close().await.unwrap();
    drop((writer, writers));
    let again = open(folder.path(), Settings::default());
    assert_eq!(model(&again, "anna").await, live);
}

#[tokio::test]
async fn snapshot_and_later_events_equal_the_whole_fold() {
    let folder = tempfile::tempdir().unwrap();
    let writers = open(folder.path(), Settings { snapshot_every: 4, ..Settings::default() });
    for n in 0..11 {
        writers.record(&key("anna"), &message(&format!("I can help {n}")), n, None).await.unwrap();
    }
    let rejected = Content::Judged(Judged {
        outcome: Outcome::Rejected,
        index: 0,
        chars: 0,
        weight: 256,
        passed: [0; 3],
    });
    writers.record(&key("anna"), &rejected, 12, None).await.unwrap();
    writers.save_all().await;
    writers.record(&key("anna"), &message("and after the snapshot"), 13, None).await.unwrap();
    let (live, counts) = (model(&writers, "anna").await, writers.get(&key("anna")).await.unwrap().counts());
    writers.store().close().await.unwrap();
    drop(writers);

    let again = open(folder.path(), Settings::default());
    let stored = again.store().load(&key("anna")).await.unwrap().unwrap();
    assert_eq!((stored.snapshot.unwrap().seq, stored.events.len()), (12, 1));
    assert_eq!(model(&again, "anna").await, live);
    let writer = again.get(&key("anna")).await.unwrap();
    assert_eq!((writer.seq(), writer.counts()), (13, counts));
    assert_eq!((counts.messages, counts.rejected, counts.last_at), (12, 1, 13));
}

/// What changes the spelling for a writer, in the order it was learned.
async fn delta(writers: &Arc<Writers>, writer: &str) -> Delta {
    let memory = writers.get(&key(writer)).await.unwrap().memory();
    let memory = memory.read().unwrap();
    memory.unlisted.delta().clone()
}

#[tokio::test]
async fn unlisted_words_survive_a_restart_and_go_with_their_writer() {
    let folder = tempfile::tempdir().unwrap();
    let writers = over(spelling(), folder.path(), Settings { snapshot_every: 4, ..Settings::default() });
    for n in 0..11 {
        let text = format!("Frobnicated nova_zorb{n} and thanks, zorblatt_{}", n % 3);
        writers.record(&key("anna"), &message(&text), n, None).await.unwrap();
    }
    writers.save_all().await;
    writers.record(&key("anna"), &message("zorblatt_late"), 12, None).await.unwrap();
    writers.record(&key("ben"), &message("thanks and goodbye"), 12, None).await.unwrap();
    let live = delta(&writers, "anna").await;
    assert_eq!((live.is_empty(), delta(&writers, "ben").await), (false, Delta::default()));
    writers.store().close().await.unwrap();
    drop(writers);

    let again = over(spelling(), folder.path(), Settings::default());
    assert_eq!(delta(&again, "anna").await, live);
    assert!(again.erase(&key("anna")).await.unwrap());
    assert_eq!(delta(&again, "anna").await, Delta::default());
}

/// What stands before the parts of a snapshot: its mark, and nine numbers.
const HEAD: usize = 4 + 9 * 8;

/// The parts of a snapshot that say how long they are, and the personal model.
fn parts(blob: &[u8]) -> ([&[u8]; 6], &[u8]) {
    let mut rest = &blob[HEAD..];
    let parts = std::array::from_fn(|_| {
        let (length, tail) = rest.split_first_chunk::<4>().unwrap();
        let (part, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
        rest = tail;
        part
    });
    (parts, rest)
}

/// A snapshot of these parts.
fn joined(blob: &[u8], parts: &[&[u8]], personal: &[u8]) -> Vec<u8> {
    let part = |part: &&[u8]| [&u32::try_from(part.len()).unwrap().to_le_bytes()[..], part].concat();
    [&blob[..HEAD], &parts.iter().flat_map(part).collect::<Vec<_>>(), personal].concat()
}

#[test]
fn snapshots_of_earlier_versions_are_read() {
    let engine = spelling();
    let mut state = WriterState::new(engine.new_memory());
    let content = message("Restart nova_compute_driver and cinder_volume");
    state.apply(&Event { seq: 1, at: 1, kind: content.kind(), payload: content.encode() });
    let (snapshot, live) = (state.snapshot(1), state.memory.read().unwrap().unlisted.clone());
    let ([today, recent, unlisted, attention, snippets, blocked], personal) = parts(&snapshot.blob);
    // Versions 5 and 6 had half the weights: for conversations and other texts the same. Version 4 had no blocked words.
    let one_kind = &today[..1 + (today.len() - 1) / 2];
    let sixth = joined(&snapshot.blob, &[one_kind, recent, unlisted, attention, snippets, blocked], personal);
    let fourth = joined(&snapshot.blob, &[one_kind, recent, unlisted, attention, snippets], personal);
    // Version 3 had weights of four members in sixty buckets and neither attention nor snippets, version 2 no unlisted words either.
    let weights: Vec<u8> = [1.0_f32; 240].iter().flat_map(|factor| factor.to_le_bytes()).collect();
    let third = joined(&snapshot.blob, &[&weights, recent, unlisted], personal);
    let second = joined(&snapshot.blob, &[&weights, recent], personal);
    let earlier = [(2, second), (3, third), (4, fourth), (5, sixth.clone()), (6, sixth)]
        .map(|(format, blob)| Snapshot { format, blob, ..snapshot.clone() });
    for stored in earlier.into_iter().chain([snapshot]) {
        let restored = WriterState::restore(&stored, engine.new_memory()).unwrap();
        assert_eq!(
            restored.memory.read().unwrap().unlisted.delta(),
            live.delta(),
            "version {}",
            stored.format
        );
    }
}

#[test]
fn what_was_taken_is_remembered_with_what_was_passed_over() {
    let engine = spelling();
    let mut state = WriterState::new(engine.new_memory());
    let outcomes = [(Outcome::Accepted, 0), (Outcome::Partial, 2), (Outcome::Rejected, 7)];
    for (seq, (outcome, passed)) in (1..).zip(outcomes) {
        let content = Content::Judged(Judged {
            outcome,
            index: 0,
            chars: 3,
            weight: 256,
            passed: [passed * 256, 0, 0],
        });
        state.apply(&Event { seq, at: 1, kind: content.kind(), payload: content.encode() });
    }
    let untaken = |state: &WriterState| state.memory.read().unwrap().attention.untaken()[0];
    assert!(
        (untaken(&state) - 6.0 / 14.0).abs() < 1e-6,
        "four and six were assumed; a rejection says something else"
    );
    let restored = WriterState::restore(&state.snapshot(1), engine.new_memory()).unwrap();
    assert!((untaken(&restored) - untaken(&state)).abs() < f32::EPSILON);
}

#[tokio::test]
async fn blocked_words_survive_a_restart_with_and_without_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let list = |words: &[&str]| Blocked::new(words.iter().map(|word| (*word).to_owned()).collect());
    let blocked = async |writers: &Arc<Writers>, writer: &str| {
        let memory = writers.get(&key(writer)).await.unwrap().memory();
        let memory = memory.read().unwrap();
        memory.blocked.entries().to_vec()
    };
    let writers = open(folder.path(), Settings::default());
    for words in [&["gone"][..], &["Zebrafish", "kind regards"]] {
        writers.record(&key("anna"), &Content::Blocked(list(words)), 1, None).await.unwrap();
    }
    writers.save_all().await;
    writers.record(&key("ben"), &Content::Blocked(list(&["quorum"])), 1, None).await.unwrap();
    writers.store().close().await.unwrap();
    drop(writers);

    let again = open(folder.path(), Settings::default());
    assert_eq!(blocked(&again, "anna").await, ["Zebrafish", "kind regards"]);
    assert_eq!(blocked(&again, "ben").await, ["quorum"]);
    // Known before they are loaded, so that a keystroke that cannot wait for that shows nothing.
    let blocks = |writers: &Arc<Writers>, writer: &str| writers.store().blocks(&key(writer));
    assert!(blocks(&again, "anna") && blocks(&again, "ben") && !blocks(&again, "cleo"));
    assert!(again.erase(&key("anna")).await.unwrap());
    assert!(blocked(&again, "anna").await.is_empty());
}

/// A snapshot of what is known of a writer now.
async fn snapshot(writers: &Arc<Writers>, writer: &str) -> Vec<u8> {
    writers.save_all().await;
    writers.store().load(&key(writer)).await.unwrap().unwrap().snapshot.unwrap().blob
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

#[tokio::test]
async fn a_forgotten_word_was_never_learned() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let settings = Settings { snapshot_every: 2, ..Settings::default() };
    let (writers, twin) =
        (over(spelling(), folder.path(), settings), over(spelling(), other.path(), settings));
    let snippets =
        |text: &str| Content::Snippets(Snippets(vec![Snippet { trigger: None, text: text.into() }]));
    for (at, text) in ["Kindly ZORBLATT the quorum", "nothing of it", "The zorblatt\u{2019}s turn, zorblatt"]
        .into_iter()
        .enumerate()
    {
        let at = i64::try_from(at).unwrap();
        let gapped = Forgotten::new("zorblatt").unwrap().take_out(text).map_or(text.into(), |(text, _)| text);
        writers.record(&key("anna"), &message(text), at, None).await.unwrap();
        twin.record(&key("anna"), &message(&gapped), at, None).await.unwrap();
    }
    for (text, instead) in [("My zorblatt", Snippets::default()), ("My zorblatt again", Snippets::default())]
    {
        writers.record(&key("anna"), &snippets(text), 9, None).await.unwrap();
        twin.record(&key("anna"), &Content::Snippets(instead), 9, None).await.unwrap();
    }
    writers.record(&key("anna"), &Content::Snippets(Snippets::default()), 9, None).await.unwrap();
    twin.record(&key("anna"), &Content::Snippets(Snippets::default()), 9, None).await.unwrap();
    assert!(has(&snapshot(&writers, "anna").await, "zorblatt"));

    let forgotten = Forgotten::new("Zorblatt").unwrap();
    assert_eq!(writers.forget_word(&key("anna"), forgotten.clone()).await.unwrap(), 2);
    let left = snapshot(&writers, "anna").await;
    assert!(!has(&left, "zorblatt"));
    assert!(left == snapshot(&twin, "anna").await, "what was learned is what is left");
    let events = writers.store().events(&key("anna"), 0, 99).await.unwrap();
    assert!(events.len() == 6 && !events.iter().any(|event| has(&event.payload, "zorblatt")));
    assert_eq!(writers.forget_word(&key("anna"), forgotten.clone()).await.unwrap(), 0, "again, in vain");
    assert!(snapshot(&writers, "anna").await == left);
    assert_eq!(writers.forget_word(&key("nobody"), forgotten).await.unwrap(), 0);

    // It may be learned again, and memory goes on from where it is.
    assert_eq!(writers.record(&key("anna"), &message("zorblatt"), 9, None).await.unwrap().seq, 7);
    let live = model(&writers, "anna").await;
    writers.store().close().await.unwrap();
    drop(writers);
    let again = over(spelling(), folder.path(), settings);
    assert!(model(&again, "anna").await == live && has(&live, "zorblatt"));
}

#[tokio::test]
async fn what_only_the_snapshot_holds_is_forgotten_too() {
    let folder = tempfile::tempdir().unwrap();
    let writers = over(spelling(), folder.path(), Settings::default());
    for n in 0..8 {
        let text = format!("Dear zorblatt_{}, zorblatt and thanks {n}", n % 2);
        writers.record(&key("anna"), &message(&text), n, None).await.unwrap();
    }
    writers.save_all().await;
    let counts = writers.get(&key("anna")).await.unwrap().counts();
    writers.store().close().await.unwrap();
    drop(writers);
    // As when they are beyond the retention limit.
    let database = rusqlite::Connection::open(folder.path().join("foretype.sqlite3")).unwrap();
    assert_eq!(database.execute("DELETE FROM learn_event WHERE seq <= 5", []).unwrap(), 5);
    drop(database);

    let writers = over(spelling(), folder.path(), Settings::default());
    let forgotten = Forgotten::new("Zorblatt").unwrap();
    assert_eq!(writers.forget_word(&key("anna"), forgotten).await.unwrap(), 3);
    let writer = writers.get(&key("anna")).await.unwrap();
    assert_eq!((writer.counts(), writer.seq()), (counts, 8), "of the older ones what was learned stays");
    {
        let memory = writer.memory();
        let memory = memory.read().unwrap();
        assert_eq!(memory.personal.sightings(" zorblatt"), 0);
        assert_eq!((memory.personal.sightings(" zorblatt_0"), memory.personal.sightings(" thanks")), (4, 8));
    }
    let bytes = snapshot(&writers, "anna").await;
    assert!(!has(&bytes, "zorblatt ") && !has(&bytes, "zorblatt\n") && has(&bytes, "zorblatt_0"));
}

/// Messages keep coming while a word of theirs is forgotten again and again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_learned_meanwhile_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let writers = open(folder.path(), Settings { snapshot_every: 3, ..Settings::default() });
    writers.record(&key("anna"), &message("zorblatt"), 0, None).await.unwrap();
    let learning = {
        let writers = Arc::clone(&writers);
        tokio::spawn(async move {
            for n in 0..60 {
                writers.record(&key("anna"), &message(&format!("zorblatt {n}")), n, None).await.unwrap();
            }
        })
    };
    let mut forgotten = 0;
    while !learning.is_finished() {
        match writers.forget_word(&key("anna"), Forgotten::new("zorblatt").unwrap()).await {
            Ok(messages) => forgotten += messages,
            Err(error) => assert_eq!(error, StoreError::Busy),
        }
    }
    learning.await.unwrap();
    forgotten += writers.forget_word(&key("anna"), Forgotten::new("zorblatt").unwrap()).await.unwrap();
    assert_eq!(forgotten, 61, "each was forgotten once");
    let writer = writers.get(&key("anna")).await.unwrap();
    assert_eq!((writer.seq(), writer.counts().messages), (61, 61));
    assert!(!has(&snapshot(&writers, "anna").await, "zorblatt"));
}

#[tokio::test]
async fn a_retry_teaches_once() {
    let folder = tempfile::tempdir().unwrap();
    let writers = open(folder.path(), Settings::default());
    for _ in 0..3 {
        assert_eq!(writers.record(&key("anna"), &message("once"), 0, Some("k".into())).await.unwrap().seq, 1);
    }
    assert_eq!(writers.get(&key("anna")).await.unwrap().counts().messages, 1);
}

#[tokio::test]
async fn few_stay_warm_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let writers = open(folder.path(), Settings { max_writers: 10, ..Settings::default() });
    for n in 0..50 {
        writers.record(&key(&format!("w{n}")), &message("hello there"), 0, None).await.unwrap();
    }
    let settled = async {
        while writers.warm() > 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), settled).await.expect("eviction keeps up");
    for n in 0..50 {
        assert_eq!(writers.get(&key(&format!("w{n}"))).await.unwrap().counts().messages, 1, "w{n}");
    }
}

#[tokio::test]
async fn erasure_reaches_memory_and_learning_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let writers = open(folder.path(), Settings::default());
    let anna = key("anna");
    writers.record(&anna, &message("old words"), 0, None).await.unwrap();
    assert!(writers.erase(&anna).await.unwrap());
    assert_eq!(writers.get(&anna).await.unwrap().counts().messages, 0);
    assert_eq!(writers.record(&anna, &message("new"), 0, None).await.unwrap().seq, 1);
    assert_eq!(writers.get(&anna).await.unwrap().counts().words, 1);
    assert!(!writers.erase(&key("nobody")).await.unwrap());
}

#[tokio::test]
async fn a_keystroke_waits_for_a_cold_writer_only_within_its_budget() {
    let folder = tempfile::tempdir().unwrap();
    let writers = open(folder.path(), Settings::default());
    let none = writers.get_by(&key("anna"), Deadline::after(Duration::ZERO)).await;
    assert!(none.is_none(), "no time to load");
    let found = writers.get_by(&key("anna"), Deadline::after(Duration::from_secs(5))).await;
    assert!(found.is_some());
}
