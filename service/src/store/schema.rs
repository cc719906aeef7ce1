//! The tables, their version, and how a database of another version is met.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

/// The schema this release reads and writes, kept in `PRAGMA user_version`.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// "ftyp" in ASCII: says that the file is ours.
const APPLICATION_ID: i64 = 0x6674_7970;

/// SQLite before 3.51.3 can lose committed transactions when the WAL is reset (the "WAL-reset bug").
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long a statement waits for another connection's lock.
const BUSY: Duration = Duration::from_secs(5);

/// What takes a database from each version to the next.
const MIGRATIONS: [&str; 5] = [WRITERS, TEAMS, BLOCKED, KEYS, OPERATORS];

const WRITERS: &str = "
    CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE writer_head (
        tenant TEXT NOT NULL, writer TEXT NOT NULL, epoch INTEGER NOT NULL, last_seq INTEGER NOT NULL,
        PRIMARY KEY (tenant, writer)) STRICT, WITHOUT ROWID;
    CREATE TABLE learn_event (
        tenant TEXT NOT NULL, writer TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
        at INTEGER NOT NULL, kind INTEGER NOT NULL, payload BLOB NOT NULL,
        PRIMARY KEY (tenant, writer, seq)) STRICT, WITHOUT ROWID;
    CREATE TABLE idempotency (
        tenant TEXT NOT NULL, writer TEXT NOT NULL, idem_key TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (tenant, writer, idem_key)) STRICT, WITHOUT ROWID;
    CREATE INDEX idempotency_at ON idempotency (at);
    CREATE TABLE writer_snapshot (
        tenant TEXT NOT NULL, writer TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
        format INTEGER NOT NULL, crc INTEGER NOT NULL, blob BLOB NOT NULL,
        PRIMARY KEY (tenant, writer)) STRICT;
";

/// The messages of a team are its members' own: erasing those leaves nothing to read.
const TEAMS: &str = "
    ALTER TABLE writer_head ADD COLUMN team TEXT;
    CREATE INDEX writer_team ON writer_head (tenant, team) WHERE team IS NOT NULL;
    CREATE TABLE team_head (
        tenant TEXT NOT NULL, team TEXT NOT NULL, epoch INTEGER NOT NULL, last_n INTEGER NOT NULL,
        PRIMARY KEY (tenant, team)) STRICT, WITHOUT ROWID;
    CREATE TABLE team_event (
        tenant TEXT NOT NULL, team TEXT NOT NULL, n INTEGER NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (tenant, team, n)) STRICT, WITHOUT ROWID;
    CREATE INDEX team_event_writer ON team_event (tenant, writer, seq);
";

/// Who ever listed words that are not to be shown.
const BLOCKED: &str = "
    ALTER TABLE writer_head ADD COLUMN blocks INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX writer_blocks ON writer_head (tenant, writer) WHERE blocks;
";

/// Who may ask.
const KEYS: &str = "
    CREATE TABLE api_key (
        id TEXT PRIMARY KEY, hash BLOB NOT NULL, tenant TEXT NOT NULL, team TEXT, writer TEXT, scopes TEXT NOT NULL,
        created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// What operators decided, and what the service did in times past.
const OPERATORS: &str = "
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE period (
        seconds INTEGER NOT NULL, at INTEGER NOT NULL, format INTEGER NOT NULL, crc INTEGER NOT NULL, blob BLOB NOT NULL,
        PRIMARY KEY (seconds, at)) STRICT, WITHOUT ROWID;
";

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It was written by a newer release.
    #[error(
        "it has schema version {0}, newer than this release's {VERSION}: start the release that wrote it"
    )]
    Newer(i64),
    /// Another program's file.
    #[error("it is another program's SQLite database (application id {0:#x})")]
    Foreign(i64),
    /// The linked SQLite is known to lose data.
    #[error("SQLite {0} is linked, which can lose committed data: build with rusqlite's `bundled` feature")]
    OldSqlite(&'static str),
    /// SQLite says so.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Sets what holds for every connection. WAL lets readers pass the writer, FULL makes a commit survive a power cut, and
/// `secure_delete` overwrites what compaction drops.
pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
         PRAGMA wal_autocheckpoint = 4000;",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Creates the tables of a new database and brings those of an old one up to date; one of a newer version is left as it is.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), SchemaError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(SchemaError::OldSqlite(rusqlite::version()));
    }
    connection.busy_timeout(BUSY)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let owner: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if owner != APPLICATION_ID && (owner != 0 || found != 0) {
        return Err(SchemaError::Foreign(owner));
    }
    if found > VERSION {
        return Err(SchemaError::Newer(found));
    }
    configure(connection)?;
    if found < VERSION {
        let transaction = connection.transaction()?;
        let known = usize::try_from(found).unwrap_or(0);
        MIGRATIONS[known..].iter().try_for_each(|step| transaction.execute_batch(step))?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Whether a file is a database of this release. One that cannot be read is not.
pub(super) fn is_current(file: &Path) -> bool {
    let version =
        |connection: Connection| connection.pragma_query_value(None, "user_version", |row| row.get(0));
    file.exists() && Connection::open(file).and_then(version).is_ok_and(|found: i64| found == VERSION)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_old_database_keeps_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(folder.path().join("old.sqlite3")).unwrap();
        connection.execute_batch(WRITERS).unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection.execute("INSERT INTO writer_head VALUES ('default', 'anna', 7, 3)", []).unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let found: (String, i64, Option<String>) = connection
            .query_row("SELECT writer, last_seq, team FROM writer_head", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(found, ("anna".into(), 3, None));
    }
}
