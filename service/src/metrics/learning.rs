//! What is learned, and how it is kept.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::family::{Counts, Family, Unit, families, family, register};
use super::labels::{FAILURE, FILE, RESULT};

/// Upper bounds in seconds: an fsync takes a millisecond on a good disk, and seconds on one that fails.
const COMMIT: &[f64] =
    &[500e-6, 1e-3, 2e-3, 4e-3, 8e-3, 15e-3, 30e-3, 60e-3, 0.125, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Writes in a commit.
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

families! {
    /// Learning and the store.
    Learning {
        learned: IntCounterVec = family("foretype_learned_total", Unit::Of("messages"), "Messages to learn that were acknowledged.")
            .by(&[RESULT])
            .reading("`known`: sent again with the same idempotency key, and stored once (or refused, if it was another message). Many: clients time out and retry.");
        commit: Histogram =
            family("foretype_store_commit_seconds", Unit::Seconds, "A transaction of the store and its fsync.")
                .buckets(COMMIT)
                .reading("What `/v1/learn` waits for: a millisecond or some, by the disk.");
        commit_size: Histogram =
            family("foretype_store_commit_writes", Unit::Of("writes"), "Writes that shared a commit.")
                .buckets(BATCH)
                .reading("Grows with what comes at once; at 512 the disk sets the pace.");
        queue: IntGauge = family("foretype_store_queue_length", Unit::Of("writes"), "Writes that are not durable yet.")
            .reading("Near 0. At 4,096 more are refused with 429.");
        failures: IntCounterVec =
            family("foretype_store_failures_total", Unit::Of("failures"), "Reads and transactions that failed, writes that were refused.")
                .by(&[FAILURE])
                .reading("Stays 0. Nothing is acknowledged that was not stored; clients retry. `busy`: the queue was full.");
        bytes: IntGaugeVec = family("foretype_store_bytes", Unit::Bytes, "Size of the store's files.")
            .by(&[FILE])
            .reading("Against the disk. A `wal` that only grows is never checkpointed: a reader hangs.");
        warm: IntGauge = family("foretype_writers_warm", Unit::Of("writers"), "Writers in memory.")
            .reading("Against those who type. Above `--warm-writers` the least recent are written out.");
        warm_bytes: IntGauge = family("foretype_writers_warm_bytes", Unit::Bytes, "Memory that writers take.")
            .reading("At most about 1 MiB each, `--warm-mib` in all.");
        loads: IntCounter =
            family("foretype_writer_loads_total", Unit::Of("writers"), "Writers brought into memory from the store.")
                .reading("High while nobody new comes: `--warm-writers` or `--warm-mib` is too small for a day's writers.");
        evictions: IntCounter =
            family("foretype_writer_evictions_total", Unit::Of("writers"), "Writers put out of memory to keep within its bounds.")
                .reading("As above.");
        teams: IntGauge = family("foretype_teams_warm", Unit::Of("teams"), "Teams in memory.")
            .reading("Those whose writers type.");
    }
}
