//! What events add up to. The fold is deterministic: same events in the same order, same bytes.
//!
//! ```text
//! "FTWS" | events u64 | first_at i64 | last_at i64 | 6 counts u64 | weights length u32 | weights
//!        | recent length u32 | recent | unlisted words length u32 | unlisted words | attention length u32 | attention
//!        | snippets length u32 | snippets | blocked length u32 | blocked | personal model
//! ```
//! Little endian; the version and the checksum stand beside it in the store. Version 6 had weights that told no
//! conversations from other texts. Version 5 counted attention in whole looks. Version 4 had no blocked words. Versions 2 and 3 had
//! weights of four members in fewer buckets, no attention and no snippets. Version 2 had no unlisted words: those of the personal
//! model's vocabulary are learned instead.

use std::sync::{Arc, PoisonError, RwLock};

use foretype_markov::{PersonalModel, segment};

use super::event::{Content, Judged, Learned};
use super::{Attention, Blocked, Forgotten, Recent, Snippets};
use crate::engine::{Memory, Outcome, read};
use crate::ensemble::gate::Gained;
use crate::ensemble::weights::Weights;
use crate::store::{Event, Snapshot};

/// Version of the snapshot encoding.
const FORMAT: u32 = 7;
/// The last one with weights that told no conversations from other texts.
const ONE_KIND: u32 = 6;
/// The last one that counted attention in whole looks.
const WHOLE_LOOKS: u32 = 5;
/// The last one without blocked words.
const NOTHING_BLOCKED: u32 = 4;
/// The last one with the first releases' weights.
const FIRST_WEIGHTS: u32 = 3;
/// The last one without unlisted words.
const PLAIN_FORMAT: u32 = 2;
const MAGIC: &[u8; 4] = b"FTWS";

/// Bytes of a message that takes long enough to learn for others to notice.
pub(super) const LONG: usize = 1 << 12;

/// Totals of a writer; no words in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages learned.
    pub messages: u64,
    /// Words in them.
    pub words: u64,
    /// Their Unicode scalar values.
    pub characters: u64,
    /// Suggestions taken whole.
    pub accepted: u64,
    /// Suggestions taken in part.
    pub partial: u64,
    /// Suggestions dismissed.
    pub rejected: u64,
    /// When the first event happened, in milliseconds since the Unix epoch; 0 without events.
    pub first_at: i64,
    /// When the latest event happened.
    pub last_at: i64,
}

/// The fold of one writer's events up to `seq`.
pub struct WriterState {
    /// What predictions read; shared with requests in flight.
    pub memory: Arc<RwLock<Memory>>,
    /// Totals.
    pub counts: Counts,
    /// The last event applied; 0: none.
    pub seq: u64,
}

impl WriterState {
    /// A writer who taught nothing.
    pub fn new(memory: Memory) -> Self {
        Self { memory: Arc::new(RwLock::new(memory)), counts: Counts::default(), seq: 0 }
    }

    /// Applies the next event. One that cannot be read is logged and counted as nothing: the others still stand.
    pub fn apply(&mut self, event: &Event) {
        debug_assert!(event.seq > self.seq, "events apply in order");
        self.seq = event.seq;
        if self.counts.first_at == 0 {
            self.counts.first_at = event.at;
        }
        self.counts.last_at = self.counts.last_at.max(event.at);
        match Content::decode(event) {
            Ok(Content::Learned(learned)) => self.learn(&learned),
            Ok(Content::Judged(judged)) => self.judge(&judged),
            Ok(Content::Snippets(snippets)) => {
                self.memory.write().unwrap_or_else(PoisonError::into_inner).snippets = snippets;
            }
            Ok(Content::Blocked(blocked)) => {
                self.memory.write().unwrap_or_else(PoisonError::into_inner).blocked = Arc::new(blocked);
            }
            Err(error) => tracing::error!(%error, seq = event.seq, "an event is left out"),
        }
    }

    fn judge(&mut self, judged: &Judged) {
        match judged.outcome {
            Outcome::Accepted => self.counts.accepted += 1,
            Outcome::Partial => self.counts.partial += 1,
            Outcome::Rejected => self.counts.rejected += 1,
        }
        if judged.outcome != Outcome::Rejected {
            let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
            memory.attention.took(judged.index.into(), judged.weight, judged.passed);
        }
    }

    fn learn(&mut self, learned: &Learned) {
        let normal = segment::normalise(&learned.text);
        self.counts.messages += 1;
        self.counts.words += segment::surfaces(&normal).count() as u64;
        self.counts.characters += learned.text.chars().count() as u64;
        // Of a long one most of the time goes into this, and keystrokes read on meanwhile.
        let unlisted = (normal.len() > LONG).then(|| read(&self.memory).unlisted_with(&normal));
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.weights.apply(&learned.losses);
        match unlisted {
            Some(unlisted) => memory.learn_with(&normal, learned.role, unlisted),
            None => memory.learn(&normal, learned.role),
        }
    }

