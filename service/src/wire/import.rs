//! `POST /v1/writers/{writer}/import`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{LearnRequest, Role, Turn};
use crate::app::{Imported, Lesson};
use crate::error::ApiError;
use crate::writer::WriterId;

/// A message that was sent; only `text` is required.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportLine {
    /// The whole message. Personal data in it is replaced before anything is stored.
    #[schema(example = "Thanks for calling, I can help you with that.")]
    pub text: String,
    /// When it was sent, in milliseconds since the Unix epoch. Absent: now.
    #[schema(minimum = 0)]
    pub at: Option<i64>,
    /// The conversation before it, oldest first; not stored.
    #[serde(default)]
    pub context: Vec<Turn>,
    /// Who was writing. Absent: as for `/v1/complete`.
    pub role: Option<Role>,
    /// As an export has it; counted anew here.
    #[serde(default)]
    #[expect(dead_code, reason = "read so that an export is an import")]
    seq: u64,
}

impl ImportLine {
    /// What is to be learned of it, checked.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], which names the field.
    pub fn lesson(self, writer: &WriterId) -> Result<Lesson, ApiError> {
        let Self { text, at, context, role, .. } = self;
        LearnRequest { writer: Some(writer.clone()), text, context, role, at, idempotency_key: None }.check()
    }
}

/// All of them are learned and durable.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportResponse {
    /// Messages learned.
    pub learned: u64,
    /// Messages that an import of the last 24 hours had brought already.
    pub known: u64,
    /// The newest event among them; `min_seq` of a completion that must know it.
    pub seq: u64,
}

impl From<Imported> for ImportResponse {
    fn from(Imported { learned, known, seq }: Imported) -> Self {
        Self { learned, known, seq }
    }
}
