//! What a session remembers between keystrokes: the last answer, for type-through, and what was rejected.
//! It lives in memory only and is bounded.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use foretype_markov::segment;
use quick_cache::sync::Cache;

use crate::engine::{Record, SessionKey, Suggestion};
use crate::ensemble::expected::Expected;
use crate::writer::{SLOTS, slot};

/// Sessions that are remembered; the least useful are dropped first.
const SESSIONS: usize = 4_096;

/// Characters before a suggestion's end that tell its place.
const LANDING: usize = 256;

/// Bytes of a draft that have as many characters, blanks that count as one left out.
const NEAR: usize = 8 * LANDING;

/// Rejections remembered in one session.
const REJECTIONS: usize = 64;

/// A session that was seen within this is open.
const OPEN: Duration = Duration::from_secs(30);

/// Words remembered that were passed over at or behind the cursor.
const PASSED: usize = 32;

/// A suggestion and what is known of its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// As it was shown.
    pub suggestion: Suggestion,
    /// For each of its words the bytes it inserts and its probability given those before it.
    pub words: Vec<(usize, f32)>,
    /// The inverse of the propensity that it stands where it does in its list.
    pub weight: f32,
}

impl Offer {
    /// What its first word inserts.
    pub fn first_word(&self) -> &str {
        let end = self.words.first().map_or(0, |word| word.0);
        self.suggestion.text.get(..end).unwrap_or(&self.suggestion.text)
    }

    /// Whether typing this went along its first word by hand. A whole word at once was taken, not typed.
    pub fn is_passed_by(&self, typed: &str) -> bool {
        let word = self.first_word();
        self.suggestion.replace == 0 && word.len() > typed.len() && word.starts_with(typed)
    }
}

/// What was shown last, and where.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The draft it was shown at.
    pub draft: String,
    /// Everything else the answer depended on, hashed.
    pub surroundings: u64,
    /// The suggestions, best first.
    pub suggestions: Vec<Offer>,
    /// What may come next, shown or not.
    pub expected: Expected,
}

/// How often a word was passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Passes {
    /// By the slot it stood in.
    pub times: [u8; SLOTS],
    /// The same, each weighed as its list was shuffled.
    pub weighed: [f32; SLOTS],
}

impl Passes {
    /// How often it was, at most `most` times in all.
    pub fn counted(&self, most: u8) -> [u8; SLOTS] {
        let mut left = most;
        self.times.map(|times| {
            let counted = times.min(left);
            left -= counted;
            counted
        })
    }

    /// How often it was in all.
    pub fn all(&self) -> u32 {
        self.times.iter().map(|times| u32::from(*times)).sum()
    }
}

/// One session.
#[derive(Debug, Default)]
pub struct Session {
    /// When it was asked about last.
    pub seen: Option<Instant>,
    /// How often it was asked about.
    pub turn: u64,
    /// The last answer.
    pub shown: Option<Shown>,
    rejected: VecDeque<u64>,
    /// Drafts as they would have been with a word that was shown and not taken, and how often it was.
    passed: Vec<(String, Passes)>,
}

impl Session {
    /// Somebody asks; says for which time.
    pub fn see(&mut self) -> u64 {
        self.seen = Some(Instant::now());
        self.turn += 1;
        self.turn
    }

    /// Notes what was shown and not taken when the writer typed on by hand.
    pub fn pass(&mut self, draft: &str, surroundings: u64) {
        self.passed.retain(|(target, _)| target.starts_with(draft));
        let Some(shown) = self.shown.as_ref().filter(|shown| shown.surroundings == surroundings) else {
            return;
        };
        let Some(typed) = draft.strip_prefix(&shown.draft).filter(|typed| !typed.is_empty()) else { return };
        for (index, offer) in
            shown.suggestions.iter().enumerate().filter(|(_, offer)| offer.is_passed_by(typed))
        {
            let target = format!("{}{}", shown.draft, offer.first_word());
            let at = self.passed.iter().position(|(passed, _)| *passed == target).unwrap_or_else(|| {
                if self.passed.len() == PASSED {
                    self.passed.remove(0);
                }
                self.passed.push((target, Passes::default()));
                self.passed.len() - 1
            });
            let (slot, passes) = (slot(index), &mut self.passed[at].1);
            passes.times[slot] = passes.times[slot].saturating_add(1);
            passes.weighed[slot] += offer.weight;
        }
    }

    /// What is left to type of the words that were passed over at this draft, and how often they were.
    pub fn passed(&self, draft: &str) -> Vec<(String, Passes)> {
        let left =
            |(target, passes): &(String, Passes)| Some((target.strip_prefix(draft)?.to_owned(), *passes));
        self.passed.iter().filter_map(left).collect()
    }

    /// Whether a suggestion that lands there was rejected.
    pub fn was_rejected(&self, landing: u64) -> bool {
        self.rejected.contains(&landing)
    }
}

/// All sessions of this process.
#[derive(Debug)]
pub struct Sessions(Cache<SessionKey, Arc<Mutex<Session>>>);

impl Default for Sessions {
    fn default() -> Self {
        Self(Cache::new(SESSIONS))
    }
}

