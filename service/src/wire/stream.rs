//! Messages of `GET /v1/stream`, each a JSON text frame with a `type`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{CompleteRequest, CompleteResponse, FeedbackRequest, LearnRequest, Role, Turn};
use crate::app::{Answer, Keystroke, Lesson};
use crate::error::{ApiError, ErrorDetail};
use crate::writer::WriterId;

/// What a client sends.
#[derive(Debug)]
pub enum ClientMessage {
    /// See [`Open`].
    Open(Open),
    /// See [`Edit`].
    Edit(Edit),
    /// As `POST /v1/feedback`.
    Outcome(FeedbackRequest),
    /// See [`Sent`].
    Learn(Sent),
}

/// `open`: who types what kind of message, and after which conversation. Everything is optional; fields are those of
/// `POST /v1/complete`. Sent again, it takes the place of the one before: the next message, another conversation.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The API key, where one is needed and was not sent in a header.
    pub key: Option<String>,
    /// Who is typing. Absent: no personalisation.
    #[schema(value_type = Option<String>, pattern = "^(?!\\.{1,2}$)[A-Za-z0-9._@:-]{1,128}$")]
    pub writer: Option<WriterId>,
    /// Keeps caches warm, over reconnects too. Absent: a new one, told in `opened`.
    pub session: Option<String>,
    /// Who is writing. Absent: `agent` if the context has a customer's turn, else `author`.
    pub role: Option<Role>,
    /// The conversation before the draft, oldest first.
    #[serde(default)]
    pub context: Vec<Turn>,
    /// How many suggestions at most, 1 to 10.
    pub max_suggestions: Option<u32>,
    /// Milliseconds within which the whole answer must be there, 1 to 1000.
    pub budget_ms: Option<f64>,
    /// Suggestions below it are not shown, 0 to 1.
    pub min_confidence: Option<f32>,
    /// `false`: nothing of these drafts is kept, not even in the session.
    pub learn: Option<bool>,
    /// Whether a mistyped word may be replaced.
    #[serde(default)]
    pub corrections: bool,
}

/// `edit`: the draft as it is now.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Counts the edits of a connection upwards; one that is not above those before is dropped.
    pub seq: u64,
    /// The message up to the cursor.
    pub text: String,
    /// What follows the cursor.
    #[serde(default)]
    pub after: String,
    /// As in `POST /v1/complete`.
    pub min_seq: Option<u64>,
    /// As in `POST /v1/complete`.
    #[serde(default)]
    pub debug: bool,
}

/// `learn`: the message was sent, by the writer of `open`, after its conversation.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// The whole message.
    pub text: String,
    /// As in `POST /v1/learn`.
    pub at: Option<i64>,
    /// Makes retries safe, and comes back in `learned`.
    pub idempotency_key: Option<String>,
}

impl ClientMessage {
    /// Reads a text frame.
    ///
    /// # Errors
    /// [`ApiError::Malformed`] or [`ApiError::Invalid`], which names the field.
    pub fn read(text: &str) -> Result<Self, ApiError> {
        let value = serde_json::from_str(text).map_err(|error| ApiError::Malformed(error.to_string()))?;
        let Value::Object(mut fields) = value else {
            return Err(ApiError::Malformed("a message is an object".into()));
        };
        match fields.remove("type").as_ref().and_then(Value::as_str) {
            Some("open") => super::fields(fields).map(Self::Open),
            Some("edit") => super::fields(fields).map(Self::Edit),
            Some("outcome") => super::fields(fields).map(Self::Outcome),
            Some("learn") => super::fields(fields).map(Self::Learn),
            _ => Err(ApiError::invalid("type", "must be open, edit, outcome or learn")),
        }
    }

    /// What a message that cannot be taken is known by to who sent it: an edit's number, or the key of what is to be learned.
    pub fn names(text: &str) -> (Option<u64>, Option<String>) {
        let value = serde_json::from_str::<Value>(text).unwrap_or_default();
        match value["type"].as_str() {
            Some("edit") => (value["seq"].as_u64(), None),
            Some("learn") => (None, value["idempotency_key"].as_str().map(str::to_owned)),
            _ => (None, None),
        }
    }

    /// The names of all.
    pub const NAMES: [&str; 4] = ["open", "edit", "outcome", "learn"];

    /// The name it has on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Edit(_) => "edit",
            Self::Outcome(_) => "outcome",
            Self::Learn(_) => "learn",
        }
    }
}

impl Open {
    /// A keystroke of this draft, checked.
    pub fn keystroke(&self, edit: Edit) -> Result<Keystroke, ApiError> {
        let open = self.clone();
        CompleteRequest {
            text: edit.text,
            after: edit.after,
            min_seq: edit.min_seq,
            debug: edit.debug,
            writer: open.writer,
            role: open.role,
            context: open.context,
            session: open.session,
            max_suggestions: open.max_suggestions,
            budget_ms: open.budget_ms,
            min_confidence: open.min_confidence,
            learn: open.learn.unwrap_or(true),
            corrections: open.corrections,
        }
        .check()
    }

    /// What is to be learned of a message that was sent, checked.
    pub fn lesson(&self, sent: Sent) -> Result<Lesson, ApiError> {
        if self.learn == Some(false) {
            return Err(ApiError::invalid("learn", "opened with false: nothing is kept"));
        }
        let Self { writer, context, role, .. } = self.clone();
        let Sent { text, at, idempotency_key } = sent;
        LearnRequest { writer, text, context, role, at, idempotency_key }.check()
    }
}

/// What the service sends.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ServerMessage {
    /// `open` was taken.
    Opened {
        /// Its session: open it again after a reconnect.
        session: String,
    },
    /// The answer to an edit.
    Suggestions {
        /// The edit's.
        seq: u64,
        /// `false`: the fast tier's; one with the GPT-2's word follows.
        r#final: bool,
        /// As `POST /v1/complete` answers.
        #[serde(flatten)]
        answer: CompleteResponse,
    },
    /// A message is learned, and durable.
    Learned {
        /// The event's number.
        seq: u64,
        /// That of `learn`.
        #[serde(skip_serializing_if = "Option::is_none")]
        idempotency_key: Option<String>,
    },
    /// A message was refused, and nothing became of it; of `unavailable` that is not known. The connection stays.
    Error {
        /// The edit's, if it was one.
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        /// That of `learn`, if it was one.
        #[serde(skip_serializing_if = "Option::is_none")]
        idempotency_key: Option<String>,
        /// `code` and `message`, as in the body of every error.
        #[serde(flatten)]
        detail: ErrorDetail,
    },
}

impl ServerMessage {
    /// The answer to the edit `seq`.
    pub fn suggestions(seq: u64, r#final: bool, answer: Answer) -> Self {
        Self::Suggestions { seq, r#final, answer: answer.into() }
    }

    /// A refusal of something that has no name.
    pub fn refused(error: &ApiError) -> Self {
        Self::Error { seq: None, idempotency_key: None, detail: error.detail() }
    }

    /// The text frame.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers can be written to memory")
    }
}
