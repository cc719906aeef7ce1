//! What writers decide about what is kept of them.

use std::sync::{Arc, PoisonError};

use super::{App, key};
use crate::clock;
use crate::error::ApiError;
use crate::writer::event::Content;
use crate::writer::{Blocked, WriterId};

impl App {
    /// What a writer is never shown.
    pub async fn blocked(&self, writer: &WriterId) -> Result<Arc<Blocked>, ApiError> {
        let memory = self.known(&key(writer)).await?.memory();
        let memory = memory.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(&memory.blocked))
    }

    /// Replaces what a writer is never shown; resolves with the event's number once that is durable.
    pub async fn block(&self, writer: &WriterId, blocked: Blocked) -> Result<u64, ApiError> {
        let content = Content::Blocked(blocked);
        Ok(self.writers.record(&key(writer), &content, clock::now_ms(), None).await?)
    }
}