impl Sessions {
    /// Runs `f` on a session, made if it is new. Short, and never across an await.
    pub fn with<T>(&self, key: &SessionKey, f: impl FnOnce(&mut Session) -> T) -> T {
        let session = self.0.get(key).unwrap_or_else(|| {
            let new = Arc::new(Mutex::default());
            self.0.insert(key.clone(), Arc::clone(&new));
            new
        });
        // A panic elsewhere leaves at worst an old suggestion behind: go on with it.
        let mut guard = session.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut guard)
    }

    /// Whether somebody is typing in it. Asking does not count as using it.
    pub fn is_open(&self, key: &SessionKey) -> bool {
        self.0.peek(key).is_some_and(|session| was_seen(&session))
    }

    /// In how many somebody is typing.
    pub fn open(&self) -> usize {
        self.0.iter().filter(|(_, session)| was_seen(session)).count()
    }

    /// Remembers that a suggestion is not wanted at its place.
    pub fn reject(&self, record: &Record, index: usize) {
        let (Some(key), Some(landing)) = (&record.session, record.landings.get(index)) else { return };
        self.with(key, |session| {
            session.shown = None;
            if session.rejected.len() == REJECTIONS {
                session.rejected.pop_front();
            }
            session.rejected.push_back(*landing);
        });
    }

    /// Forgets all sessions of a writer.
    pub fn forget(&self, tenant: &str, writer: &str) {
        self.0.retain(|key, _| &*key.tenant != tenant || key.writer.as_deref() != Some(writer));
    }
}

fn was_seen(session: &Mutex<Session>) -> bool {
    let seen = session.lock().unwrap_or_else(PoisonError::into_inner).seen;
    seen.is_some_and(|seen| seen.elapsed() < OPEN)
}

/// Where a suggestion leads: the draft with its first word, hashed. Typing on towards the same word lands at the
/// same place, so a rejected suggestion does not come back a letter later.
pub fn landing(draft: &str, text: &str) -> u64 {
    let near = draft.ceil_char_boundary(draft.len().saturating_sub(NEAR));
    let normal = segment::normalise(&draft[near..]);
    let joined = format!("{normal}{text}");
    // The first surface that ends behind the cursor and holds more than the space before a word.
    let mut end = 0;
    for surface in segment::surfaces(&joined) {
        end += surface.len();
        if end > normal.len() && !joined[normal.len()..end].trim().is_empty() {
            break;
        }
    }
    // Only the end counts: of a long draft the service sees a window that moves with every key.
    let from = joined[..end].char_indices().rev().take(LANDING).last().map_or(0, |(at, _)| at);
    hashed(&&joined[from..end])
}

/// A hash for comparing within this process.
pub fn hashed(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_later_it_is_the_same_landing() {
        assert_eq!(landing("I can he", "lp you "), landing("I can hel", "p "));
        assert_ne!(landing("I can he", "lp you "), landing("I can he", "ar you "));
        assert_eq!(
            landing("I can he", "lp, sir"),
            landing("I can he", "lp "),
            "the word, not what is attached to it"
        );
        assert_eq!(landing("I can help", " you "), landing("I can help ", "you "));
        let long = "word ".repeat(900);
        assert_eq!(landing(&format!("{long}he"), "lp "), landing(&format!("{}hel", &long[1..]), "p "));
    }

    #[test]
    fn what_is_typed_out_was_passed_over() {
        let suggestion = Suggestion {
            text: "lp you ".to_owned(),
            replace: 0,
            confidence: 0.9,
            predictor: crate::engine::Predictor::Gpt2,
            kind: crate::engine::Kind::Phrase,
        };
        let offer = Offer { suggestion, words: vec![(2, 0.9), (4, 0.7)], weight: 0.5 };
        let shown = |draft: &str| Shown {
            draft: draft.to_owned(),
            surroundings: 1,
            suggestions: vec![offer.clone()],
            expected: Expected::default(),
        };
        let after = |draft: &str| {
            let mut session = Session { shown: Some(shown("I can he")), ..Session::default() };
            session.pass(draft, 1);
            session.passed(draft)
        };
        let once = Passes { times: [1, 0, 0], weighed: [0.5, 0.0, 0.0] };
        assert_eq!(after("I can hel"), [("p".to_owned(), once)]);
        assert_eq!(Passes { times: [1, 5, 2], ..once }.counted(2), [1, 1, 0]);
        assert_eq!(after("I can help"), [], "taken");
        assert_eq!(after("I can help "), [], "taken");
        assert_eq!(after("I can hea"), [], "something else");
        assert_eq!(after("I can he"), [], "asked again");
        let mut session = Session { shown: Some(shown("I can he")), ..Session::default() };
        session.pass("I can hel", 1);
        session.pass("I can hel", 2);
        assert_eq!(session.passed("I can hel"), [("p".to_owned(), once)], "another place");
        session.pass("I can ", 1);
        assert_eq!(session.passed("I can he"), [("lp".to_owned(), once)], "still so after going back");
        session.pass("I could", 1);
        assert_eq!(session.passed("I can he"), []);
    }

    #[test]
    fn rejections_are_remembered_and_bounded() {
        let key = SessionKey { tenant: "t".into(), writer: None, session: "s".into() };
        let sessions = Sessions::default();
        for landing in 0..REJECTIONS as u64 + 1 {
            sessions.reject(
                &Record { session: Some(key.clone()), landings: vec![landing], ..Record::default() },
                0,
            );
        }
        assert!(sessions.with(&key, |s| s.was_rejected(REJECTIONS as u64) && !s.was_rejected(0)));
    }
}
