//! What happened, counted where it happens, for the operators' dashboard: on the path of a keystroke a few atomic numbers, no lock
//! but a short one, and nothing of what people type.
//!
//! `/metrics` is for machines that keep such numbers themselves. What is here can be subtracted and added, so that a step of ten
//! seconds, an hour or all the time since the start read the same way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::answers::Given;
use crate::clock;
use crate::engine::{Completion, Outcome, Predictor, SessionKey, Source, Status};
use crate::store::WriterKey;

pub use comparison::{Comparison, Difference, ENOUGH_SESSIONS};
pub use count::{Count, Group, OUTCOMES, PROPOSERS};
pub use degraded::{Degraded, Log, Reason};
pub use durations::Durations;
pub use saved::Offered;
pub use teams::{Saved, Who};
pub use totals::Totals;

use count::COUNTS;
use durations::Histogram;
use speed::Typists;
use teams::Teams;
use typing::Typing;

mod comparison;
mod count;
mod degraded;
mod durations;
mod saved;
mod speed;
mod teams;
mod totals;
mod typing;

/// How much later than its budget an answer may be.
const GRACE: Duration = Duration::from_millis(1);

/// The ledger; shared by whoever has something to enter.
pub struct Ledger {
    /// Milliseconds since the Unix epoch.
    pub started: i64,
    /// Answers that were not what they could have been.
    pub degraded: Log,
    counts: [AtomicU64; COUNTS],
    latency: Histogram,
    fast: Histogram,
    commit: Histogram,
    teams: Teams,
    typists: Typists,
    typing: Typing,
    comparison: Mutex<Comparison>,
    /// What processes before this one counted.
    earlier: Mutex<Earlier>,
}

/// What processes before this one counted over the same store.
#[derive(Debug)]
struct Earlier {
    /// When the first of them began, in milliseconds since the Unix epoch.
    since: i64,
    totals: Totals,
}

impl Default for Ledger {
    fn default() -> Self {
        let started = clock::now_ms();
        Self {
            started,
            degraded: Log::default(),
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            latency: Histogram::default(),
            fast: Histogram::default(),
            commit: Histogram::default(),
            teams: Teams::default(),
            typists: Typists::default(),
            typing: Typing::default(),
            comparison: Mutex::new(Comparison::new(started, 0)),
            earlier: Mutex::new(Earlier { since: started, totals: Totals::default() }),
        }
    }
}

impl Ledger {
    /// A key was pressed in a session; its draft has so many characters now.
    pub fn key(&self, session: &SessionKey, group: Group, length: usize) {
        let number = lock(&self.comparison).number;
        let Some(stretch) = self.typists.key(session, group, length, Instant::now(), number) else { return };
        self.add(Count::Appeared(group), stretch.characters);
        self.add(Count::Typing(group), stretch.took.as_millis() as u64);
        let mut comparison = lock(&self.comparison);
        // Another may have begun in between.
        if comparison.number == number {
            comparison.add(group, stretch.before, stretch.typed());
        }
    }

    /// A writer pressed a key. `tells`: the client is of the kind that says what was sent in the end.
    pub fn typed(&self, writer: &WriterKey, group: Group, tells: bool) {
        self.typing.key(writer, group, tells, Instant::now());
    }

    /// Writers who typed in the last minute and in the last hour. At most 65,536 are told apart.
    pub fn active(&self) -> [usize; 2] {
        self.typing.active(Instant::now())
    }

    /// A keystroke was answered.
    pub fn answered(&self, completion: &Completion, elapsed: Duration, budget: Duration, tenant: &Arc<str>) {
        self.latency.add(elapsed);
        self.fast.add(completion.fast);
        self.add(Count::Answers, 1);
        match completion.silence {
            Some(reason) => self.add(Count::Silent(reason), 1),
            None => self.add(Count::Suggestions, 1),
        }
        self.add(Count::TypeThrough, u64::from(completion.source == Source::TypeThrough));
        // Nobody is skipped where nobody is to be asked.
        let of_models = completion.is_of_models();
        for (predictor, status) in completion.predictors {
            self.add(Count::Member(predictor, status), u64::from(of_models || status != Status::Skipped));
        }
        let without = without_gpt2(completion);
        self.add(Count::Brownout, u64::from(without.is_some()));
        let late = elapsed > budget + GRACE;
        self.add(Count::Late, u64::from(late));
        if let Some(reason) = late.then_some(Reason::Late).or(without) {
            self.degraded.note(reason, [elapsed, budget], &completion.predictors, Some(tenant));
        }
    }

