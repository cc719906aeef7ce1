//! The embedded engine: one SQLite database in the data folder.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use super::commit::{Committer, OnCommit, Write};
use super::schema::{self, SchemaError};
use super::tally::{Failure, Tally};
use super::{
    Answer, Appended, Event, EventKind, ListedWriter, NewEvent, Period, Rewrite, Snapshot, Store, StoreError,
    StoreState, Stored, StoredKey, TeamKey, TeamPage, Usage, WriterKey, keys, operators, statements, teams,
};
use crate::clock;

/// Idle reading connections that are kept.
const IDLE_READERS: usize = 4;

/// Why a data folder cannot be used. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or written.
    #[error("cannot write to the data folder {}: {source}. Choose another with --data or FORETYPE_DATA, or change its owner", folder.display())]
    Folder {
        /// The data folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is nothing to open.
    #[error("there is no store in {}: name the service's own data folder with --data or FORETYPE_DATA; it says at its start which that is", folder.display())]
    Missing {
        /// The data folder.
        folder: PathBuf,
    },
    /// Another process serves from it.
    #[error("the data folder {} is in use by another foretype: stop that one, or choose another folder with --data", folder.display())]
    InUse {
        /// The data folder.
        folder: PathBuf,
    },
    /// The database is not one this release can use.
    #[error("cannot use {}: {source}. Move it away, or choose another folder with --data or FORETYPE_DATA", file.display())]
    Database {
        /// The database file.
        file: PathBuf,
        /// What is wrong with it.
        source: SchemaError,
    },
}

/// See the module. Cloning shares it.
#[derive(Clone)]
pub struct Sqlite {
    shared: Arc<Shared>,
}

struct Shared {
    file: PathBuf,
    /// `None`: opened for reading only.
    committer: Option<Committer>,
    /// Reading connections nobody uses at the moment.
    readers: Mutex<Vec<Connection>>,
    /// Who ever listed words that are not to be shown.
    blocking: Blocking,
    tally: Arc<Tally>,
    /// Held while the engine lives, so that two processes never write the same folder.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens or creates the database in `folder` and takes the folder for this process.
    pub fn open(folder: &Path, on_commit: OnCommit) -> Result<Self, OpenError> {
        let unwritable = |source| OpenError::Folder { folder: folder.into(), source };
        create_private(folder).map_err(unwritable)?;
        let lock =
            File::options().create(true).truncate(false).write(true).open(folder.join("foretype.lock"));
        let lock = lock.map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { folder: folder.into() }),
            Err(TryLockError::Error(source)) => return Err(unwritable(source)),
        }
        let file = database(folder);
        let broken = |source| OpenError::Database { file: file.clone(), source };
        create_private_file(&file).map_err(unwritable)?;
        let mut connection = Connection::open(&file).map_err(|error| broken(error.into()))?;
        schema::migrate(&mut connection).map_err(broken)?;
        keep_temporary(&connection, folder).map_err(|error| broken(error.into()))?;
        let who = statements::who_blocks(&connection).map_err(|error| broken(error.into()))?;
        let tally = Arc::<Tally>::default();
        let committer = Committer::start(file.clone(), connection, on_commit, Arc::clone(&tally));
        let store = Self::over(file, Some(committer.map_err(unwritable)?), tally, Some(lock));
        who.iter().for_each(|key| store.shared.blocking.add(key));
        Ok(store)
    }

    /// Opens what another process may be writing, to look only; `None` when there is no database yet. Writes are
    /// [`StoreError::Unavailable`].
    pub fn open_to_read(folder: &Path) -> Option<Self> {
        let file = database(folder);
        file.exists().then(|| Self::over(file, None, Arc::default(), None))
    }

    fn over(file: PathBuf, committer: Option<Committer>, tally: Arc<Tally>, lock: Option<File>) -> Self {
        let readers = Mutex::new(Vec::new());
        let blocking = Blocking::default();
        Self { shared: Arc::new(Shared { file, committer, readers, blocking, tally, _lock: lock }) }
    }

    /// Runs `query` on a reading connection, off the async threads.
    async fn read<T, Q>(&self, query: Q) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Q: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || shared.read(query));
        match task.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::error!(%error, "a read from the store failed");
                self.shared.tally.failed(Failure::of(&error));
                Err(StoreError::Unavailable)
            }
            // The error has the panic's message, which may hold text.
            Err(_) => {
                tracing::error!("a read from the store panicked");
                self.shared.tally.failed(Failure::Other);
                Err(StoreError::Unavailable)
            }
        }
    }

    /// Queues a write and waits until it is durable. `work` yields what to answer then.
    async fn write<T, W>(&self, purge: bool, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let committer = self.shared.committer.as_ref().ok_or(StoreError::Unavailable)?;
        let (reply, answer) = oneshot::channel();
        let write: Write = Box::new(move |connection| {
            let outcome = work(connection)?;
            // A waiter that went away wanted no answer; its write stands.
            Ok(Box::new(move || drop(reply.send(outcome))))
        });
        if purge {
            committer.purge(write)?;
        } else {
            committer.write(write)?;
        }
        answer.await.map_err(|_| StoreError::Unavailable)
    }
}

