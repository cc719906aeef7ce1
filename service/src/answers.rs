//! Answers by id, for ten minutes, so that an outcome finds what it is about.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter};

use crate::engine::{Outcome, Record};
use crate::ledger::Offered;
use crate::store::WriterKey;

/// How long an id lives.
const LIFE: Duration = Duration::from_secs(600);
/// Answers kept at most: ten minutes of 50 writers at 5 keys a second.
const KEPT: usize = 150_000;

/// Outcomes of one answer that are kept apart: it may be taken a word at a time.
const OUTCOMES: usize = 32;

/// The name of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerId(u128);

impl AnswerId {
    /// A number that chance may start from.
    pub fn seed(self) -> u64 {
        (self.0 >> 64) as u64 ^ self.0 as u64
    }
}

/// What an outcome needs to know of an answer.
#[derive(Debug)]
pub struct Given {
    /// Handed back to the engine.
    pub record: Record,
    /// Its suggestions.
    pub offered: Vec<Offered>,
    /// Keystrokes that its outcomes saved so far.
    pub saved: AtomicU32,
    /// What was heard of it so far.
    pub heard: Heard,
    /// Whether the client is of the kind that tells what was sent in the end.
    pub tells: bool,
    /// Whose customer asked.
    pub tenant: Arc<str>,
    /// The team of the writer.
    pub team: Option<Arc<str>>,
    /// Whose outcome it will be; `None`: nobody named, or nothing may be kept.
    pub writer: Option<WriterKey>,
}

/// What became of a suggestion: its place in the list, the outcome, and the characters that were taken.
pub type Told = (usize, Outcome, u32);

/// The outcomes of one answer.
#[derive(Debug, Default)]
pub struct Heard(Mutex<Vec<Told>>);

impl Heard {
    /// What is new about an outcome, which is noted; `None`: it was heard before, or more was than a person can do.
    pub fn note(&self, told: Told) -> Option<News> {
        let mut heard = self.lock();
        // All of a suggestion is taken once.
        let taken = |(index, outcome, _): &Told| *index == told.0 && *outcome == Outcome::Accepted;
        let is_new = match told.1 {
            Outcome::Accepted => !heard.iter().any(taken),
            _ => heard.len() < OUTCOMES && !heard.contains(&told),
        };
        let looked =
            told.1 != Outcome::Rejected && heard.iter().all(|(_, outcome, _)| *outcome == Outcome::Rejected);
        is_new.then(|| {
            heard.push(told);
            News { looked }
        })
    }

    /// It could not be recorded: told again, it is new.
    pub fn forget(&self, told: Told) {
        self.lock().retain(|heard| *heard != told);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is new about an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// The writer looked at the list and took something: that counts once, however many words follow one another.
    pub looked: bool,
}

/// The recent answers. Ids cannot be guessed: they are a keyed hash of a counter.
pub struct Answers {
    recent: Cache<u128, Arc<(Instant, Given)>>,
    keys: [RandomState; 2],
    given: AtomicU64,
}

impl Default for Answers {
    fn default() -> Self {
        let keys = [RandomState::new(), RandomState::new()];
        // An outcome asks for an answer once or never. By default the cache would keep the first answers it was given, of which
        // nobody asks any more, and have the newest make way for one another.
        let mut options = OptionsBuilder::new();
        options.estimated_items_capacity(KEPT).weight_capacity(KEPT as u64).hot_allocation(0.0);
        let options = options.build().expect("both capacities are set");
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        let recent = Cache::with_options(options, UnitWeighter, hasher, lifecycle);
        Self { recent, keys, given: AtomicU64::new(0) }
    }
}

impl Answers {
    /// A name for an answer to come.
    pub fn name(&self) -> AnswerId {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let [high, low] = [0, 1].map(|key| u128::from(self.keys[key].hash_one(number)));
        AnswerId(high << 64 | low)
    }

    /// Remembers an answer under its name, and says it as clients are told.
    pub fn remember(&self, AnswerId(id): AnswerId, given: Given) -> String {
        self.recent.insert(id, Arc::new((Instant::now(), given)));
        format!("{id:032x}")
    }

    /// The answer of that name, if it lives.
    pub fn find(&self, id: &str) -> Option<Arc<(Instant, Given)>> {
        // Digits only: from_str_radix would take a sign as well.
        let digits = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let id = digits.then(|| u128::from_str_radix(id, 16).ok()).flatten()?;
        let found = self.recent.get(&id)?;
        if found.0.elapsed() > LIFE {
            self.recent.remove(&id);
            return None;
        }
        Some(found)
    }

    /// Forgets what names a writer.
    pub fn forget_writer(&self, key: &WriterKey) {
        self.recent.retain(|_, answer| answer.1.writer.as_ref() != Some(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(writer: Option<&str>) -> Given {
        let writer = writer.map(|writer| WriterKey { tenant: "default".into(), writer: writer.into() });
        let (record, offered, saved) = (Record::default(), Vec::new(), AtomicU32::new(0));
        Given {
            record,
            offered,
            saved,
            heard: Heard::default(),
            tells: true,
            tenant: "default".into(),
            team: None,
            writer,
        }
    }

    fn remember(answers: &Answers, given: Given) -> String {
        answers.remember(answers.name(), given)
    }

    #[test]
    fn an_answer_is_found_by_its_id_only() {
        let answers = Answers::default();
        let (one, two) = (remember(&answers, given(Some("anna"))), remember(&answers, given(None)));
        assert_ne!(one, two);
        assert!(answers.find(&one).is_some_and(|found| found.1.writer.is_some()));
        for wrong in ["", "0", "zz", &one[1..], &format!("+{}", &one[1..])] {
            assert!(answers.find(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn an_outcome_is_heard_once_and_a_look_counts_once() {
        let heard = Heard::default();
        let (first, second) = ((0, Outcome::Partial, 4), (0, Outcome::Accepted, 9));
        let hear = |told: Told| heard.note(told).map(|news| news.looked);
        assert_eq!(hear((1, Outcome::Rejected, 0)), Some(false));
        assert_eq!([first, first, second].map(hear), [Some(true), None, Some(false)]);
        let later = (0..OUTCOMES as u32).filter_map(|chars| hear((0, Outcome::Partial, 100 + chars)));
        assert_eq!(later.count(), OUTCOMES - 3);
        assert_eq!(hear((0, Outcome::Partial, 1_000)), None);
        assert_eq!(hear((0, Outcome::Accepted, 30)), None, "all of it was taken before");
        let last = (1, Outcome::Accepted, 30);
        assert_eq!([last, last].map(hear), [Some(false), None]);
        heard.forget(last);
        assert_eq!(hear(last), Some(false));
    }

    #[test]
    fn the_oldest_make_way() {
        let answers = Answers::default();
        let ids: Vec<_> = (0..KEPT * 3 / 2).map(|_| remember(&answers, given(None))).collect();
        let lives = |back: usize| answers.find(&ids[ids.len() - back]).is_some();
        assert!([1, 1_000, 10_000, 50_000, 100_000].into_iter().all(lives));
        assert!(!lives(ids.len() - 1_000));
    }

    #[test]
    fn an_erased_writer_is_forgotten() {
        let answers = Answers::default();
        let (anna, ben) = (given(Some("anna")), given(Some("ben")));
        let key = anna.writer.clone().expect("named above");
        let (anna, ben) = (remember(&answers, anna), remember(&answers, ben));
        answers.forget_writer(&key);
        assert!(answers.find(&anna).is_none() && answers.find(&ben).is_some());
    }
}
