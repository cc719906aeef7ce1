//! How fast people type: how much longer a draft is at a key than at the one before, and how long that took.
//!
//! Characters that a suggestion inserted count like others: whether those who are shown some are faster is the question.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::comparison::Typed;
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Stretch {
    pub(super) characters: u64,
    pub(super) took: Duration,
    /// What was typed in the session before, in the same comparison.
    pub(super) before: Typed,
}

impl Stretch {
    pub(super) fn typed(&self) -> Typed {
        Typed { characters: self.characters as f64, minutes: self.took.as_secs_f64() / 60.0 }
    }
}

#[derive(Clone, Copy, Debug)]
struct Last {
    at: Instant,
    length: usize,
    /// What was typed in the session, and the number of the comparison it is in.
    typed: (u32, Typed),
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
        comparison: u32,
    ) -> Option<Stretch> {
        let key = self.hasher.hash_one((session, group));
        let last = self.sessions.get(&key);
        let before = last.map(|last| last.typed).filter(|(number, _)| *number == comparison);
        let before = before.map_or(Typed::default(), |(_, typed)| typed);
        let stretch = last.and_then(|last| stretch(last, length, at, before));
        let typed = stretch.map_or(before, |stretch| before.and(stretch.typed()));
        self.sessions.insert(key, Last { at, length, typed: (comparison, typed) });
        stretch
    }
}

fn stretch(last: Last, length: usize, at: Instant, before: Typed) -> Option<Stretch> {
    let (took, more) = (at.saturating_duration_since(last.at), length.saturating_sub(last.length));
    // Of the same length is a draft that is asked about again, or one so long that only its end is sent.
    let typed = length != last.length && took <= PAUSE && more <= PASTED;
    let took = took.max(FASTEST);
    typed.then_some(Stretch { characters: more as u64, took, before })
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
        let key = |name: &str, group, length, ms, comparison| {
            typists.key(&session(name), group, length, start + Duration::from_millis(ms), comparison)
        };
        let typed = |characters, ms, before: (u64, u64)| {
            let of = |(characters, ms)| Stretch {
                characters,
                took: Duration::from_millis(ms),
                before: Typed::default(),
            };
            Some(Stretch { before: of(before).typed(), ..of((characters, ms)) })
        };
        let (shown, none) = (Group::Others, (0, 0));
        assert_eq!(key("a", shown, 3, 0, 0), None, "nothing is known of how that came");
        assert_eq!(key("a", shown, 4, 200, 0), typed(1, 200, none));
        assert_eq!(key("b", shown, 9, 250, 0), None, "another session");
        assert_eq!(key("a", Group::HeldOut, 9, 250, 0), None, "another group");
        assert_eq!(key("a", shown, 16, 700, 0), typed(12, 500, (1, 200)), "a suggestion");
        assert_eq!(key("a", shown, 15, 900, 1), typed(0, 200, none), "taking back is typing too");
        assert_eq!(key("a", shown, 15, 1_000, 1), None, "asked again");
        assert_eq!(key("a", shown, 14, 1_001, 1), typed(0, 30, (0, 200)), "held up on its way");
        assert_eq!(key("a", shown, 16, 6_002, 1), None, "a pause");
        assert_eq!(key("a", shown, 600, 6_100, 1), None, "pasted");
        let before = key("a", shown, 601, 6_200, 1).map(|stretch| stretch.before.minutes * 60_000.0);
        assert!(before.is_some_and(|ms| (ms - 230.0).abs() < 1e-6), "{before:?}");
    }
}
