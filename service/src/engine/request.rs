//! One keystroke, as the engine is asked.

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use foretype_markov::{PersonalModel, Role};

use super::Shuffle;
use crate::ensemble::gate::Gained;
use crate::ensemble::weights::Weights;
use crate::writer::{Attention, Blocked, Forgotten, Recent, Snippets, Team, Unlisted};

/// When an answer is due. The budget becomes an instant on arrival and only travels down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `budget` from now.
    pub fn after(budget: Duration) -> Self {
        Self(Instant::now() + budget)
    }

    /// The instant when a share of what is left, 0 to 1, has passed.
    #[must_use]
    pub fn sooner(self, share: f32) -> Self {
        Self(self.0 - self.left().mul_f32(1.0 - share))
    }

    /// What is left, zero when it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// One turn of the conversation before the draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who spoke.
    pub role: Role,
    /// What was said.
    pub text: String,
}

/// What the service holds in memory about one writer: the part predictions read.
#[derive(Debug)]
pub struct Memory {
    /// The writer's own n-grams.
    pub personal: PersonalModel,
    /// The writer's own mixture weights.
    pub weights: Weights,
    /// The newest of what the writer sent.
    pub recent: Recent,
    /// The words the lexicon does not have, by their spelling.
    pub unlisted: Unlisted,
    /// How often the writer takes what is right.
    pub attention: Attention,
    /// Texts the writer keeps ready.
    pub snippets: Snippets,
    /// What asking the GPT-2 gained the writer lately; found anew after a restart.
    pub gained: Gained,
    /// What the writer is never shown; shared, so that no lock is held while it is looked at.
    pub blocked: Arc<Blocked>,
}

impl Memory {
    /// Learns the words of a message that was sent; `normal` is normalised text.
    pub fn learn(&mut self, normal: &str, role: Role) {
        self.personal.learn(normal, role);
        self.recent.learn(normal, role);
        self.unlisted.learn(normal);
    }

    /// The unlisted words, and those of a message. Each that is new takes a tenth of a millisecond, while others may read.
    pub fn unlisted_with(&self, normal: &str) -> Unlisted {
        let mut unlisted = self.unlisted.clone();
        unlisted.learn(normal);
        unlisted
    }

    /// Learns a message, as [`learn`](Self::learn) does, with what [`unlisted_with`](Self::unlisted_with) made of it.
    pub fn learn_with(&mut self, normal: &str, role: Role, unlisted: Unlisted) {
        self.personal.learn(normal, role);
        self.recent.learn(normal, role);
        // Without news the old ones stay, with what they remember of the listed.
        if unlisted.delta() != self.unlisted.delta() {
            self.unlisted = unlisted;
        }
    }

    /// Forgets a word of all that was learned.
    pub fn forget(&mut self, word: &Forgotten) {
        let known: Vec<String> =
            self.personal.surfaces().filter(|surface| word.is(surface)).map(str::to_owned).collect();
        for surface in &known {
            self.personal.forget(surface);
        }
        self.unlisted.forget(|surface| word.is(surface));
        self.recent.forget(word);
    }
}

/// Whose conversation this is: sessions and caches are keyed by it and never shared between writers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The tenant.
    pub tenant: Arc<str>,
    /// The writer, if one was named.
    pub writer: Option<Arc<str>>,
    /// The client's session.
    pub session: Arc<str>,
}

/// One validated keystroke.
#[derive(Clone, Debug)]
pub struct Request {
    /// The message up to the cursor, at most 4,096 characters.
    pub text: String,
    /// What follows the cursor.
    pub after: String,
    /// Turns before the draft, oldest first.
    pub context: Vec<Turn>,
    /// Who is writing.
    pub role: Role,
    /// What is known of the writer; `None`: no personalisation.
    pub memory: Option<Arc<RwLock<Memory>>>,
    /// What the writer's team shares; `None`: the writer is in none.
    pub team: Option<Arc<Team>>,
    /// Where KV cache and type-through stay warm; `None`: nothing is kept (also when `learn` is false).
    pub session: Option<SessionKey>,
    /// 1 to 10.
    pub max_suggestions: usize,
    /// 0 to 1; `None`: the bundle's threshold.
    pub min_confidence: Option<f32>,
    /// `false`: nothing of this is kept.
    pub learn: bool,
    /// Whether the writer blocks words that are not in memory yet, so that nothing can be shown.
    pub unread: bool,
    /// Whether the session is held out, so that nothing is shown.
    pub held_out: bool,
    /// Whether a mistyped word may be replaced.
    pub corrections: bool,
    /// Whether the GPT-2 may read on while the answer is looked at.
    pub look_ahead: bool,
    /// Whether the list may be shuffled; `None`: it stands as it is ranked.
    pub shuffle: Option<Shuffle>,
    /// Whether to explain the answer.
    pub debug: bool,
    /// Until when anything is waited for.
    pub deadline: Deadline,
}

impl Request {
    /// `text` by an author of whom nothing is known: one suggestion, by the bundle's threshold.
    pub fn new(text: &str, deadline: Deadline) -> Self {
        Self {
            text: text.to_owned(),
            after: String::new(),
            context: Vec::new(),
            role: Role::Author,
            memory: None,
            team: None,
            session: None,
            max_suggestions: 1,
            min_confidence: None,
            learn: true,
            unread: false,
            held_out: false,
            corrections: false,
            look_ahead: false,
            shuffle: None,
            debug: false,
            deadline,
        }
    }
}
