//! What is said to SQLite of teams, one function a sentence. Writes run inside the caller's transaction.
//!
//! A team's events are references to its members' own, in the order they were stored. Taking some back begins a new epoch,
//! which tells whoever folded them to begin anew.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::statements::{begin_epoch, event, head};
use super::{TEAM_EVENTS, TeamEvent, TeamKey, TeamPage, WriterKey};

/// Notes that a member taught something.
pub(super) fn append(connection: &Connection, key: &WriterKey, team: &str, seq: u64) -> Result<()> {
    let n: u64 = connection
        .prepare_cached(
            "INSERT INTO team_head VALUES (?1, ?2, 1, 1) ON CONFLICT (tenant, team) DO UPDATE SET last_n = last_n + 1
             RETURNING last_n",
        )?
        .query_row(params![key.tenant, team], |row| row.get(0))?;
    connection
        .prepare_cached("INSERT INTO team_event VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![key.tenant, team, n, key.writer, seq])?;
    Ok(())
}

/// Puts a writer into a team, or into none.
pub(super) fn assign(connection: &Connection, key: &WriterKey, team: Option<&Arc<str>>) -> Result<()> {
    let present = match head(connection, key)? {
        Some(head) => head.team,
        None if team.is_none() => return Ok(()),
        None => begin_epoch(connection, key)?.team,
    };
    if present.as_ref() == team {
        return Ok(());
    }
    withdraw(connection, key)?;
    connection
        .prepare_cached("UPDATE writer_head SET team = ?3 WHERE tenant = ?1 AND writer = ?2")?
        .execute(params![key.tenant, key.writer, team])?;
    Ok(())
}

/// Takes back what a writer taught a team.
pub(super) fn withdraw(connection: &Connection, key: &WriterKey) -> Result<()> {
    renew(connection, key)?;
    connection
        .prepare_cached("DELETE FROM team_event WHERE tenant = ?1 AND writer = ?2")?
        .execute(params![key.tenant, key.writer])?;
    Ok(())
}

/// Makes the teams a writer taught something begin anew.
pub(super) fn renew(connection: &Connection, key: &WriterKey) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE team_head SET epoch = epoch + 1 WHERE tenant = ?1 AND team IN
                 (SELECT DISTINCT team FROM team_event WHERE tenant = ?1 AND writer = ?2)",
        )?
        .execute(params![key.tenant, key.writer])?;
    Ok(())
}

/// Drops references to events that are not kept any more. What was folded from them stands.
pub(super) fn drop_before(connection: &Connection, key: &WriterKey, seq: u64) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM team_event WHERE tenant = ?1 AND writer = ?2 AND seq <= ?3")?
        .execute(params![key.tenant, key.writer, seq])?;
    Ok(())
}

/// Up to `limit` messages after place `n`. Reads in one transaction, so that they belong to the epoch.
pub(super) fn events(connection: &mut Connection, key: &TeamKey, n: u64, limit: usize) -> Result<TeamPage> {
    let transaction = connection.transaction()?;
    let head: Option<(u64, u64)> = transaction
        .prepare_cached("SELECT epoch, last_n FROM team_head WHERE tenant = ?1 AND team = ?2")?
        .query_row(params![key.tenant, key.team], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (epoch, last_n) = head.unwrap_or_default();
    let after = n.max(last_n.saturating_sub(TEAM_EVENTS));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let events = transaction
        .prepare_cached(
            "SELECT own.seq, own.at, own.kind, own.payload, own.epoch, shared.n
             FROM team_event AS shared JOIN learn_event AS own USING (tenant, writer, seq)
             WHERE shared.tenant = ?1 AND shared.team = ?2 AND shared.n > ?3 ORDER BY shared.n LIMIT ?4",
        )?
        .query_map(params![key.tenant, key.team, after, limit], |row| {
            Ok(TeamEvent { event: event(row)?, writer: row.get(4)?, n: row.get(5)? })
        })?
        .collect::<Result<_>>()?;
    Ok(TeamPage { epoch, events })
}

/// How many writers are in a team.
pub(super) fn members(connection: &Connection, key: &TeamKey) -> Result<u64> {
    connection
        .prepare_cached("SELECT count(*) FROM writer_head WHERE tenant = ?1 AND team = ?2")?
        .query_row(params![key.tenant, key.team], |row| row.get(0))
}
