//! What becomes of a writer while something else happens to what is stored of them, or to what is in memory.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use foretype::engine::{self, Engine, Losses, Predictor};
use foretype::store::{
    Answer, Appended, Event, ListedWriter, NewEvent, Period, Rewrite, Snapshot, Sqlite, Store, StoreState,
    Stored, StoredKey, TeamKey, TeamPage, Usage, WriterKey,
};
use foretype::writer::event::{Content, Learned};
use foretype::writer::{Forgotten, Settings, Writers};
use foretype_markov::Role;
use futures_util::future::join_all;

const MESSAGES: u64 = 300;
/// What a snapshot takes the place of: more than is read at once.
const TRIMMED: u64 = 280;

fn key(writer: &str) -> WriterKey {
    WriterKey { tenant: "default".into(), writer: writer.into() }
}

fn message(text: &str) -> Content {
    Content::Learned(Learned { text: text.into(), role: Role::Author, losses: Losses::default() })
}

/// A store in which a snapshot is written, and the events go that it takes the place of, just before a page of them is read.
struct Trimmed {
    store: Sqlite,
    file: PathBuf,
    /// Pages until then; 0: it does not happen.
    pages: AtomicUsize,
    snapshot: Mutex<Option<Snapshot>>,
}

impl Trimmed {
    /// Runs a statement behind the store's back.
    fn run(&self, statement: &str) {
        rusqlite::Connection::open(&self.file).unwrap().execute(statement, []).unwrap();
    }

    async fn trim(&self, key: &WriterKey) {
        let snapshot = self.snapshot.lock().unwrap().take().unwrap();
        self.store.snapshot(key, snapshot).await.unwrap();
        // As when they are beyond the retention limit.
        self.run(&format!("DELETE FROM learn_event WHERE seq <= {TRIMMED}"));
    }
}

/// What the store does as it would alone.
macro_rules! as_it_is {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(fn $name<'a>(&'a self, $($argument: $type),*) -> Answer<'a, $answer> {
            self.store.$name($($argument),*)
        })*
    };
}

impl Store for Trimmed {
    fn events<'a>(&'a self, key: &'a WriterKey, seq: u64, limit: usize) -> Answer<'a, Vec<Event>> {
        Box::pin(async move {
            let left = self.pages.load(Ordering::Relaxed);
            self.pages.store(left.saturating_sub(1), Ordering::Relaxed);
            if left == 1 {
                self.trim(key).await;
            }
            self.store.events(key, seq, limit).await
        })
    }

    fn blocks(&self, key: &WriterKey) -> bool {
        self.store.blocks(key)
    }

    fn state(&self) -> StoreState {
        self.store.state()
    }