    /// A request was told to come back later.
    pub fn turned_away(&self, tenant: Option<&Arc<str>>) {
        self.add(Count::TurnedAway, 1);
        self.degraded.note(Reason::TurnedAway, [Duration::ZERO; 2], &[], tenant);
    }

    /// A request ran into a bug of ours.
    pub fn failed(&self) {
        self.degraded.note(Reason::Failed, [Duration::ZERO; 2], &[], None);
    }

    /// An outcome was heard. Of several about one answer only what is new counts as saved: some of it was taken, then the rest.
    pub fn judged(&self, given: &Given, index: usize, outcome: Outcome, chars: u32) {
        let Some(offered) = given.offered.get(index) else { return };
        let saved = offered.saved(outcome, chars);
        let saved = u64::from(saved.saturating_sub(given.saved.fetch_max(saved, Ordering::Relaxed)));
        self.add(Count::Saved(offered.predictor), saved);
        self.add(Count::Judged(offered.predictor, outcome), 1);
        if let Some(writer) = given.writer.as_ref().filter(|_| given.tells) {
            self.typing.saved(writer, saved);
        }
        let who = Who { tenant: Arc::clone(&given.tenant), team: given.team.clone() };
        self.teams.judged(who, outcome, saved);
    }

    /// Another share of sessions is held out from now on: who typed before is not compared with who types after.
    pub fn compare_anew(&self) {
        let mut comparison = lock(&self.comparison);
        *comparison = Comparison::new(clock::now_ms(), comparison.number + 1);
    }

    /// How fast people typed since the share was last changed, by side.
    pub fn compared(&self) -> Comparison {
        lock(&self.comparison).clone()
    }

    /// A message was learned.
    pub fn learned(&self) {
        self.add(Count::Learned, 1);
    }

    /// A writer sent a message of so many characters. It counts if suggestions were asked for in its draft, by a client that tells
    /// what is sent, and none of them was held out; of a writer who types several drafts at once some messages may be left out.
    pub fn sent(&self, writer: &WriterKey, characters: usize) {
        let characters = characters as u64;
        if let Some(saved) = self.typing.sent(writer, characters) {
            self.add(Count::SentChars, characters);
            self.add(Count::SentSaved, saved);
        }
    }

    /// The store committed.
    pub fn committed(&self, took: Duration) {
        self.commit.add(took);
    }

    /// Everything so far, but for what the neural tier counts itself.
    pub fn totals(&self) -> Totals {
        Totals {
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            latency: self.latency.read(),
            fast: self.fast.read(),
            commit: self.commit.read(),
        }
    }

    /// The same with what processes before this one counted, and since when, in milliseconds since the Unix epoch.
    pub fn of_all_time(&self) -> (i64, Totals) {
        let mut totals = self.totals();
        let earlier = lock(&self.earlier);
        totals.merge(&earlier.totals);
        (earlier.since, totals)
    }

    /// Goes on where the process before this one ended. `comparison`: unless another has begun since.
    pub fn restore(
        &self,
        since: i64,
        totals: Totals,
        teams: Vec<(Who, Saved)>,
        comparison: Option<Comparison>,
    ) {
        *lock(&self.earlier) = Earlier { since, totals };
        self.teams.restore(teams);
        if let Some(comparison) = comparison {
            *lock(&self.comparison) = comparison;
        }
    }

    /// The teams that saved most of all time, at most `most`.
    pub fn teams(&self, most: usize) -> Vec<(Who, Saved)> {
        self.teams.list(most)
    }

    fn add(&self, count: Count, more: u64) {
        if let Some(slot) = count.slot()
            && more > 0
        {
            self.counts[slot].fetch_add(more, Ordering::Relaxed);
        }
    }
}

/// What a panic leaves behind are numbers all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why the GPT-2 has no part in an answer of the models, though it is there; `None`: it has, or nobody was asked.
fn without_gpt2(completion: &Completion) -> Option<Reason> {
    let reason = match completion.predictors[Predictor::Gpt2 as usize].1 {
        Status::Late => Reason::Gpt2Late,
        Status::Skipped => Reason::Gpt2Skipped,
        Status::Used | Status::Empty | Status::Off => return None,
    };
    completion.is_of_models().then_some(reason)
}
