//! `/v1/writers/{writer}/blocked`.

use foretype_markov::segment;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::composed;
use crate::error::ApiError;
use crate::writer::Blocked;
use crate::writer::blocked::{LONGEST, LONGEST_PHRASE, MOST};

/// Words and phrases that a writer is never shown.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockedList {
    /// At most 500, each of 1 to 64 characters and at most 8 words; case does not matter.
    #[schema(example = json!(["obviously", "as per my last e-mail"]))]
    pub blocked: Vec<String>,
}

impl BlockedList {
    /// Checks what was sent.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], which names the entry.
    pub fn check(self) -> Result<Blocked, ApiError> {
        if self.blocked.len() > MOST {
            return Err(ApiError::invalid("blocked", format!("at most {MOST}")));
        }
        for (at, entry) in self.blocked.iter().enumerate() {
            let words = segment::surfaces(&segment::normalise(entry)).count();
            if entry.chars().count() > LONGEST || !(1..=LONGEST_PHRASE).contains(&words) {
                let message = format!(
                    "must have 1 to {LONGEST} characters and 1 to {LONGEST_PHRASE} words, marks included"
                );
                return Err(ApiError::invalid(format!("blocked[{at}]"), message));
            }
        }
        Ok(Blocked::new(self.blocked.into_iter().map(composed).collect()))
    }
}

impl From<&Blocked> for BlockedList {
    fn from(blocked: &Blocked) -> Self {
        Self { blocked: blocked.entries().to_vec() }
    }
}