    /// Takes a word out of what was learned from events that are not kept any more.
    pub fn forget(&mut self, word: &Forgotten) {
        self.memory.write().unwrap_or_else(PoisonError::into_inner).forget(word);
    }

    /// The state's bytes in memory, roughly.
    pub fn bytes(&self) -> usize {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        size_of::<Self>()
            + size_of::<Memory>()
            + memory.personal.bytes()
            + memory.unlisted.bytes()
            + memory.snippets.bytes()
            + memory.blocked.bytes()
    }

    /// The stored form.
    pub fn snapshot(&self, epoch: u64) -> Snapshot {
        let (parts, personal) = {
            let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
            let [weights, recent] = [memory.weights.to_bytes(), memory.recent.to_bytes()];
            let [unlisted, attention] = [memory.unlisted.to_bytes(), memory.attention.to_bytes()];
            let [snippets, blocked] = [memory.snippets.to_bytes(), memory.blocked.to_bytes()];
            let parts = [weights, recent, unlisted, attention, snippets, blocked];
            (parts, memory.personal.to_bytes())
        };
        let counts = &self.counts;
        let held = parts.iter().map(Vec::len).sum::<usize>() + personal.len();
        let mut blob = Vec::with_capacity(128 + held);
        blob.extend_from_slice(MAGIC);
        blob.extend_from_slice(&self.seq.to_le_bytes());
        blob.extend_from_slice(&counts.first_at.to_le_bytes());
        blob.extend_from_slice(&counts.last_at.to_le_bytes());
        let totals = [counts.messages, counts.words, counts.characters, counts.accepted, counts.partial];
        for total in totals.into_iter().chain([counts.rejected]) {
            blob.extend_from_slice(&total.to_le_bytes());
        }
        for part in &parts {
            let length = u32::try_from(part.len()).expect("each is a few kilobytes");
            blob.extend_from_slice(&length.to_le_bytes());
            blob.extend_from_slice(part);
        }
        blob.extend_from_slice(&personal);
        Snapshot { epoch, seq: self.seq, format: FORMAT, blob }
    }

    /// Reads the stored form into the memory of a writer nobody knows; `None`: written by another release, or not this writer's
    /// fold.
    pub fn restore(snapshot: &Snapshot, blank: Memory) -> Option<Self> {
        if !(PLAIN_FORMAT..=FORMAT).contains(&snapshot.format) {
            return None;
        }
        let mut rest = snapshot.blob.strip_prefix(MAGIC)?;
        let mut number = || {
            let (bytes, tail) = rest.split_first_chunk::<8>()?;
            rest = tail;
            Some(u64::from_le_bytes(*bytes))
        };
        let seq = number()?;
        let counts = Counts {
            first_at: number()?.cast_signed(),
            last_at: number()?.cast_signed(),
            messages: number()?,
            words: number()?,
            characters: number()?,
            accepted: number()?,
            partial: number()?,
            rejected: number()?,
        };
        let mut part = || {
            let (length, tail) = rest.split_first_chunk::<4>()?;
            let (part, tail) = tail.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            rest = tail;
            Some(part)
        };
        let weights = part()?;
        let first = snapshot.format <= FIRST_WEIGHTS;
        let weights = match snapshot.format {
            format if format <= FIRST_WEIGHTS => Weights::from_first(weights)?,
            format if format <= ONE_KIND => Weights::from_one_kind(weights)?,
            _ => Weights::from_bytes(weights)?,
        };
        let recent = Recent::from_bytes(part()?)?;
        let words = if snapshot.format > PLAIN_FORMAT { part()? } else { &[] };
        let mut unlisted = blank.unlisted.restore(words)?;
        let attention = match snapshot.format {
            format if format <= FIRST_WEIGHTS => Attention::default(),
            format if format <= WHOLE_LOOKS => Attention::from_counts(part()?)?,
            _ => Attention::from_bytes(part()?)?,
        };
        let snippets = if first { Snippets::default() } else { Snippets::from_bytes(part()?)? };
        let blocked = if snapshot.format > NOTHING_BLOCKED {
            Blocked::from_bytes(part()?)?
        } else {
            Blocked::default()
        };
        let personal = PersonalModel::from_bytes(rest).ok()?;
        if snapshot.format == PLAIN_FORMAT {
            unlisted.extend(personal.surfaces());
        }
        let blocked = Arc::new(blocked);
        let gained = Gained::default();
        let memory = Memory { personal, weights, recent, unlisted, attention, snippets, gained, blocked };
        (seq == snapshot.seq).then_some(Self { memory: Arc::new(RwLock::new(memory)), counts, seq })
    }
}
