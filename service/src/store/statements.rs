//! What is said to SQLite of writers, one function a sentence. Writes run inside the caller's transaction.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::{
    Appended, Event, EventKind, NewEvent, RETAINED_EVENTS, Rewrite, Snapshot, StoreError, Stored, Usage,
    WriterKey, teams,
};

/// Appends within the caller's transaction. The inner error refuses this event only; the outer one ends the transaction.
pub(super) fn append(
    connection: &Connection,
    key: &WriterKey,
    epoch: Option<u64>,
    event: &NewEvent,
    now: i64,
) -> Result<std::result::Result<Appended, StoreError>> {
    let head = head(connection, key)?;
    let present = head.as_ref().map(|head| head.epoch);
    if epoch.is_some() && epoch != present {
        return Ok(Err(StoreError::Erased));
    }
    let Head { epoch, last_seq, team } = match head {
        Some(head) => head,
        None => begin_epoch(connection, key)?,
    };
    // Looked up before the sequence moves, so that a retry leaves no gap.
    if let Some(idempotency_key) = &event.idempotency_key {
        let known: Option<u64> = connection
            .prepare_cached(
                "SELECT seq FROM idempotency WHERE tenant = ?1 AND writer = ?2 AND idem_key = ?3",
            )?
            .query_row(params![key.tenant, key.writer, idempotency_key], |row| row.get(0))
            .optional()?;
        if let Some(seq) = known {
            return Ok(Ok(Appended { epoch, seq, fresh: false }));
        }
    }
    let seq = last_seq + 1;
    connection
        .prepare_cached("UPDATE writer_head SET last_seq = ?3 WHERE tenant = ?1 AND writer = ?2")?
        .execute(params![key.tenant, key.writer, seq])?;
    connection
        .prepare_cached("INSERT INTO learn_event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![key.tenant, key.writer, epoch, seq, event.at, event.kind as u8, event.payload])?;
    match (&team, event.kind) {
        (Some(team), EventKind::Learn) => teams::append(connection, key, team, seq)?,
        (_, EventKind::Blocked) => note_blocks(connection, key)?,
        _ => {}
    }
    if let Some(idempotency_key) = &event.idempotency_key {
        connection
            .prepare_cached("INSERT INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![key.tenant, key.writer, idempotency_key, seq, now])?;
    }
    Ok(Ok(Appended { epoch, seq, fresh: true }))
}

fn note_blocks(connection: &Connection, key: &WriterKey) -> Result<()> {
    connection
        .prepare_cached("UPDATE writer_head SET blocks = 1 WHERE tenant = ?1 AND writer = ?2")?
        .execute(params![key.tenant, key.writer])?;
    Ok(())
}

/// Who ever listed words that are not to be shown.
pub(super) fn who_blocks(connection: &Connection) -> Result<Vec<WriterKey>> {
    connection
        .prepare("SELECT tenant, writer FROM writer_head WHERE blocks")?
        .query_map([], |row| Ok(WriterKey { tenant: row.get(0)?, writer: row.get(1)? }))?
        .collect()
}

/// A writer's record.
pub(super) struct Head {
    pub(super) epoch: u64,
    pub(super) last_seq: u64,
    pub(super) team: Option<Arc<str>>,
}

pub(super) fn head(connection: &Connection, key: &WriterKey) -> Result<Option<Head>> {
    connection
        .prepare_cached("SELECT epoch, last_seq, team FROM writer_head WHERE tenant = ?1 AND writer = ?2")?
        .query_row(params![key.tenant, key.writer], |row| {
            Ok(Head { epoch: row.get(0)?, last_seq: row.get(1)?, team: row.get(2)? })
        })
        .optional()
}

/// Epochs come from one counter for all writers, so that an erased writer needs no tombstone that holds its name.
fn next_epoch(connection: &Connection) -> Result<u64> {
    connection
        .prepare_cached(
            "INSERT INTO counter VALUES ('epoch', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
        )?
        .query_row([], |row| row.get(0))
}

pub(super) fn begin_epoch(connection: &Connection, key: &WriterKey) -> Result<Head> {
    let epoch = next_epoch(connection)?;
    connection
        .prepare_cached("INSERT INTO writer_head (tenant, writer, epoch, last_seq) VALUES (?1, ?2, ?3, 0)")?
        .execute(params![key.tenant, key.writer, epoch])?;
    Ok(Head { epoch, last_seq: 0, team: None })
}

/// Reads in one transaction, so that snapshot and events belong together.
pub(super) fn load(connection: &mut Connection, key: &WriterKey) -> Result<Option<Stored>> {
    let transaction = connection.transaction()?;
    let Some(Head { epoch, last_seq, team }) = head(&transaction, key)? else {
        return Ok(None);
    };
    let snapshot = snapshot_of(&transaction, key)?.filter(|snapshot| snapshot.epoch == epoch);
    let after = snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
    let events = events(&transaction, key, after, usize::MAX)?;
    Ok(Some(Stored { epoch, last_seq, team, snapshot, events }))
}

fn snapshot_of(connection: &Connection, key: &WriterKey) -> Result<Option<Snapshot>> {
    let read = |row: &Row<'_>| {
        let snapshot =
            Snapshot { epoch: row.get(0)?, seq: row.get(1)?, format: row.get(2)?, blob: row.get(4)? };
        Ok((snapshot, row.get::<_, u32>(3)?))
    };
    let found = connection
        .prepare_cached(
            "SELECT epoch, seq, format, crc, blob FROM writer_snapshot WHERE tenant = ?1 AND writer = ?2",
        )?
        .query_row(params![key.tenant, key.writer], read)
        .optional()?;
    Ok(found.and_then(|(snapshot, crc)| {
        if crc32fast::hash(&snapshot.blob) == crc {
            return Some(snapshot);
        }
        tracing::error!(
            seq = snapshot.seq,
            "a snapshot's checksum does not hold; folding the kept events instead"
        );
        None
    }))
}

/// Up to `limit` events after `seq`.
pub(super) fn events(connection: &Connection, key: &WriterKey, seq: u64, limit: usize) -> Result<Vec<Event>> {
    connection
        .prepare_cached(
            "SELECT seq, at, kind, payload FROM learn_event
             WHERE tenant = ?1 AND writer = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4",
        )?
        .query_map(params![key.tenant, key.writer, seq, i64::try_from(limit).unwrap_or(i64::MAX)], event)?
        .collect()
}

/// Of the columns seq, at, kind and payload.
pub(super) fn event(row: &Row<'_>) -> Result<Event> {
    let kind = match row.get::<_, u8>(2)? {
        1 => EventKind::Learn,
        2 => EventKind::Outcome,
        3 => EventKind::Snippets,
        4 => EventKind::Blocked,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(2, i64::from(other))),
    };
    Ok(Event { seq: row.get(0)?, at: row.get(1)?, kind, payload: row.get(3)? })
}