    as_it_is! {
        append(key: &'a WriterKey, epoch: Option<u64>, event: NewEvent) -> Appended;
        load(key: &'a WriterKey) -> Option<Stored>;
        usage(key: &'a WriterKey) -> Usage;
        snapshot(key: &'a WriterKey, snapshot: Snapshot) -> ();
        assign(key: &'a WriterKey, team: Option<Arc<str>>) -> ();
        team_events(key: &'a TeamKey, n: u64, limit: usize) -> TeamPage;
        members(key: &'a TeamKey) -> u64;
        rewrite(key: &'a WriterKey, rewrite: Rewrite) -> bool;
        erase(key: &'a WriterKey) -> bool;
        keys_since(version: u64) -> Option<(u64, Vec<StoredKey>)>;
        tenants() -> Vec<Arc<str>>;
        writers(tenant: &'a str, prefix: &'a str, limit: usize) -> Vec<ListedWriter>;
        periods(seconds: u32, from: i64) -> Vec<Period>;
        keep_periods(periods: Vec<(Period, i64)>) -> ();
        setting(name: &'a str) -> Option<String>;
        set(name: &'a str, value: String) -> ();
        close() -> ();
    }
}

/// Forgets a word while the events before the newest few go, just before a page is read; with a snapshot of before, or without.
async fn forgets_while_trimmed(page: usize, snapshotted: bool) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Trimmed {
        store: Sqlite::open(folder.path(), Box::new(|_, _| {})).unwrap(),
        file: folder.path().join("foretype.sqlite3"),
        pages: AtomicUsize::new(0),
        snapshot: Mutex::default(),
    });
    let settings = Settings { snapshot_every: u64::MAX, ..Settings::default() };
    let shared: Arc<dyn Store> = store.clone();
    let writers = Writers::new(shared, settings, Arc::new(Engine::fixed(&[])));
    let (anna, said) = (key("anna"), message("zorblatt thanks"));
    let learned = join_all((0..MESSAGES).map(|_| writers.record(&anna, &said, 1, None))).await;
    assert!(learned.iter().all(Result::is_ok));
    writers.save_all().await;
    let snapshot = store.load(&anna).await.unwrap().unwrap().snapshot;
    *store.snapshot.lock().unwrap() = snapshot;
    if !snapshotted {
        store.run("DELETE FROM writer_snapshot");
    }
    store.pages.store(page, Ordering::Relaxed);
    writers.forget_word(&anna, Forgotten::new("zorblatt").unwrap()).await.unwrap();
    assert!(store.snapshot.lock().unwrap().is_none(), "it happened");
    let writer = writers.get(&anna).await.unwrap();
    let memory = writer.memory();
    let personal = &memory.read().unwrap().personal;
    let left = (writer.counts().messages, personal.sightings(" thanks"), personal.sightings("zorblatt"));
    assert_eq!(left, (MESSAGES, MESSAGES as u32, 0), "before page {page}, snapshot: {snapshotted}");
}

/// What was learned of events that go meanwhile must not go with them.
#[tokio::test]
async fn what_is_trimmed_while_a_word_is_forgotten_is_not_lost() {
    for page in 1..=3 {
        for snapshotted in [true, false] {
            forgets_while_trimmed(page, snapshotted).await;
        }
    }
}

/// A message is folded where nobody else's keys wait: here as long as somebody reads what its writer knows.
#[tokio::test]
async fn a_message_that_is_long_in_folding_holds_up_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(folder.path(), Box::new(|_, _| {})).unwrap());
    let writers = Writers::new(store, Settings::default(), Arc::new(Engine::fixed(&[])));
    let memory = writers.get(&key("anna")).await.unwrap().memory();
    let ((reads, reading), (done, until)) = (mpsc::channel(), mpsc::channel::<()>());
    let reader = std::thread::spawn(move || {
        let _read = memory.read().unwrap();
        reads.send(()).unwrap();
        until.recv_timeout(Duration::from_secs(10)).is_ok()
    });
    reading.recv().unwrap();
    let learning = {
        let writers = Arc::clone(&writers);
        tokio::spawn(async move {
            writers.record(&key("anna"), &message(&"thanks ".repeat(1_000)), 1, None).await
        })
    };
    while writers.store().load(&key("anna")).await.unwrap().is_none() {}
    // Whatever is acknowledged later: the first is being folded by then.
    writers.record(&key("ben"), &message("hello"), 1, None).await.unwrap();
    let anna = writers.get(&key("anna")).await.unwrap();
    assert!(anna.seq() == 0 && anna.bytes() > 0, "who asks is answered");
    done.send(()).unwrap();
    assert!(reader.join().unwrap(), "others went on meanwhile");
    assert_eq!(learning.await.unwrap().unwrap().seq, 1);
    assert_eq!((anna.seq(), anna.counts().messages), (1, 1));
}

#[test]
fn a_long_message_is_learned_as_a_short_one_is() {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle");
    let engine =
        Engine::open(&engine::Settings::new(bundle, vec![Predictor::Personal, Predictor::Charlm])).unwrap();
    let (mut whole, mut halves) = (engine.new_memory(), engine.new_memory());
    let words = |from: usize| {
        let words = (from..from + 120)
            .map(|at| format!("zorb{}quix", ["a", "ei", "ou", "u"][at % 4].repeat(1 + at / 40)));
        words.collect::<Vec<_>>().join(" ")
    };
    for text in
        [words(0), "Thanks for calling, I can help you with that.".to_owned(), words(60), String::new()]
    {
        whole.learn(&text, Role::Author);
        let unlisted = halves.unlisted_with(&text);
        halves.learn_with(&text, Role::Author, unlisted);
        assert_eq!(whole.unlisted.delta(), halves.unlisted.delta());
    }
    assert_ne!(whole.unlisted.delta(), engine.new_memory().unlisted.delta(), "there were such words");
}
