//! `POST /v1/learn` and `POST /v1/feedback`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Role, Turn, composed, name, newest, role_or_default, within};
use crate::app::{Lesson, Verdict};
use crate::clock;
use crate::engine;
use crate::error::ApiError;
use crate::writer::WriterId;

/// The last millisecond of the year 9999.
const LATEST: i64 = 253_402_300_799_999;

/// A message that was sent.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LearnRequest {
    /// Who wrote it. Absent: the writer that the API key is bound to.
    #[schema(value_type = Option<String>, pattern = "^(?!\\.{1,2}$)[A-Za-z0-9._@:-]{1,128}$", example = "anna")]
    pub writer: Option<WriterId>,
    /// The whole message. Personal data in it is replaced before anything is stored.
    #[schema(example = "Thanks for calling, I can help you with that.")]
    pub text: String,
    /// The conversation before it, oldest first; not stored.
    #[serde(default)]
    pub context: Vec<Turn>,
    /// Who was writing. Absent: as for `/v1/complete`.
    pub role: Option<Role>,
    /// When it was sent, in milliseconds since the Unix epoch; dates imported history. Absent: now.
    #[schema(minimum = 0)]
    pub at: Option<i64>,
    /// Makes retries safe: the same key within 24 hours teaches once, and with another text is refused.
    pub idempotency_key: Option<String>,
}

impl LearnRequest {
    /// What is to be learned, checked.
    pub fn check(self) -> Result<Lesson, ApiError> {
        if self.text.chars().all(|c| c.is_whitespace() || c.is_control()) {
            return Err(ApiError::invalid("text", "must hold a word"));
        }
        Ok(Lesson {
            role: role_or_default(self.role, &self.context),
            writer: self.writer,
            text: composed(self.text),
            context: newest(self.context),
            at: within("at", self.at.unwrap_or_else(clock::now_ms), 0, LATEST)?,
            idempotency_key: name("idempotency_key", self.idempotency_key)?,
        })
    }
}

/// It is learned and durable.
#[derive(Debug, Serialize, ToSchema)]
pub struct LearnResponse {
    /// The event's number; `min_seq` of a completion that must know it.
    pub seq: u64,
}

/// What became of a suggestion.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackRequest {
    /// The answer's id.
    pub id: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Which of its suggestions, from 0.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 9)]
    pub index: u32,
    /// How many of the suggestion's characters were taken.
    #[serde(default)]
    pub chars: u32,
}

/// What became of a suggestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All of it was taken.
    Accepted,
    /// Some of it was taken.
    Partial,
    /// It was dismissed.
    Rejected,
}

impl From<Outcome> for engine::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accepted => Self::Accepted,
            Outcome::Partial => Self::Partial,
            Outcome::Rejected => Self::Rejected,
        }
    }
}

impl FeedbackRequest {
    /// The verdict, checked.
    pub fn check(self) -> Result<Verdict, ApiError> {
        let index = within("index", self.index, 0, 9)?;
        Ok(Verdict { id: self.id, outcome: self.outcome.into(), index: index as usize, chars: self.chars })
    }
}
