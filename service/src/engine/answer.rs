//! The answer to one keystroke: suggestions or a typed silence, and what became of every predictor.

use std::time::{Duration, Instant};

use super::request::SessionKey;
use crate::writer::SLOTS;

/// The members of the ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum Predictor {
    /// The GPT-2 of the bundle.
    Gpt2,
    /// The writer's own n-grams.
    Personal,
    /// The domain's n-grams.
    Domain,
    /// Spelling: lexicon and character n-gram.
    Charlm,
    /// The writer's messages that are nearest to this one.
    Recall,
    /// What enough writers of the team use.
    Team,
    /// A text the writer keeps ready. No member of the mixture: it proposes, and says how likely it is.
    Snippet,
}

impl Predictor {
    /// The members of the mixture, in the order of their discriminants.
    pub const ALL: [Self; 6] =
        [Self::Gpt2, Self::Personal, Self::Domain, Self::Charlm, Self::Recall, Self::Team];

    /// The name the API and the configuration use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gpt2 => "gpt2",
            Self::Personal => "personal",
            Self::Domain => "domain",
            Self::Charlm => "charlm",
            Self::Recall => "recall",
            Self::Team => "team",
            Self::Snippet => "snippet",
        }
    }

    /// The predictor of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }
}

/// What became of one predictor in one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Its probabilities entered the mixture.
    Used,
    /// It had nothing to say.
    Empty,
    /// It did not make the deadline.
    Late,
    /// It was not asked: that had a price (gate, pressure), or nobody was, see [`Completion::is_of_models`].
    Skipped,
    /// It is not enabled.
    Off,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Used, Self::Empty, Self::Late, Self::Skipped, Self::Off];

    /// The name the API uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Empty => "empty",
            Self::Late => "late",
            Self::Skipped => "skipped",
            Self::Off => "off",
        }
    }
}

/// How much text a suggestion holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The rest of a word, or one word.
    Word,
    /// Several words.
    Phrase,
    /// Several words up to the end of a sentence.
    Sentence,
    /// A text the writer keeps ready.
    Snippet,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Word, Self::Phrase, Self::Sentence, Self::Snippet];

    /// The name the API uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::Phrase => "phrase",
            Self::Sentence => "sentence",
            Self::Snippet => "snippet",
        }
    }
}

/// A candidate that is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// Inserted at the cursor as it stands.
    pub text: String,
    /// Characters before the cursor that go first: those of a mistyped word; 0: nothing is replaced.
    pub replace: usize,
    /// Calibrated probability that its first word is what the writer types next.
    pub confidence: f32,
    /// Who proposed it.
    pub predictor: Predictor,
    /// How much it holds.
    pub kind: Kind,
}

/// Why nothing is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Silence {
    /// Nothing reached the threshold.
    LowConfidence,
    /// Nothing is typed and nothing is known.
    EmptyText,
    /// The word is finished and nothing after it is likely.
    WordComplete,
    /// It was rejected at this place.
    RejectedHere,
    /// The writer does not want to be shown it.
    Blocked,
    /// It looks like personal data.
    PrivateData,
    /// The writer is typing a number.
    Number,
    /// The script is not one the models know.
    UnknownScript,
    /// It would repeat what follows the cursor.
    RepeatsAfter,
    /// Nobody had a candidate.
    NoCandidate,
    /// The session is held out: it is shown nothing, to see what suggestions are worth.
    Disabled,
}

impl Silence {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::LowConfidence,
        Self::EmptyText,
        Self::WordComplete,
        Self::RejectedHere,
        Self::Blocked,
        Self::PrivateData,
        Self::Number,
        Self::UnknownScript,
        Self::RepeatsAfter,
        Self::NoCandidate,
        Self::Disabled,
    ];

    /// The name the API uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LowConfidence => "low_confidence",
            Self::EmptyText => "empty_text",
            Self::WordComplete => "word_complete",
            Self::RejectedHere => "rejected_here",
            Self::Blocked => "blocked",
            Self::PrivateData => "private_data",
            Self::Number => "number",
            Self::UnknownScript => "unknown_script",
            Self::RepeatsAfter => "repeats_after",
            Self::NoCandidate => "no_candidate",
            Self::Disabled => "disabled",
        }
    }
}

/// Where the answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The predictors were asked.
    Models,
    /// The writer typed what the last suggestion said; its rest stays.
    TypeThrough,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Models, Self::TypeThrough];

    /// The name the API uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::TypeThrough => "type_through",
        }
    }
}

/// The answer to one keystroke.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Best first, or shuffled below the first; they differ in their first word.
    pub suggestions: Vec<Suggestion>,
    /// Why there is none.
    pub silence: Option<Silence>,
    /// Models or type-through.
    pub source: Source,
    /// One entry for every predictor, enabled or not.
    pub predictors: [(Predictor, Status); Predictor::ALL.len()],
    /// When the engine was asked.
    pub began: Instant,
    /// What the fast tier took, the decision included.
    pub fast: Duration,
    /// What mixture, ranking and filters took; zero where nothing was decided anew.
    pub decided: Duration,
    /// What the neural tier did; `None`: it is not there, or was not asked.
    pub neural: Option<Neural>,
    /// The explanation, when asked for.
    pub debug: Option<serde_json::Value>,
    /// Remembered by the HTTP layer under the answer's id and handed back with its outcome.
    pub record: Record,
}

impl Completion {
    /// Whether members were to be asked: not where the rest of the last suggestion stays, nor where silence was certain before.
    pub fn is_of_models(&self) -> bool {
        let is_asked = |(_, status): &(Predictor, Status)| !matches!(status, Status::Skipped | Status::Off);
        self.source == Source::Models && self.predictors.iter().any(is_asked)
    }
}

/// What the neural tier did for one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Neural {
    /// From the question to what came of it.
    pub elapsed: Duration,
    /// In the queue, and for runs that were others'; zero if it did not come back.
    pub waited: Duration,
    /// At work on it; zero if it did not come back.
    pub worked: Duration,
    /// Passes of the network.
    pub passes: u32,
    /// Tokens that went through it.
    pub tokens: u32,
}

/// What an outcome needs to know of the answer it is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The session it belongs to.
    pub session: Option<SessionKey>,
    /// Where each suggestion leads (see `session::landing`): hashes, no text is kept.
    pub landings: Vec<u64>,
    /// How each was seen.
    pub looks: Vec<Look>,
}

/// How a suggestion was seen, as it counts for what its writer looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// What a look at it counts: the inverse of the propensity that it stood where it did.
    pub weight: f32,
    /// The same of the keys at which its first word had been passed over before, by the slot it stood in then.
    pub passed: [f32; SLOTS],
}

impl Look {
    /// No look.
    pub const NONE: Self = Self { weight: 0.0, passed: [0.0; SLOTS] };
}

impl Default for Look {
    fn default() -> Self {
        Self { weight: 1.0, passed: [0.0; SLOTS] }
    }
}

/// What became of a suggestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// All of it was taken.
    Accepted,
    /// Some of it was taken.
    Partial,
    /// It was explicitly dismissed.
    Rejected,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Partial, Self::Rejected];

    /// The name the API uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Partial => "partial",
            Self::Rejected => "rejected",
        }
    }
}