/// Writers by the hash of their key. One more than there should be costs them little, and the set is small: who is erased stays
/// until the next start, as they may be listing words again by the time that this is known.
#[derive(Default)]
struct Blocking {
    hasher: RandomState,
    writers: RwLock<HashSet<u64>>,
}

impl Blocking {
    fn add(&self, key: &WriterKey) {
        self.writers.write().unwrap_or_else(PoisonError::into_inner).insert(self.hasher.hash_one(key));
    }

    fn has(&self, key: &WriterKey) -> bool {
        self.writers.read().unwrap_or_else(PoisonError::into_inner).contains(&self.hasher.hash_one(key))
    }
}

impl Shared {
    fn read<T>(&self, query: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.file)?,
        };
        let answer = query(&mut connection)?;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        Ok(answer)
    }
}

impl Store for Sqlite {
    fn append<'a>(&'a self, key: &'a WriterKey, epoch: Option<u64>, event: NewEvent) -> Answer<'a, Appended> {
        let key = key.clone();
        Box::pin(async move {
            let (now, blocks) = (clock::now_ms(), event.kind == EventKind::Blocked);
            // Also when its fate is unknown: who is in here in vain is only waited for.
            if blocks {
                self.shared.blocking.add(&key);
            }
            self.write(false, move |connection| statements::append(connection, &key, epoch, &event, now))
                .await?
        })
    }

    fn load<'a>(&'a self, key: &'a WriterKey) -> Answer<'a, Option<Stored>> {
        let key = key.clone();
        Box::pin(self.read(move |connection| statements::load(connection, &key)))
    }

    fn events<'a>(&'a self, key: &'a WriterKey, seq: u64, limit: usize) -> Answer<'a, Vec<Event>> {
        let key = key.clone();
        Box::pin(self.read(move |connection| statements::events(connection, &key, seq, limit)))
    }

    fn blocks(&self, key: &WriterKey) -> bool {
        self.shared.blocking.has(key)
    }

    fn usage<'a>(&'a self, key: &'a WriterKey) -> Answer<'a, Usage> {
        let key = key.clone();
        Box::pin(self.read(move |connection| statements::usage(connection, &key)))
    }

    fn snapshot<'a>(&'a self, key: &'a WriterKey, snapshot: Snapshot) -> Answer<'a, ()> {
        let key = key.clone();
        Box::pin(self.write(false, move |connection| statements::snapshot(connection, &key, &snapshot)))
    }

    fn assign<'a>(&'a self, key: &'a WriterKey, team: Option<Arc<str>>) -> Answer<'a, ()> {
        let key = key.clone();
        Box::pin(self.write(false, move |connection| teams::assign(connection, &key, team.as_ref())))
    }

