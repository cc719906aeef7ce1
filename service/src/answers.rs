//! Answers by id, for ten minutes, so that an outcome finds what it is about.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::engine::Record;
use crate::ledger::Offered;
use crate::store::WriterKey;

/// How long an id lives.
const LIFE: Duration = Duration::from_secs(600);
/// Answers kept at most: ten minutes of 50 writers at 5 keys a second.
const KEPT: usize = 150_000;

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
    /// Whether the client is of the kind that tells what was sent in the end.
    pub tells: bool,
    /// Whose customer asked.
    pub tenant: Arc<str>,
    /// The team of the writer.
    pub team: Option<Arc<str>>,
    /// Whose outcome it will be; `None`: nobody named, or nothing may be kept.
    pub writer: Option<WriterKey>,
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
        Self { recent: Cache::new(KEPT), keys, given: AtomicU64::new(0) }
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
        Given { record, offered, saved, tells: true, tenant: "default".into(), team: None, writer }
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
    fn an_erased_writer_is_forgotten() {
        let answers = Answers::default();
        let (anna, ben) = (given(Some("anna")), given(Some("ben")));
        let key = anna.writer.clone().expect("named above");
        let (anna, ben) = (remember(&answers, anna), remember(&answers, ben));
        answers.forget_writer(&key);
        assert!(answers.find(&anna).is_none() && answers.find(&ben).is_some());
    }
}
