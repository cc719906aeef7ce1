//! The prediction engine: the one object the HTTP layer asks, whatever predictors it serves.
//!
//! A keystroke is asked of the fast tier inline, then of the neural tier behind its queue; what has come by the
//! deadline is mixed, ranked and either shown or answered with a typed silence. Predicting never fails.

mod answer;
mod blocked;
mod complete;
mod corrections;
mod lines;
mod losses;
mod members;
mod neural;
mod open;
mod passed;
mod place;
mod request;
mod shuffle;
mod snippets;
mod tables;
mod type_through;

use std::sync::{Arc, RwLock};

use foretype_markov::{Limits, PersonalModel, Role, segment};

pub use answer::{
    Completion, Kind, Look, Neural, Outcome, Predictor, Record, Silence, Source, Status, Suggestion,
};
pub use complete::Early;
pub use losses::Effort;
pub use open::{Health, OpenError, Settings};
pub(crate) use place::{Place, recent_turns};
pub use request::{Deadline, Memory, Request, SessionKey, Turn};
pub use shuffle::Shuffle;
pub(crate) use tables::{Probe, Tables};

pub use crate::ensemble::weights::Losses;
pub use crate::inference::NeuralState;

use crate::bundle::Bundle;
use crate::ensemble::gate::Gained;
use crate::ensemble::weights::Weights;
use crate::inference::Inference;
use crate::session::Sessions;
use crate::writer::{Attention, Blocked, Recent, Shared, Snippets, Unlisted};

/// Everything that predicts.
#[derive(Debug)]
pub struct Engine {
    bundle: Bundle,
    pub(crate) inference: Option<Inference>,
    /// See [`Settings::thrift`].
    thrift: Option<u32>,
    /// What asking the neural tier gained anybody lately.
    gained: Gained,
    enabled: [bool; Predictor::ALL.len()],
    sessions: Sessions,
    /// Has learned nothing.
    nobody: PersonalModel,
    /// What tests say instead of the models.
    fixed: Option<Vec<(String, f32)>>,
}

impl Engine {
    /// For tests: one predictor, `domain`, that gives the same surfaces everywhere.
    pub fn fixed(words: &[(&str, f32)]) -> Self {
        let words = words.iter().map(|(surface, p)| ((*surface).to_owned(), *p)).collect();
        let enabled = Predictor::ALL.map(|p| p == Predictor::Domain);
        Self {
            bundle: Bundle::empty(),
            inference: None,
            thrift: None,
            gained: Gained::default(),
            enabled,
            sessions: Sessions::default(),
            nobody: PersonalModel::new(Limits::default()),
            fixed: Some(words),
        }
    }

    /// What a new writer starts from.
    pub fn new_memory(&self) -> Memory {
        Memory {
            personal: PersonalModel::new(Limits::default()),
            weights: Weights::new(),
            recent: Recent::default(),
            unlisted: Unlisted::new(self.bundle.spelling.clone()),
            attention: Attention::default(),
            snippets: Snippets::default(),
            gained: Gained::default(),
            blocked: Arc::new(Blocked::default()),
        }
    }

    /// What a team starts from that nobody taught. `writers_needed`: how many members must have used what others are shown.
    pub fn new_team(&self, writers_needed: u8) -> Shared {
        Shared::new(&self.bundle.ensemble.prior, writers_needed)
    }

    /// What became of a suggestion: a rejected one does not come back at its place.
    pub fn outcome(&self, record: &Record, index: usize, outcome: Outcome) {
        if outcome == Outcome::Rejected {
            self.sessions.reject(record, index);
        }
    }

    /// Drops what sessions and KV caches remember of a writer (erasure); resolves when nothing is left.
    pub async fn forget_writer(&self, tenant: &str, writer: &str) {
        self.sessions.forget(tenant, writer);
        if let Some(inference) = &self.inference {
            inference.forget(tenant, writer).await;
        }
    }

    /// Whether somebody was typing in a session lately.
    pub fn is_open(&self, session: &SessionKey) -> bool {
        self.sessions.is_open(session)
    }

    /// How many sessions somebody was typing in lately.
    pub fn open_sessions(&self) -> usize {
        self.sessions.open()
    }

    /// How the neural tier does; `None`: there is none.
    pub fn neural(&self) -> Option<NeuralState> {
        self.inference.as_ref().map(Inference::state)
    }

    /// The threads that run the GPT-2.
    pub fn inference_threads(&self) -> usize {
        self.inference.as_ref().map_or(0, Inference::threads)
    }

    /// Whether a predictor takes part.
    pub(crate) fn is_enabled(&self, predictor: Predictor) -> bool {
        self.enabled[predictor as usize]
    }
}

/// Reads a writer's memory; a panic while it was written leaves it readable.
pub(crate) fn read(memory: &RwLock<Memory>) -> std::sync::RwLockReadGuard<'_, Memory> {
    memory.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The role of the wire as the GPT-2 knows it.
pub(crate) fn neural_role(role: Role) -> foretype_models::Role {
    match role {
        Role::Author => foretype_models::Role::Author,
        Role::Agent => foretype_models::Role::Agent,
        Role::Customer => foretype_models::Role::Customer,
    }
}

/// Bytes of a conversation that the GPT-2 is given, and whole turns beyond: a good deal more than its window holds.
const NEURAL: usize = 4_096;

/// What the GPT-2 reads before the draft: the conversation, or what the writer sent last if there is none.
pub(crate) fn neural_turns(
    context: &[Turn],
    memory: Option<&RwLock<Memory>>,
) -> Vec<(foretype_models::Role, String)> {
    if context.is_empty() {
        let memory = memory.map(read);
        let recent = memory.iter().flat_map(|memory| memory.recent.turns());
        // Each stands for itself, as documents of one author in the text it was trained on.
        let document =
            |role| if role == Role::Author { foretype_models::Role::Document } else { neural_role(role) };
        return recent.map(|(role, text)| (document(role), text.to_owned())).collect();
    }
    // What is beyond the model's window need not be made into tokens.
    let mut room = NEURAL;
    let mut turns = Vec::new();
    for turn in context.iter().rev() {
        if room == 0 {
            break;
        }
        let text = segment::normalise(newest(&turn.text, NEURAL)).trim_end().to_owned();
        room = room.saturating_sub(text.len());
        turns.push((neural_role(turn.role), text));
    }
    turns.reverse();
    turns
}

/// The last `bytes` of a text, or a few less.
fn newest(text: &str, bytes: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes))..]
}