pub(super) fn usage(connection: &Connection, key: &WriterKey) -> Result<Usage> {
    connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(length(payload)), 0) + coalesce(
                 (SELECT length(blob) FROM writer_snapshot WHERE tenant = ?1 AND writer = ?2), 0)
             FROM learn_event WHERE tenant = ?1 AND writer = ?2",
        )?
        .query_row(params![key.tenant, key.writer], |row| {
            Ok(Usage { events: row.get(0)?, bytes: row.get(1)? })
        })
}

/// Writes the snapshot unless the writer was erased or a newer one is there, then drops events it makes superfluous.
pub(super) fn snapshot(connection: &Connection, key: &WriterKey, snapshot: &Snapshot) -> Result<()> {
    let Some(Head { epoch, last_seq, .. }) = head(connection, key)? else {
        return Ok(());
    };
    if epoch != snapshot.epoch || snapshot.seq > last_seq {
        return Ok(());
    }
    if put_snapshot(connection, key, epoch, snapshot)? {
        let beyond = snapshot.seq.min(last_seq.saturating_sub(RETAINED_EVENTS));
        connection
            .prepare_cached("DELETE FROM learn_event WHERE tenant = ?1 AND writer = ?2 AND seq <= ?3")?
            .execute(params![key.tenant, key.writer, beyond])?;
        teams::drop_before(connection, key, beyond)?;
    }
    Ok(())
}

/// Writes the snapshot unless a newer one is there.
fn put_snapshot(connection: &Connection, key: &WriterKey, epoch: u64, snapshot: &Snapshot) -> Result<bool> {
    let written = connection
        .prepare_cached(
            "INSERT INTO writer_snapshot VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (tenant, writer) DO UPDATE
             SET epoch = excluded.epoch, seq = excluded.seq, format = excluded.format, crc = excluded.crc,
                 blob = excluded.blob
             WHERE excluded.seq >= seq",
        )?
        .execute(params![
            key.tenant,
            key.writer,
            epoch,
            snapshot.seq,
            snapshot.format,
            crc32fast::hash(&snapshot.blob),
            snapshot.blob,
        ])?;
    Ok(written > 0)
}

/// Rewrites events and the snapshot, and begins an epoch. The inner error refuses it.
pub(super) fn rewrite(
    connection: &Connection,
    key: &WriterKey,
    Rewrite { payloads, snapshot }: &Rewrite,
) -> Result<std::result::Result<bool, StoreError>> {
    let Some(head) = head(connection, key)?.filter(|head| head.epoch == snapshot.epoch) else {
        return Ok(Err(StoreError::Erased));
    };
    if head.last_seq != snapshot.seq {
        return Ok(Ok(false));
    }
    let mut update = connection.prepare_cached(
        "UPDATE learn_event SET payload = ?4 WHERE tenant = ?1 AND writer = ?2 AND seq = ?3",
    )?;
    for (seq, payload) in payloads {
        update.execute(params![key.tenant, key.writer, seq, payload])?;
    }
    let epoch = next_epoch(connection)?;
    for table in ["writer_head", "learn_event"] {
        connection
            .prepare_cached(&format!("UPDATE {table} SET epoch = ?3 WHERE tenant = ?1 AND writer = ?2"))?
            .execute(params![key.tenant, key.writer, epoch])?;
    }
    put_snapshot(connection, key, epoch, snapshot)?;
    teams::renew(connection, key)?;
    Ok(Ok(true))
}

/// Deletes everything of the writer, its name included; but for API keys, which are an operator's.
pub(super) fn erase(connection: &Connection, key: &WriterKey) -> Result<bool> {
    let mut rows = 0;
    teams::withdraw(connection, key)?;
    for table in ["learn_event", "writer_snapshot", "idempotency", "writer_head"] {
        rows += connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE tenant = ?1 AND writer = ?2"))?
            .execute(params![key.tenant, key.writer])?;
    }
    Ok(rows > 0)
}

/// Forgets idempotency keys written before `before` (milliseconds since the Unix epoch).
pub(super) fn expire_idempotency(connection: &Connection, before: i64) -> Result<usize> {
    connection.prepare_cached("DELETE FROM idempotency WHERE at < ?1")?.execute([before])
}
