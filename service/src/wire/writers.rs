//! `GET /v1/writers/{writer}` and its export.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Role, composed};
use crate::app::{About, AboutTeam};
use crate::engine::Predictor;
use crate::error::ApiError;
use crate::store::Event;
use crate::writer::event::Content;
use crate::writer::snippets::{LONGEST_TEXT, LONGEST_TRIGGER, MOST};
use crate::writer::{self, Snippets, TeamId};

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
    /// Snippets kept ready.
    pub snippets: u64,
    /// Words and phrases that are never shown.
    pub blocked: u64,
    /// The team the writer is in; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
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
            snippets: about.snippets as u64,
            blocked: about.blocked as u64,
            team: about.team.map(|key| key.team.to_string()),
            stored_events: about.usage.events,
            stored_bytes: about.usage.bytes,
            memory_bytes: about.memory_bytes as u64,
            weights: Predictor::ALL.into_iter().map(Predictor::name).zip(about.weights).collect(),
        }
    }
}

/// The team a writer is to be in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamRequest {
    /// 1 to 128 characters of `A-Za-z0-9._@:-`.
    pub team: String,
}

impl TeamRequest {
    /// Checks what was sent.
    pub fn check(self) -> Result<TeamId, ApiError> {
        TeamId::new(&self.team).map_err(|error| ApiError::invalid("team", error.to_string()))
    }
}

/// What a team shares; no words.
#[derive(Debug, Serialize, ToSchema)]
pub struct TeamResponse {
    /// The team.
    pub team: String,
    /// Writers who are in it.
    pub members: u64,
    /// Those of them who taught it something.
    pub taught_by: u64,
    /// Words that enough of them used to be suggested to the others.
    pub words: u64,
    /// Sequences of two to four words that enough of them used.
    pub phrases: u64,
    /// Bytes in memory.
    pub memory_bytes: u64,
    /// How much more (above 1) or less each predictor counts for this team than for others, on average.
    #[schema(value_type = BTreeMap<String, f32>)]
    pub weights: BTreeMap<&'static str, f32>,
}

impl From<AboutTeam> for TeamResponse {
    fn from(about: AboutTeam) -> Self {
        Self {
            team: about.team.to_string(),
            members: about.members,
            taught_by: about.taught_by as u64,
            words: about.words as u64,
            phrases: about.phrases as u64,
            memory_bytes: about.memory_bytes as u64,
            weights: Predictor::ALL.into_iter().map(Predictor::name).zip(about.weights).collect(),
        }
    }
}

/// Texts that a writer keeps ready.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnippetList {
    /// At most 100.
    pub snippets: Vec<Snippet>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Snippet {
    /// A word that is replaced by the text where the request says `corrections`: 1 to 32 characters without a blank. Absent:
    /// the text is suggested only where it is begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Inserted as it stands, line breaks and personal data too: 4 to 2,000 characters.
    pub text: String,
}

impl SnippetList {
    /// Checks what was sent.
    pub fn check(self) -> Result<Snippets, ApiError> {
        if self.snippets.len() > MOST {
            return Err(ApiError::invalid("snippets", format!("at most {MOST}")));
        }
        let checked = |(at, Snippet { trigger, text }): (usize, Snippet)| {
            let field = |name: &str| format!("snippets[{at}].{name}");
            if !(4..=LONGEST_TEXT).contains(&text.chars().count()) || text.trim().is_empty() {
                return Err(ApiError::invalid(
                    field("text"),
                    format!("must have 4 to {LONGEST_TEXT} characters"),
                ));
            }
            let word = |trigger: &String| {
                (1..=LONGEST_TRIGGER).contains(&trigger.chars().count())
                    && !trigger.contains(|c: char| c.is_whitespace() || c.is_control())
            };
            if !trigger.as_ref().is_none_or(word) {
                let message = format!("must be a word of 1 to {LONGEST_TRIGGER} characters");
                return Err(ApiError::invalid(field("trigger"), message));
            }
            Ok(writer::Snippet { trigger: trigger.map(composed), text: composed(text) })
        };
        self.snippets.into_iter().enumerate().map(checked).collect::<Result<_, _>>().map(Snippets)
    }
}

impl From<Snippets> for SnippetList {
    fn from(snippets: Snippets) -> Self {
        let snippets = snippets.0.into_iter();
        Self { snippets: snippets.map(|s| Snippet { trigger: s.trigger, text: s.text }).collect() }
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
            Ok(Content::Judged(_) | Content::Snippets(_) | Content::Blocked(_)) => None,
            Err(error) => {
                tracing::error!(%error, seq = event.seq, "an event is left out of an export");
                None
            }
        }
    }
}
