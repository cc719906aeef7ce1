//! `foretype keys`: who may ask the service.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::caller::Caller;
use crate::cli::{AddKey, KeysCommand};
use crate::clock;
use crate::keyring::NewKey;
use crate::serve::folder_of;
use crate::store::{Keys, StoredKey};
use crate::writer::Id;

/// What holds while there are no keys.
const WITHOUT: &str = "A service that has had one since its start refuses everybody until there is one again, or until it is \
                       started anew; one that starts without any is for this machine only.";

/// Adds, lists or revokes.
pub fn run(command: &KeysCommand) -> Result<()> {
    let mut out = io::stdout().lock();
    match command {
        KeysCommand::Add(add) => {
            let key = NewKey::random().context("making a key")?;
            let stored = StoredKey {
                id: key.id.clone(),
                hash: key.hash(),
                caller: caller(add),
                created_at: clock::now_ms(),
            };
            // Before a service first starts there may be keys already.
            let mut keys = Keys::create(&folder_of(add.data.as_ref())?)?;
            keys.add(&stored).context("storing the key")?;
            writeln!(out, "{}", key.text)?;
            writeln!(
                io::stderr(),
                "Keep it: it is not shown again. Revoke it with: foretype keys revoke {}",
                key.id
            )?;
        }
        KeysCommand::List { data } => {
            list(&mut out, &open(data.as_ref())?.list().context("reading the keys")?)?;
        }
        KeysCommand::Revoke { id, data } => {
            // Who has only the key itself at hand may give that.
            let id = id.strip_prefix("ft-").and_then(|key| key.split('-').next()).unwrap_or(id);
            let mut keys = open(data.as_ref())?;
            let revoked = keys.revoke(id).context("revoking the key")?;
            ensure!(revoked, "there is no key {id}: `foretype keys list` shows those there are");
            writeln!(out, "revoked {id}")?;
            if keys.list().context("reading the keys")?.is_empty() {
                writeln!(out, "That was the last. {WITHOUT}")?;
            }
        }
    }
    Ok(out.flush()?)
}

fn open(data: Option<&PathBuf>) -> Result<Keys> {
    Ok(Keys::open(&folder_of(data)?)?)
}

fn caller(add: &AddKey) -> Caller {
    let mut scopes = add.scope.clone();
    scopes.sort_unstable();
    scopes.dedup();
    Caller {
        tenant: add.tenant.shared(),
        team: add.team.clone(),
        writer: add.writer.clone(),
        scopes,
        key: None,
    }
}

fn list(out: &mut impl Write, keys: &[StoredKey]) -> Result<()> {
    if keys.is_empty() {
        return Ok(writeln!(out, "No keys. {WITHOUT}")?);
    }
    let any = |id: &Option<Id>| id.as_ref().map_or_else(|| "any".to_owned(), ToString::to_string);
    let rows = keys.iter().map(|key| {
        let caller = &key.caller;
        let scopes: Vec<_> = caller.scopes.iter().map(ToString::to_string).collect();
        let team = caller.team.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        [key.id.clone(), caller.tenant.to_string(), any(&caller.writer), team, scopes.join(",")]
    });
    let head = ["key", "tenant", "writer", "team", "scopes"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    for row in &rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
