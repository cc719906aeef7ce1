//! How fast people type: how much longer a draft is at a key than at the one before, and how long that took.
//!
//! Characters that a suggestion inserted count like others: whether those who are shown some are faster is the question.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::count::Group;
use crate::engine::SessionKey;

/// Sessions whose last key is remembered; the least useful are dropped first.
const SESSIONS: usize = 8_192;

/// Who does nothing for longer does not type.
const PAUSE: Duration = Duration::from_secs(5);

/// Nobody presses keys faster: what comes so was held up on its way.
const FASTEST: Duration = Duration::from_millis(30);

/// What makes a draft longer by more than this at once was pasted, or was there before.
const PASTED: usize = 250;

/// What came of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) characters: u64,
    pub(super) took: Duration,
    /// The first of its session.
    pub(super) is_first: bool,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    at: Instant,
    length: usize,
    /// Whether something was typed in the session.
    counts: bool,
}

/// The sessions, by a hash of their keys: neither names nor text are kept.
pub(super) struct Typists {
    sessions: Cache<u64, Last>,
    hasher: RandomState,
}

impl Default for Typists {
    fn default() -> Self {
        Self { sessions: Cache::new(SESSIONS), hasher: RandomState::new() }
    }
}

impl Typists {
    /// A draft has so many characters at a key. `None`: nothing was typed since the last one.
    pub(super) fn key(
        &self,
        session: &SessionKey,
        group: Group,
        length: usize,
        at: Instant,
    ) -> Option<Stretch> {
        let key = self.hasher.hash_one((session, group));
        let last = self.sessions.get(&key);
        let stretch = last.and_then(|last| stretch(last, length, at));
        let counts = last.is_some_and(|last| last.counts) || stretch.is_some();
        self.sessions.insert(key, Last { at, length, counts });
        stretch
    }
}

fn stretch(last: Last, length: usize, at: Instant) -> Option<Stretch> {
    let (took, more) = (at.saturating_duration_since(last.at), length.saturating_sub(last.length));
    // Of the same length is a draft that is asked about again, or one so long that only its end is sent.
    let typed = length != last.length && took <= PAUSE && more <= PASTED;
    let took = took.max(FASTEST);
    typed.then_some(Stretch { characters: more as u64, took, is_first: !last.counts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_and_pasted_text_are_not_typing() {
        let typists = Typists::default();
        let session =
            |name: &str| SessionKey { tenant: "t".into(), writer: Some("w".into()), session: name.into() };
        let start = Instant::now();
        let key = |name: &str, group, length, ms| {
            typists.key(&session(name), group, length, start + Duration::from_millis(ms))
        };
        let typed = |characters, ms, is_first| {
            Some(Stretch { characters, took: Duration::from_millis(ms), is_first })
        };
        assert_eq!(key("a", Group::Others, 3, 0), None, "nothing is known of how that came");
        assert_eq!(key("a", Group::Others, 4, 200), typed(1, 200, true));
        assert_eq!(key("b", Group::Others, 9, 250), None, "another session");
        assert_eq!(key("a", Group::HeldOut, 9, 250), None, "another group");
        assert_eq!(key("a", Group::Others, 16, 700), typed(12, 500, false), "a suggestion");
        assert_eq!(key("a", Group::Others, 15, 900), typed(0, 200, false), "taking back is typing too");
        assert_eq!(key("a", Group::Others, 15, 1_000), None, "asked again");
        assert_eq!(key("a", Group::Others, 14, 1_001), typed(0, 30, false), "held up on its way");
        assert_eq!(key("a", Group::Others, 16, 6_002), None, "a pause");
        assert_eq!(key("a", Group::Others, 600, 6_100), None, "pasted");
        assert_eq!(key("a", Group::Others, 601, 6_200), typed(1, 100, false));
    }
}
