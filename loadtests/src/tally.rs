//! What is counted while writers type.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::line::{Answer, Reason};
use crate::score::Score;

/// What the reason ends with when a draft was refused that had been answered before.
pub(crate) const IN_AN_OPEN_DRAFT: &str = "in an open draft";

/// Longest latency told apart from longer ones, in microseconds.
const LONGEST_US: u64 = 120_000_000;

/// The time that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

impl Window {
    pub(crate) fn contains(self, at: Instant) -> bool {
        self.from <= at && at < self.until
    }
}

/// A message that was typed from its first key to its last within the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Typed {
    /// Which: the numbers of its stream and of the message there.
    pub(crate) message: (usize, usize),
    pub(crate) characters: usize,
    /// Keystrokes, reading included.
    pub(crate) cost: f64,
}

/// Counts of all writers.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) window: Window,
    /// From when a key was due to the whole answer; of an answer that a newer key overtook, as long as it was waited for.
    pub(crate) whole_us: Histogram<u64>,
    /// The same to the first answer, whole or not, or as long as one was waited for.
    pub(crate) first_us: Histogram<u64>,
    /// What the service says it took, of whole answers.
    pub(crate) server_us: Histogram<u64>,
    /// What `whole_us` has, by the second of the window.
    pub(crate) whole_by_second: Vec<Histogram<u64>>,
    /// Drafts asked about.
    pub(crate) asked: u64,
    pub(crate) answers: u64,
    /// Answers of the fast tier that a whole one was to follow.
    pub(crate) early: u64,
    /// Drafts whose whole answer had not come at the next key.
    pub(crate) overtaken: u64,
    /// Answers whose own time exceeded the budget by more than a millisecond.
    pub(crate) late: u64,
    /// Answers with a suggestion.
    pub(crate) shown: u64,
    /// Wrong keys, each taken back.
    pub(crate) slips: u64,
    pub(crate) typed_through: u64,
    /// Predictor → status → answers, over the answers that are not typed through.
    pub(crate) predictors: BTreeMap<String, BTreeMap<String, u64>>,
    pub(crate) errors: BTreeMap<Reason, u64>,
    /// Keys that nothing was asked at, because the service had said to come back later.
    pub(crate) waited: u64,
    /// Of the messages in `typed`.
    pub(crate) score: Score,
    pub(crate) typed: Vec<Typed>,
}

impl Tally {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            window,
            whole_us: histogram(),
            first_us: histogram(),
            server_us: histogram(),
            whole_by_second: Vec::new(),
            asked: 0,
            answers: 0,
            early: 0,
            overtaken: 0,
            late: 0,
            shown: 0,
            slips: 0,
            typed_through: 0,
            predictors: BTreeMap::new(),
            errors: BTreeMap::new(),
            waited: 0,
            score: Score::default(),
            typed: Vec::new(),
        }
    }

    /// A draft was asked about whose key was due at `due`.
    pub(crate) fn asked(&mut self, due: Instant) {
        self.asked += u64::from(self.window.contains(due));
    }

    /// The first answer to a draft.
    pub(crate) fn answered_first(&mut self, due: Instant, whole: bool) {
        if self.window.contains(due) {
            record(&mut self.first_us, due.elapsed());
            self.early += u64::from(!whole);
        }
    }

    /// The whole answer to a draft.
    pub(crate) fn answered(&mut self, due: Instant, answer: &Answer) {
        if !self.window.contains(due) {
            return;
        }
        self.record(due, due.elapsed());
        self.server_us.saturating_record((answer.elapsed_ms.max(0.0) * 1e3).round() as u64);
        self.answers += 1;
        self.shown += u64::from(!answer.suggestions.is_empty());
        self.late += u64::from(answer.elapsed_ms > answer.budget_ms + 1.0);
        if answer.source == "type_through" {
            self.typed_through += 1;
            return;
        }
        for (predictor, status) in &answer.predictors {
            let statuses = self.predictors.entry(predictor.clone()).or_default();
            *statuses.entry(status.clone()).or_default() += 1;
        }
    }

    /// The next key came before the whole answer, or before any (`heard`: not). Left out, slow answers would make the service look
    /// fast.
    pub(crate) fn overtaken(&mut self, due: Instant, heard: bool) {
        if self.window.contains(due) {
            self.overtaken += 1;
            if !heard {
                record(&mut self.first_us, due.elapsed());
            }
            self.record(due, due.elapsed());
        }
    }

    /// Something was refused.
    pub(crate) fn failed(&mut self, at: Instant, reason: Reason) {
        if self.window.contains(at) {
            *self.errors.entry(reason).or_default() += 1;
        }
    }

    /// A key was pressed at which nothing is asked, as the service wishes.
    pub(crate) fn waits(&mut self, due: Instant) {
        self.waited += u64::from(self.window.contains(due));
    }

    /// A wrong key was pressed.
    pub(crate) fn slipped(&mut self, due: Instant) {
        self.slips += u64::from(self.window.contains(due));
    }

    /// A message was finished whose first key was due at `begun`.
    pub(crate) fn finished(&mut self, begun: Instant, due: Instant, message: (usize, usize), score: Score) {
        if self.window.contains(begun) && self.window.contains(due) {
            self.typed.push(Typed { message, characters: score.stats.characters, cost: score.cost() });
            self.score.add(score);
        }
    }

    fn record(&mut self, due: Instant, latency: Duration) {
        record(&mut self.whole_us, latency);
        let second = usize::try_from((due - self.window.from).as_secs()).unwrap_or(usize::MAX);
        if self.whole_by_second.len() <= second {
            self.whole_by_second.resize_with(second + 1, histogram);
        }
        record(&mut self.whole_by_second[second], latency);
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are constants within the allowed range")
}

fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_counts_from_when_a_key_was_due_and_only_within_the_window() {
        let now = Instant::now();
        let from = now - Duration::from_secs(3);
        let mut tally = Tally::new(Window { from, until: now });
        tally.overtaken(from - Duration::from_millis(1), false);
        tally.overtaken(now, false);
        assert_eq!((tally.overtaken, tally.whole_us.len()), (0, 0));
        // Due two seconds ago, whenever it was sent.
        tally.overtaken(now - Duration::from_secs(2), true);
        assert_eq!((tally.overtaken, tally.first_us.len()), (1, 0), "its first answer was in time");
        assert!(tally.whole_us.max() >= 1_990_000, "{}", tally.whole_us.max());
        assert_eq!(tally.whole_by_second.iter().map(Histogram::len).collect::<Vec<_>>(), [0, 1]);
        tally.overtaken(now - Duration::from_secs(2), false);
        assert_eq!(tally.first_us.len(), 1);
    }

    #[test]
    fn an_answer_is_late_from_a_millisecond_over_its_budget() {
        let now = Instant::now();
        let until = now + Duration::from_secs(1);
        let mut tally = Tally::new(Window { from: now, until });
        for elapsed_ms in [20.0, 21.0, 21.1] {
            let answer = Answer {
                id: String::new(),
                suggestions: Vec::new(),
                source: "models".to_owned(),
                elapsed_ms,
                budget_ms: 20.0,
                predictors: [("gpt2".to_owned(), "used".to_owned())].into(),
            };
            tally.answered(now, &answer);
        }
        assert_eq!((tally.answers, tally.late, tally.predictors["gpt2"]["used"]), (3, 1, 3));
    }
}
