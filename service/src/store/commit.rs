//! Group commit: one thread owns the only writing connection, drains a bounded queue into one transaction, syncs once,
//! and only then answers everyone in it.
//!
//! An fsync costs milliseconds and dominates every engine; sharing it is what makes thousands of durable events a second
//! possible. After a failed write nobody in the batch is told it succeeded and the connection is opened anew: what a
//! failed fsync left behind is unknown, so retrying on the same connection and then acknowledging would be a lie.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::tally::{Failure, Tally};
use super::{IDEMPOTENCY_HOURS, StoreError, schema, statements};
use crate::clock;

/// Jobs waiting at most; beyond it callers are told to retry.
const QUEUE: usize = 4_096;
/// Jobs in one transaction at most, which bounds the wait of the first.
const BATCH: usize = 512;
/// Quiet time after which the thread checkpoints the WAL.
const IDLE: Duration = Duration::from_secs(2);
/// Between two looks through the idempotency keys.
const TIDYING: Duration = Duration::from_secs(3_600);

/// Answers the waiter; called once the transaction is durable. Dropped uncalled, the waiter sees a failure.
pub(super) type Acknowledge = Box<dyn FnOnce() + Send>;
/// Writes within the open transaction.
pub(super) type Write = Box<dyn FnOnce(&Connection) -> rusqlite::Result<Acknowledge> + Send>;
/// Told after each commit: jobs in it, and how long transaction and fsync took.
pub type OnCommit = Box<dyn Fn(usize, Duration) + Send>;

enum Job {
    Write(Write),
    /// A write after which no byte of what it deleted may be left in the files before anyone is answered.
    Purge(Write),
    Close,
}

/// The sending side and the thread.
pub(super) struct Committer {
    queue: SyncSender<Job>,
    tally: Arc<Tally>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    /// Starts the thread on a connection that [`schema::migrate`] has seen.
    pub(super) fn start(
        path: PathBuf,
        connection: Connection,
        on_commit: OnCommit,
        tally: Arc<Tally>,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let (connection, counts) = (Some(connection), Arc::clone(&tally));
        let worker = Worker { path, connection, on_commit, tally: counts, truncate: false, tidied: None };
        let thread = thread::Builder::new().name("store".into()).spawn(move || worker.run(&jobs))?;
        Ok(Self { queue, tally, thread: std::sync::Mutex::new(Some(thread)) })
    }

    pub(super) fn write(&self, write: Write) -> Result<(), StoreError> {
        self.send(Job::Write(write))
    }

    pub(super) fn purge(&self, write: Write) -> Result<(), StoreError> {
        self.send(Job::Purge(write))
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        // Before the worker can take it away again.
        self.tally.queued();
        self.queue.try_send(job).map_err(|error| {
            self.tally.done(1);
            match error {
                TrySendError::Full(_) => {
                    self.tally.failed(Failure::Busy);
                    StoreError::Busy
                }
                TrySendError::Disconnected(_) => StoreError::Unavailable,
            }
        })
    }

    /// Finishes what is queued and waits for the thread; blocks.
    pub(super) fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A closed queue means that the thread is already gone.
            let _ = self.queue.send(Job::Close);
            if thread.join().is_err() {
                tracing::error!("the store's thread panicked");
            }
        }
    }
}