    fn team_events<'a>(&'a self, key: &'a TeamKey, n: u64, limit: usize) -> Answer<'a, TeamPage> {
        let key = key.clone();
        Box::pin(self.read(move |connection| teams::events(connection, &key, n, limit)))
    }

    fn members<'a>(&'a self, key: &'a TeamKey) -> Answer<'a, u64> {
        let key = key.clone();
        Box::pin(self.read(move |connection| teams::members(connection, &key)))
    }

    fn rewrite<'a>(&'a self, key: &'a WriterKey, rewrite: Rewrite) -> Answer<'a, bool> {
        let key = key.clone();
        Box::pin(async move {
            self.write(true, move |connection| statements::rewrite(connection, &key, &rewrite)).await?
        })
    }

    fn erase<'a>(&'a self, key: &'a WriterKey) -> Answer<'a, bool> {
        let key = key.clone();
        Box::pin(self.write(true, move |connection| statements::erase(connection, &key)))
    }

    fn keys_since(&self, version: u64) -> Answer<'_, Option<(u64, Vec<StoredKey>)>> {
        Box::pin(self.read(move |connection| keys::since(connection, version)))
    }

    fn tenants(&self) -> Answer<'_, Vec<Arc<str>>> {
        Box::pin(self.read(|connection| operators::tenants(connection)))
    }

    fn writers<'a>(
        &'a self,
        tenant: &'a str,
        prefix: &'a str,
        limit: usize,
    ) -> Answer<'a, Vec<ListedWriter>> {
        let (tenant, prefix) = (tenant.to_owned(), prefix.to_owned());
        Box::pin(self.read(move |connection| operators::writers(connection, &tenant, &prefix, limit)))
    }

    fn periods(&self, seconds: u32, from: i64) -> Answer<'_, Vec<Period>> {
        Box::pin(self.read(move |connection| operators::periods(connection, seconds, from)))
    }

    fn keep_periods(&self, periods: Vec<(Period, i64)>) -> Answer<'_, ()> {
        Box::pin(self.write(false, move |connection| {
            periods.iter().try_for_each(|(period, kept)| operators::keep_period(connection, period, *kept))
        }))
    }

    fn setting<'a>(&'a self, name: &'a str) -> Answer<'a, Option<String>> {
        let name = name.to_owned();
        Box::pin(self.read(move |connection| operators::setting(connection, &name)))
    }

    fn set<'a>(&'a self, name: &'a str, value: String) -> Answer<'a, ()> {
        let name = name.to_owned();
        Box::pin(self.write(false, move |connection| operators::set(connection, &name, &value)))
    }

    fn state(&self) -> StoreState {
        let bytes = |file: &Path| std::fs::metadata(file).map_or(0, |file| file.len());
        let (database, wal) = (&self.shared.file, self.shared.file.with_extension("sqlite3-wal"));
        StoreState { database_bytes: bytes(database), wal_bytes: bytes(&wal), ..self.shared.tally.state() }
    }

    fn close(&self) -> Answer<'_, ()> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let close = move || {
                shared.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
                if let Some(committer) = &shared.committer {
                    committer.close();
                }
            };
            tokio::task::spawn_blocking(close).await.map_err(|_| StoreError::Unavailable)
        })
    }
}

pub(super) fn database(folder: &Path) -> PathBuf {
    folder.join("foretype.sqlite3")
}

/// Has SQLite write what does not fit into memory, such as a copy of the database while it is purged, into the folder, instead of
/// where others may read and a container may not write. It holds for the process.
fn keep_temporary(connection: &Connection, folder: &Path) -> rusqlite::Result<()> {
    // A folder whose name is no text keeps the system's place for it.
    folder.to_str().map_or(Ok(()), |folder| connection.pragma_update(None, "temp_store_directory", folder))
}

fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    schema::configure(&connection)?;
    Ok(connection)
}

/// Makes the file, if there is none, readable by its owner only, in whatever folder it is; those that SQLite puts beside it are like it.
fn create_private_file(file: &Path) -> std::io::Result<()> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop)
}

/// Makes the folder readable by its owner only: it holds what people typed.
fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
