//! What writers decide about what is kept of them.

use std::sync::{Arc, PoisonError};

use super::App;
use crate::clock;
use crate::error::ApiError;
use crate::writer::event::Content;
use crate::writer::{Blocked, Forgotten, WriterId};

impl App {
    /// What a writer is never shown.
    pub async fn blocked(&self, writer: &WriterId) -> Result<Arc<Blocked>, ApiError> {
        let memory = self.known(&self.caller.key_of(writer)?).await?.memory();
        let memory = memory.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(&memory.blocked))
    }

    /// Replaces what a writer is never shown; resolves with the event's number once that is durable.
    pub async fn block(&self, writer: &WriterId, blocked: Blocked) -> Result<u64, ApiError> {
        let content = Content::Blocked(blocked);
        Ok(self.writers.record(&self.caller.key_of(writer)?, &content, clock::now_ms(), None).await?)
    }

    /// Takes a word out of all that a writer taught; resolves with the number of messages that had it, once no byte of it is
    /// left.
    pub async fn forget(&self, writer: &WriterId, word: Forgotten) -> Result<u64, ApiError> {
        let key = self.caller.key_of(writer)?;
        self.known(&key).await?;
        let messages = self.writers.forget_word(&key, word).await;
        self.forget_sessions(writer).await;
        Ok(messages?)
    }
}