struct Worker {
    path: PathBuf,
    /// `None` after a failure, until it opens again.
    connection: Option<Connection>,
    on_commit: OnCommit,
    tally: Arc<Tally>,
    /// Erased bytes may still be in the WAL.
    truncate: bool,
    /// When idempotency keys were last looked through.
    tidied: Option<Instant>,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut open = true;
        while open {
            match jobs.recv_timeout(IDLE) {
                Ok(Job::Close) | Err(RecvTimeoutError::Disconnected) => open = false,
                Ok(first) => open = self.batch(first, jobs),
                Err(RecvTimeoutError::Timeout) => self.idle(),
            }
        }
        if let Some(connection) = self.connection.take() {
            // The last connection to close checkpoints; doing it here as well reports what went wrong.
            if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
                tracing::warn!(%error, "the last checkpoint failed; the next start will do it");
            }
        }
    }

    /// Drains what is queued into one transaction. `false`: asked to close.
    fn batch(&mut self, first: Job, jobs: &Receiver<Job>) -> bool {
        let (mut writes, mut purge, mut open) = (Vec::new(), false, true);
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Write(write) => writes.push(write),
                Job::Purge(write) => {
                    purge = true;
                    writes.push(write);
                }
                Job::Close => open = false,
            }
            next = if open && writes.len() < BATCH { jobs.try_recv().ok() } else { None };
        }
        let size = writes.len();
        let committed = self.commit(writes, purge);
        self.tally.done(size);
        match committed {
            Ok(acknowledgements) => acknowledgements.into_iter().for_each(|acknowledge| acknowledge()),
            Err(error) => {
                tracing::error!(%error, "a write failed; everyone waiting for it is told, and the database is reopened");
                self.tally.failed(Failure::of(&error));
                self.connection = None;
            }
        }
        open
    }

    /// One transaction, one fsync; what is to be acknowledged then.
    fn commit(&mut self, writes: Vec<Write>, purge: bool) -> rusqlite::Result<Vec<Acknowledge>> {
        let started = Instant::now();
        let size = writes.len();
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(reopen(&self.path)?),
        };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let acknowledgements =
            writes.into_iter().map(|write| write(&transaction)).collect::<rusqlite::Result<Vec<_>>>()?;
        // Here too: a store that is always busy is never idle.
        let tidies = is_due(self.tidied);
        if tidies {
            expire_idempotency(&transaction)?;
        }
        transaction.commit()?;
        if tidies {
            self.tidied = Some(Instant::now());
        }
        (self.on_commit)(size, started.elapsed());
        if purge {
            self.truncate = true;
            purge_files(connection)?;
            self.truncate = false;
        }
        Ok(acknowledgements)
    }

    fn idle(&mut self) {
        let Some(connection) = &self.connection else { return };
        let checkpoint = if self.truncate { "TRUNCATE" } else { "PASSIVE" };
        let mut work = || {
            if is_due(self.tidied) {
                expire_idempotency(connection)?;
                self.tidied = Some(Instant::now());
            }
            connection
                .query_row(&format!("PRAGMA wal_checkpoint({checkpoint})"), [], |row| row.get::<_, i64>(0))
        };
        match work() {
            Ok(busy) => self.truncate &= busy != 0,
            Err(error) => {
                tracing::warn!(%error, "housekeeping of the store failed; it is tried again");
                self.tally.failed(Failure::of(&error));
            }
        }
    }
}

fn is_due(tidied: Option<Instant>) -> bool {
    tidied.is_none_or(|at| at.elapsed() > TIDYING)
}

fn expire_idempotency(connection: &Connection) -> rusqlite::Result<()> {
    let kept = i64::try_from(IDEMPOTENCY_HOURS * 3_600_000).unwrap_or(i64::MAX);
    statements::expire_idempotency(connection, clock::now_ms() - kept).map(drop)
}

fn reopen(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    schema::configure(&connection)?;
    Ok(connection)
}

/// Rewrites the database without what was deleted, then cuts the WAL to nothing. `secure_delete` alone does not do: when
/// pages are split or merged, copies of rows stay in the unused middle of pages, where a later delete does not see them.
/// Costs time in proportion to the database, during which nothing else is written; erasures of one batch share it.
/// Readers hold the WAL for the length of a query; SQLite's busy timeout waits for them.
fn purge_files(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("VACUUM")?;
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    Err(rusqlite::Error::SqliteFailure(
        code,
        Some("readers hold the WAL: erased bytes are still in it".into()),
    ))
}
