//! History that a writer brings along: messages learned one after the other, as if each had just been sent.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::{App, Lesson};
use crate::engine::Effort;
use crate::error::ApiError;
use crate::metrics::Turned;
use crate::writer::WriterId;

/// One import under way.
pub struct Import {
    app: App,
    writer: WriterId,
    /// Its writer's epoch, with which it ends: what was erased does not come back. `None`: nothing is stored yet.
    epoch: Option<u64>,
    /// How often each line came so far: a message may have been sent twice.
    times: HashMap<[u8; 32], u32>,
    told: Imported,
    _permit: OwnedSemaphorePermit,
}

/// What became of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Learned.
    pub learned: u64,
    /// Known from an import of the last day.
    pub known: u64,
    /// The newest event among them; 0: none.
    pub seq: u64,
}

impl App {
    /// Begins an import, if not too many are under way.
    pub async fn import(&self, writer: WriterId) -> Result<Import, ApiError> {
        let Ok(permit) = self.imports.clone().try_acquire_owned() else {
            self.metrics.turned_away(Turned::Imports);
            return Err(ApiError::Busy);
        };
        let epoch = self.writers.get(&self.caller.key_of(&writer)?).await?.epoch();
        let (times, told) = (HashMap::new(), Imported::default());
        Ok(Import { app: self.clone(), writer, epoch, times, told, _permit: permit })
    }
}

impl Import {
    /// Whose it is.
    pub fn writer(&self) -> &WriterId {
        &self.writer
    }

    /// Learns the message of a line, unless an import of the last day did; resolves once it is durable.
    ///
    /// # Errors
    /// [`ApiError::Erased`] once the writer, or a word of theirs, was erased since the import began.
    pub async fn learn(&mut self, line: &[u8], lesson: Lesson) -> Result<(), ApiError> {
        let idempotency_key = Some(self.key_of(line));
        let lesson = Lesson { idempotency_key, ..lesson };
        let (_, appended) = self.app.learn_with(lesson, Effort::IMPORTING, self.epoch).await?;
        self.epoch = Some(appended.epoch);
        self.told.seq = self.told.seq.max(appended.seq);
        if appended.fresh {
            self.told.learned += 1;
        } else {
            self.told.known += 1;
        }
        Ok(())
    }

    /// What became of them all.
    pub fn done(self) -> Imported {
        self.told
    }

    /// Of what the line says, and how often it came before.
    fn key_of(&mut self, line: &[u8]) -> String {
        let digest: [u8; 32] = Sha256::digest(line).into();
        let times = self.times.entry(digest).or_default();
        *times += 1;
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("import-{digits}-{times}")
    }
}
