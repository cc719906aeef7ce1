//! The neural tier: its queue, its threads and what they remember.

use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::family::{Counts, Family, Unit, families, family, register};
use super::labels::{LANE, QUESTION, TOKENS};
use super::seconds;

families! {
    /// The neural tier.
    Neural {
        elapsed: Histogram =
            seconds("foretype_neural_tier_seconds", "The neural tier's time as an answer sees it, queueing included.")
                .reading("What the GPT-2 adds to an answer that asks it.");
        wait: Histogram = seconds("foretype_neural_wait_seconds", "What answered questions waited: for a thread, and there for others' runs.")
            .reading("Above some milliseconds the GPT-2 is the bottleneck: `--inference-threads`.");
        work: Histogram = seconds("foretype_neural_work_seconds", "What answered questions took a thread; of a run that several share their part.")
            .reading("Grows when caches are lost (`foretype_kv_evictions_total`) or the core is shared.");
        questions: IntCounterVec = family(
            "foretype_neural_questions_total",
            Unit::Of("questions"),
            "What became of questions to the neural tier.",
        )
        .by(&[QUESTION])
        .reading("`refused`: would have been late; `full`: too many waited; `superseded`: a newer key came; `panicked`: a bug.");
        queue: IntGaugeVec =
            family("foretype_neural_queue_length", Unit::Of("entries"), "What waits for an inference thread.")
                .by(&[LANE])
                .reading("`questions` of writers who wait, at most 64; `patient`: reading ahead, done when there is time.");
        busy: Gauge = family(
            "foretype_neural_busy_ratio",
            Unit::Ratio,
            "Share of the last second that inference threads worked on questions.",
        )
        .reading("Near 1 the GPT-2 is asked only where it gains most.");
        threads: IntGauge = family("foretype_neural_threads", Unit::Of("threads"), "Threads that own a GPT-2.")
            .reading("0: served without.");
        runs: IntCounter = family("foretype_neural_runs_total", Unit::Of("runs"), "Runs of the GPT-2's network.")
            .reading("Several a question, unless its answer is known already.");
        shares: IntCounter = family(
            "foretype_neural_shares_total",
            Unit::Of("shares"),
            "Questions that runs of the GPT-2's network were for: one each, or several that share one.",
        )
        .reading("Divided by the runs: 1 while few type, more the more there is to do; a share costs less than a run.");
        failures: IntCounter =
            family("foretype_neural_failures_total", Unit::Of("failures"), "Failed runs of ONNX Runtime.")
                .reading("Stays 0. Answers go on without the GPT-2; the log has the cause.");
        kv_tokens: IntCounterVec = family(
            "foretype_kv_tokens_total",
            Unit::Of("tokens"),
            "Tokens of context that KV caches held, and tokens that were run.",
        )
        .by(&[TOKENS])
        .reading("`held` in their sum is the hit rate: it falls when caches do not survive from key to key.");
        kv_bytes: IntGauge = family("foretype_kv_bytes", Unit::Bytes, "Memory that KV caches take.")
            .reading("Against `foretype_kv_limit_bytes`.");
        kv_limit: IntGauge =
            family("foretype_kv_limit_bytes", Unit::Bytes, "Memory that KV caches may take (`--kv-mib`).")
                .reading("A draft takes one or two MiB: it should hold those that are open.");
        kv_sessions: IntGauge = family("foretype_kv_sessions", Unit::Of("sessions"), "Sessions with a KV cache.")
            .reading("Below `foretype_sessions_open` not all that are typed in find theirs.");
        kv_evictions: IntCounter =
            family("foretype_kv_evictions_total", Unit::Of("caches"), "KV caches dropped to make room for others.")
                .reading("One for every few questions is thrash: raise `--kv-mib`.");
    }
}
