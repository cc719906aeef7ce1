//! More to store at once than the queue holds: refused, and what was acknowledged is there.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use foretype::error::ApiError;
use foretype::store::{EventKind, NewEvent, Sqlite, Store, StoreError, WriterKey};

/// Half as many again as wait in the queue.
const MANY: usize = 6_144;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_finds_the_queue_full_is_refused_and_the_rest_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(folder.path(), Box::new(|_, _| {})).unwrap());
    let other = rusqlite::Connection::open(folder.path().join("foretype.sqlite3")).unwrap();
    // Nothing can be written until that is over.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let key = |n: usize| WriterKey { tenant: "default".into(), writer: format!("w{n}").into() };
    let appends: Vec<_> = (0..MANY)
        .map(|n| {
            let store = Arc::clone(&store);
            let event =
                NewEvent { at: 7, kind: EventKind::Learn, payload: b"one".to_vec(), idempotency_key: None };
            tokio::spawn(async move { store.append(&key(n), None, event).await.map(|stored| stored.seq) })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    other.execute_batch("COMMIT").unwrap();
    let (mut refused, mut stored) = (0, 0);
    for (n, append) in appends.into_iter().enumerate() {
        let appended = append.await.unwrap();
        let events = store.load(&key(n)).await.unwrap().map_or(0, |kept| kept.events.len());
        match appended {
            Ok(seq) => stored += usize::from(seq == 1 && events == 1),
            Err(error) => refused += usize::from(error == StoreError::Busy && events == 0),
        }
    }
    assert_eq!(refused + stored, MANY, "{refused} refused, {stored} stored");
    assert!(refused > 0 && stored >= 4_096, "{refused} refused, {stored} stored");
}

#[test]
fn a_client_is_told_when_to_come_back() {
    let answer = ApiError::from(StoreError::Busy).into_response();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(ApiError::from(StoreError::Busy).detail().code, "too_many_requests");
}
