//! What is counted, by name.

use std::borrow::Cow;

use crate::engine::{Outcome, Predictor, Silence, Status};

/// Who proposes suggestions: the members, and snippets.
pub const PROPOSERS: [Predictor; Predictor::ALL.len() + 1] = {
    let mut all = [Predictor::Snippet; Predictor::ALL.len() + 1];
    let mut at = 0;
    while at < Predictor::ALL.len() {
        all[at] = Predictor::ALL[at];
        at += 1;
    }
    all
};

/// What becomes of suggestions.
pub const OUTCOMES: [Outcome; 3] = Outcome::ALL;

/// What becomes of predictors and is counted.
const STATUSES: [Status; 3] = [Status::Used, Status::Late, Status::Skipped];

/// Sessions that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Those that are shown suggestions.
    Others,
    /// Those that are shown none, to see what that makes.
    HeldOut,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Others, Self::HeldOut];

    /// The name counts have.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Others => "others",
            Self::HeldOut => "held_out",
        }
    }
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Keystrokes answered.
    Answers,
    /// Answers that showed something.
    Suggestions,
    /// Answers later than their budget and 1 ms.
    Late,
    /// Requests that were told to come back later.
    TurnedAway,
    /// Answers in which the rest of the last suggestion stayed.
    TypeThrough,
    /// Answers of the models that had to do without the GPT-2.
    Brownout,
    /// Messages learned.
    Learned,
    /// Characters in messages that were sent and in whose drafts suggestions were asked for.
    SentChars,
    /// Keystrokes saved in these messages.
    SentSaved,
    /// Tokens of context that KV caches held.
    KvHeld,
    /// Tokens that went through the network.
    KvRun,
    /// Answers that were silent for this reason.
    Silent(Silence),
    /// Keystrokes saved by who proposed.
    Saved(Predictor),
    /// What became of suggestions by who proposed.
    Judged(Predictor, Outcome),
    /// What became of a member in an answer; not of empty ones or those that are off.
    Member(Predictor, Status),
    /// Characters that appeared in drafts.
    Appeared(Group),
    /// Milliseconds of typing.
    Typing(Group),
}

const PLAIN: usize = 11;
const SILENT: usize = PLAIN;
const SAVED: usize = SILENT + Silence::ALL.len();
const JUDGED: usize = SAVED + PROPOSERS.len();
const MEMBER: usize = JUDGED + PROPOSERS.len() * OUTCOMES.len();
const APPEARED: usize = MEMBER + Predictor::ALL.len() * STATUSES.len();
const TYPING: usize = APPEARED + Group::ALL.len();

/// How many there are.
pub(super) const COUNTS: usize = TYPING + Group::ALL.len();

impl Count {
    /// All of them, each at its place.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = [
            Self::Answers,
            Self::Suggestions,
            Self::Late,
            Self::TurnedAway,
            Self::TypeThrough,
            Self::Brownout,
            Self::Learned,
            Self::SentChars,
            Self::SentSaved,
            Self::KvHeld,
            Self::KvRun,
        ];
        let judged = PROPOSERS.into_iter().flat_map(|who| OUTCOMES.map(|outcome| Self::Judged(who, outcome)));
        let members =
            Predictor::ALL.into_iter().flat_map(|who| STATUSES.map(|status| Self::Member(who, status)));
        plain
            .into_iter()
            .chain(Silence::ALL.map(Self::Silent))
            .chain(PROPOSERS.map(Self::Saved))
            .chain(judged)
            .chain(members)
            .chain(Group::ALL.map(Self::Appeared))
            .chain(Group::ALL.map(Self::Typing))
    }

    /// Its place; `None`: it is not counted.
    pub(super) fn slot(self) -> Option<usize> {
        Some(match self {
            Self::Answers => 0,
            Self::Suggestions => 1,
            Self::Late => 2,
            Self::TurnedAway => 3,
            Self::TypeThrough => 4,
            Self::Brownout => 5,
            Self::Learned => 6,
            Self::SentChars => 7,
            Self::SentSaved => 8,
            Self::KvHeld => 9,
            Self::KvRun => 10,
            Self::Silent(reason) => SILENT + reason as usize,
            Self::Saved(who) => SAVED + who as usize,
            Self::Judged(who, outcome) => JUDGED + who as usize * OUTCOMES.len() + outcome as usize,
            Self::Member(who, status) => {
                let status = STATUSES.iter().position(|counted| *counted == status)?;
                MEMBER + who as usize * STATUSES.len() + status
            }
            Self::Appeared(group) => APPEARED + group as usize,
            Self::Typing(group) => TYPING + group as usize,
        })
    }

    /// Its name where it is stored.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Answers => "answers",
            Self::Suggestions => "suggestions",
            Self::Late => "late",
            Self::TurnedAway => "turned_away",
            Self::TypeThrough => "type_through",
            Self::Brownout => "brownout",
            Self::Learned => "learned",
            Self::SentChars => "sent_chars",
            Self::SentSaved => "sent_saved",
            Self::KvHeld => "kv_held",
            Self::KvRun => "kv_run",
            Self::Silent(reason) => return format!("silences.{}", reason.name()).into(),
            Self::Saved(who) => return format!("saved.{}", who.name()).into(),
            Self::Judged(who, outcome) => return format!("{}.{}", outcome.name(), who.name()).into(),
            Self::Member(who, status) => return format!("{}.{}", status.name(), who.name()).into(),
            Self::Appeared(group) => return format!("appeared.{}", group.name()).into(),
            Self::Typing(group) => return format!("typing_ms.{}", group.name()).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_has_a_place_and_a_name_of_its_own() {
        let slots: Vec<_> = Count::all().map(Count::slot).collect();
        assert_eq!(slots, (0..COUNTS).map(Some).collect::<Vec<_>>());
        assert_eq!(Count::all().map(Count::name).collect::<HashSet<_>>().len(), COUNTS);
        assert_eq!(Count::Member(Predictor::Gpt2, Status::Empty).slot(), None);
    }
}
