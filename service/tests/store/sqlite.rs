//! The engine over SQLite: that it does what all must, and what only its files can show.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foretype::store::{OpenError, Snapshot, Sqlite, Store, StoreError};

use super::{conformance, event, key, retry, texts};

fn open(folder: &Path) -> Sqlite {
    Sqlite::open(folder, Box::new(|_, _| {})).unwrap()
}

#[tokio::test]
async fn sqlite_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    conformance(&store).await;
    store.close().await.unwrap();
    assert_eq!(store.append(&key("x"), None, event("x")).await, Err(StoreError::Unavailable));
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(&key("anna"), None, event("kept")).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!(texts(&store.load(&key("anna")).await.unwrap().unwrap().events), ["kept"]);
}

#[tokio::test]
async fn concurrent_writes_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let commits = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&commits);
    let on_commit = Box::new(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let store = Sqlite::open(folder.path(), on_commit).unwrap();
    let writer = key("anna");
    let calls = (0..256).map(|_| store.append(&writer, None, event("x")));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok));
    let commits = commits.load(Ordering::Relaxed);
    assert!(commits <= 32, "256 concurrent events took {commits} commits");
}

/// Pages split and merge while many writers grow side by side; no copy of the erased text may stay behind.
#[tokio::test]
async fn erasure_leaves_no_byte_in_the_files() {
    const SECRET: &str = "Zebrafish-Quorum";
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for round in 0..40 {
        let writers = ["anna", "annabel", "ben", "zoe"];
        for (n, writer) in writers.iter().enumerate() {
            let mark = if *writer == "annabel" { SECRET } else { "harmless" };
            let text = format!("{mark} {round} ").repeat(1 + (round * 7 + n * 13) % 60 * (1 + round % 5));
            store.append(&key(writer), None, retry(&text, &format!("{mark}{round}"))).await.unwrap();
        }
        let epoch = store.load(&key("annabel")).await.unwrap().unwrap().epoch;
        let blob = format!("{SECRET} ").repeat(200 + round * 20).into_bytes();
        store
            .snapshot(&key("annabel"), Snapshot { epoch, seq: round as u64 + 1, format: 1, blob })
            .await
            .unwrap();
    }
    let found = || -> usize {
        let files = fs::read_dir(folder.path()).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        files.map(|bytes| count(&bytes, SECRET.as_bytes()) + count(&bytes, b"annabel")).sum()
    };
    assert!(found() > 0, "the text is in the files before");
    assert!(store.erase(&key("annabel")).await.unwrap());
    assert_eq!(found(), 0);
    assert_eq!(store.load(&key("anna")).await.unwrap().unwrap().events.len(), 40);
}

fn count(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes.windows(pattern.len()).filter(|window| *window == pattern).count()
}

#[tokio::test]
async fn a_damaged_snapshot_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let epoch = store.append(&key("anna"), None, event("one")).await.unwrap().epoch;
    store.snapshot(&key("anna"), Snapshot { epoch, seq: 1, format: 1, blob: vec![7; 64] }).await.unwrap();
    let other = rusqlite::Connection::open(folder.path().join("foretype.sqlite3")).unwrap();
    other.execute("UPDATE writer_snapshot SET blob = zeroblob(64)", []).unwrap();
    let stored = store.load(&key("anna")).await.unwrap().unwrap();
    assert_eq!(stored.snapshot, None);
    assert_eq!(texts(&stored.events), ["one"]);
}

/// The file system refuses from some point on; nobody may be told that their event is kept, and it heals.
#[tokio::test]
async fn a_failed_write_fails_its_waiters_and_the_store_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(&key("anna"), None, event("one")).await.unwrap();
    let other = rusqlite::Connection::open(folder.path().join("foretype.sqlite3")).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON learn_event BEGIN SELECT raise(ABORT, 'disk'); END",
        )
        .unwrap();
    assert_eq!(store.append(&key("anna"), None, event("two")).await, Err(StoreError::Unavailable));
    other.execute_batch("DROP TRIGGER refuse").unwrap();
    assert_eq!(store.append(&key("anna"), None, event("three")).await.unwrap().seq, 2);
}

fn refusal(folder: &Path) -> String {
    match Sqlite::open(folder, Box::new(|_, _| {})) {
        Ok(_) => panic!("it opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    fs::write(&file, "in the way").unwrap();
    let message = refusal(&file.join("data"));
    assert!(message.contains("a-file/data") && message.contains("--data"), "{message}");
}

#[test]
fn a_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    assert!(matches!(Sqlite::open(folder.path(), Box::new(|_, _| {})), Err(OpenError::InUse { .. })));
}

#[test]
fn a_newer_schema_is_refused_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let file = folder.path().join("foretype.sqlite3");
    let other = rusqlite::Connection::open(&file).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    drop(other);
    let message = refusal(folder.path());
    assert!(message.contains("99") && message.contains("--data"), "{message}");
}

#[cfg(unix)]
#[test]
fn what_is_written_stays_in_the_folder_and_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let _store = open(folder.path());
    for file in ["foretype.sqlite3", "foretype.sqlite3-wal"] {
        let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    let temporary: String =
        connection.query_row("PRAGMA temp_store_directory", [], |row| row.get(0)).unwrap();
    assert_eq!(Path::new(&temporary), folder.path(), "a copy of the database is no matter of /var/tmp");
}
