//! What comes in, and what is turned away.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::family::{Counts, Family, Unit, families, family, register};
use super::labels::{CODE, END, ERROR, MESSAGE, ROUTE, THREAD, TURNED, WITHIN};

families! {
    /// Requests and connections.
    Traffic {
        requests: IntCounterVec = family("foretype_requests_total", Unit::Of("requests"), "Requests answered over HTTP.")
            .by(&[ROUTE, CODE])
            .reading("5xx but 503 is a bug of ours, 503 is load or the store, 401 and 403 are keys. A WebSocket counts once, as 101.");
        in_flight: IntGauge =
            family("foretype_requests_in_flight", Unit::Of("requests"), "Requests and keystrokes being worked on.")
                .reading("At 512 more are told to retry.");
        turned_away: IntCounterVec =
            family("foretype_turned_away_total", Unit::Of("requests"), "What was told to come back later (503).")
                .by(&[TURNED])
                .reading("`drafts`: new ones while threads are busy; `connections`: while they are overrun; `requests`, `streams`, `imports`: too many at once.");
        busy: Gauge = family(
            "foretype_busy_ratio",
            Unit::Ratio,
            "Share of the time that threads that answer are at work.",
        )
        .reading("Above 0.85 no new draft is let in: more cores, or another machine.");
        door: Gauge = family("foretype_door_room_ratio", Unit::Ratio, "Share of the threads' time that is left for new drafts.")
            .reading("At 0 they are turned away; open ones go on. A draft takes some thousandths.");
        lag: Gauge = family("foretype_lag_seconds", Unit::Seconds, "How late threads come to what is ready, lately.")
            .reading("Every answer is so much later. Above a millisecond others take the cores, or there are too few.");
        sessions: IntGauge =
            family("foretype_sessions_open", Unit::Of("sessions"), "Drafts that were typed in within 30 seconds.")
                .reading("How many drafts are written now.");
        active: IntGaugeVec = family("foretype_writers_active", Unit::Of("writers"), "Writers who typed within so long, each counted once.")
            .by(&[WITHIN])
            .reading("Those that requests name; at most 65,536 are told apart.");
        streams: IntGauge = family("foretype_streams_open", Unit::Of("connections"), "WebSockets open.")
            .reading("At 4,096 more are turned away.");
        stream_messages: IntCounterVec = family(
            "foretype_stream_messages_total",
            Unit::Of("messages"),
            "Messages of clients over WebSockets.",
        )
        .by(&[MESSAGE])
        .reading("`edit` is a keystroke.");
        stale_edits: IntCounter = family(
            "foretype_stale_edits_total",
            Unit::Of("messages"),
            "Edits dropped because a newer one had come.",
        )
        .reading("Some. Many: a client sends its edits out of order.");
        stream_errors: IntCounterVec =
            family("foretype_stream_errors_total", Unit::Of("messages"), "Errors sent over WebSockets.")
                .by(&[ERROR])
                .reading("What statuses are to requests: `internal` is a bug, `busy` and `unavailable` are load and the store.");
        stream_ends: IntCounterVec =
            family("foretype_stream_ends_total", Unit::Of("connections"), "WebSockets that ended.")
                .by(&[END])
                .reading("`client` is normal. `slow`, `silent`: networks; `nonsense`, `protocol`, `encoding`, `too_large`: a broken client; `stranger`: no key that holds.");
        keys: IntGauge = family("foretype_api_keys", Unit::Of("keys"), "API keys that hold.")
            .reading("0 and never one since the start: only this machine may ask. 0 after the last was revoked: nobody may, until there is one or the service starts again.");
        panics: IntCounterVec = family("foretype_panics_total", Unit::Of("panics"), "Threads that ran into a bug of ours.")
            .by(&[THREAD])
            .reading("Stays 0. Each costs one request or answer; the log has the place in the code.");
    }
}
