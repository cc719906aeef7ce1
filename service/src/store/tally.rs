//! What waits for the store and what failed in it, for operators.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rusqlite::ErrorCode;

use crate::clock;

/// Why the store did not do what it was asked, as far as an operator can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Failure {
    /// More waited to be written than the queue holds.
    Busy,
    /// The disk is full.
    DiskFull,
    /// The disk fails.
    Io,
    /// Another program holds the database.
    Locked,
    /// The database is damaged.
    Corrupt,
    /// The files cannot be opened or written.
    Denied,
    /// Anything else.
    Other,
}

impl Failure {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 7] =
        [Self::Busy, Self::DiskFull, Self::Io, Self::Locked, Self::Corrupt, Self::Denied, Self::Other];

    /// The name metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::DiskFull => "disk_full",
            Self::Io => "io",
            Self::Locked => "locked",
            Self::Corrupt => "corrupt",
            Self::Denied => "denied",
            Self::Other => "other",
        }
    }

    /// What SQLite's error comes down to.
    pub(super) fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::SystemIoFailure) => Self::Io,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::Denied,
            _ => Self::Other,
        }
    }
}

/// The store as operators see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreState {
    /// Writes that are not durable yet.
    pub waiting: usize,
    /// Failures since the start, in the order of [`Failure::ALL`].
    pub failures: [u64; Failure::ALL.len()],
    /// The latest of them, and when it was, in milliseconds since the Unix epoch.
    pub failed: Option<(Failure, i64)>,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes of what is committed and not in the database yet.
    pub wal_bytes: u64,
}

/// Counts from several threads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    waiting: AtomicUsize,
    failures: [AtomicU64; Failure::ALL.len()],
    failed: Mutex<Option<(Failure, i64)>>,
}

impl Tally {
    /// A write is about to be put into the queue.
    pub(super) fn queued(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// So many are durable, or failed, or did not fit.
    pub(super) fn done(&self, writes: usize) {
        self.waiting.fetch_sub(writes, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, why: Failure) {
        self.failures[why as usize].fetch_add(1, Ordering::Relaxed);
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some((why, clock::now_ms()));
    }

    /// What was counted; the files are for the caller to look at.
    pub(super) fn state(&self) -> StoreState {
        let failures = Failure::ALL.map(|why| self.failures[why as usize].load(Ordering::Relaxed));
        let (waiting, failed) = (
            self.waiting.load(Ordering::Relaxed),
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner),
        );
        StoreState { waiting, failures, failed, ..StoreState::default() }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn errors_of_sqlite_are_told_apart() {
        let of = |code| Failure::of(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        let cases = [
            (ffi::SQLITE_FULL, Failure::DiskFull),
            (ffi::SQLITE_IOERR_FSYNC, Failure::Io),
            (ffi::SQLITE_BUSY_SNAPSHOT, Failure::Locked),
            (ffi::SQLITE_CORRUPT, Failure::Corrupt),
            (ffi::SQLITE_NOTADB, Failure::Corrupt),
            (ffi::SQLITE_READONLY_DBMOVED, Failure::Denied),
            (ffi::SQLITE_CANTOPEN, Failure::Denied),
            (ffi::SQLITE_MISUSE, Failure::Other),
        ];
        for (code, failure) in cases {
            assert_eq!(of(code), failure, "{code}");
        }
        assert_eq!(Failure::of(&rusqlite::Error::QueryReturnedNoRows), Failure::Other);
    }
}
