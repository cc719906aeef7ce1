//! What a session remembers between keystrokes: the last answer, for type-through, and what was rejected.
//! It lives in memory only and is bounded.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use foretype_markov::segment;
use quick_cache::sync::Cache;

use crate::engine::{Record, SessionKey, Suggestion};

/// Sessions that are remembered; the least useful are dropped first.
const SESSIONS: usize = 4_096;

/// Characters before a suggestion's end that tell its place.
const LANDING: usize = 256;

/// Rejections remembered in one session.
const REJECTIONS: usize = 64;

/// A suggestion and what is known of its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// As it was shown.
    pub suggestion: Suggestion,
    /// For each of its words the bytes it inserts and its probability given those before it.
    pub words: Vec<(usize, f32)>,
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
}

/// One session.
#[derive(Debug, Default)]
pub struct Session {
    /// The last answer.
    pub shown: Option<Shown>,
    rejected: VecDeque<u64>,
}

impl Session {
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

/// Where a suggestion leads: the draft with its first word, hashed. Typing on towards the same word lands at the
/// same place, so a rejected suggestion does not come back a letter later.
pub fn landing(draft: &str, text: &str) -> u64 {
    let normal = segment::normalise(draft);
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
    fn rejections_are_remembered_and_bounded() {
        let key = SessionKey { tenant: "t".into(), writer: None, session: "s".into() };
        let sessions = Sessions::default();
        for landing in 0..REJECTIONS as u64 + 1 {
            sessions.reject(&Record { session: Some(key.clone()), landings: vec![landing] }, 0);
        }
        assert!(sessions.with(&key, |s| s.was_rejected(REJECTIONS as u64) && !s.was_rejected(0)));
    }
}
