//! `POST /v1/writers/{writer}/forget`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::composed;
use crate::error::ApiError;
use crate::writer::Forgotten;
use crate::writer::forget::LONGEST;

/// A word to be forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetRequest {
    /// One word of 1 to 64 characters; case does not matter.
    #[schema(example = "Zebrafish")]
    pub word: String,
}

impl ForgetRequest {
    /// Checks what was sent.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] when it is not one word.
    pub fn check(self) -> Result<Forgotten, ApiError> {
        let word = Some(composed(self.word)).filter(|word| word.chars().count() <= LONGEST);
        let wrong = || {
            let message =
                format!("must be one word of at most {LONGEST} characters; forget others one by one");
            ApiError::invalid("word", message)
        };
        word.and_then(|word| Forgotten::new(&word)).ok_or_else(wrong)
    }
}

/// The word is gone.
#[derive(Debug, Serialize, ToSchema)]
pub struct ForgetResponse {
    /// Messages that had it.
    pub messages: u64,
}
