//! `GET /v1/writers/{writer}` and its export.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::Role;
use crate::app::About;
use crate::engine::Predictor;
use crate::store::Event;
use crate::writer::event::Content;

/// What is stored about a writer.
#[derive(Debug, Serialize, ToSchema)]
pub struct WriterResponse {
    /// The writer.
    pub writer: String,
    /// The newest event's number.
    pub seq: u64,
    /// Messages learned.
    pub messages: u64,
    /// Words in them.
    pub words: u64,
    /// Characters in them.
    pub characters: u64,
    /// What became of suggestions.
    pub outcomes: Outcomes,
    /// When the first event happened, in milliseconds since the Unix epoch.
    pub first_at: i64,
    /// When the latest event happened.
    pub last_at: i64,
    /// Events kept; the export holds the messages among them.
    pub stored_events: u64,
    /// Their bytes and the snapshot's.
    pub stored_bytes: u64,
    /// Bytes in memory.
    pub memory_bytes: u64,
    /// How much more (above 1) or less each predictor counts for this writer than for others, on average.
    #[schema(value_type = BTreeMap<String, f32>)]
    pub weights: BTreeMap<&'static str, f32>,
}

/// How often suggestions were taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct Outcomes {
    /// Whole.
    pub accepted: u64,
    /// In part.
    pub partial: u64,
    /// Dismissed.
    pub rejected: u64,
}

impl From<About> for WriterResponse {
    fn from(about: About) -> Self {
        let counts = about.counts;
        Self {
            writer: about.writer.to_string(),
            seq: about.seq,
            messages: counts.messages,
            words: counts.words,
            characters: counts.characters,
            outcomes: Outcomes {
                accepted: counts.accepted,
                partial: counts.partial,
                rejected: counts.rejected,
            },
            first_at: counts.first_at,
            last_at: counts.last_at,
            stored_events: about.usage.events,
            stored_bytes: about.usage.bytes,
            memory_bytes: about.memory_bytes as u64,
            weights: Predictor::ALL.into_iter().map(Predictor::name).zip(about.weights).collect(),
        }
    }
}

/// One line of an export: a message with its text as it is stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportLine {
    /// The event's number.
    pub seq: u64,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub at: i64,
    /// Who was writing.
    pub role: Role,
    /// The message, personal data replaced.
    pub text: String,
}

impl ExportLine {
    /// The line of a message; `None` for other events.
    pub fn of(event: &Event) -> Option<Self> {
        match Content::decode(event) {
            Ok(Content::Learned(learned)) => {
                Some(Self { seq: event.seq, at: event.at, role: learned.role.into(), text: learned.text })
            }
            Ok(Content::Judged(_)) => None,
            Err(error) => {
                tracing::error!(%error, seq = event.seq, "an event is left out of an export");
                None
            }
        }
    }
}
