//! Rewriting what is stored of a writer, so that a word is gone from events, snapshot and memory.
//!
//! The events are read anew and folded without the word. Of what is older than they are only the snapshot is left: there the
//! word is taken out of the state itself.

use std::sync::Arc;

use super::event::Content;
use super::forget::Forgotten;
use super::registry::Writers;
use super::state::WriterState;
use super::{Blocked, Snippets};
use crate::store::{Event, EventKind, Rewrite, StoreError, Stored, WriterKey};

/// Events read at once.
const PAGE: usize = 256;

/// How often it is begun anew because the writer sent something meanwhile.
const ATTEMPTS: usize = 8;

impl Writers {
    /// Takes a word out of all that a writer sent, on disk and in memory, and out of what their team learned of it. Resolves
    /// with the number of messages that had it, once no byte of it is left.
    pub async fn forget_word(self: &Arc<Self>, key: &WriterKey, word: Forgotten) -> Result<u64, StoreError> {
        let (writers, of) = (Arc::clone(self), key.clone());
        self.remove(key.clone(), async move { writers.rewrite(&of, &word).await }).await
    }

    async fn rewrite(&self, key: &WriterKey, word: &Forgotten) -> Result<u64, StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.store().load(key).await? else { break };
            let (epoch, last_seq) = (stored.epoch, stored.last_seq);
            let pass = self.without(key, word, stored).await?;
            if pass.missed || pass.state.seq != last_seq {
                continue;
            }
            let Pass { state, payloads, messages, .. } = pass;
            let encode = tokio::task::spawn_blocking(move || state.snapshot(epoch));
            let snapshot = encode.await.map_err(|_| StoreError::Unavailable)?;
            match self.store().rewrite(key, Rewrite { payloads, snapshot }).await {
                Ok(true) => return Ok(messages),
                // Something was sent meanwhile, or all was erased.
                Ok(false) | Err(StoreError::Erased) => {}
                Err(error) => return Err(error),
            }
        }
        // Of an erased writer nothing is left; one who sends so much is asked to wait.
        if self.store().load(key).await?.is_none() { Ok(0) } else { Err(StoreError::Busy) }
    }

    /// Reads and folds all that is kept.
    async fn without(&self, key: &WriterKey, word: &Forgotten, stored: Stored) -> Result<Pass, StoreError> {
        let mut page = self.store().events(key, 0, PAGE).await?;
        let oldest = page.first().map_or(1, |event| event.seq);
        // Without a snapshot all that was kept had been loaded: what is dropped since is in one that was not.
        let missed =
            stored.snapshot.is_none() && stored.events.first().is_some_and(|event| event.seq < oldest);
        let snapshot = stored.snapshot.filter(|_| oldest > 1);
        let known = snapshot.and_then(|snapshot| WriterState::restore(&snapshot, self.new_memory()));
        let state = match known {
            Some(mut state) => {
                state.forget(word);
                state
            }
            None => WriterState::new(self.new_memory()),
        };
        let mut pass = Pass::new(word.clone(), state, missed);
        while let Some(last) = page.last() {
            let seq = last.seq;
            let fold = move || {
                page.into_iter().for_each(|event| pass.take(event));
                pass
            };
            pass = tokio::task::spawn_blocking(fold).await.map_err(|_| StoreError::Unavailable)?;
            page = self.store().events(key, seq, PAGE).await?;
        }
        Ok(pass)
    }
}

/// One reading of a writer's events.
struct Pass {
    word: Forgotten,
    state: WriterState,
    /// Events that change.
    payloads: Vec<(u64, Vec<u8>)>,
    /// Messages among them.
    messages: u64,
    /// Whether a snapshot took the place of events before they were read.
    missed: bool,
    /// The newest lists so far.
    snippets: Option<u64>,
    blocked: Option<u64>,
}

impl Pass {
    fn new(word: Forgotten, state: WriterState, missed: bool) -> Self {
        Self { word, state, payloads: Vec::new(), messages: 0, missed, snippets: None, blocked: None }
    }

    fn take(&mut self, mut event: Event) {
        match event.kind {
            EventKind::Learn => {
                let decoded = Content::decode(&event);
                if let Ok(Content::Learned(learned)) = decoded
                    && let Some(left) = self.word.take_out_of(&learned)
                {
                    event.payload = Content::Learned(left).encode();
                    self.payloads.push((event.seq, event.payload.clone()));
                    self.messages += 1;
                }
            }
            // Lists stay as their writer made them; those that were replaced have no use, and may have the word.
            EventKind::Snippets => {
                let empty = Content::Snippets(Snippets::default());
                self.payloads.extend(self.snippets.replace(event.seq).map(|old| (old, empty.encode())));
            }
            EventKind::Blocked => {
                let empty = Content::Blocked(Blocked::default());
                self.payloads.extend(self.blocked.replace(event.seq).map(|old| (old, empty.encode())));
            }
            EventKind::Outcome => {}
        }
        if event.seq > self.state.seq {
            self.missed |= self.state.seq > 0 && event.seq > self.state.seq + 1;
            self.state.apply(&event);
        }
    }
}
