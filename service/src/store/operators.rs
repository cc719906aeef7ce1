//! What operators see and decide, said to SQLite: who is there, what was in times past, and settings. Writes run inside the caller's
//! transaction.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Result, params};

use super::{ListedWriter, Period};

/// The customers that writers or keys belong to. Each is looked up behind the one before: there may be a great many writers.
pub(super) fn tenants(connection: &Connection) -> Result<Vec<Arc<str>>> {
    connection
        .prepare_cached(
            "WITH RECURSIVE found (tenant) AS (
                 SELECT min(tenant) FROM writer_head
                 UNION ALL
                 SELECT (SELECT min(tenant) FROM writer_head WHERE tenant > found.tenant) FROM found
                 WHERE found.tenant IS NOT NULL)
             SELECT tenant FROM found WHERE tenant IS NOT NULL UNION SELECT tenant FROM api_key ORDER BY 1",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Up to `limit` writers of a tenant whose ids begin with `prefix`, by id.
pub(super) fn writers(
    connection: &Connection,
    tenant: &str,
    prefix: &str,
    limit: usize,
) -> Result<Vec<ListedWriter>> {
    // Ids are ASCII, hence whatever begins with it comes before it and DEL.
    connection
        .prepare_cached(
            "SELECT writer, last_seq, team FROM writer_head
             WHERE tenant = ?1 AND writer >= ?2 AND writer < ?2 || char(127) ORDER BY writer LIMIT ?3",
        )?
        .query_map(params![tenant, prefix, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
            Ok(ListedWriter { writer: row.get(0)?, last_seq: row.get(1)?, team: row.get(2)? })
        })?
        .collect()
}

/// The periods of a length that begin at `from` or later, the oldest first.
pub(super) fn periods(connection: &Connection, seconds: u32, from: i64) -> Result<Vec<Period>> {
    let rows = connection
        .prepare_cached(
            "SELECT at, format, crc, blob FROM period WHERE seconds = ?1 AND at >= ?2 ORDER BY at",
        )?
        .query_map(params![seconds, from], |row| {
            let period = Period { seconds, at: row.get(0)?, format: row.get(1)?, blob: row.get(3)? };
            Ok((period, row.get::<_, u32>(2)?))
        })?
        .collect::<Result<Vec<_>>>()?;
    let holds = |(period, crc): (Period, u32)| {
        let holds = crc32fast::hash(&period.blob) == crc;
        if !holds {
            tracing::error!(at = period.at, "a row of the history is damaged and left out");
        }
        holds.then_some(period)
    };
    Ok(rows.into_iter().filter_map(holds).collect())
}

/// Keeps a period in the place of the same one before, and drops those of its length that begin more than `kept` seconds earlier.
pub(super) fn keep_period(connection: &Connection, period: &Period, kept: i64) -> Result<()> {
    let Period { seconds, at, format, blob } = period;
    connection
        .prepare_cached("INSERT OR REPLACE INTO period VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![seconds, at, format, crc32fast::hash(blob), blob])?;
    connection
        .prepare_cached("DELETE FROM period WHERE seconds = ?1 AND at < ?2")?
        .execute(params![seconds, at - kept])?;
    Ok(())
}

/// What was decided under a name.
pub(super) fn setting(connection: &Connection, name: &str) -> Result<Option<String>> {
    connection
        .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// Decides something.
pub(super) fn set(connection: &Connection, name: &str, value: &str) -> Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO setting VALUES (?1, ?2)")?.execute([name, value])?;
    Ok(())
}
