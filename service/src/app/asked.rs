//! What the service is asked, checked, and what it answers.

use std::time::Duration;

use crate::engine::{Completion, Outcome, Turn};
use crate::ensemble::weights::MEMBERS;
use crate::store::{TeamKey, Usage};
use crate::writer::{Counts, TeamId, WriterId};

/// A checked keystroke.
#[derive(Clone, Debug)]
pub struct Keystroke {
    /// The message up to the cursor.
    pub text: String,
    /// What follows the cursor.
    pub after: String,
    /// Turns before the draft.
    pub context: Vec<Turn>,
    /// Who is writing.
    pub role: foretype_markov::Role,
    /// Who is typing.
    pub writer: Option<WriterId>,
    /// The client's session.
    pub session: Option<String>,
    /// Whether it came over our own protocol. Over others no session has an end, so that who is held out in one is so for good, and
    /// nobody tells what was sent.
    pub is_own: bool,
    /// 1 to 10.
    pub max_suggestions: usize,
    /// `None`: the server's.
    pub budget: Option<Duration>,
    /// `None`: the bundle's.
    pub min_confidence: Option<f32>,
    /// Whether anything may be kept.
    pub learn: bool,
    /// What must have been learned.
    pub min_seq: Option<u64>,
    /// Whether a mistyped word may be replaced.
    pub corrections: bool,
    /// Whether the GPT-2 may read on while the answer is looked at.
    pub look_ahead: bool,
    /// Whether to explain.
    pub debug: bool,
}

/// The answer to a keystroke.
#[derive(Debug)]
pub struct Answer {
    /// Its name for feedback.
    pub id: String,
    /// What the engine said.
    pub completion: Completion,
    /// Since the request's last byte.
    pub elapsed: Duration,
    /// The budget that held.
    pub budget: Duration,
    /// Whether `min_seq` was not reached.
    pub stale: bool,
}

/// A checked message to learn.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// Who wrote it; `None`: the writer the key is bound to.
    pub writer: Option<WriterId>,
    /// As it came: not yet filtered.
    pub text: String,
    /// Turns before it.
    pub context: Vec<Turn>,
    /// Who was writing.
    pub role: foretype_markov::Role,
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// Makes retries safe.
    pub idempotency_key: Option<String>,
}

/// A checked outcome.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The answer's id.
    pub id: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Which suggestion.
    pub index: usize,
    /// Characters taken.
    pub chars: u32,
}

/// What is known about a writer, without words.
#[derive(Clone, Debug)]
pub struct About {
    /// Who.
    pub writer: WriterId,
    /// The newest event.
    pub seq: u64,
    /// Totals.
    pub counts: Counts,
    /// What is stored.
    pub usage: Usage,
    /// Bytes in memory.
    pub memory_bytes: usize,
    /// Each predictor's weight relative to the bundle's, the geometric mean over the evidence buckets.
    pub weights: [f32; MEMBERS],
    /// Texts kept ready.
    pub snippets: usize,
    /// Words and phrases that are never shown.
    pub blocked: usize,
    /// The team they are in.
    pub team: Option<TeamKey>,
}

/// What is known about a team, without words.
#[derive(Clone, Debug)]
pub struct AboutTeam {
    /// Which.
    pub team: TeamId,
    /// Writers who are in it.
    pub members: u64,
    /// Those of them who taught it something.
    pub taught_by: usize,
    /// Words that enough of them used.
    pub words: usize,
    /// Sequences of two to four words that enough of them used.
    pub phrases: usize,
    /// Bytes in memory.
    pub memory_bytes: usize,
    /// Each predictor's weight relative to the bundle's, the geometric mean over the evidence buckets.
    pub weights: [f32; MEMBERS],
}
