//! API keys in the data folder. They are added and revoked by a command of its own, beside a service that may be running: it reads
//! them when the counter moves.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Result, Row, TransactionBehavior, params};

use super::sqlite::{OpenError, database};
use super::{Sqlite, StoredKey, schema};
use crate::caller::{Caller, Scope};
use crate::writer::Id;

const COUNT: &str =
    "INSERT INTO counter VALUES ('keys', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1";

/// The keys of a data folder.
pub struct Keys(Connection);

impl Keys {
    /// Opens the folder of a service.
    ///
    /// # Errors
    /// When there is no store in it, and as [`Keys::create`].
    pub fn open(folder: &Path) -> std::result::Result<Self, OpenError> {
        if database(folder).exists() {
            Self::create(folder)
        } else {
            Err(OpenError::Missing { folder: folder.into() })
        }
    }

    /// Opens the folder, which is made if it is not there.
    ///
    /// # Errors
    /// As [`Sqlite::open`]; a service that runs may keep the folder, unless it is an older release.
    pub fn create(folder: &Path) -> std::result::Result<Self, OpenError> {
        if !schema::is_current(&database(folder)) {
            // Makes the tables, or brings them up to date, for which nobody else may be at them.
            drop(Sqlite::open(folder, Box::new(|_, _| {}))?);
        }
        let file = database(folder);
        let open = || {
            let connection = Connection::open(&file)?;
            schema::configure(&connection)?;
            Ok(connection)
        };
        open().map(Self).map_err(|error: rusqlite::Error| OpenError::Database {
            file: file.clone(),
            source: error.into(),
        })
    }

    /// Adds a key; durable when this returns.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn add(&mut self, key: &StoredKey) -> Result<()> {
        let scopes: Vec<_> = key.caller.scopes.iter().map(|scope| scope.name()).collect();
        let [team, writer] = [&key.caller.team, &key.caller.writer].map(|id| id.as_ref().map(Id::as_str));
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO api_key VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![key.id, key.hash, key.caller.tenant, team, writer, scopes.join(","), key.created_at],
        )?;
        transaction.execute(COUNT, [])?;
        transaction.commit()
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<Vec<StoredKey>> {
        all(&self.0)
    }

    /// Revokes a key; `false`: there is none of that name.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn revoke(&mut self, id: &str) -> Result<bool> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = transaction.execute("DELETE FROM api_key WHERE id = ?1", [id])? > 0;
        transaction.execute(COUNT, [])?;
        transaction.commit()?;
        Ok(found)
    }
}

/// All keys, and by what they are told from those before; `None`: they are those of `version`.
pub(super) fn since(connection: &mut Connection, version: u64) -> Result<Option<(u64, Vec<StoredKey>)>> {
    let transaction = connection.transaction()?;
    let present: Option<u64> = transaction
        .prepare_cached("SELECT value FROM counter WHERE name = 'keys'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    match present {
        Some(present) if present != version => Ok(Some((present, all(&transaction)?))),
        _ => Ok(None),
    }
}

fn all(connection: &Connection) -> Result<Vec<StoredKey>> {
    connection
        .prepare_cached(
            "SELECT id, hash, tenant, team, writer, scopes, created_at FROM api_key ORDER BY created_at, id",
        )?
        .query_map([], key)?
        .collect()
}

fn key(row: &Row<'_>) -> Result<StoredKey> {
    let named = |at| {
        let name: Option<String> = row.get(at)?;
        // Of a name that is none the key is not bound to nobody, but refused.
        let wrong = || rusqlite::Error::InvalidColumnType(at, "id".into(), rusqlite::types::Type::Text);
        name.map(|name| Id::new(&name).map_err(|_| wrong())).transpose()
    };
    let scopes: String = row.get(5)?;
    let caller = Caller {
        tenant: row.get(2)?,
        team: named(3)?,
        writer: named(4)?,
        // One that this release does not know is one it does not grant.
        scopes: scopes.split(',').filter_map(|name| name.parse::<Scope>().ok()).collect(),
        key: None,
    };
    Ok(StoredKey { id: row.get(0)?, hash: row.get(1)?, caller, created_at: row.get(6)? })
}
